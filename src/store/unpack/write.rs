//! The way from a tar into a tree.

use std::collections::HashSet;
use std::io;

use super::attributes::{attributes, whiteout};
use super::body::Body;
use super::dirs::{Dir, Dirs};
use super::name::{Asks, LONGEST, Spelled, asks, spelled};
use super::{Rules, Unpacked};
use crate::error::{Error, Result, printable};
use crate::format::overlay::{Dialect, Mark};
use crate::format::tar::{self, Member, Watch};
use crate::tree::{
    Attributes, Kind, Sink, Special, TreePath, TreePathBuf, optional, resolve_folder, sink_error,
    walk,
};

/// Unpacks the tar it watches.
///
/// Names are resolved inside the layer, whatever links it has; nothing is made anywhere else. Memory
/// is bounded, with some bytes for each folder.
pub struct Unpacker<'a> {
    sink: &'a dyn Sink,
    root: TreePathBuf,
    rules: Rules<'a>,
    dirs: Dirs,
    file: Option<Body<'a>>,
    done: Unpacked,
    /// Something was removed again, so that what was counted is not what is there.
    is_removed: bool,
    is_linked: bool,
}

impl std::fmt::Debug for Unpacker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unpacker").field("root", &self.root).finish_non_exhaustive()
    }
}

impl<'a> Unpacker<'a> {
    /// Starts a layer in the folder `root` of `sink`, which is made and must not exist yet.
    ///
    /// # Errors
    /// What the sink says.
    pub fn new(sink: &'a dyn Sink, root: TreePath<'_>, rules: Rules<'a>) -> Result<Self> {
        sink.make_dir(root, 0o700)?;
        Ok(Self {
            sink,
            root: root.to_owned(),
            rules,
            dirs: Dirs::new(),
            file: None,
            done: Unpacked::default(),
            is_removed: false,
            is_linked: false,
        })
    }

    /// Ends the layer once its tar is read: gives folders their attributes, and counts.
    ///
    /// # Errors
    /// What the sink says.
    pub fn finish(mut self) -> Result<Unpacked> {
        if self.is_removed {
            self.count()?;
        }
        for (path, dir) in self.dirs.inside_out() {
            let path = self.root.as_path().join(path);
            self.done.inodes += 1;
            self.done.allocated += self.sink.finish_dir(path.as_path(), &dir.attributes)?;
        }
        Ok(Unpacked { ambiguous: self.is_removed && self.is_linked, ..self.done })
    }

    /// Counts what is there of all that is no folder.
    fn count(&mut self) -> Result<()> {
        let (mut done, mut linked) = (Unpacked::default(), HashSet::new());
        walk(self.sink.tree(), self.root.as_path(), &mut |_, entry| {
            let found = &entry.metadata;
            let is_new = found.nlink <= 1 || linked.insert(found.ino);
            if found.kind != Kind::Dir && is_new {
                done.inodes += 1;
                done.allocated += found.allocated;
                done.apparent += found.size;
            }
            Ok(true)
        })?;
        self.done = Unpacked { written: self.done.written, ..done };
        Ok(())
    }

    fn at(&self, path: TreePath<'_>) -> TreePathBuf {
        self.root.as_path().join(path)
    }

    fn fail(&self, path: TreePath<'_>, what: impl Into<String>) -> Error {
        let place = self.sink.tree().place(self.at(path).as_path());
        Error::corrupt(place, what).hint("no Docker can unpack this layer; build the image again")
    }

    fn spelled(&self, path: &[u8]) -> Result<Option<Spelled>> {
        spelled(path, self.rules.turns_inside)
            .map_err(|what| self.fail(TreePath::ROOT, format!("the layer's tar has {what}")))
    }

    fn begin(&mut self, member: &Member<'_>) -> Result<()> {
        if member.kind == tar::Kind::Global {
            return Ok(());
        }
        let Some(Spelled { folder, name }) = self.spelled(&member.path)? else { return Ok(()) };
        let folder = self.folder(folder)?;
        let folder = folder.as_path();
        let asks =
            asks(&name).map_err(|what| self.fail(folder, format!("the layer's tar has {what}")))?;
        match asks {
            Asks::Entry(name) => self.entry(folder.child(name).unwrap_or_default(), member),
            Asks::Opaque if self.rules.marks => self.mark_opaque(folder),
            Asks::Opaque => self.remove_implied(folder),
            Asks::Whiteout(name) => {
                let path = folder.child(name).unwrap_or_default();
                match self.rules.marks {
                    true => self.mark_deleted(path.as_path(), member),
                    false => self.remove(path.as_path()),
                }
            }
        }
    }

    /// Returns the folder that is meant, links followed, and makes what is missing of it.
    fn folder(&mut self, spelled: TreePathBuf) -> Result<TreePathBuf> {
        if self.dirs.contains(spelled.as_path()) {
            return Ok(spelled);
        }
        let found = self.resolved(spelled.as_path())?;
        self.is_linked |= found != spelled;
        let path = found.as_path();
        let ends = path.as_bytes().iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for end in ends.map(|(at, _)| at).chain([path.as_bytes().len()]) {
            if let Some(above) = TreePath::new(&path.as_bytes()[..end])
                && !self.dirs.contains(above)
            {
                self.imply(above)?;
            }
        }
        Ok(found)
    }

    fn resolved(&self, spelled: TreePath<'_>) -> Result<TreePathBuf> {
        let root = self.root.as_path();
        let found = resolve_folder(self.sink.tree(), root, spelled.as_bytes())?;
        let found = found
            .ok_or_else(|| self.fail(spelled, "the layer's tar has this in what is no folder"))?;
        let found = found.as_path().below(root).unwrap_or(TreePath::ROOT).to_owned();
        match found.as_path().as_bytes().len() {
            ..=LONGEST => Ok(found),
            length => Err(self.fail(spelled, format!("links lead to a path of {length} bytes"))),
        }
    }

    /// Makes a folder that the tar has things in, and says nothing of.
    fn imply(&mut self, path: TreePath<'_>) -> Result<()> {
        let below = self.rules.lower.map_or(Ok(None), |lower| lower(path))?;
        let attributes = below.unwrap_or_else(|| Attributes::root(0o755));
        self.sink.make_dir(self.at(path).as_path(), 0o700)?;
        self.keep(path, Dir { attributes, is_implied: true })
    }

    fn keep(&mut self, path: TreePath<'_>, dir: Dir) -> Result<()> {
        if self.dirs.put(path, dir) {
            return Ok(());
        }
        let place = self.sink.tree().place(self.root.as_path());
        Err(Error::unsupported(place, "the layer has more folders than can be kept in mind"))
    }

    fn entry(&mut self, path: TreePathBuf, member: &Member<'_>) -> Result<()> {
        let (path, device) = (path.as_path(), member.device);
        let special = match member.kind {
            tar::Kind::File => return self.create(path, member),
            tar::Kind::Dir => return self.dir(path, member),
            tar::Kind::HardLink => return self.link(path, member),
            tar::Kind::Symlink => (Kind::Symlink, Special::Symlink(member.link.to_vec())),
            tar::Kind::Char => (Kind::Char, Special::Char(device.0, device.1)),
            tar::Kind::Block => (Kind::Block, Special::Block(device.0, device.1)),
            tar::Kind::Fifo => (Kind::Fifo, Special::Fifo),
            tar::Kind::Global => return Ok(()),
            tar::Kind::Other(flag) => {
                let what = format!("a member of type `{}`", printable(&[flag]));
                return Err(self.fail(path, format!("the layer's tar has {what}")));
            }
        };
        let (kind, special) = special;
        self.put(path, &special, &attributes(member, kind, &self.rules))
    }

    fn create(&mut self, path: TreePath<'_>, member: &Member<'_>) -> Result<()> {
        let attributes = attributes(member, Kind::File, &self.rules);
        let sink = self.sink;
        let at = self.at(path);
        let file = self.anew(path, || sink.create(at.as_path(), &attributes))?;
        self.file = Some(Body::new(file, at, member));
        Ok(())
    }

    fn dir(&mut self, path: TreePath<'_>, member: &Member<'_>) -> Result<()> {
        if !self.dirs.contains(path) {
            let (sink, at) = (self.sink, self.at(path));
            self.anew(path, || sink.make_dir(at.as_path(), 0o700))?;
        }
        let attributes = attributes(member, Kind::Dir, &self.rules);
        self.keep(path, Dir { attributes, is_implied: false })
    }

    fn put(&mut self, path: TreePath<'_>, special: &Special, to: &Attributes) -> Result<()> {
        let (sink, at) = (self.sink, self.at(path));
        self.done.allocated += self.anew(path, || sink.put(at.as_path(), special, to))?;
        self.done.inodes += 1;
        if let Special::Symlink(target) = special {
            self.done.apparent += target.len() as u64;
        }
        Ok(())
    }

    /// Makes a second name. What the header says is then set through it, so the file has it under
    /// every name.
    fn link(&mut self, path: TreePath<'_>, member: &Member<'_>) -> Result<()> {
        let target = printable(&member.link).into_owned();
        let no = |what: &str| format!("a hard link to `{target}`, {what}");
        let Some(Spelled { folder, name }) = self.spelled(&member.link)? else {
            return Err(self.fail(path, no("which is the layer's own folder")));
        };
        let folder = match self.dirs.contains(folder.as_path()) {
            true => folder,
            false => self.resolved(folder.as_path())?,
        };
        let from = folder.as_path().child(&name).unwrap_or_default();
        if self.dirs.contains(from.as_path()) {
            return Err(self.fail(path, no("which is a folder")));
        }
        let (sink, from, at) = (self.sink, self.at(from.as_path()), self.at(path));
        let linked = self.anew(path, || sink.link(from.as_path(), at.as_path()));
        match linked {
            Err(error) if error.is_missing() => {
                return Err(self.fail(path, no("which the layer does not have")));
            }
            linked => linked?,
        }
        match optional(sink.tree().stat(at.as_path()))? {
            Some(found) => {
                let attributes = attributes(member, found.kind, &self.rules);
                sink.set_attributes(at.as_path(), &attributes)
            }
            // A tar being written cannot be looked at, and repeats what the file has.
            None => Ok(()),
        }
    }

    /// Makes something at `path`, in the place of what is there.
    fn anew<T>(&mut self, path: TreePath<'_>, make: impl Fn() -> Result<T>) -> Result<T> {
        match make() {
            Err(error) if error.io_kind() == Some(io::ErrorKind::AlreadyExists) => {
                self.remove(path)?;
                make()
            }
            answer => answer,
        }
    }

    fn remove(&mut self, path: TreePath<'_>) -> Result<()> {
        let at = self.at(path);
        if optional(self.sink.tree().stat(at.as_path()))?.is_some() {
            self.is_removed = true;
        }
        self.sink.remove(at.as_path())?;
        self.dirs.remove(path);
        Ok(())
    }

    /// Marks a name as deleted in lower layers. Neither daemon can where the layer has the name itself.
    fn mark_deleted(&mut self, path: TreePath<'_>, member: &Member<'_>) -> Result<()> {
        let at = self.at(path);
        let made = self.sink.put(at.as_path(), &Special::Char(0, 0), &whiteout(member));
        self.done.allocated += made.map_err(|error| match error.io_kind() {
            Some(io::ErrorKind::AlreadyExists) => {
                self.fail(path, "the layer's tar has this, and then deletes it")
            }
            _ => error,
        })?;
        self.done.inodes += 1;
        Ok(())
    }

    fn mark_opaque(&mut self, folder: TreePath<'_>) -> Result<()> {
        if let Some(dir) = self.dirs.get_mut(folder) {
            dir.attributes.xattrs.insert(Dialect::Trusted.name(Mark::Opaque), b"y".to_vec());
        }
        Ok(())
    }

    /// Removes what containerd takes for a lower layer's: all in the folder that the tar did not name.
    fn remove_implied(&mut self, folder: TreePath<'_>) -> Result<()> {
        let below = self.dirs.below(folder).filter(|(_, dir)| dir.is_implied);
        let implied: Vec<_> = below.map(|(path, _)| path.to_owned()).collect();
        implied.iter().try_for_each(|path| self.remove(path.as_path()))
    }
}

impl Watch for Unpacker<'_> {
    fn member(&mut self, member: &Member<'_>) -> io::Result<()> {
        Ok(self.begin(member)?)
    }

    fn data(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        self.done.written += bytes.len() as u64;
        Ok(file.write(bytes).map_err(|error| sink_error(self.sink, file.path.as_path(), error))?)
    }

    fn end(&mut self) -> io::Result<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        file.fill().map_err(|error| sink_error(self.sink, file.path.as_path(), error))?;
        self.done.apparent = self.done.apparent.saturating_add(file.size);
        self.done.inodes += 1;
        self.done.allocated += file.finish()?;
        Ok(())
    }
}
