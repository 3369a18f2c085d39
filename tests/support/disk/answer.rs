//! What the kernel asks, answered by the folder unless its cue comes first.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, Filesystem, FopenFlags, Generation, INodeNo,
    LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow,
    WriteFlags,
};
use rustix::fs::{AtFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

use super::folder::{Change, Folder};
use super::{Call, Stage};

/// Nobody else changes the folder while it is mounted.
const TRUSTED: Duration = Duration::from_secs(3600);

pub(super) struct Answers {
    folder: Folder,
    stage: Stage,
}

impl Answers {
    pub(super) fn new(folder: Folder, stage: Stage) -> Self {
        Self { folder, stage }
    }

    fn ask<T>(
        &self,
        from: &Request,
        call: Call,
        work: impl FnOnce(&Folder) -> io::Result<T>,
    ) -> io::Result<T> {
        self.stage.enter(call, from.pid())?;
        work(&self.folder)
    }
}

fn entry(reply: ReplyEntry, answer: io::Result<FileAttr>) {
    match answer {
        Ok(attributes) => reply.entry(&TRUSTED, &attributes, Generation(0)),
        Err(error) => reply.error(error.into()),
    }
}

fn attr(reply: ReplyAttr, answer: io::Result<FileAttr>) {
    match answer {
        Ok(attributes) => reply.attr(&TRUSTED, &attributes),
        Err(error) => reply.error(error.into()),
    }
}

fn empty(reply: ReplyEmpty, answer: io::Result<()>) {
    match answer {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error.into()),
    }
}

fn data(reply: ReplyData, answer: io::Result<Vec<u8>>) {
    match answer {
        Ok(bytes) => reply.data(&bytes),
        Err(error) => reply.error(error.into()),
    }
}

fn opened(reply: ReplyOpen, answer: io::Result<u64>) {
    match answer {
        Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::empty()),
        Err(error) => reply.error(error.into()),
    }
}

fn xattr(reply: ReplyXattr, size: u32, answer: io::Result<Vec<u8>>) {
    match answer {
        Ok(bytes) if size == 0 => reply.size(u32::try_from(bytes.len()).unwrap_or(u32::MAX)),
        Ok(bytes) if bytes.len() > size as usize => reply.error(Errno::ERANGE),
        Ok(bytes) => reply.data(&bytes),
        Err(error) => reply.error(error.into()),
    }
}

/// A time before 1970 has the nanoseconds after its second, as the kernel wants them.
fn timespec(time: Option<TimeOrNow>) -> Timespec {
    let whole = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
    let at = |time: SystemTime| match time.duration_since(UNIX_EPOCH) {
        Ok(since) => (whole(since.as_secs()), since.subsec_nanos().into()),
        Err(before) => match (whole(before.duration().as_secs()), before.duration().subsec_nanos())
        {
            (seconds, 0) => (-seconds, 0),
            (seconds, nanos) => (-seconds - 1, i64::from(1_000_000_000 - nanos)),
        },
    };
    let (tv_sec, tv_nsec) = match time {
        None => (0, UTIME_OMIT),
        Some(TimeOrNow::Now) => (0, UTIME_NOW),
        Some(TimeOrNow::SpecificTime(time)) => at(time),
    };
    Timespec { tv_sec, tv_nsec }
}

impl Filesystem for Answers {
    fn lookup(&self, from: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(reply, self.ask(from, Call::Stat, |folder| folder.entry(parent, name)));
    }

    fn getattr(&self, from: &Request, file: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        attr(reply, self.ask(from, Call::Stat, |folder| folder.attributes(file)));
    }

    fn setattr(
        &self,
        from: &Request,
        file: INodeNo,
        mode: Option<u32>,
        user: Option<u32>,
        group: Option<u32>,
        size: Option<u64>,
        accessed: Option<TimeOrNow>,
        modified: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let any_time = accessed.is_some() || modified.is_some();
        let times = any_time.then(|| Timestamps {
            last_access: timespec(accessed),
            last_modification: timespec(modified),
        });
        let to = Change { mode, owner: (user, group), size, times };
        attr(reply, self.ask(from, Call::Attributes, |folder| folder.change(file, &to)));
    }

    fn readlink(&self, from: &Request, file: INodeNo, reply: ReplyData) {
        data(reply, self.ask(from, Call::Read, |folder| folder.read_link(file)));
    }

    fn mknod(
        &self,
        from: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        device: u32,
        reply: ReplyEntry,
    ) {
        let make = |folder: &Folder| folder.mknod(parent, name, mode, device);
        entry(reply, self.ask(from, Call::Mknod, make));
    }

    fn mkdir(
        &self,
        from: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        reply: ReplyEntry,
    ) {
        entry(reply, self.ask(from, Call::Mkdir, |folder| folder.mkdir(parent, name, mode)));
    }

    fn unlink(&self, from: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let remove = |folder: &Folder| folder.remove(parent, name, AtFlags::empty());
        empty(reply, self.ask(from, Call::Remove, remove));
    }

    fn rmdir(&self, from: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let remove = |folder: &Folder| folder.remove(parent, name, AtFlags::REMOVEDIR);
        empty(reply, self.ask(from, Call::Remove, remove));
    }

    fn symlink(&self, from: &Request, parent: INodeNo, name: &OsStr, to: &Path, reply: ReplyEntry) {
        entry(reply, self.ask(from, Call::Symlink, |folder| folder.symlink(parent, name, to)));
    }

    fn rename(
        &self,
        from: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (old, new) = ((parent, name), (new_parent, new_name));
        empty(reply, self.ask(from, Call::Rename, |folder| folder.rename(old, new, flags.bits())));
    }

    fn link(
        &self,
        from: &Request,
        file: INodeNo,
        parent: INodeNo,
        name: &OsStr,
        reply: ReplyEntry,
    ) {
        entry(reply, self.ask(from, Call::Link, |folder| folder.link(file, parent, name)));
    }

    fn create(
        &self,
        from: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let create = |folder: &Folder| folder.create(parent, name, mode, flags);
        match self.ask(from, Call::Create, create) {
            Ok((attributes, handle)) => {
                let (new, flags) = (Generation(0), FopenFlags::empty());
                reply.created(&TRUSTED, &attributes, new, FileHandle(handle), flags);
            }
            Err(error) => reply.error(error.into()),
        }
    }

    fn open(&self, from: &Request, file: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        opened(reply, self.ask(from, Call::Stat, |folder| folder.open_file(file, flags.0)));
    }

    fn read(
        &self,
        from: &Request,
        _: INodeNo,
        handle: FileHandle,
        at: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        data(reply, self.ask(from, Call::Read, |folder| folder.read(handle.0, at, size)));
    }

    fn write(
        &self,
        from: &Request,
        _: INodeNo,
        handle: FileHandle,
        at: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.ask(from, Call::Write, |folder| folder.write(handle.0, at, bytes)) {
            Ok(written) => reply.written(written),
            Err(error) => reply.error(error.into()),
        }
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        self.folder.close(handle.0);
        reply.ok();
    }

    fn fsync(&self, from: &Request, file: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(reply, self.ask(from, Call::Sync, |folder| folder.sync(file)));
    }

    fn opendir(&self, from: &Request, file: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        opened(reply, self.ask(from, Call::Stat, |folder| folder.open_list(file)));
    }

    fn readdir(
        &self,
        from: &Request,
        _: INodeNo,
        handle: FileHandle,
        at: u64,
        mut reply: ReplyDirectory,
    ) {
        match self.ask(from, Call::List, |folder| folder.list(handle.0)) {
            Ok(names) => {
                let left = (1..).zip(names.iter()).skip(usize::try_from(at).unwrap_or(usize::MAX));
                for (next, (number, kind, name)) in left {
                    if reply.add(*number, next, *kind, name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(error.into()),
        }
    }

    fn releasedir(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        _: OpenFlags,
        reply: ReplyEmpty,
    ) {
        self.folder.close(handle.0);
        reply.ok();
    }

    fn fsyncdir(&self, from: &Request, file: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(reply, self.ask(from, Call::Sync, |folder| folder.sync(file)));
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let small = |size: u64| u32::try_from(size).unwrap_or(u32::MAX);
        match self.folder.room() {
            Ok(room) => reply.statfs(
                room.f_blocks,
                room.f_bfree,
                room.f_bavail,
                room.f_files,
                room.f_ffree,
                small(room.f_bsize),
                small(room.f_namemax),
                small(room.f_frsize),
            ),
            Err(error) => reply.error(error.into()),
        }
    }

    fn setxattr(
        &self,
        from: &Request,
        file: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        let set = |folder: &Folder| folder.set_xattr(file, name, value, flags);
        empty(reply, self.ask(from, Call::Attributes, set));
    }

    fn getxattr(&self, from: &Request, file: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        xattr(reply, size, self.ask(from, Call::Stat, |folder| folder.xattr(file, name)));
    }

    fn listxattr(&self, from: &Request, file: INodeNo, size: u32, reply: ReplyXattr) {
        xattr(reply, size, self.ask(from, Call::Stat, |folder| folder.xattrs(file)));
    }

    fn removexattr(&self, from: &Request, file: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.ask(from, Call::Attributes, |folder| folder.remove_xattr(file, name)));
    }
}
