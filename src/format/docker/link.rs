//! `link` and `lower` of an overlay2 layer: short names, so that a mount of many layers fits in one
//! page.
//!
//! Source: moby v29 daemon/graphdriver/overlay2/overlay.go

use std::fmt;

use super::layerdb::wrong;
use crate::error::DecodeError;
use crate::format::wide;

/// The most layers one mount may have below it; dockerd makes no child of a deeper one.
pub const MAX_DEPTH: usize = 128;

const LENGTH: usize = 26;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The short name of a layer: 26 letters and digits, a symbolic link in `overlay2/l`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link([u8; LENGTH]);

impl Link {
    /// Reads the file `link`.
    ///
    /// # Errors
    /// Anything but 26 letters and digits of base 32.
    pub fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let link = <[u8; LENGTH]>::try_from(bytes).ok();
        let link = link.filter(|link| link.iter().all(|b| ALPHABET.contains(b)));
        link.map(Self).ok_or_else(|| wrong(bytes, "26 letters A-Z and digits 2-7"))
    }

    /// Returns the name made of these bits, as dockerd makes one of random bits.
    ///
    /// daemon/graphdriver/overlay2/overlayutils/randomid.go: base 32, cut to 26 letters.
    #[must_use]
    pub fn from_bits(bits: [u8; 17]) -> Self {
        let mut link = [0; LENGTH];
        let mut held = 0_u32;
        let mut count = 0_u32;
        let mut bytes = bits.iter();
        for letter in &mut link {
            if count < 5 {
                held = (held << 8) | u32::from(bytes.next().copied().unwrap_or_default());
                count = count.saturating_add(8);
            }
            count = count.saturating_sub(5);
            let index = usize::try_from((held >> count) & 31).unwrap_or_default();
            *letter = ALPHABET.get(index).copied().unwrap_or(b'A');
        }
        Self(link)
    }

    /// Returns the 26 letters: the file `link`, and the name in `overlay2/l`.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads the file `lower`: the layers below, the nearest first.
///
/// # Errors
/// Anything but `l/…` joined by `:`, and more than [`MAX_DEPTH`] of them.
pub fn parse_lower(bytes: &[u8]) -> Result<Vec<Link>, DecodeError> {
    let mut links = Vec::new();
    let mut offset = 0_u64;
    for part in bytes.split(|b| *b == b':') {
        if links.len() == MAX_DEPTH {
            return Err(DecodeError::new(offset, format!("more than {MAX_DEPTH} lower layers")));
        }
        let link = part.strip_prefix(b"l/").ok_or_else(|| wrong(part, "`l/` and a link"));
        let link = link.and_then(Link::parse);
        links.push(link.map_err(|error| DecodeError::new(offset, error.what))?);
        offset = offset.saturating_add(wide(part.len())).saturating_add(1);
    }
    Ok(links)
}

/// Returns the file `lower` of a layer on these, the nearest first; nothing for a base layer, which
/// has no such file.
#[must_use]
pub fn format_lower(links: &[Link]) -> Option<Vec<u8>> {
    let parts: Vec<_> = links.iter().map(|link| format!("l/{link}")).collect();
    (!parts.is_empty()).then(|| parts.join(":").into_bytes())
}

/// Reads where a symbolic link in `overlay2/l` points: the name of the layer's directory.
///
/// # Errors
/// Anything but `../<id>/diff`.
pub fn parse_target(target: &[u8]) -> Result<&[u8], DecodeError> {
    let id = target.strip_prefix(b"../").and_then(|rest| rest.strip_suffix(b"/diff"));
    id.filter(|id| !matches!(*id, b"" | b"." | b"..") && !id.contains(&b'/'))
        .ok_or_else(|| wrong(target, "`../<layer>/diff`"))
}

/// Returns where a symbolic link in `overlay2/l` to the layer in directory `id` points.
#[must_use]
pub fn format_target(id: &str) -> String {
    format!("../{id}/diff")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: &str = "7ICVPJLSNWCEMDO5B6TLVEBZKQ";

    #[test]
    fn a_link_has_26_letters() {
        assert_eq!(Link::parse(ONE.as_bytes()).map(|link| link.to_string()).as_deref(), Ok(ONE));
        for text in
            [&ONE[1..], "", &format!("{ONE}\n"), &ONE.to_lowercase(), &ONE.replace('7', "1")]
        {
            assert!(Link::parse(text.as_bytes()).is_err(), "{text:?}");
        }
        let short = Link::parse(&ONE.as_bytes()[1..]).expect_err("25 letters");
        assert!(short.what.contains("25 bytes") && short.what.contains("26"), "{short}");
    }

    /// coreutils' `base32` makes the same letters.
    #[test]
    fn bits_become_letters() {
        for (bits, want) in [
            ([0; 17], "AAAAAAAAAAAAAAAAAAAAAAAAAA"),
            ([0xff; 17], "77777777777777777777777777"),
            (*b"tranship, a crate", "ORZGC3TTNBUXALBAMEQGG4TBOR"),
        ] {
            assert_eq!(Link::from_bits(bits).to_string(), want);
        }
    }

    #[test]
    fn lower_lists_the_nearest_first() {
        let [a, b] = [Link::from_bits([1; 17]), Link::from_bits([2; 17])];
        let text = format_lower(&[a, b]).expect("two layers");
        assert_eq!(text, format!("l/{a}:l/{b}").into_bytes());
        assert_eq!(parse_lower(&text), Ok(vec![a, b]));
        assert_eq!(format_lower(&[]), None);
        let full = vec![a; MAX_DEPTH];
        assert_eq!(parse_lower(&format_lower(&full).expect("many")), Ok(full.clone()));
        let over = format_lower(&[&full[..], &[b]].concat()).expect("many");
        assert!(parse_lower(&over).expect_err("too deep").what.contains("128"));
    }

    #[test]
    fn a_broken_lower_names_the_byte() {
        let text = format!("l/{ONE}:l/../../etc");
        assert_eq!(parse_lower(text.as_bytes()).expect_err("no link").offset, 29);
        for text in ["", ":", "l/", ONE, &format!("l/{ONE}:"), &format!("l/{ONE}\n")] {
            assert!(parse_lower(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_target_is_one_directory() {
        assert_eq!(
            parse_target(format_target("jtq04xc71byhg").as_bytes()),
            Ok(&b"jtq04xc71byhg"[..])
        );
        for text in ["..//diff", "../../diff", "../a/b/diff", "a/diff", "../a/diff/", "/a/diff", ""]
        {
            assert!(parse_target(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn made_links_read_back(bits: [u8; 17]) {
            let link = Link::from_bits(bits);
            prop_assert_eq!(Link::parse(link.as_bytes()), Ok(link));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = parse_lower(&bytes);
            let _ = parse_target(&bytes);
        }
    }
}
