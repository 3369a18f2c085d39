//! Roots that nothing is wrong with.

use tranship::model::Severity;

use crate::catalogue::scenery::{root, verified};

#[test]
fn a_root_that_docker_made_is_sound() {
    for name in ["classic-28", "containerd-28", "hidden-28"] {
        let found = verified(&root(name), false);
        let matter = found.findings.iter().filter(|finding| finding.severity > Severity::Untidy);
        let matter: Vec<_> = matter.collect();
        assert!(matter.is_empty(), "{name}: {matter:#?}");
        let fails: Vec<_> = found.starts.iter().filter(|at| at.start.fails.is_some()).collect();
        assert!(fails.is_empty(), "{name}: {fails:#?}");
    }
}

#[test]
fn what_is_told_is_the_same_each_time() {
    let root = root("classic-28");
    let [one, two] = [0, 1].map(|_| format!("{:?}", verified(&root, false)));
    assert_eq!(one, two);
}
