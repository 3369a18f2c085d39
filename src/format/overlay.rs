//! The marks overlayfs leaves on files, and the names that stand for them in a tar.

/// The name before a deleted one in a tar: `.wh.x` deletes `x`.
pub const WHITEOUT_PREFIX: &[u8] = b".wh.";
/// The name in a tar that hides all that lower layers have in its directory.
pub const OPAQUE_NAME: &[u8] = b".wh..wh..opq";
/// The beginning of AUFS' own names: `.wh..wh.plnk`, `.wh..wh.aufs`, `.wh..wh.orph`.
pub const META_PREFIX: &[u8] = b".wh..wh.";

/// What a name in a tar means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TarName<'a> {
    /// A file of that name.
    Plain,
    /// This name is deleted.
    Whiteout(&'a [u8]),
    /// All that lower layers have here is hidden.
    Opaque,
    /// AUFS' own.
    Meta,
}

impl<'a> TarName<'a> {
    /// Reads the last name of a path in a tar.
    #[must_use]
    pub fn of(name: &'a [u8]) -> Self {
        match name.strip_prefix(WHITEOUT_PREFIX) {
            None => Self::Plain,
            Some(_) if name == OPAQUE_NAME => Self::Opaque,
            Some(_) if name.starts_with(META_PREFIX) => Self::Meta,
            Some(deleted) => Self::Whiteout(deleted),
        }
    }
}

/// Returns the name in a tar that deletes `name`.
#[must_use]
pub fn whiteout_name(name: &[u8]) -> Vec<u8> {
    [WHITEOUT_PREFIX, name].concat()
}

/// Where overlayfs keeps its marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `trusted.overlay.`, for mounts made by root.
    Trusted,
    /// `user.overlay.`, for mounts made in a user namespace.
    User,
}

impl Dialect {
    /// Both dialects.
    pub const ALL: [Self; 2] = [Self::Trusted, Self::User];

    /// Returns what the names of the dialect begin with.
    #[must_use]
    pub const fn prefix(self) -> &'static [u8] {
        match self {
            Self::Trusted => b"trusted.overlay.",
            Self::User => b"user.overlay.",
        }
    }

    /// Returns the full name of a mark.
    #[must_use]
    pub fn name(self, mark: Mark) -> Vec<u8> {
        [self.prefix(), mark.name()].concat()
    }
}

macro_rules! marks {
    ($($(#[$doc:meta])* $mark:ident = $name:literal,)*) => {
        /// An extended attribute of overlayfs, without its dialect.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Mark {
            $($(#[$doc])* $mark,)*
        }

        impl Mark {
            /// Every mark.
            pub const ALL: &[Self] = &[$(Self::$mark),*];

            /// Returns the name after the dialect's prefix.
            #[must_use]
            pub const fn name(self) -> &'static [u8] {
                match self {
                    $(Self::$mark => $name,)*
                }
            }
        }
    };
}

// Linux fs/overlayfs/util.c, the names; Documentation/filesystems/overlayfs.rst, the meaning.
marks! {
    /// A directory that hides what lower layers have in it.
    Opaque = b"opaque",
    /// A directory that stands elsewhere in lower layers.
    Redirect = b"redirect",
    /// A file whose bytes are in a lower layer; only its metadata is here.
    Metacopy = b"metacopy",
    /// An empty file that deletes its name (Linux 6.7).
    Whiteout = b"whiteout",
    /// The lower file this was copied from.
    Origin = b"origin",
    /// A directory that holds copied files.
    Impure = b"impure",
    /// The link count of a copied file.
    Nlink = b"nlink",
    /// The identity of the mount.
    Uuid = b"uuid",
    /// The upper file an index entry belongs to.
    Upper = b"upper",
    /// The immutable and append-only flags of a copied file (Linux 5.15).
    Protattr = b"protattr",
}

impl Mark {
    /// Reads the full name of an extended attribute.
    #[must_use]
    pub fn of(name: &[u8]) -> Option<(Dialect, Self)> {
        let (dialect, rest) = Dialect::ALL
            .iter()
            .find_map(|dialect| Some((*dialect, name.strip_prefix(dialect.prefix())?)))?;
        Self::ALL.iter().find(|mark| mark.name() == rest).map(|mark| (dialect, *mark))
    }

    /// Returns whether the kernel keeps this for itself: it says nothing about what the layer holds,
    /// and is stale once the layer stands elsewhere.
    #[must_use]
    pub const fn is_private(self) -> bool {
        matches!(self, Self::Origin | Self::Impure | Self::Nlink | Self::Uuid | Self::Upper)
    }

    /// Returns whether what has this mark cannot be understood from its own layer alone.
    #[must_use]
    pub const fn needs_lower(self) -> bool {
        matches!(self, Self::Redirect | Self::Metacopy)
    }
}

/// What the value of [`Mark::Opaque`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opaque {
    /// `y`: lower layers are hidden.
    Yes,
    /// `x`: the directory may hold files marked [`Mark::Whiteout`]; lower layers show through.
    XattrWhiteouts,
}

impl Opaque {
    /// Reads the value; the kernel takes any other as no mark at all.
    #[must_use]
    pub const fn of(value: &[u8]) -> Option<Self> {
        match value {
            b"y" => Some(Self::Yes),
            b"x" => Some(Self::XattrWhiteouts),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_tar_have_their_meaning() {
        for (name, want) in [
            (&b"x"[..], TarName::Plain),
            (b".wh", TarName::Plain),
            (b".wh.x", TarName::Whiteout(b"x")),
            (b".wh.", TarName::Whiteout(b"")),
            (b".wh..", TarName::Whiteout(b".")),
            (b".wh..wh..opq", TarName::Opaque),
            (b".wh..wh..opqx", TarName::Meta),
            (b".wh..wh.plnk", TarName::Meta),
        ] {
            assert_eq!(TarName::of(name), want);
        }
        assert_eq!(whiteout_name(b"x"), b".wh.x");
    }

    #[test]
    fn marks_are_known_by_their_full_name() {
        for dialect in Dialect::ALL {
            for mark in Mark::ALL {
                assert_eq!(Mark::of(&dialect.name(*mark)), Some((dialect, *mark)));
                assert!(!(mark.is_private() && mark.needs_lower()));
            }
        }
        for other in [&b"trusted.overlay.new"[..], b"trusted.overlay", b"security.capability", b""]
        {
            assert_eq!(Mark::of(other), None);
        }
        assert!(!Mark::Opaque.is_private() && Mark::Origin.is_private());
    }

    #[test]
    fn only_y_and_x_make_a_directory_opaque() {
        assert_eq!(Opaque::of(b"y"), Some(Opaque::Yes));
        assert_eq!(Opaque::of(b"x"), Some(Opaque::XattrWhiteouts));
        assert!([&b""[..], b"n", b"yy", b"Y"].iter().all(|value| Opaque::of(value).is_none()));
    }
}
