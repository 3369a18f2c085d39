//! OCI image layouts, and the archives of `docker save` that are ones.

mod layout;
mod write;

pub use write::LayoutWriter;
