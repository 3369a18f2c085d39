use super::*;
use crate::cli::sample;

fn shown(filters: &[&str]) -> Vec<String> {
    let filters: Vec<Filter> =
        filters.iter().map(|text| Filter::parse(text).expect("a filter")).collect();
    let now = sample::now();
    let rows = apply(sample::images(), &filters, now).expect("the images named are there");
    rows.iter().map(|row| row.names.first().unwrap_or(&row.id[7..13].to_owned()).clone()).collect()
}

#[test]
fn each_filter_keeps_what_docker_keeps() {
    let all = shown(&[]);
    for (filters, wanted) in [
        (&["dangling=true"][..], &["5f7df1", "607341"][..]),
        (&["label=app"], &["registry.example.com:5000/team/app:v3", "multi/arch:1"]),
        (&["label=app=3"], &["registry.example.com:5000/team/app:v3"]),
        (&["label=app", "label=no"], &[]),
        (&["reference=tiny/*"], &["tiny/base:1"]),
        (&["reference=*"], &["weird:1"]),
        (&["reference=*/*", "reference=weird"], &["tiny/base:1", "multi/arch:1", "weird:1"]),
        (&["reference={tiny,multi}/*"], &[]),
        (&["store=containerd"], &["multi/arch:1"]),
        (&["hidden=false"], &["multi/arch:1"]),
        (&["before=tiny/base:1"], &["multi/arch:1", "607341", "weird:1"]),
        (&["since=a6153f", "hidden=true"], &["registry.example.com:5000/team/app:v3", "5f7df1"]),
        (&["until=24h"], &["weird:1"]),
        (&["until=2024-03-01"], &["weird:1"]),
    ] {
        assert_eq!(shown(filters), wanted, "{filters:?}");
    }
    assert_eq!(shown(&["dangling=false"]).len(), all.len() - 1);
}

#[test]
fn a_reference_leaves_only_the_names_that_match() {
    let filter = Filter::parse("reference=*/team/app:latest").expect("a filter");
    let rows = apply(sample::images(), &[filter], sample::now()).expect("no image is named");
    assert_eq!(rows[0].names, ["registry.example.com:5000/team/app:latest"]);
}

#[test]
fn what_is_no_filter_says_what_is() {
    for (text, part) in [
        ("dangling", "wanted KEY=VALUE"),
        ("size=3", "unknown key `size`; valid keys: before, dangling"),
        ("dangling=maybe", "neither `true` nor `false`"),
        ("store=podman", "neither `classic` nor `containerd`"),
        ("reference=[", "class"),
        ("until=soon", "no time"),
    ] {
        let error = Filter::parse(text).expect_err(text);
        assert!(error.contains(part), "{text}: {error}");
    }
    let filter = Filter::parse("before=nobody").expect("a filter");
    let error = apply(sample::images(), &[filter], sample::now()).expect_err("no such image");
    assert_eq!(error.what(), "no image is called `nobody`");
}

#[test]
fn names_are_shortened_as_docker_does() {
    for (name, short, repository_only) in [
        ("docker.io/library/busybox", "busybox:latest", "busybox"),
        ("docker.io/a/b:1", "a/b:1", "a/b"),
        ("host:5000/a", "host:5000/a:latest", "host:5000/a"),
        ("host:5000/a:1@sha256:00", "host:5000/a:1@sha256:00", "host:5000/a"),
    ] {
        assert_eq!(familiar(name), short);
        assert_eq!(repository(short), repository_only);
    }
}
