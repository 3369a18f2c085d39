//! Layers unpacked from their tars, judged by what the daemons unpacked from the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;
use std::path::Path;
use std::sync::Arc;

use tranship::digest::{ChainId, Digest};
use tranship::format::oci::Platform;
use tranship::format::overlay::Mark;
use tranship::format::tar::{Member, Watch, watch};
use tranship::store::Source;
use tranship::store::containerd::{Containerd, NAMESPACE, SNAPSHOTTER};
use tranship::store::overlay2::Overlay2;
use tranship::store::unpack::{Rules, Same, Unpacker, folder_below};
use tranship::tree::{
    Kind, Memory, Metadata, Sub, TarTree, Tree, TreePath, TreePathBuf, path, read, walk,
};

use crate::support::nothing_is;

fn recorded(name: &str) -> Arc<dyn Tree> {
    let fixture = format!("fixtures/roots/{name}.tar.zst");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(fixture);
    Arc::new(TarTree::open(&path).expect("the recorded root"))
}

/// What a tar says of its members.
#[derive(Default)]
struct Named {
    paths: BTreeSet<Vec<u8>>,
    /// Not all times are whole seconds.
    has_parts: bool,
    has_twice: bool,
    /// Bytes of all files.
    size: u64,
}

impl Watch for Named {
    fn member(&mut self, member: &Member<'_>) -> std::io::Result<()> {
        let plain = tranship::tree::clean(&member.path).expect("plain names");
        self.has_twice |= !self.paths.insert(plain.as_path().as_bytes().to_vec());
        self.has_parts |= member.mtime.1 > 0;
        self.size += member.size;
        Ok(())
    }

    fn data(&mut self, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }

    fn end(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Returns a line for each thing in a layer: all that is the daemon's doing and not the clock's.
fn lines(tree: &dyn Tree, root: TreePath<'_>, named: &Named) -> Vec<String> {
    let mut lines = Vec::new();
    let mut first: BTreeMap<u64, TreePathBuf> = BTreeMap::new();
    let mut add = |at: TreePath<'_>, found: &Metadata| {
        let below = at.below(root).expect("it was found there");
        let content = match found.kind {
            Kind::File => Digest::of(&read(tree, at).expect("a file")).short(),
            Kind::Symlink => format!("{:?}", tree.read_link(at).expect("a link")),
            _ => format!("{:?}", found.rdev),
        };
        let mut xattrs = tree.xattrs(at).expect("it is there");
        xattrs.retain(|key, _| !Mark::of(key).is_some_and(|(_, mark)| mark.is_private()));
        let is_said = named.paths.contains(below.as_bytes()) && !found.is_whiteout();
        let is_said = is_said && !below.is_root();
        let nanos = if named.has_parts { found.mtime.nanos } else { 0 };
        let time = is_said.then_some((found.mtime.seconds, nanos));
        let link = first.entry(found.ino).or_insert_with(|| below.to_owned()).clone();
        let size = if found.kind == Kind::Dir { 0 } else { found.size };
        lines.push(format!(
            "{below:?} {:?} {:o} {}:{} {size} {time:?} {link:?} {content} {xattrs:?}",
            found.kind, found.mode, found.uid, found.gid
        ));
    };
    add(root, &tree.stat(root).expect("the layer's folder"));
    walk(tree, root, &mut |path, entry| {
        add(path, &entry.metadata);
        Ok(true)
    })
    .expect("a tree that can be read");
    lines
}

struct Layer {
    chain_id: ChainId,
    parent: Option<ChainId>,
    size: u64,
}

fn layers(source: &dyn Source) -> Vec<Layer> {
    let all = source.inventory().layers.iter();
    all.map(|(chain_id, layer)| Layer {
        chain_id: *chain_id,
        parent: layer.parent,
        size: layer.size,
    })
    .collect()
}

fn tar(source: &dyn Source, chain_id: ChainId, seen_by: &mut dyn Watch) {
    let content = source.layer(chain_id).expect("a layer of the store");
    let mut tar = content.tar().expect("a layer of the store");
    watch(&mut tar as &mut dyn BufRead, seen_by)
        .unwrap_or_else(|error| panic!("{chain_id}: {error}"));
}

/// Unpacks the layer and returns what differs from the recorded one, with the bytes that were counted
/// and that the tar says.
fn judge(source: &dyn Source, layer: &Layer, rules: Rules<'_>) -> (Vec<String>, [u64; 2]) {
    let content = source.layer(layer.chain_id).expect("a layer of the store");
    let (tree, folder) = content.files().expect("it is unpacked");
    let (memory, mut named) = (Memory::new(), Named::default());
    let mut unpacker = Unpacker::new(&memory, path("layer"), rules).expect("an empty tree");
    tar(source, layer.chain_id, &mut (&mut named, &mut unpacker));
    let done = unpacker.finish().expect("memory takes all");
    let wanted = lines(tree, folder.as_path(), &named);
    let found = lines(&memory, path("layer"), &named);
    let mut wrong = Vec::new();
    for (has, all, others) in [("lacks", &wanted, &found), ("has", &found, &wanted)] {
        let only = all.iter().filter(|line| !others.contains(line));
        wrong.extend(only.map(|line| format!("{} {has} {line}", layer.chain_id)));
    }
    let mut same = Same::new(tree, folder.as_path(), rules);
    tar(source, layer.chain_id, &mut same);
    if same.finish().expect("a tree that can be read") == named.has_twice {
        wrong.push(format!("{} is said to differ, or not to", layer.chain_id));
    }
    (wrong, [done.apparent, named.size])
}

#[test]
fn layers_of_the_classic_store_are_what_dockerd_made_of_them() {
    let root = recorded("classic-28");
    let source = Overlay2::open(root, "overlay2").expect("the recorded root");
    let layers = layers(&source);
    assert!(layers.len() >= 10, "{} layers", layers.len());
    let mut wrong = Vec::new();
    for layer in &layers {
        let (differs, sizes) = judge(&source, layer, Rules::docker());
        wrong.extend(differs);
        // BuildKit counts what the tar says.
        if !sizes.contains(&layer.size) {
            wrong.push(format!("{}: {sizes:?}, dockerd counts {}", layer.chain_id, layer.size));
        }
    }
    nothing_is(&wrong);
}

#[test]
fn layers_of_the_containerd_store_are_what_containerd_made_of_them() {
    let root: Arc<dyn Tree> =
        Arc::new(Sub::new(recorded("containerd-28"), path("containerd/daemon")));
    let source = Containerd::open(root, NAMESPACE, SNAPSHOTTER, &Platform::default())
        .expect("the recorded root");
    let layers = layers(&source);
    assert!(layers.len() >= 10, "{} layers", layers.len());
    let parents: BTreeMap<_, _> =
        layers.iter().map(|layer| (layer.chain_id, layer.parent)).collect();
    let mut wrong = Vec::new();
    for layer in &layers {
        let mut contents = Vec::new();
        let mut next = layer.parent;
        while let Some(chain_id) = next {
            contents.push(source.layer(chain_id).expect("a layer of the store"));
            next = parents[&chain_id];
        }
        let below: Vec<_> = contents.iter().filter_map(|content| content.files()).collect();
        let below = |folder: TreePath<'_>| folder_below(below.iter().cloned().map(Ok), folder);
        let rules = match layer.parent {
            Some(_) => Rules::containerd(&below),
            None => Rules::containerd_base(),
        };
        wrong.extend(judge(&source, layer, rules).0);
        let content = source.layer(layer.chain_id).expect("a layer of the store");
        let differences = content.compare(layer.size, &()).expect("a sound tar");
        let named = differences.named.iter().map(|one| format!("{} {one}", layer.chain_id));
        wrong.extend(named.chain(differences.incomplete));
    }
    nothing_is(&wrong);
}
