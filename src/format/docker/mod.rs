//! The files of dockerd: its classic image store, its containers, its configuration, its archives.

pub mod archive;
pub mod container;
pub mod daemon_config;
pub mod distribution;
pub mod layerdb;
pub mod link;
pub mod log;
pub mod repositories;
pub mod volume;
