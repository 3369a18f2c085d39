//! Writes tar-split as Go does, byte for byte.

use std::fmt::Write as _;
use std::io::{self, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Entry;

/// Writes entries as Docker's tar-split does; compressing them is left to `W`.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    position: u64,
    line: String,
}

impl<W: Write> Writer<W> {
    /// Returns a writer to `out`, which should buffer.
    pub fn new(out: W) -> Self {
        Self { out, position: 0, line: String::new() }
    }

    /// Writes `bytes` of the tar; nothing if there are none.
    ///
    /// # Errors
    /// Those of the output.
    pub fn segment(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.line.push_str("{\"type\":2");
        self.end(bytes)
    }

    /// Writes a member called `name`; `content` is the size and checksum of the file whose bytes come
    /// here, if any.
    ///
    /// # Errors
    /// Those of the output.
    pub fn file(&mut self, name: &[u8], content: Option<(u64, [u8; 8])>) -> io::Result<()> {
        let (size, crc) = content.filter(|(size, _)| *size > 0).unwrap_or_default();
        self.line.push_str("{\"type\":1");
        match std::str::from_utf8(name) {
            Ok("") => {}
            Ok(name) => {
                self.line.push_str(",\"name\":\"");
                escape(name, &mut self.line);
                self.line.push('"');
            }
            Err(_) => {
                self.line.push_str(",\"name_raw\":\"");
                STANDARD.encode_string(name, &mut self.line);
                self.line.push('"');
            }
        }
        if size > 0 {
            write!(self.line, ",\"size\":{size}").expect("a string takes every write");
        }
        self.end(if size > 0 { &crc } else { &[] })
    }

    /// Writes an entry that was read.
    ///
    /// # Errors
    /// Those of the output.
    pub fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        match entry {
            Entry::Segment(bytes) => self.segment(bytes),
            Entry::File { name, size, crc } => self.file(name, crc.map(|crc| (*size, crc))),
        }
    }

    /// Returns the output, which is not flushed.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn end(&mut self, payload: &[u8]) -> io::Result<()> {
        if payload.is_empty() {
            self.line.push_str(",\"payload\":null");
        } else {
            self.line.push_str(",\"payload\":\"");
            STANDARD.encode_string(payload, &mut self.line);
            self.line.push('"');
        }
        writeln!(self.line, ",\"position\":{}}}", self.position)
            .expect("a string takes every write");
        self.position = self.position.saturating_add(1);
        self.out.write_all(self.line.as_bytes())?;
        self.line.clear();
        Ok(())
    }
}

/// Escapes `text` as Go's encoder does: it is made to be safe inside HTML and JavaScript.
///
/// Go 1.22 encoding/json encode.go appendString; before, \b and \f were \u0008 and \u000c.
fn escape(text: &str, to: &mut String) {
    // U+2028 and U+2029 begin with 0xe2.
    let may_need = |b: u8| matches!(b, 0..b' ' | b'"' | b'\\' | b'<' | b'>' | b'&' | 0xe2);
    if !text.bytes().any(may_need) {
        return to.push_str(text);
    }
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        let short = match c {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\0'..' ' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => "",
            _ => continue,
        };
        to.push_str(&text[plain..at]);
        plain = at.saturating_add(c.len_utf8());
        match short {
            "" => write!(to, "\\u{:04x}", u32::from(c)).expect("a string takes every write"),
            short => to.push_str(short),
        }
    }
    to.push_str(&text[plain..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::tar_split::Entries;

    fn written(entries: &[Entry]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        for entry in entries {
            writer.entry(entry).expect("a vector takes every write");
        }
        writer.into_inner()
    }

    /// Lines of Docker 28's own files, but for the names with what must be escaped.
    #[test]
    fn the_text_is_go_s() {
        let mut writer = Writer::new(Vec::new());
        writer.segment(b"").expect("a vector takes every write");
        writer.segment(b"hi").expect("a vector takes every write");
        writer.file(b"bin/", None).expect("a vector takes every write");
        let crc = *b"\x61\x4c\x3e\xee\xe2\xd8\x10\x00";
        writer
            .file(b"a\"\\/<&>\x08\x0c\n\r\t\x01\x7f\xe2\x80\xa8\xc3\xbc", Some((6, crc)))
            .expect("a vector takes every write");
        writer.file(b"\xff", Some((0, crc))).expect("a vector takes every write");
        writer.file(b"", None).expect("a vector takes every write");
        let text = String::from_utf8(writer.into_inner()).expect("JSON");
        let want = [
            r#"{"type":2,"payload":"aGk=","position":0}"#,
            r#"{"type":1,"name":"bin/","payload":null,"position":1}"#,
            concat!(
                r#"{"type":1,"name":"a\"\\/\u003c\u0026\u003e\b\f\n\r\t\u0001"#,
                "\x7f",
                r#"\u2028ü","size":6,"payload":"YUw+7uLYEAA=","position":2}"#
            ),
            r#"{"type":1,"name_raw":"/w==","payload":null,"position":3}"#,
            r#"{"type":1,"payload":null,"position":4}"#,
        ];
        assert_eq!(text, want.map(|line| format!("{line}\n")).concat());
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        let segment = proptest::collection::vec(any::<u8>(), 1..2000).prop_map(Entry::Segment);
        let name = prop_oneof![
            any::<String>().prop_map(String::into_bytes),
            proptest::collection::vec(any::<u8>(), 0..40),
        ];
        let content = proptest::option::of((1..i64::MAX.cast_unsigned(), any::<[u8; 8]>()));
        let file = (name, content).prop_map(|(name, content)| Entry::File {
            name,
            size: content.map_or(0, |(size, _)| size),
            crc: content.map(|(_, crc)| crc),
        });
        prop_oneof![segment, file]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(entries in proptest::collection::vec(any_entry(), 0..20)) {
            let text = written(&entries);
            let read: Result<Vec<_>, _> = Entries::new(text.as_slice()).collect();
            prop_assert_eq!(read, Ok(entries));
        }

        #[test]
        fn reading_never_panics(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Entries::new(text.as_slice()).count();
        }
    }
}
