//! A sink that dies at its n-th operation, and what a disk may hold after that.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tranship::error::{Error, Result};
use tranship::tree::{
    Attributes, FileSink, Kind, Memory, Sink, Special, Tree, TreePath, TreePathBuf, walk,
};

use super::random::Random;

/// What is left after a sink died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The process was killed: all that was written is there.
    Kill,
    /// The power failed: nothing after the last sync.
    Synced,
    /// The power failed: all names, but not the bytes of files written after the last sync.
    NamesOnly,
    /// The power failed: all but the renames and removals, and those from the last to the first.
    Reversed,
    /// The power failed: any of what was done after the last sync.
    Some(u64),
}

/// How a sink fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// From this operation on, none is done.
    Dies(usize),
    /// From this operation on, nothing can be made or written; all else works.
    Fills(usize),
    /// This operation alone is not done: the disk fails.
    Fails(usize),
    Never,
}

/// What Linux says of a disk that fails.
const EIO: i32 = 5;

/// A tree in memory that fails as it is told to, and knows what was durable.
pub(crate) struct FaultSink {
    live: Memory,
    fault: Fault,
    state: Mutex<State>,
}

struct State {
    log: Vec<String>,
    durable: Memory,
    /// The highest inode number when the tree was last durable.
    last: u64,
    highest: u64,
    since: Vec<Op>,
}

/// One operation, by what it was done to: another file under the same name is not the same.
#[derive(Clone, Debug)]
enum Op {
    Create { path: TreePathBuf, attributes: Attributes, ino: u64 },
    Write { ino: u64, bytes: Vec<u8> },
    MakeDir { path: TreePathBuf, mode: u16, ino: u64 },
    FinishDir { path: TreePathBuf, attributes: Attributes, ino: u64 },
    Put { path: TreePathBuf, special: Special, attributes: Attributes, ino: u64 },
    SetAttributes { path: TreePathBuf, attributes: Attributes, ino: u64 },
    Link { from: TreePathBuf, to: TreePathBuf, ino: u64 },
    Rename { from: TreePathBuf, to: TreePathBuf, ino: u64 },
    Exchange { a: TreePathBuf, b: TreePathBuf, inos: (u64, u64) },
    Remove { path: TreePathBuf, ino: u64 },
}

impl FaultSink {
    pub(crate) fn new(tree: Memory, fault: Fault) -> Self {
        let mut highest = 0;
        walk(&tree, TreePath::ROOT, &mut |_, entry| {
            highest = highest.max(entry.metadata.ino);
            Ok(true)
        })
        .expect("memory can be read");
        let durable = tree.clone();
        let state = State { log: Vec::new(), durable, last: highest, highest, since: Vec::new() };
        Self { live: tree, fault, state: Mutex::new(state) }
    }

    /// Returns all operations that were begun, in words.
    pub(crate) fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }

    /// Returns the number of the operation from which on it fails.
    pub(crate) fn died_at(&self) -> usize {
        match self.fault {
            Fault::Dies(n) | Fault::Fills(n) | Fault::Fails(n) => n,
            Fault::Never => usize::MAX,
        }
    }

    /// Returns a tree that may be found when the machine comes back.
    pub(crate) fn after(&self, cut: Cut) -> Memory {
        let state = self.state();
        match cut {
            Cut::Kill => self.live.clone(),
            Cut::Synced => state.durable.clone(),
            _ => Replay::new(&state, cut).run(&state.since),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation; an error if it is not to be done.
    fn count(&self, verb: &str, path: TreePath<'_>, makes: bool) -> Result<()> {
        let mut state = self.state();
        state.log.push(format!("{verb} {path}"));
        let count = state.log.len();
        let error = match self.fault {
            Fault::Dies(n) if count >= n => io::ErrorKind::BrokenPipe.into(),
            Fault::Fills(n) if count >= n && makes => io::ErrorKind::StorageFull.into(),
            Fault::Fails(n) if count == n => {
                let error = io::Error::from_raw_os_error(EIO);
                return Err(Error::io(self.live.place(path), error).of_target());
            }
            _ => return Ok(()),
        };
        Err(Error::io(self.live.place(path), error))
    }

    fn ino(&self, path: TreePath<'_>) -> Result<u64> {
        self.live.stat(path).map(|metadata| metadata.ino)
    }

    /// Notes what was done.
    fn note(&self, op: impl FnOnce(u64) -> Op, path: TreePath<'_>) -> Result<()> {
        let ino = self.ino(path)?;
        let mut state = self.state();
        state.highest = state.highest.max(ino);
        state.since.push(op(ino));
        Ok(())
    }
}

impl Sink for FaultSink {
    fn tree(&self) -> &dyn Tree {
        &self.live
    }

    fn create<'a>(
        &'a self,
        path: TreePath<'_>,
        attributes: &Attributes,
    ) -> Result<Box<dyn FileSink + 'a>> {
        self.count("create", path, true)?;
        let file = self.live.create(path, attributes)?;
        let (at, attributes) = (path.to_owned(), attributes.clone());
        self.note(|ino| Op::Create { path: at, attributes, ino }, path)?;
        Ok(Box::new(FaultFile { sink: self, file, path: path.to_owned(), ino: self.ino(path)? }))
    }

    fn make_dir(&self, path: TreePath<'_>, mode: u16) -> Result<()> {
        self.count("make_dir", path, true)?;
        if self.live.stat(path).is_ok_and(|found| found.kind == Kind::Dir) {
            return Ok(());
        }
        self.live.make_dir(path, mode)?;
        self.note(|ino| Op::MakeDir { path: path.to_owned(), mode, ino }, path)
    }

    fn finish_dir(&self, path: TreePath<'_>, attributes: &Attributes) -> Result<u64> {
        self.count("finish_dir", path, false)?;
        let size = self.live.finish_dir(path, attributes)?;
        let (at, attributes) = (path.to_owned(), attributes.clone());
        self.note(|ino| Op::FinishDir { path: at, attributes, ino }, path)?;
        Ok(size)
    }

    fn put(&self, path: TreePath<'_>, special: &Special, attributes: &Attributes) -> Result<u64> {
        self.count("put", path, true)?;
        let size = self.live.put(path, special, attributes)?;
        let (at, special, attributes) = (path.to_owned(), special.clone(), attributes.clone());
        self.note(|ino| Op::Put { path: at, special, attributes, ino }, path)?;
        Ok(size)
    }

    fn set_attributes(&self, path: TreePath<'_>, attributes: &Attributes) -> Result<()> {
        self.count("set_attributes", path, false)?;
        self.live.set_attributes(path, attributes)?;
        let (at, attributes) = (path.to_owned(), attributes.clone());
        self.note(|ino| Op::SetAttributes { path: at, attributes, ino }, path)
    }

    fn link(&self, from: TreePath<'_>, to: TreePath<'_>) -> Result<()> {
        self.count("link", to, true)?;
        self.live.link(from, to)?;
        self.note(|ino| Op::Link { from: from.to_owned(), to: to.to_owned(), ino }, to)
    }

    fn rename(&self, from: TreePath<'_>, to: TreePath<'_>) -> Result<()> {
        self.count("rename", to, false)?;
        self.live.rename(from, to)?;
        self.note(|ino| Op::Rename { from: from.to_owned(), to: to.to_owned(), ino }, to)
    }

    fn exchange(&self, a: TreePath<'_>, b: TreePath<'_>) -> Result<()> {
        self.count("exchange", b, false)?;
        let inos = (self.ino(a)?, self.ino(b)?);
        self.live.exchange(a, b)?;
        self.note(|_| Op::Exchange { a: a.to_owned(), b: b.to_owned(), inos }, b)
    }

    /// Removing a folder is as many operations as there are names in it.
    fn remove(&self, path: TreePath<'_>) -> Result<()> {
        let mut all = vec![path.to_owned()];
        match self.live.stat(path).map(|found| found.kind) {
            Ok(Kind::Dir) => walk(&self.live, path, &mut |path, _| {
                all.push(path.to_owned());
                Ok(true)
            })?,
            Ok(_) => {}
            Err(_) => return self.count("remove (nothing)", path, false),
        }
        for path in all.iter().rev().map(TreePathBuf::as_path) {
            self.count("remove", path, false)?;
            self.note(|ino| Op::Remove { path: path.to_owned(), ino }, path)?;
            self.live.remove(path)?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        self.count("sync", TreePath::ROOT, false)?;
        let mut state = self.state();
        state.durable = self.live.clone();
        state.last = state.highest;
        state.since.clear();
        Ok(())
    }
}

struct FaultFile<'a> {
    sink: &'a FaultSink,
    file: Box<dyn FileSink + 'a>,
    path: TreePathBuf,
    ino: u64,
}

impl Write for FaultFile<'_> {
    /// A write that dies half way leaves its first half.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let died = self.sink.count("write", self.path.as_path(), true);
        let part = if died.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        let dead = self.sink.state().log.len() > self.sink.died_at();
        if !dead {
            self.file.write_all(part)?;
            self.sink.state().since.push(Op::Write { ino: self.ino, bytes: part.to_vec() });
        }
        died.map(|()| bytes.len()).map_err(io::Error::from)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FileSink for FaultFile<'_> {
    fn finish(self: Box<Self>) -> Result<u64> {
        self.sink.count("finish", self.path.as_path(), false)?;
        self.file.finish()
    }
}

/// Does some of the operations again, on what was durable.
struct Replay {
    tree: Memory,
    cut: Cut,
    last: u64,
    /// The number here of each inode made after the sync.
    inos: HashMap<u64, u64>,
    random: Random,
}

impl Replay {
    fn new(state: &State, cut: Cut) -> Self {
        let seed = if let Cut::Some(seed) = cut { seed } else { 0 };
        let random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ state.log.len() as u64);
        Self { tree: state.durable.clone(), cut, last: state.last, inos: HashMap::new(), random }
    }

    fn run(mut self, ops: &[Op]) -> Memory {
        let moves =
            |op: &&Op| matches!(op, Op::Rename { .. } | Op::Exchange { .. } | Op::Remove { .. });
        let order: Vec<&Op> = match self.cut {
            Cut::Reversed => {
                let rest = ops.iter().filter(|op| !moves(op));
                rest.chain(ops.iter().rev().filter(moves)).collect()
            }
            _ => ops.iter().collect(),
        };
        for op in order {
            let kept = !matches!(self.cut, Cut::Some(_)) || self.random.below(4) > 0;
            if kept && !matches!(op, Op::Write { .. }) {
                // What cannot be done without an earlier operation that is lost is lost too.
                let _ = self.again(op, ops);
            }
        }
        self.tree
    }

    fn again(&mut self, op: &Op, ops: &[Op]) -> Option<()> {
        match op {
            Op::Create { path, attributes, ino } => {
                let content = self.content(*ino, ops);
                let mut file = self.tree.create(path.as_path(), attributes).ok()?;
                file.write_all(&content).ok()?;
                file.finish().ok()?;
                self.made(path, *ino)
            }
            Op::MakeDir { path, mode, ino } => {
                self.tree.stat(path.as_path()).err()?;
                self.tree.make_dir(path.as_path(), *mode).ok()?;
                self.made(path, *ino)
            }
            Op::Put { path, special, attributes, ino } => {
                self.tree.put(path.as_path(), special, attributes).ok()?;
                self.made(path, *ino)
            }
            Op::FinishDir { path, attributes, ino } => {
                self.is(path, *ino)?;
                self.tree.finish_dir(path.as_path(), attributes).ok().map(drop)
            }
            Op::SetAttributes { path, attributes, ino } => {
                self.is(path, *ino)?;
                self.tree.set_attributes(path.as_path(), attributes).ok()
            }
            Op::Link { from, to, ino } => {
                self.is(from, *ino)?;
                self.tree.link(from.as_path(), to.as_path()).ok()
            }
            Op::Rename { from, to, ino } => {
                self.is(from, *ino)?;
                self.tree.rename(from.as_path(), to.as_path()).ok()
            }
            Op::Exchange { a, b, inos } => {
                self.is(a, inos.0)?;
                self.is(b, inos.1)?;
                self.tree.exchange(a.as_path(), b.as_path()).ok()
            }
            Op::Remove { path, ino } => {
                self.is(path, *ino)?;
                let empty = self.tree.list(path.as_path()).map_or(true, |list| list.is_empty());
                empty.then(|| self.tree.remove(path.as_path()).ok())?
            }
            Op::Write { .. } => None,
        }
    }

    fn made(&mut self, path: &TreePathBuf, ino: u64) -> Option<()> {
        let here = self.tree.stat(path.as_path()).ok()?.ino;
        self.inos.insert(ino, here);
        Some(())
    }

    /// Returns whether `path` leads here to what it led to there.
    fn is(&self, path: &TreePathBuf, ino: u64) -> Option<()> {
        let wanted = if ino <= self.last { Some(ino) } else { self.inos.get(&ino).copied() };
        let found = self.tree.stat(path.as_path()).ok()?.ino;
        (Some(found) == wanted).then_some(())
    }

    /// Returns what is left of a file's bytes.
    fn content(&mut self, ino: u64, ops: &[Op]) -> Vec<u8> {
        let writes = ops.iter().filter_map(|op| match op {
            Op::Write { ino: to, bytes } if *to == ino => Some(bytes.as_slice()),
            _ => None,
        });
        let mut bytes = writes.collect::<Vec<_>>().concat();
        let fate = match self.cut {
            Cut::NamesOnly => ino % 2,
            Cut::Some(_) => self.random.below(6),
            _ => 5,
        };
        match fate {
            0 => bytes.clear(),
            1 => bytes.truncate(bytes.len() / 2),
            2 => bytes.fill(0),
            _ => {}
        }
        bytes
    }
}
