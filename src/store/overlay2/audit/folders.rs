//! The folders of overlay2: files, short names for mounts, and what each stands on.
//!
//! All but the files follows from layerdb. moby v28.5 daemon/graphdriver/overlay2/overlay.go create, Get

use std::collections::{BTreeMap, HashSet};

use super::{Auditor, HEAL, MEND};
use crate::digest::ChainId;
use crate::error::Result;
use crate::format::docker::link::{Link, format_target, parse_lower};
use crate::model::Severity;
use crate::store::overlay2::layers::Entry;
use crate::tree::{Kind, Tree, many, optional, read_within};

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

type Nodes<'a> = BTreeMap<&'a str, Node<'a>>;

/// What is there of a folder.
struct Looked {
    has_files: bool,
    link: Result<Link>,
    /// Where its short name leads.
    leads: Option<Vec<u8>>,
    lower: Result<Option<Vec<Link>>>,
    is_committed: bool,
    has_work: bool,
}

/// A link takes 28 bytes, and there are at most 128.
const LOWER_LIMIT: u64 = 8192;

impl Auditor<'_> {
    pub(super) fn check_folders(&mut self) -> Result<()> {
        // Taken out, so that what is found can be noted meanwhile.
        let (layers, mounts) = (self.here.layers, std::mem::take(&mut self.mounts));
        let odd = std::mem::take(&mut self.odd_layers);
        let mut nodes = Nodes::new();
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
        self.audit.count("driver-folders", nodes.len());
        self.check_nodes(&nodes);
        let spoken_for = odd.values().map(|entry| entry.cache_id.as_bytes().to_vec());
        let mut known: HashSet<Vec<u8>> = spoken_for.collect();
        known.extend(nodes.keys().map(|id| id.as_bytes().to_vec()));
        self.unused_folders(&known)?;
        drop(nodes);
        (self.mounts, self.odd_layers) = (mounts, odd);
        Ok(())
    }

    fn add<'n>(&mut self, nodes: &mut Nodes<'n>, id: &'n str, owner: Owner<'n>, below: Below<'n>) {
        let Some(before) = nodes.insert(id, Node { owner, below }) else { return };
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

    fn check_nodes(&mut self, nodes: &Nodes<'_>) {
        let ids: Vec<&str> = nodes.keys().copied().collect();
        let here = self.here;
        let look = |id: &&str| look(here.tree, here.layout, id);
        let looked: BTreeMap<&str, Looked> = ids.iter().copied().zip(many(&ids, look)).collect();
        let parent = |node: &Node<'_>| match node.below {
            Below::Folder(id) => Some(id.to_owned()),
            Below::Nothing | Below::Unknown => None,
        };
        let parents: HashSet<String> = nodes.values().filter_map(parent).collect();
        for (id, node) in nodes {
            let Some(found) = looked.get(id) else { continue };
            let owner = self.whose(node.owner);
            if !found.has_files {
                self.without_files(id, node.owner, &owner);
                continue;
            }
            self.check_link(id, found, &owner);
            let links = |id: &str| looked.get(id)?.link.as_ref().ok().copied();
            let wanted = below(nodes, node);
            let wanted: Option<Vec<Option<Link>>> =
                wanted.map(|below| below.into_iter().map(links).collect());
            if let Some(wanted) = &wanted {
                self.check_lower(id, found, wanted, &owner);
            }
            if !found.is_committed && parents.contains(*id) {
                // Docker before 18.09 knew no such mark.
                let file = self.in_folder(id, "committed");
                let what = format!("{owner}: others stand on it, and it is not marked so");
                self.note(("committed-missing", Severity::Untidy), file.as_path(), what, MEND);
            } else if !found.is_committed && !found.has_work && wanted != Some(Vec::new()) {
                let file = self.in_folder(id, "work");
                let what = format!("{owner}: its folder `work` is not there");
                self.flaws.for_itself.insert((*id).to_owned(), what.clone());
                let code = ("work-missing", Severity::WrongMetadata);
                self.note(code, file.as_path(), what, MEND);
            }
        }
    }

    fn in_folder(&self, id: &str, name: &str) -> crate::tree::TreePathBuf {
        let folder = self.here.layout.folder(id).unwrap_or_default();
        folder.as_path().child(name.as_bytes()).unwrap_or_default()
    }

    fn without_files(&mut self, id: &str, owner: Owner<'_>, called: &str) {
        let (code, remedy) = match owner {
            Owner::Layer(_) => ("layer-without-files", HEAL),
            Owner::Container(_) => {
                ("container-without-files", "what the container changed is gone; make it anew")
            }
            Owner::Init(_) => ("container-without-files", MEND),
        };
        let what = format!("the files of {called} are gone");
        self.flaws.for_all.insert(id.to_owned(), what.clone());
        let files = self.in_folder(id, "diff");
        self.note((code, Severity::DataLost), files.as_path(), what, remedy);
    }

    fn check_link(&mut self, id: &str, found: &Looked, owner: &str) {
        let (code, place, what) = match (&found.link, &found.leads) {
            (Err(error), _) => {
                let what = format!("{owner}: its short name cannot be read: {}", error.what());
                ("link-unreadable", self.in_folder(id, "link"), what)
            }
            (Ok(link), None) => {
                let what = format!("{owner}: its short name leads nowhere");
                ("link-missing", self.here.layout.link(*link), what)
            }
            (Ok(_), Some(target)) if *target == format_target(id).as_bytes() => return,
            (Ok(link), Some(target)) => {
                let target = crate::error::printable(target).into_owned();
                let what = format!("{owner}: its short name leads to {target}");
                ("link-misled", self.here.layout.link(*link), what)
            }
        };
        self.flaws.for_all.insert(id.to_owned(), what.clone());
        self.note((code, Severity::WrongMetadata), place.as_path(), what, MEND);
    }

    fn check_lower(&mut self, id: &str, found: &Looked, wanted: &[Option<Link>], owner: &str) {
        let what = match &found.lower {
            Err(error) => format!("{owner}: what it stands on cannot be read: {}", error.what()),
            Ok(None) if wanted.is_empty() => return,
            Ok(None) => {
                let count = wanted.len();
                format!("{owner}: it does not say that it stands on {count} layers")
            }
            Ok(Some(links)) => {
                let agrees = |(link, wanted): (&Link, &Option<Link>)| {
                    wanted.is_none_or(|wanted| *link == wanted)
                };
                if links.len() == wanted.len() && links.iter().zip(wanted).all(agrees) {
                    return;
                }
                let (found, wanted) = (links.len(), wanted.len());
                format!("{owner}: it names {found} layers below it, other than its {wanted}")
            }
        };
        let code = if found.lower.as_ref().is_ok_and(Option::is_none) {
            "lower-missing"
        } else {
            "lower-wrong"
        };
        self.flaws.for_itself.insert(id.to_owned(), what.clone());
        let file = self.in_folder(id, "lower");
        self.note((code, Severity::WrongMetadata), file.as_path(), what, MEND);
    }
}

/// Returns the folder of the layer `parent`.
fn on(layers: &BTreeMap<ChainId, Entry>, parent: Option<ChainId>) -> Below<'_> {
    let Some(parent) = parent else { return Below::Nothing };
    layers.get(&parent).map_or(Below::Unknown, |entry| Below::Folder(&entry.cache_id))
}

/// Returns the folders that a node stands on, the nearest first; nothing if not all are known.
fn below<'n>(nodes: &'n Nodes<'n>, node: &'n Node<'n>) -> Option<Vec<&'n str>> {
    let (mut folders, mut next) = (Vec::new(), node.below);
    while folders.len() <= nodes.len() {
        match next {
            Below::Nothing => return Some(folders),
            Below::Unknown => return None,
            Below::Folder(id) => {
                folders.push(id);
                next = nodes.get(id)?.below;
            }
        }
    }
    None
}

fn look(tree: &dyn Tree, layout: &super::Layout, id: &str) -> Looked {
    let folder = layout.folder(id).unwrap_or_default();
    let at = |name: &str| folder.as_path().child(name.as_bytes()).unwrap_or_default();
    let is = |name, kind| tree.stat(at(name).as_path()).is_ok_and(|found| found.kind == kind);
    let place =
        |name| move |error: crate::error::DecodeError| error.at(tree.place(at(name).as_path()));
    let link = read_within(tree, at("link").as_path(), 64)
        .and_then(|bytes| Link::parse(&bytes).map_err(place("link")));
    let leads =
        link.as_ref().ok().and_then(|link| tree.read_link(layout.link(*link).as_path()).ok());
    let lower = optional(read_within(tree, at("lower").as_path(), LOWER_LIMIT)).and_then(|bytes| {
        bytes.map(|bytes| parse_lower(&bytes).map_err(place("lower"))).transpose()
    });
    Looked {
        has_files: is("diff", Kind::Dir),
        is_committed: is("committed", Kind::File),
        has_work: is("work", Kind::Dir),
        link,
        leads,
        lower,
    }
}
