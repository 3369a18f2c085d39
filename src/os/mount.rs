//! Mounts, made to be looked at.

use std::ffi::CString;
use std::io;
use std::path::Path;

use rustix::mount::{MountFlags, UnmountFlags};
use rustix::process;

/// What is mounted is looked at: nothing in it gets rights on this machine.
const HARMLESS: MountFlags = MountFlags::RDONLY.union(MountFlags::NODEV).union(MountFlags::NOSUID);

/// Shows the folder `from` at `at` too, read-only.
///
/// # Errors
/// What the kernel says.
pub fn mount_bind(from: &Path, at: &Path) -> io::Result<()> {
    rustix::mount::mount_bind(from, at)?;
    // A bind mount takes no other flags when it is made (mount(2)).
    let harmless = rustix::mount::mount_remount(at, MountFlags::BIND | HARMLESS, c"");
    if harmless.is_err() {
        rustix::mount::unmount(at, UnmountFlags::empty())?;
    }
    Ok(harmless?)
}

/// Mounts layers at `at`, which is named from the root on, read-only. The layers that `options` name are
/// named from `within`.
///
/// # Errors
/// What the kernel says.
pub fn mount_overlay(within: Option<&Path>, options: &[u8], at: &Path) -> io::Result<()> {
    let options = options.strip_prefix(b"ro,").unwrap_or(options);
    let options = CString::new(options)?;
    let here = process::getcwd(Vec::new())?;
    if let Some(within) = within {
        process::chdir(within)?;
    }
    let mounted =
        rustix::mount::mount("overlay", at, "overlay", HARMLESS, Some(options.as_c_str()));
    if within.is_some() {
        process::chdir(here.as_c_str())?;
    }
    Ok(mounted?)
}
