//! `--filter`, as `docker ps` understands it, and two keys of our own.

use super::{boolean, familiar, store};
use crate::cli::rows::StoreKind;
use crate::cli::rows::ps::{ContainerRow, PortRow};
use crate::error::{Error, Result};

const KEYS: &str = "ancestor, before, exited, hidden, id, label, name, network, publish, since, \
                    status, store, volume";

const STATUSES: [&str; 7] =
    ["created", "dead", "exited", "paused", "removing", "restarting", "running"];

/// One `--filter KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Made of this image.
    Ancestor(String),
    /// Made before this container.
    Before(String),
    /// Ended with this code.
    Exited(i64),
    /// Not shown by the daemon, or shown.
    Hidden(bool),
    /// With an ID that begins so.
    Id(String),
    /// With this label, and this value if one is given.
    Label(String, Option<String>),
    /// With a name that has this in it.
    Name(String),
    /// On this network.
    Network(String),
    /// With a port in this range published.
    Publish(u16, u16, Option<String>),
    /// Made after this container.
    Since(String),
    /// In this state, by its daemon's last word.
    Status(String),
    /// In this store.
    Store(StoreKind),
    /// With this volume, or something mounted at this path.
    Volume(String),
}

impl Filter {
    /// Parses `KEY=VALUE`.
    pub(crate) fn parse(text: &str) -> std::result::Result<Self, String> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(format!("wanted KEY=VALUE; valid keys: {KEYS}"));
        };
        let owned = value.to_owned();
        Ok(match key.trim() {
            "ancestor" => Self::Ancestor(owned),
            "before" => Self::Before(owned),
            "exited" => Self::Exited(value.parse().map_err(|_| format!("`{value}` is no number"))?),
            "hidden" => Self::Hidden(boolean(value)?),
            "id" => Self::Id(owned),
            "label" => match value.split_once('=') {
                Some((key, value)) => Self::Label(key.to_owned(), Some(value.to_owned())),
                None => Self::Label(owned, None),
            },
            "name" => Self::Name(value.trim_start_matches('/').to_owned()),
            "network" => Self::Network(owned),
            "publish" => publish(value)?,
            "since" => Self::Since(owned),
            "status" if STATUSES.contains(&value) => Self::Status(owned),
            "status" => {
                return Err(format!("`{value}` is no state; valid: {}", STATUSES.join(", ")));
            }
            "store" => Self::Store(store(value)?),
            "volume" => Self::Volume(owned),
            other => return Err(format!("unknown key `{other}`; valid keys: {KEYS}")),
        })
    }

    fn is_same_key(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// `80`, `80/udp` or `8000-8080/tcp`.
fn publish(value: &str) -> std::result::Result<Filter, String> {
    let (range, protocol) = value.split_once('/').map_or((value, None), |(r, p)| (r, Some(p)));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let port = |text: &str| text.parse().map_err(|_| format!("`{text}` is no port"));
    Ok(Filter::Publish(port(first)?, port(last)?, protocol.map(str::to_owned)))
}

/// Returns the `rows` that pass all `filters`. Filters of one key are alternatives, but for labels.
///
/// moby v28 daemon/list.go includeContainerInList
///
/// # Errors
/// `before` or `since` names a container that is not there.
pub(crate) fn apply(rows: Vec<ContainerRow>, filters: &[Filter]) -> Result<Vec<ContainerRow>> {
    let checks: Vec<(&Filter, Check<'_>)> =
        filters.iter().map(|filter| Ok((filter, check(filter, &rows)?))).collect::<Result<_>>()?;
    let passes = |row: &ContainerRow, filter: &Filter| {
        let mut same = checks.iter().filter(|(other, _)| filter.is_same_key(other));
        match filter {
            Filter::Label(..) => same.all(|(_, check)| check(row)),
            _ => same.any(|(_, check)| check(row)),
        }
    };
    let all = |row: &ContainerRow| filters.iter().all(|filter| passes(row, filter));
    let kept: Vec<bool> = rows.iter().map(all).collect();
    drop(checks);
    Ok(rows.into_iter().zip(kept).filter_map(|(row, keep)| keep.then_some(row)).collect())
}

type Check<'a> = Box<dyn Fn(&ContainerRow) -> bool + 'a>;

fn check<'a>(filter: &'a Filter, rows: &[ContainerRow]) -> Result<Check<'a>> {
    Ok(match filter {
        Filter::Ancestor(image) => Box::new(move |row| is_of(row, image)),
        Filter::Before(name) => {
            let limit = find(name, rows)?.created;
            Box::new(move |row| row.created.zip(limit).is_some_and(|(made, limit)| made < limit))
        }
        Filter::Since(name) => {
            let limit = find(name, rows)?.created;
            Box::new(move |row| row.created.zip(limit).is_some_and(|(made, limit)| made > limit))
        }
        Filter::Exited(code) => {
            Box::new(move |row| row.state.finished.is_some() && row.state.exit_code == *code)
        }
        Filter::Hidden(hidden) => Box::new(move |row| row.hidden == *hidden),
        Filter::Id(start) => Box::new(move |row| row.id.starts_with(start)),
        Filter::Label(key, value) => Box::new(move |row| {
            let found = row.labels.get(key);
            found.is_some_and(|found| value.as_ref().is_none_or(|value| value == found))
        }),
        Filter::Name(part) => Box::new(move |row| row.name.contains(part)),
        Filter::Network(name) => Box::new(move |row| row.networks.contains(name)),
        Filter::Publish(first, last, protocol) => Box::new(move |row| {
            row.ports.iter().any(|port| is_published(port, *first, *last, protocol.as_deref()))
        }),
        Filter::Status(status) => Box::new(move |row| row.state.status == *status),
        Filter::Store(store) => Box::new(move |row| row.store == Some(*store)),
        Filter::Volume(name) => Box::new(move |row| {
            row.mounts.iter().any(|mount| mount.source == *name || mount.destination == *name)
        }),
    })
}

fn is_of(row: &ContainerRow, image: &str) -> bool {
    let digits = image.strip_prefix("sha256:").unwrap_or(image);
    let id = row.image_id.strip_prefix("sha256:").unwrap_or(&row.image_id);
    familiar(&row.image) == familiar(image) || (digits.len() > 2 && id.starts_with(digits))
}

fn is_published(port: &PortRow, first: u16, last: u16, protocol: Option<&str>) -> bool {
    let public = port.public.as_deref().unwrap_or_default();
    let (from, to) = public.split_once('-').unwrap_or((public, public));
    let overlaps = match (from.parse::<u16>(), to.parse::<u16>()) {
        (Ok(from), Ok(to)) => from <= last && first <= to,
        _ => false,
    };
    overlaps && protocol.is_none_or(|protocol| protocol == port.protocol)
}

fn find<'r>(wanted: &str, rows: &'r [ContainerRow]) -> Result<&'r ContainerRow> {
    let by_id = |row: &&ContainerRow| !wanted.is_empty() && row.id.starts_with(wanted);
    let named = rows.iter().find(|row| row.name == wanted.trim_start_matches('/'));
    named.or_else(|| rows.iter().find(by_id)).ok_or_else(|| {
        Error::refused(format!("no container is called `{wanted}`"))
            .hint("`tranship ps` lists every container here")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;

    fn shown(filters: &[&str]) -> Vec<String> {
        let filters: Vec<Filter> =
            filters.iter().map(|text| Filter::parse(text).expect("a filter")).collect();
        let rows = apply(sample::containers(), &filters).expect("the containers named are there");
        rows.into_iter().map(|row| row.name).collect()
    }

    #[test]
    fn each_filter_keeps_what_docker_keeps() {
        for (filters, wanted) in [
            (&[][..], &["running", "web", "changed", "lost"][..]),
            (&["id=4091"], &["running"]),
            (&["name=ru"], &["running"]),
            (&["name=ru", "name=chan"], &["running", "changed"]),
            (&["name=/web", "status=exited"], &[]),
            (&["label=app"], &["running", "changed"]),
            (&["label=app=1"], &["changed"]),
            (&["label=app", "label=no"], &[]),
            (&["status=running"], &["running"]),
            (&["status=created", "status=exited"], &["web", "changed", "lost"]),
            (&["exited=3"], &["changed"]),
            (&["exited=0"], &["lost"]),
            (&["ancestor=nginx:latest"], &["web"]),
            (&["ancestor=757fb4"], &["changed"]),
            (&["volume=vol1"], &["changed"]),
            (&["volume=/data"], &["changed"]),
            (&["network=front"], &["web"]),
            (&["publish=8080"], &["web"]),
            (&["publish=8000-9000/tcp"], &["web"]),
            (&["publish=8080/udp"], &[]),
            (&["store=containerd"], &["web"]),
            (&["hidden=false"], &["web"]),
            (&["before=changed"], &["lost"]),
            (&["since=d0e9"], &["running", "web"]),
        ] {
            assert_eq!(shown(filters), wanted, "{filters:?}");
        }
    }

    #[test]
    fn what_is_no_filter_says_what_is() {
        for (text, part) in [
            ("status", "wanted KEY=VALUE"),
            ("size=3", "unknown key `size`; valid keys: ancestor, before"),
            ("status=up", "`up` is no state"),
            ("exited=badly", "no number"),
            ("publish=99999", "no port"),
            ("hidden=maybe", "neither"),
        ] {
            let error = Filter::parse(text).expect_err(text);
            assert!(error.contains(part), "{text}: {error}");
        }
        let filter = Filter::parse("before=nobody").expect("a filter");
        let error = apply(sample::containers(), &[filter]).expect_err("no such container");
        assert_eq!(error.what(), "no container is called `nobody`");
    }
}
