//! What is set right, and undone, as a person reads it.

use crate::cli::render::text::{count, printable, wrap};
use crate::cli::render::undo::containers;
use crate::cli::render::units;
use crate::cli::rows::repair::{MendOutcome, MovedRow, NotedRow, Repair, RunList, RunRow, Undone};

/// More of one sort in a row are not all shown.
const MOST: usize = 8;
const SHOWN: usize = 3;

/// Returns what will be done, and what cannot.
pub(crate) fn plan(rows: &Repair, width: usize) -> String {
    let mut out = String::new();
    for run in &rows.finished {
        let verb = if rows.dry_run { "would be finished first" } else { "is finished" };
        let text = format!("Run {} ({}) was interrupted, and {verb}.", run.number, run.verb);
        out += &(wrap(&text, width, "  ") + "\n");
    }
    if rows.mends.is_empty() && rows.unmendable.is_empty() {
        return out + &format!("Nothing to repair in {}.\n", printable(&rows.root));
    }
    if !rows.mends.is_empty() {
        let (mends, bytes) = (rows.mends.len() as u64, rows.mends.iter().map(|mend| mend.bytes));
        let bytes = units::size(bytes.fold(0, u64::saturating_add));
        let things = count(mends, "thing");
        out += &format!("{things} to set right in {}, {bytes} to write:\n", printable(&rows.root));
    }
    for same in rows.mends.chunk_by(|one, next| one.code == next.code) {
        let shown = if same.len() > MOST { SHOWN } else { same.len() };
        for mend in same.iter().take(shown) {
            out += &damage(&mend.code, &mend.place, &mend.what, width);
            out += &item("will", &mend.how, width);
        }
        if let Some(first) = same.first().filter(|_| same.len() > shown) {
            let more = same.len() - shown;
            out += &format!("  {}: {more} more; --json lists all\n", printable(&first.code));
        }
    }
    if !rows.unmendable.is_empty() {
        let things = count(rows.unmendable.len() as u64, "thing");
        out += &format!("{things} cannot be set right:\n");
    }
    for one in &rows.unmendable {
        out += &damage(&one.code, &one.place, &one.what, width);
        out += &item("missing", &one.missing, width);
    }
    if rows.dry_run {
        out += "Nothing was changed: this was a dry run.\n";
    }
    out
}

fn damage(code: &str, place: &str, what: &str, width: usize) -> String {
    let head = format!("  {}: {}", printable(code), printable(what));
    let mut out = wrap(&head, width, "    ") + "\n";
    if !place.is_empty() {
        out += &format!("    at {}\n", printable(place));
    }
    out
}

fn item(word: &str, text: &str, width: usize) -> String {
    wrap(&format!("    {word}: {}", printable(text)), width, "      ") + "\n"
}

/// Returns what was done, and how to undo it.
pub(crate) fn done(rows: &Repair, width: usize) -> String {
    let done = rows.mends.iter().filter(|mend| mend.outcome == MendOutcome::Done).count();
    let Some(number) = rows.number else { return String::new() };
    let text = format!(
        "{} set right. What gave way is kept in tranship/quarantine/{number}; \
         `tranship undo` puts it back.",
        count(done as u64, "thing")
    );
    wrap(&text, width, "") + "\n"
}

/// Returns what could not be done.
pub(crate) fn failures(rows: &Repair, width: usize) -> String {
    let mut out = String::new();
    for mend in &rows.mends {
        let why = match (mend.outcome, &mend.error) {
            (MendOutcome::Planned | MendOutcome::Done, _) => continue,
            (MendOutcome::Changed, _) => "it was changed by somebody else meanwhile",
            (MendOutcome::Failed, None) => "it could not be got ready",
            (MendOutcome::Failed, Some(error)) => error.as_str(),
        };
        let text = format!("not done: {} at {}: {why}", mend.code, mend.place);
        out += &(wrap(&printable(&text), width, "  ") + "\n");
    }
    out
}

/// Returns what can be undone, the newest first.
pub(crate) fn list(rows: &RunList, width: usize) -> String {
    let runs = rows.runs.iter().map(|run| self::run(run, width));
    let out = rows.moved.iter().map(|one| moved(one, width)).chain(runs).collect::<String>();
    if out.is_empty() { "Nothing was done that can be undone.\n".to_owned() } else { out }
}

fn run(run: &RunRow, width: usize) -> String {
    let state = match run.state.as_str() {
        "done" => "",
        "dropping" => ", being deleted",
        _ => ", interrupted",
    };
    let head = format!("{}: {}, {}{state}\n", run.number, printable(&run.verb), run.at);
    head + &run.mends.iter().map(|mend| noted(mend, width)).collect::<String>()
}

fn noted(mend: &NotedRow, width: usize) -> String {
    let text = format!("  {}: {}", printable(&mend.code), printable(&mend.how));
    wrap(&text, width, "    ") + &format!("\n    at {}\n", printable(&mend.place))
}

fn moved(moved: &MovedRow, width: usize) -> String {
    let all = count(moved.containers.len() as u64, "container");
    let text =
        format!("containers: {all} moved to {}, {}", printable(&moved.to), printable(&moved.at));
    wrap(&text, width, "  ") + "\n"
}

/// Returns what was undone.
pub(crate) fn undone(rows: &Undone, width: usize) -> String {
    if rows.dry_run {
        let runs = rows.runs.iter().map(|run| self::run(run, width));
        let out: String = rows.moved.iter().map(|one| moved(one, width)).chain(runs).collect();
        return format!("Would be undone:\n{out}Nothing was changed: this was a dry run.\n");
    }
    let mut out = containers(&rows.containers, width);
    for run in &rows.runs {
        out += &format!("Undone: run {}, {}\n", run.number, printable(&run.verb));
        out += &run.mends.iter().map(|mend| noted(mend, width)).collect::<String>();
    }
    out
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::cli::rows::repair::{MendRow, UnmendableRow};

    fn repair() -> Repair {
        let mend = |code: &str, place: &str, what: &str, how: &str| MendRow {
            code: code.into(),
            place: place.into(),
            what: what.into(),
            how: how.into(),
            bytes: 1200,
            outcome: MendOutcome::Planned,
            error: None,
        };
        Repair {
            root: "/var/lib/docker".into(),
            mends: vec![
                mend(
                    "layer-unreadable",
                    "/var/lib/docker/image/overlay2/layerdb/sha256/9c/diff",
                    "found an empty file, wanted a digest",
                    "write the diff ID that the image config has for this layer",
                ),
                mend("names-unreadable", "/d/repositories.json", "no JSON", "write it anew"),
            ],
            unmendable: vec![UnmendableRow {
                code: "image-unloadable".into(),
                place: "/d/imagedb/9c\u{1b}".into(),
                what: "the image's layer sha256:9c is missing".into(),
                missing: "the layer; no other store has it".into(),
            }],
            finished: vec![runs().runs[0].clone()],
            ..Repair::default()
        }
    }

    fn runs() -> RunList {
        let mends = vec![NotedRow {
            code: "layer-unreadable".into(),
            place: "/var/lib/docker/image/overlay2/layerdb/sha256/9c/diff".into(),
            what: "found an empty file".into(),
            how: "write the diff ID".into(),
        }];
        let run = RunRow {
            number: 2,
            verb: "repair".into(),
            at: "2026-11-20T17:27:46Z".into(),
            state: "begun".into(),
            mends,
        };
        let moved = MovedRow {
            to: "overlayfs".into(),
            containers: vec!["c0".into()],
            at: "2026-11-19T17:27:46Z".into(),
        };
        RunList { runs: vec![run], moved: Some(moved), findings: Vec::new() }
    }

    #[test]
    fn a_plan_tells_what_is_wrong_and_what_is_done() {
        let rows = repair();
        assert_snapshot!(plan(&Repair { dry_run: true, ..rows.clone() }, 76), @r"
        Run 2 (repair) was interrupted, and would be finished first.
        2 things to set right in /var/lib/docker, 2.4kB to write:
          layer-unreadable: found an empty file, wanted a digest
            at /var/lib/docker/image/overlay2/layerdb/sha256/9c/diff
            will: write the diff ID that the image config has for this layer
          names-unreadable: no JSON
            at /d/repositories.json
            will: write it anew
        1 thing cannot be set right:
          image-unloadable: the image's layer sha256:9c is missing
            at /d/imagedb/9c\u{1b}
            missing: the layer; no other store has it
        Nothing was changed: this was a dry run.
        ");
        let mut rows = Repair { number: Some(3), ..rows };
        rows.mends[0].outcome = MendOutcome::Done;
        rows.mends[1].outcome = MendOutcome::Failed;
        rows.mends[1].error = Some("/d/x: no space left on device".into());
        assert_snapshot!(done(&rows, 76) + &failures(&rows, 76), @r"
        1 thing set right. What gave way is kept in tranship/quarantine/3; `tranship
        undo` puts it back.
        not done: names-unreadable at /d/repositories.json: /d/x: no space left on
          device
        ");
        assert_snapshot!(plan(&Repair { root: "/d".into(), ..Repair::default() }, 76), @r"Nothing to repair in /d.");
    }

    #[test]
    fn runs_are_listed_the_newest_first() {
        let rows = runs();
        assert_snapshot!(list(&rows, 76), @r"
        containers: 1 container moved to overlayfs, 2026-11-19T17:27:46Z
        2: repair, 2026-11-20T17:27:46Z, interrupted
          layer-unreadable: write the diff ID
            at /var/lib/docker/image/overlay2/layerdb/sha256/9c/diff
        ");
        assert_snapshot!(list(&RunList::default(), 76), @r"Nothing was done that can be undone.");
        let undone = Undone { runs: rows.runs, ..Undone::default() };
        assert_snapshot!(self::undone(&undone, 76), @r"
        Undone: run 2, repair
          layer-unreadable: write the diff ID
            at /var/lib/docker/image/overlay2/layerdb/sha256/9c/diff
        ");
        let undone = Undone { dry_run: true, moved: rows.moved, ..Undone::default() };
        assert_snapshot!(self::undone(&undone, 76), @r"
        Would be undone:
        containers: 1 container moved to overlayfs, 2026-11-19T17:27:46Z
        Nothing was changed: this was a dry run.
        ");
    }
}
