//! What is far too large, too many or too deep.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use tranship::digest::{ChainId, Digest};
use tranship::store::Source as _;
use tranship::store::overlay2::Overlay2;
use tranship::tree::{Memory, Sink as _, Tree, path, write};

use crate::place::{Base, Place, sparse};
use crate::{Harm, all_hold};

const WHY: &str = "the test's own folder";
const GIB: u64 = 1 << 30;

#[test]
#[ignore = "long: minutes"]
fn long_files_that_are_too_large() {
    const CASES: &[(&str, Harm)] = &[
        ("1 GiB of names", |place| sparse(&place.path("image/overlay2/repositories.json"), GIB)),
        ("documents of 1 GiB", large_documents),
        ("databases of 1 TiB", |place| sparse(&place.path("volumes/metadata.db"), 1 << 40)),
        ("logs of 1 TiB of nothing", large_logs),
        ("records that unpack to 4 GiB", |place| each_record(place, &bomb(b"", 4))),
        ("a segment of 1 GiB", |place| {
            each_record(place, &bomb(b"{\"type\":2,\"payload\":\"", 1));
        }),
        ("files of 2^62 bytes", |place| each_record(place, &packed(HUGE))),
        ("names without an end", |place| each_record(place, &packed(&long_name()))),
    ];
    all_hold(Base::Classic, CASES);
}

#[test]
#[ignore = "long: minutes"]
fn long_numbers_that_are_too_large() {
    const CASES: &[(&str, Harm)] = &[
        ("layers of 2^63 - 1 bytes", |place| sizes(place, "9223372036854775807")),
        ("layers of less than nothing", |place| sizes(place, "-9223372036854775808")),
        ("100 000 layers below", many_lower),
        ("100 000 names", many_names),
        ("numbers of containers", container_numbers),
    ];
    all_hold(Base::Classic, CASES);
}

#[test]
#[ignore = "long: minutes"]
fn long_what_is_nested_too_deep() {
    const CASES: &[(&str, Harm)] = &[
        ("documents a million deep", deep_documents),
        ("folders deeper than a path can name", deep_folders),
    ];
    all_hold(Base::Classic, CASES);
}

/// Far more layers on one another than any daemon takes, each sound by itself.
#[test]
fn twenty_thousand_layers_on_one_another() {
    let root = Memory::new();
    let make = |dir: &str| root.make_dir(path(dir), 0o755).expect("its parent is there");
    ["image", "image/overlay2", "overlay2", "overlay2/l"].into_iter().for_each(make);
    ["image/overlay2/layerdb", "image/overlay2/layerdb/sha256"].into_iter().for_each(make);
    let diff = Digest::of(b"diff");
    let mut parent: Option<Digest> = None;
    for _ in 0..20_000 {
        let chain = match parent {
            None => diff,
            Some(parent) => Digest::of(format!("{parent} {diff}").as_bytes()),
        };
        let folder = format!("image/overlay2/layerdb/sha256/{}", chain.hex());
        make(&folder);
        let put = |key: &str, value: &str| {
            write(&root, path(&format!("{folder}/{key}")), 0o644, value.as_bytes()).expect("free");
        };
        put("diff", &diff.to_string());
        put("size", "1");
        put("cache-id", &chain.hex());
        if let Some(parent) = parent {
            put("parent", &parent.to_string());
        }
        parent = Some(chain);
    }
    let tree: Arc<dyn Tree> = Arc::new(root);
    let store = Overlay2::open(tree, "overlay2").expect("a folder that can be read");
    let last = ChainId(parent.expect("there were some"));
    let found = store.inventory().layers.len();
    assert!(found <= 20_000);
    assert!(store.layer(last).and_then(|layer| layer.tar().map(drop)).is_err(), "it has no files");
}

const HUGE: &[u8] = b"{\"type\":1,\"name\":\"YQ==\",\"size\":4611686018427387904,\
    \"payload\":\"AAAAAAAAAAA=\",\"position\":0}\n";

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    out.write_all(bytes).expect("a vector takes every write");
    out.finish().expect("a vector takes every write")
}

/// Returns `start` and so many GiB of one letter, packed.
fn bomb(start: &[u8], gib: usize) -> Vec<u8> {
    let mut all = packed(&vec![b'A'; 16 << 20]).repeat(64 * gib);
    all.splice(0..0, packed(start));
    all
}

fn long_name() -> Vec<u8> {
    let mut entry = b"{\"type\":1,\"name\":\"".to_vec();
    entry.resize(8 << 20, b'Y');
    entry.extend(b"\",\"size\":3,\"payload\":\"AAAAAAAAAAA=\",\"position\":0}\n");
    entry
}

fn each_record(place: &Place, record: &[u8]) {
    for layer in place.layers() {
        fs::write(layer.join("tar-split.json.gz"), record).expect(WHY);
    }
}

fn large_documents(place: &Place) {
    for image in place.all_in("image/overlay2/imagedb/content/sha256") {
        sparse(&image, GIB);
    }
    for folder in place.all_in("containers") {
        sparse(&folder.join("hostconfig.json"), GIB);
    }
    sparse(&place.container("running").join("config.v2.json"), GIB);
}

fn large_logs(place: &Place) {
    for folder in place.all_in("containers") {
        let id = folder.file_name().expect("it has one").to_string_lossy().into_owned();
        // What is read to its end takes its time; a hole of this size is passed over at once or not at all.
        sparse(&folder.join(format!("{id}-json.log")), 256 << 20);
        fs::create_dir_all(folder.join("local-logs")).expect(WHY);
        sparse(&folder.join("local-logs/container.log"), 256 << 20);
    }
}

fn sizes(place: &Place, size: &str) {
    place.layers().iter().for_each(|layer| fs::write(layer.join("size"), size).expect(WHY));
}

fn many_lower(place: &Place) {
    let link = fs::read_to_string(place.unpacked()[0].join("link")).expect("it is there");
    let lower = vec![format!("l/{link}"); 100_000].join(":");
    place.unpacked().iter().for_each(|l| fs::write(l.join("lower"), &lower).expect(WHY));
}

fn many_names(place: &Place) {
    let file = place.path("image/overlay2/repositories.json");
    let images = place.all_in("image/overlay2/imagedb/content/sha256");
    let image = images[0].file_name().expect("it has one").to_string_lossy().into_owned();
    let name = |n: usize| format!("\"many:{n}\":\"sha256:{image}\"");
    let names: Vec<_> = (0..100_000).map(name).collect();
    let text = format!("{{\"Repositories\":{{\"many\":{{{}}}}}}}", names.join(","));
    fs::write(file, text).expect(WHY);
}

fn container_numbers(place: &Place) {
    let huge = serde_json::Number::from(u64::MAX);
    place.edit_containers("config.v2.json", |config| {
        for key in ["Pid", "ExitCode"] {
            config["State"][key] = huge.clone().into();
        }
        config["RestartCount"] = huge.clone().into();
        config["Created"] = "9999-12-31T23:59:59.999999999Z".into();
        config["State"]["FinishedAt"] = "-0001-01-01T00:00:00Z".into();
    });
    place.edit_containers("hostconfig.json", |config| {
        for key in ["Memory", "NanoCpus", "ShmSize", "CpuShares", "MemorySwap"] {
            config[key] = huge.clone().into();
        }
    });
}

fn deep_documents(place: &Place) {
    const DEEP: usize = 1_000_000;
    let lists = [b"[".repeat(DEEP), b"]".repeat(DEEP)].concat();
    let objects = [b"{\"a\":".repeat(DEEP), b"1".to_vec(), b"}".repeat(DEEP)].concat();
    let inside = [b"{\"Repositories\":", &lists[..], b"}"].concat();
    fs::write(place.path("image/overlay2/repositories.json"), inside).expect(WHY);
    for (number, folder) in place.all_in("containers").iter().enumerate() {
        let names = ["hostconfig.json", "config.v2.json"];
        fs::write(folder.join(names[number % 2]), &objects).expect(WHY);
    }
    for (number, image) in place.all_in("image/overlay2/imagedb/content/sha256").iter().enumerate()
    {
        fs::write(image, if number % 2 == 0 { &lists } else { &objects }).expect(WHY);
    }
    each_record(place, &packed(&objects));
}

fn deep_folders(place: &Place) {
    let uppers = place.unpacked();
    let layers = uppers.iter().map(|layer| layer.join("diff")).filter(|diff| diff.is_dir());
    layers.take(4).for_each(|diff| deepen(&diff));
}

/// Makes folders in folders until no path can name the last.
fn deepen(folder: &Path) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut dir = openat(CWD, folder, flags, Mode::empty()).expect(WHY);
    for _ in 0..600 {
        let name = "deeper-and-deeper";
        mkdirat(&dir, name, Mode::RWXU).expect(WHY);
        dir = openat(&dir, name, flags, Mode::empty()).expect(WHY);
    }
    let _ = File::from(dir);
}
