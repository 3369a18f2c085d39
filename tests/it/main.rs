//! Tests of the whole crate through its public interface.

#![allow(clippy::disallowed_methods, reason = "tests look at real files")]

mod again;
mod aside;
mod bad_input;
mod cards;
mod carried;
mod classic;
mod commit;
mod containers;
mod crash;
mod diff;
mod full_disk;
mod host;
mod inside;
mod layers;
mod layout;
mod live;
mod logs;
mod moves;
mod pairs;
mod rebuilt;
mod reclaim;
mod stopped;
mod support;
mod taken_out;
mod transfer;
mod unpacked;
mod volumes;
mod written;
