//! The library's answers, in rows.

mod diff;
pub(crate) mod files;
mod images;
mod inspect;
mod migrate;
mod ps;
mod recipe;
mod reclaim;
mod repair;
mod status;
mod undo;
mod usage;
mod verify;
pub(crate) mod volumes;

use serde_json::Value;

use crate::cli::ops::{
    Containers, DiffRequest, ExportVolumes, Images, ImportVolume, InspectRequest, LogsRequest,
    MigrateRequest, Ops, Prepared, RecipeRequest, ReclaimRequest, Reclaiming, RepairRequest,
    Repairing, See, UndoRequest, UsageRequest, VerifyRequest, Volumes, Where,
};
use crate::cli::rows::FindingRow;
use crate::cli::rows::diff::ChangeRow;
use crate::cli::rows::repair::{RunList, Undone};
use crate::cli::rows::status::Status;
use crate::cli::rows::undo::UndoReport;
use crate::cli::rows::usage::UsageReport;
use crate::cli::rows::verify::VerifyReport;
use crate::cli::rows::volumes::VolumesCarried;
use crate::cli::rows::whois::WhoisReport;
use crate::error::Result;
use crate::format::docker::log::Record;
use crate::format::oci::Platform;
use crate::model::Finding;
use crate::op;
use crate::op::host::{self, Known};
use crate::op::look::{self, Which};
use crate::op::recipe::Recipe;
use crate::store::Progress;

pub(crate) use recipe::container_names;

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

    fn diff(&self, request: &DiffRequest) -> Result<Vec<ChangeRow>> {
        diff::rows(request)
    }

    fn look(&self, at: &Where, names: &[&str], which: &Which, see: See<'_>) -> Result<()> {
        let host = survey(at)?;
        names.iter().try_for_each(|name| see(look::view(&host, name, which)))
    }

    fn containers(&self, at: &Where, sizes: bool) -> Result<Containers> {
        Ok(ps::rows(&survey(at)?, sizes))
    }

    fn inspect(&self, at: &Where, request: &InspectRequest) -> Result<Vec<Result<Value>>> {
        Ok(inspect::documents(&survey(at)?, request))
    }

    fn recipes(&self, at: &Where, request: &RecipeRequest) -> Result<Vec<Recipe>> {
        recipe::recipes(&survey(at)?, request)
    }

    fn logs(
        &self,
        request: &LogsRequest,
        each: &mut dyn FnMut(&Record<'_>) -> Result<()>,
    ) -> Result<Vec<FindingRow>> {
        let host = survey(&request.at)?;
        let found = op::logs::read(&host.container(&request.container)?, &request.wanted, each)?;
        Ok(found.iter().map(finding).collect())
    }

    fn volumes(&self, at: &Where, sizes: bool) -> Result<Volumes> {
        volumes::rows(&survey(at)?, sizes)
    }

    fn verify(&self, request: &VerifyRequest, progress: &dyn Progress) -> Result<VerifyReport> {
        verify::rows(request, progress)
    }

    fn usage(&self, request: &UsageRequest, progress: &dyn Progress) -> Result<UsageReport> {
        usage::rows(request, progress)
    }

    fn whois(&self, at: &Where, queries: &[String]) -> Result<WhoisReport> {
        usage::whose(&survey(at)?, queries)
    }

    fn export_volumes(
        &self,
        request: &ExportVolumes,
        progress: &dyn Progress,
    ) -> Result<VolumesCarried> {
        volumes::export(request, progress)
    }

    fn import_volume(
        &self,
        request: &ImportVolume,
        progress: &dyn Progress,
    ) -> Result<VolumesCarried> {
        volumes::import(request, progress)
    }

    fn prepare(&self, request: &MigrateRequest) -> Result<Box<dyn Prepared + '_>> {
        migrate::prepare(request)
    }

    fn undo(&self, at: &Where) -> Result<UndoReport> {
        undo::rows(at)
    }

    fn repair(&self, request: &RepairRequest) -> Result<Box<dyn Repairing + '_>> {
        repair::prepare(request)
    }

    fn runs(&self, request: &UndoRequest) -> Result<RunList> {
        repair::runs(request)
    }

    fn undo_run(&self, request: &UndoRequest) -> Result<Undone> {
        repair::undo_run(request)
    }

    fn reclaim(
        &self,
        request: &ReclaimRequest,
        progress: &dyn Progress,
    ) -> Result<Box<dyn Reclaiming>> {
        reclaim::prepare(request, progress)
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
