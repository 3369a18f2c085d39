//! All that an image consists of, where manifests are kept: the walk that misses nothing and that
//! stops at the first thing that is not as it says.

use std::collections::HashSet;

use super::Contents;
use super::manifests::{DEEPEST, Keeper, MOST_MANIFESTS, may_be_document};
use crate::digest::BlobId;
use crate::error::{Error, Result};
use crate::format::oci::{Descriptor, Index, Manifest, Shape, media_type, shape};
use crate::format::raw::decode;

/// Returns all that `target` consists of.
///
/// # Errors
/// A document that is there and cannot be read, a length that is not the one a document says, and
/// indexes that are deeper or wider than any image needs.
pub(super) fn contents(keeper: &dyn Keeper, target: &Descriptor) -> Result<Contents> {
    let mut walk = Walk {
        keeper,
        room: MOST_MANIFESTS,
        seen: HashSet::new(),
        missed: HashSet::new(),
        documents: Vec::new(),
        blobs: Vec::new(),
        absent: Vec::new(),
    };
    let mut target = target.clone();
    match walk.measured(&target, "what names it")? {
        None => walk.absent.push(target.clone()),
        Some((blob, size)) => {
            target.size = size;
            walk.seen.insert(blob);
            // What is nothing we know is kept as it is, and nothing below it is known.
            if !(may_be_document(&target) && walk.document(&mut target, blob, 0)?) {
                walk.documents.push(target.clone());
            }
        }
    }
    Ok(walk.end(target))
}

struct Walk<'a> {
    keeper: &'a dyn Keeper,
    /// How many more manifests and indexes may be named.
    room: usize,
    seen: HashSet<BlobId>,
    missed: HashSet<String>,
    /// Each after all that it refers to, the last first: the other way round is the order that is
    /// wanted, also where two indexes share a manifest.
    documents: Vec<Descriptor>,
    blobs: Vec<Descriptor>,
    absent: Vec<Descriptor>,
}

impl Walk<'_> {
    fn end(mut self, target: Descriptor) -> Contents {
        self.documents.reverse();
        self.blobs.reverse();
        self.absent.reverse();
        let (documents, blobs, absent) = (self.documents, self.blobs, self.absent);
        Contents { target, documents, blobs, absent }
    }

    /// Returns a blob and its length if it is there. No length at all is filled in, a wrong one is not.
    fn measured(&self, descriptor: &Descriptor, says: &str) -> Result<Option<(BlobId, i64)>> {
        let here = descriptor.blob().and_then(|blob| Some((blob, self.keeper.size(blob)?)));
        let Some((blob, size)) = here else { return Ok(None) };
        if !descriptor.is_empty() && descriptor.len() != Some(size) {
            let wanted = descriptor.size;
            let what = format!("{size} bytes, but {says} says {wanted}");
            return Err(Error::corrupt(self.keeper.place(blob), what));
        }
        Ok(Some((blob, i64::try_from(size).unwrap_or(i64::MAX))))
    }

    /// Notes a manifest or index that is there with all below it; returns whether it is one.
    fn document(
        &mut self,
        descriptor: &mut Descriptor,
        blob: BlobId,
        depth: usize,
    ) -> Result<bool> {
        let bytes = self.keeper.document(blob)?;
        let place = || self.keeper.place(blob);
        let (children, own, usual) = match shape(&bytes).map_err(|error| error.at(place()))? {
            Some(Shape::Index) => {
                let index: Index = decode(&bytes).map_err(|error| error.at(place()))?;
                self.count(index.manifests.len(), blob, depth)?;
                (index.manifests, index.media_type, media_type::OCI_INDEX)
            }
            Some(Shape::Manifest) => {
                let manifest: Manifest = decode(&bytes).map_err(|error| error.at(place()))?;
                let children = manifest.children().cloned().collect();
                (children, manifest.media_type, media_type::OCI_MANIFEST)
            }
            Some(Shape::Schema1) | None => return Ok(false),
        };
        if descriptor.media_type.is_empty() {
            descriptor.media_type = own.unwrap_or_else(|| usual.to_owned());
        }
        let is_index = usual == media_type::OCI_INDEX;
        for child in children.into_iter().rev() {
            self.child(child, is_index, &blob.to_string(), depth)?;
        }
        self.documents.push(descriptor.clone());
        Ok(true)
    }

    fn count(&mut self, children: usize, blob: BlobId, depth: usize) -> Result<()> {
        let what = match self.room.checked_sub(children) {
            Some(room) if depth < DEEPEST => {
                self.room = room;
                return Ok(());
            }
            Some(_) => format!("indexes in indexes, more than {DEEPEST} deep"),
            None => format!("an image of more than {MOST_MANIFESTS} manifests"),
        };
        Err(Error::corrupt(self.keeper.place(blob), what))
    }

    fn child(
        &mut self,
        mut child: Descriptor,
        of_index: bool,
        says: &str,
        depth: usize,
    ) -> Result<()> {
        let Some((blob, size)) = self.measured(&child, says)? else {
            if !child.digest.is_empty() && self.missed.insert(child.digest.clone()) {
                self.absent.push(child);
            }
            return Ok(());
        };
        if !self.seen.insert(blob) {
            return Ok(());
        }
        child.size = size;
        let is_document = of_index
            && may_be_document(&child)
            && self.document(&mut child, blob, depth.saturating_add(1))?;
        if !is_document {
            self.blobs.push(child);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::digest::{ChainId, Digest};
    use crate::error::Place;

    #[derive(Default)]
    struct Blobs(HashMap<BlobId, Vec<u8>>);

    impl Keeper for Blobs {
        fn size(&self, blob: BlobId) -> Option<u64> {
            self.0.get(&blob).map(|bytes| bytes.len() as u64)
        }

        fn document(&self, blob: BlobId) -> Result<Vec<u8>> {
            Ok(self.0[&blob].clone())
        }

        fn unpacked(&self, _: ChainId) -> Option<u64> {
            None
        }

        fn place(&self, blob: BlobId) -> Place {
            Place::new("blobs", blob.hex())
        }
    }

    impl Blobs {
        /// Keeps `text` and returns its descriptor.
        fn add(&mut self, kind: &str, text: &str) -> String {
            let blob = BlobId(Digest::of(text.as_bytes()));
            self.0.insert(blob, text.as_bytes().to_vec());
            described(kind, blob, text.len())
        }

        fn contents(&self, target: &str) -> Result<Contents> {
            contents(self, &decode(target.as_bytes()).expect("a descriptor"))
        }
    }

    fn described(kind: &str, blob: BlobId, size: usize) -> String {
        format!(r#"{{"mediaType":"{kind}","digest":"{blob}","size":{size}}}"#)
    }

    fn gone(kind: &str, text: &str) -> String {
        described(kind, BlobId(Digest::of(text.as_bytes())), text.len())
    }

    fn manifest(config: &str, layers: &[&str]) -> String {
        format!(r#"{{"config":{config},"layers":[{}]}}"#, layers.join(","))
    }

    fn index(children: &[&str]) -> String {
        format!(r#"{{"manifests":[{}]}}"#, children.join(","))
    }

    use media_type::{OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST};

    fn digests(found: &[Descriptor]) -> Vec<String> {
        found.iter().map(|one| one.digest.clone()).collect()
    }

    fn wanted(described: &[&str]) -> Vec<String> {
        let digest = |one: &&str| decode::<Descriptor>(one.as_bytes()).expect("one").digest;
        described.iter().map(digest).collect()
    }

    #[test]
    fn each_stands_once_and_after_all_that_refer_to_it() {
        let mut blobs = Blobs::default();
        let config = blobs.add(OCI_CONFIG, "{}");
        let (shared, odd) = (blobs.add(OCI_LAYER, "shared"), blobs.add("x/y", "odd"));
        let (own, lost) = (blobs.add(OCI_LAYER, "own"), gone(OCI_LAYER, "lost"));
        let one = blobs.add(OCI_MANIFEST, &manifest(&config, &[&shared, &own]));
        let two = blobs.add("", &manifest(&config, &[&shared, &lost, &lost]));
        let inner = blobs.add(OCI_INDEX, &index(&[&one, &odd]));
        let other = gone(OCI_MANIFEST, "other");
        // The manifest of the inner index stands in the outer one too, and before it.
        let outer = blobs.add(OCI_INDEX, &index(&[&one, &inner, &two, &other, &inner]));
        let found = blobs.contents(&outer).expect("sound");
        assert_eq!(digests(&found.documents), wanted(&[&outer, &two, &inner, &one]));
        let mut all = digests(&found.blobs);
        all.sort_unstable();
        let mut named = wanted(&[&config, &shared, &odd, &own]);
        named.sort_unstable();
        assert_eq!(all, named);
        assert_eq!(digests(&found.absent), wanted(&[&lost, &other]));
        assert_eq!(found.documents[1].media_type, OCI_MANIFEST, "what was left out is filled in");
        assert_eq!(digests(&[found.target]), wanted(&[&outer]));
    }

    #[test]
    fn what_is_no_image_is_kept_as_it_is() {
        let mut blobs = Blobs::default();
        let schema1 = r#"{"fsLayers":[{}]}"#;
        for (kind, text) in
            [("a/b", "{"), (OCI_MANIFEST, "{}"), (media_type::DOCKER_SCHEMA1, schema1)]
        {
            let target = blobs.add(kind, text);
            let found = blobs.contents(&target).expect("it is there");
            assert_eq!(digests(&found.documents), wanted(&[&target]), "{kind}");
            assert!(found.blobs.is_empty() && found.absent.is_empty(), "{kind}");
        }
        let target = gone(OCI_MANIFEST, "gone");
        let found = blobs.contents(&target).expect("nothing is there");
        assert_eq!((found.documents.len(), digests(&found.absent)), (0, wanted(&[&target])));
    }

    #[test]
    fn lengths_that_lie_are_named() {
        let mut blobs = Blobs::default();
        let config = blobs.add(OCI_CONFIG, "{}");
        for (size, wrong) in [("0", false), ("5", false), ("6", true), ("-1", true)] {
            let layer = blobs.add(OCI_LAYER, "layer");
            let layer = layer.replace("\"size\":5", &format!("\"size\":{size}"));
            let target = blobs.add(OCI_MANIFEST, &manifest(&config, &[&layer]));
            match blobs.contents(&target) {
                Ok(found) => assert!(!wrong && found.blobs[1].size == 5, "{size}"),
                Err(error) => {
                    let says = format!("5 bytes, but {} says {size}", wanted(&[&target])[0]);
                    assert_eq!((error.what(), wrong), (says.as_str(), true));
                }
            }
        }
    }

    #[test]
    fn depth_and_width_have_an_end() {
        let mut blobs = Blobs::default();
        let mut deep = blobs.add(OCI_INDEX, &index(&[]));
        for _ in 0..20 {
            deep = blobs.add(OCI_INDEX, &index(&[&deep]));
        }
        let error = blobs.contents(&deep).expect_err("20 levels");
        assert!(error.what().contains("more than 8 deep"), "{error}");
        let one = gone(OCI_MANIFEST, "one");
        let wide = blobs.add(OCI_INDEX, &index(&vec![one.as_str(); 5000]));
        let error = blobs.contents(&wide).expect_err("5000 manifests");
        assert!(error.what().contains("more than 4096"), "{error}");
    }
}
