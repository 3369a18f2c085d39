//! The logs that a daemon keeps of its containers: one record after the other, in one of two forms.
//!
//! A form says where a record ends ([`Form::frame`]), what a record is ([`Form::decode`]) and, from the
//! end of a file backwards, where the last of them begin ([`Form::tail`]). Each is bounded: no record is
//! larger than [`LIMIT`], and what does not end within that is damage.

mod json;
mod local;

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;

use crate::error::DecodeError;
use crate::format::raw::decode;
use crate::format::time::Timestamp;

/// The largest record, in bytes: what the `local` driver allows of an encoded message (moby v28.5
/// daemon/logger/local/read.go maxMsgLen). A `json-file` line holds 16 KiB of a container's output,
/// and the labels that were asked for.
pub const LIMIT: usize = 1_000_000;

/// How records are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A line of JSON each: the driver `json-file`.
    Json,
    /// A protobuf message each, its length before and after it: the driver `local`, and the copy that is
    /// kept where a driver cannot be read back.
    Local,
}

/// What a container wrote at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// When.
    pub time: Timestamp,
    /// Where: `stdout` or `stderr`.
    pub stream: Cow<'a, str>,
    /// What, as `docker logs` prints it: with the end of the line, unless it goes on in the next record.
    pub log: Cow<'a, [u8]>,
    /// What the driver was told to add, such as labels of the container.
    pub attrs: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl Record<'_> {
    /// Returns whether the line goes on in the next record of the stream: dockerd cuts lines that are
    /// longer than 16 KiB.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.log.last() != Some(&b'\n')
    }
}

/// What stands at the start of some bytes of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A record: where its body is, and how many bytes it takes with all around it.
    Record(Range<usize>, usize),
    /// Not all of a record yet.
    More,
    /// So many bytes that are none, up to where a record may begin; and why.
    Damage(usize, String),
    /// The start of a record, and the file ends.
    Torn,
}

/// What the end of a file tells of the last records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// As many as wanted begin at this byte.
    From(usize),
    /// There are only so many in these bytes.
    Only(u64),
    /// It cannot be told from the end.
    Unclear,
}

impl Form {
    /// Returns what stands at the start of `bytes`, which is not empty. `is_end` says that nothing
    /// follows them.
    #[must_use]
    pub fn frame(self, bytes: &[u8], is_end: bool) -> Frame {
        match self {
            Self::Json => json::frame(bytes, is_end),
            Self::Local => local::frame(bytes, is_end),
        }
    }

    /// Reads the body of a record.
    ///
    /// # Errors
    /// What dockerd could not read either.
    pub fn decode(self, body: &[u8]) -> Result<Record<'_>, DecodeError> {
        match self {
            Self::Json => json::decode(body),
            Self::Local => local::decode(body),
        }
    }

    /// Returns where in `body`, which is no record, one begins after all: a daemon that starts again goes
    /// on behind a record that was torn.
    #[must_use]
    pub fn salvage(self, body: &[u8]) -> Option<usize> {
        match self {
            Self::Json => json::salvage(body),
            // What was torn is found by its lengths.
            Self::Local => None,
        }
    }

    /// Returns where in `end`, the last bytes of a file, its last `wanted` records begin.
    #[must_use]
    pub fn tail(self, end: &[u8], wanted: u64) -> Tail {
        match self {
            Self::Json => json::tail(end, wanted),
            Self::Local => local::tail(end, wanted),
        }
    }
}

/// Returns the log driver that a container's `hostconfig.json` names, if it can be read.
#[must_use]
pub fn driver(hostconfig: &[u8]) -> Option<String> {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct HostConfig {
        log_config: Option<LogConfig>,
    }

    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "PascalCase")]
    struct LogConfig {
        r#type: Option<String>,
    }

    let read: HostConfig = decode(hostconfig).ok()?;
    read.log_config?.r#type.filter(|driver| !driver.is_empty())
}

#[cfg(test)]
mod tests;
