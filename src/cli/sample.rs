//! Rows like those of a host that switched stores, for the tests of what is shown.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::cli::ops::{Compress, MigrateRequest, OnConflict, Snapshots, Where};
use crate::cli::rows::StoreKind;
use crate::cli::rows::diff::{self, ChangeKind, FileType};
use crate::cli::rows::images::{AttestationRow, ImageRow, PlatformRow};
use crate::cli::rows::migrate::{
    Action, ByteCounts, EndRow, LayerCounts, LossRow, Migration, MovedContainer, MovedImage,
    StayRow, StepRow,
};
use crate::cli::rows::ps::{ContainerRow, MountRow, PortRow, StateRow};
use crate::cli::rows::status::{ChangeRow, ChoiceRow, NextStart, RootRow, Status, StoreRow};
use crate::cli::rows::usage::{AmountRow, GroupRow, LineRow, ThingRow, UsageReport};
use crate::cli::rows::volumes::{self, UserRow, VolumeRow};
use crate::format::docker::log::Record;
use crate::model::Use;
use crate::store::Form;

pub(crate) fn now() -> Timestamp {
    "2026-11-20T17:27:46Z".parse().expect("a time")
}

fn image(id: &str, created: &str, size: u64, names: &[&str]) -> ImageRow {
    ImageRow {
        root: "/var/lib/docker".into(),
        store: StoreKind::Classic,
        driver: "overlay2".into(),
        hidden: true,
        id: format!("sha256:{id:0<64}"),
        names: names.iter().map(|name| (*name).into()).collect(),
        digests: Vec::new(),
        created: created.parse().ok(),
        size: Some(size),
        shared_size: None,
        unique_size: None,
        dangling: names.is_empty(),
        layers: vec![format!("sha256:{:0<64}", "1a7e")],
        platforms: vec![PlatformRow { digest: None, size: None, ..platform("amd64", None, true) }],
        attestations: Vec::new(),
        labels: BTreeMap::new(),
        parent: None,
        intermediate: false,
        containers: Some(0),
        last_tagged: None,
    }
}

fn platform(architecture: &str, variant: Option<&str>, present: bool) -> PlatformRow {
    PlatformRow {
        os: "linux".into(),
        architecture: architecture.into(),
        variant: variant.map(String::from),
        digest: Some(format!("sha256:{:0<64}", if present { "ad64" } else { "a764" })),
        present,
        size: present.then_some(22_280),
    }
}

/// Newest first, as Docker lists them.
pub(crate) fn images() -> Vec<ImageRow> {
    let app = "registry.example.com:5000/team/app";
    let labels = BTreeMap::from([("app".to_owned(), "3".to_owned())]);
    let names = [format!("{app}:v3"), format!("{app}:latest")];
    let by_digest = format!("127.0.0.1:5000/lib/bydigest@sha256:{:0<64}", "607341a3");
    vec![
        ImageRow {
            labels: labels.clone(),
            ..image("0081f5a699c7", "2026-11-20T17:27:43Z", 2_065_000, &[&names[0], &names[1]])
        },
        image("5f7df114d75a", "2026-11-20T17:27:43Z", 2_063_000, &[]),
        image("a6153feb13c0", "2026-11-20T17:27:42Z", 2_063_000, &["tiny/base:1"]),
        ImageRow {
            store: StoreKind::Containerd,
            driver: "overlayfs".into(),
            hidden: false,
            digests: vec![format!("multi/arch@sha256:{:0<64}", "7738375643e0")],
            labels: BTreeMap::from([("app".to_owned(), "m".to_owned())]),
            platforms: vec![platform("amd64", None, true), platform("arm64", Some("v8"), false)],
            attestations: vec![AttestationRow {
                digest: format!("sha256:{:0<64}", "a77e57"),
                subject: platform("amd64", None, true).digest,
                present: true,
                size: Some(1340),
            }],
            ..image("7738375643e0", "2026-11-20T17:27:41Z", 22_280, &["multi/arch:1"])
        },
        ImageRow {
            digests: vec![by_digest],
            dangling: false,
            ..image("607341a3bb34", "2026-11-20T17:16:04Z", 2_063_000, &[])
        },
        image("45eef71f9c7e", "2024-02-29T12:34:56.789Z", 6_216_000, &["weird:1"]),
    ]
}

fn container(id: &str, name: &str, created: &str, status: &str) -> ContainerRow {
    ContainerRow {
        root: "/var/lib/docker".into(),
        store: Some(StoreKind::Classic),
        driver: "overlay2".into(),
        hidden: true,
        id: format!("{id:0<64}"),
        name: name.into(),
        image: "tiny/base:1".into(),
        image_id: format!("sha256:{:0<64}", "757fb4"),
        image_present: true,
        command: ["sh", "-c", "echo added; sleep 9"].map(String::from).to_vec(),
        created: created.parse().ok(),
        state: StateRow { status: status.into(), ..StateRow::default() },
        was_running: status == "running",
        ports: Vec::new(),
        restart: Some("no".into()),
        size: Some(33),
        size_on_disk: Some(4096),
        labels: BTreeMap::new(),
        mounts: Vec::new(),
        networks: vec!["none".into()],
    }
}

/// Newest first, as Docker lists them: one that ran when the power went, one of the other store, and one
/// whose store is gone.
pub(crate) fn containers() -> Vec<ContainerRow> {
    let label = |value: &str| BTreeMap::from([("app".to_owned(), value.to_owned())]);
    let vol1 = MountRow {
        kind: "volume".into(),
        source: "vol1".into(),
        destination: "/data".into(),
        writable: true,
    };
    let web = PortRow {
        ip: "127.0.0.1".into(),
        public: Some("8080".into()),
        private: "80".into(),
        protocol: "tcp".into(),
    };
    let ended = |exit_code| StateRow {
        status: "exited".into(),
        exit_code,
        started: "2026-11-20T17:27:42Z".parse().ok(),
        finished: "2026-11-20T17:27:43Z".parse().ok(),
        ..StateRow::default()
    };
    vec![
        ContainerRow {
            labels: label("2"),
            image_id: String::new(),
            ..container("409111641b53", "running", "2026-11-20T17:27:44Z", "running")
        },
        ContainerRow {
            store: Some(StoreKind::Containerd),
            driver: "overlayfs".into(),
            hidden: false,
            image: "nginx".into(),
            image_id: String::new(),
            ports: vec![web],
            restart: Some("unless-stopped".into()),
            networks: vec!["front".into()],
            ..container("55aa64f50ccc", "web", "2026-11-20T17:27:43Z", "created")
        },
        ContainerRow {
            labels: label("1"),
            image: "registry.example.com:5000/team/app:v1".into(),
            mounts: vec![vol1],
            state: ended(3),
            ..container("d0e9fc8535fd", "changed", "2026-11-20T17:27:42Z", "exited")
        },
        ContainerRow {
            store: None,
            driver: "aufs".into(),
            image_id: String::new(),
            restart: None,
            size: None,
            size_on_disk: None,
            state: ended(0),
            ..container("0a1b2c3d4e5f", "lost", "2024-11-20T17:27:42Z", "exited")
        },
    ]
}

/// The classic store hidden behind the containerd store.
pub(crate) fn status() -> Status {
    let store = |store, driver: &str, images, containers, bytes, hidden: bool| StoreRow {
        store,
        driver: driver.into(),
        path: "/var/lib/docker".into(),
        images,
        containers,
        bytes: Some(bytes),
        bytes_estimated: false,
        open_by_daemon: !hidden,
        hidden,
    };
    let choice = |store, why: &str| ChoiceRow { store: Some(store), why: why.into() };
    let flag = "features.containerd-snapshotter is true in /etc/docker/daemon.json";
    Status {
        roots: vec![RootRow {
            path: "/var/lib/docker".into(),
            stores: vec![
                store(StoreKind::Classic, "overlay2", 12, 6, 24_500_000, true),
                store(StoreKind::Containerd, "overlayfs", 2, 1, 3_249_000, false),
            ],
            next_start: Some(NextStart {
                docker_28: choice(StoreKind::Containerd, flag),
                docker_29: choice(StoreKind::Containerd, flag),
                rancher_auto: choice(StoreKind::Classic, "there are classic images"),
            }),
            changes: vec![ChangeRow {
                to: StoreKind::Classic,
                what: "set features.containerd-snapshotter to false in /etc/docker/daemon.json, \
                       or move its images"
                    .into(),
                command: Some("tranship migrate --to containerd".into()),
            }],
            findings: Vec::new(),
        }],
    }
}

/// What a container changed.
pub(crate) fn changes(details: bool) -> Vec<diff::ChangeRow> {
    let row = |kind, path: &str, r#type, changed: &[&str]| diff::ChangeRow {
        path: path.into(),
        kind,
        r#type,
        size: 4,
        mode: "0644".into(),
        uid: 0,
        gid: 0,
        mtime: "2026-11-20T17:27:41Z".parse().ok(),
        sha256: None,
        changed: changed.iter().filter(|_| details).map(|text| (*text).into()).collect(),
    };
    vec![
        row(ChangeKind::C, "/etc", FileType::Directory, &[]),
        row(ChangeKind::C, "/etc/motd", FileType::File, &["size 9 → 4", "mode 0600 → 0644"]),
        row(ChangeKind::A, "/etc/new\u{1b}[2J", FileType::File, &[]),
        row(ChangeKind::D, "/old", FileType::Link, &[]),
    ]
}

/// What asks for the plan that [`migration`] is.
pub(crate) fn request() -> MigrateRequest {
    MigrateRequest {
        at: Where { root: Some("/var/lib/docker".into()), ..Where::default() },
        from: Some(StoreKind::Classic),
        to: StoreKind::Containerd,
        index: None,
        commit: None,
        form: Form::Oci,
        images: vec!["weird:1".into()],
        names: vec![(None, "new:1".into()), (Some("weird:1".into()), "new:2".into())],
        containers: Vec::new(),
        no_containers: false,
        exclude: vec!["ci/*".into()],
        all: true,
        platform: "linux/arm64/v8".parse().ok(),
        compress: Compress::Gzip(6),
        snapshots: Snapshots::Link,
        on_conflict: OnConflict::Replace,
        dry_run: false,
        switch: true,
        threshold: Some(10_000_000_000),
        into: None,
        without: Vec::new(),
        rebuild_missing: false,
        to_stdout: false,
        jobs: std::num::NonZeroUsize::new(2),
    }
}

/// Three lines of a log, the last in two parts.
pub(crate) fn records() -> Vec<Record<'static>> {
    let record = |stream: &'static str, log: &'static [u8]| Record {
        time: "2026-11-20T17:27:44.000000005Z".parse().expect("a time"),
        stream: stream.into(),
        log: log.into(),
        attrs: Vec::new(),
    };
    let attrs = [("c", ""), ("a b", "/")].map(|(key, value)| (key.into(), value.into())).into();
    vec![
        Record { attrs, ..record("stdout", b"one\n") },
        record("stderr", b"bad\n"),
        record("stdout", b"long "),
        record("stdout", b"line\n"),
    ]
}

/// Volumes of a host that switched stores.
pub(crate) fn volumes() -> Vec<VolumeRow> {
    let volume = |name: &str, size, users: &[(&str, bool)]| VolumeRow {
        root: "/var/lib/docker".into(),
        name: name.into(),
        driver: "local".into(),
        mountpoint: Some(format!("/var/lib/docker/volumes/{name}/_data")),
        size,
        allocated: size,
        used_by: users
            .iter()
            .map(|(name, hidden)| UserRow {
                id: format!("{:0<64}", "c0"),
                name: (*name).into(),
                hidden: *hidden,
            })
            .collect(),
        dangling: users.is_empty(),
        hidden: !users.is_empty() && users.iter().all(|(_, hidden)| *hidden),
        ..VolumeRow::default()
    };
    let mount = volumes::MountRow { kind: "nfs".into(), device: ":/export".into() };
    let labels = BTreeMap::from([("keep".to_owned(), "yes".to_owned())]);
    let users = [("web", false), ("old-web", true)];
    vec![
        VolumeRow {
            anonymous: true,
            ..volume(&format!("{:0<64}", "7d6e4abd0995b"), Some(0), &users[..1])
        },
        VolumeRow { labels, ..volume("db", Some(48_000_000), &[("old-db", true)]) },
        VolumeRow { mount: Some(mount), ..volume("share", None, &[]) },
        volume("web", Some(1234), &users),
    ]
}

/// The plan of moving [`images`] to the containerd store.
pub(crate) fn migration() -> Migration {
    let end = |store, driver: &str, path: &str| EndRow {
        store,
        driver: driver.into(),
        path: path.into(),
    };
    let moved = |row: ImageRow| MovedImage {
        becomes: (row.names != ["weird:1"]).then(|| format!("sha256:{:f<64}", &row.id[7..17])),
        action: if row.names.is_empty() { Action::Present } else { Action::Add },
        id: row.id,
        names: [row.names, row.digests].concat(),
        layers: row.layers,
        size: row.size,
    };
    let container = |name: &str, state: &str, size| MovedContainer {
        id: format!("{:0<64}", "409111641b53"),
        name: name.into(),
        state: state.into(),
        image: "tiny/base:1".into(),
        action: Action::Add,
        size,
    };
    let classic = images().into_iter().filter(|row| row.store == StoreKind::Classic);
    let step =
        |what: &str, command: &str| StepRow { what: what.into(), command: Some(command.into()) };
    Migration {
        dry_run: true,
        source: end(StoreKind::Classic, "overlay2", "/var/lib/docker"),
        target: end(StoreKind::Containerd, "overlayfs", "/var/lib/docker/containerd/daemon"),
        images: classic.map(moved).collect(),
        containers: vec![container("web", "exited", 1_200), container("db", "running", 5_600_000)],
        layers: LayerCounts { total: 9, to_read: 8, reused: 1, left_out: 0 },
        bytes: ByteCounts {
            read: 14_470_000,
            write: 8_200_000,
            free: Some(81_000_000_000),
            needed: 9_000_000,
            selected: 14_470_000,
            written: None,
        },
        losses: vec![LossRow {
            image: "weird:1".into(),
            what: "two entries of one layer have the same path; the second is kept".into(),
        }],
        stays: vec![StayRow {
            what: "container old".into(),
            why: "its removal was begun: its own daemon ends that".into(),
        }],
        findings: Vec::new(),
        next_steps: vec![
            step("Make Docker use the containerd store from its next start on.", "tranship switch"),
            step("Start Docker and look at the images.", "systemctl start docker && docker images"),
        ],
        over_threshold: false,
        switched: None,
    }
}

/// Returns what a host with both stores takes; with `groups`, by image too.
pub(crate) fn usage(groups: bool) -> UsageReport {
    let thing = |kind, store, id: &str, role: &str, names: &[&str]| ThingRow {
        root: "/var/lib/docker".into(),
        kind,
        store,
        id: id.into(),
        role: role.into(),
        names: names.iter().map(|name| (*name).into()).collect(),
    };
    let line = |thing: ThingRow, on_disk: u64| LineRow {
        hidden: thing.store == Some(StoreKind::Classic),
        thing,
        on_disk,
        apparent: on_disk - on_disk / 10,
        files: 10,
        reclaimable: 0,
        frees_alone: on_disk,
        proof: None,
    };
    let (classic, containerd) = (Some(StoreKind::Classic), Some(StoreKind::Containerd));
    let (a, b) = (format!("sha256:{:0<64}", "1a7e"), format!("sha256:{:0<64}", "2b"));
    let layer = thing(Use::Layer, classic, &a, "", &["tiny/base:1", "team/app:v3"]);
    let blob = thing(Use::Blob, containerd, &b, "layer", &["multi/arch:1"]);
    let volume = thing(Use::Volume, None, "db\u{1b}[31m", "named", &["db\u{1b}[31m"]);
    let logs = thing(Use::Logs, None, &"c0ffee".repeat(11)[..64], "", &["web"]);
    let lost = thing(Use::Orphan, classic, "overlay2/lost", "", &[]);
    let proof = Some("no layer, no container and no build names it".into());
    let lines = vec![
        LineRow { frees_alone: 4096, ..line(layer, 2_200_000_000) },
        line(blob, 700_000_000),
        line(volume, 48_000_000),
        line(logs, 12_000_000),
        LineRow { reclaimable: 5_000_000, proof, ..line(lost, 5_000_000) },
    ];
    let group = GroupRow {
        root: "/var/lib/docker".into(),
        id: a,
        names: vec!["tiny/base:1".into()],
        store: classic,
        on_disk: 2_200_004_096,
        apparent: 2_000_000_000,
        shared: 2_200_000_000,
        frees_alone: 4096,
        lines: 2,
        hidden: true,
    };
    let sum = |of: fn(&LineRow) -> u64| lines.iter().map(of).sum();
    UsageReport {
        places: vec!["/var/lib/docker".into()],
        total: AmountRow {
            on_disk: sum(|line| line.on_disk),
            apparent: sum(|line| line.apparent),
            files: sum(|line| line.files),
        },
        hidden: sum(|line| if line.hidden { line.on_disk } else { 0 }),
        reclaimable: sum(|line| line.reclaimable),
        groups: if groups { vec![group] } else { Vec::new() },
        lines,
        removal: None,
        findings: Vec::new(),
    }
}
