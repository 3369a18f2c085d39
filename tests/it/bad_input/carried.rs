//! Damaged and hostile archives and layouts on their way into a store that holds something already: it is told what is
//! wrong and where, and the store stays as it is but for what is sound.

use std::collections::HashMap;
use std::sync::Arc;

use tar::EntryType;
use tranship::digest::Digest;
use tranship::error::Result;
use tranship::model::StoreKind;
use tranship::op::transfer::{self, Options};
use tranship::store::{Compression, Form, Source, Writing, open as stores};
use tranship::tree::{Kind, Memory, Sink, Snapshots, TreePath, walk};

use super::STORE;
use crate::support::carried::{
    CONFIG, INDEX, LAYER, LayoutOf, MANIFEST, blob_path, descriptor, file, gzip, host, index,
    manifest, read, source, with,
};
use crate::support::odd::{Tar, link};
use crate::support::seen::listing;
use crate::support::{Migration, NOW, nothing_is};

const TARGETS: [StoreKind; 3] = [StoreKind::Classic, StoreKind::Containerd, StoreKind::Layout];

/// Returns a store of this kind that holds an image already; a layout is always new.
pub(super) fn target_of(kind: StoreKind) -> Arc<Memory> {
    let tree = Arc::new(Memory::new());
    if kind != StoreKind::Layout {
        let layout = LayoutOf::of(STORE);
        let image = layout.plain("base", &["base"]);
        let name = r#""annotations":{"io.containerd.image.name":"docker.io/library/there:1"}"#;
        let told = import(&layout.end(&[with(&image, name)]), kind, &tree, &options(kind));
        assert_eq!(told.expect("it is sound"), "");
    }
    tree
}

/// Returns what the command asks for: a layout has its layers packed.
pub(super) fn options(kind: StoreKind) -> Options {
    let snapshots = if kind == StoreKind::Layout { Snapshots::None } else { Snapshots::Auto };
    Migration { snapshots, ..Migration::all() }.options()
}

/// Moves all of `from` and returns, a line each, what was said to be wrong, with its place.
pub(super) fn import(
    from: &Arc<Memory>,
    kind: StoreKind,
    to: &Arc<Memory>,
    options: &Options,
) -> Result<String> {
    transferred(source(&read(from)?), kind, to, options)
}

pub(super) fn transferred(
    source: &dyn Source,
    kind: StoreKind,
    to: &Arc<Memory>,
    options: &Options,
) -> Result<String> {
    let sink: Arc<dyn Sink> = to.clone();
    let (compression, form) = (Compression::None, Form::Oci);
    let writing = Writing { compression, snapshots: options.snapshots, form, now: NOW };
    let target = stores::target(kind, sink, &host(), writing)?;
    let plan = transfer::plan(source, &*target, &HashMap::new(), options)?;
    let outcome = transfer::apply(&plan, source, &*target, 1, &())?;
    let stay = |stay: &transfer::Stay| format!("{}: {}", stay.what, stay.why);
    let mut told: Vec<_> = plan.stays.iter().map(stay).collect();
    let found = plan.findings.iter().chain(&outcome.findings);
    told.extend(found.map(|found| format!("{}: {}", found.place, found.what)));
    Ok(told.join("\n"))
}

/// Returns an image of one layer, whose config says what `diff` is and whose manifest what `blob` is.
pub(super) fn image(layout: &LayoutOf, diff: &[u8], kind: &str, blob: &[u8]) -> String {
    let diff_id = Digest::of(diff);
    let config = format!(
        r#"{{"os":"linux","architecture":"amd64","rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}}}"#
    );
    let config = layout.blob(CONFIG, config.as_bytes());
    let layer = layout.blob(kind, blob);
    layout.blob(MANIFEST, &manifest(&config, &[layer]))
}

/// What one harm does: for each kind of target, a part of what is said; nothing where the image arrives.
struct Case {
    name: &'static str,
    make: fn(&LayoutOf) -> String,
    classic: &'static str,
    containerd: &'static str,
    layout: &'static str,
}

impl Case {
    fn wanted(&self, kind: StoreKind) -> &'static str {
        match kind {
            StoreKind::Classic => self.classic,
            StoreKind::Containerd => self.containerd,
            _ => self.layout,
        }
    }

    fn check(&self, kind: StoreKind) -> std::result::Result<(), String> {
        let layout = LayoutOf::of("");
        let image = (self.make)(&layout);
        let (from, to) = (layout.end(&[image]), target_of(kind));
        let before = listing(&*to, TreePath::ROOT);
        let told = import(&from, kind, &to, &options(kind));
        let told = told.map_err(|error| error.to_string())?;
        let wanted = self.wanted(kind);
        if wanted.is_empty() != told.is_empty() || !told.contains(wanted) {
            return Err(format!("says `{told}`, not `{wanted}`"));
        }
        let after = listing(&*to, TreePath::ROOT);
        if !wanted.is_empty() && after != before {
            let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
            return Err(format!("the target has {new:#?}"));
        }
        stays_inside(&to)
    }
}

/// Looks for what would lie outside of a layer's folder.
fn stays_inside(tree: &Memory) -> std::result::Result<(), String> {
    let mut out = Vec::new();
    walk(tree, TreePath::ROOT, &mut |path, entry| {
        let is_layer = path.as_bytes().windows(6).any(|part| part == b"/diff/")
            || path.as_bytes().windows(4).any(|part| part == b"/fs/");
        let is_escaped = entry.name.starts_with(b"escaped") && entry.metadata.kind != Kind::Dir;
        if is_escaped && !is_layer {
            out.push(path.to_string());
        }
        Ok(true)
    })
    .expect("memory can be read");
    if out.is_empty() { Ok(()) } else { Err(format!("outside: {out:?}")) }
}

fn of_tar(layout: &LayoutOf, tar: &[u8]) -> String {
    image(layout, tar, LAYER, tar)
}

fn cases() -> Vec<Case> {
    let case =
        |name, make, classic, containerd, layout| Case { name, make, classic, containerd, layout };
    vec![
        case("sound", |l| of_tar(l, &Tar::default().file(b"x", b"x").end(2)), "", "", ""),
        case(
            "an absolute path",
            |l| of_tar(l, &Tar::default().file(b"/escaped", b"x").end(2)),
            "",
            "",
            "",
        ),
        case(
            "a path that leads out",
            |l| of_tar(l, &Tar::default().file(b"a/../../escaped", b"x").end(2)),
            "which leads outside",
            "",
            "",
        ),
        case(
            "a link that leads out, and a file through it",
            |l| {
                let tar = Tar::default()
                    .add(EntryType::Symlink, b"up", b"", |header| link(header, b"../../../../.."))
                    .file(b"up/escaped", b"x");
                of_tar(l, &tar.end(2))
            },
            "",
            "",
            "",
        ),
        case(
            "a hard link out of the layer",
            |l| {
                let tar = Tar::default().add(EntryType::Link, b"x", b"", |header| {
                    link(header, b"../../image/overlay2/repositories.json")
                });
                of_tar(l, &tar.end(2))
            },
            "which leads outside",
            "does not have",
            "",
        ),
        case(
            "a hard link to nothing",
            |l| {
                let add = |header: &mut tar::Header| link(header, b"/etc/passwd");
                of_tar(l, &Tar::default().add(EntryType::Link, b"x", b"", add).end(2))
            },
            "does not have",
            "does not have",
            "",
        ),
        case(
            "a tar that ends in a file",
            |l| of_tar(l, &Tar::default().file(b"x", &[b'x'; 4000]).end(0)[..2000]),
            "before the data does",
            "before the data does",
            "",
        ),
        case("no tar", |l| of_tar(l, &[b'?'; 2048]), "checksum", "checksum", ""),
        case(
            "another tar than the config says",
            |l| image(l, b"", LAYER, &Tar::default().file(b"x", b"x").end(2)),
            "hash to",
            "hash to",
            "",
        ),
        case(
            "half a gzip stream",
            |l| {
                let tar = Tar::default().file(b"x", &[b'x'; 9000]).end(2);
                let packed = gzip(&tar);
                image(l, &tar, &format!("{LAYER}+gzip"), &packed[..packed.len() - 9])
            },
            "the gzip stream is damaged",
            "the gzip stream is damaged",
            "",
        ),
        case(
            "another blob than its name says",
            |l| {
                let tar = Tar::default().file(b"x", b"x").end(2);
                let image = image(l, &tar, LAYER, &tar);
                let mut flipped = tar.clone();
                flipped[600] ^= 1;
                file(&l.tree, &blob_path(&tar), &flipped);
                image
            },
            "hash to",
            "hash to",
            "hash to",
        ),
        case(
            "a manifest that lies about a length",
            |l| {
                let tar = Tar::default().file(b"x", b"x").end(2);
                let _ = image(l, &tar, LAYER, &tar);
                let config = format!(
                    r#"{{"os":"linux","architecture":"amd64","rootfs":{{"diff_ids":["{}"]}}}}"#,
                    Digest::of(&tar)
                );
                let config = l.blob(CONFIG, config.as_bytes());
                let layer = descriptor(LAYER, &tar).replace("\"size\":", "\"size\":7");
                l.blob(MANIFEST, &manifest(&config, &[layer]))
            },
            // What keeps no manifest has nothing to do with what one says.
            "",
            "says 7",
            "says 7",
        ),
        case(
            "an index that holds itself",
            |l| {
                let own = format!(
                    "{{\"mediaType\":\"{INDEX}\",\"digest\":\"{}\",\"size\":9}}",
                    Digest::of(b"circle")
                );
                file(&l.tree, &blob_path(b"circle"), &index(std::slice::from_ref(&own)));
                own.replace(
                    "\"size\":9",
                    &format!("\"size\":{}", index(std::slice::from_ref(&own)).len()),
                )
            },
            "hash to",
            "hash to",
            "hash to",
        ),
        case(
            "nothing that runs",
            |l| l.blob("application/x.unheard-of", b"\0?"),
            "nothing in it can run",
            "",
            "",
        ),
        case(
            "a layer nobody can unpack",
            |l| image(l, b"plain", &format!("{LAYER}+encrypted"), b"secret"),
            "hash to",
            "hash to",
            "",
        ),
        case(
            "what is no layer",
            |l| image(l, b"weights", "application/x.weights", b"weights"),
            "nothing in it can run",
            "",
            "",
        ),
        case(
            "layers of no known compression",
            |l| image(l, b"plain", &format!("{LAYER}+xz"), b"\xfd7zXZ\0..."),
            "xz compression is not supported",
            "xz compression is not supported",
            "",
        ),
    ]
}

#[test]
fn imports_of_what_is_damaged_or_hostile() {
    let mut wrong = Vec::new();
    for case in cases() {
        for kind in TARGETS {
            if let Err(what) = case.check(kind) {
                wrong.push(format!("{} to {kind}: {what}", case.name));
            }
        }
    }
    nothing_is(&wrong);
}
