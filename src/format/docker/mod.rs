//! The files of dockerd: its classic image store, its containers, its configuration, its archives.

pub mod archive;
pub mod build;
pub mod change;
pub mod container;
pub mod daemon_config;
pub mod distribution;
pub mod host_config;
pub mod layerdb;
pub mod link;
pub mod log;
pub mod network;
pub mod repositories;
pub mod run_config;
pub mod volume;
