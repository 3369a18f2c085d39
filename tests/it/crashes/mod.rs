//! Writers that make images and all that is beside them, cut short at every operation: what is seen then is
//! the old state or the new one, and the same run again ends it.
//!
//! `crash.rs` and `classic/crash.rs` do it to migrations, `moves/crash.rs` to containers,
//! `reclaim/crash.rs` and `mended_containerd/crash.rs` to what is removed and mended.

mod carried;
mod made;
mod small;
