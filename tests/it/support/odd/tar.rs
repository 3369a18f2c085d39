//! A tar, written block by block.

use tar::{EntryType, Header};

pub(super) const BLOCK: usize = 512;

pub(crate) fn link(header: &mut Header, to: &[u8]) {
    header.as_mut_bytes()[157..157 + to.len()].copy_from_slice(to);
}

/// A tar being written.
#[derive(Default)]
pub(crate) struct Tar(Vec<u8>);

impl Tar {
    pub(crate) fn file(self, name: &[u8], data: &[u8]) -> Self {
        self.add(EntryType::Regular, name, data, |_| {})
    }

    pub(crate) fn dir(self, name: &[u8]) -> Self {
        self.add(EntryType::Directory, name, b"", |header| header.set_mode(0o755))
    }

    /// Adds a member whose header is what `edit` makes of the usual.
    pub(crate) fn add(
        mut self,
        kind: EntryType,
        name: &[u8],
        data: &[u8],
        edit: impl FnOnce(&mut Header),
    ) -> Self {
        let mut header = match kind {
            EntryType::GNUSparse | EntryType::GNULongName => Header::new_gnu(),
            _ => Header::new_ustar(),
        };
        header.set_entry_type(kind);
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_mode(0o644);
        header.set_mtime(1_600_000_000);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(data.len() as u64);
        edit(&mut header);
        header.set_cksum();
        self.0.extend(header.as_bytes());
        self.0.extend(data);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }

    pub(crate) fn pax(self, kind: u8, records: &[(&str, &[u8])]) -> Self {
        let record = |(key, value): &(&str, &[u8])| {
            let rest = key.len() + value.len() + 3;
            // The number counts itself.
            let mut length = rest;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            [format!("{length} {key}=").as_bytes(), value, b"\n"].concat()
        };
        let data: Vec<u8> = records.iter().flat_map(record).collect();
        self.add(EntryType::new(kind), b"PaxHeaders/x", &data, |_| {})
    }

    /// Returns the tar with this many blocks of zeros at its end.
    pub(crate) fn end(mut self, blocks: usize) -> Vec<u8> {
        self.0.resize(self.0.len() + blocks * BLOCK, 0);
        self.0
    }
}
