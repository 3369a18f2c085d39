//! Plans that are kept in files.

use std::path::Path;

use serde_json::Value;

use crate::cli::args::Quiet;
use crate::cli::carry;
use crate::cli::exit::Exit;
use crate::cli::file;
use crate::cli::ops::{MigrateRequest, Ops};
use crate::cli::render::migrate;
use crate::cli::render::text::printable;
use crate::cli::rows::plan::{FingerprintRow, PlanFile};
use crate::cli::ui::Ui;
use crate::digest::Digest;
use crate::error::{Error, Place, Result};

/// The version of the format that is written, and the last that is read.
const VERSION: u64 = 1;

/// A plan of a hundred thousand images is not as large.
const LIMIT: u64 = 256 << 20;

/// The field that holds the digest of all others.
const DIGEST: &str = "digest";

/// Plans what is asked for and keeps the plan in `file`; nothing is carried out.
pub(crate) fn keep(
    request: &MigrateRequest,
    file: &Path,
    how: Quiet,
    ui: &mut Ui<'_>,
    ops: &dyn Ops,
) -> Result<Exit> {
    if request.at.root.as_deref() == Some(Path::new("/dev/stdin")) {
        return Err(Error::refused("a plan cannot be made of stdin: it comes only once")
            .hint("keep the archive in a file, and name that"));
    }
    let request = MigrateRequest { dry_run: true, ..request.clone() }.absolute()?;
    let prepared = ops.prepare(&request)?;
    let (plan, fingerprint) = (prepared.plan().clone(), prepared.fingerprint()?);
    let whole = PlanFile { version: VERSION, request, plan, fingerprint, digest: String::new() };
    let text = text(&whole).map_err(|error| {
        Error::refused(format!("the plan cannot be written as JSON: {error}"))
            .hint("name places whose paths are UTF-8")
    })?;
    let is_stdout = file == Path::new("-");
    if is_stdout {
        ui.print(&text)?;
        ui.stand_aside();
    } else {
        file::replace(file, text.as_bytes())?;
    }
    let exit = carry::exit(&whole.plan);
    match how {
        Quiet { json: true, .. } if !is_stdout => ui.json(&whole.plan)?,
        Quiet { json: true, .. } | Quiet { quiet: true, .. } => {}
        _ => ui.print(&said(&whole, file, ui))?,
    }
    Ok(exit)
}

fn said(whole: &PlanFile, file: &Path, ui: &Ui<'_>) -> String {
    if whole.plan.over_threshold {
        return migrate::over_threshold(&whole.plan);
    }
    let plan = migrate::plan(&whole.plan, ui.widths());
    let file = file.display().to_string();
    let file = if file == "-" { "FILE" } else { &file };
    format!(
        "{plan}\nNothing was written but the plan. `tranship apply {}` carries it out.\n",
        printable(file)
    )
}

/// Returns the plan as it is kept, with its digest.
fn text(whole: &PlanFile) -> serde_json::Result<String> {
    let mut value = serde_json::to_value(whole)?;
    let digest = digest_of(&value)?;
    if let Some(fields) = value.as_object_mut() {
        fields.insert(DIGEST.to_owned(), Value::String(digest));
    }
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}

/// Of the document as it stands, so that a field that a later version adds with a default does not
/// change the digest of an older file.
fn digest_of(value: &Value) -> serde_json::Result<String> {
    let mut value = value.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.shift_remove(DIGEST);
    }
    Ok(Digest::of(&serde_json::to_vec(&value)?).to_string())
}

/// Reads a plan that was kept.
///
/// # Errors
/// What is no plan, is of a later version, or was changed.
pub(crate) fn read(file: &Path) -> Result<PlanFile> {
    let bytes = file::read(file, LIMIT)?;
    parse(&bytes, &Place::new(file.display().to_string(), ""))
}

fn parse(bytes: &[u8], place: &Place) -> Result<PlanFile> {
    const ANEW: &str = "make the plan anew with `--plan-out`";
    let wrong = |what: String| Error::corrupt(place.clone(), what).hint(ANEW);
    let no_plan = |what: &dyn std::fmt::Display| wrong(format!("this is no plan: {what}"));
    let value: Value = serde_json::from_slice(bytes).map_err(|error| no_plan(&error))?;
    let version = value.get("version").and_then(Value::as_u64);
    let version = version.ok_or_else(|| no_plan(&"it has no version"))?;
    if version != VERSION {
        let what = format!("a plan of version {version}; this tranship knows version {VERSION}");
        return Err(Error::unsupported(place.clone(), what)
            .hint("carry it out with the tranship that made it, or make the plan anew"));
    }
    let plan: PlanFile = serde_json::from_slice(bytes).map_err(|error| no_plan(&error))?;
    let found = digest_of(&value).map_err(|error| no_plan(&error))?;
    if plan.digest != found {
        let what = "it was changed after it was made: its digest is not that of its content";
        return Err(wrong(what.to_owned()));
    }
    Ok(plan)
}

/// Checks that a plan made anew depends on what the kept one depended on.
///
/// # Errors
/// Refused, with what has changed.
pub(crate) fn still_holds(kept: &FingerprintRow, now: &FingerprintRow) -> Result<()> {
    let what = match (kept.source == now.source, kept.target == now.target) {
        (true, true) if kept.plan == now.plan => return Ok(()),
        (true, true) => {
            "the same source and target give another plan now: another version of tranship, or \
             another host, made the one that was kept"
        }
        (false, true) => "the source has changed since the plan was made",
        (true, false) => "the target has changed since the plan was made",
        (false, false) => "the source and the target have changed since the plan was made",
    };
    Err(Error::refused(what).hint("make the plan anew with `--plan-out`, and look at it again"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;

    fn kept() -> Value {
        let digest = |of: &[u8]| Digest::of(of).to_string();
        let fingerprint =
            FingerprintRow { source: digest(b"s"), target: digest(b"t"), plan: digest(b"p") };
        let (request, plan) = (sample::request(), sample::migration());
        let whole =
            PlanFile { version: VERSION, request, plan, fingerprint, digest: String::new() };
        let text = text(&whole).expect("rows are JSON");
        serde_json::from_str(&text).expect("it was written as JSON")
    }

    fn read_again(value: &Value) -> Result<PlanFile> {
        parse(value.to_string().as_bytes(), &Place::new("plan.json", ""))
    }

    #[test]
    fn a_plan_is_read_as_it_was_written() {
        let read = read_again(&kept()).expect("a plan");
        assert_eq!((read.request, read.plan), (sample::request(), sample::migration()));
    }

    #[test]
    fn what_is_no_plan_or_was_changed_is_an_error() {
        let whole = kept().to_string();
        let place = Place::new("plan.json", "");
        for end in [0, 1, whole.len() / 2, whole.len() - 1] {
            let error = parse(&whole.as_bytes()[..end], &place).expect_err("half a plan");
            assert!(error.what().contains("this is no plan"), "{error}");
        }
        let change = |pointer: &str, to: Value| {
            let mut value = kept();
            *value.pointer_mut(pointer).expect("a field of a plan") = to;
            value
        };
        let mut unknown = kept();
        unknown["request"]["colour"] = "red".into();
        for (value, said) in [
            (Value::Null, "no version"),
            (serde_json::json!({"dry_run": true}), "no version"),
            (serde_json::json!({"version": 1}), "missing field"),
            (change("/version", 2.into()), "version 2"),
            (unknown, "unknown field `colour`"),
            (change("/request/compress", "zstd:99".into()), "zstd:99"),
            (
                change("/request/images", serde_json::json!(["other:1"])),
                "changed after it was made",
            ),
            (change("/plan/images", serde_json::json!([])), "changed after it was made"),
            (change("/fingerprint/source", "".into()), "changed after it was made"),
            (change("/digest", "".into()), "changed after it was made"),
        ] {
            let error = read_again(&value).expect_err(said);
            assert!(error.what().contains(said), "{error}");
        }
    }

    #[test]
    fn a_plan_that_does_not_hold_any_more_says_why() {
        let row = |source: &str, target: &str, plan: &str| FingerprintRow {
            source: source.to_owned(),
            target: target.to_owned(),
            plan: plan.to_owned(),
        };
        let kept = row("s", "t", "p");
        assert!(still_holds(&kept, &kept).is_ok());
        for (now, said) in [
            (row("x", "t", "x"), "the source has"),
            (row("s", "x", "p"), "the target has"),
            (row("x", "x", "x"), "the source and the target"),
            (row("s", "t", "x"), "another plan"),
        ] {
            let error = still_holds(&kept, &now).expect_err(said);
            assert!(error.what().contains(said), "{error}");
            assert_eq!(Exit::from(&error), Exit::Refused);
        }
    }
}
