//! What other programs wrote, recorded in `fixtures/archives`.

use std::io::Read as _;
use std::path::Path;

use tranship::digest::Digest;
use tranship::model::StoreKind;
use tranship::op::host::{Known, open, survey};
use tranship::store::Source;

use crate::support::carried::{findings, host, names, read_layers, source};

#[test]
fn what_others_write_is_read_in_full() {
    use StoreKind::{Archive, Layout};
    for (name, kind, images, called, bare) in [
        ("podman-docker-archive", Archive, 1, &["localhost/pod:1", "pod2:2"][..], None),
        ("podman-oci-archive", Layout, 1, &["localhost/pod:1"], None),
        ("skopeo-docker-archive", Archive, 1, &["busy/app:2.0", "busy/app:x"], None),
        ("skopeo-oci-archive", Layout, 1, &[], Some("mytag")),
        ("umoci-layout", Layout, 2, &[], Some("1")),
    ] {
        let file =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/archives/{name}.tar.zst"));
        let opened = open(Some(&file)).expect("a tar");
        let known = Known { platform: host(), ..Known::default() };
        let found = survey(&opened, &known).expect("images for carrying");
        assert_eq!(found.roots[0].stores[0].here.kind, kind, "{name}");
        let source = source(&found);
        let inventory = source.inventory();
        assert!(findings(inventory).is_empty(), "{name}: {:?}", inventory.findings);
        let mut seen = names(inventory);
        seen.sort_unstable();
        assert_eq!((inventory.images.len(), seen.as_slice()), (images, &*own(called)), "{name}");
        assert_eq!(source.bare_tag(&inventory.images[0]), bare, "{name}");
        for image in &inventory.images {
            assert!(image.shown().expect("it can run").present, "{name}");
            assert!(!read_layers(source, image).expect("sound").is_empty(), "{name}");
            read_all(source, image);
        }
    }
}

fn own(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Reads all that an image consists of, where manifests are kept.
fn read_all(source: &dyn Source, image: &tranship::model::Image) {
    let Some(contents) = source.contents(image).expect("sound") else { return };
    assert!(contents.absent.is_empty());
    for one in contents.documents.iter().chain(&contents.blobs) {
        let (blob, mut bytes) = (one.blob().expect("it is there"), Vec::new());
        let mut reader = source.blob(blob).expect("it is there");
        reader.read_to_end(&mut bytes).expect("sound");
        assert_eq!((Digest::of(&bytes), Some(bytes.len() as u64)), (blob.0, one.len()));
    }
}
