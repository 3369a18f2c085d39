//! Values in containerd's bolt files: times and numbers.
//!
//! Source: Go 1.25 time/time.go MarshalBinary, encoding/binary/varint.go; containerd v2
//! core/metadata/boltutil/helpers.go

use crate::error::DecodeError;
use crate::format::time::Timestamp;
use crate::format::wide;

/// `v1/version` of containerd 1.3 to 1.7.
pub const DB_VERSION_1: i64 = 3;
/// `v1/version` of containerd 2.
pub const DB_VERSION_2: i64 = 4;

/// The most bytes a 64-bit number takes.
const VARINT_LIMIT: usize = 10;

/// Seconds from 0001-01-01, where Go begins to count, to 1970-01-01.
const GO_EPOCH: i64 = 62_135_596_800;

/// Reads a time, dropping the zone it was said in.
///
/// # Errors
/// Bytes that Go's `UnmarshalBinary` refuses, and nanoseconds beyond a second.
pub fn time(bytes: &[u8]) -> Result<Timestamp, DecodeError> {
    let (version, rest) = bytes.split_first().ok_or_else(|| DecodeError::new(0, "no time"))?;
    let (seconds, rest) = rest.split_first_chunk().ok_or_else(|| short(bytes))?;
    let (nanos, zone) = rest.split_first_chunk().ok_or_else(|| short(bytes))?;
    match (version, zone.len()) {
        // Version 2 has the seconds of the zone as well.
        (1, 2) | (2, 3) => {}
        (1 | 2, _) => return Err(short(bytes)),
        _ => {
            return Err(DecodeError::new(0, format!("time of version {version}, wanted 1 or 2")));
        }
    }
    let seconds = i64::from_be_bytes(*seconds).checked_sub(GO_EPOCH);
    let seconds = seconds.ok_or_else(|| DecodeError::new(1, "a time before all times"))?;
    let nanos = u32::from_be_bytes(*nanos);
    if nanos >= 1_000_000_000 {
        return Err(DecodeError::new(9, format!("{nanos} nanoseconds, wanted less than a second")));
    }
    Ok(Timestamp { seconds, nanos })
}

fn short(bytes: &[u8]) -> DecodeError {
    let length = bytes.len();
    DecodeError::new(
        wide(length),
        format!("a time of {length} bytes, wanted 15, or 16 in version 2"),
    )
}

/// Returns a time in UTC, as containerd writes it.
#[must_use]
pub fn encode_time(time: Timestamp) -> [u8; 15] {
    let mut out = [0; 15];
    let seconds = time.seconds.saturating_add(GO_EPOCH).to_be_bytes();
    let nanos = time.nanos.min(999_999_999).to_be_bytes();
    let parts = [1].into_iter().chain(seconds).chain(nanos).chain([0xff, 0xff]);
    for (byte, part) in out.iter_mut().zip(parts) {
        *byte = part;
    }
    out
}

/// Reads an unsigned number at the start of `bytes`; returns it and what follows.
///
/// # Errors
/// A number that does not end, or does not fit in 64 bits.
pub fn split_uvarint(bytes: &[u8]) -> Result<(u64, &[u8]), DecodeError> {
    let mut number = 0_u64;
    let mut shift = 0_u32;
    for (at, byte) in bytes.iter().enumerate().take(VARINT_LIMIT) {
        let bits = u64::from(byte & 0x7f);
        // The tenth byte holds the one bit that is left.
        if at.saturating_add(1) == VARINT_LIMIT && *byte > 1 {
            return Err(DecodeError::new(wide(at), "a number of more than 64 bits"));
        }
        number |= bits << shift;
        shift = shift.saturating_add(7);
        if byte & 0x80 == 0 {
            return Ok((number, bytes.get(at.saturating_add(1)..).unwrap_or_default()));
        }
    }
    Err(DecodeError::new(wide(bytes.len()), "a number that does not end"))
}

/// Reads an unsigned number that is all of `bytes`: a snapshot's `id`.
///
/// # Errors
/// As [`split_uvarint`], and bytes after the number.
pub fn uvarint(bytes: &[u8]) -> Result<u64, DecodeError> {
    match split_uvarint(bytes)? {
        (number, []) => Ok(number),
        (_, rest) => {
            let at = bytes.len().saturating_sub(rest.len());
            Err(DecodeError::new(wide(at), format!("{} bytes after a number", rest.len())))
        }
    }
}

/// Returns an unsigned number as Go's `PutUvarint` writes it.
#[must_use]
pub fn encode_uvarint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(VARINT_LIMIT);
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low & 0x7f);
            return out;
        }
        out.push(low | 0x80);
    }
}

/// Reads a signed number that is all of `bytes`: a `size`, `inodes`, the `version`.
///
/// # Errors
/// As [`uvarint`].
pub fn varint(bytes: &[u8]) -> Result<i64, DecodeError> {
    let zigzag = uvarint(bytes)?;
    let half = (zigzag >> 1).cast_signed();
    Ok(if zigzag & 1 == 0 { half } else { !half })
}

/// Returns a signed number as Go's `PutVarint` writes it.
#[must_use]
pub fn encode_varint(number: i64) -> Vec<u8> {
    let double = number.cast_unsigned() << 1;
    encode_uvarint(if number < 0 { !double } else { double })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        const_hex::decode(hex).expect("hex")
    }

    /// Vectors of Go's own `MarshalBinary`.
    #[test]
    fn times_are_gos() {
        for (hex, seconds, nanos) in [
            ("010000000edd23f78000000000ffff", 1_704_067_200, 0),
            ("010000000edd23f780075bcd15ffff", 1_704_067_200, 123_456_789),
            ("010000000edd23f780000000000078", 1_704_067_200, 0),
            ("020000000edd23f78000000000007801", 1_704_067_200, 0),
            ("01000000000000000000000000ffff", -62_135_596_800, 0),
        ] {
            assert_eq!(time(&bytes(hex)), Ok(Timestamp { seconds, nanos }), "{hex}");
        }
        let utc = Timestamp { seconds: 1_704_067_200, nanos: 123_456_789 };
        assert_eq!(const_hex::encode(encode_time(utc)), "010000000edd23f780075bcd15ffff");
    }

    #[test]
    fn what_go_refuses_as_a_time_is_refused() {
        let good = bytes("010000000edd23f78000000000ffff");
        for length in 0..good.len() {
            assert!(time(&good[..length]).is_err(), "{length} bytes");
        }
        for hex in [
            "010000000edd23f78000000000ffff00",
            "020000000edd23f78000000000ffff",
            "030000000edd23f78000000000ffff",
            "010000000edd23f7803b9aca00ffff",
            "010000000edd23f780ffffffffffff",
            "01800000000000000000000000ffff",
        ] {
            assert!(time(&bytes(hex)).is_err(), "{hex}");
        }
    }

    #[test]
    fn numbers_are_gos() {
        for (number, hex) in [
            (0, "00"),
            (528, "a008"),
            (3, "06"),
            (4, "08"),
            (667, "b60a"),
            (1536, "8018"),
            (-1, "01"),
            (-65, "8101"),
        ] {
            assert_eq!(const_hex::encode(encode_varint(number)), hex, "{number}");
            assert_eq!(varint(&bytes(hex)), Ok(number), "{number}");
        }
        assert_eq!(varint(&bytes("ffffffffffffffffff01")), Ok(i64::MIN));
        assert_eq!(uvarint(&bytes("ffffffffffffffffff01")), Ok(u64::MAX));
        // Longer than need be, as Go allows.
        assert_eq!(uvarint(&bytes("8100")), Ok(1));
    }

    #[test]
    fn numbers_that_go_refuses_are_refused() {
        for (hex, offset) in [
            ("", 0),
            ("80", 1),
            ("ffffffffffffffffff02", 9),
            ("ffffffffffffffffff81", 9),
            ("8080808080808080808001", 9),
            ("0000", 1),
        ] {
            assert_eq!(uvarint(&bytes(hex)).map_err(|error| error.offset), Err(offset), "{hex}");
        }
        assert_eq!(split_uvarint(&[5, 0]), Ok((5, &[0][..])));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(seconds in -GO_EPOCH..1 << 40, nanos in 0_u32..1_000_000_000, signed: i64, unsigned: u64) {
            let moment = Timestamp { seconds, nanos };
            prop_assert_eq!(time(&encode_time(moment)), Ok(moment));
            prop_assert_eq!(varint(&encode_varint(signed)), Ok(signed));
            prop_assert_eq!(uvarint(&encode_uvarint(unsigned)), Ok(unsigned));
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = (time(&bytes), uvarint(&bytes), varint(&bytes));
        }
    }
}
