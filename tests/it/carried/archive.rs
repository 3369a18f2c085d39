//! Archives of docker save, in every form that is no layout.

use std::sync::Arc;

use tranship::digest::{BlobId, Digest};
use tranship::error::ErrorKind;
use tranship::model::StoreKind;
use tranship::op::transfer::Outcome;
use tranship::store::Source;
use tranship::tree::{Memory, Sink, path};

use crate::bad_input::STORE;
use crate::support::carried::{
    LayoutOf, file, findings, gzip, link, names, packed_only, read, read_layers, source,
};
use crate::support::classic::Classic;

/// How a writer calls its files.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Writer {
    Docker,
    Podman,
    Crane,
}

/// Returns an archive with one image of two layers, and an image of the upper one alone.
fn saved(writer: Writer) -> Memory {
    let (classic, tree) = (Classic::of(STORE), Memory::new());
    let mut images = Vec::new();
    for (title, diffs, tags) in
        [("app", &["base", "code"][..], "\"app:1\",\"app:2\""), ("other", &["code"], "\"other:1\"")]
    {
        let layers: Vec<_> =
            diffs.iter().map(|diff| layer(writer, &classic, &tree, title, diff)).collect();
        let config = classic.config_bytes(title);
        let hex = Digest::of(&config).hex();
        let name =
            if writer == Writer::Crane { format!("sha256:{hex}") } else { format!("{hex}.json") };
        file(&tree, &name, &config);
        images.push(image(&name, tags, &layers));
    }
    file(&tree, "repositories", b"{}");
    file(&tree, "manifest.json", format!("[{}]", images.join(",")).as_bytes());
    tree
}

fn image(config: &str, tags: &str, layers: &[String]) -> String {
    let layers: Vec<_> = layers.iter().map(|layer| format!("\"{layer}\"")).collect();
    let layers = layers.join(",");
    format!("{{\"Config\":\"{config}\",\"RepoTags\":[{tags}],\"Layers\":[{layers}]}}")
}

fn layer(writer: Writer, classic: &Classic, tree: &Memory, title: &str, diff: &str) -> String {
    let tar = classic.tar(diff);
    let hex = Digest::of(&tar).hex();
    // The ID that Docker makes up for the folder is another in each image.
    let folder = Digest::of(format!("{title} {diff}").as_bytes()).hex();
    match writer {
        Writer::Docker => {
            let name = format!("{folder}/layer.tar");
            let first = Digest::of(format!("app {diff}").as_bytes()).hex();
            match title {
                "app" => file(tree, &name, &tar),
                _ => link(tree, &name, &format!("../{first}/layer.tar")),
            }
            name
        }
        Writer::Podman => {
            file(tree, &format!("{hex}.tar"), &tar);
            link(tree, &format!("{folder}/layer.tar"), &format!("../{hex}.tar"));
            format!("{hex}.tar")
        }
        Writer::Crane => {
            let packed = gzip(&tar);
            let name = format!("{}.tar.gz", Digest::of(&packed).hex());
            file(tree, &name, &packed);
            name
        }
    }
}

fn all_layers(source: &dyn Source) -> Vec<Vec<Vec<u8>>> {
    let images = source.inventory().images.iter();
    images.map(|image| read_layers(source, image).expect("sound")).collect()
}

#[test]
fn every_writer_says_the_same() {
    let classic = Classic::of(STORE);
    for writer in [Writer::Docker, Writer::Podman, Writer::Crane] {
        let host = read(&Arc::new(saved(writer))).expect("an archive");
        assert_eq!(host.roots[0].stores[0].here.kind, StoreKind::Archive);
        let source = source(&host);
        let inventory = source.inventory();
        assert!(inventory.findings.is_empty(), "{:?}", inventory.findings);
        let mut found = names(inventory);
        found.sort_unstable();
        assert_eq!(found, ["app:1", "app:2", "other:1"], "{writer:?}");
        for (title, image) in ["app", "other"].map(|title| {
            let id = classic.config(title).0;
            (title, inventory.images.iter().find(move |image| image.id == id))
        }) {
            let image = image.expect(title);
            assert!(image.manifests[0].present && image.manifests[0].manifest.is_none());
            assert_eq!(source.contents(image).expect("none"), None);
            let document = source.document(BlobId(image.id)).expect("the config");
            assert_eq!(document.bytes, classic.config_bytes(title));
        }
        let layers = all_layers(source);
        assert!(layers.contains(&vec![classic.tar("base"), classic.tar("code")]), "{writer:?}");
        assert!(layers.contains(&vec![classic.tar("code")]), "{writer:?}");
        let target = Arc::new(Memory::new());
        let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&target);
        let Outcome { moved, failed, .. } = packed_only().run(source, &sink).expect("sound");
        assert_eq!((moved.len(), failed.len()), (2, 0), "{writer:?}");
    }
}

/// A `manifest.json`, and what is found: codes with a part of what is said, and the names that are left.
type Case = (
    &'static str,
    fn(&Memory) -> String,
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

#[test]
fn what_manifests_may_say() {
    fn config(tree: &Memory, title: &str) -> String {
        let bytes = Classic::of(STORE).config_bytes(title);
        let name = format!("{}.json", Digest::of(&bytes).hex());
        file(tree, &name, &bytes);
        name
    }
    fn base(tree: &Memory) -> String {
        let name = "base/layer.tar";
        file(tree, name, &Classic::of(STORE).tar("base"));
        name.to_owned()
    }
    fn of_base(tree: &Memory, tags: &str, layer: &str) -> String {
        image(&config(tree, "base"), tags, &[layer.to_owned()])
    }
    let cases: [Case; 13] = [
        ("sound", |tree| of_base(tree, "\"a:1\"", &base(tree)), &[], &["a:1"]),
        (
            "layers that lead out",
            |tree| of_base(tree, "\"a:1\"", "../../etc/passwd"),
            &[("layer-missing", "layer sha256:")],
            &["a:1"],
        ),
        (
            "an absolute layer",
            |tree| of_base(tree, "\"a:1\"", "/etc/passwd"),
            &[("layer-missing", "layer sha256:")],
            &["a:1"],
        ),
        (
            "a link that leads out",
            |tree| {
                link(tree, "x/layer.tar", "../../../../../etc/passwd");
                of_base(tree, "\"a:1\"", "x/layer.tar")
            },
            &[("layer-missing", "layer sha256:")],
            &["a:1"],
        ),
        (
            "links in a circle",
            |tree| {
                link(tree, "x/layer.tar", "../y/layer.tar");
                link(tree, "y/layer.tar", "../x/layer.tar");
                of_base(tree, "\"a:1\"", "x/layer.tar")
            },
            &[("layer-missing", "too many links")],
            &["a:1"],
        ),
        (
            "a folder for a layer",
            |tree| {
                tree.make_dir(path("folder"), 0o755).expect("a free name");
                of_base(tree, "\"a:1\"", "folder")
            },
            &[("layer-missing", "not a regular file")],
            &["a:1"],
        ),
        (
            "no name for a layer",
            |tree| of_base(tree, "\"a:1\"", ""),
            &[("layer-missing", "not a regular file")],
            &["a:1"],
        ),
        (
            "a config that leads out",
            |_| image("../../etc/passwd", "\"a:1\"", &[]),
            &[("image-unloadable", "not found")],
            &[],
        ),
        (
            "a config that is another",
            |tree| {
                let name = config(tree, "base");
                file(tree, &name, b"{\"rootfs\":{}}");
                image(&name, "\"a:1\"", &[])
            },
            &[("image-unloadable", "hash to")],
            &[],
        ),
        (
            "a config by another name, without layers",
            |tree| {
                file(tree, "config.json", b"{\"rootfs\":{\"diff_ids\":[]}}");
                image("config.json", "\"a:1\"", &[])
            },
            &[],
            &["a:1"],
        ),
        (
            "too few layers",
            |tree| image(&config(tree, "app"), "\"a:1\"", &[base(tree)]),
            &[("image-unloadable", "1 layers are listed for it, and it has 2")],
            &[],
        ),
        (
            "names that are none",
            |tree| of_base(tree, "\"A:1\",\"\",\"b:1\",\"\\u001b[0m\"", &base(tree)),
            &[
                ("name-unusable", "lowercase"),
                ("name-unusable", "not a"),
                ("name-unusable", "not a"),
            ],
            &["b:1"],
        ),
        (
            "one name for two, and one image twice",
            |tree| {
                let one = of_base(tree, "\"a:1\"", &base(tree));
                let two = of_base(tree, "\"a:1\",\"a:2\"", &base(tree));
                file(tree, "code.tar", &Classic::of(STORE).tar("code"));
                let other = config(tree, "other");
                let other = image(&other, "\"a:1\"", &["code.tar".to_owned()]);
                format!("{one},{two},{other}")
            },
            &[("name-taken", "a:1 is image")],
            &["a:1", "a:2"],
        ),
    ];
    for (name, make, wanted, left) in cases {
        let tree = Memory::new();
        let images = make(&tree);
        file(&tree, "manifest.json", format!("[{images}]").as_bytes());
        let host = read(&Arc::new(tree)).expect(name);
        let inventory = source(&host).inventory();
        let found = findings(inventory);
        assert_eq!(found.len(), wanted.len(), "{name}: {found:?}");
        for ((code, what), (wanted, part)) in found.iter().zip(wanted) {
            assert!(code == wanted && what.contains(part), "{name}: {what}");
        }
        assert_eq!(names(inventory), left, "{name}");
        let lacks = wanted.iter().any(|(code, _)| *code == "layer-missing");
        assert!(inventory.images.iter().all(|image| image.manifests[0].present != lacks), "{name}");
    }
}

#[test]
fn a_layer_that_is_not_what_the_config_says_fails_alone() {
    let tree = saved(Writer::Podman);
    let classic = Classic::of(STORE);
    let base = format!("{}.tar", Digest::of(&classic.tar("base")).hex());
    for harmed in [&b"short"[..], &[0; 4096], &gzip(b"other")] {
        file(&tree, &base, harmed);
        let host = read(&Arc::new(tree.clone())).expect("an archive");
        let target = Arc::new(Memory::new());
        let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&target);
        let Outcome { moved, failed, findings, .. } =
            packed_only().run(source(&host), &sink).expect("one is sound");
        assert_eq!((moved.len(), failed.len()), (1, 1));
        assert!(findings.iter().all(|one| one.place.path == base.as_bytes()), "{findings:?}");
    }
}

#[test]
fn archives_that_cannot_be_read_at_all() {
    for (name, text, kind) in [
        ("cut off", Some("[{\"Config\""), ErrorKind::Corrupt),
        ("no images", Some("[1,2]"), ErrorKind::Corrupt),
        ("nested", Some(&*"[".repeat(99_999)), ErrorKind::Corrupt),
        ("before Docker 1.10", None, ErrorKind::Unsupported),
    ] {
        let tree = saved(Writer::Docker);
        match text {
            Some(text) => file(&tree, "manifest.json", text.as_bytes()),
            None => tree.remove(path("manifest.json")).expect("below the root"),
        }
        let error = read(&Arc::new(tree)).expect_err(name);
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert_eq!(error.place().expect(name).path, b"manifest.json", "{name}");
    }
    let others = Memory::new();
    file(&others, "manifest.json", b"{\"manifest_version\": 3}");
    assert!(read(&Arc::new(others)).expect("not an archive").roots.is_empty());
}

/// What Docker 25 and later save is a layout, whatever else it is.
#[test]
fn what_is_both_is_a_layout() {
    let layout = LayoutOf::of(STORE);
    let image_of_base = layout.plain("base", &["base"]);
    let config = layout.classic.config_bytes("base");
    let blob = |bytes: &[u8]| format!("blobs/sha256/{}", Digest::of(bytes).hex());
    let saved = image(&blob(&config), "\"base:1\"", &[blob(&layout.classic.tar("base"))]);
    file(&layout.tree, "manifest.json", format!("[{saved}]").as_bytes());
    let tree = layout.end(&[image_of_base]);
    let host = read(&tree).expect("a layout");
    assert_eq!(host.roots[0].stores[0].here.kind, StoreKind::Layout);
    assert_eq!(names(source(&host).inventory()), ["base:1"]);
    tree.remove(path("index.json")).expect("below the root");
    let host = read(&tree).expect("an archive");
    assert_eq!(host.roots[0].stores[0].here.kind, StoreKind::Archive);
    assert_eq!(names(source(&host).inventory()), ["base:1"]);
    assert_eq!(all_layers(source(&host)), [[Classic::of(STORE).tar("base")]]);
}
