//! The record of a layer's tar: never read by the daemon at its start, so the migration finds out.

use std::io::Write as _;

use flate2::write::GzEncoder;
use tranship::format::tar_split::{Crc, Writer};
use tranship::model::Severity::DataLost;
use tranship::tree::{Memory, Sink as _, Special, path};

use super::{ALL, Case, case, instead, run};
use crate::support::classic::{Classic, put};

/// The image `app` is lost, and no other: `other` has the same layer on another parent.
const OTHERS: &str = "base:1 other:1";

/// Returns a case in which the record of the layer `code` on `base` is replaced.
macro_rules! record {
    ($name:literal, $record:expr, $at:literal, $what:literal) => {
        Case {
            name: $name,
            harm: |c, tree| {
                let record: fn(&Classic) -> Vec<u8> = $record;
                let bytes = record(c);
                put(tree, &c.layerdb(&["base", "code"], "tar-split.json.gz"), &bytes);
            },
            findings: &[("layer-damaged", DataLost, $at, $what)],
            arrive: OTHERS,
        }
    };
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).expect("a vector takes every write");
    out.finish().expect("a vector takes every write")
}

/// Returns a record of one file called `name` with `bytes`.
fn naming(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    writer.segment(&[b'x'; 512]).expect("a vector takes every write");
    let content = Some((bytes.len() as u64, Crc::of(bytes)));
    writer.file(name.as_bytes(), content).expect("a vector takes every write");
    gzip(&writer.into_inner())
}

fn sound(c: &Classic) -> Vec<u8> {
    crate::support::classic::record(&c.tar("code"))
}

#[test]
fn records_that_are_no_records() {
    const RECORD: &str = "/tar-split.json.gz";
    run(vec![
        case(
            "missing",
            |c, tree| {
                let file = c.layerdb(&["base", "code"], "tar-split.json.gz");
                tree.remove(path(&file)).expect("below the root");
            },
            &[("layer-damaged", DataLost, RECORD, "the record of the layer's tar")],
            OTHERS,
        ),
        case(
            "a pipe",
            |c, tree| {
                instead(tree, &c.layerdb(&["base", "code"], "tar-split.json.gz"), &Special::Fifo);
            },
            &[("layer-damaged", DataLost, RECORD, "not a regular file")],
            OTHERS,
        ),
        record!("empty", |_| Vec::new(), "/tar-split.json.gz", "unexpected end of file"),
        record!("not compressed", |_| vec![b' '; 40], "/tar-split.json.gz", "invalid gzip header"),
        record!("of nothing", |_| gzip(b""), "/diff", "0 bytes hash to"),
        record!("cut off", |c| sound(c)[..60].to_vec(), "/tar-split.json.gz", ""),
        record!("no gzip", |_| b"\x1f\x8b garbage".to_vec(), "/tar-split.json.gz", ""),
        record!("no JSON", |_| gzip(b"{{{{"), "/tar-split.json.gz", "no tar-split entry"),
        record!(
            "a line without end",
            |_| gzip(&[b"{\"type\":2,\"payload\":\"", &vec![b'A'; 65 << 20][..]].concat()),
            "/tar-split.json.gz",
            "an entry of more than"
        ),
        record!(
            "a size below nothing",
            |_| gzip(b"{\"type\":1,\"name\":\"app/run\",\"size\":-1,\"payload\":\"AAAAAAAAAAA=\"}"),
            "/tar-split.json.gz",
            "a size of -1"
        ),
        record!(
            "more than the file has",
            |_| gzip(
                b"{\"type\":1,\"name\":\"app/run\",\"size\":9223372036854775807,\
                \"payload\":\"AAAAAAAAAAA=\"}"
            ),
            "/diff/app/run",
            "found 27 bytes, wanted 9223372036854775807"
        ),
        record!(
            "another layer's",
            |c| crate::support::classic::record(&c.tar("base")),
            "/diff/bin",
            "bin/sh of the layer"
        ),
    ]);
}

#[test]
fn records_that_lead_elsewhere() {
    run(vec![
        record!("out by dots", |_| naming("../../x", b"secret"), "", "../../x of the layer"),
        record!("to the host", |_| naming("/etc/passwd", b"root"), "", "/etc/passwd of the layer"),
        record!("a folder", |_| naming("app", b"bytes"), "/app", "app of the layer"),
        record!(
            "a link to a folder",
            |_| naming("app/out", b"bytes"),
            "/app/in",
            "app/out of the layer"
        ),
        record!("into a file", |_| naming("app/run/x", b"bytes"), "/app/run", ""),
        record!("other bytes than noted", |_| naming("app/run", &[b'z'; 27]), "/app/run", "CRC-64"),
        case(
            "through a link that leads out",
            |c, tree| {
                let files = c.files(&["base", "code"]);
                let run = format!("{files}/app/run");
                instead(tree, &run, &Special::Symlink(b"../../../../../secret".to_vec()));
                put(tree, "secret", &b"run".repeat(9));
            },
            &[("layer-damaged", DataLost, "", "app/run of the layer")],
            OTHERS,
        ),
        case(
            "a pipe for a file",
            |c, tree| {
                instead(tree, &format!("{}/app/run", c.files(&["base", "code"])), &Special::Fifo);
            },
            &[("layer-damaged", DataLost, "/app/run", "not a regular file")],
            OTHERS,
        ),
        case(
            "a file that has grown",
            |c, tree| {
                let file = format!("{}/app/run", c.files(&["base", "code"]));
                put(tree, &file, &b"run".repeat(10));
            },
            &[("layer-damaged", DataLost, "/app/run", "more than 27 bytes")],
            OTHERS,
        ),
        case(
            "no files at all",
            |c, tree| tree.remove(path(&c.files(&["base", "code"]))).expect("below the root"),
            &[("layer-damaged", DataLost, "", "app/run of the layer")],
            OTHERS,
        ),
    ]);
}

/// A link on the way is followed as the daemon would, as long as it stays inside.
#[test]
fn records_that_lead_through_a_link_inside() {
    fn harm(c: &Classic, tree: &Memory) {
        let files = c.files(&["base", "code"]);
        let (file, moved) = (format!("{files}/app/run"), format!("{files}/app/in/moved"));
        tree.rename(path(&file), path(&moved)).expect("a free name");
        instead(tree, &file, &Special::Symlink(b"/app/in/moved".to_vec()));
    }
    run(vec![case("followed", harm, &[], ALL)]);
}
