//! What the daemon reads at its start: names, configs, layerdb.

use std::sync::Arc;

use tranship::digest::Digest;
use tranship::model::Severity;
use tranship::store::Source as _;
use tranship::tree::{Memory, Sink, Special, Tree, TreePath, path, read};

use super::{ALL, Wanted, case, instead, run};
use crate::support::classic::put;
use crate::support::{Migration, open};
use Severity::{WouldNotLoad, WrongMetadata};

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
    const LOST: Wanted = ("image-unloadable", WouldNotLoad, "imagedb/content", "layer");
    const NAMELESS: [Wanted; 2] = [
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
}
