//! The files of dockerd: its classic image store, its containers, its configuration.

pub mod container;
pub mod daemon_config;
pub mod distribution;
pub mod layerdb;
pub mod link;
pub mod repositories;
