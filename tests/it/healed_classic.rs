//! Layers of a classic store that lost their tars' records, or files, and have them back from elsewhere.

use std::io::Read;
use std::sync::{Arc, OnceLock};

use tranship::digest::ChainId;
use tranship::format::oci::Platform;
use tranship::op::aside::{self, About, End};
use tranship::store::Source;
use tranship::store::mend::{Help, Mending};
use tranship::store::overlay2::{self, Overlay2};
use tranship::tree::{
    Attributes, Copying, Kind, Memory, Sink, Snapshots, TarTree, Tree, TreePathBuf, copy, path,
    read, walk, write,
};

use crate::support::NOW;
use crate::support::seen::listing;

fn recorded() -> &'static Memory {
    static RECORDED: OnceLock<Memory> = OnceLock::new();
    RECORDED.get_or_init(|| {
        let file = format!("{}/fixtures/roots/classic-28.tar.zst", env!("CARGO_MANIFEST_DIR"));
        let tar = TarTree::open(file.as_ref()).expect("the recorded root");
        let root = Memory::new();
        let copying =
            Copying { snapshots: Snapshots::Copy, skip: &|_| false, skip_xattr: &|_| false };
        for name in ["image", "overlay2"] {
            copy(&tar, path(name), &root, path(name), &copying).expect("memory");
        }
        root
    })
}

fn damaged() -> Arc<Memory> {
    Arc::new(recorded().clone())
}

fn open(tree: &Arc<Memory>) -> Arc<Overlay2> {
    let tree: Arc<dyn Tree> = Arc::<Memory>::clone(tree);
    Arc::new(Overlay2::open(tree, "overlay2").expect("a store"))
}

fn plan(tree: &Arc<Memory>, others: Vec<Arc<dyn Source>>, content: bool) -> Mending {
    let own: Arc<dyn Source> = open(tree);
    let tree: Arc<dyn Tree> = Arc::<Memory>::clone(tree);
    let help = Help {
        others,
        containers: &[],
        root: &Memory::new(),
        content,
        platform: &Platform::default(),
        now: NOW,
    };
    overlay2::heals(&tree, "overlay2", &own, &help).expect("folders that can be read")
}

fn heal(tree: &Arc<Memory>, content: bool) -> Vec<&'static str> {
    let mending = plan(tree, vec![open(&damaged())], content);
    assert_eq!(mending.unmendable, []);
    let about = About { verb: "repair", at: NOW, number: 1, keep: true };
    let ends = aside::apply(&**tree, &about, &mending.mends, &()).expect("memory");
    assert!(ends.iter().all(|end| matches!(end, End::Done)), "{ends:?}");
    let again = plan(tree, Vec::new(), true);
    assert!(again.mends.is_empty() && again.unmendable.is_empty(), "{:?}", again.unmendable);
    mending.mends.iter().map(|mend| mend.code).collect()
}

fn record(chain: &ChainId) -> String {
    format!("image/overlay2/layerdb/sha256/{}/tar-split.json.gz", chain.hex())
}

fn unpacked(tree: &dyn Tree, file: &str) -> Vec<u8> {
    let bytes = read(tree, path(file)).expect("it is there");
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut text).expect("gzip");
    text
}

#[test]
fn a_sound_store_needs_no_healing() {
    let mending = plan(&damaged(), vec![open(&damaged())], true);
    assert!(mending.mends.is_empty() && mending.unmendable.is_empty());
}

#[test]
fn records_of_tars_are_made_again_as_they_were() {
    let tree = damaged();
    let chains: Vec<_> = open(&tree).inventory().layers.keys().copied().collect();
    assert!(chains.len() >= 10);
    for (n, chain) in chains.iter().enumerate() {
        let file = record(chain);
        tree.remove(path(&file)).expect("it is there");
        if n % 2 == 0 {
            write(&*tree, path(&file), 0o644, b"").expect("a free name");
        }
    }
    let alone = plan(&tree, Vec::new(), false);
    assert!(alone.mends.is_empty(), "with no tar anywhere nothing can be done");
    assert!(alone.unmendable.iter().all(|one| one.missing.contains("--from")));
    assert_eq!(alone.unmendable.len(), chains.len());
    assert_eq!(heal(&tree, false), vec!["tar-split-missing"; chains.len()]);
    for chain in &chains {
        let file = record(chain);
        assert!(unpacked(&*tree, &file) == unpacked(recorded(), &file), "{file}");
    }
}

#[test]
fn files_of_no_bytes_come_back() {
    let tree = damaged();
    let own = open(&tree);
    let mut victim: Option<(TreePathBuf, Attributes, ChainId)> = None;
    for chain in own.inventory().layers.keys() {
        let content = own.layer(*chain).expect("a layer");
        let Some((files, folder)) = content.files() else { continue };
        walk(files, folder.as_path(), &mut |at, entry| {
            let found = entry.metadata;
            if found.kind == Kind::File && found.size > 0 && found.nlink == 1 {
                let attributes = Attributes {
                    mode: found.mode,
                    uid: found.uid,
                    gid: found.gid,
                    mtime: Some(found.mtime),
                    xattrs: files.xattrs(at)?,
                };
                victim = Some((at.to_owned(), attributes, *chain));
            }
            Ok(true)
        })
        .expect("memory");
    }
    let (file, attributes, chain) = victim.expect("a file");
    tree.remove(file.as_path()).expect("it is there");
    tree.create(file.as_path(), &attributes).expect("a free name").finish().expect("no bytes");
    assert!(plan(&tree, Vec::new(), false).mends.is_empty(), "it takes reading");
    assert_eq!(heal(&tree, true), ["layer-damaged"]);
    assert_eq!(read(&*tree, file.as_path()).ok(), read(recorded(), file.as_path()).ok());
    let folder = own.layer(chain).expect("a layer").files().expect("a folder").1;
    let kept = |tree: &dyn Tree| -> Vec<String> {
        let lines = listing(tree, folder.as_path()).into_iter();
        // The folder itself is not in the tar; overlayfs notes things for itself.
        lines.skip(1).map(|line| line.split(" [").next().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(kept(&*tree), kept(recorded()));
}
