//! The rows of `tranship ls`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Files of images and containers. Fields are only ever added to this schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct FileList(pub Vec<FileRow>);

/// One name in an image or container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FileRow {
    /// The image or container, as it was called.
    pub of: String,
    /// The path from its root on, beginning with a slash; what is not UTF-8 in it is replaced.
    pub path: String,
    /// The bytes of the path in Base64, where they are not UTF-8.
    #[serde(default)]
    pub path_bytes: Option<String>,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: FileKind,
    /// Permissions as octal digits, such as `0755`.
    pub mode: String,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// How many names lead to it, as its layer counts them.
    pub links: u32,
    /// Bytes of a file.
    pub size: u64,
    /// When its content last changed; null where no calendar has the time.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub mtime: Option<Timestamp>,
    /// Where a symbolic link points; what is not UTF-8 in it is replaced.
    #[serde(default)]
    pub target: Option<String>,
    /// Major and minor number of a device, such as `1:3`.
    #[serde(default)]
    pub device: Option<String>,
    /// Extended attributes: names to values in Base64.
    #[serde(default)]
    pub xattrs: BTreeMap<String, String>,
}

/// What a name leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
}

impl FileKind {
    /// Returns the letter that `ls -l` has for it.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::File => '-',
            Self::Dir => 'd',
            Self::Symlink => 'l',
            Self::Char => 'c',
            Self::Block => 'b',
            Self::Fifo => 'p',
            Self::Socket => 's',
        }
    }
}
