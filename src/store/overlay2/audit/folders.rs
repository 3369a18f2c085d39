//! The folders of overlay2: files, short names for mounts, and what each stands on.
//!
//! All but the files follows from layerdb. moby v28.5 daemon/graphdriver/overlay2/overlay.go create, Get

use std::collections::{BTreeMap, HashMap, HashSet};

use super::{Auditor, HEAL, Here, MEND};
use crate::digest::ChainId;
use crate::error::Result;
use crate::format::docker::link::{Link, format_target, parse_lower};
use crate::model::Severity;
use crate::store::overlay2::layers::Entry;
use crate::tree::{Kind, TreePathBuf, many, optional, read_within};

/// Whose a folder is.
#[derive(Clone, Copy)]
enum Owner<'a> {
    Layer(ChainId),
    Container(&'a str),
    /// What the daemon put below a container.
    Init(&'a str),
}

/// A folder that must be there.
struct Node<'a> {
    id: &'a str,
    owner: Owner<'a>,
    below: Below<'a>,
}

/// The folder that a folder stands on.
#[derive(Clone, Copy)]
enum Below<'a> {
    Nothing,
    Folder(&'a str),
    /// That of a layer which cannot be believed.
    Unknown,
}

/// All of them.
#[derive(Default)]
struct Nodes<'a> {
    all: Vec<Node<'a>>,
    at: HashMap<&'a str, usize>,
}

/// Where among all is the folder that a folder stands on.
#[derive(Clone, Copy)]
enum Under {
    Nothing,
    Node(usize),
    Unknown,
}

/// Where short names lead.
pub(super) type Links = HashMap<Vec<u8>, Option<Vec<u8>>>;

/// What is there of a folder.
struct Looked<'a> {
    has_files: bool,
    link: Result<Link>,
    /// Where its short name leads.
    leads: Option<&'a [u8]>,
    lower: Result<Option<Vec<Link>>>,
    is_committed: bool,
    /// Whether it can be mounted to be written to; not looked for in a folder that is not.
    has_work: bool,
}

/// A link takes 28 bytes, and there are at most 128.
const LOWER_LIMIT: u64 = 8192;

impl Auditor<'_> {
    pub(super) fn check_folders(&mut self) -> Result<()> {
        // Taken out, so that what is found can be noted meanwhile.
        let (layers, mounts) = (self.here.layers, std::mem::take(&mut self.mounts));
        let odd = std::mem::take(&mut self.odd_layers);
        let mut nodes = Nodes::default();
        for (chain_id, entry) in layers {
            let below = on(layers, entry.parent);
            self.add(&mut nodes, &entry.cache_id, Owner::Layer(*chain_id), below);
        }
        for here in &mounts {
            let Ok(mount) = &here.mount else { continue };
            let parent = on(layers, mount.parent);
            let below = mount.init_id.as_deref().map_or(parent, Below::Folder);
            self.add(&mut nodes, &mount.mount_id, Owner::Container(&here.container), below);
            if let Some(init) = &mount.init_id {
                self.add(&mut nodes, init, Owner::Init(&here.container), parent);
            }
        }
        self.audit.count("driver-folders", nodes.all.len());
        let links = self.links()?;
        self.check_nodes(&nodes, &links);
        let mut known: HashSet<&[u8]> = nodes.at.keys().map(|id| id.as_bytes()).collect();
        known.extend(odd.values().map(|entry| entry.cache_id.as_bytes()));
        self.unused_folders(&known, &links)?;
        drop(nodes);
        (self.mounts, self.odd_layers) = (mounts, odd);
        Ok(())
    }

    fn add<'n>(&mut self, nodes: &mut Nodes<'n>, id: &'n str, owner: Owner<'n>, below: Below<'n>) {
        let Some(before) = nodes.put(Node { id, owner, below }) else { return };
        let what = format!("it is of {} and of {}", self.whose(before.owner), self.whose(owner));
        let folder = self.here.layout.folder(id).unwrap_or_default();
        let remedy = "one of them has another's files: remove it, and make or pull it again";
        let code = ("folder-shared", Severity::WrongMetadata);
        self.note(code, folder.as_path(), what, remedy);
    }

    fn whose(&self, owner: Owner<'_>) -> String {
        match owner {
            Owner::Layer(chain_id) => format!("layer {}", chain_id.0.short()),
            Owner::Container(id) => format!("container {}", self.called(id)),
            Owner::Init(id) => format!("the first layer of container {}", self.called(id)),
        }
    }

    fn check_nodes(&mut self, nodes: &Nodes<'_>, links: &Links) {
        let here = self.here;
        let looked = many(&nodes.all, |node| look(&here, links, node.id));
        let under: Vec<Under> = nodes.all.iter().map(|node| nodes.under(node)).collect();
        let parents: HashSet<&str> =
            nodes.all.iter().filter_map(|node| node.below.folder()).collect();
        for (at, (node, found)) in nodes.all.iter().zip(&looked).enumerate() {
            let (id, owner) = (node.id, node.owner);
            if !found.has_files {
                self.without_files(id, owner);
                continue;
            }
            self.check_link(id, found, owner);
            let link = |at: usize| looked.get(at)?.link.as_ref().ok().copied();
            let wanted: Option<Vec<Option<Link>>> =
                below(&under, at).map(|below| below.into_iter().map(link).collect());
            if let Some(wanted) = &wanted {
                self.check_lower(id, found, wanted, owner);
            }
            if !found.is_committed && parents.contains(id) {
                // Docker before 18.09 knew no such mark.
                let file = self.in_folder(id, "committed");
                let whose = self.whose(owner);
                let what = format!("{whose}: others stand on it, and it is not marked so");
                self.note(("committed-missing", Severity::Untidy), file.as_path(), what, MEND);
            } else if !found.is_committed && !found.has_work && wanted != Some(Vec::new()) {
                let file = self.in_folder(id, "work");
                let what = format!("{}: its folder `work` is not there", self.whose(owner));
                self.flaws.for_itself.insert(id.to_owned(), what.clone());
                let code = ("work-missing", Severity::WrongMetadata);
                self.note(code, file.as_path(), what, MEND);
            }
        }
    }

    fn in_folder(&self, id: &str, name: &str) -> TreePathBuf {
        let folder = self.here.layout.folder(id).unwrap_or_default();
        folder.as_path().child(name.as_bytes()).unwrap_or_default()
    }

    fn without_files(&mut self, id: &str, owner: Owner<'_>) {
        let (code, remedy) = match owner {
            Owner::Layer(_) => ("layer-without-files", HEAL),
            Owner::Container(_) => {
                ("container-without-files", "what the container changed is gone; make it anew")
            }
            Owner::Init(_) => ("container-without-files", MEND),
        };
        let what = format!("the files of {} are gone", self.whose(owner));
        self.flaws.for_all.insert(id.to_owned(), what.clone());
        let files = self.in_folder(id, "diff");
        self.note((code, Severity::DataLost), files.as_path(), what, remedy);
    }

    fn check_link(&mut self, id: &str, found: &Looked<'_>, owner: Owner<'_>) {
        let (code, place, what) = match (&found.link, found.leads) {
            (Ok(_), Some(target)) if target == format_target(id).as_bytes() => return,
            (Err(error), _) => {
                let what = format!("its short name cannot be read: {}", error.what());
                ("link-unreadable", self.in_folder(id, "link"), what)
            }
            (Ok(link), None) => {
                let what = "its short name leads nowhere".to_owned();
                ("link-missing", self.here.layout.link(*link), what)
            }
            (Ok(link), Some(target)) => {
                let what = format!("its short name leads to {}", crate::error::printable(target));
                ("link-misled", self.here.layout.link(*link), what)
            }
        };
        let what = format!("{}: {what}", self.whose(owner));
        self.flaws.for_all.insert(id.to_owned(), what.clone());
        self.note((code, Severity::WrongMetadata), place.as_path(), what, MEND);
    }

    fn check_lower(
        &mut self,
        id: &str,
        found: &Looked<'_>,
        wanted: &[Option<Link>],
        owner: Owner<'_>,
    ) {
        let agrees =
            |(link, wanted): (&Link, &Option<Link>)| wanted.is_none_or(|wanted| *link == wanted);
        let (code, what) = match &found.lower {
            Ok(None) if wanted.is_empty() => return,
            Ok(Some(links))
                if links.len() == wanted.len() && links.iter().zip(wanted).all(agrees) =>
            {
                return;
            }
            Err(error) => {
                ("lower-wrong", format!("what it stands on cannot be read: {}", error.what()))
            }
            Ok(None) => {
                let count = wanted.len();
                ("lower-missing", format!("it does not say that it stands on {count} layers"))
            }
            Ok(Some(links)) => {
                let (found, wanted) = (links.len(), wanted.len());
                let what = format!("it names {found} layers below it, other than its {wanted}");
                ("lower-wrong", what)
            }
        };
        let what = format!("{}: {what}", self.whose(owner));
        self.flaws.for_itself.insert(id.to_owned(), what.clone());
        let file = self.in_folder(id, "lower");
        self.note((code, Severity::WrongMetadata), file.as_path(), what, MEND);
    }

    /// Reads all short names: of each folder's own, and of folders that are gone.
    fn links(&mut self) -> Result<Links> {
        let (tree, folder) = (self.here.tree, self.here.layout.links());
        let names = optional(tree.names(folder.as_path()))?.unwrap_or_default();
        self.audit.count("short-names", names.len());
        let leads =
            many(&names, |name| tree.read_link(folder.as_path().child(name)?.as_path()).ok());
        Ok(names.into_iter().zip(leads).collect())
    }
}

impl<'a> Below<'a> {
    fn folder(self) -> Option<&'a str> {
        match self {
            Self::Folder(id) => Some(id),
            Self::Nothing | Self::Unknown => None,
        }
    }
}

/// Returns the folder of the layer `parent`.
fn on(layers: &BTreeMap<ChainId, Entry>, parent: Option<ChainId>) -> Below<'_> {
    let Some(parent) = parent else { return Below::Nothing };
    layers.get(&parent).map_or(Below::Unknown, |entry| Below::Folder(&entry.cache_id))
}

impl<'a> Nodes<'a> {
    /// Adds a folder; returns the one that had its name before.
    fn put(&mut self, node: Node<'a>) -> Option<Node<'a>> {
        let end = self.all.len();
        let before = self.all.get_mut(*self.at.entry(node.id).or_insert(end));
        match before {
            Some(before) => Some(std::mem::replace(before, node)),
            None => {
                self.all.push(node);
                None
            }
        }
    }

    fn under(&self, node: &Node<'_>) -> Under {
        match node.below {
            Below::Nothing => Under::Nothing,
            Below::Folder(id) => self.at.get(id).map_or(Under::Unknown, |at| Under::Node(*at)),
            Below::Unknown => Under::Unknown,
        }
    }
}

/// Returns the folders that the one `at` stands on, the nearest first; nothing if not all are known.
fn below(under: &[Under], at: usize) -> Option<Vec<usize>> {
    let (mut folders, mut next) = (Vec::new(), *under.get(at)?);
    while folders.len() <= under.len() {
        match next {
            Under::Nothing => return Some(folders),
            Under::Unknown => return None,
            Under::Node(at) => {
                folders.push(at);
                next = *under.get(at)?;
            }
        }
    }
    None
}

fn look<'l>(here: &Here<'_>, links: &'l Links, id: &str) -> Looked<'l> {
    let tree = here.tree;
    let folder = here.layout.folder(id).unwrap_or_default();
    let at = |name: &str| folder.as_path().child(name.as_bytes()).unwrap_or_default();
    let is = |name, kind| tree.stat(at(name).as_path()).is_ok_and(|found| found.kind == kind);
    let place =
        |name| move |error: crate::error::DecodeError| error.at(tree.place(at(name).as_path()));
    let link = read_within(tree, at("link").as_path(), 64)
        .and_then(|bytes| Link::parse(&bytes).map_err(place("link")));
    let lower = optional(read_within(tree, at("lower").as_path(), LOWER_LIMIT)).and_then(|bytes| {
        bytes.map(|bytes| parse_lower(&bytes).map_err(place("lower"))).transpose()
    });
    let is_committed = is("committed", Kind::File);
    Looked {
        has_files: is("diff", Kind::Dir),
        leads: link.as_ref().ok().and_then(|link| links.get(link.as_bytes())?.as_deref()),
        link,
        lower,
        is_committed,
        has_work: !is_committed && is("work", Kind::Dir),
    }
}
