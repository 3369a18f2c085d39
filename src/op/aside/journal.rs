//! What a run does, and how far it is.

use serde::{Deserialize, Serialize};

use super::print::Print;
use crate::error::{Error, Place, Result};
use crate::format::time::Timestamp;
use crate::model::{Finding, Severity};
use crate::tree::{
    Attributes, Sink, Tree, TreePath, TreePathBuf, optional, path, read_within, sink_error,
};

/// Folders of our own.
pub(super) const OWN: &str = "tranship";
pub(super) const QUARANTINE: &str = "tranship/quarantine";

/// Very many changes.
const LIMIT: u64 = 1 << 30;

/// What this version writes.
const VERSION: u32 = 1;

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Some of its changes may be made, others not.
    Begun,
    /// All are made.
    Done,
    /// Some of them may be undone, others not.
    Undoing,
    /// What gave way is being deleted.
    Dropping,
}

impl State {
    /// Returns what a run is when all its changes are made.
    pub(super) fn after(keep: bool) -> Self {
        if keep { Self::Done } else { Self::Dropping }
    }
}

/// A run, as it is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its number.
    pub number: u32,
    /// The verb that did it.
    pub verb: String,
    /// When it began.
    pub at: Timestamp,
    /// How far it is.
    pub state: State,
    /// What it did.
    pub mends: Vec<Noted>,
}

/// A mend, as a journal tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// The sort of damage.
    pub code: String,
    /// Where it was.
    pub place: String,
    /// What was wrong.
    pub what: String,
    /// What was done.
    pub how: String,
    /// The paths that were changed, in the tree of the store.
    pub paths: Vec<TreePathBuf>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Journal {
    version: u32,
    verb: String,
    at: Timestamp,
    pub(super) keep: bool,
    pub(super) state: State,
    pub(super) mends: Vec<Note>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) code: String,
    pub(super) place: String,
    pub(super) what: String,
    pub(super) how: String,
    pub(super) steps: Vec<Step>,
}

/// One change of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Step {
    /// Its number in the run.
    pub(super) k: usize,
    #[serde(with = "spelled")]
    pub(super) at: TreePathBuf,
    /// What is put; nothing where something is removed.
    pub(super) put: Option<Print>,
    /// What gives way.
    pub(super) had: Option<Print>,
    /// Whether what was done before must be durable first.
    #[serde(default)]
    pub(super) settle: bool,
    /// Whether the change was not made, because its place had become another.
    #[serde(default)]
    pub(super) left: bool,
}

/// A path as text where it is text, and as bytes otherwise.
mod spelled {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::tree::TreePathBuf;

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Spelled {
        Text(String),
        Bytes(Vec<u8>),
    }

    pub(super) fn serialize<S: Serializer>(path: &TreePathBuf, to: S) -> Result<S::Ok, S::Error> {
        let bytes = path.as_path().as_bytes();
        let text = std::str::from_utf8(bytes).map(|text| Spelled::Text(text.to_owned()));
        text.unwrap_or_else(|_| Spelled::Bytes(bytes.to_vec())).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<TreePathBuf, D::Error> {
        let bytes = match Spelled::deserialize(from)? {
            Spelled::Text(text) => text.into_bytes(),
            Spelled::Bytes(bytes) => bytes,
        };
        TreePathBuf::new(bytes).ok_or_else(|| D::Error::custom("no path inside a tree"))
    }
}

impl Journal {
    pub(super) fn new(about: &super::About) -> Self {
        Self {
            version: VERSION,
            verb: about.verb.to_owned(),
            at: about.at,
            keep: about.keep,
            state: State::Begun,
            mends: Vec::new(),
        }
    }

    pub(super) fn steps(&self) -> impl DoubleEndedIterator<Item = &Step> {
        self.mends.iter().flat_map(|mend| &mend.steps)
    }

    /// Returns what is told of this run.
    pub(super) fn told(self, number: u32) -> Run {
        let noted = |note: Note| Noted {
            code: note.code,
            place: note.place,
            what: note.what,
            how: note.how,
            paths: note.steps.into_iter().map(|step| step.at).collect(),
        };
        let mends = self.mends.into_iter().map(noted).collect();
        Run { number, verb: self.verb, at: self.at, state: self.state, mends }
    }
}

/// Where the parts of a run lie.
pub(super) struct Paths {
    number: u32,
}

impl Paths {
    pub(super) fn of(number: u32) -> Self {
        Self { number }
    }

    pub(super) fn folder(&self) -> TreePathBuf {
        at(format!("{QUARANTINE}/{}", self.number))
    }

    pub(super) fn news(&self) -> TreePathBuf {
        at(format!("{QUARANTINE}/{}/new", self.number))
    }

    pub(super) fn olds(&self) -> TreePathBuf {
        at(format!("{QUARANTINE}/{}/old", self.number))
    }

    pub(super) fn ready(&self, k: usize) -> TreePathBuf {
        at(format!("{QUARANTINE}/{}/new/{k}", self.number))
    }

    pub(super) fn old(&self, k: usize) -> TreePathBuf {
        at(format!("{QUARANTINE}/{}/old/{k}", self.number))
    }

    fn journal(&self) -> TreePathBuf {
        at(format!("{QUARANTINE}/{}/journal.json", self.number))
    }

    fn next_journal(&self) -> TreePathBuf {
        at(format!("{QUARANTINE}/{}/journal.new", self.number))
    }
}

/// Returns the path that `text` spells, made of constants and numbers.
fn at(text: String) -> TreePathBuf {
    TreePathBuf::new(text.into_bytes()).unwrap_or_default()
}

/// Returns the numbers of all runs in `tree`, the lowest first.
pub(super) fn numbers(tree: &dyn Tree) -> Result<Vec<u32>> {
    let names = optional(tree.names(path(QUARANTINE)))?.unwrap_or_default();
    let number = |name: &Vec<u8>| std::str::from_utf8(name).ok()?.parse::<u32>().ok();
    let mut numbers: Vec<_> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Returns the runs in `tree`, the oldest first, and what is wrong with others.
///
/// # Errors
/// Where the folder of all cannot be read.
pub fn runs(tree: &dyn Tree) -> Result<(Vec<Run>, Vec<Finding>)> {
    let (mut runs, mut findings) = (Vec::new(), Vec::new());
    for number in numbers(tree)? {
        match read(tree, &Paths::of(number)) {
            Ok(Some(journal)) => runs.push(journal.told(number)),
            Ok(None) => {}
            Err(error) => {
                findings.push(Finding::of("journal-unreadable", Severity::WrongMetadata, &error));
            }
        }
    }
    Ok((runs, findings))
}

/// Returns the journal of the run `number`.
pub(super) fn of(tree: &dyn Tree, number: u32) -> Result<Journal> {
    let paths = Paths::of(number);
    read(tree, &paths)?.ok_or_else(|| {
        Error::missing(Place::new(tree.origin(), ""), format!("there is no run {number}"))
            .hint("`tranship undo --list` shows what can be undone")
    })
}

/// Reads the journal of a run; nothing if it had not changed anything yet.
pub(super) fn read(tree: &dyn Tree, paths: &Paths) -> Result<Option<Journal>> {
    let file = paths.journal();
    let Some(bytes) = optional(read_within(tree, file.as_path(), LIMIT))? else { return Ok(None) };
    let place = || tree.place(file.as_path());
    let wrong = |what: String| {
        Error::corrupt(place(), what).hint("what gave way lies in `old` beside it, numbered")
    };
    let journal: Journal = serde_json::from_slice(&bytes)
        .map_err(|error| wrong(format!("no journal of ours: {error}")))?;
    if journal.version != VERSION {
        let found = journal.version;
        return Err(wrong(format!("found a journal of version {found}, wanted {VERSION}")));
    }
    let own = path(OWN);
    let is_foreign = |step: &&Step| {
        let at = step.at.as_path();
        at.is_root() || at.below(own).is_some()
    };
    if let Some(step) = journal.steps().find(is_foreign) {
        return Err(wrong(format!("`{}` is nothing that a run changes", step.at)));
    }
    Ok(Some(journal))
}

/// Returns whether anything lies where a run keeps what gave way.
pub(super) fn has_old(tree: &dyn Tree, paths: &Paths) -> Result<bool> {
    let names = optional(tree.names(paths.olds().as_path()))?;
    Ok(names.is_some_and(|names| !names.is_empty()))
}

/// Makes all that was written durable, and then the journal under its name.
pub(super) fn write(sink: &dyn Sink, paths: &Paths, journal: &Journal) -> Result<()> {
    stage(sink, paths, journal)?;
    settle(sink, paths)
}

/// Writes a journal that [`settle`] gives its name: what is staged needs no more room.
pub(super) fn stage(sink: &dyn Sink, paths: &Paths, journal: &Journal) -> Result<()> {
    let next = paths.next_journal();
    sink.remove(next.as_path())?;
    let bytes = serde_json::to_vec(journal).unwrap_or_default();
    let mut file = sink.create(next.as_path(), &own(sink, 0o600)?)?;
    file.write_all(&bytes).map_err(|error| sink_error(sink, next.as_path(), error))?;
    file.finish()?;
    sink.sync()
}

/// Removes the journal of a run that has changed nothing yet: there was no such run then. That needs no room.
pub(super) fn withdraw(sink: &dyn Sink, paths: &Paths) -> Result<()> {
    // What is kept without a journal is nobody's; what lies there now are second names.
    let olds = paths.olds();
    for name in optional(sink.tree().names(olds.as_path()))?.unwrap_or_default() {
        sink.remove(olds.as_path().child(&name).unwrap_or_default().as_path())?;
    }
    sink.sync()?;
    sink.remove(paths.journal().as_path())?;
    sink.sync()
}

/// Gives the journal that was staged its name.
pub(super) fn settle(sink: &dyn Sink, paths: &Paths) -> Result<()> {
    sink.rename(paths.next_journal().as_path(), paths.journal().as_path())?;
    sink.sync()
}

/// Returns what our own files and folders have: the owner of the root.
pub(super) fn own(sink: &dyn Sink, mode: u16) -> Result<Attributes> {
    let root = optional(sink.tree().stat(TreePath::ROOT))?;
    let (uid, gid) = root.map_or((0, 0), |root| (root.uid, root.gid));
    Ok(Attributes { uid, gid, ..Attributes::root(mode) })
}
