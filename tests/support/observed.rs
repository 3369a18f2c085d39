//! What a daemon said of its images, and how two daemons are compared.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What stands in a configuration that both stores show.
const CONFIG: [&str; 13] = [
    "ArgsEscaped",
    "Cmd",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Healthcheck",
    "Labels",
    "OnBuild",
    "Shell",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
];

/// What stands in an image beside its configuration that both stores show.
const IMAGE: [&str; 9] = [
    "Architecture",
    "Author",
    "Comment",
    "Created",
    "Os",
    "OsVersion",
    "RootFS",
    "Variant",
    "config",
];

/// What a stopped container keeps.
const CONTAINER: [&str; 9] =
    ["Args", "Config", "Created", "Driver", "GraphDriver", "HostConfig", "Id", "Image", "Name"];

/// How Docker shows a time that was never set.
const NEVER: [&str; 2] = ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"];

/// One entry of a merged tree, as the script `observe` describes it.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub(crate) struct Node {
    kind: String,
    mode: u32,
    uid: u64,
    gid: u64,
    size: u64,
    mtime: i64,
    what: String,
    xattrs: BTreeMap<String, String>,
    link: String,
}

impl Node {
    /// Returns the fields that `docker export` shows too, as recorded in the fixtures.
    fn exported(&self) -> Value {
        json!([self.kind, self.mode, self.uid, self.gid, self.size, self.mtime, self.what])
    }
}

/// A merged tree, by path.
pub(crate) type Tree = BTreeMap<String, Node>;

/// How images came from one daemon to the other, which is how exactly they must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Through {
    /// Layers came as directories: everything agrees.
    Directories,
    /// Layers came as tars: a directory that a tar goes into without naming it has the time of unpacking, and
    /// attributes without a value are there, which 20.10 does not unpack.
    Tars,
    /// Images came in an archive of `docker save`, which also has no times of tags.
    Archive,
}

/// What the script `observe` prints, in the parts the tests look at.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Observed {
    images: Vec<Value>,
    image: BTreeMap<String, Value>,
    history: BTreeMap<String, Vec<Value>>,
    image_tree: BTreeMap<String, Option<Tree>>,
    container: BTreeMap<String, Value>,
    container_tree: BTreeMap<String, Tree>,
    diff: BTreeMap<String, Value>,
    logs: BTreeMap<String, Value>,
    volumes: Vec<Value>,
}

/// One image, in what does not depend on the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) id: String,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) last_tagged: Option<Timestamp>,
    pub(crate) shown: Value,
    pub(crate) history: Value,
    pub(crate) tree: Tree,
}

impl Image {
    /// Returns a name to call it by: a tag if it has one.
    pub(crate) fn name(&self) -> &str {
        self.tags.first().unwrap_or(&self.id)
    }

    /// Returns all it must be called by to be taken with its tags.
    pub(crate) fn names(&self) -> Vec<&str> {
        if self.tags.is_empty() {
            return vec![&self.id];
        }
        self.tags.iter().map(String::as_str).collect()
    }

    /// Returns whether this machine can run a shell in it.
    pub(crate) fn has_shell(&self) -> bool {
        self.tree.contains_key("bin/sh")
    }

    pub(crate) fn has_layers(&self) -> bool {
        self.shown["RootFS"]["Layers"].is_array()
    }
}

/// The images of a store by the digest of their configuration, which no move changes.
pub(crate) type Images = BTreeMap<String, Image>;

impl Observed {
    pub(crate) fn parse(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("observe printed {error}: {text}"))
    }

    pub(crate) fn images(&self) -> Images {
        self.image.iter().map(|(id, shown)| self.image(id, shown)).collect()
    }

    /// Returns the images by each of their tags: a containerd store may have one configuration in several images.
    pub(crate) fn by_tag(&self) -> BTreeMap<String, Image> {
        let images = self.image.iter().map(|(id, shown)| self.image(id, shown).1);
        images
            .flat_map(|image| image.tags.clone().into_iter().map(move |tag| (tag, image.clone())))
            .collect()
    }

    fn image(&self, id: &str, shown: &Value) -> (String, Image) {
        let config = shown["config"].as_str();
        let config = config.unwrap_or_else(|| panic!("{id} has no configuration: {shown}"));
        let tags = shown["RepoTags"].as_array().into_iter().flatten();
        let tags = tags.filter_map(Value::as_str).filter(|tag| !tag.contains('@'));
        let tree = self.image_tree[id].clone();
        let image = Image {
            id: id.to_owned(),
            tags: tags.map(str::to_owned).collect(),
            last_tagged: last_tagged(shown),
            shown: portable(shown),
            history: self.history[id].iter().map(step).collect(),
            tree: tree.unwrap_or_else(|| panic!("{id} cannot be unpacked: {shown}")),
        };
        (config.to_owned(), image)
    }

    /// Returns what a store must go on saying, for comparing it with itself.
    pub(crate) fn lasting(&self) -> Value {
        let ageless = |line: &Value| -> Value {
            let fields = line.as_object().into_iter().flatten();
            let fields = fields.filter(|(key, _)| *key != "CreatedSince");
            fields.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        // Docker lists images of one second in no certain order.
        let mut images: Vec<_> = self.images.iter().map(ageless).collect();
        images.sort_by_key(Value::to_string);
        let history = self.history.values().flatten().map(ageless);
        let containers = self.container.values().map(|shown| pick(shown, &CONTAINER));
        json!({
            "images": images,
            "image": self.image,
            "history": history.collect::<Value>(),
            "image_tree": self.image_tree,
            "container": containers.collect::<Value>(),
            "container_tree": self.container_tree,
            "diff": self.diff,
            "logs": self.logs,
            "volumes": self.volumes,
        })
    }

    /// Returns what a container is wherever its files are.
    pub(crate) fn containers(&self) -> Value {
        let containers = self.container.iter().map(|(id, shown)| (id, told(shown)));
        json!({
            "container": containers.collect::<BTreeMap<_, _>>(),
            "container_tree": self.container_tree,
            "diff": self.diff,
            "logs": self.logs,
            "volumes": self.volumes.iter().map(|volume| &volume["Name"]).collect::<Vec<_>>(),
        })
    }

    /// Returns the names of the containers.
    pub(crate) fn container_names(&self) -> Vec<String> {
        let name = |shown: &Value| shown["Name"].as_str().map(|name| name[1..].to_owned());
        self.container.values().filter_map(name).collect()
    }

    /// Returns the IDs of the containers.
    pub(crate) fn container_ids(&self) -> Vec<String> {
        self.container.keys().cloned().collect()
    }

    /// Returns the merged trees as the recordings of the fixtures tell them, by image ID.
    pub(crate) fn exported_trees(&self) -> BTreeMap<&str, BTreeMap<String, Value>> {
        let exported = |tree: &Tree| {
            tree.iter().map(|(path, node)| (as_text(path), node.exported())).collect()
        };
        let trees = self.image_tree.iter();
        trees
            .map(|(id, tree)| (id.as_str(), tree.as_ref().map_or_else(BTreeMap::new, exported)))
            .collect()
    }
}

/// Returns what any Docker tells of a stopped container in any store. One that is restarted always has started anew.
fn told(shown: &Value) -> Value {
    let mut told = pick(shown, &["Id", "Name", "Args", "Created", "Path"]);
    let restart = &shown["HostConfig"]["RestartPolicy"];
    told["RestartPolicy"] = restart.clone();
    if restart["Name"] != "always" {
        let state = ["Status", "ExitCode", "Error", "OOMKilled", "StartedAt", "FinishedAt"];
        told["State"] = pick(&shown["State"], &state);
    }
    let config = pick(&shown["Config"], &CONFIG);
    told["Config"] = filled(&config);
    told["Hostname"] = shown["Config"]["Hostname"].clone();
    let mounts = shown["Mounts"].as_array().into_iter().flatten();
    let told_of = |mount| pick(mount, &["Type", "Name", "Source", "Destination", "RW"]);
    let mut mounts: Vec<_> = mounts.map(told_of).collect();
    // Docker lists them in no certain order.
    mounts.sort_by_key(|mount| mount["Destination"].to_string());
    told["Mounts"] = json!(mounts);
    told
}

/// Returns a Latin-1 name as UTF-8 where its bytes are that, which is how the recordings have it.
fn as_text(name: &str) -> String {
    let bytes: Option<Vec<u8>> = name.chars().map(|c| u8::try_from(c).ok()).collect();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.unwrap_or_else(|| name.to_owned())
}

fn last_tagged(shown: &Value) -> Option<Timestamp> {
    let time: Timestamp = shown["Metadata"]["LastTagTime"].as_str()?.parse().ok()?;
    // Docker's "never" is the year 1.
    (time > Timestamp::UNIX_EPOCH).then_some(time)
}

fn portable(shown: &Value) -> Value {
    let mut image = pick(shown, &IMAGE);
    image["Config"] = pick(&shown["Config"], &CONFIG);
    filled(&image)
}

fn step(line: &Value) -> Value {
    filled(&pick(line, &["Comment", "CreatedAt", "CreatedBy"]))
}

fn pick(from: &Value, keys: &[&str]) -> Value {
    let picked = keys.iter().map(|key| ((*key).to_owned(), from[*key].clone()));
    picked.collect()
}

/// Returns a value without what is empty: one release of Docker leaves out what another shows as null, or as the year 1.
fn filled(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| (key.clone(), filled(value)));
            fields.filter(|(_, value)| !is_empty(value)).collect()
        }
        other => other.clone(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty() || NEVER.contains(&text.as_str()),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// Returns in words how `after` differs from `before`, image by image; nothing where it does not.
pub(crate) fn differences(before: &Images, after: &Images, through: Through) -> Vec<String> {
    let mut found = Vec::new();
    for (config, was) in before {
        let name = was.name();
        let Some(is) = after.get(config) else {
            found.push(format!("{name} is gone ({config})"));
            continue;
        };
        let mut compare = |what: &str, was: &Value, is: &Value| {
            if was != is {
                found.push(format!("{name}: {what} was {was}, is {is}"));
            }
        };
        compare("tags", &json!(was.tags), &json!(is.tags));
        compare("image", &was.shown, &is.shown);
        compare("history", &was.history, &is.history);
        if was.last_tagged.is_some() && through != Through::Archive {
            let time = |image: &Image| json!(image.last_tagged.map(|time| time.to_string()));
            compare("time of last tag", &time(was), &time(is));
        }
        found.extend(
            tree_differences(&was.tree, &is.tree, through)
                .into_iter()
                .map(|d| format!("{name}: {d}")),
        );
    }
    let new = after.iter().filter(|(config, _)| !before.contains_key(*config));
    found.extend(new.map(|(config, image)| format!("{} is new ({config})", image.name())));
    found
}

/// Returns in words how the layers of one image, and what they unpack to, differ from another's.
pub(crate) fn content_differences(was: &Image, is: &Image) -> Vec<String> {
    let mut found = value_differences(&was.shown["RootFS"], &is.shown["RootFS"]);
    found.extend(tree_differences(&was.tree, &is.tree, Through::Archive));
    found
}

/// Returns in words how a directory that a tool unpacked an image into, as `observe` tells it exactly, differs from what
/// Docker shows.
pub(crate) fn unpacked_differences(was: &Image, unpacked: &Value) -> Vec<String> {
    let mut is: Tree = serde_json::from_value(unpacked.clone()).expect("observe tells a tree");
    // The top itself is in no layer.
    is.remove("");
    for node in is.values_mut() {
        node.mtime = node.mtime.div_euclid(1_000_000_000);
    }
    tree_differences(&was.tree, &is, Through::Tars)
}

fn tree_differences(was: &Tree, is: &Tree, through: Through) -> Vec<String> {
    let comparable = |node: &Node| {
        let mut node = node.clone();
        if through != Through::Directories {
            node.xattrs.retain(|_, value| !value.is_empty());
            node.mtime = if node.kind == "d" { 0 } else { node.mtime };
        }
        node
    };
    let paths: BTreeSet<_> = was.keys().chain(is.keys()).collect();
    let sides = paths.into_iter().map(|path| {
        let side = |tree: &Tree| tree.get(path).map(comparable);
        (path, side(was), side(is))
    });
    let differ = sides.filter(|(_, was, is)| was != is);
    differ.map(|(path, was, is)| format!("{path:?} was {was:?}, is {is:?}")).collect()
}

/// Returns where two values differ, as paths with both sides, the first few of them.
pub(crate) fn value_differences(was: &Value, is: &Value) -> Vec<String> {
    const MOST: usize = 20;
    let mut found = Vec::new();
    let mut todo = vec![(String::new(), was, is)];
    while let Some((at, was, is)) = todo.pop() {
        if was == is || found.len() >= MOST {
            continue;
        }
        match (was, is) {
            (Value::Object(a), Value::Object(b)) => {
                let keys: BTreeSet<_> = a.keys().chain(b.keys()).collect();
                todo.extend(
                    keys.into_iter().map(|key| (format!("{at}/{key}"), &was[key], &is[key])),
                );
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                let items = a.iter().zip(b).enumerate();
                todo.extend(items.map(|(i, (a, b))| (format!("{at}/{i}"), a, b)));
            }
            _ => found.push(format!("{at} was {was}, is {is}")),
        }
    }
    found
}
