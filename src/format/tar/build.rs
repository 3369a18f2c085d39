//! Archives made by hand, for tests: every field can be what no program would write.

use super::{BLOCK, push_record};

/// An archive being made.
#[derive(Clone, Default)]
pub(crate) struct Tar(pub(crate) Vec<u8>);

/// A header of a member with mode 0644, owner 0 and time 0.
pub(crate) fn header(flag: u8, name: &[u8], size: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(b"0000644\0");
    block[108..116].copy_from_slice(b"0000000\0");
    block[116..124].copy_from_slice(b"0000000\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"00000000000\0");
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    sum(&mut block);
    block
}

/// Sets the header's checksum.
pub(crate) fn sum(block: &mut [u8; BLOCK]) {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

impl Tar {
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Adds a member, its header edited.
    pub(crate) fn edited(
        self,
        flag: u8,
        name: &[u8],
        data: &[u8],
        edit: impl FnOnce(&mut [u8; BLOCK]),
    ) -> Self {
        let mut block = header(flag, name, data.len() as u64);
        edit(&mut block);
        sum(&mut block);
        self.bytes(&block).bytes(data).pad()
    }

    pub(crate) fn member(self, flag: u8, name: &str, data: &[u8]) -> Self {
        self.edited(flag, name.as_bytes(), data, |_| {})
    }

    pub(crate) fn file(self, name: &str, data: &[u8]) -> Self {
        self.member(b'0', name, data)
    }

    pub(crate) fn dir(self, name: &str) -> Self {
        self.member(b'5', name, b"")
    }

    pub(crate) fn link(self, flag: u8, name: &str, to: &str) -> Self {
        self.edited(flag, name.as_bytes(), b"", |block| {
            block[157..157 + to.len()].copy_from_slice(to.as_bytes());
        })
    }

    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        self.extended(b'x', "PaxHeaders/x", records)
    }

    pub(crate) fn extended(self, flag: u8, name: &str, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            push_record(&mut data, key.as_bytes(), value);
        }
        self.member(flag, name, &data)
    }

    /// Adds a GNU long name (`L`) or long link (`K`).
    pub(crate) fn long(self, flag: u8, name: &[u8]) -> Self {
        self.edited(flag, b"././@LongLink", &[name, b"\0"].concat(), gnu)
    }

    pub(crate) fn pad(mut self) -> Self {
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }

    pub(crate) fn zeros(self, blocks: usize) -> Self {
        self.bytes(&vec![0; blocks * BLOCK])
    }

    /// Ends the archive.
    pub(crate) fn end(self) -> Vec<u8> {
        self.zeros(2).0
    }

    /// Adds an old GNU sparse file.
    pub(crate) fn old_sparse(self, name: &str, chunks: &[(u64, &[u8])], size: u64) -> Self {
        let data: Vec<u8> = chunks.iter().flat_map(|(_, data)| data.iter().copied()).collect();
        let (first, rest) = chunks.split_at(chunks.len().min(4));
        let mut block = header(b'S', name.as_bytes(), data.len() as u64);
        gnu(&mut block);
        put_chunks(&mut block[386..482], first);
        block[482] = u8::from(!rest.is_empty());
        block[483..495].copy_from_slice(format!("{size:011o}\0").as_bytes());
        sum(&mut block);
        let mut tar = self.bytes(&block);
        let mut left = rest.chunks(21).peekable();
        while let Some(chunks) = left.next() {
            let mut block = [0; BLOCK];
            put_chunks(&mut block[..504], chunks);
            block[504] = u8::from(left.peek().is_some());
            tar = tar.bytes(&block);
        }
        tar.bytes(&data).pad()
    }
}

/// Makes a header GNU tar's.
pub(crate) fn gnu(block: &mut [u8; BLOCK]) {
    block[257..265].copy_from_slice(b"ustar  \0");
}

/// Makes a header that of Unix version 7.
pub(crate) fn v7(block: &mut [u8; BLOCK]) {
    block[257..265].fill(0);
}

fn put_chunks(to: &mut [u8], chunks: &[(u64, &[u8])]) {
    for (to, (offset, data)) in to.chunks_exact_mut(24).zip(chunks) {
        to[..12].copy_from_slice(format!("{offset:011o}\0").as_bytes());
        to[12..].copy_from_slice(format!("{:011o}\0", data.len()).as_bytes());
    }
}
