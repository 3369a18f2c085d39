//! Image layouts and archives as sources.

mod archive;
mod implied;
mod layout;
mod recorded;
