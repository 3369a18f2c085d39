//! Layers stacked by us against the kernel's own overlayfs.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use tempfile::TempDir;
use tranship::format::oci::Platform;
use tranship::format::overlay::Mark;
use tranship::op::host::{Known, open, survey};
use tranship::op::look::{Which, mount, view};
use tranship::tree::{
    Attributes, Kind, Live, LiveSink, Sink, Special, Stacked, Tree, TreePath, TreePathBuf, Xattrs,
    path, walk, write,
};

use super::{Root, WHY};

/// A mount that ends with the test.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let ended = Command::new("umount").arg(&self.0).status().expect("umount can be started");
        assert!(ended.success() || std::thread::panicking(), "{} stays", self.0.display());
    }
}

fn mounted(options: &str, at: &Path) -> Mounted {
    fs::create_dir_all(at).expect(WHY);
    let done = Command::new("mount")
        .args(["-t", "overlay", "overlay", "-o", options])
        .arg(at)
        .output()
        .expect("mount can be started");
    assert!(done.status.success(), "{options}: {}", String::from_utf8_lossy(&done.stderr));
    Mounted(at.to_owned())
}

/// All that can be seen of one name; the number stands for its file.
#[derive(Debug, PartialEq)]
struct Seen {
    kind: Kind,
    mode: u16,
    owner: (u32, u32),
    size: u64,
    mtime: (i64, u32),
    rdev: (u32, u32),
    xattrs: Xattrs,
    content: Vec<u8>,
    file: usize,
}

fn seen(tree: &dyn Tree) -> BTreeMap<TreePathBuf, Seen> {
    let (mut all, mut files) = (BTreeMap::new(), BTreeMap::new());
    let mut add = |at: TreePath<'_>| {
        let found = tree.stat(at)?;
        let next = files.len();
        let content = match found.kind {
            Kind::File => tranship::tree::read(tree, at)?,
            Kind::Symlink => tree.read_link(at)?,
            _ => Vec::new(),
        };
        let seen = Seen {
            kind: found.kind,
            mode: found.mode,
            owner: (found.uid, found.gid),
            size: if found.kind == Kind::Dir { 0 } else { found.size },
            mtime: (found.mtime.seconds, found.mtime.nanos),
            rdev: found.rdev,
            xattrs: tree.xattrs(at)?,
            content,
            file: *files.entry(found.ino).or_insert(next),
        };
        all.insert(at.to_owned(), seen);
        Ok(())
    };
    add(TreePath::ROOT).expect("a root");
    walk(tree, TreePath::ROOT, &mut |at, _| add(at).map(|()| true)).expect("a sound tree");
    all
}

fn assert_same(name: &str, ours: &dyn Tree, at: &Path) -> usize {
    let (ours, kernels) = (seen(ours), seen(&Live::open(at).expect(WHY)));
    let names = |all: &BTreeMap<TreePathBuf, Seen>| all.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&kernels), "{name}");
    for (path, wanted) in &kernels {
        assert_eq!(&ours[path], wanted, "{name}: {path}");
    }
    kernels.len()
}

#[test]
#[ignore = "needs root"]
fn recorded_images_and_containers_are_what_the_kernel_shows() {
    let root = Root::unpack();
    let opened = open(Some(&root.path())).expect(WHY);
    let platform =
        Platform { architecture: "amd64".into(), os: "linux".into(), ..Platform::default() };
    let host = survey(&opened, &Known { platform, ..Known::default() }).expect("a sound root");
    let inventory = host.roots[0].stores[0].inventory().expect("a store");
    let images = inventory.images.iter().map(|image| image.id.to_string());
    let containers = host.roots[0].containers.iter().map(|container| container.id.clone());
    let at = root.folder.path().join("merged");
    fs::create_dir(&at).expect(WHY);
    let mut entries = 0;
    for name in images.chain(containers) {
        let view = view(&host, &name, &Which::default()).expect(&name);
        mount(&view).expect(&name).run(&at).expect(&name);
        let _mounted = Mounted(at.clone());
        entries += assert_same(&name, &view.tree, &at);
        fs::write(at.join("new"), "x").expect_err("it is read-only");
    }
    assert!(entries > 4000, "only {entries}");
}

#[test]
#[ignore = "needs root"]
fn the_printed_command_mounts_what_is_listed() {
    let root = Root::unpack();
    // A name that both a shell and the kernel would read otherwise.
    let odd = root.folder.path().join("a:b, c\\d'e");
    fs::rename(root.path(), &odd).expect(WHY);
    let at = root.folder.path().join("merged here");
    fs::create_dir(&at).expect(WHY);
    let command = Command::new(env!("CARGO_BIN_EXE_tranship"))
        .arg("mount")
        .args([odd.as_os_str(), OsStr::new("changed"), at.as_os_str()])
        .output()
        .expect("it can be started");
    assert!(command.status.success(), "{}", super::err(&command));
    let text = String::from_utf8(command.stdout).expect("text");
    let done = Command::new("sh").arg("-c").arg(&text).output().expect("sh can be started");
    assert!(done.status.success(), "{text}: {}", super::err(&done));
    let _mounted = Mounted(at.clone());
    assert!(at.join("bin").is_dir() && !at.join("etc/passwd").exists());
}

/// Layers that the kernel writes itself while things are changed in a mount.
struct Made {
    folder: TempDir,
    /// The topmost first.
    layers: Vec<PathBuf>,
}

impl Made {
    fn new(fill: impl FnOnce(&Path)) -> Self {
        let folder = TempDir::new_in("/var/tmp").expect(WHY);
        let base = folder.path().join("0");
        fs::create_dir(&base).expect(WHY);
        fill(&base);
        Self { folder, layers: vec![base] }
    }

    fn lowerdir(&self) -> String {
        let names: Vec<_> = self.layers.iter().map(|layer| layer.display().to_string()).collect();
        names.join(":")
    }

    /// Puts a layer on top that holds what `change` does.
    fn change(&mut self, options: &str, change: impl FnOnce(&Path)) {
        let number = self.layers.len();
        let [upper, work, at] =
            ["", "work", "merged"].map(|name| self.folder.path().join(format!("{number}{name}")));
        fs::create_dir(&upper).expect(WHY);
        fs::create_dir(&work).expect(WHY);
        let (lower, upper_text) = (self.lowerdir(), upper.display());
        let work = work.display();
        let all = format!("lowerdir={lower},upperdir={upper_text},workdir={work},{options}");
        let merged = mounted(&all, &at);
        change(&at);
        drop(merged);
        self.layers.insert(0, upper);
    }

    fn stacked(&self) -> Stacked {
        let layer = |path: &PathBuf| -> (Arc<dyn Tree>, TreePathBuf) {
            (Arc::new(Live::open(path).expect(WHY)), TreePathBuf::default())
        };
        Stacked::new(self.layers.iter().map(layer).collect())
    }

    /// Returns the marks that the layers have.
    fn marks(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for layer in &self.layers {
            let tree = Live::open(layer).expect(WHY);
            walk(&tree, TreePath::ROOT, &mut |at, _| {
                let marks = tree.xattrs(at)?.into_keys().filter_map(|name| Mark::of(&name));
                found.extend(marks.map(|(_, mark)| format!("{mark:?}")));
                Ok(true)
            })
            .expect("a sound tree");
        }
        found
    }

    fn compare(&self, options: &str) {
        let at = self.folder.path().join("all");
        let _merged = mounted(&format!("ro,lowerdir={},{options}", self.lowerdir()), &at);
        assert_same(options, &self.stacked(), &at);
    }
}

fn run(at: &Path, script: &str) {
    let done = Command::new("sh").args(["-ec", script]).current_dir(at).output();
    let done = done.expect("sh can be started");
    assert!(done.status.success(), "{script}: {}", super::err(&done));
}

fn base(at: &Path) {
    run(at, "
        mkdir -p a/b/c d/e/f gone keep/x moved/in/side
        for n in 1 2 3 4 5 6 7 8; do echo $n > a/$n; echo deep $n > a/b/c/$n; echo d$n > d/e/f/$n; done
        echo whole > moved/in/side/file; echo x > gone/x; echo x > keep/x/y
        head -c 300000 /dev/zero | tr '\\0' z > big; ln big big-too; ln -s a/1 link
        echo swap > file; mkdir dir; echo in > dir/in; mknod null c 1 3; mkfifo pipe
        chown -R 1000:2000 d; chmod 4755 a/1
    ");
}

#[test]
#[ignore = "needs root"]
fn what_the_kernel_writes_is_read_as_it_reads_it() {
    for options in
        ["redirect_dir=on,metacopy=on", "redirect_dir=on,metacopy=off", "redirect_dir=off"]
    {
        let mut made = Made::new(base);
        made.change(options, |at| {
            run(
                at,
                "
                rm a/1 link pipe; rm -r gone; mkdir gone; echo new > gone/new
                chmod 600 big; chown 5:6 a/2; touch -d 2001-01-01 a/3; echo more >> a/4
                rm file; mkdir file; echo now > file/a; rm -r dir; echo now > dir
                if mv moved/in/side keep/there 2>/dev/null; then mv d/e d/g; mv a/b b; fi
            ",
            );
        });
        made.change(options, |at| {
            run(at, "
                chmod 640 big; mv a/2 a/9; mv a/3 renamed; ln a/5 a/five
                rm -r keep/x; mkdir -p keep/x; mknod null2 c 1 3
                if [ -d keep/there ]; then mv keep/there keep/again; mv b/c b/cc; mv keep k; mv d dd; fi
                rm -r file; echo f > file; rm dir; mkdir dir; echo i > dir/in
            ");
        });
        made.change(options, |at| {
            run(
                at,
                "
                mkdir -p a; mv renamed a/back; chmod 400 a/9; rm big-too
                if [ -d k ]; then mv k/again again; mv dd/g/f dd/f; chmod 700 again; fi
            ",
            );
        });
        let marks = made.marks();
        for (mark, option) in [("Redirect", "redirect_dir=on"), ("Metacopy", "metacopy=on")] {
            assert_eq!(marks.contains(mark), options.contains(option), "{options}: {marks:?}");
        }
        assert!(marks.contains("Opaque"), "{options}: {marks:?}");
        let follow = options.replace("redirect_dir=on", "redirect_dir=follow");
        made.compare(&follow.replace("redirect_dir=off", "redirect_dir=nofollow"));
    }
}

/// Marks that no kernel of today writes, or not here.
#[test]
#[ignore = "needs root"]
fn marks_made_by_hand_are_read_as_the_kernel_reads_them() {
    let made = Made::new(base);
    let folder = made.folder.path();
    let marked = |name: &str, value: &[u8]| {
        let mut attributes = Attributes::root(0o750);
        attributes.xattrs.insert(format!("trusted.overlay.{name}").into_bytes(), value.to_vec());
        attributes.xattrs.insert(b"user.mine".to_vec(), b"1".to_vec());
        attributes
    };
    let layer = |name: &str, fill: &dyn Fn(&LiveSink)| {
        fs::create_dir(folder.join(name)).expect(WHY);
        fill(&LiveSink::open(&folder.join(name)).expect(WHY));
        folder.join(name)
    };
    let dir = |sink: &LiveSink, at: &str, attributes: &Attributes| {
        sink.make_dir(path(at), 0o700).expect(at);
        sink.finish_dir(path(at), attributes).expect(at);
    };
    let whiteout = |sink: &LiveSink, at: &str| {
        sink.put(path(at), &Special::Char(0, 0), &Attributes::root(0)).map(drop).expect(at);
    };
    let top = layer("top", &|sink| {
        dir(sink, "opened", &marked("redirect", b"/d/e"));
        dir(sink, "a", &marked("opaque", b"n"));
        whiteout(sink, "a/1");
        whiteout(sink, "never-was");
    });
    let middle = layer("middle", &|sink| {
        // The root of a layer is always merged.
        dir(sink, "", &marked("opaque", b"y"));
        dir(sink, "d", &marked("opaque", b"y"));
        dir(sink, "d/e", &marked("origin", b"stale"));
        write(sink, path("d/e/only"), 0o644, b"this").expect(WHY);
        dir(sink, "a", &marked("opaque", b"x"));
        for (at, bytes) in [("a/2", &b""[..]), ("a/3", b"full"), ("a/new", b"")] {
            let mut file = sink.create(path(at), &marked("whiteout", b"y")).expect(at);
            file.write_all(bytes).expect(at);
            file.finish().expect(at);
        }
        write(sink, path("gone"), 0o644, b"no folder").expect(WHY);
    });
    let mut made = made;
    made.layers.splice(0..0, [top, middle]);
    made.compare("redirect_dir=follow,metacopy=on");
}

#[test]
#[ignore = "needs root"]
fn what_is_copied_out_is_what_the_kernel_shows() {
    let mut made = Made::new(base);
    made.change("redirect_dir=on,metacopy=on", |at| {
        run(at, "chmod 600 big; mv moved/in m; rm a/1; truncate -s 5M holes; chmod 2755 a/2");
        let file = fs::OpenOptions::new().write(true).open(at.join("holes")).expect(WHY);
        file.write_at(b"end", 4 << 20).expect(WHY);
        fs::set_permissions(at.join("holes"), fs::Permissions::from_mode(0o640)).expect(WHY);
    });
    let copy = made.folder.path().join("copy");
    fs::create_dir(&copy).expect(WHY);
    let copying = tranship::tree::Copying {
        snapshots: tranship::tree::Snapshots::Copy,
        skip: &|_| false,
        skip_xattr: &|_| false,
    };
    let (ours, sink) = (made.stacked(), LiveSink::open(&copy).expect(WHY));
    tranship::tree::copy(&ours, TreePath::ROOT, &sink, path("root"), &copying).expect("it can be");
    let at = made.folder.path().join("all");
    let options = "redirect_dir=follow,metacopy=on";
    let _merged = mounted(&format!("ro,lowerdir={},{options}", made.lowerdir()), &at);
    assert_same("copy", &Live::open(&copy.join("root")).expect(WHY), &at);
    let holes = Live::open(&copy.join("root")).expect(WHY).stat(path("holes")).expect(WHY);
    assert!(holes.allocated < 1 << 20, "{holes:?}");
}
