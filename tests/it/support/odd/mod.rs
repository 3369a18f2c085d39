//! Images whose layers are as odd as tars can be, written block by block.

mod layers;
mod tar;

use std::sync::Arc;

use tranship::digest::{ConfigId, DiffId, Digest};
use tranship::tree::Memory;

pub(crate) use self::tar::{Tar, link};
use super::carried::{CONFIG, INDEX, LAYER, LayoutOf, MANIFEST, file, gzip, manifest, with, zstd};

/// Images and what they are made of.
pub(crate) struct Odd {
    /// What each layer shows, and its tar.
    pub(crate) layers: Vec<(&'static str, Vec<u8>)>,
    pub(crate) images: Vec<OddImage>,
}

pub(crate) struct OddImage {
    pub(crate) title: &'static str,
    pub(crate) layers: Vec<usize>,
    pub(crate) names: &'static [&'static str],
}

impl Odd {
    pub(crate) fn new() -> Self {
        let layers = layers::layers();
        let all = (0..layers.len()).collect();
        let image = |title, layers, names| OddImage { title, layers, names };
        let images = vec![
            image("all", all, &["odd:1", "localhost:5000/team/odd:Also_1"]),
            image("twice", vec![0, 1, 0], &["twice:1"]),
            image("on nothing", vec![2], &["alone:1"]),
            image("empty", vec![], &["empty:1"]),
        ];
        Self { layers, images }
    }

    pub(crate) fn diff_id(&self, layer: usize) -> DiffId {
        DiffId(Digest::of(&self.layers[layer].1))
    }

    fn config_bytes(&self, image: &OddImage) -> Vec<u8> {
        let diff_ids: Vec<_> = image.layers.iter().map(|layer| self.diff_id(*layer)).collect();
        // Keys in no order and spaces where nobody puts any: the bytes must stay what they are.
        let diff_ids = serde_json::to_string(&diff_ids).expect("plain JSON");
        let title = image.title;
        format!(
            "{{ \"os\":\"linux\", \"rootfs\":{{\"diff_ids\":{diff_ids},\"type\":\"layers\"}},\n\
             \"architecture\":\"amd64\", \"config\":{{\"Labels\":{{\"title\":\"{title} <é>\"}}}},\
             \"x-unknown\": 1e3 }}\n"
        )
        .into_bytes()
    }

    pub(crate) fn config(&self, image: &OddImage) -> ConfigId {
        ConfigId(Digest::of(&self.config_bytes(image)))
    }

    /// Returns the images as Docker saved them up to release 24.
    pub(crate) fn archive(&self) -> Arc<Memory> {
        let tree = Memory::new();
        let mut images = Vec::new();
        for image in &self.images {
            let config = self.config_bytes(image);
            let config_name = format!("{}.json", Digest::of(&config).hex());
            file(&tree, &config_name, &config);
            let mut names = Vec::new();
            for (i, layer) in image.layers.iter().enumerate() {
                let id = Digest::of(format!("{} {i}", image.title).as_bytes()).hex();
                let name = format!("{id}/layer.tar");
                file(&tree, &name, &self.layers[*layer].1);
                names.push(name);
            }
            images.push(serde_json::json!({
                "Config": config_name, "RepoTags": image.names, "Layers": names,
            }));
        }
        let images = serde_json::to_vec(&images).expect("plain JSON");
        file(&tree, "manifest.json", &images);
        Arc::new(tree)
    }

    /// Returns the images as a layout, each layer packed in another way; the first of them in an index
    /// with what else may stand in one.
    pub(crate) fn layout(&self) -> Arc<Memory> {
        let layout = LayoutOf::of("");
        let mut entries = Vec::new();
        for (i, image) in self.images.iter().enumerate() {
            let config = layout.blob(CONFIG, &self.config_bytes(image));
            let layers: Vec<_> = image.layers.iter().map(|i| self.packed(&layout, *i)).collect();
            let mut target = layout.blob(MANIFEST, &manifest(&config, &layers));
            if i == 0 {
                target = in_an_index(&layout, &target);
            }
            for name in image.names {
                let name = match name.contains(':') && name.contains('/') {
                    true => (*name).to_owned(),
                    false => format!("docker.io/library/{name}"),
                };
                let annotation =
                    format!(r#""annotations":{{"io.containerd.image.name":"{name}"}}"#);
                entries.push(with(&target, &annotation));
            }
        }
        layout.end(&entries)
    }

    fn packed(&self, layout: &LayoutOf, layer: usize) -> String {
        let tar = &self.layers[layer].1;
        match layer % 3 {
            0 => layout.blob(LAYER, tar),
            1 => layout.blob(&format!("{LAYER}+gzip"), &gzip(tar)),
            _ => layout.blob(&format!("{LAYER}+zstd"), &zstd(tar)),
        }
    }
}

/// Returns an index with the image, an image for another platform, an attestation, something unknown
/// and something that is not there.
fn in_an_index(layout: &LayoutOf, image: &str) -> String {
    let platform =
        |os: &str, cpu: &str| format!(r#""platform":{{"os":"{os}","architecture":"{cpu}"}}"#);
    let tar = Tar::default().file(b"etc/arm", b"other").end(2);
    let diff_id = Digest::of(&tar);
    let config = format!(
        r#"{{"os":"linux","architecture":"arm64","rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}}}"#
    );
    let config = layout.blob(CONFIG, config.as_bytes());
    let layer = layout.blob(&format!("{LAYER}+gzip"), &gzip(&tar));
    let other = layout.blob(MANIFEST, &manifest(&config, &[layer]));
    let digest = image.split('"').find(|word| word.starts_with("sha256:")).expect("a digest");
    let statement = layout.blob("application/vnd.in-toto+json", b"{\"predicateType\":\"x\"}");
    let config = layout.blob(CONFIG, b"{\"os\":\"unknown\",\"rootfs\":{\"diff_ids\":[]}}");
    let attests = layout.blob(MANIFEST, &manifest(&config, &[statement]));
    let note = format!(
        r#""annotations":{{"vnd.docker.reference.type":"attestation-manifest","vnd.docker.reference.digest":"{digest}"}}"#
    );
    let children = [
        with(&other, &platform("linux", "arm64")),
        with(image, &platform("linux", "amd64")),
        with(&with(&attests, &platform("unknown", "unknown")), &note),
        layout.blob("application/x.unheard-of+json", b"{\"what\": null}"),
        with(&super::carried::descriptor(MANIFEST, b"never fetched"), &platform("linux", "s390x")),
    ];
    let text = format!(
        "{{\n \"manifests\": [{}],\n \"schemaVersion\":2,\"mediaType\":\"{INDEX}\"}}\n",
        children.join(",\n  ")
    );
    layout.blob(INDEX, text.as_bytes())
}
