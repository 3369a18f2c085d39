//! Volumes in rows.

use std::path::Path;

use super::{finding, survey};
use crate::cli::ops::{ExportVolumes, ImportVolume, Volumes, Where};
use crate::cli::rows::volumes::{CarriedRow, MountRow, UserRow, VolumeRow, VolumesCarried};
use crate::error::{Error, Result};
use crate::model::{Finding, Severity, Volume};
use crate::op::host::{DataRoot, Host};
use crate::op::volumes::{self, Destination};
use crate::store::Progress;

pub(super) fn rows(host: &Host, sizes: bool) -> Result<Volumes> {
    let mut all = Volumes::default();
    for root in &host.roots {
        let (found, findings) = volumes::of_root(root)?;
        all.findings.extend(findings.iter().map(finding));
        for volume in &found {
            let size = if sizes { volumes::size(root, volume) } else { Ok(None) };
            let size = size.unwrap_or_else(|error| {
                let code = "volume-unreadable";
                all.findings.push(finding(&Finding::of(code, Severity::WrongMetadata, &error)));
                None
            });
            all.rows.push(row(root, volume, size));
        }
    }
    Ok(all)
}

fn row(root: &DataRoot, volume: &Volume, size: Option<volumes::Size>) -> VolumeRow {
    let used_by: Vec<UserRow> = volumes::users(root, volume)
        .map(|at| UserRow {
            id: at.container.id.clone(),
            name: at.container.name.clone(),
            hidden: volumes::is_hidden(&at),
        })
        .collect();
    // Of what is elsewhere, what lies below the mount is not the size.
    let size = size.filter(|_| volume.mount.is_none());
    VolumeRow {
        root: root.place.clone(),
        name: volume.name.clone(),
        driver: volume.driver.clone(),
        anonymous: volume.anonymous,
        labels: volume.labels.clone(),
        options: volume.options.clone(),
        mountpoint: volumes::place(root, volume).map(|place| place.to_string()),
        mount: volume
            .mount
            .as_ref()
            .map(|mount| MountRow { kind: mount.kind.clone(), device: mount.device.clone() }),
        quota: volume.quota,
        size: size.map(|size| size.apparent),
        allocated: size.map(|size| size.allocated),
        dangling: used_by.is_empty(),
        hidden: !used_by.is_empty() && used_by.iter().all(|user| user.hidden),
        used_by,
    }
}

pub(super) fn export(request: &ExportVolumes, progress: &dyn Progress) -> Result<VolumesCarried> {
    let to = match request.output.as_path() {
        path if path == Path::new("-") => Destination::Stream(Box::new(std::io::stdout())),
        path if has_end(path, ".tar") => Destination::Tar(path.to_owned()),
        path if [".gz", ".tgz", ".zst", ".xz"].iter().any(|end| has_end(path, end)) => {
            return Err(Error::refused("what is written is not compressed")
                .hint("give the file the end .tar, or compress the stream: `-o - | zstd > FILE`"));
        }
        path => Destination::Folder(path.to_owned()),
    };
    let host = survey(&request.at)?;
    let done = volumes::export(&host.roots, &request.names, to, progress)?;
    let row = |(name, copied): &(String, crate::tree::Copied)| CarriedRow {
        name: name.clone(),
        // Without the folder of all of them.
        files: copied.inodes.saturating_sub(1),
        size: copied.apparent,
        ..CarriedRow::default()
    };
    let findings = done.findings.iter().map(finding).collect();
    Ok(VolumesCarried { dry_run: false, volumes: done.volumes.iter().map(row).collect(), findings })
}

fn has_end(path: &Path, end: &str) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(end.as_bytes())
}

pub(super) fn import(request: &ImportVolume, progress: &dyn Progress) -> Result<VolumesCarried> {
    let host = survey(&request.at)?;
    let root = match host.roots.as_slice() {
        [root] => root,
        [] => {
            let what = format!("there is no data root at {}", host.tree.origin());
            return Err(Error::refused(what).hint("name it: `--root PATH`"));
        }
        several => {
            let places: Vec<_> = several.iter().map(|root| root.place.clone()).collect();
            let what = format!("several data roots could be meant: {}", places.join(", "));
            return Err(Error::refused(what).hint("name the one that is meant: `--root PATH`"));
        }
    };
    let done = volumes::import(root, &request.importing, progress)?;
    let row = CarriedRow {
        name: request.importing.name.clone(),
        files: done.size.files,
        size: done.size.apparent,
        mountpoint: Some(done.place.to_string()),
        replaced: done.replaced,
    };
    Ok(VolumesCarried {
        dry_run: request.importing.dry_run,
        volumes: vec![row],
        findings: done.findings.iter().map(finding).collect(),
    })
}

/// Returns the names of the volumes at `at`, for completion; none if they cannot be read.
pub(crate) fn names(at: &Where) -> Vec<String> {
    let volumes = survey(at).and_then(|host| rows(&host, false)).unwrap_or_default();
    volumes.rows.into_iter().map(|row| row.name).collect()
}
