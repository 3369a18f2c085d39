//! What the library knows of this host, in rows.

use crate::cli::ops::{Images, MigrateRequest, Ops, Prepared, Where};
use crate::cli::rows::status::Status;
use crate::error::{Error, Place, Result};

/// The stores of this host.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Host;

impl Ops for Host {
    fn status(&self, at: &Where) -> Result<Status> {
        Err(unread(at))
    }

    fn images(&self, at: &Where) -> Result<Images> {
        Err(unread(at))
    }

    fn prepare(&self, request: &MigrateRequest) -> Result<Box<dyn Prepared + '_>> {
        Err(unread(&request.at))
    }
}

fn unread(at: &Where) -> Error {
    let root = at.root.as_ref().map_or("this host".into(), |root| root.to_string_lossy());
    Error::unsupported(Place::new(root, Vec::new()), "this build reads no image store yet")
}

/// Returns the names of the images at `at`, for completion; none if they cannot be read.
pub(crate) fn image_names(at: &Where) -> Vec<String> {
    let images = Host.images(at).unwrap_or_default();
    images.rows.into_iter().flat_map(|row| row.names).collect()
}
