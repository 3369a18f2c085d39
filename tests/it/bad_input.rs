//! Damaged and hostile stores: nothing panics, nothing is followed out of the root, what is sound still
//! arrives, and what is not is told with its place.

use std::sync::Arc;

use tranship::digest::Digest;
use tranship::model::{Finding, Severity};
use tranship::store::Source as _;
use tranship::tree::{Attributes, Memory, Sink, Special, Tree, TreePath, path, read};

use crate::support::classic::{Classic, put};
use crate::support::seen::{leftovers, listing, look};
use crate::support::{Migration, open};

const STORE: &str = "
diff base
  dir  bin
  file bin/sh shell*200
diff code
  dir  app
  file app/run run*9
  dir  app/in
  link app/out in
image base = base
  name base:1
image app = base + code
  name app:1
  name app:2
image other = code
  name other:1
";

use Severity::{DataLost, WouldNotLoad, WrongMetadata};

/// What is done to a store, and what is to come of it.
struct Case {
    name: &'static str,
    harm: fn(&Classic, &Memory),
    /// Code, severity, where, and part of what is said: of the store, then of the migration.
    findings: &'static [(&'static str, Severity, &'static str, &'static str)],
    /// The names that arrive; `-` is an image without one.
    arrive: &'static str,
}

const ALL: &str = "app:1 app:2 base:1 other:1";

fn case(
    name: &'static str,
    harm: fn(&Classic, &Memory),
    findings: &'static [(&'static str, Severity, &'static str, &'static str)],
    arrive: &'static str,
) -> Case {
    Case { name, harm, findings, arrive }
}

fn run(cases: Vec<Case>) {
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case.name, check(case).err()?)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(case: &Case) -> Result<(), String> {
    let classic = Classic::of(STORE);
    let tree = Arc::new(classic.tree());
    (case.harm)(&classic, &tree);
    let before = listing(&*tree, TreePath::ROOT);
    let store = open(&tree);
    let target = Arc::new(Memory::new());
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&target);
    let outcome = Migration::default().run(&store, &sink).map_err(|error| error.to_string())?;
    let found: Vec<&Finding> = store.inventory().findings.iter().chain(&outcome.findings).collect();
    let matches = |finding: &Finding, (code, severity, place, what): &(_, _, &str, &str)| {
        (finding.code, finding.severity) == (*code, *severity)
            && String::from_utf8_lossy(&finding.place.path).contains(*place)
            && finding.what.contains(what)
    };
    let mut wanted: Vec<_> = case.findings.iter().collect();
    let mut left = found.clone();
    left.retain(|found| {
        let known = wanted.iter().position(|wanted| matches(found, wanted));
        known.map(|i| wanted.remove(i)).is_none()
    });
    if !(left.is_empty() && wanted.is_empty()) {
        let told = |found: &Finding| format!("{} {}: {}", found.code, found.place, found.what);
        let left: Vec<String> = left.into_iter().map(told).collect();
        return Err(format!("found {left:#?}, and not {wanted:#?}"));
    }
    let seen = look(&*target)?;
    let mut names: Vec<&str> = seen
        .records
        .keys()
        .map(|name| if name.starts_with("moby-dangling@") { "-" } else { name })
        .map(|name| name.strip_prefix("docker.io/library/").unwrap_or(name))
        .collect();
    names.sort_unstable();
    if names.join(" ") != case.arrive {
        return Err(format!("{names:?} arrive"));
    }
    if leftovers(&*target) != [""; 0] {
        return Err(format!("left behind: {:?}", leftovers(&*target)));
    }
    let after = listing(&*tree, TreePath::ROOT);
    if before == after { Ok(()) } else { Err("the source was changed".to_owned()) }
}

/// Puts something that is no file in the place of one.
fn instead(tree: &Memory, file: &str, special: &Special) {
    tree.remove(path(file)).expect("below the root");
    tree.put(path(file), special, &Attributes::root(0o644)).expect("a free name");
}

const NAMES: &str = "image/overlay2/repositories.json";

#[test]
fn names() {
    run(vec![
        case("sound", |_, _| {}, &[], ALL),
        case(
            "no file",
            |_, tree| tree.remove(path(NAMES)).expect("below the root"),
            &[("names-unreadable", WouldNotLoad, NAMES, "no names are kept")],
            "- - -",
        ),
        case(
            "cut off",
            |_, tree| put(tree, NAMES, b"{\"Repositories\":{\"app\":{"),
            &[("names-unreadable", WouldNotLoad, NAMES, "EOF")],
            "- - -",
        ),
        case(
            "a folder",
            |_, tree| {
                tree.remove(path(NAMES)).expect("below the root");
                tree.make_dir(path(NAMES), 0o755).expect("a free name");
            },
            &[("names-unreadable", WouldNotLoad, NAMES, "not a regular file")],
            "- - -",
        ),
        case(
            "a pipe",
            |_, tree| instead(tree, NAMES, &Special::Fifo),
            &[("names-unreadable", WouldNotLoad, NAMES, "not a regular file")],
            "- - -",
        ),
        case(
            "a link elsewhere",
            |_, tree| instead(tree, NAMES, &Special::Symlink(b"/etc/passwd".to_vec())),
            &[("names-unreadable", WouldNotLoad, NAMES, "not a regular file")],
            "- - -",
        ),
        case(
            "too deep",
            |_, tree| put(tree, NAMES, "[".repeat(100_000).as_bytes()),
            &[("names-unreadable", WouldNotLoad, NAMES, "")],
            "- - -",
        ),
        case(
            "an image that is not there",
            |_, tree| {
                let id = Digest::of(b"nothing");
                put(
                    tree,
                    NAMES,
                    format!("{{\"Repositories\":{{\"x\":{{\"x:1\":\"{id}\"}}}}}}").as_bytes(),
                );
            },
            &[("name-without-image", WrongMetadata, NAMES, "x:1 of image sha256:")],
            "- - -",
        ),
        case(
            "names that are none, or not where they belong",
            |classic, tree| {
                let id = classic.config("base");
                let text = serde_json::json!({ "Repositories": {
                    "evil\n\u{1b}[31m": { "evil\n\u{1b}[31m:1": id },
                    "base": { "elsewhere:1": id, "base:1": "latest", "base:ok": id },
                }});
                put(tree, NAMES, text.to_string().as_bytes());
            },
            &[
                ("name-unusable", WrongMetadata, NAMES, "`base:1`: does not lead to an image ID"),
                ("name-unusable", WrongMetadata, NAMES, "is not where Docker looks it up"),
                ("name-unusable", WrongMetadata, NAMES, "is not a reference"),
            ],
            "- - base:ok",
        ),
    ]);
}

/// Replaces a file of the layer `base`, on which `base` and `app` stand.
macro_rules! base {
    ($key:literal, $bytes:expr) => {
        |classic, tree| put(tree, &classic.layerdb(&["base"], $key), $bytes)
    };
}

#[test]
fn layers_that_a_daemon_would_not_load() {
    const LOST: (&str, Severity, &str, &str) =
        ("image-unloadable", WouldNotLoad, "imagedb/content", "layer");
    const NAMELESS: [(&str, Severity, &str, &str); 2] = [
        ("name-without-image", WrongMetadata, NAMES, "base:1 of image"),
        ("name-without-image", WrongMetadata, NAMES, "app:1, app:2 of image"),
    ];
    run(vec![
        case(
            "no diff",
            |c, tree| tree.remove(path(&c.layerdb(&["base"], "diff"))).expect("below the root"),
            &[
                ("layer-unreadable", WouldNotLoad, "/diff", "not found"),
                ("layer-without-parent", WouldNotLoad, "/parent", "below"),
                LOST,
                LOST,
                NAMELESS[0],
                NAMELESS[1],
            ],
            "other:1",
        ),
        case(
            "diff is no digest",
            base!("diff", b"sha256:zz"),
            &[
                ("layer-unreadable", WouldNotLoad, "/diff", "found `sha256:zz`"),
                ("layer-without-parent", WouldNotLoad, "/parent", "below"),
                LOST,
                LOST,
                NAMELESS[0],
                NAMELESS[1],
            ],
            "other:1",
        ),
        case(
            "diff is another layer's",
            |c, tree| {
                let diff = c.diff_id("code").to_string();
                put(tree, &c.layerdb(&["base"], "diff"), diff.as_bytes());
            },
            &[
                ("layer-unreadable", WouldNotLoad, "/diff", "found diff ID and parent of chain"),
                ("layer-without-parent", WouldNotLoad, "/parent", "below"),
                LOST,
                LOST,
                NAMELESS[0],
                NAMELESS[1],
            ],
            "other:1",
        ),
        case(
            "a line end after the size, which Docker cannot read",
            base!("size", b"1000\n"),
            &[
                ("layer-unreadable", WouldNotLoad, "/size", "wanted a number alone"),
                ("layer-without-parent", WouldNotLoad, "/parent", "below"),
                LOST,
                LOST,
                NAMELESS[0],
                NAMELESS[1],
            ],
            "other:1",
        ),
        case(
            "a cache ID that leads out",
            base!("cache-id", b"../../../etc"),
            &[
                ("layer-unreadable", WouldNotLoad, "/cache-id", "wanted the name of a directory"),
                ("layer-without-parent", WouldNotLoad, "/parent", "below"),
                LOST,
                LOST,
                NAMELESS[0],
                NAMELESS[1],
            ],
            "other:1",
        ),
        case(
            "its own parent",
            |c, tree| {
                let own = c.chain(&["base"]).to_string();
                put(tree, &c.layerdb(&["base"], "parent"), own.as_bytes());
            },
            &[
                ("layer-unreadable", WouldNotLoad, "/diff", "found diff ID and parent of chain"),
                ("layer-without-parent", WouldNotLoad, "/parent", "below"),
                LOST,
                LOST,
                NAMELESS[0],
                NAMELESS[1],
            ],
            "other:1",
        ),
        case(
            "two that stand on each other",
            |c, tree| {
                let upper = c.chain(&["base", "code"]).to_string();
                put(tree, &c.layerdb(&["base"], "parent"), upper.as_bytes());
            },
            &[
                ("layer-unreadable", WouldNotLoad, "/diff", "found diff ID and parent of chain"),
                ("layer-without-parent", WouldNotLoad, "/parent", "below"),
                LOST,
                LOST,
                NAMELESS[0],
                NAMELESS[1],
            ],
            "other:1",
        ),
        case(
            "line ends that Docker trims",
            base!("cache-id", b""),
            &[
                ("layer-unreadable", WouldNotLoad, "/cache-id", "found ``"),
                ("layer-without-parent", WouldNotLoad, "/parent", "below"),
                LOST,
                LOST,
                NAMELESS[0],
                NAMELESS[1],
            ],
            "other:1",
        ),
        case(
            "a pipe for a value",
            |c, tree| instead(tree, &c.layerdb(&["base"], "size"), &Special::Fifo),
            &[
                ("layer-unreadable", WouldNotLoad, "/size", "not a regular file"),
                ("layer-without-parent", WouldNotLoad, "/parent", "below"),
                LOST,
                LOST,
                NAMELESS[0],
                NAMELESS[1],
            ],
            "other:1",
        ),
        case(
            "a value without end",
            |c, tree| put(tree, &c.layerdb(&["base"], "size"), &[b'1'; 5000]),
            &[
                ("layer-unreadable", WouldNotLoad, "/size", "more than 4096 bytes"),
                ("layer-without-parent", WouldNotLoad, "/parent", "below"),
                LOST,
                LOST,
                NAMELESS[0],
                NAMELESS[1],
            ],
            "other:1",
        ),
    ]);
}

#[test]
fn what_docker_does_not_mind() {
    run(vec![
        case(
            "line ends around a digest",
            |c, tree| {
                let diff = format!(" {}\n", c.diff_id("base"));
                put(tree, &c.layerdb(&["base"], "diff"), diff.as_bytes());
                let parent = format!("{}\n", c.chain(&["base"]));
                put(tree, &c.layerdb(&["base", "code"], "parent"), parent.as_bytes());
                let id = read(tree, path(&c.layerdb(&["base"], "cache-id"))).expect("there");
                put(tree, &c.layerdb(&["base"], "cache-id"), &[&id[..], b"\n"].concat());
            },
            &[],
            ALL,
        ),
        case("a negative size", base!("size", b"-5"), &[], ALL),
        case("a size that is far too large", base!("size", b"9223372036854775807"), &[], ALL),
        case(
            "no link, no lower, no short links",
            |c, tree| {
                for chain in [&["base"][..], &["base", "code"]] {
                    let files = c.files(chain).replace("/diff", "");
                    tree.remove(path(&format!("{files}/link"))).expect("below the root");
                    tree.remove(path(&format!("{files}/lower"))).expect("below the root");
                }
                tree.remove(path("overlay2/l")).expect("below the root");
            },
            &[],
            ALL,
        ),
        case(
            "things that are none of its own",
            |_, tree| {
                for folder in
                    ["imagedb/content/sha256", "layerdb/sha256", "imagedb/metadata/sha256"]
                {
                    let folder = format!("image/overlay2/{folder}");
                    put(tree, &format!("{folder}/.tmp-x"), b"{");
                    put(tree, &format!("{folder}/{}", "AB".repeat(32)), b"{");
                    tree.make_dir(path(&format!("{folder}/{}-removing", "ab".repeat(32))), 0o755)
                        .expect("a free name");
                }
            },
            &[],
            ALL,
        ),
    ]);
}

#[test]
fn configs() {
    const LOST: &str = "image-unloadable";
    const AT: &str = "imagedb/content/sha256";
    run(vec![
        case(
            "other bytes",
            |c, tree| put(tree, &c.content("base"), b"{}"),
            &[
                (LOST, WouldNotLoad, AT, "2 bytes hash to"),
                ("name-without-image", WrongMetadata, NAMES, "base:1 of image"),
            ],
            "app:1 app:2 other:1",
        ),
        case(
            "a folder, a pipe, a link",
            |c, tree| {
                tree.remove(path(&c.content("base"))).expect("below the root");
                tree.make_dir(path(&c.content("base")), 0o755).expect("a free name");
                instead(tree, &c.content("other"), &Special::Fifo);
                instead(tree, &c.content("app"), &Special::Symlink(b"/etc/passwd".to_vec()));
                put(tree, NAMES, b"{}");
            },
            &[
                (LOST, WouldNotLoad, AT, "not a regular file"),
                (LOST, WouldNotLoad, AT, "not a regular file"),
                (LOST, WouldNotLoad, AT, "not a regular file"),
            ],
            "",
        ),
        case(
            "without rootfs, no JSON, and what was nested to be slow",
            |_, tree| {
                let deep = [&b"{\"rootfs\":"[..], &[b'['; 200_000]].concat();
                for bytes in [&b"{\"os\":\"linux\"}"[..], b"null", b"\xff", &deep] {
                    let hex = Digest::of(bytes).hex();
                    put(tree, &format!("image/overlay2/imagedb/content/sha256/{hex}"), bytes);
                }
            },
            &[
                (LOST, WouldNotLoad, AT, ""),
                (LOST, WouldNotLoad, AT, ""),
                (LOST, WouldNotLoad, AT, ""),
                (LOST, WouldNotLoad, AT, ""),
            ],
            ALL,
        ),
    ]);
}

#[test]
fn a_folder_that_is_no_data_root_is_an_empty_store() {
    let tree = Arc::new(Memory::new());
    put(&*tree, "something", b"else");
    let store = open(&tree);
    assert_eq!((store.inventory().images.len(), store.inventory().findings.len()), (0, 0));
    let target = Arc::new(Memory::new());
    let sink: Arc<dyn Sink> = Arc::<Memory>::clone(&target);
    let outcome = Migration::default().run(&store, &sink).expect("there is nothing to do");
    assert_eq!(outcome, Default::default());
    assert_eq!(target.names(TreePath::ROOT).expect("the root"), [b""; 0], "nothing is written");
    let _ = DataLost;
}
