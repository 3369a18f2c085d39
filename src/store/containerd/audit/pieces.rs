//! The content that can be held against its digests, each once.

use std::collections::{HashMap, HashSet};

use crate::digest::BlobId;
use crate::store::Piece;
use crate::store::containerd::layout;
use crate::store::containerd::read::Containerd;
use crate::tree::Kind;

/// Returns a piece for each layer whose blob is there, unpacked or not, which is its blob too; and for
/// every other blob. A file that is not even as long as it should be needs no reading.
pub(in crate::store::containerd) fn pieces(store: &Containerd) -> Vec<Piece> {
    let files = store.tree.list(layout::blobs().as_path()).unwrap_or_default();
    let files = files.into_iter().filter(|file| file.metadata.kind == Kind::File);
    let sizes: HashMap<Vec<u8>, u64> = files.map(|file| (file.name, file.metadata.size)).collect();
    let is_whole = |blob: &BlobId, size| sizes.get(blob.hex().as_bytes()) == Some(&size);
    let own = store.records.blobs.iter().map(|(blob, said)| (*blob, said.size));
    let others = store.records.others.iter().map(|(blob, size)| (*blob, *size));
    let here: HashMap<BlobId, u64> =
        others.chain(own).filter(|(blob, size)| is_whole(blob, *size)).collect();
    let mut layers: Vec<_> = store.layers.iter().collect();
    // The unpacked ones first: a blob that is checked with one of them need not be read again.
    layers.sort_unstable_by_key(|(chain_id, at)| (at.folder.is_none(), **chain_id));
    let (mut pieces, mut read) = (Vec::new(), HashSet::new());
    for (chain_id, at) in layers {
        let Some((blob, size)) = at.blob.and_then(|blob| here.get_key_value(&blob)) else {
            continue;
        };
        if read.insert(*blob) || at.folder.is_some() {
            pieces.push(Piece::Layer { chain_id: *chain_id, size: *size });
        }
    }
    let others = here.into_iter().filter(|(blob, _)| !read.contains(blob));
    pieces.extend(others.map(|(blob, size)| Piece::Blob { blob, size }));
    pieces
}
