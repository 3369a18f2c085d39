//! Image layouts: what they hold, what they are called, and what is wrong with them.

use std::sync::Arc;

use tranship::digest::Digest;
use tranship::error::ErrorKind;
use tranship::model::{Role, StoreKind};
use tranship::op::transfer::Outcome;
use tranship::tree::{Memory, Sink, path};

use crate::bad_input::STORE;
use crate::support::carried::{
    CONFIG, INDEX, LAYER, LayoutOf, MANIFEST, blob_path, descriptor, file, findings, gzip, index,
    link, manifest, names, packed_only, read, read_layers, source, with, zstd,
};

/// Returns a descriptor with annotations.
fn called(descriptor: &str, annotations: &[(&str, &str)]) -> String {
    let pair = |(key, value): &(&str, &str)| format!("\"{key}\":\"{value}\"");
    let pairs: Vec<_> = annotations.iter().map(pair).collect();
    with(descriptor, &format!("\"annotations\":{{{}}}", pairs.join(",")))
}

const NAME: &str = "io.containerd.image.name";
const REF: &str = "org.opencontainers.image.ref.name";

#[test]
fn names_come_from_wherever_a_writer_puts_them() {
    for (annotations, tags, found, bare, code) in [
        (&[(NAME, "docker.io/library/app:1"), (REF, "1")][..], "", &["app:1"][..], None, None),
        (&[(NAME, "docker.io/library/app")], "", &["app:latest"], None, None),
        (&[(REF, "localhost/app:1")], "", &["localhost/app:1"], None, None),
        (&[(REF, "1")], "", &[], Some("1"), None),
        (&[(REF, "Feature/X")], "", &[], Some("Feature/X"), None),
        (&[(REF, "1")], "\"app:1\",\"team/app:2\"", &["app:1", "team/app:2"], None, None),
        (&[(REF, "a:1")], "\"app:1\"", &["a:1"], None, None),
        (&[], "\"app:1\"", &["app:1"], None, None),
        (&[], "", &[], None, None),
        (&[(NAME, "not a name")], "", &[], None, Some("name-unusable")),
        (&[(NAME, "a:1")], "\"\\u001b[31m\"", &["a:1"], None, None),
        (&[], "\"\\u001b[31m\"", &[], None, Some("name-unusable")),
    ] {
        let layout = LayoutOf::of(STORE);
        let image = layout.plain("base", &["base"]);
        let config = blob_path(&layout.classic.config_bytes("base"));
        if !tags.is_empty() {
            let saved =
                format!("[{{\"Config\":\"{config}\",\"RepoTags\":[{tags}],\"Layers\":[]}}]");
            file(&layout.tree, "manifest.json", saved.as_bytes());
        }
        let host = read(&layout.end(&[called(&image, annotations)])).expect("a layout");
        let source = source(&host);
        assert_eq!(names(source.inventory()), found, "{annotations:?}");
        assert_eq!(source.bare_tag(&source.inventory().images[0]), bare, "{annotations:?}");
        let codes: Vec<_> = findings(source.inventory()).iter().map(|found| found.0).collect();
        assert_eq!(codes, code.into_iter().collect::<Vec<_>>(), "{annotations:?}");
    }
}

#[test]
fn a_name_stays_with_the_image_that_is_listed_first() {
    let layout = LayoutOf::of(STORE);
    let one = layout.plain("base", &["base"]);
    let two = layout.plain("other", &["code"]);
    for order in [[&one, &two], [&two, &one]] {
        let named: Vec<_> = order.iter().map(|one| called(one, &[(NAME, "a:1")])).collect();
        file(&layout.tree, "index.json", &index(&named));
        let host = read(&Arc::new(layout.tree.clone())).expect("a layout");
        let inventory = source(&host).inventory();
        let owner = inventory.images.iter().find(|image| !image.names.is_empty());
        assert!(order[0].contains(&owner.expect("one has it").id.to_string()));
        assert_eq!((inventory.images.len(), names(inventory).len()), (2, 1));
        assert_eq!(findings(inventory)[0].0, "name-taken");
    }
}

#[test]
fn layers_are_read_however_they_are_packed() {
    type Pack = fn(&[u8]) -> Vec<u8>;
    let plain: Pack = <[u8]>::to_vec;
    let twice: Pack = |bytes| [gzip(&bytes[..512]), gzip(&bytes[512..])].concat();
    for (kind, pack) in [
        (LAYER, plain),
        ("application/vnd.oci.image.layer.v1.tar+gzip", gzip as Pack),
        ("application/vnd.oci.image.layer.v1.tar+gzip", twice),
        ("application/vnd.oci.image.layer.v1.tar+zstd", zstd),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", gzip),
        ("application/vnd.docker.image.rootfs.diff.tar", plain),
        ("application/vnd.docker.image.rootfs.diff.tar", gzip),
        ("application/vnd.docker.image.rootfs.diff.tar.gzip", gzip),
        ("application/vnd.docker.image.rootfs.diff.tar.zstd", zstd),
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", gzip),
    ] {
        let layout = LayoutOf::of(STORE);
        let wanted = ["base", "code"].map(|diff| layout.classic.tar(diff));
        let image = layout.image("app", &["base", "code"], kind, pack);
        let host = read(&layout.end(&[image])).expect("a layout");
        let source = source(&host);
        let image = &source.inventory().images[0];
        assert!(image.shown().expect("it can run").present, "{kind}");
        assert_eq!(read_layers(source, image).expect("sound"), wanted, "{kind}");
        let contents = source.contents(image).expect("sound").expect("it keeps manifests");
        assert_eq!((contents.documents.len(), contents.blobs.len()), (1, 3), "{kind}");
        assert!(contents.blobs[1..].iter().all(|blob| blob.media_type == kind));
    }
}

/// What is done to the blob of a layer, and what is said when it is read.
type Harm = (&'static str, fn(&Memory, &str, Vec<u8>), &'static str);

#[test]
fn layers_that_are_damaged() {
    let harms: [Harm; 6] = [
        ("cut off", |tree, at, bytes| file(tree, at, &bytes[..bytes.len() - 9]), "hash to"),
        (
            "flipped",
            |tree, at, mut bytes| {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                file(tree, at, &bytes);
            },
            "",
        ),
        (
            "more after it",
            |tree, at, bytes| file(tree, at, &[bytes, gzip(b"x")].concat()),
            "hash to",
        ),
        ("another tar", |tree, at, _| file(tree, at, &gzip(b"another")), "hash to"),
        (
            "gone",
            |tree, at, _| tree.remove(path(at)).expect("below the root"),
            "no blob of the layers",
        ),
        ("a link", |tree, at, _| link(tree, at, "/etc/passwd"), "no blob of the layers"),
    ];
    for (name, harm, what) in harms {
        let layout = LayoutOf::of(STORE);
        let packed = gzip(&layout.classic.tar("base"));
        let image = layout.image("base", &["base"], LAYER, gzip);
        harm(&layout.tree, &blob_path(&packed), packed);
        let host = read(&layout.end(&[image])).expect("a layout");
        let source = source(&host);
        let image = &source.inventory().images[0];
        let error = read_layers(source, image).expect_err(name);
        assert!(error.what().contains(what), "{name}: {error}");
        let place = String::from_utf8_lossy(&error.place().expect(name).path).into_owned();
        assert!(place.starts_with("blobs/sha256"), "{name}: {error}");
    }
}

#[test]
fn an_index_with_all_that_may_stand_in_one() {
    let layout = LayoutOf::of(STORE);
    let image = layout.plain("base", &["base"]);
    let image = with(&image, "\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}");
    let statement = layout.blob("application/vnd.in-toto+json", b"{\"predicateType\":\"x\"}");
    let config = layout.blob(CONFIG, b"{\"rootfs\":{\"diff_ids\":[]}}");
    let attests = layout.blob(MANIFEST, &manifest(&config, std::slice::from_ref(&statement)));
    let subject = image.split('"').find(|text| text.starts_with("sha256:")).expect("a digest");
    let subject = &subject.to_owned();
    let attests = called(
        &attests,
        &[
            ("vnd.docker.reference.type", "attestation-manifest"),
            ("vnd.docker.reference.digest", subject),
        ],
    );
    let absent = descriptor(MANIFEST, b"for another platform");
    let absent = with(&absent, "\"platform\":{\"os\":\"linux\",\"architecture\":\"s390x\"}");
    let odd = layout.blob("application/x.odd+json", b"odd");
    let other = layout.plain("other", &["code"]).replace(MANIFEST, "");
    let inner = layout.blob(INDEX, &index(&[other, "{\"digest\":\"sha512:ab\"}".to_owned()]));
    let children = [image, attests, absent, odd, inner];
    let outer = layout.blob(INDEX, &index(&children));
    let host = read(&layout.end(&[called(&outer, &[(NAME, "multi:1")])])).expect("a layout");
    let source = source(&host);
    let [image] = source.inventory().images.as_slice() else { panic!("one image") };
    let seen: Vec<_> = image.manifests.iter().map(|one| (one.role, one.present)).collect();
    let subject = Role::Attestation(subject.parse().ok());
    let (there, gone) = ((Role::Image, true), (Role::Image, false));
    assert_eq!(seen, [there, (subject, true), gone, gone, there, gone]);
    assert_eq!(image.best, Some(0));
    let contents = source.contents(image).expect("sound").expect("it keeps manifests");
    let count = (contents.documents.len(), contents.blobs.len(), contents.absent.len());
    assert_eq!(count, (5, 7, 2), "{contents:#?}");
    assert_eq!(contents.documents[0].digest, image.id.to_string());
    assert!(contents.documents.iter().all(|one| !one.media_type.is_empty()));
    assert!(contents.blobs.iter().any(|blob| blob.media_type == "application/x.odd+json"));
    for one in contents.documents.iter().chain(&contents.blobs) {
        let blob = one.blob().expect("it is there");
        let mut bytes = Vec::new();
        let mut reader = source.blob(blob).expect("it is there");
        std::io::Read::read_to_end(&mut reader, &mut bytes).expect("sound");
        assert_eq!(
            (Digest::of(&bytes), bytes.len() as u64),
            (blob.0, one.len().expect("a length"))
        );
    }
    assert!(findings(source.inventory()).is_empty());
}

#[test]
fn documents_that_are_not_what_they_say() {
    let layout = LayoutOf::of(STORE);
    let config = layout.blob(CONFIG, &layout.classic.config_bytes("base"));
    let layer = layout.blob(LAYER, &layout.classic.tar("base"));
    let long = layer.replace("\"size\":", "\"size\":9");
    let lies = layout.blob(MANIFEST, &manifest(&config, &[long]));
    // An index that holds itself: its digest cannot be right.
    let own = Digest::of(b"circle");
    let own = format!("{{\"mediaType\":\"{INDEX}\",\"digest\":\"{own}\",\"size\":0}}");
    file(&layout.tree, &blob_path(b"circle"), &index(std::slice::from_ref(&own)));
    let gone = descriptor(MANIFEST, b"gone");
    let short = "{\"digest\":\"sha512:abc\",\"size\":1}".to_owned();
    let artifact = layout.blob("application/x.artifact", b"\0\x01");
    let images = [lies, own.clone(), gone, short, artifact];
    let host = read(&layout.end(&images)).expect("a layout");
    let source = source(&host);
    let inventory = source.inventory();
    assert_eq!(inventory.images.len(), 4);
    let mut codes: Vec<_> = findings(inventory).iter().map(|found| found.0).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["blob-unreadable", "target-missing", "target-unusable"]);
    let told: Vec<_> = inventory
        .images
        .iter()
        .map(|image| match source.contents(image) {
            Ok(contents) => {
                let contents = contents.expect("it keeps manifests");
                assert!(image.shown().is_none(), "nothing in it can run");
                format!("{} {}", contents.documents.len(), contents.absent.len())
            }
            Err(error) => error.what().to_owned(),
        })
        .collect();
    for wanted in ["1 0", "0 1", "says 9", "hash to"] {
        let found = told.iter().filter(|told| told.contains(wanted)).count();
        assert_eq!(found, 1, "{wanted}: {told:?}");
    }
}

#[test]
fn a_hundred_thousand_images() {
    let layout = LayoutOf::of(STORE);
    let image = layout.plain("base", &["base"]);
    let mut all: Vec<String> = (0..100_000u32)
        .map(|n| called(&descriptor(MANIFEST, &n.to_le_bytes()), &[(REF, &n.to_string())]))
        .collect();
    all.push(image);
    let host = read(&layout.end(&all)).expect("a layout");
    let inventory = source(&host).inventory();
    assert_eq!(inventory.images.len(), 100_001);
    assert_eq!(inventory.images.iter().filter(|image| image.best.is_some()).count(), 1);
}

#[test]
fn layouts_that_cannot_be_read_at_all() {
    type Break = fn(&Memory);
    let breaks: [(&str, Break, ErrorKind, &str); 5] = [
        ("no JSON", |tree| file(tree, "index.json", b"{\"mani"), ErrorKind::Corrupt, "index.json"),
        ("a list", |tree| file(tree, "index.json", b"[]"), ErrorKind::Corrupt, "index.json"),
        (
            "another version",
            |tree| file(tree, "oci-layout", b"{\"imageLayoutVersion\":\"2.0.0\"}"),
            ErrorKind::Unsupported,
            "oci-layout",
        ),
        ("no version", |tree| file(tree, "oci-layout", b"1"), ErrorKind::Corrupt, "oci-layout"),
        (
            "nested",
            |tree| file(tree, "index.json", &[&b"{\"manifests\":"[..], &[b'['; 99_999]].concat()),
            ErrorKind::Corrupt,
            "index.json",
        ),
    ];
    for (name, harm, kind, place) in breaks {
        let tree = LayoutOf::of(STORE).end(&[]);
        harm(&tree);
        let error = read(&tree).expect_err(name);
        assert_eq!(error.kind(), kind, "{name}: {error}");
        assert_eq!(error.place().expect(name).path, place.as_bytes(), "{name}");
    }
    for missing in ["index.json", "oci-layout"] {
        let tree = LayoutOf::of(STORE).end(&[]);
        link(&tree, missing, "elsewhere");
        assert!(read(&tree).expect("nothing here").roots.is_empty(), "{missing}");
    }
}

#[test]
fn images_of_a_layout_arrive_in_a_containerd_store() {
    let layout = LayoutOf::of(STORE);
    let base = called(&layout.plain("base", &["base"]), &[(NAME, "base:1")]);
    let app = layout.image("app", &["base", "code"], LAYER, zstd);
    let host = read(&layout.end(&[base, called(&app, &[(REF, "localhost/app:1")])]));
    let host = host.expect("a layout");
    assert_eq!(host.roots[0].stores[0].here.kind, StoreKind::Layout);
    let target = Arc::new(Memory::new());
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&target);
    let Outcome { moved, failed, findings, .. } =
        packed_only().run(source(&host), &sink).expect("sound");
    assert_eq!((moved.len(), failed.len(), findings.len()), (2, 0, 0));
    let seen = crate::support::seen::look(&*target).expect("sound");
    let names: Vec<_> = seen.records.keys().map(String::as_str).collect();
    assert_eq!(names, ["docker.io/library/base:1", "localhost/app:1"]);
}

#[test]
fn a_folder_of_blobs_may_be_missing() {
    let layout = LayoutOf::of(STORE);
    let image = layout.plain("base", &["base"]);
    layout.tree.remove(path("blobs")).expect("below the root");
    let host = read(&layout.end(&[image])).expect("a layout");
    let inventory = source(&host).inventory();
    assert_eq!(findings(inventory)[0].0, "target-missing");
    assert!(inventory.images[0].best.is_none());
}
