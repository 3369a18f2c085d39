//! What tranship exports, before all others that carry images: skopeo, umoci, crane and podman.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::path;
use crate::support::host::{Daemon, Lab, Store, Suite, exactly};
use crate::support::judge::{assert_none, has_a_path_twice, quietly, stands_on_a_container};
use crate::support::observed::{Image, Images, unpacked_differences};

/// A recorded data root, and what its daemon said of it.
struct Recorded {
    root: PathBuf,
    before: Images,
    lab: Lab,
}

impl Recorded {
    fn new(fixture: &str, store: Store) -> Self {
        let lab = Lab::new();
        let root = lab.unpack(fixture);
        let daemon = Daemon::start(Suite::Forky, store, &root);
        let before = daemon.observe().images();
        daemon.stop();
        Self { root, before, lab }
    }

    /// Exports into this file or folder of the lab.
    fn export(&self, to: &str, args: &[&str]) {
        let to = self.lab.path(to);
        quietly(&[&["export", "-q", "--root", path(&self.root), "-o", path(&to)], args].concat());
    }

    /// Exports everything into a folder, a file and a pipe, and has skopeo and podman read it.
    fn judge_all(&self) {
        for form in ["docker", "oci"] {
            self.export(form, &["--all", "--format", form]);
            self.export(&format!("{form}.tar"), &["--all", "--format", form]);
            let root = path(&self.root);
            let piped =
                quietly(&["export", "-q", "--root", root, "-o", "-", "--all", "--format", form]);
            fs::write(self.lab.path(&format!("{form}-piped.tar")), piped).expect("room in the lab");
            self.unpack_archives(form);
            for layout in [form.to_owned(), format!("{form}-file"), format!("{form}-piped")] {
                assert_eq!(self.judge_layout(&layout), self.before.len(), "{layout}");
            }
        }
        self.judge_saved("docker");
        self.judge_saved("docker-piped");
        self.judge_loaded();
    }

    /// skopeo finds an image of an archive by its tag, which several images have; by its number only in a folder.
    fn unpack_archives(&self, form: &str) {
        self.lab.tools(&format!(
            "mkdir {form}-file {form}-from-pipe
            tar -C {form}-file -xf {form}.tar
            tar -C {form}-from-pipe -xf {form}-piped.tar
            mv {form}-from-pipe {form}-piped"
        ));
    }

    /// Has skopeo read all images of a layout to the last byte; returns how many there are.
    fn judge_layout(&self, layout: &str) -> usize {
        let index = self.json(&format!("{layout}/index.json"));
        let entries = index["manifests"].as_array().expect("a list");
        for (i, entry) in entries.iter().enumerate() {
            // It reads an index either whole or in the part for this host.
            let all = if self.is_whole(layout, entry) { "--all" } else { "" };
            self.lab.tools(&format!(
                "skopeo inspect --raw oci:{layout}:@{i} >/dev/null
                skopeo --insecure-policy copy -q {all} oci:{layout}:@{i} dir:/tmp/judged"
            ));
        }
        let digests = entries.iter().map(|entry| entry["digest"].as_str());
        digests.collect::<BTreeSet<_>>().len()
    }

    /// Returns whether all manifests of an index are there; Docker fetches one platform of it.
    fn is_whole(&self, layout: &str, entry: &Value) -> bool {
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().expect("a digest");
            format!("{layout}/blobs/{}", digest.replace(':', "/"))
        };
        let document = self.json(&blob(entry));
        let children = document["manifests"].as_array().into_iter().flatten();
        children.map(blob).all(|child| self.lab.path(&child).exists())
    }

    fn json(&self, file: &str) -> Value {
        let text = fs::read(self.lab.path(file)).expect("it was written");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// Has skopeo read all images of an archive as one of Docker.
    fn judge_saved(&self, archive: &str) {
        let images = self.json(&format!("{archive}/manifest.json"));
        for i in 0..images.as_array().expect("a list").len() {
            self.lab.tools(&format!(
                "skopeo --insecure-policy copy -q docker-archive:{archive}.tar:@{i} dir:/tmp/judged"
            ));
        }
    }

    /// Has podman load from a pipe all that it can unpack: it takes no layer that has one path twice.
    fn judge_loaded(&self) {
        self.export("loaded.tar", &["--all", "--exclude", "*:dupes"]);
        let said = self.lab.tools(
            "podman() { command podman --root /tmp/store --runroot /tmp/run \"$@\"; }
            cat loaded.tar | podman load -q >/dev/null
            podman images -aq --no-trunc",
        );
        let loaded: BTreeSet<_> = said.lines().collect();
        let can_load = self.before.iter().filter(|(_, image)| !has_a_path_twice(image));
        assert_eq!(loaded, can_load.map(|(config, _)| config.as_str()).collect(), "podman load");
    }

    /// Exports each image by itself: umoci unpacks it to what Docker shows, and crane finds nothing wrong.
    fn judge_each(&self) {
        let mut unpacked = 0;
        for (i, image) in self.before.values().filter(|image| !image.tags.is_empty()).enumerate() {
            let (name, file) = (image.name(), format!("one-{i}"));
            let (_, tag) = name.rsplit_once(':').expect("a tag");
            self.export(&format!("{file}.tar"), &[name]);
            self.export(&format!("{file}-oci.tar"), &[name, "--format", "oci"]);
            self.lab.tools(&format!(
                "skopeo --insecure-policy copy -q oci-archive:{file}-oci.tar:{tag} dir:/tmp/judged"
            ));
            // crane takes no layer that has one path twice, and umoci none with a global header.
            let is_for_here = image.shown["Architecture"] == "amd64";
            if is_for_here && !has_a_path_twice(image) {
                self.lab.tools(&format!("crane validate --tarball {file}.tar"));
            }
            if is_for_here && !name.starts_with("weird:") && !stands_on_a_container(image) {
                unpacked += usize::from(self.judge_unpacked(image, &file));
            }
        }
        assert!(unpacked > 5, "{unpacked} were unpacked");
    }

    /// Has umoci unpack one platform, if it is in OCI's own types, the only ones umoci knows; returns whether it is.
    fn judge_unpacked(&self, image: &Image, file: &str) -> bool {
        let (name, bundle) = (image.name(), format!("{file}-bundle"));
        self.export(file, &[name, "--format", "oci", "--platform", "linux/amd64"]);
        let index = self.json(&format!("{file}/index.json"));
        if index["manifests"][0]["mediaType"] != "application/vnd.oci.image.manifest.v1+json" {
            return false;
        }
        let (_, tag) = name.rsplit_once(':').expect("a tag");
        self.lab.tools(&format!("umoci unpack --image {file}:{tag} {bundle}"));
        let unpacked = exactly(&self.lab.path(&format!("{bundle}/rootfs")));
        assert_none(&format!("umoci unpack {name}"), &unpacked_differences(image, &unpacked));
        true
    }
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn exports_of_the_recorded_classic_root_are_read_by_others() {
    let recorded = Recorded::new("classic-28", Store::Classic);
    recorded.judge_all();
    recorded.judge_each();
}

#[test]
#[ignore = "needs root, debootstrap and real daemons"]
fn exports_of_the_recorded_containerd_root_are_read_by_others() {
    let recorded = Recorded::new("containerd-28", Store::Containerd);
    recorded.judge_all();
    recorded.judge_each();
}
