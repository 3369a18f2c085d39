//! What every release of Docker saves, and what skopeo, podman, crane and BuildKit write, imported into new roots of
//! both stores: Docker shows it, runs it and saves it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use crate::path;
use crate::support::host::{Daemon, Lab, Registry, Store, Suite};
use crate::support::judge::{
    assert_archive_is_whole, assert_none, assert_runs, assert_same_layers, has_a_path_twice,
    quietly, save,
};
use crate::support::observed::{Image, Through, content_differences};

const STORES: [(Store, &str); 2] = [(Store::Classic, "classic"), (Store::Containerd, "containerd")];

/// Has a daemon save all its images, and imports them into a new root of each store.
fn saved_by(suite: Suite, store: Store) {
    let lab = Lab::new();
    let ((root, _registry), archive) = (lab.filled(suite, store), lab.path("saved.tar"));
    let daemon = Daemon::start(suite, store, &root);
    let mut images = daemon.observe().images();
    // Without layers none is saved by a classic store, and without a name none gets into the index of what is saved.
    images.retain(|_, image| image.has_layers() && !image.tags.is_empty());
    daemon.docker_into(save(&images), &archive);
    daemon.stop();
    for (to, name) in STORES {
        let (lab, when) = (Lab::new(), format!("saved by {suite:?} {store:?}, imported to {name}"));
        let root = lab.path(name);
        quietly(&["import", path(&archive), "-q", "--to", name, "--root", path(&root)]);
        let daemon = Daemon::start(Suite::Forky, to, &root);
        let found = daemon.observe().images();
        assert_same_layers(&images, &found, Through::Archive, &when);
        assert_runs(&daemon, &found);
        let mut again = found;
        again.retain(|_, image| !has_a_path_twice(image));
        assert_archive_is_whole(&daemon, &again, &lab);
    }
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn what_docker_20_saves_is_imported() {
    saved_by(Suite::Bookworm, Store::Classic);
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn what_docker_26_saves_is_imported() {
    saved_by(Suite::Trixie, Store::Classic);
    saved_by(Suite::Trixie, Store::Containerd);
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn what_docker_28_saves_is_imported() {
    saved_by(Suite::Forky, Store::Classic);
    saved_by(Suite::Forky, Store::Containerd);
}

/// What a tool makes of an image of the registry `$R` in `$OUT`: its name, the image, the script, and whether import must
/// be told a name.
type Carrier = (&'static str, &'static str, &'static str, bool);

const CARRIERS: [Carrier; 12] = [
    (
        "skopeo/oci:1",
        "index",
        "skopeo_copy --all docker://$R/lib/index:1 oci:$OUT:skopeo/oci:1",
        false,
    ),
    (
        "skopeo/oci-archive:1",
        "index",
        "skopeo_copy --all docker://$R/lib/index:1 oci-archive:$OUT:skopeo/oci-archive:1",
        false,
    ),
    (
        "skopeo/converted:1",
        "pulled",
        "skopeo_copy docker://$R/lib/pulled:1 oci:$OUT:only-a-tag",
        true,
    ),
    (
        "skopeo/zstd:1",
        "pulled",
        "skopeo_copy --dest-compress-format zstd docker://$R/lib/pulled:1 oci:$OUT:skopeo/zstd:1",
        false,
    ),
    (
        "skopeo/docker-archive:1",
        "pulled",
        "skopeo_copy docker://$R/lib/pulled:1 docker-archive:$OUT:skopeo/docker-archive:1",
        false,
    ),
    (
        "podman/docker-archive:1",
        "pulled",
        "podman_save docker-archive pulled podman/docker-archive:1",
        false,
    ),
    ("podman/oci-archive:1", "index", "podman_save oci-archive index podman/oci-archive:1", false),
    ("podman/oci-dir:1", "index", "podman_save oci-dir index podman/oci-dir:1", false),
    ("podman/docker-dir:1", "pulled", "podman_save oci-dir pulled podman/docker-dir:1", false),
    ("crane/tarball:1", "pulled", "crane pull --format tarball $R/lib/pulled:1 $OUT", true),
    ("crane/legacy:1", "pulled", "crane pull --format legacy $R/lib/pulled:1 $OUT", true),
    ("crane/oci:1", "index", "crane pull --format oci $R/lib/index:1 $OUT", true),
];

/// What the scripts of the table call.
const TOOLS: &str = r#"
skopeo_copy() { skopeo --insecure-policy copy -q --src-tls-verify=false "$@"; }
podman() { command podman --root /tmp/store --runroot /tmp/run "$@"; }
podman_save() {
    image=$(podman pull -q --tls-verify=false "$R/lib/$2:1")
    podman tag "$image" "docker.io/$3"
    podman save -q --format "$1" -o "$OUT" "docker.io/$3"
}
"#;

/// What others wrote, to be imported.
struct Written {
    /// The image as Docker has it that it was made of.
    of: Image,
    name: String,
    at: PathBuf,
    is_told: bool,
}

fn written_by_tools(
    lab: &Lab,
    registry: &Registry,
    made_of: &dyn Fn(&str) -> Image,
) -> Vec<Written> {
    let one = |(name, of, script, is_told): &Carrier| {
        let at = lab.path(&name.replace(['/', ':'], "-"));
        let (out, address) = (at.display(), &registry.address);
        lab.tools(&format!("{TOOLS}\nR={address} OUT={out}\n{script} >&2"));
        Written { of: made_of(of), name: (*name).to_owned(), at, is_told: *is_told }
    };
    CARRIERS.iter().map(one).collect()
}

/// Has BuildKit write an image of two platforms with all it states of them, in every form that goes into one file.
fn written_by_buildkit(lab: &Lab, daemon: &Daemon) -> Vec<Written> {
    let dockerfile = lab.path("Dockerfile");
    let text = format!("FROM {BUILD_BASE}\nRUN echo built >/built\n");
    fs::write(&dockerfile, text).expect("room in the lab");
    let build = ["buildx", "build", "-q", "--network=none", "-t", "buildkit/loaded:1"];
    daemon.docker_from(build.iter().chain(&["-"]), &dockerfile);
    let of = daemon.observe().by_tag().remove("buildkit/loaded:1").expect("it was built");
    let exporters = [
        ("buildkit/oci:1", "oci", "--provenance=mode=max"),
        ("buildkit/zstd:1", "oci,compression=zstd,force-compression=true", "--provenance=false"),
        ("buildkit/docker:1", "docker", "--provenance=false"),
    ];
    let one = |(name, kind, provenance): (&str, &str, &str)| {
        let at = lab.path(&name.replace(['/', ':'], "-"));
        let output = format!("type={kind},dest=-");
        let args =
            ["buildx", "build", "--network=none", provenance, "-t", name, "-o", &output, "-"];
        daemon.docker_through(args, &dockerfile, &at);
        Written { of: of.clone(), name: name.to_owned(), at, is_told: false }
    };
    exporters.map(one).into()
}

const BUILD_BASE: &str = "build/base:1";

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn what_others_write_is_imported() {
    let lab = Lab::new();
    let registry = lab.registry();
    registry.seed();
    let daemon = Daemon::start(Suite::Forky, Store::Containerd, &lab.path("root"));
    for image in ["pulled", "index"] {
        daemon.docker(["pull", "-q", &format!("{}/lib/{image}:1", registry.address)]);
    }
    daemon.docker(["tag", &format!("{}/lib/index:1", registry.address), BUILD_BASE]);
    let here = daemon.observe().by_tag();
    let made_of = |image: &str| here[&format!("{}/lib/{image}:1", registry.address)].clone();
    let mut all = written_by_tools(&lab, &registry, &made_of);
    all.extend(written_by_buildkit(&lab, &daemon));
    daemon.stop();
    for (to, name) in STORES {
        let root = lab.path(name);
        for one in &all {
            let told = if one.is_told { vec!["--name", &one.name] } else { vec![] };
            let import = ["import", path(&one.at), "-q", "--to", name, "--root", path(&root)];
            quietly(&[&import[..], &told].concat());
        }
        let daemon = Daemon::start(Suite::Forky, to, &root);
        judge(&daemon, &all, &format!("imported to {name}"));
        let archive = lab.path("again.tar");
        let names = all.iter().map(|one| one.name.as_str());
        daemon.docker_into(std::iter::once("save").chain(names), &archive);
        daemon.stop();
        let daemon = Daemon::start(Suite::Forky, to, &lab.path(&format!("{name}-again")));
        daemon.docker_from(["load"], &archive);
        judge(&daemon, &all, &format!("imported to {name}, saved and loaded"));
    }
}

/// Holds the images of a daemon against what they were made of, and runs each.
fn judge(daemon: &Daemon, all: &[Written], when: &str) {
    let found: BTreeMap<String, Image> = daemon.observe().by_tag();
    let names: BTreeSet<_> = all.iter().map(|one| one.name.clone()).collect();
    assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), names, "{when}");
    for one in all {
        let what = format!("{} {when}", one.name);
        assert_none(&what, &content_differences(&one.of, &found[&one.name]));
        assert_eq!(daemon.shell(&one.name, "echo $((6 * 7))"), "42\n", "{what}");
    }
}
