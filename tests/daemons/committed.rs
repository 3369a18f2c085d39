//! What tranship says and makes of containers, before `docker diff` and `docker commit` of the same.

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use serde_json::Value;
use tranship::digest::Digest;

use crate::path;
use crate::support::host::{Daemon, Lab, Store, Suite, check_bolt_files};
use crate::support::judge::quietly;

/// Deletes, replaces, links and makes what a layer can hold.
const ODD: &str = "set -e
    cp /bin/busybox /bin/other; rm /bin/other
    mkdir -p /deep/er/est /etc; echo new > /deep/file; ln /deep/file /a-link; ln /deep/file /z-link
    ln -s nowhere /deep/sym; mkfifo /deep/fifo; mknod /deep/null c 1 3; chmod 4755 /deep/file
    chown -h 3:4 /deep/sym; touch -d @1000000000 /deep/er
    echo long > /deep/$(printf '%0150d' 1)
    rm -r /srv; mkdir /srv; echo z > /srv/z; chmod 1777 /srv";

const NAMES: [&str; 5] = ["changed", "logs-local", "never-ran", "running", "odd"];

const CHANGES: [&str; 12] = [
    "-m",
    "why",
    "-a",
    "who",
    "-c",
    "CMD [\"sh\"]",
    "-c",
    "ENV B=2 C=\"3 4\"",
    "-c",
    "EXPOSE 80 53/udp",
    "-c",
    "HEALTHCHECK --interval=1m30s --retries=3 CMD true",
];

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn containers_of_a_classic_store_become_the_images_docker_would_make() {
    judge("classic-28", Store::Classic);
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn containers_of_a_containerd_store_become_the_images_docker_would_make() {
    judge("containerd-28", Store::Containerd);
}

fn judge(fixture: &str, store: Store) {
    let lab = Lab::new();
    let root = lab.unpack(fixture);
    let daemon = Daemon::start(Suite::Forky, store, &root);
    daemon.docker(["run", "--name", "odd", "--network=none", "tiny/base:1", "sh", "-c", ODD]);
    let theirs = |name: &str| format!("theirs:{name}");
    let ours = |name: &str| format!("ours:{name}");
    let mut differences = Vec::new();
    for name in NAMES {
        differences.push(sorted(&daemon.docker(["diff", name])));
        let named = [name.to_owned(), theirs(name)];
        let args = ["commit"].into_iter().chain(CHANGES).map(str::to_owned).chain(named);
        daemon.docker(args);
    }
    daemon.stop();
    for (name, wanted) in NAMES.into_iter().zip(differences) {
        let found = quietly(&["diff", "--root", path(&root), name]);
        assert_eq!(sorted(&String::from_utf8_lossy(&found)), wanted, "{name}");
        let new = ours(name);
        let args = ["commit", "-q", "--root", path(&root), name, &new];
        quietly(&[args.as_slice(), CHANGES.as_slice()].concat());
    }
    if store == Store::Containerd {
        check_bolt_files(&root, "after commits");
    }
    let daemon = Daemon::start(Suite::Forky, store, &root);
    for name in NAMES {
        let (theirs, ours) = (theirs(name), ours(name));
        assert_eq!(members(&daemon, &root, &ours), members(&daemon, &root, &theirs), "{name}");
        assert_eq!(inspected(&daemon, &ours), inspected(&daemon, &theirs), "{name}");
        assert_eq!(daemon.shell(&ours, "echo it runs").trim(), "it runs", "{name}");
    }
    daemon.stop();
}

fn sorted(lines: &str) -> Vec<String> {
    let mut lines: Vec<_> = lines.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// Returns what an inspection says of an image, but for what differs between any two commits.
fn inspected(daemon: &Daemon, image: &str) -> Vec<Value> {
    let said: Value =
        serde_json::from_str(&daemon.docker(["image", "inspect", image])).expect("JSON");
    let parts = ["Config", "Author", "Comment", "Architecture", "Os", "Variant"];
    let layers = said[0]["RootFS"]["Layers"].as_array().map_or(0, Vec::len);
    parts.iter().map(|part| said[0][part].clone()).chain([layers.into()]).collect()
}

/// Returns all that is told of each member of an image's topmost layer, in its order.
fn members(daemon: &Daemon, root: &Path, image: &str) -> Vec<String> {
    let saved = root.join("saved.tar");
    daemon.docker(["save", "-o", path(&saved), image]);
    let files: Vec<(String, Vec<u8>)> =
        read(&fs::read(&saved).expect("it was saved"), |entry, bytes| {
            (String::from_utf8_lossy(&entry.path_bytes()).into_owned(), bytes)
        });
    fs::remove_file(&saved).expect("it was saved");
    let file = |name: &str| &files.iter().find(|(known, _)| known == name).expect(name).1;
    let manifest: Value = serde_json::from_slice(file("manifest.json")).expect("JSON");
    let top = manifest[0]["Layers"].as_array().and_then(|all| all.last()).expect("a layer");
    let mut layer = file(top.as_str().expect("a name")).clone();
    if layer.starts_with(&[0x1f, 0x8b]) {
        let packed = std::mem::take(&mut layer);
        MultiGzDecoder::new(&*packed).read_to_end(&mut layer).expect("gzip");
    }
    read(&layer, |entry, bytes| {
        let records = entry.pax_extensions().expect("sound").into_iter().flatten();
        let records = records
            .map(|one| one.expect("sound"))
            .filter(|one| !matches!(one.key_bytes(), b"path" | b"linkpath"));
        let records: Vec<_> =
            records.map(|one| (one.key_bytes().to_vec(), one.value_bytes().to_vec())).collect();
        let (header, link) =
            (entry.header().clone(), entry.link_name_bytes().map(|l| l.into_owned()));
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let owner = (header.uid().ok(), header.gid().ok(), header.mode().ok(), header.mtime().ok());
        // Go writes zeros where there is no device, and others nothing.
        let device = [header.device_major(), header.device_minor()];
        let device = device.map(|number| number.ok().flatten().unwrap_or(0));
        let kind = header.entry_type();
        format!("{name} {kind:?} {owner:?} {device:?} {link:?} {records:?} {}", Digest::of(&bytes))
    })
}

type Entry<'a> = tar::Entry<'a, &'a [u8]>;

fn read<T>(bytes: &[u8], what: impl Fn(&mut Entry<'_>, Vec<u8>) -> T) -> Vec<T> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().expect("a tar").map(|entry| {
        let mut entry = entry.expect("a sound tar");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("a sound tar");
        what(&mut entry, content)
    });
    entries.collect()
}
