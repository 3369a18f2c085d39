//! The one door to the operating system: contained opens, links, clones, extended attributes, locks.
//!
//! Nothing outside this folder opens a file of this machine. Errors are plain [`std::io::Error`]s;
//! who asked knows which path it asked for, and says so.

mod clone;
mod dir;
mod failed;
mod folders;
mod lock;
mod mount;
mod root;
mod shims;
mod stream;
mod user;
mod xattr;

pub use clone::{copy_data, reflink};
pub use failed::has_failed;
pub use lock::{LockFile, is_held};
pub use mount::{mount_bind, mount_overlay};
pub use root::{
    Attributes, DirEntry, Root, Stat, is_dir, make_dirs, open_path, path_of, real_path,
};
pub use shims::shims;
pub use stream::Stream;
pub use user::{host_name, ordinary_user};
