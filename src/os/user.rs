//! Who runs this, and where.

/// Returns the user and group that what is written will belong to; nothing for root, who may give files to
/// all others.
#[must_use]
pub fn ordinary_user() -> Option<(u32, u32)> {
    let user = rustix::process::geteuid();
    (!user.is_root()).then(|| (user.as_raw(), rustix::process::getegid().as_raw()))
}

/// Returns what this machine is called.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
