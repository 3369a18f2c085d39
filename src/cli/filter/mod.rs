//! `--filter`, as `docker images` understands it, and two keys of our own.

pub(crate) mod containers;
pub(crate) mod time;
pub(crate) mod volumes;

use globset::{GlobBuilder, GlobMatcher};
use jiff::Timestamp;

use crate::cli::rows::StoreKind;
use crate::cli::rows::images::ImageRow;
use crate::error::{Error, Result};

const KEYS: &str = "before, dangling, hidden, label, reference, since, store, until";

/// One `--filter KEY=VALUE`.
#[derive(Clone, Debug)]
pub(crate) enum Filter {
    /// Made before this image.
    Before(String),
    /// Made after this image.
    Since(String),
    /// Made before this time.
    Until(time::Until),
    /// Without a tag, or with one.
    Dangling(bool),
    /// With this label, and this value if one is given.
    Label(String, Option<String>),
    /// With a name that matches.
    Reference(GlobMatcher),
    /// In this store.
    Store(StoreKind),
    /// Not shown by the daemon, or shown.
    Hidden(bool),
}

impl Filter {
    /// Parses `KEY=VALUE`.
    pub(crate) fn parse(text: &str) -> std::result::Result<Self, String> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(format!("wanted KEY=VALUE; valid keys: {KEYS}"));
        };
        Ok(match key.trim() {
            "before" => Self::Before(value.to_owned()),
            "since" => Self::Since(value.to_owned()),
            "until" => Self::Until(time::Until::parse(value)?),
            "dangling" => Self::Dangling(boolean(value)?),
            "hidden" => Self::Hidden(boolean(value)?),
            "label" => match value.split_once('=') {
                Some((key, value)) => Self::Label(key.to_owned(), Some(value.to_owned())),
                None => Self::Label(value.to_owned(), None),
            },
            "reference" => Self::Reference(reference(value)?),
            "store" => Self::Store(store(value)?),
            other => return Err(format!("unknown key `{other}`; valid keys: {KEYS}")),
        })
    }
}

fn boolean(value: &str) -> std::result::Result<bool, String> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!("`{value}` is neither `true` nor `false`")),
    }
}

fn store(value: &str) -> std::result::Result<StoreKind, String> {
    [StoreKind::Classic, StoreKind::Containerd]
        .into_iter()
        .find(|store| store.name() == value)
        .ok_or_else(|| format!("`{value}` is neither `classic` nor `containerd`"))
}

/// Go's path.Match has no `{a,b}`, and no character but `/` stops its `*`.
fn reference(pattern: &str) -> std::result::Result<GlobMatcher, String> {
    let pattern = pattern.replace('{', "[{]").replace('}', "[}]");
    GlobBuilder::new(&pattern)
        .literal_separator(true)
        .backslash_escape(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| error.kind().to_string())
}

/// Returns the `rows` that pass all `filters`. `reference` filters are alternatives, and leave a row
/// only those of its names that match; every other filter must hold.
///
/// moby v28.5 daemon/images/image_list.go
///
/// # Errors
/// `before` or `since` names an image that is not there.
pub(crate) fn apply(
    rows: Vec<ImageRow>,
    filters: &[Filter],
    now: Timestamp,
) -> Result<Vec<ImageRow>> {
    let checks: Vec<Check> =
        filters.iter().map(|filter| check(filter, &rows, now)).collect::<Result<_>>()?;
    let globs: Vec<&GlobMatcher> = filters
        .iter()
        .filter_map(|filter| match filter {
            Filter::Reference(glob) => Some(glob),
            _ => None,
        })
        .collect();
    let rows = rows.into_iter().filter(|row| checks.iter().all(|check| check(row)));
    match globs.is_empty() {
        true => Ok(rows.collect()),
        false => Ok(rows.filter_map(|row| keep_matching_names(row, &globs)).collect()),
    }
}

type Check<'a> = Box<dyn Fn(&ImageRow) -> bool + 'a>;

fn check<'a>(filter: &'a Filter, rows: &[ImageRow], now: Timestamp) -> Result<Check<'a>> {
    Ok(match filter {
        Filter::Before(image) => before(find(image, rows)?.created),
        Filter::Until(until) => before(Some(until.at(now))),
        Filter::Since(image) => {
            let limit = find(image, rows)?.created;
            Box::new(move |row| row.created.zip(limit).is_some_and(|(made, limit)| made > limit))
        }
        Filter::Dangling(wanted) => Box::new(|row| is_untagged(row, *wanted) == *wanted),
        Filter::Label(key, value) => Box::new(move |row| {
            let found = row.labels.get(key);
            found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
        }),
        Filter::Store(store) => Box::new(|row| row.store == *store),
        Filter::Hidden(hidden) => Box::new(|row| row.hidden == *hidden),
        Filter::Reference(_) => Box::new(|_| true),
    })
}

fn before<'a>(limit: Option<Timestamp>) -> Check<'a> {
    Box::new(move |row| row.created.zip(limit).is_some_and(|(made, limit)| made < limit))
}

/// In the classic store an image that only a digest names is dangling when dangling images are asked
/// for, and is not when they are not wanted.
fn is_untagged(row: &ImageRow, wanted: bool) -> bool {
    row.dangling || (wanted && row.store == StoreKind::Classic && row.names.is_empty())
}

fn keep_matching_names(mut row: ImageRow, globs: &[&GlobMatcher]) -> Option<ImageRow> {
    let matches = |name: &String| {
        let repository = repository(name);
        globs.iter().any(|glob| glob.is_match(name) || glob.is_match(repository))
    };
    row.names.retain(matches);
    row.digests.retain(matches);
    (!row.names.is_empty() || !row.digests.is_empty()).then_some(row)
}

/// Returns `name` without its tag and digest.
pub(crate) fn repository(name: &str) -> &str {
    let name = name.split('@').next().unwrap_or(name);
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[last..].find(':') {
        Some(colon) => &name[..last + colon],
        None => name,
    }
}

/// Finds the image that `wanted` means: a name, a name with a digest, or the start of an ID. What the
/// daemon shows comes before what it hides.
fn find<'r>(wanted: &str, rows: &'r [ImageRow]) -> Result<&'r ImageRow> {
    let name = familiar(wanted);
    let named = |row: &&ImageRow| row.names.contains(&name) || row.digests.contains(&name);
    let hex = wanted.strip_prefix("sha256:").unwrap_or(wanted);
    let is_hex = !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit());
    let by_id = |row: &&ImageRow| {
        is_hex && row.id.strip_prefix("sha256:").is_some_and(|id| id.starts_with(hex))
    };
    let first = |found: Vec<&'r ImageRow>| found.into_iter().min_by_key(|row| row.hidden);
    let found: Vec<&ImageRow> = rows.iter().filter(by_id).collect();
    match first(rows.iter().filter(named).collect()) {
        Some(row) => Ok(row),
        None if found.iter().any(|row| row.id != found[0].id) => {
            Err(Error::refused(format!("`{wanted}` is the start of more than one image ID")))
        }
        None => first(found).ok_or_else(|| {
            Error::refused(format!("no image is called `{wanted}`"))
                .hint("`tranship images --all` lists every image here")
        }),
    }
}

/// Docker's short form of a name: no `docker.io/library/`, always a tag or digest.
pub(crate) fn familiar(name: &str) -> String {
    let short = name.strip_prefix("docker.io/").or_else(|| name.strip_prefix("index.docker.io/"));
    let short = short.map_or(name, |rest| rest.strip_prefix("library/").unwrap_or(rest));
    match repository(short) == short {
        true => format!("{short}:latest"),
        false => short.to_owned(),
    }
}

#[cfg(test)]
mod tests;
