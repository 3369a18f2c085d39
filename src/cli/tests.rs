use super::*;
use crate::cli::ops::{
    Containers, DiffRequest, ExportVolumes, Images, ImportVolume, InspectRequest, LogsRequest,
    MigrateRequest, Prepared, RecipeRequest, ReclaimRequest, Reclaiming, RepairRequest, Repairing,
    See, UndoRequest, UsageRequest, VerifyRequest, Volumes, Where,
};

use crate::cli::rows::diff::ChangeRow;
use crate::cli::rows::migrate::Migration;
use crate::cli::rows::plan::FingerprintRow;
use crate::cli::rows::reclaim::Reclaimed;
use crate::cli::rows::repair::{Repair, RunList, Undone};
use crate::cli::rows::status::Status;
use crate::cli::rows::undo::UndoReport;
use crate::cli::rows::usage::UsageReport;
use crate::cli::rows::verify::VerifyReport;
use crate::cli::rows::volumes::{CarriedRow, VolumesCarried};
use crate::cli::rows::whois::{WhoisReport, WhoseRow};
use crate::cli::rows::{FindingRow, Severity};
use crate::error::Error;
use crate::format::docker::log::Record;
use crate::op::look::Which;
use crate::op::recipe::Recipe;
use crate::store::Progress;

/// Answers with the sample rows, and with a finding if it is to have one.
#[derive(Debug, Default)]
struct Sample {
    finding: bool,
}

impl Sample {
    fn findings(&self) -> Vec<FindingRow> {
        let finding = FindingRow {
            code: "layer-without-image".into(),
            severity: Severity::WouldNotLoad,
            place: "/d/overlay2/9c".into(),
            what: "no image uses this layer".into(),
            remedy: None,
        };
        if self.finding { vec![finding] } else { Vec::new() }
    }
}

/// A reclaim with nothing to do.
#[derive(Debug)]
struct Freed(Reclaimed);

impl Reclaiming for Freed {
    fn plan(&self) -> &Reclaimed {
        &self.0
    }

    fn apply(self: Box<Self>, _: &dyn Progress) -> Result<Reclaimed> {
        Ok(self.0)
    }
}

impl Ops for Sample {
    fn status(&self, _: &Where) -> Result<Status> {
        Ok(sample::status())
    }

    fn images(&self, at: &Where) -> Result<Images> {
        match &at.root {
            Some(_) => Err(Error::refused("dockerd is running").hint("stop it")),
            None => Ok(Images { rows: sample::images(), findings: self.findings() }),
        }
    }

    fn diff(&self, request: &DiffRequest) -> Result<Vec<ChangeRow>> {
        Ok(sample::changes(request.details))
    }

    fn look(&self, _: &Where, _: &[&str], _: &Which, _: See<'_>) -> Result<()> {
        Ok(())
    }

    fn containers(&self, _: &Where, _: bool) -> Result<Containers> {
        Ok(Containers { rows: sample::containers(), findings: self.findings() })
    }

    fn inspect(&self, _: &Where, _: &InspectRequest) -> Result<Vec<Result<serde_json::Value>>> {
        let missing =
            || Error::missing(crate::error::Place::new("none", ""), "nothing is called so");
        let found = Ok(serde_json::json!({"Name": "vol1", "Tranship": {"Type": "volume"}}));
        Ok(if self.finding { vec![found, Err(missing())] } else { vec![found] })
    }

    fn recipes(&self, _: &Where, _: &RecipeRequest) -> Result<Vec<Recipe>> {
        Ok(vec![Recipe { name: "web".into(), image: "nginx".into(), ..Recipe::default() }])
    }

    fn logs(
        &self,
        request: &LogsRequest,
        each: &mut dyn FnMut(&Record<'_>) -> Result<()>,
    ) -> Result<Vec<FindingRow>> {
        assert_eq!(request.container, "web");
        for record in sample::records() {
            each(&record)?;
        }
        Ok(self.findings())
    }

    fn volumes(&self, _: &Where, sizes: bool) -> Result<Volumes> {
        let mut rows = sample::volumes();
        rows.iter_mut().for_each(|row| row.size = row.size.filter(|_| sizes));
        Ok(Volumes { rows, findings: self.findings() })
    }

    fn usage(&self, request: &UsageRequest, _: &dyn Progress) -> Result<UsageReport> {
        Ok(UsageReport { findings: self.findings(), ..sample::usage(request.by.is_some()) })
    }

    fn whois(&self, _: &Where, queries: &[String]) -> Result<WhoisReport> {
        let unknown = |query: &String| WhoseRow { query: query.clone(), found: Vec::new() };
        let whose = queries.iter().map(unknown).collect();
        Ok(WhoisReport { whose, findings: self.findings() })
    }

    fn verify(&self, request: &VerifyRequest, progress: &dyn Progress) -> Result<VerifyReport> {
        progress.start(10, 1);
        let findings = self.findings();
        let bytes = if request.quick { 0 } else { 10 };
        Ok(VerifyReport { findings, bytes, ..VerifyReport::default() })
    }

    fn export_volumes(
        &self,
        request: &ExportVolumes,
        progress: &dyn Progress,
    ) -> Result<VolumesCarried> {
        progress.start(10, 1);
        let row = |name: &String| CarriedRow { name: name.clone(), ..CarriedRow::default() };
        let volumes = request.names.iter().map(row).collect();
        Ok(VolumesCarried { volumes, ..VolumesCarried::default() })
    }

    fn import_volume(&self, request: &ImportVolume, _: &dyn Progress) -> Result<VolumesCarried> {
        let name = request.importing.name.clone();
        let volumes = vec![CarriedRow { name, ..CarriedRow::default() }];
        Ok(VolumesCarried { dry_run: request.importing.dry_run, volumes, findings: Vec::new() })
    }

    fn prepare(&self, request: &MigrateRequest) -> Result<Box<dyn Prepared + '_>> {
        let plan = Migration { dry_run: request.dry_run, ..sample::migration() };
        Ok(Box::new(Planned(plan)))
    }

    fn undo(&self, _: &Where) -> Result<UndoReport> {
        Ok(UndoReport::default())
    }

    fn repair(&self, request: &RepairRequest) -> Result<Box<dyn Repairing + '_>> {
        Ok(Box::new(Mended(Repair { dry_run: request.dry_run, ..Repair::default() })))
    }

    fn runs(&self, _: &UndoRequest) -> Result<RunList> {
        Ok(RunList::default())
    }

    fn undo_run(&self, request: &UndoRequest) -> Result<Undone> {
        Ok(Undone { dry_run: request.dry_run, ..Undone::default() })
    }

    fn reclaim(&self, request: &ReclaimRequest, _: &dyn Progress) -> Result<Box<dyn Reclaiming>> {
        let rows = Reclaimed { dry_run: request.dry_run, ..Reclaimed::default() };
        Ok(Box::new(Freed(rows)))
    }

    fn is_exported(&self, _: &MigrateRequest) -> Result<bool> {
        Ok(false)
    }
}

#[derive(Debug)]
struct Mended(Repair);

impl Repairing for Mended {
    fn plan(&self) -> &Repair {
        &self.0
    }

    fn apply(self: Box<Self>, _: &dyn Progress) -> Result<Repair> {
        Ok(self.0)
    }
}

#[derive(Debug)]
struct Planned(Migration);

impl Prepared for Planned {
    fn plan(&self) -> &Migration {
        &self.0
    }

    fn fingerprint(&self) -> Result<FingerprintRow> {
        let digest = |text: &str| text.to_owned();
        Ok(FingerprintRow { source: digest("s"), target: digest("t"), plan: digest("p") })
    }

    fn apply(self: Box<Self>, progress: &dyn Progress) -> Result<Migration> {
        assert!(!self.0.dry_run, "a dry run carries nothing out");
        progress.start(10, 1);
        progress.advance(10);
        Ok(self.0)
    }
}

fn tranship(words: &str, ops: &Sample) -> (Exit, String, String) {
    let words = std::iter::once("tranship").chain(words.split_whitespace());
    let cli = Cli::try_parse_from(words).expect("the words are a command");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = run(&cli, &mut Ui::plain(&mut out, &mut err, sample::now()), ops);
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    (exit, text(out), text(err))
}

#[test]
fn every_verb_speaks_json_on_stdout_and_nothing_else() {
    for words in [
        "status --json",
        "images --json",
        "ps --json",
        "diff web --json",
        "recipe web --json",
        "inspect vol1 --json",
        "migrate --to containerd -n --json",
        "volumes --json",
        "verify --json",
        "verify a b --quick --json",
        "usage --json",
        "usage a b --by image --json",
        "volumes export db -o x.tar --json",
        "volumes import x db --root y -n --json",
    ] {
        let (exit, out, err) = tranship(words, &Sample::default());
        assert_eq!((exit, err.as_str()), (Exit::Done, ""), "{words}");
        assert!(serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{words}: {out}");
    }
    let (_, out, _) = tranship("images --json", &Sample::default());
    let rows: Vec<rows::images::ImageRow> = serde_json::from_str(&out).expect("rows");
    assert_eq!(rows, sample::images());
}

#[test]
fn data_goes_to_stdout_and_findings_to_stderr() {
    let (exit, out, err) = tranship("images -q --filter dangling=true", &Sample { finding: true });
    assert_eq!(exit, Exit::Findings);
    assert_eq!(out, "5f7df114d75a\n607341a3bb34\n");
    assert_eq!(
        err,
        "would not load[layer-without-image]: no image uses this layer\n  at /d/overlay2/9c\n"
    );
}

#[test]
fn a_report_of_what_is_wrong_is_the_answer_and_the_exit_code() {
    let (exit, out, err) = tranship("verify", &Sample { finding: true });
    assert_eq!((exit, err.as_str()), (Exit::Findings, ""));
    assert!(out.starts_with("Would not load\n  layer-without-image: no image"), "{out}");
    assert!(out.contains("1 thing is wrong."), "{out}");
    let (exit, out, _) = tranship("verify --quick -q", &Sample::default());
    assert_eq!((exit, out.as_str()), (Exit::Done, ""));
    let (_, out, _) = tranship("verify a b --json", &Sample::default());
    let report: VerifyReport = serde_json::from_str(&out).expect("a report");
    assert_eq!(report.bytes, 20, "of both");
}

#[test]
fn what_is_found_is_shown_although_another_is_not() {
    let (exit, out, err) = tranship("inspect vol1 none", &Sample { finding: true });
    assert_eq!(exit, Exit::Failed);
    assert!(out.contains("vol1") && err.contains("nothing is called so"), "{out}{err}");
}

#[test]
fn a_refusal_says_why_and_what_to_do() {
    let (exit, out, err) = tranship("images /d", &Sample::default());
    assert_eq!((exit, out.as_str()), (Exit::Refused, ""));
    assert_eq!(err, "error: dockerd is running\n\nhint: stop it\n");
}

#[test]
fn a_migration_shows_its_plan_then_its_outcome() {
    let (exit, out, err) = tranship("migrate --to containerd", &Sample::default());
    assert_eq!((exit, err.as_str()), (Exit::Done, ""));
    let plan = out.find("From  classic").expect("the plan");
    let done = out.find("Done: 3 images").expect("the outcome");
    assert!(plan < done, "{out}");
    let (_, out, _) = tranship("migrate --to containerd -n", &Sample::default());
    assert!(out.contains("this was a dry run"), "{out}");
    let quiet = tranship("migrate --to containerd -q", &Sample::default());
    assert_eq!(quiet, (Exit::Done, String::new(), String::new()));
}

#[test]
fn a_difference_is_a_letter_and_a_path_that_a_terminal_can_bear() {
    let (exit, out, err) = tranship("diff web", &Sample::default());
    assert_eq!((exit, err.as_str()), (Exit::Done, ""));
    assert_eq!(out, "C /etc\nC /etc/motd\nA /etc/new\\u{1b}[2J\nD /old\n");
    let (_, out, _) = tranship("diff web -v", &Sample::default());
    assert!(out.contains("C /etc/motd   size 9 → 4, mode 0600 → 0644\n"), "{out}");
    for words in ["diff a b c", "commit web"] {
        let (exit, out, err) = tranship(words, &Sample::default());
        assert_eq!((exit, out.as_str()), (Exit::Refused, ""), "{words}");
        assert!(err.starts_with("error: "), "{words}: {err}");
    }
}

#[test]
fn a_format_with_a_digest_shows_digests() {
    let format = "images --filter store=containerd --format {{.Repository}}@{{.Digest}}";
    let (_, out, _) = tranship(format, &Sample::default());
    assert!(out.starts_with("multi/arch@sha256:7738"), "{out}");
}

#[test]
fn words_that_are_no_command_are_a_usage_error() {
    for words in [
        "tranship",
        "tranship migrate",
        "tranship migrate --to podman",
        "tranship images --format {{.Nope}}",
        "tranship images --filter size=1",
        "tranship images --tree --json",
        "tranship migrate --to containerd --threshold lots",
        "tranship migrate --to containerd --jobs 0",
        "tranship migrate --to containerd --switch --into x",
    ] {
        let error = Cli::try_parse_from(words.split_whitespace()).expect_err(words);
        assert_eq!(error.exit_code(), 2, "{words}");
    }
}

#[test]
fn every_shell_gets_a_script() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (exit, out, _) = tranship(&format!("completions {shell}"), &Sample::default());
        assert_eq!(exit, Exit::Done);
        assert!(out.contains("tranship") && out.contains("COMPLETE"), "{shell}");
    }
}

#[test]
fn a_log_goes_where_its_container_wrote_it() {
    let sample = Sample { finding: true };
    let (exit, out, err) = tranship("logs web", &sample);
    assert_eq!((exit, out.as_str()), (Exit::Findings, "one\nlong line\n"));
    assert!(err.starts_with("bad\nwould not load["), "{err}");
    let (_, out, err) = tranship("logs web -t --details --stream stdout", &Sample::default());
    let time = "2026-11-20T17:27:44.000000005Z";
    assert_eq!(out, format!("{time} a+b=%2F,c= one\n{time}  long {time}  line\n"));
    assert_eq!(err, "");
    let (_, out, _) = tranship("logs web --json", &Sample::default());
    let rows: Vec<rows::logs::LogRow> =
        out.lines().map(|line| serde_json::from_str(line).expect("a row")).collect();
    assert_eq!(rows.len(), 4);
    assert_eq!((rows[1].stream.as_str(), rows[1].log.as_str()), ("stderr", "bad\n"));
    assert!(rows[2].partial && !rows[3].partial && rows[0].attrs["a b"] == "/");
}

#[test]
fn volumes_that_a_daemon_would_take_for_unused_are_told() {
    let (exit, out, err) = tranship("volumes", &Sample::default());
    assert_eq!(exit, Exit::Done);
    assert!(out.contains("old-db (hidden)"), "{out}");
    assert!(err.contains("hint: db is used by containers alone"), "{err}");
    let (_, out, err) = tranship("volumes -q --filter dangling=true", &Sample::default());
    assert_eq!((out.as_str(), err.as_str()), ("share\n", ""));
    let (_, out, _) = tranship("volumes --no-size --format {{.Size}}", &Sample::default());
    assert_eq!(out, "N/A\n".repeat(4));
    let (_, out, _) = tranship("volumes import x db --root y -n", &Sample::default());
    assert_eq!(out, "db: 0 files, 0B\nNothing was written: this was a dry run.\n");
}
