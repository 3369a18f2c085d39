//! A disk that fails on cue: a FUSE file system that hands a folder through, mounted over that folder.
//!
//! What a process asks of it comes here call by call, past no cache but that of what was read: the n-th of
//! a sort can be answered with an error, or be the last that the process asks. The kernel does not hand on
//! `syncfs` (it writes back what was cached, which is nothing here); `fsync` it does.

mod answer;
mod folder;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fuser::{BackgroundSession, Config, MountOption};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use rustix::process::{Pid, Resource, Rlimit, Signal};

use answer::Answers;
use folder::Folder;

/// What is asked of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Stat,
    List,
    Read,
    Write,
    Create,
    Mkdir,
    Symlink,
    Mknod,
    Link,
    Rename,
    Remove,
    Attributes,
    Sync,
}

impl Call {
    /// Returns whether something is not as before after it.
    pub(crate) fn changes(self) -> bool {
        !matches!(self, Self::Stat | Self::List | Self::Read | Self::Sync)
    }
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    Once(Errno),
    FromThenOn(Errno),
    /// The process that asks is killed, and nothing is done.
    Kill,
}

/// When a disk fails, and how.
#[derive(Clone, Copy)]
pub(crate) struct Cue {
    pub(crate) when: fn(Call) -> bool,
    /// The first is 1.
    pub(crate) nth: usize,
    pub(crate) then: Failure,
}

/// What was asked so far, and what is to come of it.
#[derive(Default)]
struct Asked {
    cue: Option<Cue>,
    calls: Vec<Call>,
    /// How many of them count.
    counted: usize,
    failed: bool,
}

/// A folder on a failing disk, until this is dropped.
pub(crate) struct Disk {
    at: PathBuf,
    session: Option<BackgroundSession>,
    asked: Arc<Mutex<Asked>>,
}

impl Disk {
    /// Mounts over a folder; nothing fails without a cue.
    pub(crate) fn over(folder: &Path) -> io::Result<Self> {
        allow_many_files()?;
        let asked = Arc::default();
        let answers = Answers::new(Folder::open(folder)?, Stage(Arc::clone(&asked)));
        let mut config = Config::default();
        let name = MountOption::FSName("failing".to_owned());
        config.mount_options = vec![name, MountOption::DefaultPermissions, MountOption::Suid];
        let session = fuser::spawn_mount(answers, folder, &config)?;
        Ok(Self { at: folder.to_owned(), session: Some(session), asked })
    }

    /// Has the disk fail; what was asked before does not count.
    pub(crate) fn fail(&self, cue: Cue) {
        *lock(&self.asked) = Asked { cue: Some(cue), ..Asked::default() };
    }

    /// Unmounts; returns all that was asked, and whether it failed.
    pub(crate) fn end(mut self) -> (Vec<Call>, bool) {
        self.unmount().expect("it is mounted");
        let asked = lock(&self.asked);
        (asked.calls.clone(), asked.failed)
    }

    /// Takes what is mounted away from its place. Its thread ends once nobody else has it: a box of a daemon
    /// that was started meanwhile has a copy of all mounts. Who asked is gone, and was answered.
    fn unmount(&mut self) -> io::Result<()> {
        let Some(_session) = self.session.take() else { return Ok(()) };
        Ok(rustix::mount::unmount(&self.at, UnmountFlags::DETACH)?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Also while a test fails: a second panic would hide the first.
        let _already_gone = self.unmount();
    }
}

/// Where calls meet their cue.
struct Stage(Arc<Mutex<Asked>>);

impl Stage {
    fn enter(&self, call: Call, thread: u32) -> io::Result<()> {
        let mut asked = lock(&self.0);
        asked.calls.push(call);
        let Some(Cue { when, nth, then }) = asked.cue else { return Ok(()) };
        if !when(call) {
            return Ok(());
        }
        asked.counted += 1;
        let is_due = asked.counted == nth
            || asked.counted > nth && matches!(then, Failure::FromThenOn(_) | Failure::Kill);
        if !is_due {
            return Ok(());
        }
        asked.failed = true;
        match then {
            Failure::Once(error) | Failure::FromThenOn(error) => Err(error.into()),
            Failure::Kill => {
                let process = i32::try_from(thread).ok().and_then(Pid::from_raw);
                // The kernel tells which thread asks, and kills the whole process for it.
                process.map(|pid| rustix::process::kill_process(pid, Signal::KILL)).transpose()?;
                Err(Errno::IO.into())
            }
        }
    }
}

fn lock(asked: &Mutex<Asked>) -> std::sync::MutexGuard<'_, Asked> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Each file that was seen stays open: its number is its own as long as the disk is there.
fn allow_many_files() -> io::Result<()> {
    let most = rustix::process::getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit { current: most, maximum: most };
    Ok(rustix::process::setrlimit(Resource::Nofile, limit)?)
}
