//! What containerd keeps in its two bolt files: values, labels and keys.

pub mod key;
pub mod labels;
pub mod value;
