//! The rows of `tranship diff`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The paths that are different, each folder before what it holds. Fields are only ever added to this
/// schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ChangeList(pub Vec<ChangeRow>);

/// What became of a path, in Docker's letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum ChangeKind {
    /// It is new.
    A,
    /// It is other than it was, or something in it is.
    C,
    /// It is gone, with all that was in it.
    D,
}

/// What a path leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
}

/// A path that is different. What is said of the file is what it is; of one that is gone, what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ChangeRow {
    /// The path, from the root; bytes that are no text are escaped.
    pub path: String,
    /// What became of it.
    pub kind: ChangeKind,
    /// What it is.
    pub r#type: FileType,
    /// Bytes.
    pub size: u64,
    /// Permissions in octal, such as 0755.
    pub mode: String,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// When its bytes last changed.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub mtime: Option<Timestamp>,
    /// The digest of a file's bytes, in hex; of what is there now alone.
    pub sha256: Option<String>,
    /// What of it is different, in words.
    pub changed: Vec<String>,
}
