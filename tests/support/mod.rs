//! What the tests with real daemons stand on.

pub(crate) mod back;
pub(crate) mod host;
pub(crate) mod judge;
pub(crate) mod observed;
pub(crate) mod source;
