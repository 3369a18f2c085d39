//! The one door to the operating system.

/// A directory of this machine, and everything below it.
#[derive(Debug)]
pub struct Root;
