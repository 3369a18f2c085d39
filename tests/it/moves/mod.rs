//! Containers between the stores of one data root.

mod crash;
mod target_fails;
mod undone;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use tranship::digest::Digest;
use tranship::error::Result;
use tranship::format::bbolt::{self, Db, Options};
use tranship::format::containerd::key;
use tranship::model::StoreKind;
use tranship::op::transfer::{self, Containers, Outcome, Plan};
use tranship::store::containerd::{Containerd, NAMESPACE, SNAPSHOTTER};
use tranship::store::containers::{End, read_all, undo};
use tranship::store::{Source, Target};
use tranship::tree::{Attributes, Memory, Sink, Special, Sub, SubSink, Tree, path, read, write};

use crate::support::Migration;
use crate::support::carried::host;
use crate::support::classic::Classic;
use crate::support::seen::{BACKEND, FOLDERS, META, bolt, children, id, listing};

const STORE: &str = "
diff base
  dir  bin
  file bin/sh shell*30
diff code
  file app run
image base = base
  name base:1
image app = base + code
  name app:1
";

pub(crate) const INNER: &str = "containerd/daemon";

/// What of the containers is compared: the files of upper and init folder.
pub(crate) type Folders = BTreeMap<String, [Vec<String>; 2]>;

pub(crate) fn container_id(name: &str) -> String {
    Digest::of(name.as_bytes()).hex()
}

fn make_dirs(tree: &Memory, dir: &str) {
    let mut at = String::new();
    for name in dir.split('/') {
        at = if at.is_empty() { name.to_owned() } else { format!("{at}/{name}") };
        tree.make_dir(path(&at), 0o755).expect("a folder");
    }
}

pub(crate) fn put(tree: &Memory, file: &str, bytes: &[u8]) {
    make_dirs(tree, file.rsplit_once('/').expect("a folder").0);
    tree.remove(path(file)).expect("below the root");
    write(tree, path(file), 0o644, bytes).expect("a free name");
}

/// Adds a container as dockerd keeps one; `rest` is more of its config.
pub(crate) fn add(root: &Memory, name: &str, image: &str, diffs: &[&str], rest: &str) -> String {
    let (id, store) = (container_id(name), Classic::of(STORE));
    let image = if image.starts_with("sha256:") {
        image.to_owned()
    } else {
        store.config(image).to_string()
    };
    let config = format!(
        r#"{{"State":{{"Running":false,"StartedAt":""}},"ID":"{id}","Image":"{image}","Name":"/{name}","ImageManifest":null,"Driver":"overlay2"{rest},"Big":123456789012345678901}}"#
    ) + "\n";
    put(root, &format!("containers/{id}/config.v2.json"), config.as_bytes());
    put(root, &format!("containers/{id}/hostconfig.json"), br#"{"AutoRemove":false}"#);
    let mount = Digest::of(format!("mount {id}").as_bytes()).hex();
    let mounts = format!("image/overlay2/layerdb/mounts/{id}");
    put(root, &format!("{mounts}/mount-id"), mount.as_bytes());
    put(root, &format!("{mounts}/init-id"), format!("{mount}-init").as_bytes());
    put(root, &format!("{mounts}/parent"), store.chain(diffs).to_string().as_bytes());
    put(root, &format!("overlay2/{mount}-init/diff/.dockerenv"), b"");
    put(root, &format!("overlay2/{mount}/diff/etc/own"), format!("of {name}").as_bytes());
    let upper = format!("overlay2/{mount}/diff");
    let [one, two, gone] = ["one", "two", "gone"].map(|name| format!("{upper}/{name}"));
    put(root, &one, b"two names");
    root.link(path(&one), path(&two)).expect("a free name");
    let mut private = Attributes::root(0o644);
    private.xattrs.insert(b"trusted.overlay.origin".to_vec(), b"x".to_vec());
    private.xattrs.insert(b"user.own".to_vec(), b"y".to_vec());
    root.set_attributes(path(&one), &private).expect("it is there");
    root.put(path(&gone), &Special::Char(0, 0), &Attributes::root(0)).expect("a free name");
    id
}

/// Two images and three containers; the image of one is gone.
pub(crate) fn root() -> Memory {
    let root = Classic::of(STORE).tree();
    add(&root, "web", "app", &["base", "code"], "");
    add(&root, "db", "base", &["base"], r#","HasBeenStartedBefore":true"#);
    let gone = format!("sha256:{}", Digest::of(b"gone").hex());
    add(&root, "orphan", &gone, &["base", "code"], "");
    root
}

pub(crate) fn source(root: &Arc<dyn Tree>, kind: StoreKind) -> Result<Box<dyn Source>> {
    let (containers, _) = read_all(&**root)?;
    let of = |driver: &str| {
        containers.iter().filter(|c| c.driver == driver).cloned().collect::<Vec<_>>()
    };
    if kind == StoreKind::Classic {
        let mut store = tranship::store::overlay2::Overlay2::open(Arc::clone(root), "overlay2")?;
        store.add_containers(of("overlay2"));
        return Ok(Box::new(store));
    }
    let inner: Arc<dyn Tree> = Arc::new(Sub::new(Arc::clone(root), path(INNER)));
    let mut store = Containerd::open(inner, NAMESPACE, SNAPSHOTTER, &host())?;
    store.add_containers(of("overlayfs"));
    Ok(Box::new(store))
}

/// Moves everything of `from` to the other store of the root that `sink` is, as far as that goes.
pub(crate) fn migrate(
    from: &dyn Source,
    sink: &Arc<dyn Sink>,
    containers: &Containers,
) -> Result<(Plan, Outcome)> {
    let migration = Migration::default();
    let target = || -> Result<Box<dyn Target>> {
        if from.kind() == StoreKind::Containerd {
            return Ok(Box::new(migration.classic(sink)?));
        }
        let inner = SubSink::make(Arc::clone(sink), path(INNER), 0o711)?;
        Ok(Box::new(migration.writer(Arc::new(inner))?))
    };
    let options = transfer::Options { containers: containers.clone(), ..migration.options() };
    let to = target()?;
    let plan = transfer::plan(from, &*to, &std::collections::HashMap::new(), &options)?;
    let outcome = transfer::apply(&plan, from, &*to, 1, &())?;
    transfer::bind(&plan, &outcome, target()?.inventory(), &**sink)?;
    Ok((plan, outcome))
}

fn sink(tree: &Arc<Memory>) -> Arc<dyn Sink> {
    Arc::<Memory>::clone(tree)
}

pub(crate) fn moved(root: &Memory, from: StoreKind) -> (Memory, Plan, Outcome) {
    let tree = Arc::new(root.clone());
    let before: Arc<dyn Tree> = Arc::new(root.clone());
    let source = source(&before, from).expect("a sound root");
    let (plan, outcome) =
        migrate(&*source, &sink(&tree), &Containers::OfImages).expect("a sound root");
    ((*tree).clone(), plan, outcome)
}

/// Returns each container's driver and files, in the store that its config names.
pub(crate) fn look(
    root: &Memory,
) -> std::result::Result<(BTreeMap<String, String>, Folders), String> {
    let tree: Arc<dyn Tree> = Arc::new(root.clone());
    let (containers, findings) = read_all(&*tree).map_err(|error| error.to_string())?;
    if let Some(finding) = findings.first() {
        return Err(format!("{}: {}", finding.place, finding.what));
    }
    bolts_agree(&Sub::new(Arc::clone(&tree), path(INNER)))?;
    let (mut drivers, mut folders) = (BTreeMap::new(), Folders::new());
    for one in containers {
        let kind = match one.driver.as_str() {
            "overlay2" => StoreKind::Classic,
            "overlayfs" => StoreKind::Containerd,
            other => return Err(format!("{} is kept by {other}", one.name)),
        };
        let store = source(&tree, kind).map_err(|error| error.to_string())?;
        let said = |error: tranship::error::Error| format!("{}: {error}", one.name);
        let found = store.writable(&one.id).map_err(said)?;
        let inner = store.tree().expect("a store with folders");
        let init = found.init.ok_or_else(|| format!("{} has no init", one.name))?;
        for folder in found.below.iter().chain([&found.upper, &init]) {
            inner.stat(folder.as_path()).map_err(said)?;
        }
        let files = [&found.upper, &init].map(|folder| listing(inner, folder.as_path()));
        folders.insert(one.name.clone(), files);
        drivers.insert(one.name, one.driver);
    }
    Ok((drivers, folders))
}

/// Every snapshot of `meta.db` is one of `metadata.db` with its folder and its links.
fn bolts_agree(inner: &dyn Tree) -> std::result::Result<(), String> {
    let Some(meta) = bolt(inner, META)? else { return Ok(()) };
    let backend = bolt(inner, BACKEND)?.ok_or("no metadata.db")?;
    let namespace = meta.at(&[b"v1", b"moby"]).cloned().unwrap_or_default();
    let all = namespace.at(&[b"snapshots", b"overlayfs"]).cloned().unwrap_or_default();
    let text =
        |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    for (key, snapshot) in children(Some(&all)) {
        let name = text(snapshot.get(b"name")).ok_or("a snapshot without a name")?;
        let entry = backend.at(&[b"v1", b"snapshots", name.as_bytes()]);
        let entry = entry.ok_or_else(|| format!("{key}: no {name} in metadata.db"))?;
        let number = id(entry)?;
        inner.stat(path(&format!("{FOLDERS}/{number}/fs"))).map_err(|e| e.to_string())?;
        inner.stat(path(&format!("{FOLDERS}/{number}/work"))).map_err(|e| e.to_string())?;
        let kind = entry.get(b"kind").map(<[u8]>::to_vec);
        let is_own = key.len() == 64;
        if kind != Some(vec![if is_own { 2 } else { 3 }]) || entry.get(b"size").is_some() == is_own
        {
            return Err(format!("{key} is of another kind: {kind:?}"));
        }
        let Some(parent) = text(snapshot.get(b"parent")) else { continue };
        let above = all.child(parent.as_bytes()).ok_or_else(|| format!("{key}: no {parent}"))?;
        let above_name = text(above.get(b"name")).unwrap_or_default();
        let is_child = above.at(&[b"children"]).is_some_and(|c| c.get(key.as_bytes()).is_some());
        let link = backend.at(&[b"v1", b"snapshots", above_name.as_bytes()]).map(id);
        let link = key::encode_parent_link(link.ok_or("no parent")??, number);
        let linked = backend.at(&[b"v1", b"parents"]).and_then(|links| links.get(&link));
        if !is_child
            || linked != Some(name.as_bytes())
            || text(entry.get(b"parent")) != Some(above_name)
        {
            return Err(format!("{key} is not linked to {parent}"));
        }
    }
    for (key, _) in children(Some(&all)).filter(|(key, _)| key.len() == 64) {
        let lease = namespace.at(&[b"leases", key.as_bytes(), b"snapshots", b"overlayfs"]);
        let held: Vec<_> =
            lease.into_iter().flat_map(|l| l.iter().map(|(k, _)| k.to_vec())).collect();
        if held != [key.clone().into_bytes(), format!("{key}-init").into_bytes()] {
            return Err(format!("{key} is not held: {held:?}"));
        }
    }
    Ok(())
}

/// Puts what the containers did since into the store that has them.
pub(crate) fn use_them(root: &Memory, kind: StoreKind) {
    let tree: Arc<dyn Tree> = Arc::new(root.clone());
    let store = source(&tree, kind).expect("sound");
    let inner = if kind == StoreKind::Classic { String::new() } else { format!("{INNER}/") };
    for one in &store.inventory().containers {
        let upper = store.writable(&one.id).expect("whole").upper;
        put(root, &format!("{inner}{upper}/later"), format!("after {kind}").as_bytes());
    }
}

/// A root in which each store has the containers by now, those of the source newer.
pub(crate) fn there_and_back(to: StoreKind) -> Memory {
    let (there, _, _) = moved(&root(), StoreKind::Classic);
    use_them(&there, StoreKind::Containerd);
    if to == StoreKind::Classic {
        return there;
    }
    let (back, _, _) = moved(&there, StoreKind::Containerd);
    use_them(&back, StoreKind::Classic);
    back
}

#[test]
fn all_that_they_are_moves_both_ways() {
    let root = root();
    let (_, want) = look(&root).expect("a sound root");
    let (there, plan, outcome) = moved(&root, StoreKind::Classic);
    assert_eq!((plan.containers.len(), outcome.containers.len()), (3, 3));
    assert_eq!(outcome.failed_containers, []);
    let (drivers, found) = look(&there).expect("sound");
    assert_eq!(drivers.values().map(String::as_str).collect::<BTreeSet<_>>(), ["overlayfs"].into());
    assert_eq!(without_private(found), without_private(want.clone()));
    let old = look(&there_again(&there)).expect("undone");
    assert_eq!(old.1, want, "the source has kept all as it was");
    let (back, plan, _) = moved(&there, StoreKind::Containerd);
    let (drivers, found) = look(&back).expect("sound");
    assert_eq!(drivers.values().map(String::as_str).collect::<BTreeSet<_>>(), ["overlay2"].into());
    assert_eq!(without_private(found), without_private(want));
    assert_eq!(plan.stays, []);
    for name in ["web", "db", "orphan"] {
        let file = format!("containers/{}/config.v2.json", container_id(name));
        let [was, is] = [&root, &back].map(|tree| read(tree, path(&file)).expect("it is there"));
        assert_eq!(String::from_utf8_lossy(&was), String::from_utf8_lossy(&is), "{name}");
    }
}

/// What the kernel noted for itself does not move; everything else does.
pub(crate) fn without_private(mut folders: Folders) -> Folders {
    let plain = |line: &String| line.replace(r#"("trusted.overlay.origin", "x"), "#, "");
    for files in folders.values_mut().flatten() {
        *files = files.iter().map(plain).collect();
    }
    folders
}

fn there_again(moved: &Memory) -> Memory {
    let tree = moved.clone();
    let undone =
        undo(&tree, &|_, driver| Ok(driver == "overlay2")).expect("a journal").expect("moved");
    assert!(undone.iter().all(|one| one.end == End::AsBefore), "{undone:?}");
    assert_eq!(undo(&tree, &|_, _| Ok(true)).expect("no journal"), None);
    tree
}

#[test]
fn what_stands_on_a_container_that_is_replaced_stays_linked() {
    let there = there_and_back(StoreKind::Containerd);
    let key = format!("{}-init", container_id("web"));
    let inner = SubSink::make(Arc::new(there.clone()), path(INNER), 0o711).expect("it is there");
    let meta = read(inner.tree(), path(META)).expect("a file");
    let db = Db::open(&meta).expect("sound");
    let mut changed = bbolt::load(&db).expect("sound").into_owned();
    let at: [&[u8]; 4] = [b"v1", b"moby", b"snapshots", b"overlayfs"];
    changed
        .path_mut(&at)
        .path_mut(&[key.as_bytes(), b"children"])
        .put(b"of a commit".to_vec(), Vec::new());
    let bytes = bbolt::write(&changed, &Options::replacing(&db)).expect("small");
    put(&there, &format!("{INNER}/{META}"), &bytes);
    let (again, _, _) = moved(&there, StoreKind::Classic);
    let meta = bolt(&Sub::new(Arc::new(again), path(INNER)), META).expect("sound").expect("there");
    let all = meta.at(&at).expect("snapshots");
    let linked = all.at(&[key.as_bytes(), b"children"]).expect("children");
    let linked: Vec<_> = linked.iter().map(|(name, _)| name.to_vec()).collect();
    assert_eq!(linked, [container_id("web").into_bytes(), b"of a commit".to_vec()]);
}

#[test]
fn configs_are_put_back_as_they_were_or_bound_alone() {
    let root = root();
    let (there, _, _) = moved(&root, StoreKind::Classic);
    let file = |name: &str| format!("containers/{}/config.v2.json", container_id(name));
    let text = |tree: &Memory, name: &str| {
        String::from_utf8(read(tree, path(&file(name))).expect("a config")).expect("text")
    };
    assert!(text(&there, "web").contains(r#""ImageManifest":{"mediaType":"application/vnd.oci"#));
    assert!(text(&there, "orphan").contains(r#""ImageManifest":null"#));
    let used = text(&there, "db").replace("\"StartedAt\":\"\"", "\"StartedAt\":\"now\"");
    put(&there, &file("db"), used.as_bytes());
    let gone = container_id("orphan");
    let undone = undo(&there, &|id, _| Ok(id != gone)).expect("a journal").expect("moved");
    let ends: BTreeMap<_, _> = undone.into_iter().map(|one| (one.id, one.end)).collect();
    let wanted = [("web", End::AsBefore), ("db", End::UsedSince), ("orphan", End::Gone)];
    assert_eq!(ends, wanted.map(|(name, end)| (container_id(name), end)).into());
    assert_eq!(text(&there, "web"), text(&root, "web"));
    assert_eq!(
        text(&there, "db"),
        text(&root, "db").replace("\"StartedAt\":\"\"", "\"StartedAt\":\"now\"")
    );
    assert!(text(&there, "orphan").contains(r#""Driver":"overlayfs""#));
}

#[test]
fn some_stay_and_say_why() {
    let root = root();
    add(&root, "dead", "base", &["base"], "");
    add(&root, "auto", "base", &["base"], "");
    add(&root, "bare", "base", &["base"], "");
    add(&root, "odd", "app", &["base"], "");
    let [dead, auto, bare] = ["dead", "auto", "bare"].map(container_id);
    let config =
        format!(r#"{{"ID":"{dead}","Name":"/dead","Driver":"overlay2","State":{{"Dead":true}}}}"#);
    put(&root, &format!("containers/{dead}/config.v2.json"), config.as_bytes());
    put(&root, &format!("containers/{auto}/hostconfig.json"), br#"{"AutoRemove":true}"#);
    root.remove(path(&format!("image/overlay2/layerdb/mounts/{bare}"))).expect("below the root");
    let before: Arc<dyn Tree> = Arc::new(root.clone());
    let from = source(&before, StoreKind::Classic).expect("sound");
    let plan = |containers: Containers| {
        let (migration, tree) = (Migration::default(), Arc::new(Memory::new()));
        let to = migration.writer(sink(&tree)).expect("an empty target");
        let alive = HashSet::from([container_id("db")]);
        let options = transfer::Options { containers, alive, ..migration.options() };
        transfer::plan(&*from, &to, &std::collections::HashMap::new(), &options)
    };
    let found = plan(Containers::OfImages).expect("a plan");
    let names: Vec<_> = found.containers.iter().map(|step| step.container.name.as_str()).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>(), [&"orphan", &"web"].into());
    for (name, why) in [
        ("dead", "removal was begun"),
        ("auto", "--rm"),
        ("bare", "mount-id"),
        ("odd", "has other layers"),
        ("db", "its processes run"),
    ] {
        let stay = found.stays.iter().find(|stay| stay.what == format!("container {name}"));
        assert!(stay.is_some_and(|stay| stay.why.contains(why)), "{name}: {stay:?}");
    }
    let named = plan(Containers::Named(vec!["web".into(), container_id("orphan")[..12].into()]));
    assert_eq!(named.expect("a plan").containers.len(), 2);
    for none in ["", "we", "/none", "sha256:"] {
        let error = plan(Containers::Named(vec![none.into()])).expect_err(none);
        assert!(error.is_missing(), "{none}: {error}");
    }
    let blanket = plan(Containers::Stay("so it is".into())).expect("a plan");
    assert_eq!(blanket.stays[0].what, "7 containers (auto, bare, db, dead, odd, orphan, web)");
}
