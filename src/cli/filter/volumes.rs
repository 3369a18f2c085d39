//! `--filter`, as `docker volume ls` understands it, and a key of our own.

use super::boolean;
use crate::cli::rows::volumes::VolumeRow;

const KEYS: &str = "dangling, driver, hidden, label, name";

/// One `--filter KEY=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Used by no container, or by one.
    Dangling(bool),
    /// Kept by this driver.
    Driver(String),
    /// Used by hidden containers alone, or not.
    Hidden(bool),
    /// With this label, and this value if one is given.
    Label(String, Option<String>),
    /// With this in its name.
    Name(String),
}

impl Filter {
    /// Parses `KEY=VALUE`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some((key, value)) = text.split_once('=') else {
            return Err(format!("wanted KEY=VALUE; valid keys: {KEYS}"));
        };
        Ok(match key.trim() {
            "dangling" => Self::Dangling(boolean(value)?),
            "driver" => Self::Driver(value.to_owned()),
            "hidden" => Self::Hidden(boolean(value)?),
            "label" => match value.split_once('=') {
                Some((key, value)) => Self::Label(key.to_owned(), Some(value.to_owned())),
                None => Self::Label(value.to_owned(), None),
            },
            "name" => Self::Name(value.to_owned()),
            other => return Err(format!("unknown key `{other}`; valid keys: {KEYS}")),
        })
    }

    fn holds(&self, row: &VolumeRow) -> bool {
        match self {
            Self::Dangling(wanted) => row.dangling == *wanted,
            Self::Driver(driver) => row.driver == *driver,
            Self::Hidden(wanted) => row.hidden == *wanted,
            Self::Label(key, value) => row
                .labels
                .get(key)
                .is_some_and(|found| value.as_ref().is_none_or(|value| value == found)),
            Self::Name(part) => row.name.contains(part.as_str()),
        }
    }
}

/// Returns whether a row passes all `filters`: of those for names and drivers one of each must hold, of
/// the others all.
///
/// moby v28.5 volume/service/convert.go filtersToBy
pub(crate) fn passes(row: &VolumeRow, filters: &[Filter]) -> bool {
    let any = |is: fn(&Filter) -> bool| {
        let mut same = filters.iter().filter(|filter| is(filter)).peekable();
        same.peek().is_none() || same.any(|filter| filter.holds(row))
    };
    let is_name = |filter: &Filter| matches!(filter, Filter::Name(_));
    let is_driver = |filter: &Filter| matches!(filter, Filter::Driver(_));
    let mut others = filters.iter().filter(|filter| !is_name(filter) && !is_driver(filter));
    any(is_name) && any(is_driver) && others.all(|filter| filter.holds(row))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;

    #[test]
    fn filters_choose_as_dockers_do() {
        let rows = sample::volumes();
        for (filters, wanted) in [
            (&[][..], &["7d6e4abd0995", "db", "share", "web"][..]),
            (&["dangling=true"], &["share"]),
            (&["hidden=true"], &["db"]),
            (&["hidden=false", "dangling=false"], &["7d6e4abd0995", "web"]),
            (&["name=b"], &["7d6e4abd0995", "db", "web"]),
            (&["name=db", "name=share"], &["db", "share"]),
            (&["label=keep"], &["db"]),
            (&["label=keep=no"], &[]),
            (&["label=keep=yes", "name=d"], &["db"]),
            (&["driver=local", "name=web"], &["web"]),
            (&["driver=rexray"], &[]),
        ] {
            let filters: Vec<_> =
                filters.iter().map(|text| Filter::parse(text).expect(text)).collect();
            let passing = rows.iter().filter(|row| passes(row, &filters));
            let names: Vec<_> =
                passing.map(|row| row.name.get(..12).unwrap_or(&row.name)).collect();
            assert_eq!(names, wanted, "{filters:?}");
        }
        for bad in ["", "dangling", "dangling=maybe", "size=3"] {
            assert!(Filter::parse(bad).is_err(), "{bad}");
        }
    }
}
