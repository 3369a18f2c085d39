//! Sources that count what is read of them, and fail when they are told to.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};
use std::sync::{Mutex, PoisonError};

use tranship::digest::{BlobId, ChainId};
use tranship::error::Result;
use tranship::model::Inventory;
use tranship::store::{Document, LayerContent, Source};
use tranship::tree::{Tree, TreePathBuf};

/// A source that counts how often each layer's tar is opened.
pub(crate) struct Counting<'a> {
    source: &'a dyn Source,
    opened: Mutex<BTreeMap<ChainId, usize>>,
    /// The layer whose tar cannot be read to its end, and why.
    pub(crate) broken: Option<(ChainId, io::ErrorKind)>,
}

impl<'a> Counting<'a> {
    pub(crate) fn new(source: &'a dyn Source) -> Self {
        Self { source, opened: Mutex::default(), broken: None }
    }

    pub(crate) fn opened(&self, chain_id: ChainId) -> usize {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.get(&chain_id).copied().unwrap_or(0)
    }

    pub(crate) fn all_opened(&self) -> usize {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }
}

impl Source for Counting<'_> {
    fn inventory(&self) -> &Inventory {
        self.source.inventory()
    }

    fn layer(&self, chain_id: ChainId) -> Result<Box<dyn LayerContent + '_>> {
        let content = self.source.layer(chain_id)?;
        Ok(Box::new(Counted { source: self, chain_id, content }))
    }

    fn document(&self, blob: BlobId) -> Result<Document> {
        self.source.document(blob)
    }

    fn blob(&self, blob: BlobId) -> Result<Box<dyn BufRead + Send + '_>> {
        self.source.blob(blob)
    }
}

struct Counted<'a> {
    source: &'a Counting<'a>,
    chain_id: ChainId,
    content: Box<dyn LayerContent + 'a>,
}

impl LayerContent for Counted<'_> {
    fn tar(&self) -> Result<Box<dyn BufRead + Send + '_>> {
        let mut opened = self.source.opened.lock().unwrap_or_else(PoisonError::into_inner);
        *opened.entry(self.chain_id).or_default() += 1;
        let tar = self.content.tar()?;
        Ok(match self.source.broken {
            Some((broken, error)) if broken == self.chain_id => {
                Box::new(io::BufReader::new(tar.take(600).chain(Broken(error))))
            }
            _ => tar,
        })
    }

    fn tar_is_of_files(&self) -> bool {
        self.content.tar_is_of_files()
    }

    fn files(&self) -> Option<(&dyn Tree, TreePathBuf)> {
        self.content.files()
    }
}

struct Broken(io::ErrorKind);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
}
