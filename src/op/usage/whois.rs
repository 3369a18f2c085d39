//! Whose something is: a path, an ID, a short link, a number of a file; and what somebody has.

use super::Line;
use super::areas::{Area, areas};
use super::claim::{At, Claimed, Paths, Step};
use crate::error::Result;
use crate::model::{Finding, Holder};
use crate::op::host::Host;
use crate::tree::{Entry, Time, TreePath, TreePathBuf, Visit, walk_wide};

/// What was found for one question.
#[derive(Clone, Debug)]
pub struct Whose {
    /// What was asked for.
    pub query: String,
    /// What it is of, or what it has; nothing if it is not known.
    pub found: Vec<Owned>,
}

/// One thing, and where it is.
#[derive(Clone, Debug)]
pub struct Owned {
    /// The thing, of which nothing was counted.
    pub line: Line,
    /// The paths that it has; what lies deeper may be of another.
    pub paths: Vec<String>,
}

/// Tells for each of `queries` whose it is, or what is its: a path below a data root or containerd root; the
/// ID of a layer, blob, container or image, or the start of one; what a driver calls a folder; a short link;
/// `inode:NUMBER`; the name of an image, container or volume.
///
/// # Errors
/// Where not even the folders of a store can be read.
pub fn whois(host: &Host, now: Time, queries: &[String]) -> Result<(Vec<Whose>, Vec<Finding>)> {
    let areas = areas(host);
    let mut claimed = Claimed::default();
    claimed.of_host(host, now, &areas)?;
    let (lines, paths, findings) = claimed.split();
    let paths_of = paths.by_line(&areas, lines.len());
    let book = Book { areas: &areas, lines, paths, paths_of };
    let whose = |query: &String| Ok(Whose { query: query.clone(), found: book.find(query)? });
    Ok((queries.iter().map(whose).collect::<Result<_>>()?, findings))
}

/// All that is known.
struct Book<'a> {
    areas: &'a [Area],
    lines: Vec<Line>,
    paths: Paths,
    /// The paths of each line: in which area, and where.
    paths_of: Vec<Vec<(usize, TreePathBuf)>>,
}

/// Fewer digits are no ID.
const LEAST: usize = 4;

impl Book<'_> {
    fn find(&self, query: &str) -> Result<Vec<Owned>> {
        if let Some(ino) = query.strip_prefix("inode:").and_then(|digits| digits.parse().ok()) {
            return self.inode(ino);
        }
        let by_path = self.path(query);
        if !by_path.is_empty() {
            return Ok(by_path);
        }
        let ways: [&dyn Fn(usize) -> bool; 3] = [
            &|n| self.lines[n].thing.id == query || self.is_in_path(n, query),
            &|n| self.is_held_by(n, query),
            &|n| is_start(&self.lines[n].thing.id, query),
        ];
        let by = |is: &dyn Fn(usize) -> bool| -> Vec<usize> {
            (0..self.lines.len()).filter(|n| is(*n)).collect()
        };
        let found = ways.into_iter().map(by).find(|found| !found.is_empty()).unwrap_or_default();
        Ok(found.into_iter().map(|n| self.owned(n)).filter(|one| !one.paths.is_empty()).collect())
    }

    /// What a store calls a folder is a name in the thing's path: a cache ID, a number, a short link.
    fn is_in_path(&self, line: usize, name: &str) -> bool {
        let is_it = |path: &TreePathBuf| {
            path.as_path().split_last().is_some_and(|(_, last)| last == name.as_bytes())
        };
        self.paths_of[line].iter().any(|(_, path)| is_it(path))
    }

    fn is_held_by(&self, line: usize, name: &str) -> bool {
        let line = &self.lines[line];
        let is_holder = |holder: &Holder| match holder {
            Holder::Image(id) => is_start(&id.to_string(), name),
            Holder::Container(id) | Holder::Lease(id) => is_start(id, name),
            Holder::Volume(_) | Holder::Build | Holder::Namespace(_) => false,
        };
        let latest = format!("{name}:latest");
        line.names.iter().any(|known| known == name || *known == latest)
            || line.thing.held_by.iter().any(is_holder)
    }

    /// Returns what a path is of that lies in a tree which is looked at, if there is something.
    fn path(&self, query: &str) -> Vec<Owned> {
        let query = query.trim_end_matches('/');
        let at = |(n, area): (usize, &Area)| {
            let origin = area.tree.origin().trim_end_matches('/');
            let inner = query.strip_prefix(origin).filter(|_| !origin.is_empty()).unwrap_or(query);
            let inner = inner.trim_start_matches([':', '/']);
            let path = TreePathBuf::new(inner.as_bytes().to_vec())?;
            let is_in = |start: &TreePathBuf| path.as_path().below(start.as_path()).is_some();
            let is_there = !inner.is_empty() && area.tree.stat(path.as_path()).is_ok();
            (is_there && area.starts.iter().any(is_in)).then_some((n, path))
        };
        let found = self.areas.iter().enumerate().find_map(at);
        found.and_then(|(area, path)| self.of_path(area, path.as_path())).into_iter().collect()
    }

    fn of_path(&self, area: usize, path: TreePath<'_>) -> Option<Owned> {
        let mut starts = self.areas[area].starts.iter();
        let (start, below) =
            starts.find_map(|start| Some((start, path.below(start.as_path())?)))?;
        let mut at: At = self.paths.start(area, start.as_path())?;
        for name in below.names() {
            match self.paths.step(at, name) {
                Step::Known(next) => at = next,
                Step::New(scope, of) => {
                    let line = scope.stray(of, below.to_string());
                    return Some(Owned { line, paths: vec![self.shown(area, path)] });
                }
            }
        }
        let line = at.line as usize;
        let mut owned = self.owned(line);
        if owned.paths.is_empty() {
            owned.paths.push(self.shown(area, path));
        }
        Some(owned)
    }

    fn owned(&self, line: usize) -> Owned {
        let is_there = |(area, path): &&(usize, TreePathBuf)| {
            self.areas[*area].tree.stat(path.as_path()).is_ok()
        };
        let there = self.paths_of[line].iter().filter(is_there);
        let paths = there.map(|(area, path)| self.shown(*area, path.as_path())).collect();
        Owned { line: self.lines[line].clone(), paths }
    }

    fn shown(&self, area: usize, path: TreePath<'_>) -> String {
        self.areas[area].tree.place(path).to_string()
    }

    /// Looks for a file by its number: that is written nowhere but in the folders.
    fn inode(&self, ino: u64) -> Result<Vec<Owned>> {
        let mut found = Vec::new();
        for (n, area) in self.areas.iter().enumerate() {
            let starts = area.starts.iter().map(|start| (start.clone(), ())).collect();
            let seen = walk_wide(&*area.tree, starts, || Search { ino, found: Vec::new() })?;
            let mut paths: Vec<_> = seen.into_iter().flat_map(|one| one.found).collect();
            paths.sort_unstable();
            for path in paths {
                let owned = self.of_path(n, path.as_path());
                let path = self.shown(n, path.as_path());
                found.extend(owned.map(|owned| Owned { paths: vec![path], ..owned }));
            }
        }
        Ok(found)
    }
}

fn is_start(id: &str, query: &str) -> bool {
    let digits = query.strip_prefix("sha256:").unwrap_or(query);
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.len() >= LEAST && is_hex && id.len() == 64 && id.starts_with(digits)
}

/// Looks for the names of one file.
struct Search {
    ino: u64,
    found: Vec<TreePathBuf>,
}

impl Visit<()> for Search {
    fn entry(&mut self, (): &(), folder: TreePath<'_>, entry: &Entry) -> Result<Option<()>> {
        if entry.metadata.ino == self.ino {
            self.found.extend(folder.child(&entry.name));
        }
        Ok(Some(()))
    }

    fn unread(&mut self, (): &(), _: TreePath<'_>, _: crate::error::Error) -> Result<()> {
        Ok(())
    }
}
