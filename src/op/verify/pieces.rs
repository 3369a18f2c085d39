//! What content there is to read.

use std::collections::HashSet;

use crate::digest::{BlobId, DiffId};
use crate::error::Result;
use crate::format::oci::Descriptor;
use crate::op::host::Host;
use crate::store::{Piece, Source};

/// A piece of content, and the store that has it.
pub(super) struct Job<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) piece: Piece,
}

impl Job<'_> {
    pub(super) fn size(&self) -> u64 {
        match self.piece {
            Piece::Blob { size, .. } | Piece::Layer { size, .. } => size,
        }
    }
}

/// Returns every piece of every store of `host`, the largest first: what is long begins early.
pub(super) fn of_host(host: &Host) -> Vec<Job<'_>> {
    let mut jobs = Vec::new();
    for seen in host.roots.iter().flat_map(|root| &root.stores) {
        let Some(source) = seen.here.source.as_deref() else { continue };
        let pieces = match seen.here.kind.is_carried() {
            true => carried(source),
            false => source.pieces(),
        };
        jobs.extend(pieces.into_iter().map(|piece| Job { source, piece }));
    }
    jobs.sort_by_key(|job| std::cmp::Reverse(job.size()));
    jobs
}

/// Returns the content of a layout or an archive, which is all that its images consist of.
fn carried(source: &dyn Source) -> Vec<Piece> {
    let inventory = source.inventory();
    let (mut pieces, mut read) = (Vec::new(), HashSet::<BlobId>::new());
    let mut layers = HashSet::<DiffId>::new();
    for image in &inventory.images {
        for manifest in &image.manifests {
            for (diff_id, chain_id) in manifest.layers.iter().zip(manifest.chain()) {
                // What an image lacks is told of with the image.
                if source.layer(chain_id).is_err() || !layers.insert(*diff_id) {
                    continue;
                }
                let blob = inventory.blobs.get(diff_id);
                read.extend(blob.map(|blob| blob.blob));
                let size = blob.map_or(0, |blob| blob.size);
                pieces.push(Piece::Layer { chain_id, size });
            }
        }
    }
    for descriptor in inventory.images.iter().flat_map(|image| parts(source.contents(image))) {
        if let (Some(blob), Some(size)) = (descriptor.blob(), descriptor.len())
            && read.insert(blob)
        {
            pieces.push(Piece::Blob { blob, size });
        }
    }
    pieces
}

/// Returns the documents and blobs of an image. One that cannot be read is a finding of its store.
fn parts(contents: Result<Option<crate::store::Contents>>) -> Vec<Descriptor> {
    let contents = contents.ok().flatten();
    contents.map(|all| [all.documents, all.blobs].concat()).unwrap_or_default()
}
