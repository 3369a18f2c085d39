//! Volumes of recorded roots, as Docker told of them; and as damage leaves them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use tranship::error::{ErrorKind, Place};
use tranship::format::bbolt::{self, OwnedBucket};
use tranship::model::Volume;
use tranship::op::host::{ConfigFile, Host, Known, open, survey};
use tranship::op::volumes::{self, Destination, Importing};
use tranship::store::volumes::read_all;
use tranship::tree::{Kind, Memory, Sink, TarTree, Tree, path, read, write};

use crate::support::carried::host;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roots").join(name)
}

fn recorded(name: &str) -> Host {
    configured(name, None)
}

fn configured(name: &str, config: Option<ConfigFile>) -> Host {
    let opened = open(Some(&fixture(&format!("{name}.tar.zst")))).expect("a recorded root");
    let known = Known { platform: host(), config, ..Known::default() };
    survey(&opened, &known).expect("a recorded root")
}

fn said_by_docker(name: &str) -> Value {
    let file = std::fs::File::open(fixture(&format!("{name}.json.zst"))).expect("a fixture");
    let text = zstd::decode_all(file).expect("zstd");
    serde_json::from_slice(&text).expect("JSON")
}

fn labels(volume: &Volume) -> BTreeSet<String> {
    volume.labels.iter().map(|(key, value)| format!("{key}={value}")).collect()
}

#[test]
fn recorded_volumes_are_those_that_docker_listed() {
    for root in ["classic-28", "containerd-28", "hidden-28"] {
        let (host, said) = (recorded(root), said_by_docker(root));
        let (found, findings) = volumes::of_root(&host.roots[0]).expect("volumes");
        assert!(findings.is_empty(), "{findings:?}");
        let said = said["volumes"].as_array().expect("volumes");
        assert_eq!(found.len(), said.len(), "{root}");
        for wanted in said {
            let text = |key: &str| wanted[key].as_str().expect(key).to_owned();
            let volume = found.iter().find(|volume| volume.name == text("Name")).expect("listed");
            assert_eq!(volume.driver, text("Driver"));
            let wanted = text("Labels");
            let wanted = wanted.split(',').filter(|label| !label.is_empty()).map(str::to_owned);
            assert_eq!(labels(volume), wanted.collect(), "{}", volume.name);
            assert_eq!(volume.anonymous, volume.name.len() == 64);
        }
    }
}

#[test]
fn users_are_found_whichever_store_they_are_in() {
    let config = br#"{"features":{"containerd-snapshotter":true}}"#;
    let config = ConfigFile::parse(config, Place::default()).expect("a configuration");
    for (root, config) in [("classic-28", None), ("hidden-28", None), ("hidden-28", Some(config))] {
        let hidden = config.is_some();
        let host = configured(root, config);
        let root = &host.roots[0];
        let (found, _) = volumes::of_root(root).expect("volumes");
        let mut users = BTreeMap::new();
        for volume in &found {
            let names: Vec<_> = volumes::users(root, volume)
                .map(|at| (at.container.name.clone(), volumes::is_hidden(&at)))
                .collect();
            let size = volumes::size(root, volume).expect("its files").expect("it has files");
            users.insert(volume.name.clone(), (names, size.apparent));
        }
        assert_eq!(users["vol1"].1, 7);
        assert_eq!(users["empty1"], (vec![], 0));
        let [(name, is_hidden)] = users["vol1"].0.as_slice() else { panic!("{users:?}") };
        assert!(!name.is_empty() && *is_hidden == hidden, "{users:?}");
    }
}

/// A data root with one volume, and whatever is put into it.
fn root(files: &[(&str, &[u8])]) -> Memory {
    let tree = Memory::new();
    for (name, bytes) in files {
        let at = path(name);
        for (slash, _) in name.match_indices('/') {
            tree.make_dir(path(&name[..slash]), 0o755).expect("a free name");
        }
        match name.ends_with("_data") {
            true => tree.make_dir(at, 0o755).expect("a free name"),
            false => write(&tree, at, 0o600, bytes).expect("a free name"),
        }
    }
    tree
}

fn metadata(entries: &[(&str, &str)]) -> Vec<u8> {
    let mut root = OwnedBucket::new();
    for (name, value) in entries {
        root.bucket_mut(b"volumes").put(name.as_bytes().to_vec(), value.as_bytes().to_vec());
    }
    bbolt::write(&root, &bbolt::Options::default()).expect("a small file")
}

#[test]
fn what_is_damaged_is_told_and_the_rest_listed() {
    let good = r#"{"Name":"a","Driver":"local","Labels":{"k":"v"},"Options":{}}"#;
    let plugin = r#"{"Name":"p","Driver":"rexray","Labels":null,"Options":{"size":"1"}}"#;
    let sound =
        metadata(&[("a", good), ("p", plugin), ("gone", &good.replace("\"a\"", "\"gone\""))]);
    let mut torn = sound.clone();
    torn.truncate(torn.len() / 2);
    let bad_entry = metadata(&[("a", "{"), ("b", ""), ("p", plugin)]);
    let nfs = br#"{"MountType":"nfs","MountOpts":"addr=h","MountDevice":":/x","Quota":{"Size":9}}"#;
    for (name, db, opts, wanted, codes) in [
        ("sound", Some(&sound), &nfs[..], &["a", "n", "p"][..], &[][..]),
        ("none", None, nfs, &["a", "n"], &[]),
        ("torn", Some(&torn), nfs, &["a", "n"], &["volume-records-unreadable"]),
        ("entry", Some(&bad_entry), nfs, &["a", "n", "p"], &["volume-record-unreadable"]),
        ("opts", Some(&sound), b"{", &["a", "p"], &["volume-options-unreadable"]),
    ] {
        let tree = root(&[
            ("volumes/a/_data", b""),
            ("volumes/n/opts.json", opts),
            ("volumes/other/file", b""),
            ("volumes/backingFsBlockDev", b""),
        ]);
        if let Some(db) = db {
            write(&tree, path("volumes/metadata.db"), 0o600, db).expect("a free name");
        }
        let (found, findings) = read_all(tree.tree()).expect(name);
        let names: Vec<_> = found.iter().map(|volume| volume.name.as_str()).collect();
        assert_eq!(names, wanted, "{name}");
        let found_codes: Vec<_> = findings.iter().map(|finding| finding.code).collect();
        assert_eq!(found_codes, codes, "{name}");
        if let Some(share) = found.iter().find(|volume| volume.name == "n") {
            let mount = share.mount.as_ref().expect("it mounts something");
            assert_eq!((mount.kind.as_str(), mount.device.as_str()), ("nfs", ":/x"));
            assert_eq!((share.quota, &share.data), (Some(9), &None));
        }
    }
    assert_eq!(read_all(Memory::new().tree()).expect("an empty root"), (vec![], vec![]));
}

#[test]
fn files_of_volumes_go_to_a_tar() {
    let host = recorded("classic-28");
    let folder = TempDir::new().expect("a temporary folder");
    let export = |names: &[&str], file: &str| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let to = folder.path().join(file);
        let done = volumes::export(&host.roots, &names, Destination::Tar(to.clone()), &());
        done.map(|_| TarTree::open(&to).expect("the tar"))
    };
    let one = export(&["vol1"], "one.tar").expect("a volume with a file");
    let metadata = one.stat(path("v")).expect("its file");
    assert_eq!((metadata.mode, metadata.size, metadata.mtime.seconds > 0), (0o644, 7, true));
    let two = export(&["empty1", "vol1"], "two.tar").expect("two volumes");
    assert_eq!(read(&two, path("vol1/v")).expect("its file"), read(&one, path("v")).expect("same"));
    assert_eq!(two.stat(path("empty1")).expect("its folder").kind, Kind::Dir);
    assert!(export(&["none"], "x.tar").expect_err("no such volume").is_missing());
    assert_eq!(export(&["vol1"], "one.tar").expect_err("in the way").kind(), ErrorKind::Refused);
    assert!(!folder.path().join("x.tar").exists());
}

#[test]
fn what_cannot_be_imported_is_refused() {
    let host = recorded("classic-28");
    let folder = TempDir::new().expect("a temporary folder");
    let import = |name: &str| {
        let (from, name) = (folder.path().to_owned(), name.to_owned());
        let wanted = Importing { from, name, replace: true, ..Importing::default() };
        volumes::import(&host.roots[0], &wanted, &()).expect_err("nothing is imported").kind()
    };
    for bad in ["", "a", "../x", "a/b", ".hidden", "with space"] {
        assert_eq!(import(bad), ErrorKind::Refused, "{bad}");
    }
    for archive in ["vol1", "empty1", "new"] {
        assert_eq!(import(archive), ErrorKind::Unsupported, "the root is an archive");
    }
}
