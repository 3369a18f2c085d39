//! What is left out of an export, because whoever is to have it has it already.

use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::error::{Error, Place, Result, from_io, printable};
use crate::model::{Inventory, StoreKind};
use crate::op::host::{self, Known};
use crate::op::transfer::Without;
use crate::os;
use crate::tree::{Live, Tree, TreePathBuf, read};

/// How much of a file tells whether it is a list.
const START: u64 = 16;

/// Reads which layers the stores and the files with digests at `places` name.
pub(super) fn held(places: &[PathBuf], known: &Known) -> Result<Without> {
    let mut without = Without::default();
    for place in places {
        match digests(place)? {
            Some(digests) => without.digests.extend(digests),
            None => {
                let host = host::survey(&host::open(Some(place))?, known)?;
                let stores = host.roots.iter().flat_map(|root| &root.stores);
                let found = stores.filter_map(|seen| seen.inventory());
                found.for_each(|found| add(&mut without, found));
            }
        }
    }
    Ok(without)
}

fn add(without: &mut Without, found: &Inventory) {
    // A classic store can use a layer only where it stands on the same ones.
    if found.kind == StoreKind::Classic {
        without.chains.extend(found.layers.keys());
    }
    without.digests.extend(found.blobs.values().map(|blob| blob.blob.0));
}

/// Returns the digests that a file of text lists, one a line; nothing if it is something else.
fn digests(file: &Path) -> Result<Option<Vec<Digest>>> {
    if os::is_dir(file) || !file.exists() {
        return Ok(None);
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let live = Live::open(folder.unwrap_or_else(|| Path::new(".")))?;
    let name = file.file_name().map(|name| name.as_encoded_bytes().to_vec());
    let name = name.and_then(TreePathBuf::new).unwrap_or_default();
    let place = || live.place(name.as_path());
    let mut start = Vec::new();
    let opened = live.open(name.as_path())?;
    std::io::Read::read_to_end(&mut std::io::Read::take(opened, START), &mut start)
        .map_err(|error| from_io(error, place))?;
    if !start.starts_with(b"sha256:") && !start.starts_with(b"#") {
        return Ok(None);
    }
    list(&read(&live, name.as_path())?, &place).map(Some)
}

fn list(bytes: &[u8], place: &dyn Fn() -> Place) -> Result<Vec<Digest>> {
    let text = String::from_utf8_lossy(bytes);
    let lines = (1..).zip(text.lines().map(str::trim));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let digest = |(n, line): (usize, &str)| {
        line.parse::<Digest>().map_err(|_| {
            let line = printable(line.as_bytes()).into_owned();
            Error::corrupt(place(), format!("line {n}: found `{line}`, wanted a digest"))
        })
    };
    lines.map(digest).collect()
}
