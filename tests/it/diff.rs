//! What containers changed, against what `docker diff` said of the recorded roots.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tranship::op::diff::{Change, Changed, Detail, Pair, Rule, Wanted, details, open};
use tranship::op::host::{self, Host, Known, survey};
use tranship::tree::path;

use crate::support::carried::host as platform;

fn recorded(name: &str) -> (Host, Value) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/roots");
    let opened = host::open(Some(&fixtures.join(format!("{name}.tar.zst")))).expect("recorded");
    let known = Known { platform: platform(), ..Known::default() };
    let said = std::fs::File::open(fixtures.join(format!("{name}.json.zst"))).expect("recorded");
    let said = zstd::Decoder::new(said).expect("zstd");
    (
        survey(&opened, &known).expect("a recorded root"),
        serde_json::from_reader(said).expect("JSON"),
    )
}

fn lines(changes: &[Changed]) -> Vec<String> {
    changes.iter().map(|one| format!("{} /{}", one.change.letter(), one.path)).collect()
}

#[test]
fn every_container_differs_as_docker_says() {
    for (root, least) in [("classic-28", 6), ("containerd-28", 6), ("hidden-28", 1)] {
        let (host, said) = recorded(root);
        let mut found = 0;
        for at in host.roots.iter().flat_map(|root| root.containers()) {
            let Some(want) = said["diff"][&at.container.id].as_array() else { continue };
            let mut want: Vec<_> = want.iter().filter_map(Value::as_str).collect();
            want.sort_by_key(|line| line[2..].split('/').collect::<Vec<_>>());
            let pair = Pair::of_container(&at).expect("its layers are there");
            let name = format!("{root} {}", at.container.name);
            let changes = pair.changes(Rule::Shown).expect(&name).paths;
            assert_eq!(lines(&changes), want, "{name}");
            // Walking both trees finds the same, only later.
            let whole = Pair { upper: None, ..pair }.changes(Rule::Shown).expect(&name).paths;
            assert_eq!(lines(&whole), want, "{name}, all of it");
            found += 1;
        }
        assert_eq!(found, least, "{root}");
    }
}

#[test]
fn a_container_that_is_hidden_differs_as_before() {
    let (host, _) = recorded("hidden-28");
    let (_, said) = recorded("classic-28");
    for (id, want) in said["diff"].as_object().expect("containers") {
        let at = host.container(id).expect("it is here still");
        let changes = Pair::of_container(&at).and_then(|pair| pair.changes(Rule::Shown));
        let mut found = lines(&changes.expect("its layers are there").paths);
        found.sort_unstable();
        assert_eq!(Value::from(found), *want, "{}", at.container.name);
    }
}

#[test]
fn details_say_what_is_different() {
    let (host, _) = recorded("classic-28");
    let at = host.container("changed").expect("it is there");
    let pair = Pair::of_container(&at).expect("its layers are there");
    let changes = pair.changes(Rule::Shown).expect("sound").paths;
    let told: BTreeMap<String, Vec<Detail>> = changes
        .iter()
        .map(|one| (one.path.to_string(), details(&pair.old, &pair.new, one).expect("sound")))
        .collect();
    assert!(told["srv/added"].is_empty() && told["srv/drop/new"].is_empty());
    assert!(!told["srv/keep/a"].is_empty(), "{told:?}");
    let deleted = changes.iter().find(|one| one.change == Change::Deleted).expect("one is");
    assert_eq!(deleted.path.as_path(), path("srv/drop/new"));
    assert!(deleted.new.is_none() && deleted.old.is_some());
}

#[test]
fn any_two_are_compared() {
    let (host, _) = recorded("hidden-28");
    let named = |name: &str| Wanted { name: name.to_owned(), only: None };
    let compared = |one: &str, other: &str| {
        let pair = open(&host, &named(one), Some(&named(other))).expect("both are there");
        lines(&pair.changes(Rule::Shown).expect("sound").paths)
    };
    assert_eq!(compared("tiny/base:1", "tiny/base:1"), Vec::<String>::new());
    assert_eq!(compared("changed", "changed"), Vec::<String>::new());
    assert!(compared("tiny/base:1", "changed").contains(&"A /srv/added".to_owned()));
    assert!(compared("changed", "tiny/base:1").contains(&"D /srv/added".to_owned()));
    let alone = |name: &str| open(&host, &named(name), None);
    let layer = alone("registry.example.com:5000/team/app:v1").expect("the recorded root has it");
    let topmost = lines(&layer.changes(Rule::Shown).expect("sound").paths);
    assert!(topmost.contains(&"A /srv/app1".to_owned()), "{topmost:?}");
    assert!(!topmost.iter().any(|line| line.contains("/bin")), "{topmost:?}");
    assert!(alone("nobody").expect_err("none is called so").is_missing());
}
