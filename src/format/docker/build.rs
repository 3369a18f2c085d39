//! What BuildKit remembers of a build: what came of it, and how that was called.
//!
//! `buildkit/history.db` has a message `BuildHistoryRecord` for each build in its bucket `_records`, under
//! the build's ID. Of a build that gave an image, it names the image by the config's digest in the classic
//! store, by that of the manifest or index elsewhere. Newer releases keep there what the exporter was asked
//! for, with the names; all of them tell the names in the log of the build, a blob.
//!
//! ```text
//! BuildHistoryRecord  4 exporters: {1 type, 2 attributes: {1 key, 2 value}}
//!                     7 completed: {1 seconds, 2 nanoseconds}   8 log: Descriptor
//!                     10 result: {1 Descriptor, 3 by number: {2 Descriptor}}
//! Descriptor          2 digest
//! log                 length: u32 little-endian │ StatusResponse, again and again
//! StatusResponse      2 statuses: {1 "naming to …", 8 completed}
//! ```
//!
//! buildkit v0.25 api/services/control/control.proto, solver/llbsolver/history.go

use std::collections::BTreeSet;

use crate::digest::{BlobId, Digest};
use crate::error::DecodeError;
use crate::format::protobuf::{Value, Wire};
use crate::format::time::Timestamp;

/// The file's bucket of builds.
pub const RECORDS: &[u8] = b"_records";

/// What precedes a name in a log.
const NAMING: &[u8] = b"naming to ";

/// A build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Build {
    /// What came of it: configs, manifests or indexes.
    pub results: BTreeSet<Digest>,
    /// The names that it was to have.
    pub names: BTreeSet<String>,
    /// When it ended.
    pub completed: Timestamp,
    /// The blob of its log.
    pub log: Option<BlobId>,
}

/// Reads the record of a build.
///
/// # Errors
/// What is no message, or ends early.
pub fn read(record: &[u8]) -> Result<Build, DecodeError> {
    let mut build = Build::default();
    for (number, field) in Wire::new(record).all()? {
        match number {
            4 => build.names.extend(asked_for(field)?),
            7 => build.completed = time(field)?,
            8 => build.log = digest(field)?.map(BlobId),
            10 => add_results(field, &mut build.results)?,
            _ => {}
        }
    }
    Ok(build)
}

/// Reads the names from the log of a build.
///
/// # Errors
/// What is no log, or ends early.
pub fn names(mut log: &[u8]) -> Result<BTreeSet<String>, DecodeError> {
    let mut names = BTreeSet::new();
    while let Some((length, rest)) = log.split_first_chunk() {
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let Some((message, rest)) = rest.split_at_checked(length) else {
            return Err(DecodeError::new(0, "the log of a build is cut short"));
        };
        for (_, status) in Wire::new(message).all()?.into_iter().filter(|(number, _)| *number == 2)
        {
            let fields = Wire::new(status).all()?;
            let naming = member(&fields, 1).and_then(|id| id.strip_prefix(NAMING));
            names.extend(naming.filter(|_| member(&fields, 8).is_some()).and_then(text));
        }
        log = rest;
    }
    Ok(names)
}

/// Returns the names that an exporter of images was asked for.
fn asked_for(exporter: &[u8]) -> Result<Vec<String>, DecodeError> {
    let fields = Wire::new(exporter).all()?;
    // `moby` is the classic store's own; what goes to a file or folder is no image of the store.
    if !matches!(member(&fields, 1), Some(b"image" | b"moby")) {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for (_, attribute) in fields.iter().filter(|(number, _)| *number == 2) {
        let pair = Wire::new(attribute).all()?;
        if member(&pair, 1) == Some(b"name") {
            let all = member(&pair, 2).unwrap_or_default().split(|byte| *byte == b',');
            names.extend(all.filter_map(text));
        }
    }
    Ok(names)
}

fn add_results(result: &[u8], results: &mut BTreeSet<Digest>) -> Result<(), DecodeError> {
    for (number, field) in Wire::new(result).all()? {
        match number {
            1 => results.extend(digest(field)?),
            3 => {
                let entry = Wire::new(field).all()?;
                results.extend(digest(member(&entry, 2).unwrap_or_default())?);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Returns the digest of a descriptor, if it is one.
fn digest(descriptor: &[u8]) -> Result<Option<Digest>, DecodeError> {
    let fields = Wire::new(descriptor).all()?;
    Ok(member(&fields, 2).and_then(text).and_then(|text| text.parse().ok()))
}

fn time(message: &[u8]) -> Result<Timestamp, DecodeError> {
    let (mut wire, mut time) = (Wire::new(message), Timestamp::default());
    while let Some((number, value)) = wire.field()? {
        match (number, value) {
            (1, Value::Number(seconds)) => time.seconds = seconds.cast_signed(),
            (2, Value::Number(nanos)) => time.nanos = u32::try_from(nanos).unwrap_or_default(),
            _ => {}
        }
    }
    Ok(time)
}

fn member<'a>(fields: &[(u64, &'a [u8])], number: u64) -> Option<&'a [u8]> {
    fields.iter().find(|(found, _)| *found == number).map(|(_, bytes)| *bytes)
}

fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a field with bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).expect("short");
        let length = if length < 128 { vec![length] } else { vec![length, 1] };
        [&[number << 3 | 2][..], &length, bytes].concat()
    }

    fn exporter(kind: &str, name: &str) -> Vec<u8> {
        let attribute = [field(1, b"name"), field(2, name.as_bytes())].concat();
        field(4, &[field(1, kind.as_bytes()), field(2, &attribute)].concat())
    }

    fn descriptor(digest: Digest) -> Vec<u8> {
        [field(1, b"type"), field(2, digest.to_string().as_bytes())].concat()
    }

    #[test]
    fn a_record_tells_what_came_of_the_build() {
        let [image, other, log] = [b"a", b"b", b"c"].map(|bytes| Digest::of(bytes));
        let by_number = [&[1 << 3, 0][..], &field(2, &descriptor(other))].concat();
        let result = [field(1, &descriptor(image)), field(3, &by_number)].concat();
        let record = [
            field(1, b"id"),
            exporter("image", "docker.io/a:1,docker.io/b:2"),
            exporter("oci", "docker.io/file:1"),
            exporter("moby", ""),
            field(7, &[1 << 3, 7, 2 << 3, 9]),
            field(8, &descriptor(log)),
            field(10, &result),
        ];
        let build = read(&record.concat()).expect("sound");
        assert_eq!(build.results, [image, other].into());
        assert_eq!(build.names, ["docker.io/a:1", "docker.io/b:2"].map(str::to_owned).into());
        assert_eq!(build.completed, Timestamp { seconds: 7, nanos: 9 });
        assert_eq!(build.log, Some(BlobId(log)));
    }

    #[test]
    fn a_log_tells_the_names_that_were_given() {
        let status =
            |id: &str, end: &[u8]| field(2, &[field(1, id.as_bytes()), end.to_vec()].concat());
        let ended = field(8, &[1 << 3, 7]);
        let first = [field(1, b"vertex"), status("exporting layers", &ended)].concat();
        let second =
            [status("naming to docker.io/a:1", &ended), status("naming to b:2", &[])].concat();
        let log: Vec<u8> = [first, second]
            .iter()
            .flat_map(|message| [&(message.len() as u32).to_le_bytes()[..], message].concat())
            .collect();
        assert_eq!(names(&log).expect("sound"), ["docker.io/a:1".to_owned()].into());
        assert!(names(&log[..log.len() - 1]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _ = (read(&bytes), names(&bytes));
        }
    }
}
