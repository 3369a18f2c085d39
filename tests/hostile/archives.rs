//! Archives made to do harm: of data roots to be read, of images to be put into a new root.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;
use tranship::digest::Digest;

use crate::place::{SECRET, listing};
use crate::verbs::{Watch, contains, ended_well, limited};

const WHY: &str = "the test's own folder";

/// A member of a tar: its type, its name with nothing made of it, where it leads, and what it holds.
type Member<'a> = (EntryType, &'a str, &'a str, &'a [u8]);

fn tar_of(members: &[Member<'_>]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (kind, name, link, data) in members {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o6777);
        header.set_mtime(0);
        header.set_size(data.len() as u64);
        let raw = header.as_gnu_mut().expect("made so");
        raw.name[..name.len()].copy_from_slice(name.as_bytes());
        raw.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        tar.append(&header, *data).expect("a vector takes every write");
    }
    tar.into_inner().expect("a vector takes every write")
}

/// Returns an archive as `docker save` makes it of one image with this layer.
fn saved(layer: &[u8], layer_name: &str) -> Vec<u8> {
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": { "type": "layers", "diff_ids": [Digest::of(layer).to_string()] },
    });
    let config = config.to_string();
    let name = format!("{}.json", Digest::of(config.as_bytes()).hex());
    let manifest = json!([{ "Config": name, "RepoTags": ["x:1"], "Layers": [layer_name] }]);
    let manifest = manifest.to_string();
    tar_of(&[
        (EntryType::Regular, "manifest.json", "", manifest.as_bytes()),
        (EntryType::Regular, &name, "", config.as_bytes()),
        (EntryType::Regular, "layer.tar", "", layer),
    ])
}

const FILE: EntryType = EntryType::Regular;
const LINK: EntryType = EntryType::Symlink;
const HARD: EntryType = EntryType::Link;
const DIR: EntryType = EntryType::Directory;

/// Layers that write where they should not, if they are let to.
const LAYERS: &[(&str, &[Member<'static>])] = &[
    ("climbs", &[(FILE, "../../../outside/new", "", b"new")]),
    ("is absolute", &[(FILE, "/tmp/tranship-hostile-new", "", b"new")]),
    ("through a link", &[(LINK, "out", "OUTSIDE", b""), (FILE, "out/new", "", b"new")]),
    ("over a link", &[(LINK, "out", "OUTSIDE/shadow", b""), (FILE, "out", "", b"new")]),
    ("folder over a link", &[(LINK, "out", "OUTSIDE", b""), (DIR, "out", "", b"")]),
    ("a second name outside", &[(HARD, "own", "../../../../outside/shadow", b"")]),
    ("a second name by a link", &[(LINK, "out", "OUTSIDE", b""), (HARD, "x", "out/shadow", b"")]),
    ("a second name of a link", &[(LINK, "a", "OUTSIDE/shadow", b""), (HARD, "b", "a", b"")]),
    ("a link that becomes a folder", &[(LINK, "a", "..", b""), (FILE, "a/../../x", "", b"n")]),
    ("removes what is above", &[(FILE, "../.wh.outside", "", b"")]),
    ("removes by a link", &[(LINK, "o", "OUTSIDE", b""), (FILE, "o/.wh.shadow", "", b"")]),
    ("removes itself", &[(FILE, ".wh..", "", b""), (FILE, ".wh...", "", b"")]),
    ("removes nothing", &[(FILE, ".wh.", "", b""), (FILE, "a/.wh.", "", b"")]),
    ("hides what is above", &[(FILE, "../.wh..wh..opq", "", b"")]),
    ("is the root itself", &[(LINK, ".", "OUTSIDE", b""), (FILE, "./new", "", b"n")]),
    ("is the root, a file", &[(FILE, "./", "", b"n"), (FILE, "/", "", b"n")]),
    ("a folder below a file", &[(FILE, "a", "", b"n"), (FILE, "a/b/c", "", b"n")]),
    ("a loop", &[(LINK, "a", "b", b""), (LINK, "b", "a", b""), (FILE, "a/c", "", b"n")]),
    ("a second name of itself", &[(HARD, "a", "a", b""), (FILE, "a", "", b"n")]),
];

struct Outside {
    folder: TempDir,
}

impl Outside {
    fn new() -> Self {
        let folder = TempDir::new().expect(WHY);
        let this = Self { folder };
        fs::create_dir(this.outside()).expect(WHY);
        fs::write(this.outside().join("shadow"), SECRET).expect(WHY);
        this
    }

    fn outside(&self) -> PathBuf {
        self.folder.path().join("outside")
    }

    /// Runs a command with this file; returns what is wrong.
    fn judge(&self, name: &str, bytes: &[u8], verbs: &[&[&str]]) -> Vec<String> {
        let file = self.folder.path().join("archive.tar");
        fs::write(&file, bytes).expect(WHY);
        let before = listing(&self.outside());
        let watch = Watch::on(&self.outside());
        let mut wrong = Vec::new();
        for verb in verbs {
            let new = self.folder.path().join("new");
            let words = verb.iter().map(|word| match *word {
                "FILE" => file.as_os_str(),
                "NEW" => new.as_os_str(),
                word => word.as_ref(),
            });
            let output = limited().args(words).output().expect("it can be started");
            let mut found = ended_well(&output);
            let secret = contains(&output.stdout, SECRET.as_bytes());
            found.extend((secret || holds_secret(&new)).then(|| "the secret".to_owned()));
            found.extend(watch.touched().map(|what| format!("{what} outside")));
            wrong.extend(found.into_iter().map(|what| format!("{name}: {verb:?}: {what}")));
            crate::place::remove(&new);
        }
        let changed = listing(&self.outside()) != before;
        wrong.extend(changed.then(|| format!("{name}: what is outside was changed")));
        wrong
    }
}

fn holds_secret(folder: &Path) -> bool {
    let files = walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok);
    let mut files = files.filter(|entry| entry.file_type().is_file());
    files.any(|file| fs::read(file.path()).is_ok_and(|b| contains(&b, SECRET.as_bytes())))
}

#[test]
fn layers_that_write_elsewhere() {
    const VERBS: [&[&str]; 3] = [
        &["import", "FILE", "-q", "--to", "classic", "--root", "NEW"],
        &["import", "FILE", "-q", "--to", "containerd", "--root", "NEW"],
        &["export", "FILE", "--rootfs", "x:1", "-o", "NEW", "-q"],
    ];
    let outside = Outside::new();
    let target = outside.outside();
    let mut wrong = Vec::new();
    for (name, members) in LAYERS {
        let out = target.to_str().expect("text");
        let links: Vec<_> = members.iter().map(|m| m.2.replace("OUTSIDE", out)).collect();
        let members: Vec<Member<'_>> =
            members.iter().zip(&links).map(|(m, link)| (m.0, m.1, link.as_str(), m.3)).collect();
        let archive = saved(&tar_of(&members), "layer.tar");
        wrong.extend(outside.judge(name, &archive, &VERBS));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(!Path::new("/tmp/tranship-hostile-new").exists());
}

#[test]
fn archives_that_lead_out() {
    const VERBS: [&[&str]; 4] = [
        &["images", "FILE", "-a"],
        &["status", "FILE", "--json"],
        &["import", "FILE", "-q", "--to", "containerd", "--root", "NEW"],
        &["export", "FILE", "-o", "NEW", "-q"],
    ];
    let outside = Outside::new();
    let shadow = outside.outside().join("shadow");
    let shadow = shadow.to_str().expect("text");
    let layer = tar_of(&[(FILE, "a", "", b"a")]);
    let index = br#"{"schemaVersion":2,"manifests":[]}"#;
    let huge = {
        let mut tar = tar_of(&[(FILE, "manifest.json", "", b"[]")]);
        // 2^62 bytes, in a number of base 256.
        tar[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0]);
        let sum: u32 = tar[..148].iter().chain(&tar[156..512]).map(|b| u32::from(*b)).sum();
        tar[148..156].copy_from_slice(format!("{:06o}\0 ", sum + 8 * 32).as_bytes());
        tar
    };
    let cases: [(&str, Vec<u8>); 9] = [
        ("a layer's name climbs", saved(&layer, "../outside/shadow")),
        ("a layer's name is absolute", saved(&layer, shadow)),
        ("a layer is a link out", tar_of(&[(LINK, "manifest.json", shadow, b"")])),
        ("names climb", tar_of(&[(FILE, "../manifest.json", "", b"[]")])),
        ("a second name of what is outside", tar_of(&[(HARD, "manifest.json", shadow, b"")])),
        ("an index that is a folder", tar_of(&[(DIR, "index.json", "", b"")])),
        (
            "a layout with a link",
            tar_of(&[
                (FILE, "oci-layout", "", br#"{"imageLayoutVersion":"1.0.0"}"#),
                (FILE, "index.json", "", index),
                (LINK, "blobs", "/", b""),
            ]),
        ),
        ("a member of 2^62 bytes", huge),
        (
            "links in a circle",
            tar_of(&[
                (LINK, "index.json", "oci-layout", b""),
                (LINK, "oci-layout", "index.json", b""),
            ]),
        ),
    ];
    let judged = cases.iter().flat_map(|(name, bytes)| outside.judge(name, bytes, &VERBS));
    let wrong: Vec<_> = judged.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
