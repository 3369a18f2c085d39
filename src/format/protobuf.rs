//! What is needed of protobuf's wire format (protobuf.dev/programming-guides/encoding): a message as the
//! fields that it has, in their order.

use super::wide;
use crate::error::DecodeError;

/// A message that is being read.
pub(super) struct Wire<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// The value of a field.
pub(super) enum Value<'a> {
    Number(u64),
    /// A text, a message or bytes.
    Bytes(&'a [u8]),
    /// Four or eight bytes; nothing that is read here has such.
    Fixed,
}

impl<'a> Wire<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Returns the error that something is wrong where the reading is.
    pub(super) fn wrong(&self, what: &str) -> DecodeError {
        DecodeError::new(wide(self.at), what)
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or_else(|| self.wrong("a number is cut off"))?;
            self.at = self.at.saturating_add(1);
            // The tenth byte holds one more bit; Go drops the others too.
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(self.wrong("a number of more than 64 bits"))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], DecodeError> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let taken = end.and_then(|end| Some((end, self.bytes.get(self.at..end)?)));
        let (end, taken) = taken.ok_or_else(|| self.wrong("a field is longer than its message"))?;
        self.at = end;
        Ok(taken)
    }

    /// Returns the next field, by its number; nothing at the end of the message.
    pub(super) fn field(&mut self) -> Result<Option<(u64, Value<'a>)>, DecodeError> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            other => return Err(self.wrong(&format!("a field of wire type {other}"))),
        };
        match tag >> 3 {
            0 => Err(self.wrong("a field with the number 0")),
            number => Ok(Some((number, value))),
        }
    }

    /// Returns the bytes of all fields that have them, by their numbers.
    pub(super) fn all(mut self) -> Result<Vec<(u64, &'a [u8])>, DecodeError> {
        let mut all = Vec::new();
        while let Some((number, value)) = self.field()? {
            if let Value::Bytes(bytes) = value {
                all.push((number, bytes));
            }
        }
        Ok(all)
    }
}
