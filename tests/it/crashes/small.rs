//! What is written besides images and containers: volumes, the daemon's configuration, bindings undone.

use std::collections::BTreeMap;
use std::sync::Arc;

use tranship::model::StoreKind;
use tranship::op::migrate::switch_file;
use tranship::op::volumes::Put;
use tranship::store::volumes::read_all;
use tranship::tree::{Memory, Sink, Tree as _, TreePath, optional, path, read, write};

use crate::support::crashes::old_or_new;
use crate::support::seen::listing;

/// Each volume with its labels and files.
type Volumes = BTreeMap<String, (BTreeMap<String, String>, Vec<String>)>;

fn volumes(tree: &Arc<Memory>) -> Result<Volumes, String> {
    let (found, findings) = read_all(&**tree).map_err(|error| error.to_string())?;
    if let Some(finding) = findings.first() {
        return Err(format!("{}: {}", finding.place, finding.what));
    }
    let one = |volume: tranship::model::Volume| {
        let data = volume.data.as_ref().expect("a volume of the driver local");
        let files = listing(&**tree, data.as_path());
        (volume.name.clone(), (volume.labels.into_iter().collect(), files))
    };
    // An entry without a folder is one that dockerd drops.
    let has_files = |name: &str| tree.names(path(&format!("volumes/{name}"))).is_ok();
    Ok(found.into_iter().filter(|volume| has_files(&volume.name)).map(one).collect())
}

fn left(tree: &Memory) -> Vec<String> {
    let own = |line: &String| line.contains("tranship");
    listing(tree, TreePath::ROOT).into_iter().filter(own).collect()
}

fn files(text: &str) -> Memory {
    let tree = Memory::new();
    tree.make_dir(path("in"), 0o755).expect("a free name");
    for name in ["a", "in/b", "in/c"] {
        write(&tree, path(name), 0o640, format!("{name} of {text}").as_bytes()).expect("free");
    }
    tree.link(path("a"), path("in/same")).expect("a free name");
    tree
}

/// A root with these volumes.
fn root(names: &[&str]) -> Memory {
    let root = Memory::new();
    for name in names {
        let put = Put { name, labels: None, keeps_options: false };
        put.from(&files("old"), &root, &()).expect("memory takes every write");
    }
    root
}

#[test]
fn a_volume_is_imported() {
    let source = files("new");
    for there in [&[][..], &["other"], &["other", "new"]] {
        let put = Put { name: "new", labels: None, keeps_options: false };
        let run = |sink: &Arc<dyn Sink>| put.from(&source, &**sink, &()).map(drop);
        old_or_new(root(there), &run, &volumes, &left);
    }
}

#[test]
fn the_daemon_s_configuration_is_changed() {
    const OLD: &str = "{\n  \"storage-driver\": \"overlay2\",\n  \"mtu\": 1450\n}\n";
    let look = |tree: &Arc<Memory>| {
        let text = optional(read(&**tree, path("daemon.json"))).map_err(|e| e.to_string())?;
        let kept = optional(read(&**tree, path("daemon.json.before-tranship")));
        // The old file is kept before it gives way, so it may be there early; never another.
        match kept.map_err(|e| e.to_string())? {
            Some(kept) if kept != OLD.as_bytes() => Err("another file is kept".to_owned()),
            None if text.as_deref() != Some(OLD.as_bytes()) && text.is_some() && has_old(tree) => {
                Err("the old file is lost".to_owned())
            }
            _ => Ok(text),
        }
    };
    let left = |tree: &Memory| {
        let own = |line: &String| line.contains(".tranship-");
        listing(tree, TreePath::ROOT).into_iter().filter(own).collect()
    };
    let run = |sink: &Arc<dyn Sink>| {
        switch_file(&**sink, path("daemon.json"), StoreKind::Containerd).map(drop)
    };
    for there in [None, Some(OLD)] {
        let base = Memory::new();
        if let Some(text) = there {
            write(&base, path("daemon.json"), 0o600, text.as_bytes()).expect("a free name");
            write(&base, path("had-one"), 0o600, b"").expect("a free name");
        }
        old_or_new(base, &run, &look, &left);
    }
}

fn has_old(tree: &Arc<Memory>) -> bool {
    read(&**tree, path("had-one")).is_ok()
}
