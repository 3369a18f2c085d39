//! What is different, in rows.

use super::images::timestamp;
use super::survey;
use crate::cli::ops::DiffRequest;
use crate::cli::rows::diff::{ChangeKind, ChangeRow, FileType};
use crate::error::{Result, printable};
use crate::op::diff::{Change, Changed, Detail, Pair, Rule, Wanted, details, open, sha256};
use crate::tree::Kind;

pub(super) fn rows(request: &DiffRequest) -> Result<Vec<ChangeRow>> {
    let host = survey(&request.at)?;
    let wanted = |(name, only): &(String, _)| Wanted { name: name.clone(), only: *only };
    let other = request.other.as_ref().map(wanted);
    let pair = open(&host, &wanted(&request.one), other.as_ref())?;
    let changes = pair.changes(Rule::Shown)?;
    changes.paths.iter().map(|changed| row(&pair, changed, request)).collect()
}

fn row(pair: &Pair, changed: &Changed, request: &DiffRequest) -> Result<ChangeRow> {
    let path = changed.path.as_path();
    let shown = changed.new.or(changed.old);
    let file = changed.new.filter(|new| new.kind == Kind::File && request.digests);
    let found = match request.details {
        true => details(&pair.old, &pair.new, changed)?,
        false => Vec::new(),
    };
    Ok(ChangeRow {
        path: format!("/{}", printable(path.as_bytes())),
        kind: match changed.change {
            Change::Added => ChangeKind::A,
            Change::Changed => ChangeKind::C,
            Change::Deleted => ChangeKind::D,
        },
        r#type: shown.map_or(FileType::File, |shown| file_type(shown.kind)),
        size: shown.map_or(0, |shown| shown.size),
        mode: format!("{:04o}", shown.map_or(0, |shown| shown.mode)),
        uid: shown.map_or(0, |shown| shown.uid),
        gid: shown.map_or(0, |shown| shown.gid),
        mtime: shown.and_then(|shown| timestamp(shown.mtime)),
        sha256: file.map(|_| sha256(&pair.new, path)).transpose()?.map(|digest| digest.hex()),
        changed: found.iter().map(words).collect(),
    })
}

fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::File,
        Kind::Dir => FileType::Directory,
        Kind::Symlink => FileType::Link,
        Kind::Char => FileType::Character,
        Kind::Block => FileType::Block,
        Kind::Fifo => FileType::Pipe,
        Kind::Socket => FileType::Socket,
    }
}

fn words(detail: &Detail) -> String {
    let noun = |kind: &Kind| match kind {
        Kind::File => "file",
        Kind::Dir => "folder",
        Kind::Symlink => "link",
        Kind::Char => "character device",
        Kind::Block => "block device",
        Kind::Fifo => "pipe",
        Kind::Socket => "socket",
    };
    let time = |time| timestamp(time).map_or_else(|| "never".to_owned(), |time| time.to_string());
    match detail {
        Detail::Kind(was, now) => format!("{} is now a {}", noun(was), noun(now)),
        Detail::Size(was, now) => format!("size {was} → {now}"),
        Detail::Content => "content".to_owned(),
        Detail::Mode(was, now) => format!("mode {was:04o} → {now:04o}"),
        Detail::Owner(was, now) => format!("owner {}:{} → {}:{}", was.0, was.1, now.0, now.1),
        Detail::Device(was, now) => format!("device {}:{} → {}:{}", was.0, was.1, now.0, now.1),
        Detail::Target(was, now) => format!("target {} → {}", printable(was), printable(now)),
        Detail::Modified(was, now) => format!("modified {} → {}", time(*was), time(*now)),
        Detail::Xattrs(names) => {
            let names: Vec<_> = names.iter().map(|name| printable(name)).collect();
            format!("attributes {}", names.join(" "))
        }
    }
}
