//! What comes out of a layout or of the containerd store, cut short on its way into either store.

use std::sync::Arc;

use tranship::store::Source;
use tranship::store::containerd::{Containerd, NAMESPACE, SNAPSHOTTER};
use tranship::tree::{Memory, Sink, TreePath};

use crate::classic::seen as classic;
use crate::support::carried::{
    CONFIG, INDEX, LAYER, LayoutOf, MANIFEST, gzip, host, index, manifest, read, source, with,
};
use crate::support::classic::Classic;
use crate::support::crashes::old_or_new;
use crate::support::scene::{BEFORE, STORE, before, target_of};
use crate::support::seen::{self, listing};
use crate::support::{Migration, open};

/// Returns a layout with two plain images and one for two platforms.
fn layout() -> Arc<Memory> {
    let layout = LayoutOf::of(STORE);
    let named = |one: &str, name: &str| {
        with(one, &format!(r#""annotations":{{"io.containerd.image.name":"{name}"}}"#))
    };
    let base = layout.plain("base", &["base"]);
    let app = layout.image("app", &["base", "code"], &format!("{LAYER}+gzip"), gzip);
    let other = {
        let config = String::from_utf8(layout.classic.config_bytes("full")).expect("text");
        let config = layout.blob(CONFIG, config.replace("amd64", "arm64").as_bytes());
        let tars = ["base", "data", "code"].map(|diff| layout.classic.tar(diff));
        let layers = tars.map(|tar| layout.blob(LAYER, &tar));
        layout.blob(MANIFEST, &manifest(&config, &layers))
    };
    let platform = |one: &str, architecture: &str| {
        with(one, &format!(r#""platform":{{"os":"linux","architecture":"{architecture}"}}"#))
    };
    let both = index(&[platform(&base, "amd64"), platform(&other, "arm64")]);
    let both = layout.blob(INDEX, &both);
    let images =
        [(app, "app:1"), (both, "both:1"), (base, "base:1")].map(|(one, name)| named(&one, name));
    layout.end(&images)
}

fn into_containerd(from: &(dyn Source + Sync), base: Memory) {
    let run = |sink: &Arc<dyn Sink>| Migration::all().run(from, sink).map(drop);
    let look = |tree: &Arc<Memory>| seen::look(&**tree);
    let left = |tree: &Memory| seen::leftovers(tree);
    old_or_new(base, &run, &look, &left);
}

fn into_classic(from: &(dyn Source + Sync), base: Memory) {
    let run = |sink: &Arc<dyn Sink>| Migration::all().to_classic(from, sink).map(drop);
    let left = |tree: &Memory| classic::leftovers(tree);
    old_or_new(base, &run, &classic::look, &left);
}

/// Returns a classic root that holds other images.
fn classic_before() -> Memory {
    let (source, tree) = (Arc::new(Classic::of(BEFORE).tree()), Arc::new(Memory::new()));
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&tree);
    Migration::default().to_classic(&open(&source), &sink).expect("a sound store");
    (*tree).clone()
}

#[test]
fn an_import_into_either_store() {
    let layout = layout();
    let host = read(&layout).expect("a layout");
    let was = listing(&*layout, TreePath::ROOT);
    into_containerd(source(&host), Memory::new());
    into_containerd(source(&host), before());
    into_classic(source(&host), Memory::new());
    into_classic(source(&host), classic_before());
    assert_eq!(listing(&*layout, TreePath::ROOT), was, "the source is as it was");
}

#[test]
fn a_move_back_from_the_containerd_store() {
    let root = Arc::new(target_of(STORE, Memory::new()));
    let was = listing(&*root, TreePath::ROOT);
    let tree = Arc::<Memory>::clone(&root);
    let store = Containerd::open(tree, NAMESPACE, SNAPSHOTTER, &host()).expect("just written");
    into_classic(&store, Memory::new());
    into_classic(&store, classic_before());
    assert_eq!(listing(&*root, TreePath::ROOT), was, "the source is as it was");
}
