//! Unpacking, judged in memory.

mod compare;
mod hostile;
mod rows;
mod same;

use super::*;
use crate::format::tar::build::Tar;
use crate::format::tar::watch;
use crate::tree::{Kind, Memory, Sink, path, read, walk};

const ROOT: &str = "layer";

fn root() -> TreePath<'static> {
    path(ROOT)
}

/// Unpacks `tar` into the layer's folder.
fn unpack(sink: &dyn Sink, tar: &[u8], rules: Rules<'_>) -> Result<Unpacked> {
    let mut unpacker = Unpacker::new(sink, root(), rules)?;
    let place = || sink.tree().place(root());
    watch(tar, &mut unpacker).map_err(|error| crate::error::from_io(error, place))?;
    unpacker.finish()
}

/// Returns a line for each thing in the layer: its path, what it is, and what is not as usual of it.
fn lines(tree: &Memory) -> Vec<String> {
    let mut lines = Vec::new();
    let mut add = |at: TreePath<'_>, found: &Metadata| {
        let name = at.below(root()).unwrap_or(at);
        let name = if name.is_root() { ".".to_owned() } else { name.to_string() };
        let what = match found.kind {
            Kind::Dir => "dir".to_owned(),
            Kind::File => format!("={}", text(&read(tree, at).expect("a file"))),
            Kind::Symlink => format!("->{}", text(&tree.read_link(at).expect("a link"))),
            kind => format!("{kind:?} {:?}", found.rdev),
        };
        let mut line = format!("{name} {what}");
        let usual = match found.kind {
            Kind::Dir => 0o755,
            Kind::Symlink => 0o777,
            _ => 0o644,
        };
        if found.mode != usual {
            line += &format!(" {:o}", found.mode);
        }
        if (found.uid, found.gid) != (0, 0) {
            line += &format!(" {}:{}", found.uid, found.gid);
        }
        if found.mtime != crate::tree::Time::default() {
            line += &format!(" @{}.{}", found.mtime.seconds, found.mtime.nanos);
        }
        if found.nlink > 1 {
            line += &format!(" x{}", found.nlink);
        }
        for (key, value) in tree.xattrs(at).expect("it is there") {
            line += &format!(" {}={}", text(&key), text(&value));
        }
        lines.push(line);
    };
    add(root(), &tree.stat(root()).expect("the layer's folder"));
    walk(tree, root(), &mut |path, entry| {
        add(path, &entry.metadata);
        Ok(true)
    })
    .expect("memory can be read");
    lines
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn tar() -> Tar {
    Tar::default()
}

/// Sets mode, owner and time of a header.
fn owned(mode: &str, id: u32, time: u32) -> impl FnOnce(&mut [u8; 512]) {
    let (id, time) = (format!("{id:07o}\0"), format!("{time:011o}\0"));
    let mode = format!("{mode:0>7}\0");
    move |block| {
        block[100..108].copy_from_slice(mode.as_bytes());
        block[108..116].copy_from_slice(id.as_bytes());
        block[116..124].copy_from_slice(id.as_bytes());
        block[136..148].copy_from_slice(time.as_bytes());
    }
}

fn device(major: &'static [u8; 8], minor: &'static [u8; 8]) -> impl FnOnce(&mut [u8; 512]) {
    move |block| {
        block[329..337].copy_from_slice(major);
        block[337..345].copy_from_slice(minor);
    }
}
