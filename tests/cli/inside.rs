//! What is in images and containers of recorded roots, as a user asks for it.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::{err, fixture, out, path_text, tranship};

const ROOT: &str = "classic-28.tar.zst";

fn asked(verb: &str, words: &[&str]) -> std::process::Output {
    let root = fixture(ROOT);
    tranship(&[&[verb, "--root", path_text(&root)], words].concat())
}

fn done(verb: &str, words: &[&str]) -> Vec<u8> {
    let output = asked(verb, words);
    assert_eq!(output.status.code(), Some(0), "{verb} {words:?}: {}", err(&output));
    output.stdout
}

fn text(verb: &str, words: &[&str]) -> String {
    String::from_utf8(done(verb, words)).expect("text")
}

#[test]
fn files_are_listed_as_ls_does() {
    let root = text("ls", &["never-ran"]);
    assert!(root.lines().any(|line| line == "bin"), "{root}");
    let link = text("ls", &["-l", "never-ran:/bin/sh"]);
    assert!(
        link.starts_with("lrwxrwxrwx 1 0 0 0 ") && link.ends_with(" -> /bin/busybox\n"),
        "{link}"
    );
    assert_eq!(text("ls", &["never-ran:/bin/sh"]), "/bin/sh\n");
    let two = text("ls", &["never-ran:/etc", "changed:/etc"]);
    assert!(two.contains("never-ran:/etc:\n") && two.contains("\nchanged:/etc:\n"), "{two}");
    assert_eq!(text("ls", &["-d", "changed:/etc"]), "/etc\n");
    // The first word may be the root.
    let path = fixture(ROOT);
    let output = tranship(&["ls", path_text(&path), "never-ran"]);
    assert_eq!(out(&output), root);
    // Names cannot steer a terminal.
    let odd = text("ls", &["weird:1:/srv"]);
    assert!(odd.lines().any(|line| line == "new\\nline"), "{odd}");
}

#[test]
fn a_recursive_list_has_all_that_the_rows_have() {
    let rows: Value =
        serde_json::from_slice(&done("ls", &["-R", "--json", "weird:1"])).expect("JSON");
    let rows = rows.as_array().expect("rows");
    let paths: BTreeSet<_> = rows.iter().map(|row| row["path"].to_string()).collect();
    assert_eq!(paths.len(), rows.len());
    let lines = text("ls", &["-R", "weird:1"]);
    let folders = rows.iter().filter(|row| row["type"] == "dir").count() + 1;
    let files = lines.lines().filter(|line| !line.is_empty()).count() - folders;
    assert_eq!(files, rows.len());
    let named = |path: &str| rows.iter().find(|row| row["path"] == path).expect(path).clone();
    assert_eq!(named("/srv/setuid")["mode"], "4755");
    assert_eq!(named("/srv/null")["device"], "1:3");
    assert!(named("/srv/cap")["xattrs"]["security.capability"].is_string());
    let bytes = rows.iter().filter(|row| row["path_bytes"].is_string()).count();
    assert_eq!(bytes, 1, "one name is no UTF-8");
}

#[test]
fn what_is_not_there_is_said_and_the_rest_shown() {
    for (verb, word, code, what) in [
        ("ls", "changed:/none", 2, "no such file"),
        ("ls", "nobody", 2, "no image or container has this name"),
        ("cat", "changed:/bin", 2, "no bytes to print"),
        ("cat", "changed:/bin/sh/x", 2, "not a directory"),
        ("mount", "changed", 2, "only what is on this machine's disk"),
        ("ls", ":/x", 3, "names no image or container"),
    ] {
        let output = asked(verb, &[word]);
        assert_eq!(output.status.code(), Some(code), "{verb} {word}: {}", err(&output));
        assert!(err(&output).contains(what), "{verb} {word}: {}", err(&output));
    }
    let output = asked("ls", &["changed:/none", "changed:/bin"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(out(&output).contains("busybox"), "the other is listed");
}

#[test]
fn links_are_followed_inside_the_root_alone() {
    let busybox = done("cat", &["never-ran:/bin/busybox"]);
    assert!(busybox.starts_with(b"\x7fELF"));
    assert_eq!(done("cat", &["never-ran:/bin/sh"]), busybox);
    assert_eq!(done("cat", &["never-ran:/../../bin/../bin/sh"]), busybox);
}

#[test]
fn copies_go_where_docker_would_put_them() {
    let folder = TempDir::new().expect("a temporary folder");
    let at = |name: &str| path_text(&folder.path().join(name)).to_owned();
    let here = path_text(folder.path()).to_owned();
    let is_dir = |name: &str| folder.path().join(name).is_dir();
    let copy =
        |from: &str, to: &str, more: &[&str]| asked("cp", &[&["-q", from, to], more].concat());
    let code = |output: &std::process::Output| output.status.code();
    // A file: into a folder, under a new name, in place of another file.
    for to in [here.clone(), at("busy"), at("busy")] {
        let output = copy("never-ran:/bin/busybox", &to, &[]);
        assert_eq!(code(&output), Some(0), "{to}: {}", err(&output));
    }
    assert_eq!(fs::read(at("busybox")).expect("a copy"), fs::read(at("busy")).expect("a copy"));
    assert_eq!(fs::metadata(at("busy")).expect("a copy").mode() & 0o777, 0o755);
    // A folder that is not there gets what is in it; one that is there gets the folder.
    for (from, made) in [("weird:1:/old", "new/four"), ("weird:1:/old", "new/old/four")] {
        assert_eq!(code(&copy(from, &at("new"), &[])), Some(0));
        assert!(folder.path().join(made).exists(), "{made}");
    }
    fs::create_dir(at("inside")).expect("a folder of my own");
    assert_eq!(code(&copy("weird:1:/old/.", &at("inside"), &[])), Some(0));
    assert!(folder.path().join("inside/four").exists() && !is_dir("inside/old"));
    // A link, and what it leads to.
    assert_eq!(code(&copy("never-ran:/bin/sh", &here, &[])), Some(0));
    assert!(fs::symlink_metadata(at("sh")).expect("a copy").is_symlink());
    assert_eq!(code(&copy("never-ran:/bin/sh", &at("followed"), &["-L"])), Some(0));
    assert!(fs::symlink_metadata(at("followed")).expect("a copy").is_file());
    // Nothing is replaced but a file by a file, and no link leads out.
    for (from, to) in [
        ("weird:1:/old", at("busy")),
        ("weird:1:/old/.", at("inside")),
        ("weird:1:/old", at("new")),
        ("never-ran:/bin/busybox", at("none/")),
        ("never-ran:/bin/busybox", at("none/x")),
    ] {
        assert!(matches!(code(&copy(from, &to, &[])), Some(2 | 3)), "{from} {to}");
    }
    std::os::unix::fs::symlink("/nowhere", at("leads-out")).expect("a link of my own");
    assert_eq!(code(&copy("never-ran:/bin/busybox", &at("leads-out"), &[])), Some(0));
    assert!(fs::symlink_metadata(at("leads-out")).expect("a copy").is_file());
    let left = fs::read_dir(folder.path()).expect("a folder").filter_map(|entry| entry.ok());
    let left: Vec<_> = left.filter(|e| e.file_name().to_string_lossy().starts_with('.')).collect();
    assert!(left.is_empty(), "{left:?}");
}

fn members(bytes: &[u8]) -> Vec<(String, u64)> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().expect("a tar");
    let member = |entry: std::io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.expect("a member");
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("its bytes");
        (path, content.len() as u64)
    };
    entries.map(member).collect()
}

#[test]
fn a_tar_has_each_name_once() {
    let all = members(&done("export", &["--rootfs", "weird:1", "-o", "-"]));
    let names: BTreeSet<_> = all.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names.len(), all.len(), "a folder is written once");
    let position = |name: &str| all.iter().position(|(found, _)| found == name).expect(name);
    assert!(position("srv/") < position("srv/setuid"));
    let rows: Value =
        serde_json::from_slice(&done("ls", &["-R", "--json", "weird:1"])).expect("JSON");
    // The root has an entry too.
    assert_eq!(names.len(), rows.as_array().expect("rows").len() + 1);
    let one = members(&done("cp", &["never-ran:/bin/sh", "-", "-L"]));
    assert_eq!(one[0].0, "sh");
    let folder = members(&done("cp", &["weird:1:/old", "-"]));
    assert_eq!(
        folder.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
        ["old/", "old/four"]
    );
    let inside = members(&done("cp", &["weird:1:/old/.", "-"]));
    assert!(inside.iter().any(|(name, _)| name == "four"), "{inside:?}");
}

#[test]
fn a_root_file_system_is_written_to_a_new_tar() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("web.tar");
    let words = ["--rootfs", "changed", "-o", path_text(&file)];
    done("export", &words);
    assert_eq!(members(&fs::read(&file).expect("it is there")).len(), 307);
    assert_eq!(asked("export", &words).status.code(), Some(3), "it is there already");
    assert_eq!(asked("export", &["--rootfs", "a", "b", "-o", "-"]).status.code(), Some(3));
    assert!(Path::new(&file).exists());
}
