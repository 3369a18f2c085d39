//! One member of an archive being written: a POSIX header, with PAX records for what it cannot hold.

use std::io::{self, Read, Write};

use ::tar::{Builder, EntryType, Header};

use crate::format::tar::{BLOCK, push_record};
use crate::tree::Attributes;

/// What an octal field of eight bytes holds at most.
const OCTAL_7: u32 = 0o7_777_777;

/// What an octal field of twelve bytes holds at most.
const OCTAL_11: u64 = 0o77_777_777_777;

/// What a member is, with what belongs to it.
pub(crate) enum Body<'a> {
    /// A file of so many bytes.
    File(u64, &'a mut dyn Read),
    /// The header of a file of so many bytes, which the caller writes.
    Sized(u64),
    /// A directory.
    Dir,
    /// A symbolic link to these bytes.
    Symlink(&'a [u8]),
    /// Another name of the member called so.
    HardLink(&'a [u8]),
    /// A character device with major and minor number.
    Char(u32, u32),
    /// A block device with major and minor number.
    Block(u32, u32),
    /// A named pipe.
    Fifo,
}

impl Body<'_> {
    fn flag(&self) -> EntryType {
        match self {
            Body::File(..) | Body::Sized(_) => EntryType::Regular,
            Body::Dir => EntryType::Directory,
            Body::Symlink(_) => EntryType::Symlink,
            Body::HardLink(_) => EntryType::Link,
            Body::Char(..) => EntryType::Char,
            Body::Block(..) => EntryType::Block,
            Body::Fifo => EntryType::Fifo,
        }
    }

    fn link(&self) -> &[u8] {
        match self {
            Body::Symlink(target) | Body::HardLink(target) => target,
            _ => b"",
        }
    }
}

/// Appends a member; returns the bytes it takes in the archive.
pub(crate) fn append<W: Write>(
    to: &mut Builder<W>,
    path: &[u8],
    body: Body<'_>,
    attributes: &Attributes,
) -> io::Result<u64> {
    let mut header = Header::new_ustar();
    let mut records = Records::default();
    let ustar = header.as_old_mut();
    records.text("path", path, &mut ustar.name);
    records.text("linkpath", body.link(), &mut ustar.linkname);
    header.set_entry_type(body.flag());
    header.set_mode(u32::from(attributes.mode));
    header.set_uid(records.number("uid", attributes.uid.into(), OCTAL_7.into()));
    header.set_gid(records.number("gid", attributes.gid.into(), OCTAL_7.into()));
    header.set_mtime(records.time(attributes));
    if let Body::Char(major, minor) | Body::Block(major, minor) = body {
        if major.max(minor) > OCTAL_7 {
            let what = format!("device {major}:{minor} does not fit a tar header");
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        header.set_device_major(major)?;
        header.set_device_minor(minor)?;
    }
    for (key, value) in &attributes.xattrs {
        if key.contains(&b'=') {
            let what = "an extended attribute with = in its name does not fit a tar header";
            return Err(io::Error::new(io::ErrorKind::Unsupported, what));
        }
        push_record(&mut records.0, &[b"SCHILY.xattr.", key.as_slice()].concat(), value);
    }
    let nothing = &mut io::empty() as &mut dyn Read;
    let (size, data) = match body {
        Body::File(size, data) => (size, data),
        Body::Sized(size) => (size, nothing),
        _ => (0, nothing),
    };
    header.set_size(records.number("size", size, OCTAL_11));
    header.set_cksum();
    let extended = records.append(to, path)?;
    to.append(&header, data.take(size))?;
    Ok(extended + BLOCK as u64 + size.next_multiple_of(BLOCK as u64))
}

/// The data of an extended header.
#[derive(Default)]
struct Records(Vec<u8>);

impl Records {
    /// Puts `text` into `field`; what is too long becomes a record, too.
    fn text(&mut self, key: &str, text: &[u8], field: &mut [u8; 100]) {
        let fits = text.len().min(field.len());
        field[..fits].copy_from_slice(&text[..fits]);
        if text.len() > field.len() {
            push_record(&mut self.0, key.as_bytes(), text);
        }
    }

    /// Returns what goes into the header: binary, where the number is too large for octal digits. For
    /// programs that know no such headers it becomes a record, too.
    fn number(&mut self, key: &str, number: u64, most: u64) -> u64 {
        if number > most {
            push_record(&mut self.0, key.as_bytes(), number.to_string().as_bytes());
        }
        number
    }

    /// Returns the seconds that go into the header.
    fn time(&mut self, attributes: &Attributes) -> u64 {
        let time = attributes.mtime.unwrap_or_default();
        let seconds = u64::try_from(time.seconds).ok().filter(|seconds| *seconds <= OCTAL_11);
        if time.nanos > 0 || seconds.is_none() {
            push_record(&mut self.0, b"mtime", decimal_time(time.seconds, time.nanos).as_bytes());
        }
        seconds.unwrap_or(0)
    }

    /// Appends the extended header, if there are records; returns the bytes it takes.
    fn append<W: Write>(self, to: &mut Builder<W>, path: &[u8]) -> io::Result<u64> {
        if self.0.is_empty() {
            return Ok(0);
        }
        let last = path.split(|b| *b == b'/').rfind(|name| !name.is_empty()).unwrap_or(b".");
        let name = [b"PaxHeaders/", last].concat();
        let mut header = Header::new_ustar();
        let fits = name.len().min(100);
        header.as_old_mut().name[..fits].copy_from_slice(&name[..fits]);
        header.set_entry_type(EntryType::XHeader);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(self.0.len() as u64);
        header.set_cksum();
        to.append(&header, self.0.as_slice())?;
        Ok((BLOCK + self.0.len().next_multiple_of(BLOCK)) as u64)
    }
}

/// Writes a time as PAX has it: a sign counts for the fraction, too.
fn decimal_time(seconds: i64, nanos: u32) -> String {
    let total = i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    let (sign, total) = (if total < 0 { "-" } else { "" }, total.unsigned_abs());
    let (seconds, nanos) = (total / 1_000_000_000, total % 1_000_000_000);
    match nanos {
        0 => format!("{sign}{seconds}"),
        _ => format!("{sign}{seconds}.{nanos:09}").trim_end_matches('0').to_owned(),
    }
}
