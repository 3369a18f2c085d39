//! Roots that are not as a daemon would leave them, layers that cannot be put, and other sinks.

use std::sync::Arc;

use tranship::digest::ChainId;
use tranship::error::ErrorKind;
use tranship::op::transfer;
use tranship::store::Source as _;
use tranship::tree::{
    Attributes, LiveSink, Memory, Sink, Special, TarSink, TarTree, Tree, TreePath, path, read,
    write,
};

use super::seen::{LAYERS, all_names, leftovers, look, names, text};
use super::{Root, sink};
use crate::support::classic::{Classic, put};
use crate::support::fault::{Cut, Fault, FaultSink};
use crate::support::scene::STORE;
use crate::support::seen::listing;
use crate::support::{Migration, open};

const TWO: &str = "
diff base
  file base base
diff top
  file top top
image base = base
  name base:1
image top = base + top
  name top:1
";

fn cache_id(tree: &dyn Tree, chain_id: ChainId) -> String {
    text(tree, &format!("{LAYERS}/{}/cache-id", chain_id.hex())).expect("it is there")
}

/// Returns an image of so many layers.
fn tower(layers: usize) -> String {
    let diffs = (0..layers).map(|n| format!("diff d{n}\n  file f{n} f{n}\n"));
    let all: Vec<_> = (0..layers).map(|n| format!("d{n}")).collect();
    let image = format!("image tower = {}\n  name tower:1\n", all.join(" + "));
    diffs.chain([image]).collect()
}

#[test]
fn no_more_layers_are_put_on_each_other_than_dockerd_accepts() {
    let sound = Root::of(&tower(125));
    assert_eq!((sound.seen.len(), sound.outcome.failed.len()), (1, 0));
    let (tree, source) = (Arc::new(Memory::new()), Arc::new(Classic::of(&tower(127)).tree()));
    for base in [tree, sound.tree] {
        let outcome = Migration::default().to_classic(&open(&source), &sink(&base));
        let outcome = outcome.expect("other images could have come");
        assert_eq!((outcome.moved.len(), outcome.failed.len()), (0, 1));
        let said = &outcome.findings[0].what;
        assert!(said.contains("more than 125 layers"), "{said}");
        assert_eq!(leftovers(&*base), [""; 0]);
        look(&base).expect("what is there is sound");
    }
}

#[test]
fn a_layer_goes_on_one_that_is_there() {
    let mut tree = Memory::new();
    Classic::of(&TWO[..TWO.find("image top").expect("there")]).write(&tree);
    let classic = Classic::of(TWO);
    for text in
        [TWO, "diff base\n  file base base\ndiff new\n  file new new\nimage n = base + new\n"]
    {
        let root = Root::into(tree, text, &Migration::default());
        assert_eq!(root.outcome.findings, []);
        let base = format!("overlay2/{}", cache_id(&*root.tree, classic.chain(&["base"])));
        assert_eq!(format!("{base}/diff"), classic.files(&["base"]), "it is not put again");
        assert_eq!(text_of(&*root.tree, &format!("{base}/committed")), "");
        tree = (*root.tree).clone();
    }
}

fn text_of(tree: &dyn Tree, file: &str) -> String {
    text(tree, file).expect("it is there")
}

/// A link that leads elsewhere is somebody's, whatever it is.
#[test]
fn a_short_link_that_is_taken_is_left_alone() {
    let chain = Classic::of(TWO).chain(&["base"]);
    let root = Root::of(TWO);
    let folder = cache_id(&*root.tree, chain);
    let first = text_of(&*root.tree, &format!("overlay2/{folder}/link"));
    for (target, is_free) in [("../other/diff", false), (&format!("../{folder}/diff"), true)] {
        let tree = Memory::new();
        for folder in ["overlay2", "overlay2/l"] {
            tree.make_dir(path(folder), 0o700).expect("a free name");
        }
        let taken = format!("overlay2/l/{first}");
        let link = Special::Symlink(target.as_bytes().to_vec());
        tree.put(path(&taken), &link, &Attributes::root(0o777)).expect("a free name");
        let tree = Arc::new(tree);
        let source = open(&Arc::new(Classic::of(TWO).tree()));
        Migration::default().to_classic(&source, &sink(&tree)).expect("nothing fails");
        look(&tree).expect("a sound root");
        let link = text_of(&*tree, &format!("overlay2/{}/link", cache_id(&*tree, chain)));
        assert_eq!(link == first, is_free, "{target}");
        assert_eq!(tree.read_link(path(&taken)).expect("it stays"), target.as_bytes());
    }
}

/// dockerd passes over a layer that it cannot read, and all that stand on it; they take no name away.
#[test]
fn a_damaged_layer_is_replaced_and_its_files_stay() {
    let classic = Classic::of(TWO);
    let base = classic.chain(&["base"]);
    for key in ["diff", "size", "cache-id"] {
        let root = Root::of(TWO);
        let old = cache_id(&*root.tree, base);
        put(&*root.tree, &format!("{LAYERS}/{}/{key}", base.hex()), b"");
        let files = format!("overlay2/{old}");
        let before = listing(&*root.tree, path(&files));
        let outcome =
            Migration::default().to_classic(&open(&Arc::new(classic.tree())), &sink(&root.tree));
        outcome.expect("nothing fails");
        let found = open(&root.tree);
        assert_eq!(found.inventory().findings, [], "{key}");
        assert_eq!(found.inventory().images.len(), 2, "{key}");
        if key != "cache-id" {
            assert_ne!(cache_id(&*root.tree, base), old, "{key}");
            assert_eq!(listing(&*root.tree, path(&files)), before, "a container may stand on it");
        }
    }
}

#[test]
fn a_damaged_link_below_costs_the_image_alone() {
    for (name, bytes) in [("link", &b"short"[..]), ("link", b""), ("lower", b"l/../../etc")] {
        let tree = Root::of(TWO).tree;
        let chain = Classic::of(TWO).chain(&["base", "top"]);
        put(&*tree, &format!("overlay2/{}/{name}", cache_id(&*tree, chain)), bytes);
        let text = TWO.replace("image base = base\n  name base:1", "diff more\n  file more more")
            + "image more = base + top + more\nimage other = more\n  name other:1\n";
        let source = open(&Arc::new(Classic::of(&text).tree()));
        let outcome = Migration::default().to_classic(&source, &sink(&tree)).expect("it goes on");
        assert_eq!((outcome.moved.len(), outcome.failed.len()), (1, 1), "{name}");
        assert_eq!(outcome.findings.len(), 1);
        let found = &outcome.findings[0];
        assert!(found.place.to_string().contains(&format!("/{name} byte")), "{found:?}");
        assert!(found.remedy.contains("docker rmi"), "{found:?}");
        let known = names(&*tree, LAYERS).len();
        assert_eq!(known, 3, "the layer that could not be put is not there");
    }
}

#[test]
fn a_damaged_source_costs_its_images_and_leaves_nothing() {
    let classic = Classic::of(STORE);
    let source = classic.tree();
    put(&source, &format!("{}/app/run", classic.files(&["base", "code"])), b"sun");
    let tree = Arc::new(Memory::new());
    let outcome = Migration::default().to_classic(&open(&Arc::new(source)), &sink(&tree));
    let outcome = outcome.expect("the others come");
    assert_eq!((outcome.moved.len(), outcome.failed.len()), (3, 1));
    assert_eq!(leftovers(&*tree), [""; 0]);
    assert_eq!(look(&tree).map(|seen| seen.len()), Ok(3));
    let names = all_names(&*tree).expect("JSON");
    assert!(names.iter().all(|(name, _)| !name.starts_with("app:")), "{names:?}");
}

#[test]
fn a_folder_among_the_configs_stops_the_commit() {
    let tree = Root::of(TWO).tree;
    tree.make_dir(path("image/overlay2/imagedb/content/sha256/x"), 0o700).expect("a free name");
    let before = look(&tree);
    let source = open(&Arc::new(Classic::of(STORE).tree()));
    let error = Migration::default().to_classic(&source, &sink(&tree)).expect_err("it would go");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("content/sha256/x"), "{error}");
    assert_eq!(look(&tree).map(|seen| seen.len()), before.map(|seen| seen.len()));
}

#[test]
fn a_full_disk_leaves_what_was() {
    let source = open(&Arc::new(Classic::of(STORE).tree()));
    let base = (*Root::of(TWO).tree).clone();
    let old = look(&Arc::new(base.clone())).expect("a sound root");
    let count = |fault| {
        let full = Arc::new(FaultSink::new(base.clone(), fault));
        let as_sink: Arc<dyn Sink> = Arc::<FaultSink>::clone(&full);
        (Migration::default().to_classic(&source, &as_sink), full)
    };
    let operations = count(Fault::Never).1.log().len();
    for n in (1..operations).step_by(3) {
        let (outcome, full) = count(Fault::Fills(n));
        let tree = Arc::new(full.after(Cut::Kill));
        let seen = look(&tree).expect("a sound root");
        assert_eq!(seen == old, outcome.is_err(), "operation {n}: {outcome:?}");
        Migration::default().to_classic(&source, &sink(&tree)).expect("there is room again");
        assert_eq!(leftovers(&*tree), [""; 0], "operation {n}");
    }
}

#[test]
fn a_root_in_a_tar_is_that_in_memory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("root.tar");
    let tar = Arc::new(TarSink::create(&file).expect("a free name"));
    let as_sink: Arc<dyn Sink> = Arc::<TarSink>::clone(&tar);
    let source = open(&Arc::new(Classic::of(STORE).tree()));
    Migration::default().to_classic(&source, &as_sink).expect("nothing fails");
    drop(as_sink);
    Arc::into_inner(tar).expect("nobody else has it").close().expect("a free name");
    let tree = Arc::new(TarTree::open(&file).expect("a tar"));
    let plain = |seen: super::Seen| -> Vec<String> {
        let line = |(id, shown): (_, super::seen::Shown)| {
            let sizes: Vec<_> = shown.layers.into_iter().map(|layer| layer.0).collect();
            format!("{id} {:?} {:?} {:?} {sizes:?}", shown.names, shown.parent, shown.arrived)
        };
        seen.into_iter().map(line).collect()
    };
    assert_eq!(look(&tree).map(plain), Ok(plain(Root::of(STORE).seen)));
    assert_eq!(leftovers(&*tree), [""; 0]);
}

/// A directory of this machine, without what only root can make.
#[test]
fn a_root_on_disk_is_that_in_memory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let on_disk =
        || -> Arc<dyn Sink> { Arc::new(LiveSink::open(folder.path()).expect("a folder")) };
    for text in [&TWO[..TWO.find("image top").expect("there")], TWO] {
        let source = open(&Arc::new(Classic::of(text).tree()));
        Migration::default().to_classic(&source, &on_disk()).expect("nothing fails");
    }
    let tree = Arc::new(tranship::tree::Live::open(folder.path()).expect("a folder"));
    let memory = Root::of(TWO);
    let seen = look(&tree).expect("a sound root");
    let names = |seen: &super::Seen| -> Vec<_> {
        seen.values().map(|shown| (shown.names.clone(), shown.arrived)).collect()
    };
    assert_eq!(names(&seen), names(&memory.seen));
    assert_eq!(leftovers(&*tree), [""; 0]);
    let paths = |tree: &dyn Tree| -> Vec<String> {
        let lines = listing(tree, TreePath::ROOT);
        let words = |line: &String| line.split(' ').take(3).collect::<Vec<_>>().join(" ");
        lines.iter().skip(1).map(words).filter(|line| !line.contains("/diff/")).collect()
    };
    assert_eq!(paths(&*tree), paths(&*memory.tree));
}

/// What a failing disk did not give for a moment is not damaged, and others stand on it.
#[test]
fn a_layer_that_could_not_be_read_for_a_moment_is_not_replaced() {
    let tree = Root::of(STORE).tree;
    let layers = names(&*tree, LAYERS);
    let [file, cache_id] = ["diff", "cache-id"].map(|key| {
        layers.iter().map(|chain| format!("{LAYERS}/{chain}/{key}")).collect::<Vec<_>>()
    });
    let ids =
        |tree: &Memory| cache_id.iter().map(|at| read(tree, path(at)).ok()).collect::<Vec<_>>();
    let was = ids(&tree);
    for file in &file {
        let bytes = read(&*tree, path(file)).expect("it is there");
        tree.remove(path(file)).expect("it is there");
        let source = open(&Arc::new(Classic::of(STORE).tree()));
        let target = Migration::default().classic(&sink(&tree)).expect("the folders can be read");
        write(&*tree, path(file), 0o644, &bytes).expect("a free name");
        let plan = Migration::default().plan(&source, &target).expect("a plan");
        let error = transfer::apply(&plan, &source, &target, 1, &()).expect_err("refused");
        assert!(error.to_string().contains("could not before"), "{error}");
        assert_eq!(ids(&tree), was, "{file}");
    }
}
