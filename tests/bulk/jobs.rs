//! Files of jobs, and progress for programs.

use super::*;

fn jobs(folder: &TempDir) {
    copy(folder, CLASSIC, "root.tar.zst");
    write(
        folder,
        "jobs.toml",
        r#"
        [defaults]
        source = "root.tar.zst"
        snapshots = "none"
        to = "containerd"

        [[jobs]]
        name = "lost"
        images = ["no/such:image"]
        into = "lost"

        [[jobs]]
        into = "moved"
        images = ["weird:1", "tiny/base:1"]

        [[jobs]]
        name = "out"
        to = "layout"
        format = "oci"
        into = "out"
        exclude = ["*/team/*"]
        "#,
    );
}

/// The names and outcomes of jobs.
fn outcomes(reports: &Value) -> Vec<(&str, &str)> {
    let reports = reports.as_array().expect("a list of jobs");
    reports.iter().filter_map(|r| Some((r["name"].as_str()?, r["outcome"].as_str()?))).collect()
}

#[test]
fn a_job_that_fails_does_not_stop_the_others() {
    let (folder, elsewhere) = (folder(), TempDir::new().expect("a temporary folder"));
    jobs(&folder);
    let file = folder.path().join("jobs.toml");
    let planned = json_of(&elsewhere, &["run", text(&file), "--json", "-n"], 2);
    assert_eq!(outcomes(&planned), [("lost", "failed"), ("2", "done"), ("out", "done")]);
    assert!(!folder.path().join("moved").exists() && !folder.path().join("out").exists());

    let stopped = json_of(&elsewhere, &["run", text(&file), "--json", "--fail-fast"], 3);
    assert_eq!(outcomes(&stopped), [("lost", "failed"), ("2", "not_run"), ("out", "not_run")]);

    let done = json_of(&elsewhere, &["run", text(&file), "--json", "--keep-going"], 2);
    assert_eq!(outcomes(&done), [("lost", "failed"), ("2", "done"), ("out", "done")]);
    assert!(done[0]["error"]["place"].as_str().is_some_and(|place| place == "no/such:image"));
    assert_eq!(done[0]["exit"], 2);
    assert_eq!(done[1]["report"]["images"].as_array().map(Vec::len), Some(2));
    let images = json_of(&folder, &["images", "moved", "--json"], 0);
    assert_eq!(images.as_array().map(Vec::len), Some(2));
    assert!(folder.path().join("out/index.json").exists());
}

#[test]
fn a_run_that_was_interrupted_goes_on() {
    let folder = folder();
    jobs(&folder);
    tranship(&folder, &["run", "jobs.toml", "-q"]);
    let again = json_of(&folder, &["run", "jobs.toml", "--json"], 2);
    assert_eq!(outcomes(&again), [("lost", "failed"), ("2", "done"), ("out", "skipped")]);
    let actions = again[1]["report"]["images"].as_array().expect("images").iter();
    assert!(actions.clone().all(|image| image["action"] == "present"), "{again}");
    let (_, out, _) = tranship(&folder, &["run", "jobs.toml"]);
    assert!(out.contains("Job 3 of 3: out\nNothing to do: its output is there already"), "{out}");

    // What is not whole, or is something else, is not taken for the export.
    fs::rename(folder.path().join("out/index.json"), folder.path().join("index.json"))
        .expect("it was written");
    let broken = json_of(&folder, &["run", "jobs.toml", "--json"], 3);
    assert_eq!(outcomes(&broken)[2], ("out", "refused"));
    fs::rename(folder.path().join("index.json"), folder.path().join("out/index.json"))
        .expect("it was written");
    let text = String::from_utf8(read(&folder, "jobs.toml")).expect("text");
    write(&folder, "other.toml", &text.replace("*/team/*", "weird:*"));
    let other = json_of(&folder, &["run", "other.toml", "--json"], 3);
    assert_eq!(outcomes(&other)[2], ("out", "refused"));
}

#[test]
fn what_is_no_job_file_is_said_with_its_line() {
    let folder = folder();
    for (name, text, said) in [
        ("a.toml", "[[jobs]]\nto = \"classic\"\ncolour = 1\n", "line 3, column 1: unknown field"),
        ("b.json", "{\"jobs\": [{\"to\": \"x\"}]}", "line 1, column 20: unknown variant `x`"),
        ("c.toml", "[[jobs]]\nto = \"layout\"\n", "needs `into`"),
        ("d.toml", "\u{1b}[2J", "line 1, column 2"),
    ] {
        write(&folder, name, text);
        let (code, out, err) = tranship(&folder, &["run", name]);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.contains(said) && err.contains(name), "{err}");
        assert!(!err.contains('\u{1b}'), "{err:?}");
    }
}

fn events(err: &str) -> Vec<Value> {
    let lines = err.lines().filter(|line| line.starts_with('{'));
    lines.map(|line| serde_json::from_str(line).expect("an event is JSON")).collect()
}

#[test]
fn progress_for_programs_ends_with_all_bytes() {
    let folder = folder();
    let root = fixture(CLASSIC);
    let export = ["export", text(&root), "-o", "out.tar", "-q", "--progress", "json"];
    let (code, out, err) = tranship(&folder, &export);
    assert_eq!((code, out.as_str()), (0, ""));
    let told = events(&err);
    assert_eq!(told.len(), err.lines().count(), "{err}");
    let (first, last) = (&told[0], &told[told.len() - 1]);
    assert_eq!((&first["event"], &last["event"]), (&json!("start"), &json!("done")));
    assert!(first["bytes"].as_u64().expect("bytes") > 1_000_000);
    assert_eq!((&first["bytes"], &first["layers"]), (&last["bytes"], &last["layers"]));
    let progress = || told.iter().filter(|event| event["event"] == "progress");
    let bytes: Vec<_> = progress().filter_map(|event| event["bytes"].as_u64()).collect();
    assert!(bytes.is_sorted() && bytes.last().copied() == first["bytes"].as_u64(), "{bytes:?}");

    let (code, _, err) = tranship(&folder, &export);
    assert_eq!(code, 3, "{err}");
    let told = events(&err);
    assert_eq!((&told[0]["event"], &told[0]["exit"]), (&json!("failed"), &json!(3)));
    jobs(&folder);
    let (_, _, err) = tranship(&folder, &["run", "jobs.toml", "-q", "--progress", "json"]);
    let ends = events(&err).into_iter().filter(|e| e["event"] == "done" || e["event"] == "failed");
    let jobs: Vec<_> = ends.map(|event| event["job"].clone()).collect();
    assert_eq!(jobs, ["lost", "2", "out"]);
    let (_, _, err) = tranship(&folder, &["run", "jobs.toml", "-q", "--progress", "none"]);
    assert!(events(&err).is_empty(), "{err}");
}
