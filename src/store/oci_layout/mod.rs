//! OCI image layouts, and the archives of `docker save` that are ones.

mod layout;
mod names;
mod read;
mod there;
mod write;

pub use read::{Layout, is_one};
pub use write::LayoutWriter;
