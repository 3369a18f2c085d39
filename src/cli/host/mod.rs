//! The library's answers, in rows.

mod images;
mod migrate;
mod status;
mod undo;

use crate::cli::ops::{Images, MigrateRequest, Ops, Prepared, Where};
use crate::cli::rows::FindingRow;
use crate::cli::rows::status::Status;
use crate::cli::rows::undo::UndoReport;
use crate::error::Result;
use crate::format::oci::Platform;
use crate::model::Finding;
use crate::op::host::{self, Known};

/// The stores of this host, or of what the user names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host;

impl Ops for Host {
    fn status(&self, at: &Where) -> Result<Status> {
        Ok(status::rows(&survey(at)?))
    }

    fn images(&self, at: &Where) -> Result<Images> {
        Ok(images::rows(&survey(at)?))
    }

    fn prepare(&self, request: &MigrateRequest) -> Result<Box<dyn Prepared + '_>> {
        migrate::prepare(request)
    }

    fn undo(&self, at: &Where) -> Result<UndoReport> {
        undo::rows(at)
    }

    fn is_exported(&self, request: &MigrateRequest) -> Result<bool> {
        migrate::is_exported(request)
    }
}

fn survey(at: &Where) -> Result<host::Host> {
    let opened = host::open(at.root.as_deref())?;
    let elsewhere = at.containerd_root.as_ref().map(|root| host::open(Some(root))).transpose()?;
    let config = at.daemon_config.as_deref().map(host::read_config).transpose()?.flatten();
    let containerd_root = elsewhere.map(|opened| opened.tree);
    host::survey(&opened, &Known { containerd_root, config, platform: this_platform() })
}

/// Returns the platform of this machine in Go's words.
fn this_platform() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "loongarch64" => "loong64",
        "powerpc64" => "ppc64le",
        other => other,
    };
    let (architecture, os) = (architecture.to_owned(), "linux".to_owned());
    Platform { architecture, os, ..Platform::default() }
}

fn finding(finding: &Finding) -> FindingRow {
    FindingRow {
        code: finding.code.to_owned(),
        severity: finding.severity,
        place: finding.place.to_string(),
        what: finding.what.clone(),
        remedy: Some(finding.remedy.clone()).filter(|remedy| !remedy.is_empty()),
    }
}

/// Returns the names of the images at `at`, for completion; none if they cannot be read.
pub(crate) fn image_names(at: &Where) -> Vec<String> {
    let images = Host.images(at).unwrap_or_default();
    images.rows.into_iter().flat_map(|row| row.names).collect()
}
