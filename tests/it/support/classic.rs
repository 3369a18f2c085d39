//! Classic stores made from text.
//!
//! ```text
//! diff base                      a layer's changes, as tar and as files
//!   dir  bin                     a folder
//!   file bin/sh shell*100        a file with this text, a hundred times
//!   link bin/ash sh              a symbolic link
//!   hard bin/bash bin/sh         a second name of a file
//!   gone etc/motd                a whiteout
//!   hide var                     makes the folder `var` opaque
//!   attr bin user.x y            an extended attribute, on disk alone
//!   size 3000000000              what the daemon noted as its size
//! image app = base + code        an image of these, base first; none is `image empty =`
//!   name app:1                   one of its names
//!   parent base                  the image it was built from
//!   updated 2024-01-02T03:04:05Z when it was last tagged
//! ```

use std::collections::BTreeMap;

use flate2::write::GzEncoder;
use tranship::digest::{ChainId, ConfigId, DiffId, Digest};
use tranship::format::tar_split;
use tranship::tree::{Attributes, Memory, Sink, Special, Time, TreePath, TreePathBuf, path};

/// When everything in a layer was last changed.
pub(crate) const MTIME: i64 = 1_600_000_000;
/// When the images arrived.
pub(crate) const ARRIVED: i64 = 1_700_000_000;

/// A description of a classic store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Classic {
    diffs: BTreeMap<String, Diff>,
    images: Vec<Image>,
}

#[derive(Clone, Debug, Default)]
struct Diff {
    nodes: Vec<Node>,
    size: Option<u64>,
}

#[derive(Clone, Debug)]
enum Node {
    Dir(String),
    File(String, Vec<u8>),
    Link(String, String),
    Hard(String, String),
    Gone(String),
    Hide(String),
    Attr(String, String, String),
}

#[derive(Clone, Debug, Default)]
struct Image {
    title: String,
    diffs: Vec<String>,
    names: Vec<String>,
    parent: Option<String>,
    updated: Option<String>,
}

impl Classic {
    pub(crate) fn of(text: &str) -> Self {
        let mut store = Self::default();
        let (mut diff, mut in_image) = (String::new(), false);
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["diff", name] => {
                    (diff, in_image) = ((*name).to_owned(), false);
                    store.diffs.insert(diff.clone(), Diff::default());
                }
                ["image", title, "=", diffs @ ..] => {
                    in_image = true;
                    let diffs = diffs.iter().filter(|word| **word != "+");
                    let diffs = diffs.map(|word| (*word).to_owned()).collect();
                    let title = (*title).to_owned();
                    store.images.push(Image { title, diffs, ..Image::default() });
                }
                words if in_image => store.images.last_mut().expect("in an image").line(words),
                words => store.diffs.get_mut(&diff).expect("in a diff").line(words),
            }
        }
        store
    }

    /// Returns the store in memory.
    pub(crate) fn tree(&self) -> Memory {
        let tree = Memory::new();
        self.write(&tree);
        tree
    }

    fn image(&self, title: &str) -> &Image {
        let found = self.images.iter().find(|image| image.title == title);
        found.unwrap_or_else(|| panic!("no image {title}"))
    }

    pub(crate) fn diff_id(&self, diff: &str) -> DiffId {
        DiffId(Digest::of(&self.diffs[diff].tar()))
    }

    pub(crate) fn tar(&self, diff: &str) -> Vec<u8> {
        self.diffs[diff].tar()
    }

    pub(crate) fn chain(&self, diffs: &[&str]) -> ChainId {
        let diffs: Vec<_> = diffs.iter().map(|diff| self.diff_id(diff)).collect();
        *ChainId::chain(&diffs).last().expect("at least one layer")
    }

    pub(crate) fn config_bytes(&self, title: &str) -> Vec<u8> {
        let image = self.image(title);
        let diff_ids: Vec<_> = image.diffs.iter().map(|diff| self.diff_id(diff)).collect();
        let config = serde_json::json!({
            "architecture": "amd64",
            "config": { "Labels": { "title": title } },
            "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        serde_json::to_vec(&config).expect("plain JSON")
    }

    pub(crate) fn config(&self, title: &str) -> ConfigId {
        ConfigId(Digest::of(&self.config_bytes(title)))
    }

    /// Returns the folder that holds the files of a chain of layers.
    pub(crate) fn files(&self, diffs: &[&str]) -> String {
        format!("overlay2/{}/diff", cache_id(self.chain(diffs)))
    }

    /// Returns a file of layerdb.
    pub(crate) fn layerdb(&self, diffs: &[&str], key: &str) -> String {
        format!("image/overlay2/layerdb/sha256/{}/{key}", self.chain(diffs).hex())
    }

    /// Returns the file that holds an image's config.
    pub(crate) fn content(&self, title: &str) -> String {
        format!("image/overlay2/imagedb/content/sha256/{}", self.config(title).hex())
    }

    /// Writes the store as a daemon would.
    pub(crate) fn write(&self, sink: &dyn Sink) {
        for folder in [
            "image",
            "image/overlay2",
            "image/overlay2/imagedb",
            "image/overlay2/imagedb/content",
            "image/overlay2/imagedb/content/sha256",
            "image/overlay2/imagedb/metadata",
            "image/overlay2/imagedb/metadata/sha256",
            "image/overlay2/layerdb",
            "image/overlay2/layerdb/sha256",
            "overlay2",
            "overlay2/l",
        ] {
            dir(sink, folder);
        }
        let mut chains = BTreeMap::new();
        for image in &self.images {
            let mut parent = None;
            for (i, diff) in image.diffs.iter().enumerate() {
                let diffs: Vec<&str> = image.diffs[..=i].iter().map(String::as_str).collect();
                let chain = self.chain(&diffs);
                chains.entry(chain).or_insert((parent, diff));
                parent = Some(chain);
            }
            self.write_image(sink, image);
        }
        for (chain, (parent, diff)) in &chains {
            self.diffs[*diff].write(sink, *chain, *parent, &|chain| chains[&chain].0);
        }
        put(sink, "image/overlay2/repositories.json", &self.repositories());
    }

    fn repositories(&self) -> Vec<u8> {
        let mut all: BTreeMap<&str, BTreeMap<&str, ConfigId>> = BTreeMap::new();
        for image in &self.images {
            for name in &image.names {
                let repository = name.split('@').next().expect("there is a first part");
                let repository = match repository.rfind(':') {
                    Some(colon) if !repository[colon..].contains('/') => &repository[..colon],
                    _ => repository,
                };
                let id = self.config(&image.title);
                all.entry(repository).or_default().insert(name, id);
            }
        }
        serde_json::to_vec(&serde_json::json!({ "Repositories": all })).expect("plain JSON")
    }

    fn write_image(&self, sink: &dyn Sink, image: &Image) {
        let file = self.content(&image.title);
        let bytes = self.config_bytes(&image.title);
        let mtime = Some(Time { seconds: ARRIVED, nanos: 0 });
        let attributes = Attributes { mtime, ..mine(0o600) };
        put_as(sink, path(&file), &bytes, &attributes);
        let notes = [
            ("parent", image.parent.as_ref().map(|parent| self.config(parent).to_string())),
            ("lastUpdated", image.updated.clone()),
        ];
        let hex = self.config(&image.title).hex();
        let folder = format!("image/overlay2/imagedb/metadata/sha256/{hex}");
        for (key, note) in notes {
            if let Some(note) = note {
                dir(sink, &folder);
                put(sink, &format!("{folder}/{key}"), note.as_bytes());
            }
        }
    }
}

impl Image {
    fn line(&mut self, words: &[&str]) {
        match words {
            ["name", name] => self.names.push((*name).to_owned()),
            ["parent", title] => self.parent = Some((*title).to_owned()),
            ["updated", time] => self.updated = Some((*time).to_owned()),
            other => panic!("{other:?} says nothing about an image"),
        }
    }
}

impl Diff {
    fn line(&mut self, words: &[&str]) {
        let own = |text: &&str| (*text).to_owned();
        self.nodes.push(match words {
            ["dir", name] => Node::Dir(own(name)),
            ["file", name] => Node::File(own(name), Vec::new()),
            ["file", name, text] => Node::File(own(name), content(text)),
            ["link", name, to] => Node::Link(own(name), own(to)),
            ["hard", name, to] => Node::Hard(own(name), own(to)),
            ["gone", name] => Node::Gone(own(name)),
            ["hide", name] => Node::Hide(own(name)),
            ["attr", name, key, value] => Node::Attr(own(name), own(key), own(value)),
            ["size", size] => {
                self.size = Some(size.parse().expect("a number"));
                return;
            }
            other => panic!("{other:?} says nothing about a layer"),
        });
    }

    /// Returns the layer's tar, made by another hand than ours.
    fn tar(&self) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut add = |kind, name: &str, data: &[u8], link: Option<&str>| {
            let mut header = tar::Header::new_ustar();
            header.set_entry_type(kind);
            header.set_mode(if kind == tar::EntryType::Directory { 0o755 } else { 0o644 });
            header.set_mtime(MTIME.cast_unsigned());
            header.set_size(data.len() as u64);
            let added = match link {
                Some(link) => builder.append_link(&mut header, name, link),
                None => builder.append_data(&mut header, name, data),
            };
            added.expect("a vector takes every write");
        };
        use tar::EntryType::{Directory, Link, Regular, Symlink};
        for node in &self.nodes {
            match node {
                Node::Dir(name) => add(Directory, &format!("{name}/"), b"", None),
                Node::File(name, bytes) => add(Regular, name, bytes, None),
                Node::Link(name, to) => add(Symlink, name, b"", Some(to)),
                Node::Hard(name, to) => add(Link, name, b"", Some(to)),
                Node::Gone(name) => {
                    let (folder, name) = name.rsplit_once('/').unwrap_or(("", name));
                    let slash = if folder.is_empty() { "" } else { "/" };
                    add(Regular, &format!("{folder}{slash}.wh.{name}"), b"", None);
                }
                Node::Hide(name) => add(Regular, &format!("{name}/.wh..wh..opq"), b"", None),
                Node::Attr(..) => {}
            }
        }
        builder.into_inner().expect("a vector takes every write")
    }

    fn write(
        &self,
        sink: &dyn Sink,
        chain: ChainId,
        parent: Option<ChainId>,
        below: &dyn Fn(ChainId) -> Option<ChainId>,
    ) {
        let folder = format!("image/overlay2/layerdb/sha256/{}", chain.hex());
        dir(sink, &folder);
        let tar = self.tar();
        let file = |key: &str, bytes: &[u8]| put(sink, &format!("{folder}/{key}"), bytes);
        let size = self.size.unwrap_or_else(|| self.file_bytes());
        file("diff", Digest::of(&tar).to_string().as_bytes());
        file("size", size.to_string().as_bytes());
        file("cache-id", cache_id(chain).as_bytes());
        file("tar-split.json.gz", &record(&tar));
        let files = format!("overlay2/{}", cache_id(chain));
        dir(sink, &files);
        put(sink, &format!("{files}/link"), short(chain).as_bytes());
        if let Some(parent) = parent {
            file("parent", parent.to_string().as_bytes());
            let parents = std::iter::successors(Some(parent), |chain| below(*chain));
            let lower: Vec<_> = parents.map(|chain| format!("l/{}", short(chain))).collect();
            put(sink, &format!("{files}/lower"), lower.join(":").as_bytes());
            dir(sink, &format!("{files}/work"));
        }
        let to = format!("../{}/diff", cache_id(chain)).into_bytes();
        let link = format!("overlay2/l/{}", short(chain));
        sink.put(path(&link), &Special::Symlink(to), &mine(0o777)).expect("a free name");
        self.write_files(sink, &format!("{files}/diff"));
    }

    fn file_bytes(&self) -> u64 {
        let size = |node: &Node| if let Node::File(_, bytes) = node { bytes.len() } else { 0 };
        self.nodes.iter().map(size).sum::<usize>() as u64
    }

    fn write_files(&self, sink: &dyn Sink, root: &str) {
        dir(sink, root);
        let at = |name: &str| TreePathBuf::new(format!("{root}/{name}").into()).expect("a path");
        let mut folders = BTreeMap::from([(path(root).to_owned(), attributes(0o755))]);
        for node in &self.nodes {
            match node {
                Node::Dir(name) => {
                    sink.make_dir(at(name).as_path(), 0o755).expect("a free name");
                    folders.insert(at(name), attributes(0o755));
                }
                Node::File(name, bytes) => {
                    put_as(sink, at(name).as_path(), bytes, &attributes(0o644));
                }
                Node::Link(name, to) => {
                    let link = Special::Symlink(to.clone().into_bytes());
                    sink.put(at(name).as_path(), &link, &attributes(0o777)).expect("a free name");
                }
                Node::Hard(name, to) => {
                    sink.link(at(to).as_path(), at(name).as_path()).expect("a free name");
                }
                Node::Gone(name) => {
                    let mark = Special::Char(0, 0);
                    sink.put(at(name).as_path(), &mark, &attributes(0)).expect("a free name");
                }
                Node::Hide(name) => {
                    let folder = folders.get_mut(&at(name)).expect("a folder that was made");
                    folder.xattrs.insert(b"trusted.overlay.opaque".to_vec(), b"y".to_vec());
                }
                Node::Attr(name, key, value) => {
                    let folder = if name == "." { path(root).to_owned() } else { at(name) };
                    let folder = folders.get_mut(&folder).expect("a folder that was made");
                    folder.xattrs.insert(key.clone().into_bytes(), value.clone().into_bytes());
                }
            }
        }
        for (folder, attributes) in folders.iter().rev() {
            sink.finish_dir(folder.as_path(), attributes).expect("it was made");
        }
    }
}

/// Returns the tar-split record of a tar.
pub(crate) fn record(tar: &[u8]) -> Vec<u8> {
    let out = GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut writer = tar_split::Writer::new(out);
    tar_split::disassemble(tar, &mut writer, &tar_split::Apart::default(), &mut ())
        .expect("a sound tar");
    writer.into_inner().finish().expect("a vector takes every write")
}

fn content(text: &str) -> Vec<u8> {
    match text.rsplit_once('*') {
        Some((text, times)) => text.repeat(times.parse().expect("a number")).into_bytes(),
        None => text.as_bytes().to_vec(),
    }
}

fn cache_id(chain: ChainId) -> String {
    Digest::of(format!("cache of {chain}").as_bytes()).hex()
}

fn short(chain: ChainId) -> String {
    cache_id(chain).to_uppercase().replace(['0', '1', '8', '9'], "Z")[..26].to_owned()
}

fn attributes(mode: u16) -> Attributes {
    let mtime = Some(Time { seconds: MTIME, nanos: 0 });
    Attributes { mtime, ..mine(mode) }
}

/// Who owns the files of a store: whoever runs the tests, who need not be root.
pub(crate) fn owner() -> (u32, u32) {
    (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw())
}

fn mine(mode: u16) -> Attributes {
    let (uid, gid) = owner();
    Attributes { uid, gid, ..Attributes::root(mode) }
}

fn dir(sink: &dyn Sink, name: &str) {
    sink.make_dir(path(name), 0o755).expect("its parent is there");
}

/// Writes a file, in the place of one of that name.
pub(crate) fn put(sink: &dyn Sink, name: &str, bytes: &[u8]) {
    sink.remove(path(name)).expect("a path below the root");
    put_as(sink, path(name), bytes, &mine(0o644));
}

fn put_as(sink: &dyn Sink, path: TreePath<'_>, bytes: &[u8], attributes: &Attributes) {
    let mut file = sink.create(path, attributes).expect("a free name");
    file.write_all(bytes).expect("room");
    file.finish().expect("it is open");
}
