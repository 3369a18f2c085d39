//! Images made of containers and of other images, and a layout that is added to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;
use tranship::digest::Digest;
use tranship::error::{Error, Place, Result};
use tranship::model::StoreKind;
use tranship::op::commit::{Commit, Committed};
use tranship::op::migrate::Indexed;
use tranship::op::transfer::{self, OnConflict, Options};
use tranship::store::{Compression, Form, Source, Target, Writing, open};
use tranship::tree::{Memory, Sink, Snapshots, Sub, SubSink, Tree, TreePath, path, read};

use crate::moves::{self, INNER};
use crate::support::carried::{
    CONFIG, LAYER, LayoutOf, MANIFEST, host, manifest, read_layer, source, survey_of, with,
};
use crate::support::classic::Classic;
use crate::support::crashes::{Crashes, old_or_new};
use crate::support::scene::{BEFORE, STORE};
use crate::support::seen::listing;
use crate::support::{Migration, NOW, open as open_classic, tree_of};

const WRITING: Writing = Writing {
    compression: Compression::None,
    snapshots: Snapshots::Auto,
    form: Form::Docker,
    now: NOW,
};

/// Puts the images of `source` into `target`.
fn put(source: &dyn Source, target: &dyn Target) -> Result<()> {
    let options = Options { on_conflict: OnConflict::Replace, ..Migration::all().options() };
    let plan = transfer::plan(source, target, &HashMap::new(), &options)?;
    transfer::apply(&plan, source, target, 1, &()).map(drop)
}

const EARLY_NAME: &str = "name-without-image";

/// Each image with its names, in each store that is shown; every layer of them is read.
type Shown = BTreeMap<StoreKind, BTreeMap<String, BTreeSet<String>>>;

fn shown(tree: &Arc<Memory>) -> std::result::Result<Shown, String> {
    let host = survey_of(Arc::<Memory>::clone(tree)).map_err(|error| error.to_string())?;
    let mut shown = Shown::new();
    for store in host.roots.iter().flat_map(|root| &root.stores) {
        let source = store.here.source.as_deref().ok_or("a store that cannot be read")?;
        // A name may come before its image, and shows nowhere until that is there.
        let mut findings = source.inventory().findings.iter();
        if let Some(finding) = findings.find(|finding| finding.code != EARLY_NAME) {
            return Err(format!("{}: {}", finding.place, finding.what));
        }
        let images = shown.entry(store.here.kind).or_default();
        for image in &source.inventory().images {
            let parts = image.manifests.iter().filter(|part| part.present);
            for chain_id in parts.flat_map(|part| part.chain()) {
                read_layer(source, chain_id).map_err(|error| error.to_string())?;
            }
            let names = image.names.iter().map(|name| name.familiar()).collect();
            images.insert(image.id.to_string(), names);
        }
    }
    Ok(shown)
}

fn ours(tree: &Memory) -> Vec<String> {
    let is_ours = |line: &String| line.contains("tranship") || line.contains("write-set");
    let is_kept = |line: &String| line.starts_with("tranship/containers.json");
    let all = listing(tree, TreePath::ROOT).into_iter();
    all.filter(|line| is_ours(line) && !is_kept(line) && !line.starts_with("tranship ")).collect()
}

/// Makes an image of the container `web`.
fn committed(tree: &Arc<dyn Tree>, kind: StoreKind) -> Result<Committed> {
    let store = moves::source(tree, kind)?;
    let container = store.inventory().containers.iter().find(|one| one.name == "web").cloned();
    let container = container.ok_or_else(|| Error::missing(Place::default(), "no web"))?;
    let inner: Arc<dyn Tree> = match kind {
        StoreKind::Containerd => Arc::new(Sub::new(Arc::clone(tree), path(INNER))),
        _ => Arc::clone(tree),
    };
    let commit = Commit { name: "new:1".into(), container: "web".into(), ..Commit::default() };
    Committed::new(store, &inner, &container, &commit, (&host(), NOW))
}

fn added_to(kind: StoreKind, sink: &Arc<dyn Sink>) -> Result<Box<dyn Target>> {
    let sink: Arc<dyn Sink> = match kind {
        StoreKind::Containerd => Arc::new(SubSink::make(Arc::clone(sink), path(INNER), 0o711)?),
        _ => Arc::clone(sink),
    };
    open::addition(kind, sink, &host(), WRITING)
}

#[test]
fn a_container_becomes_an_image_of_either_store() {
    let classic = moves::root();
    let both = moves::moved(&classic, StoreKind::Classic).0;
    for (base, from, to) in [
        (&classic, StoreKind::Classic, StoreKind::Classic),
        (&both, StoreKind::Containerd, StoreKind::Containerd),
        (&both, StoreKind::Containerd, StoreKind::Classic),
    ] {
        let containers = moves::look(base).expect("sound");
        let run =
            |sink: &Arc<dyn Sink>| put(&committed(&tree_of(sink), from)?, &*added_to(to, sink)?);
        let look = |tree: &Arc<Memory>| match moves::look(tree)? {
            found if found == containers => shown(tree),
            _ => Err("a container is another".to_owned()),
        };
        old_or_new(base.clone(), &run, &look, &ours);
    }
}

/// A layout that is not finished is none, and is not gone on with: it is removed and begun anew.
#[test]
fn a_container_becomes_a_layout() {
    let root: Arc<dyn Tree> = Arc::new(moves::root());
    let was = listing(&*root, TreePath::ROOT);
    let run = |sink: &Arc<dyn Sink>| {
        if sink.tree().stat(path("index.json")).is_ok() {
            return Ok(());
        }
        // What refers to blobs goes before them, and for good.
        for name in sink.tree().names(TreePath::ROOT)?.into_iter().rev() {
            sink.remove(TreePath::new(&name).expect("a name"))?;
            sink.sync()?;
        }
        let target = open::target(StoreKind::Layout, Arc::clone(sink), &host(), WRITING)?;
        put(&committed(&root, StoreKind::Classic)?, &*target)
    };
    in_layout(Memory::new(), &run);
    assert_eq!(listing(&*root, TreePath::ROOT), was, "the source is as it was");
}

#[test]
fn images_are_added_to_a_layout() {
    let base = Arc::new(Memory::new());
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&base);
    let target = open::target(StoreKind::Layout, sink, &host(), WRITING).expect("it is empty");
    put(&open_classic(&Arc::new(Classic::of(BEFORE).tree())), &*target).expect("a sound store");
    let store = open_classic(&Arc::new(Classic::of(STORE).tree()));
    let run = |sink: &Arc<dyn Sink>| put(&store, &*added_to(StoreKind::Layout, sink)?);
    in_layout((*base).clone(), &run);
}

#[test]
fn images_become_one_for_two_platforms() {
    let layout = LayoutOf::of(STORE);
    let name = |one: &str, name: &str| {
        with(one, &format!(r#""annotations":{{"io.containerd.image.name":"{name}"}}"#))
    };
    let one = layout.plain("app", &["base", "code"]);
    let config = String::from_utf8(layout.classic.config_bytes("full")).expect("text");
    let config = layout.blob(CONFIG, config.replace("amd64", "arm64").as_bytes());
    let tars = ["base", "data", "code"].map(|diff| layout.classic.tar(diff));
    let tars = tars.map(|tar| layout.blob(LAYER, &tar));
    let other = layout.blob(MANIFEST, &manifest(&config, &tars));
    let layout = layout.end(&[name(&one, "app:amd64"), name(&other, "app:arm64")]);
    let known = survey_of(layout).expect("a layout");
    let both = source(&known);

    let base = Arc::new(Memory::new());
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&base);
    let target = open::target(StoreKind::Layout, sink, &host(), WRITING).expect("it is empty");
    put(both, &*target).expect("a sound layout");
    let indexed = |kind: StoreKind, sink: &Arc<dyn Sink>| {
        let mut host = survey_of(tree_of(sink))?;
        let store = host.roots[0].stores.iter_mut().find(|store| store.here.kind == kind);
        let store = store.and_then(|store| store.here.source.take()).expect("a store");
        let images = ["app:amd64", "app:arm64"].map(str::to_owned);
        put(&Indexed::new(store, "both:1", &images)?, &*added_to(kind, sink)?)
    };
    in_layout((*base).clone(), &|sink| indexed(StoreKind::Layout, sink));

    let base = Arc::new(Memory::new());
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&base);
    put(both, &*added_to(StoreKind::Containerd, &sink).expect("it is empty")).expect("sound");
    let run = |sink: &Arc<dyn Sink>| indexed(StoreKind::Containerd, sink);
    old_or_new((*base).clone(), &run, &shown, &ours);
}

/// Cuts a run short that makes or adds to a layout. Two files cannot be replaced at once: what Docker before
/// 25 loads may be new already while the index is still the old one.
fn in_layout(base: Memory, run: &(dyn Fn(&Arc<dyn Sink>) -> Result<()> + Sync)) {
    let ended = Arc::new(base.clone());
    run(&(Arc::clone(&ended) as Arc<dyn Sink>)).expect("nothing fails");
    let look = |tree: &Arc<Memory>| -> std::result::Result<_, String> {
        let has_index = tree.stat(path("index.json")).is_ok();
        let shown = if has_index { shown(tree)? } else { Shown::new() };
        Ok((shown, saved(tree)?))
    };
    let (old, new) = (look(&Arc::new(base.clone())).expect("sound"), look(&ended).expect("sound"));
    let whole = |tree: &Arc<Memory>| {
        let (shown, saved) = look(tree)?;
        match [&old.0, &new.0].contains(&&shown) && [&old.1, &new.1].contains(&&saved) {
            true => Ok(()),
            false => Err(format!("neither old nor new: {shown:?}, {saved:?}")),
        }
    };
    let done = |tree: &Arc<Memory>| match (look(tree)?, ours(tree).as_slice()) {
        (seen, []) if seen == new => Ok(()),
        (seen, left) => Err(format!("{left:?} is left of {seen:?}")),
    };
    Crashes { base, run, whole: &whole, done: &done }.everywhere();
}

/// What Docker before 25 loads of a layout; all blobs that it names are there and are what they are called.
fn saved(tree: &Memory) -> std::result::Result<Vec<Value>, String> {
    let Ok(bytes) = read(tree, path("manifest.json")) else { return Ok(Vec::new()) };
    let saved: Vec<Value> = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    for image in &saved {
        let layers = image["Layers"].as_array().into_iter().flatten();
        for blob in layers.chain([&image["Config"]]) {
            let name = blob.as_str().ok_or("no path")?;
            let bytes = read(tree, path(name)).map_err(|error| error.to_string())?;
            if !name.ends_with(&Digest::of(&bytes).hex()) {
                return Err(format!("{name} has other bytes"));
            }
        }
    }
    Ok(saved)
}
