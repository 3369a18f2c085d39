//! Image layouts and archives as sources.

mod archive;
mod layout;
mod recorded;
