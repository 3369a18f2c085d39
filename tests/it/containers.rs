//! The containers of recorded roots: where they are, and what they are called.

use std::path::Path;

use tranship::op::host::{Host, Known, open, survey};
use tranship::tree::Kind;

use crate::support::carried::host;

fn recorded(name: &str) -> Host {
    let archive =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/roots/{name}.tar.zst"));
    let opened = open(Some(&archive)).expect("a recorded root");
    survey(&opened, &Known { platform: host(), ..Known::default() }).expect("a recorded root")
}

#[test]
fn every_container_has_its_folders() {
    for root in ["classic-28", "containerd-28", "hidden-28"] {
        let host = recorded(root);
        let mut found = 0;
        for at in host.roots.iter().flat_map(|root| root.containers()) {
            let source = at.source().expect("its store is there");
            let name = format!("{root} {}", at.container.name);
            let writable = source.writable(&at.container.id).expect(&name);
            assert!(writable.init.is_some() && writable.parent.is_some(), "{name}");
            let tree = &at.seen.expect("a store").here.tree;
            for folder in writable.stack() {
                let kind = tree.stat(folder.as_path()).expect(&name).kind;
                assert_eq!(kind, Kind::Dir, "{name}: {folder}");
            }
            // The image may be gone; its layers are not.
            let layers = writable.below.len();
            let known = writable.parent.map(|top| source.stack(top).map(|stack| stack.len()).ok());
            assert!(known == Some(Some(layers)), "{name}: {known:?} of {layers}");
            found += 1;
        }
        assert_eq!(found, if root == "hidden-28" { 7 } else { 6 }, "{root}");
    }
}

#[test]
fn one_is_found_by_what_it_is_called() {
    let host = recorded("hidden-28");
    let named = |name: &str| host.container(name).map(|at| at.container.id.clone());
    let id = named("changed").expect("a hidden one");
    for same in ["/changed", id.as_str(), &id[..12], &id[..5]] {
        assert_eq!(named(same).expect(same), id);
    }
    for none in ["", "/", "chang", "sha256:", "../changed"] {
        assert!(named(none).expect_err(none).is_missing(), "{none}");
    }
    let image = |name: &str| host.image(name, None).map(|at| at.image.id);
    let tiny = image("tiny/base:1").expect("an image");
    let hex = tiny.hex();
    for same in ["docker.io/tiny/base:1", &tiny.to_string(), &hex, &hex[..12]] {
        assert_eq!(image(same).expect(same), tiny);
    }
    for none in ["", "tiny/base", "sha256:", "tiny/base:2"] {
        assert!(image(none).expect_err(none).is_missing(), "{none}");
    }
}
