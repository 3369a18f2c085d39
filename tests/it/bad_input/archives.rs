//! Whole archives that are cut, blown up, or that ask for names they cannot have.

use std::path::Path;
use std::sync::Arc;

use tar::EntryType;
use tranship::digest::Digest;
use tranship::error::{Error, ErrorKind, Result};
use tranship::model::StoreKind;
use tranship::op::host::{Known, open, survey};
use tranship::op::transfer::OnConflict;
use tranship::tree::{Kind, Memory, TreePath, walk};

use super::carried::{image, import, options, target_of, transferred};
use crate::support::carried::{LAYER, LayoutOf, gzip, host, source, with, zstd};
use crate::support::odd::Tar;
use crate::support::seen::listing;

const DAEMONS: [StoreKind; 2] = [StoreKind::Classic, StoreKind::Containerd];

/// Returns an archive of one image as Docker saved it up to release 24.
fn saved() -> Vec<u8> {
    let layer = Tar::default().file(b"x", &[b'x'; 3000]).end(2);
    let diff_id = Digest::of(&layer);
    let config = format!(
        r#"{{"os":"linux","architecture":"amd64","rootfs":{{"type":"layers","diff_ids":["{diff_id}"]}}}}"#
    );
    let name = format!("{}.json", Digest::of(config.as_bytes()).hex());
    let manifest =
        format!(r#"[{{"Config":"{name}","RepoTags":["new:1"],"Layers":["layer.tar"]}}]"#);
    Tar::default()
        .file(b"manifest.json", manifest.as_bytes())
        .file(b"layer.tar", &layer)
        .file(name.as_bytes(), config.as_bytes())
        .end(2)
}

/// Imports an archive that lies on a disk.
fn import_file(file: &Path, kind: StoreKind, to: &Arc<Memory>) -> Result<String> {
    let known = Known { platform: host(), ..Known::default() };
    let found = survey(&open(Some(file))?, &known)?;
    if found.roots.is_empty() {
        return Ok("no images".to_owned());
    }
    transferred(source(&found), kind, to, &options(kind))
}

#[test]
fn an_archive_that_ends_too_early_leaves_no_trace() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("saved.tar");
    let plain = saved();
    // One of the two blocks of zeros at the end is enough.
    let needed = plain.len() - 512;
    type Pack = fn(&[u8]) -> Vec<u8>;
    let packs: [(&str, Pack); 3] = [("plain", <[u8]>::to_vec), ("gzip", gzip), ("zstd", zstd)];
    for (name, pack) in packs {
        let whole = pack(&plain);
        let needed = if name == "plain" { needed } else { whole.len() };
        let step = whole.len().div_ceil(23);
        let cuts = (0..needed).step_by(step).chain([needed - 1, needed, whole.len()]);
        for cut in cuts {
            std::fs::write(&file, &whole[..cut]).expect("room");
            for kind in DAEMONS {
                let to = target_of(kind);
                let before = listing(&*to, TreePath::ROOT);
                let told = import_file(&file, kind, &to);
                let is_new = listing(&*to, TreePath::ROOT) != before;
                let is_whole = cut >= needed;
                let what = format!("{name} cut at {cut} of {}, to {kind}: {told:?}", whole.len());
                assert_eq!(is_new, is_whole, "{what}");
                match told {
                    Ok(told) => assert_eq!(told.is_empty(), is_whole, "{what}"),
                    Err(error) => {
                        let place = error.place().expect("a place").to_string();
                        assert!(place.contains("saved.tar") && !is_whole, "{what}");
                    }
                }
            }
        }
    }
}

/// Returns many members or frames of zeros, one after the other: what they hold has no end in sight.
fn zeros(pack: fn(&[u8]) -> Vec<u8>, megabytes: usize) -> Vec<u8> {
    pack(&vec![0; 32 << 20]).repeat(megabytes / 32)
}

#[test]
fn layers_that_grow_without_end_are_stopped() {
    let bomb = zeros(zstd, 1280);
    assert!(bomb.len() < 1 << 20, "{} bytes", bomb.len());
    let layout = LayoutOf::of("");
    let image = image(&layout, b"never known", &format!("{LAYER}+zstd"), &bomb);
    let layout = layout.end(&[image]);
    for kind in DAEMONS {
        let to = target_of(kind);
        let before = listing(&*to, TreePath::ROOT);
        let told =
            import(&layout, kind, &to, &options(kind)).expect("one layer is no reason to stop");
        assert!(told.contains("blobs/sha256") && told.contains("1000 times"), "{kind}: {told}");
        assert_eq!(listing(&*to, TreePath::ROOT), before, "{kind}");
    }
}

/// gzip makes nothing smaller by much more than a thousand: to fill a disk, it takes a thousandth of the disk.
#[test]
fn a_gzip_bomb_is_not_what_its_image_says() {
    let bomb = zeros(gzip, 128);
    let layout = LayoutOf::of("");
    let image = image(&layout, b"never known", &format!("{LAYER}+gzip"), &bomb);
    let layout = layout.end(&[image]);
    for kind in DAEMONS {
        let to = target_of(kind);
        let before = listing(&*to, TreePath::ROOT);
        let told =
            import(&layout, kind, &to, &options(kind)).expect("one layer is no reason to stop");
        assert!(told.contains("134217728 bytes hash to"), "{kind}: {told}");
        assert_eq!(listing(&*to, TreePath::ROOT), before, "{kind}");
    }
}

#[test]
fn a_hundred_thousand_devices_are_a_layer_too() {
    let mut tar = Tar::default();
    for number in 0..100_000 {
        tar = tar.add(EntryType::Char, format!("d{number}").as_bytes(), b"", |_| {});
    }
    let tar = tar.end(2);
    let layout = LayoutOf::of("");
    let image = image(&layout, &tar, LAYER, &tar);
    let layout = layout.end(&[image]);
    let to = target_of(StoreKind::Classic);
    let told = import(&layout, StoreKind::Classic, &to, &options(StoreKind::Classic));
    assert_eq!(told.expect("sound"), "");
    let mut devices = 0;
    walk(&*to, TreePath::ROOT, &mut |_, entry| {
        devices += usize::from(entry.metadata.kind == Kind::Char);
        Ok(true)
    })
    .expect("memory can be read");
    assert_eq!(devices, 100_000);
}

#[test]
fn names_that_cannot_be_had_change_nothing() {
    let tar = Tar::default().file(b"x", b"x").end(2);
    let name = |name: &str| format!(r#""annotations":{{"io.containerd.image.name":"{name}"}}"#);
    let refused = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.advice().is_some(), "{error}");
        error.what().to_owned()
    };
    for kind in DAEMONS {
        let layout = LayoutOf::of("");
        let one = image(&layout, &tar, LAYER, &tar);
        let from = layout.end(&[with(&one, &name("docker.io/library/there:1"))]);
        let to = target_of(kind);
        let before = listing(&*to, TreePath::ROOT);
        for given in ["Not/Lower:1", "a b", "", "x:1:2", "x@sha256:12", "../x", "-", "x:\u{1b}[31m"]
        {
            let mut options = options(kind);
            options.names = vec![(None, given.to_owned())];
            let error = import(&from, kind, &to, &options).expect_err(given);
            assert!(refused(error).contains("is no name for an image"), "{given}");
        }
        let mut options = options(kind);
        options.on_conflict = OnConflict::Fail;
        let error = import(&from, kind, &to, &options).expect_err("the name is taken");
        assert!(refused(error).contains("another image called docker.io/library/there:1"));
        assert_eq!(listing(&*to, TreePath::ROOT), before, "{kind}");
    }
}

#[test]
fn of_two_images_with_one_name_the_first_has_it() {
    let name = r#""annotations":{"io.containerd.image.name":"docker.io/library/new:1"}"#;
    let layers = [b"1", b"2"].map(|text| Tar::default().file(b"x", text).end(2));
    for kind in DAEMONS {
        let layout = LayoutOf::of("");
        let images = layers.each_ref().map(|tar| with(&image(&layout, tar, LAYER, tar), name));
        let to = target_of(kind);
        let told = import(&layout.end(&images), kind, &to, &options(kind)).expect("sound");
        assert!(told.contains("index.json") && told.contains("new:1 is image"), "{kind}: {told}");
    }
}
