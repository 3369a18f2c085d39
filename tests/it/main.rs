//! Tests of the whole crate through its public interface.

#![allow(clippy::disallowed_methods, reason = "tests look at real files")]

mod again;
mod aside;
mod audit_containerd;
mod bad_input;
mod cards;
mod carried;
mod classic;
mod commit;
mod containers;
mod crash;
mod crashes;
mod diff;
mod full_disk;
mod healed_classic;
mod host;
mod inside;
mod layers;
mod layout;
mod live;
mod logs;
mod mended_containerd;
mod moves;
mod pairs;
mod rebuilt;
mod reclaim;
mod replay;
mod stopped;
mod support;
mod taken_out;
mod transfer;
mod unpacked;
mod usage;
mod volumes;
mod written;
