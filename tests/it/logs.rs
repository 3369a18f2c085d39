//! Logs of recorded roots, as Docker printed them; and logs as crashes and rotation leave them.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tranship::error::Result;
use tranship::format::docker::log::{Form, Record};
use tranship::model::Finding;
use tranship::op::host::{Host, Known, open, survey};
use tranship::op::logs::{self, Wanted};
use tranship::store::logs as files;
use tranship::tree::{Memory, Sink, TreePath, path, write};

use crate::support::carried::host;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roots").join(name)
}

fn recorded(name: &str) -> Host {
    let opened = open(Some(&fixture(&format!("{name}.tar.zst")))).expect("a recorded root");
    survey(&opened, &Known { platform: host(), ..Known::default() }).expect("a recorded root")
}

fn said_by_docker(name: &str) -> Value {
    let file = std::fs::File::open(fixture(&format!("{name}.json.zst"))).expect("a fixture");
    let mut text = Vec::new();
    zstd::Decoder::new(file).expect("zstd").read_to_end(&mut text).expect("zstd");
    serde_json::from_slice(&text).expect("JSON")
}

#[test]
fn recorded_logs_are_what_docker_printed() {
    for (root, said) in [
        ("classic-28", "classic-28"),
        ("containerd-28", "containerd-28"),
        ("hidden-28", "classic-28"),
    ] {
        let (host, said) = (recorded(root), said_by_docker(said));
        let logs = said["logs"].as_object().expect("logs");
        assert_eq!(logs.len(), 6);
        for (id, wanted) in logs {
            let mut out = Vec::new();
            let mut each = |record: &Record<'_>| {
                if record.stream == "stdout" {
                    out.extend_from_slice(&record.log);
                }
                Ok(())
            };
            let at = host.container(id).expect(id);
            let findings = logs::read(&at, &Wanted::default(), &mut each).expect(id);
            assert!(findings.is_empty(), "{root} {id}: {findings:?}");
            assert_eq!(
                String::from_utf8_lossy(&out),
                wanted.as_str().expect("a text"),
                "{root} {id}"
            );
        }
    }
}

fn line(number: u32) -> String {
    let (hour, minute, second) = (number / 3600, number / 60 % 60, number % 60);
    let time = format!("2026-11-20T{hour:02}:{minute:02}:{second:02}Z");
    format!(r#"{{"log":"{number}\n","stream":"stdout","time":"{time}"}}"#) + "\n"
}

fn lines(numbers: std::ops::Range<u32>) -> Vec<u8> {
    numbers.map(line).collect::<String>().into_bytes()
}

fn local(numbers: std::ops::Range<u32>) -> Vec<u8> {
    let record = |number: u32| {
        let text = number.to_string();
        let body =
            [b"\x0a\x06stdout\x10\x05\x1a", &[text.len() as u8][..], text.as_bytes()].concat();
        let length = (body.len() as u32).to_be_bytes();
        [&length[..], &body, &length].concat()
    };
    numbers.flat_map(record).collect()
}

/// Packs as dockerd does, with its own note in the header.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let header = flate2::GzBuilder::new().extra(r#"{"lastTime":"2026-11-20T00:00:00Z"}"#);
    let mut out = header.write(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).expect("a vector takes every write");
    out.finish().expect("a vector takes every write")
}

fn tree(files: &[(&str, Vec<u8>)]) -> Memory {
    let tree = Memory::new();
    tree.make_dir(path("c"), 0o710).expect("a free name");
    for (name, bytes) in files {
        let at = path("c").child(name.as_bytes()).expect("a plain name");
        write(&tree, at.as_path(), 0o640, bytes).expect("a free name");
    }
    tree
}

fn read(tree: &Memory, form: Form, wanted: &Wanted) -> Result<(Vec<u32>, Vec<Finding>)> {
    let log = files::at(tree.tree(), path("c/log"), form)?.expect("there is a log");
    let mut numbers = Vec::new();
    let mut each = |record: &Record<'_>| {
        let text = String::from_utf8_lossy(&record.log);
        numbers.push(text.trim_end().parse().expect("a number"));
        Ok(())
    };
    let findings = logs::of_log(tree.tree(), &log, wanted, &mut each)?;
    Ok((numbers, findings))
}

fn last(tail: u64) -> Wanted {
    Wanted { tail: Some(tail), ..Wanted::default() }
}

#[test]
fn rotated_files_come_in_their_order() {
    for (form, make) in [(Form::Json, lines as fn(_) -> _), (Form::Local, local)] {
        let tree = tree(&[
            ("log", make(40..45)),
            ("log.1", make(30..40)),
            ("log.1.gz", gzip(&make(30..40))[..20].to_vec()),
            ("log.2.gz", gzip(&make(20..30))),
            ("log.10.gz", gzip(&make(0..10))),
            ("log.x", make(90..99)),
            ("log.3.gz.tmp", make(90..99)),
            ("log.0", make(90..99)),
            ("log.+1", make(90..99)),
            ("blog", make(90..99)),
        ]);
        let all: Vec<u32> = (0..10).chain(20..45).collect();
        for tail in [0, 1, 5, 6, 15, 16, 25, 27, 35, 36, u64::MAX] {
            let (found, findings) = read(&tree, form, &last(tail)).expect("a sound log");
            let from = all.len().saturating_sub(usize::try_from(tail).unwrap_or(usize::MAX));
            assert_eq!((found.as_slice(), findings.len()), (&all[from..], 0), "{form:?} {tail}");
        }
    }
}

#[test]
fn times_choose_as_docker_lets_them() {
    let tree = tree(&[
        ("log", [lines(10..20), lines(5..8), lines(20..30)].concat()),
        ("log.1", lines(0..10)),
    ]);
    let at = |number: u32| Some(format!("2026-11-20T00:00:{number:02}Z").parse().expect("a time"));
    for (since, until, wanted) in [
        (at(0), None, (0..20).chain(5..8).chain(20..30).collect::<Vec<_>>()),
        (at(18), None, (18..20).chain(5..8).chain(20..30).collect()),
        (None, at(12), (0..13).collect()),
        (at(9), at(19), (9..20).chain(5..8).collect()),
        (at(40), None, vec![]),
    ] {
        let (found, _) =
            read(&tree, Form::Json, &Wanted { since, until, tail: None }).expect("a log");
        assert_eq!(found, wanted, "{since:?} {until:?}");
    }
}

#[test]
fn damage_is_told_and_passed_over() {
    let junk = b"junk\n".to_vec();
    let torn = line(9).into_bytes()[..20].to_vec();
    let packed = gzip(&lines(0..2000));
    for (name, bytes, found, codes) in [
        ("sound", lines(0..3), 3, &[][..]),
        ("empty", vec![], 0, &[]),
        ("junk", [lines(0..2), junk.clone(), junk, lines(2..4)].concat(), 4, &["log-damaged"]),
        ("torn", [lines(0..2), torn.clone()].concat(), 2, &["log-torn"]),
        ("went on", [lines(0..2), torn.clone(), lines(2..4)].concat(), 4, &["log-damaged"]),
        ("zeros", [lines(0..2), vec![0; 5000]].concat(), 2, &["log-torn"]),
        ("zeros before", [lines(0..2), vec![0; 5000], lines(2..4)].concat(), 4, &["log-damaged"]),
    ] {
        let (numbers, findings) =
            read(&tree(&[("log", bytes.clone())]), Form::Json, &Wanted::default()).expect(name);
        assert_eq!(numbers, (0..found).collect::<Vec<_>>(), "{name}");
        let found: Vec<_> = findings.iter().map(|finding| finding.code).collect();
        assert_eq!(found, codes, "{name}");
        let (numbers, _) = read(&tree(&[("log", bytes)]), Form::Json, &last(1)).expect(name);
        assert!(numbers.len() <= 1, "{name}");
    }
    let half = packed[..packed.len() / 2].to_vec();
    let tree = tree(&[("log", lines(2000..2003)), ("log.1.gz", half)]);
    let (numbers, findings) = read(&tree, Form::Json, &Wanted::default()).expect("half a log");
    assert!(numbers.len() > 100 && numbers.ends_with(&[2000, 2001, 2002]), "{numbers:?}");
    assert_eq!(findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["log-unreadable"]);
}

#[test]
fn the_end_of_a_large_log_is_found_from_its_end() {
    // More than is looked at first, and a few times that.
    let many = 40_000;
    for (form, make) in [(Form::Json, lines as fn(_) -> _), (Form::Local, local)] {
        let tree = tree(&[("log", make(0..many))]);
        for tail in [1, 1000, 20_000, 39_999, 40_000, 50_000] {
            let (numbers, _) = read(&tree, form, &last(tail)).expect("a sound log");
            let from = many.saturating_sub(u32::try_from(tail).expect("few"));
            assert!(numbers.iter().copied().eq(from..many), "{form:?} {tail}: {}", numbers.len());
        }
    }
}

#[test]
fn a_log_is_found_by_its_driver() {
    let host = recorded("classic-28");
    let container = |name: &str| host.container(name).expect(name).container;
    let root = &*host.roots[0].tree;
    for (name, driver, form) in
        [("logs-long", "json-file", Form::Json), ("logs-local", "local", Form::Local)]
    {
        let found = files::driver(root, container(name)).expect(name);
        assert_eq!(found.as_deref(), Some(driver));
        // Another driver was meant, and this one's log is there still.
        for driver in [Some("local"), Some("json-file"), Some("fluentd"), None] {
            let log = files::find(root, container(name), driver).expect(name).expect(name);
            assert_eq!((log.form, log.files.len()), (form, 1), "{name} {driver:?}");
        }
    }
    assert!(files::at(root, TreePath::ROOT, Form::Json).expect("no log").is_none());
}
