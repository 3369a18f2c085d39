//! Image references, exactly as Docker reads and shortens them.
//!
//! Source of the grammar: distribution/reference v0.6 `regexp.go`, `normalize.go`.

use std::fmt;
use std::str::FromStr;

use crate::digest::BlobId;

/// Docker Hub, the domain of a name that gives none.
pub const DEFAULT_DOMAIN: &str = "docker.io";
/// The tag of a reference that gives neither tag nor digest.
pub const DEFAULT_TAG: &str = "latest";

const LEGACY_DOMAIN: &str = "index.docker.io";
const OFFICIAL: &str = "library/";
/// distribution/reference `RepositoryNameTotalLengthMax`; of the path alone since v0.6.
const PATH_LIMIT: usize = 255;
const TAG_LIMIT: usize = 128;

/// A name in its full form, with a tag, a digest, both or neither.
///
/// Displayed in full: `docker.io/library/alpine:3.20`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// Why a text is no reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadReference {
    /// 64 hex digits name an image by its ID, never by its name.
    Identifier,
    /// The repository has uppercase letters.
    Uppercase,
    /// The repository is longer than 255 bytes.
    TooLong,
    /// What stands after `@` is no digest.
    Digest,
    /// Anything else.
    Format,
}

impl fmt::Display for BadReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identifier => "64 hex digits cannot be the name of a repository",
            Self::Uppercase => "the name of a repository must be lowercase",
            Self::TooLong => "the name of a repository must not be longer than 255 bytes",
            Self::Digest => "not a digest after `@`",
            Self::Format => "not a reference like `name:tag`",
        })
    }
}

impl std::error::Error for BadReference {}

/// What a user may write where an image is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnyReference {
    /// An image by its ID or its digest, `sha256:` and all.
    Digest(String),
    /// An image by its name.
    Named(Reference),
}

impl AnyReference {
    /// Reads 64 hex digits as an ID, `sha256:…` as a digest and all else as a name.
    ///
    /// # Errors
    /// What is none of these.
    pub fn parse(text: &str) -> Result<Self, BadReference> {
        if is_identifier(text) {
            Ok(Self::Digest(format!("sha256:{text}")))
        } else if is_digest(text) {
            Ok(Self::Digest(text.to_owned()))
        } else {
            Reference::parse_normalized(text).map(Self::Named)
        }
    }
}

impl Reference {
    /// Reads a reference in any form a user may write: `alpine`, `team/app:1`, `localhost/x@sha256:…`.
    ///
    /// # Errors
    /// What is no reference, and why.
    pub fn parse_normalized(text: &str) -> Result<Self, BadReference> {
        if is_identifier(text) {
            return Err(BadReference::Identifier);
        }
        let (domain, remainder) = split_domain(text);
        let repository = remainder.split(':').next().unwrap_or_default();
        if repository.chars().any(char::is_uppercase) {
            return Err(BadReference::Uppercase);
        }
        Self::parse(&format!("{domain}/{remainder}"))
    }

    /// Reads a reference that begins with a domain, or what looks like one.
    fn parse(text: &str) -> Result<Self, BadReference> {
        let (named, digest) = match text.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash belongs to a port.
        let last = named.rfind('/').map_or(0, |slash| slash.saturating_add(1));
        let colon = named.get(last..).and_then(|last| last.find(':'));
        let (name, tag) = match colon.map(|colon| named.split_at(last.saturating_add(colon))) {
            Some((name, tag)) => (name, tag.strip_prefix(':')),
            None => (named, None),
        };
        if !tag.is_none_or(is_tag) {
            return Err(BadReference::Format);
        }
        // A first part that cannot be a domain is part of the path: `a_b.com/x` has no domain.
        let (domain, path) = match name.split_once('/') {
            Some((domain, path)) if is_domain(domain) => (domain, path),
            _ => ("", name),
        };
        if !path.split('/').all(is_path_component) {
            return Err(BadReference::Format);
        }
        if path.len() > PATH_LIMIT {
            return Err(BadReference::TooLong);
        }
        if !digest.is_none_or(is_digest) {
            return Err(BadReference::Digest);
        }
        let [domain, path] = [domain, path].map(str::to_owned);
        Ok(Self { domain, path, tag: tag.map(str::to_owned), digest: digest.map(str::to_owned) })
    }

    /// Returns the registry: `docker.io`, `localhost:5000`; empty in rare odd names.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Returns the name without the registry: `library/alpine`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the tag.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest as written; Docker takes SHA-384 and SHA-512 as well.
    #[must_use]
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// Returns the digest if it is a SHA-256.
    #[must_use]
    pub fn blob(&self) -> Option<BlobId> {
        self.digest.as_deref()?.parse().ok()
    }

    /// Returns the name in full: `docker.io/library/alpine`.
    #[must_use]
    pub fn name(&self) -> String {
        join(&self.domain, &self.path)
    }

    /// Returns the name as Docker shows it: `alpine`.
    #[must_use]
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return self.name();
        }
        match self.path.strip_prefix(OFFICIAL) {
            Some(name) if !name.contains('/') => name.to_owned(),
            _ => self.path.clone(),
        }
    }

    /// Returns the reference as Docker shows it and as the classic store keeps it: `alpine:3.20`.
    #[must_use]
    pub fn familiar(&self) -> String {
        self.familiar_name() + &self.suffix()
    }

    fn suffix(&self) -> String {
        let tag = self.tag.iter().map(|tag| format!(":{tag}"));
        tag.chain(self.digest.iter().map(|digest| format!("@{digest}"))).collect()
    }

    /// Returns this reference with the tag `latest` if it has neither tag nor digest.
    #[must_use]
    pub fn tag_name_only(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.to_owned());
        }
        self
    }

    /// Returns this reference without its tag if it also has a digest, as both stores keep it.
    #[must_use]
    pub fn favor_digest(mut self) -> Self {
        if self.digest.is_some() {
            self.tag = None;
        }
        self
    }

    /// Returns the repository alone, without tag and digest.
    #[must_use]
    pub fn name_only(&self) -> Self {
        Self { tag: None, digest: None, ..self.clone() }
    }

    /// Returns this repository with `tag` alone.
    ///
    /// # Errors
    /// A text that is no tag.
    pub fn with_tag(&self, tag: &str) -> Result<Self, BadReference> {
        let valid = is_tag(tag).then(|| tag.to_owned()).ok_or(BadReference::Format)?;
        Ok(Self { tag: Some(valid), ..self.name_only() })
    }

    /// Returns this repository with the digest `blob` alone.
    #[must_use]
    pub fn with_digest(&self, blob: BlobId) -> Self {
        Self { digest: Some(blob.to_string()), ..self.name_only() }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name(), self.suffix())
    }
}

impl FromStr for Reference {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        Self::parse_normalized(text)
    }
}

fn join(domain: &str, path: &str) -> String {
    if domain.is_empty() { path.to_owned() } else { format!("{domain}/{path}") }
}

/// Cuts a text into the registry it means and the rest, which gets the `library/` it leaves out.
fn split_domain(text: &str) -> (&str, String) {
    let Some((first, rest)) = text.split_once('/') else {
        return (DEFAULT_DOMAIN, format!("{OFFICIAL}{text}"));
    };
    let (domain, rest) = match first {
        LEGACY_DOMAIN => (DEFAULT_DOMAIN, rest),
        "localhost" => (first, rest),
        _ if first.contains(['.', ':']) || first.chars().any(char::is_uppercase) => (first, rest),
        _ => (DEFAULT_DOMAIN, text),
    };
    if domain == DEFAULT_DOMAIN && !rest.contains('/') {
        return (domain, format!("{OFFICIAL}{rest}"));
    }
    (domain, rest.to_owned())
}

fn is_lower_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_identifier(text: &str) -> bool {
    text.len() == 64 && is_lower_hex(text)
}

/// opencontainers/go-digest `Validate`
fn is_digest(text: &str) -> bool {
    let (length, hex) = match text.split_once(':') {
        Some(("sha256", hex)) => (64, hex),
        Some(("sha384", hex)) => (96, hex),
        Some(("sha512", hex)) => (128, hex),
        _ => return false,
    };
    hex.len() == length && is_lower_hex(hex)
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= TAG_LIMIT
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

/// A host name, an IPv4 address or an IPv6 address in brackets, then perhaps a port.
fn is_domain(text: &str) -> bool {
    let is_port = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if let Some((address, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let hex =
            !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
        return hex && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = text.split_once(':').unwrap_or((text, "0"));
    is_port(port) && host.split('.').all(is_host_label)
}

fn is_host_label(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Lowercase letters and digits, with `.`, `_`, `__` or any number of `-` between them.
fn is_path_component(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let separator = |s: &str| matches!(s, "" | "." | "_" | "__") || s.bytes().all(|b| b == b'-');
    text.starts_with(alphanumeric)
        && text.ends_with(alphanumeric)
        && text.split(alphanumeric).all(separator)
}

#[cfg(test)]
mod tests;
