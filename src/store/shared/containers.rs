//! Containers as dockerd loads them at its start. moby v28.5 daemon/daemon.go restore

use std::collections::{BTreeMap, HashSet};

use crate::error::Result;
use crate::model::{Container, Severity};
use crate::store::containers::{FOLDER, config_file, host_config_file, read_host_config};
use crate::store::{Audit, Start};
use crate::tree::{Tree, TreePathBuf, many, optional, path};

/// Checks every container that is or should be there.
pub(super) fn check(
    tree: &dyn Tree,
    all: &[Container],
    drivers: &[&str],
    audit: &mut Audit,
) -> Result<()> {
    let names = optional(tree.names(path(FOLDER)))?.unwrap_or_default();
    audit.count("containers", names.len());
    unread(tree, &names, all, audit);
    host_configs(tree, all, audit);
    for one in all.iter().filter(|one| !drivers.contains(&one.driver.as_str())) {
        let why = format!("its files are kept by `{}`, and no such store is here", one.driver);
        let what = format!("container {}: {why}", shown(one));
        let remedy = "bring its store back, or remove the container's folder";
        let code = ("container-without-store", Severity::WouldNotLoad);
        audit.note(code, tree.place(config(one).as_path()), what, remedy);
        audit.starts.push(fails(one, why));
    }
    names_taken(tree, all, audit);
    Ok(())
}

/// Tells of folders that hold no container which can be read. What is wrong with them was said when
/// they were read.
fn unread(tree: &dyn Tree, names: &[Vec<u8>], all: &[Container], audit: &mut Audit) {
    let known: HashSet<&[u8]> = all.iter().map(|one| one.id.as_bytes()).collect();
    for name in names.iter().filter(|name| !known.contains(name.as_slice())) {
        if name.len() == 64 && name.iter().all(u8::is_ascii_hexdigit) {
            audit.starts.push(Start {
                container: true,
                id: String::from_utf8_lossy(name).into_owned(),
                names: Vec::new(),
                fails: Some("its config.v2.json cannot be read".to_owned()),
                silently: true,
            });
            continue;
        }
        let place = path(FOLDER).child(name).unwrap_or_default();
        let code = ("container-stray", Severity::Untidy);
        let what = "no container can have this ID; dockerd passes over it";
        audit.note(code, tree.place(place.as_path()), what, "remove it if nobody needs it");
    }
}

/// A config of the machine that cannot be read costs the container. moby v28.5 container/container.go
/// readHostConfig
fn host_configs(tree: &dyn Tree, all: &[Container], audit: &mut Audit) {
    let read = many(all, |one| read_host_config(tree, &one.id).err());
    for (one, error) in all.iter().zip(read) {
        let Some(error) = error else { continue };
        let place = error.place().cloned();
        let place = place.unwrap_or_else(|| tree.place(host_config_file(&one.id).as_path()));
        let what = format!("container {}: {}", shown(one), error.what());
        let remedy = "put a copy of the file back; without it dockerd takes defaults for ports, \
                      mounts and limits";
        audit.note(("host-config-unreadable", Severity::WouldNotLoad), place, what, remedy);
        audit.starts.push(fails(one, "its hostconfig.json cannot be read".to_owned()));
    }
}

/// Of several containers with one name dockerd registers the one that comes first by chance.
fn names_taken(tree: &dyn Tree, all: &[Container], audit: &mut Audit) {
    let mut named: BTreeMap<(&str, &str), Vec<&Container>> = BTreeMap::new();
    for one in all.iter().filter(|one| !one.name.is_empty()) {
        named.entry((&one.driver, &one.name)).or_default().push(one);
    }
    for same in named.into_values().filter(|same| same.len() > 1) {
        let ids: Vec<_> = same.iter().map(|one| one.id.get(..12).unwrap_or_default()).collect();
        let why = format!(
            "{} containers have its name: the daemon loads one of them, by chance",
            same.len()
        );
        for one in &same {
            audit.starts.push(fails(one, why.clone()));
        }
        let Some(last) = same.last() else { continue };
        let what = format!("containers {} are all called {}", ids.join(", "), last.name);
        let remedy = "give all but one another name: `Name` in config.v2.json";
        let code = ("container-name-taken", Severity::WouldNotLoad);
        audit.note(code, tree.place(config(last).as_path()), what, remedy);
    }
}

fn config(one: &Container) -> TreePathBuf {
    config_file(one.id.as_bytes())
}

fn fails(one: &Container, why: String) -> Start {
    let (id, names) = (one.id.clone(), vec![one.name.clone()]);
    Start { container: true, id, names, fails: Some(why), silently: true }
}

/// Returns the name of a container, or the start of its ID if it has none.
fn shown(one: &Container) -> &str {
    match one.name.as_str() {
        "" => one.id.get(..12).unwrap_or_default(),
        name => name,
    }
}
