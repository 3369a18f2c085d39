//! Images of a containerd root whose blobs are gone: they stay, or become new images.

use std::sync::Arc;

use tranship::digest::{BlobId, ChainId, DiffId, Digest};
use tranship::op::transfer::{self, Options, Rebuilt};
use tranship::store::{Compression, Source, Target};
use tranship::tree::{Memory, Sink, path};

use crate::support::daemon::edit;
use crate::support::seen::listing;
use crate::support::{Migration, open};
use crate::taken_out::{containerd, moved, tar};

const META: &str = "io.containerd.metadata.v1.bolt/meta.db";

/// Returns a root that has lost the blob of every layer called `lost`, a position in `app`.
fn without(lost: &[usize]) -> Arc<Memory> {
    let (root, _) = moved(Compression::Gzip(6));
    let source = containerd(root.clone());
    let layers = image(&source, "app:1").shown().expect("it can run").layers.clone();
    for at in lost {
        let blob = source.inventory().blobs[&layers[*at]].blob;
        let file = format!("io.containerd.content.v1.content/blobs/sha256/{}", blob.hex());
        root.remove(path(&file)).expect("below the root");
        edit(&root, META, |meta| {
            let blobs = meta.path_mut(&[b"v1", b"moby", b"content", b"blob"]);
            blobs.remove(blob.to_string().as_bytes()).expect("it has a record");
        });
    }
    root
}

fn image<'a>(source: &'a dyn Source, name: &str) -> &'a tranship::model::Image {
    let mut images = source.inventory().images.iter();
    images.find(|image| image.names.iter().any(|n| n.familiar() == name)).expect(name)
}

fn options() -> Options {
    Options { rebuild_missing: true, ..Migration::all().options() }
}

fn rebuilt(root: &Arc<Memory>, target: &dyn Target) -> Rebuilt {
    Rebuilt::new(Box::new(containerd(root.clone())), target, &options()).expect("a sound root")
}

#[test]
fn without_the_option_the_image_stays_and_is_named() {
    let (source, sink) = (containerd(without(&[1])), Arc::new(Memory::new()) as Arc<dyn Sink>);
    let target = Migration::all().classic(&sink).expect("an empty root");
    let plan = Migration::all().plan(&source, &target).expect("a sound root");
    let stays: Vec<_> = plan.stays.iter().filter(|s| s.why.contains("--rebuild-missing")).collect();
    assert_eq!(stays.len(), 2, "{stays:?}");
    assert_eq!(plan.images.len(), 1);
}

#[test]
fn a_new_image_has_the_files_and_the_config_of_the_old() {
    for lost in [&[1][..], &[0], &[0, 1]] {
        let root = without(lost);
        let old = containerd(root.clone());
        let tree = Arc::new(Memory::new());
        let sink: Arc<dyn Sink> = tree.clone();
        let target = Migration::all().classic(&sink).expect("an empty root");
        let source = rebuilt(&root, &target);
        let plan =
            transfer::plan(&source, &target, &Default::default(), &options()).expect("sound");
        let (was, new) = (image(&old, "app:1"), image(&source, "app:1"));
        let (was_shown, shown) = (was.shown().expect("runs"), new.shown().expect("runs"));
        let (from, to) =
            (was_shown.config.as_ref().expect("one").0, shown.config.as_ref().expect("one").0);
        let told = plan.losses.iter().find(|loss| loss.image == "app:1").expect("it is told");
        for part in [was.id.to_string(), from.to_string(), to.to_string()] {
            assert!(told.what.contains(&part), "{}", told.what);
        }
        let outcome = transfer::apply(&plan, &source, &target, 1, &()).expect("it can be written");
        assert!(outcome.failed.is_empty(), "{:?}", outcome.findings);
        assert!(outcome.moved.iter().any(|m| (m.id, m.becomes) == (was.id, to.0)));
        let classic = open(&tree);
        let chains = shown.chain().into_iter().zip(was_shown.chain());
        for (diff_id, (chain_id, before)) in shown.layers.iter().zip(chains) {
            let bytes = tar(&classic, chain_id).expect("a sound layer");
            assert_eq!(DiffId(Digest::of(&bytes)), *diff_id);
            assert_eq!(files(&classic, chain_id), files(&old, before), "{lost:?}");
        }
        let config = |source: &dyn Source, id: Digest| {
            String::from_utf8(source.document(BlobId(id)).expect("it is there").bytes)
                .expect("JSON")
        };
        let mut wanted = config(&old, from.0);
        for (before, after) in was_shown.layers.iter().zip(&shown.layers) {
            wanted = wanted.replace(&before.to_string(), &after.to_string());
        }
        assert_eq!(config(&classic, to.0), wanted);
    }
}

#[test]
fn an_image_with_all_its_blobs_is_not_touched() {
    let root = without(&[1]);
    let (old, sink) = (containerd(root.clone()), Arc::new(Memory::new()) as Arc<dyn Sink>);
    let target = Migration::all().classic(&sink).expect("an empty root");
    let source = rebuilt(&root, &target);
    let (was, new) = (image(&old, "base:1"), image(&source, "base:1"));
    assert_eq!(was.shown().map(|s| &s.layers), new.shown().map(|s| &s.layers));
    assert!(source.made_anew(new).is_none());
    assert!(source.contents(new).expect("sound").is_some());
}

fn files(source: &dyn Source, chain_id: ChainId) -> Vec<String> {
    let content = source.layer(chain_id).expect("it is there");
    let (tree, folder) = content.files().expect("it is unpacked");
    listing(tree, folder.as_path())
}
