//! What all verbs share that look into images and containers.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ValueHint;

use crate::cli::args::Places;
use crate::cli::migrate::{To, platform, split};
use crate::cli::ops::Where;
use crate::error::{Error, Result};
use crate::format::oci::Platform;
use crate::op::look::{Address, Which};

/// Which image or container is meant, and where.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Inside {
    /// Read the data root at PATH
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    root: Option<PathBuf>,

    /// Look at this platform of an image that has several, such as linux/arm64
    #[arg(long, value_name = "OS/ARCH", value_parser = platform)]
    platform: Option<Platform>,

    /// Look for images in this store, where they are in more than one
    #[arg(long, value_name = "STORE")]
    from: Option<To>,

    #[command(flatten)]
    places: Places,
}

impl Inside {
    /// Returns where to look, and what: the first of `words` may be the data root.
    pub(crate) fn split(&self, words: &[OsString]) -> Result<(Where, Vec<Address>)> {
        let (at, words) = self.place(words);
        let addresses = words.iter().map(|word| Address::parse(word.as_encoded_bytes()));
        let addresses = addresses.collect::<Result<Vec<_>>>()?;
        if addresses.is_empty() {
            return Err(Error::refused("no image or container is named")
                .hint("name one after the path, as in `NAME:/etc`; `tranship images` lists them"));
        }
        Ok((at, addresses))
    }

    /// Returns where to look, and the words that do not say so.
    pub(crate) fn place<'w>(&self, words: &'w [OsString]) -> (Where, &'w [OsString]) {
        let (root, words) = split(words, self.root.as_deref(), Path::exists);
        (self.places.at(root), words)
    }

    /// Returns where to look if no word names the data root.
    pub(crate) fn at(&self) -> Where {
        self.places.at(self.root.clone())
    }

    /// Returns which of several is meant.
    pub(crate) fn which(&self) -> Which {
        Which { platform: self.platform.clone(), from: self.from.map(To::kind) }
    }
}
