//! Volumes: what is known of them, what is there, and what containers count on.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::format::docker::volume::LOCAL;
use crate::model::{Container, Finding, Severity, Volume};
use crate::store::Audit;
use crate::store::containers::config_file;
use crate::store::volumes::{self, METADATA, Records};
use crate::tree::{Tree, TreePathBuf, path};

/// Checks every volume that is or should be there. What is said of a database that is `broken` is said
/// already.
pub(super) fn check(
    tree: &dyn Tree,
    all: &[Container],
    broken: &[TreePathBuf],
    audit: &mut Audit,
) -> Result<()> {
    let (found, mut findings) = volumes::read_all(tree)?;
    let is_broken = broken.iter().any(|file| file.as_path() == path(METADATA));
    findings.retain(|finding| !is_broken || finding.code != "volume-records-unreadable");
    audit.findings.append(&mut findings);
    audit.count("volumes", found.len());
    let there: BTreeSet<&str> = found.iter().map(|volume| volume.name.as_str()).collect();
    let wanted = missing(tree, all, &there, audit);
    let records = volumes::records(tree, &mut Vec::new()).unwrap_or_default();
    without_folder(tree, &records, &there, &wanted, audit);
    without_data(tree, &found, all, audit);
    Ok(())
}

/// Tells of volumes that containers count on and that are gone; returns their names.
fn missing(
    tree: &dyn Tree,
    all: &[Container],
    there: &BTreeSet<&str>,
    audit: &mut Audit,
) -> BTreeSet<String> {
    let mut gone: BTreeMap<&str, Vec<&Container>> = BTreeMap::new();
    for one in all {
        for mount in one.record.mount_points.values() {
            let is_local = matches!(mount.driver.as_str(), "" | LOCAL);
            let name = mount.volume().filter(|name| is_local && !there.contains(name));
            gone.entry(name.unwrap_or_default()).or_default().push(one);
        }
    }
    gone.remove("");
    for (name, users) in &gone {
        let Some(first) = users.first() else { continue };
        let names: BTreeSet<&str> = users.iter().map(|one| one.name.as_str()).collect();
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        let what = format!("volume {name} of container {names} is gone");
        let remedy = "bring its files back before the container starts: dockerd makes an empty one \
                      without a word (`tranship volumes import`)";
        let place = tree.place(config_file(first.id.as_bytes()).as_path());
        audit.note(("container-without-volume", Severity::DataLost), place, what, remedy);
    }
    gone.into_keys().map(str::to_owned).collect()
}

/// Tells of entries whose volume is gone: dockerd drops them at its start. moby v28.5
/// volume/service/restore.go
fn without_folder(
    tree: &dyn Tree,
    records: &Records,
    there: &BTreeSet<&str>,
    told: &BTreeSet<String>,
    audit: &mut Audit,
) {
    let is_local = |driver: &str| matches!(driver, "" | LOCAL);
    for (name, _) in records.iter().filter(|(_, record)| is_local(&record.driver)) {
        if !there.contains(name.as_str()) && !told.contains(name) {
            let what = format!("volume {name} is known and has no folder: dockerd drops it");
            let remedy = "if its files are wanted, bring them back: `tranship volumes import`";
            let code = ("volume-without-folder", Severity::WrongMetadata);
            audit.note(code, tree.place(path(METADATA)), what, remedy);
        }
    }
}

/// Tells of volumes whose options are there and whose files are not, though a container uses them.
fn without_data(tree: &dyn Tree, found: &[Volume], all: &[Container], audit: &mut Audit) {
    let is_bare = |volume: &&Volume| {
        volume.driver == LOCAL && volume.data.is_none() && volume.mount.is_none()
    };
    for volume in found.iter().filter(is_bare) {
        let is_used = all.iter().any(|one| one.record.mounts_volume(&volume.name));
        let severity = if is_used { Severity::DataLost } else { Severity::WrongMetadata };
        let place = volumes::folder(volume.name.as_bytes()).unwrap_or_default();
        audit.findings.push(Finding {
            code: "volume-without-data",
            severity,
            place: tree.place(place.as_path()),
            what: format!("volume {} has no folder `_data`", volume.name),
            remedy: "bring its files back: `tranship volumes import --replace`".to_owned(),
        });
    }
}
