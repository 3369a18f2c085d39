//! What is written, file by file: the formats are dockerd's, not ours to choose.

use std::path::Path;
use std::sync::Arc;

use tranship::digest::ChainId;
use tranship::model::Inventory;
use tranship::store::Source;
use tranship::store::overlay2::Overlay2;
use tranship::tree::{Kind, Memory, TarTree, Tree, TreePath, TreePathBuf, path, walk};

use super::seen::{LAYERS, NAMES, NOTES, leftovers, look, text};
use super::{Root, sink};
use crate::support::classic::{ARRIVED, Classic};
use crate::support::seen::listing;
use crate::support::{Migration, open};

const TWO: &str = "
diff base
  dir  bin
  file bin/sh shell*900
  hard bin/ash bin/sh
  link bin/bash sh
  gone bin/old
  dir  var
  hide var
  attr .   trusted.overlay.impure y
  attr bin trusted.overlay.origin handle
  attr bin user.note kept
diff top
  dir  etc
  file etc/passwd root
image base = base
  name base:1
image top = base + top
  name top:1
  name localhost:5000/a/top:2
  parent base
  updated 2024-01-02T03:04:05.000000006Z
";

/// Returns everything but what is in the layers: its mode, whether it is a folder, and its path with
/// `<base>` and `<top>` for their folders.
fn modes(tree: &dyn Tree, classic: &Classic) -> Vec<String> {
    let chains = [("<base>", classic.chain(&["base"])), ("<top>", classic.chain(&["base", "top"]))];
    let folder = |chain: ChainId| text(tree, &format!("{LAYERS}/{}/cache-id", chain.hex()));
    let words =
        chains.map(|(word, chain)| (word, chain.hex(), folder(chain).expect("it is there")));
    let mut lines = Vec::new();
    walk(tree, TreePath::ROOT, &mut |path, entry| {
        let mut name = path.to_string();
        for (word, chain, folder) in &words {
            name = name.replace(chain, word).replace(folder, word);
        }
        let slash = if entry.metadata.kind == Kind::Dir { "/" } else { "" };
        lines.push(format!("{:04o} {name}{slash}", entry.metadata.mode));
        Ok(entry.name != b"diff")
    })
    .expect("memory can be read");
    lines
}

/// As Docker 28 makes them; `layerdb/mounts` and `distribution` come with containers and pulls.
#[test]
fn every_file_has_the_mode_that_dockerd_gives_it() {
    let (classic, root) = (Classic::of(TWO), Root::of(TWO));
    let [base, top] = ["base", "top"].map(|title| classic.config(title).hex());
    let link = |title: &[&str]| {
        let folder =
            text(&*root.tree, &format!("{LAYERS}/{}/cache-id", classic.chain(title).hex()));
        let folder = folder.expect("it is there");
        (folder.clone(), text(&*root.tree, &format!("overlay2/{folder}/link")).expect("a link"))
    };
    let ((_, base_link), (_, top_link)) = (link(&["base"]), link(&["base", "top"]));
    let images = "image/overlay2/imagedb";
    let mut want = vec![
        "0700 image/".to_owned(),
        "0700 image/overlay2/".to_owned(),
        format!("0600 {NAMES}"),
        format!("0700 {images}/"),
        format!("0700 {images}/content/"),
        format!("0700 {images}/content/sha256/"),
        format!("0600 {images}/content/sha256/{base}"),
        format!("0600 {images}/content/sha256/{top}"),
        format!("0700 {images}/metadata/"),
        format!("0700 {images}/metadata/sha256/"),
        format!("0700 {images}/metadata/sha256/{top}/"),
        format!("0600 {images}/metadata/sha256/{top}/lastUpdated"),
        format!("0600 {images}/metadata/sha256/{top}/parent"),
        "0700 image/overlay2/layerdb/".to_owned(),
        "0755 image/overlay2/layerdb/tmp/".to_owned(),
        format!("0755 {LAYERS}/"),
        format!("0700 {LAYERS}/<base>/"),
        format!("0700 {LAYERS}/<top>/"),
        format!("0644 {LAYERS}/<top>/parent"),
        "0710 overlay2/".to_owned(),
        "0700 overlay2/l/".to_owned(),
        format!("0777 overlay2/l/{base_link}"),
        format!("0777 overlay2/l/{top_link}"),
        "0600 overlay2/<base>/committed".to_owned(),
        "0644 overlay2/<top>/lower".to_owned(),
        "0700 overlay2/<top>/work/".to_owned(),
    ];
    for layer in ["<base>", "<top>"] {
        for key in ["cache-id", "diff", "size", "tar-split.json.gz"] {
            want.push(format!("0644 {LAYERS}/{layer}/{key}"));
        }
        want.push(format!("0710 overlay2/{layer}/"));
        want.push(format!("0644 overlay2/{layer}/link"));
        want.push(format!("0755 overlay2/{layer}/diff/"));
    }
    let mut found = modes(&*root.tree, &classic);
    found.sort_unstable();
    want.sort_unstable();
    assert_eq!(found, want);
}

#[test]
fn values_are_as_dockerd_writes_them() {
    let (classic, root) = (Classic::of(TWO), Root::of(TWO));
    let [base, top] = ["base", "top"].map(|title| classic.config(title));
    let chain = classic.chain(&["base", "top"]).hex();
    let layer = |key: &str| text(&*root.tree, &format!("{LAYERS}/{chain}/{key}")).expect("there");
    let note = |key: &str| text(&*root.tree, &format!("{NOTES}/{}/{key}", top.hex()));
    assert_eq!(layer("diff"), classic.diff_id("top").to_string());
    assert_eq!(layer("parent"), classic.chain(&["base"]).to_string());
    assert_eq!(layer("size"), "4");
    let id = layer("cache-id");
    assert!(id.len() == 64 && id.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase()));
    assert_eq!(note("parent"), Ok(base.to_string()));
    assert_eq!(note("lastUpdated").as_deref(), Ok("2024-01-02T03:04:05.000000006Z"));
    let names = format!(
        r#"{{"Repositories":{{"base":{{"base:1":"{base}"}},"localhost:5000/a/top":{{"localhost:5000/a/top:2":"{top}"}},"top":{{"top:1":"{top}"}}}}}}"#
    );
    assert_eq!(text(&*root.tree, NAMES), Ok(names));
    let shown = &root.seen[&top.to_string()];
    assert_eq!(shown.arrived.seconds, ARRIVED);
    // `shell*900` and the link's two bytes, each file once.
    assert_eq!(shown.layers.iter().map(|l| l.0.as_str()).collect::<Vec<_>>(), ["4502", "4"]);
    let base_files = shown.layers[0].1.join("\n");
    assert!(base_files.contains("old Char 0 ") && base_files.contains("overlay.opaque"));
    assert!(base_files.contains("user.note"), "what is not overlayfs' own is kept");
    for private in ["impure", "origin"] {
        assert!(!base_files.contains(private), "{private} means nothing elsewhere");
    }
}

/// What is compared of an inventory: all that a classic store keeps.
fn kept(inventory: &Inventory) -> Vec<String> {
    let images = inventory.images.iter().map(|image| {
        let layers = image.shown().map(|shown| shown.chain());
        let (parent, tagged, arrived) = (image.parent, image.last_tagged, image.arrived);
        let mut names: Vec<_> = image.tags().map(ToString::to_string).collect();
        names.sort_unstable();
        format!("{} {names:?} {parent:?} {tagged:?} {arrived:?} {layers:?}", image.id)
    });
    images.collect()
}

/// A root that a real daemon made comes out as it was: every image with its names, parent and times,
/// every layer with its tar and its files.
#[test]
fn the_recorded_root_is_written_again() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roots/classic-28.tar.zst");
    let recorded: Arc<dyn Tree> = Arc::new(TarTree::open(&fixture).expect("the recorded root"));
    let source = Overlay2::open(Arc::clone(&recorded), "overlay2").expect("a sound store");
    let tree = Arc::new(Memory::new());
    let outcome = Migration { jobs: 2, ..Migration::all() }.to_classic(&source, &sink(&tree));
    let outcome = outcome.expect("a sound store");
    assert_eq!((outcome.failed.len(), outcome.findings.len()), (0, 0), "{outcome:?}");
    let seen = look(&tree).expect("a sound target");
    assert_eq!((seen.len(), leftovers(&*tree)), (12, Vec::new()));
    let target = open(&tree);
    assert_eq!(kept(target.inventory()), kept(source.inventory()));
    for (chain_id, layer) in &target.inventory().layers {
        let record = format!("{LAYERS}/{}/tar-split.json.gz", chain_id.hex());
        let [old, new] = [&*recorded, &*tree as &dyn Tree].map(|tree| unpacked(tree, &record));
        assert!(old == new, "the record of layer {}", layer.diff_id);
        let files = |store: &Overlay2| -> Vec<String> {
            let content = store.layer(*chain_id).expect("it is listed");
            let (tree, folder): (&dyn Tree, TreePathBuf) = content.files().expect("a folder");
            let lines = listing(tree, folder.as_path());
            lines.into_iter().map(|line| without_private(&line)).collect()
        };
        assert_eq!(files(&target), files(&source), "layer {}", layer.diff_id);
    }
}

fn unpacked(tree: &dyn Tree, file: &str) -> Vec<u8> {
    let bytes = tranship::tree::read(tree, path(file)).expect("it is there");
    let mut text = Vec::new();
    let mut gzip = flate2::read::GzDecoder::new(bytes.as_slice());
    std::io::Read::read_to_end(&mut gzip, &mut text).expect("gzip");
    text
}

/// Leaves out of a line what the kernel noted for itself.
fn without_private(line: &str) -> String {
    let (file, xattrs) = line.split_once('[').unwrap_or((line, ""));
    let private = ["impure", "origin", "uuid"].map(|name| format!("trusted.overlay.{name}"));
    let kept = xattrs.split("(\"").filter(|one| !private.iter().any(|p| one.starts_with(p)));
    let kept: Vec<_> = kept.map(|one| one.trim_end_matches([',', ' ', ']'])).collect();
    format!("{file}{}", kept.join(" ").trim_end())
}
