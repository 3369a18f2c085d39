//! Plans that are kept, job files and progress for programs, as a user runs them. Needs neither root
//! rights nor Docker.

#![expect(clippy::disallowed_methods, reason = "tests look at real files and run commands")]

mod jobs;
mod plans;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

const CLASSIC: &str = "classic-28.tar.zst";
const HIDDEN: &str = "hidden-28.tar.zst";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roots").join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a test's path is UTF-8")
}

fn folder() -> TempDir {
    TempDir::new().expect("a temporary folder")
}

/// Runs the command in `folder`, and returns its exit code, stdout and stderr.
fn tranship(folder: &TempDir, args: &[&str]) -> (i32, String, String) {
    let output: Output = Command::new(env!("CARGO_BIN_EXE_tranship"))
        .args(args)
        .current_dir(folder.path())
        .env_remove("COLUMNS")
        .output()
        .expect("the command can be started");
    let [out, err] = [output.stdout, output.stderr];
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    (output.status.code().expect("it exits"), text(out), text(err))
}

/// Runs the command, which is to end with `code`, and returns stdout as JSON.
fn json_of(folder: &TempDir, args: &[&str], code: i32) -> Value {
    let (found, out, err) = tranship(folder, args);
    assert_eq!(found, code, "{args:?}: {err}");
    serde_json::from_str(&out).expect("--json prints JSON")
}

fn read(folder: &TempDir, name: &str) -> Vec<u8> {
    fs::read(folder.path().join(name)).expect(name)
}

fn write(folder: &TempDir, name: &str, text: &str) {
    fs::write(folder.path().join(name), text).expect("my own folder");
}

fn copy(folder: &TempDir, root: &str, name: &str) {
    fs::copy(fixture(root), folder.path().join(name)).expect("the fixture is there");
}

#[test]
fn several_roots_are_looked_at_in_one_call() {
    let folder = folder();
    let [classic, hidden] = [fixture(CLASSIC), fixture(HIDDEN)];
    let roots = [text(&classic), "/no/such/root", text(&hidden)];
    let (code, out, err) = tranship(&folder, &[&["images", "--json"], &roots[..]].concat());
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("/no/such/root"), "{err}");
    let rows: Value = serde_json::from_str(&out).expect("JSON");
    let named: Vec<_> = rows.as_array().expect("rows").iter().map(|row| &row["root"]).collect();
    assert!(named.contains(&&json!(roots[0])) && named.contains(&&json!(roots[2])), "{named:?}");
    assert_eq!(named.chunk_by(|a, b| a == b).count(), 2, "{named:?}");
    let (_, out, _) = tranship(&folder, &[&["images"], &roots[..]].concat());
    assert!(out.starts_with(roots[0]) && out.contains(&format!("\n{}\n", roots[2])), "{out}");

    let (code, out, err) = tranship(&folder, &[&["status", "--json"], &roots[..]].concat());
    assert_eq!(code, 2, "{err}");
    let status: Value = serde_json::from_str(&out).expect("JSON");
    let paths: Vec<_> =
        status["roots"].as_array().expect("roots").iter().map(|root| &root["path"]).collect();
    assert_eq!(paths, [roots[0], roots[2]]);
}

#[test]
fn every_verb_that_writes_tells_its_exit_codes() {
    let folder = folder();
    for verb in ["migrate", "export", "import", "apply", "run"] {
        let (code, out, _) = tranship(&folder, &[verb, "--help"]);
        assert_eq!(code, 0, "{verb}");
        for line in ["Exit codes:", "0  done", "1  done, with", "2  failed", "3  refused"] {
            assert!(out.contains(line), "{verb}: {line:?} is missing in {out}");
        }
    }
}
