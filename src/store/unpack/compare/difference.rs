//! How what is in a folder differs from the layer that it is said to hold.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::printable;
use crate::tree::{Kind, Time, TreePath};

/// One name of a layer that is not as its tar says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path in the layer.
    pub path: Vec<u8>,
    /// What is not so, the first that was found.
    pub differs: Differs,
}

/// What is not as the tar says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Differs {
    /// It is in the tar alone; of a folder that is gone nothing below is named.
    Missing,
    /// It is in the folder alone.
    Extra,
    /// Another sort of thing.
    Kind(Kind),
    /// Fewer or more bytes.
    Size {
        /// Those that are there.
        found: u64,
        /// Those of the tar.
        wanted: u64,
    },
    /// Other bytes, from this one on.
    Bytes(u64),
    /// Zeros from this byte on, where the tar has others: what a file system leaves of a file whose
    /// blocks were never written.
    Zeros(u64),
    /// A symbolic link that leads elsewhere, or another device.
    Leads,
    /// Not one file with the name that the tar says, or one with a name that it does not.
    Linked,
    /// Other permissions.
    Mode {
        /// Those that are there.
        found: u16,
        /// Those of the tar.
        wanted: u16,
    },
    /// Another owner or group.
    Owner {
        /// The one that is there.
        found: (u32, u32),
        /// That of the tar.
        wanted: (u32, u32),
    },
    /// Another time of the last change.
    Time {
        /// The one that is there.
        found: Time,
        /// That of the tar.
        wanted: Time,
    },
    /// An extended attribute of this name that is gone, changed or one too many.
    Xattr(Vec<u8>),
    /// It cannot be read, and why.
    Unreadable(String),
    /// A member that no daemon unpacks, and why.
    Unusable(String),
}

impl Differs {
    /// Returns whether bytes, or what stands for them, are gone or changed; else it is what is noted of
    /// them.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Missing
            | Self::Kind(_)
            | Self::Size { .. }
            | Self::Bytes(_)
            | Self::Zeros(_)
            | Self::Leads
            | Self::Unreadable(_) => true,
            Self::Extra
            | Self::Linked
            | Self::Mode { .. }
            | Self::Owner { .. }
            | Self::Time { .. }
            | Self::Xattr(_)
            | Self::Unusable(_) => false,
        }
    }

    /// Returns whether every name of a file has this, and the last that the tar has of them counts.
    pub(super) fn is_attribute(&self) -> bool {
        use Differs::{Mode, Owner, Time, Xattr};
        matches!(self, Mode { .. } | Owner { .. } | Time { .. } | Xattr(_))
    }
}

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("gone"),
            Self::Extra => f.write_str("not in the layer"),
            Self::Kind(found) => write!(f, "a {}", named(*found)),
            Self::Size { found, wanted } => write!(f, "{found} bytes, wanted {wanted}"),
            Self::Bytes(at) => write!(f, "other bytes from byte {at} on"),
            Self::Zeros(at) => write!(f, "zeros from byte {at} on"),
            Self::Leads => f.write_str("leads elsewhere"),
            Self::Linked => f.write_str("not one file with the names that the layer says"),
            Self::Mode { found, wanted } => write!(f, "mode {found:o}, wanted {wanted:o}"),
            Self::Owner { found, wanted } => {
                write!(f, "owner {}:{}, wanted {}:{}", found.0, found.1, wanted.0, wanted.1)
            }
            Self::Time { found, wanted } => {
                let nanos = |time: &Time| format!("{}.{:09}", time.seconds, time.nanos);
                write!(f, "changed at {}, wanted {}", nanos(found), nanos(wanted))
            }
            Self::Xattr(name) => write!(f, "another extended attribute {}", printable(name)),
            Self::Unreadable(what) | Self::Unusable(what) => f.write_str(what),
        }
    }
}

fn named(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Dir => "folder",
        Kind::Symlink => "symbolic link",
        Kind::Char => "character device",
        Kind::Block => "block device",
        Kind::Fifo => "pipe",
        Kind::Socket => "socket",
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", printable(&self.path), self.differs)
    }
}

/// All that differs in one layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// What differs, in the order of the paths; [`NAMED`] at most.
    pub named: Vec<Difference>,
    /// How many more there are.
    pub more: u64,
    /// Why not all could be compared, if so.
    pub incomplete: Option<String>,
}

impl Differences {
    /// Returns whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.more == 0
    }

    /// Returns how many names differ.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.more.saturating_add(self.named.len() as u64)
    }
}

/// How many differences of a layer are named; the others are counted.
pub const NAMED: usize = 256;

/// What was found to differ so far. The tar may say later that it is to be so.
#[derive(Debug, Default)]
pub(super) struct Found {
    named: BTreeMap<Vec<u8>, Differs>,
    more: u64,
}

impl Found {
    /// Notes what differs at `path`, unless something was noted of it, or a folder above it is gone.
    pub(super) fn note(&mut self, path: TreePath<'_>, differs: Differs) {
        let mut above = path.split_last();
        while let Some((folder, _)) = above {
            if matches!(
                self.named.get(folder.as_bytes()),
                Some(Differs::Missing | Differs::Kind(_))
            ) {
                return;
            }
            above = folder.split_last();
        }
        if self.named.len() < NAMED {
            self.named.entry(path.as_bytes().to_vec()).or_insert(differs);
        } else if !self.named.contains_key(path.as_bytes()) {
            self.more = self.more.saturating_add(1);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.named.is_empty() && self.more == 0
    }

    /// Returns whether something was noted of `path` itself.
    pub(super) fn has(&self, path: TreePath<'_>) -> bool {
        self.named.contains_key(path.as_bytes())
    }

    /// Returns whether something was noted of what is below `path`.
    pub(super) fn has_below(&self, path: TreePath<'_>) -> bool {
        let inside = [path.as_bytes(), b"/"].concat();
        self.named.keys().any(|at| at.starts_with(&inside))
    }

    /// Forgets what was noted of `path` and of all below it.
    pub(super) fn forget(&mut self, path: TreePath<'_>) {
        let inside = [path.as_bytes(), b"/"].concat();
        self.named.retain(|at, _| at != path.as_bytes() && !at.starts_with(&inside));
    }

    /// Forgets what is gone below `path` in folders that are not `there` either.
    pub(super) fn forget_missing(
        &mut self,
        path: TreePath<'_>,
        there: &dyn Fn(TreePath<'_>) -> bool,
    ) {
        self.named.retain(|at, differs| {
            let at = TreePath::new(at).unwrap_or(TreePath::ROOT);
            let above = at.split_last().map_or(TreePath::ROOT, |(above, _)| above);
            *differs != Differs::Missing || at.below(path).is_none() || there(above)
        });
    }

    /// Forgets what was noted of the attributes of `path`.
    pub(super) fn forget_attributes(&mut self, path: TreePath<'_>) {
        if self.named.get(path.as_bytes()).is_some_and(Differs::is_attribute) {
            self.named.remove(path.as_bytes());
        }
    }

    /// Forgets what a name that led elsewhere for a while explains: that something is in the folder
    /// alone, or that two names are not one file.
    pub(super) fn forget_uncertain(&mut self) {
        self.named.retain(|_, differs| !matches!(differs, Differs::Linked | Differs::Extra));
    }

    pub(super) fn into_differences(self, incomplete: Option<String>) -> Differences {
        let named = self.named.into_iter().map(|(path, differs)| Difference { path, differs });
        Differences { named: named.collect(), more: self.more, incomplete }
    }
}
