//! Where every byte is, on a real disk: to the block what `du` says.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

use super::{Root, WHY, du, err};

fn usage(root: &Root, more: &[&str]) -> Value {
    let output = root.command("usage", &[&["--json"], more].concat()).output();
    let output = output.expect("the command can be started");
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    serde_json::from_slice(&output.stdout).expect("--json prints JSON")
}

fn sum(report: &Value, field: &str) -> Option<u64> {
    report["lines"].as_array()?.iter().map(|line| line[field].as_u64()).sum()
}

#[track_caller]
fn assert_du(root: &Root) {
    let (report, all) = (usage(root, &[]), du(&root.path(), &["."]));
    assert_eq!(report["total"]["on_disk"].as_u64(), Some(all));
    assert_eq!(sum(&report, "on_disk"), Some(all));
    assert_eq!(report["total"]["apparent"].as_u64(), sum(&report, "apparent"));
}

#[test]
#[ignore = "needs root"]
fn the_lines_are_what_du_says() {
    let root = Root::unpack();
    assert_du(&root);
    // Both stores with hard links between them.
    let moved = root.migrate(&["--all"]);
    assert_eq!(moved.status.code(), Some(0), "{}", err(&moved));
    assert_du(&root);
    // Holes, names that lead out and in, and names of all sorts.
    let at = |name: &str| root.path().join(name);
    let sparse = fs::File::create(at("overlay2/sparse")).expect(WHY);
    sparse.set_len(1 << 40).expect(WHY);
    fs::create_dir_all(at("volumes/v/_data")).expect(WHY);
    fs::write(at("volumes/v/_data/file"), [1; 100_000]).expect(WHY);
    fs::hard_link(at("volumes/v/_data/file"), at("overlay2/name")).expect(WHY);
    fs::hard_link(at("volumes/v/_data/file"), root.folder.path().join("out")).expect(WHY);
    symlink("x".repeat(3000), at("long")).expect(WHY);
    fs::create_dir_all(at("overlay2/lost/diff")).expect(WHY);
    fs::write(at("overlay2/lost/diff/file"), [1; 5000]).expect(WHY);
    assert_du(&root);
}

#[test]
#[ignore = "needs root"]
fn what_would_be_free_is_free() {
    let root = Root::unpack();
    let moved = root.migrate(&["--all"]);
    assert_eq!(moved.status.code(), Some(0), "{}", err(&moved));
    fs::create_dir_all(root.path().join("overlay2/lost/diff")).expect(WHY);
    fs::write(root.path().join("overlay2/lost/diff/file"), [1; 5000]).expect(WHY);
    for (thing, folders) in
        [("store:classic", &["image/overlay2", "overlay2"][..]), ("volume:vol1", &["volumes/vol1"])]
    {
        let told = usage(&root, &["--if-removed", thing])["removal"]["frees"].as_u64();
        let before = du(&root.path(), &["."]);
        folders.iter().for_each(|folder| fs::remove_dir_all(root.path().join(folder)).expect(WHY));
        // The folders that held these do not shrink.
        assert_eq!(told, Some(before - du(&root.path(), &["."])), "{thing}");
    }
}
