//! Names, and what else is kept in files that others write too.

use std::sync::Arc;

use tranship::digest::{BlobId, Digest};
use tranship::error::ErrorKind;
use tranship::format::oci::{Descriptor, media_type};
use tranship::op::transfer::{self, OnConflict, Plan};
use tranship::store::{Contents, ImageStep, PackedLayer};
use tranship::tree::{Memory, Tree, path};

use super::seen::{NAMES, all_names, leftovers, look, text};
use super::{Root, sink};
use crate::support::classic::{Classic, put};
use crate::support::{Migration, open};

const ONE: &str = "
diff one
  file one one
image one = one
  name one:1
";

const OTHER: &str = "
diff two
  file two two
image two = two
  name one:1
  name two:1
";

/// Moves the store `text` to `tree`, its plan changed.
fn moved(text: &str, tree: &Arc<Memory>, change: impl Fn(&mut Plan)) -> transfer::Outcome {
    let source = open(&Arc::new(Classic::of(text).tree()));
    let migration = Migration::default();
    let target = migration.classic(&sink(tree)).expect("a sound root");
    let mut plan = migration.plan(&source, &target).expect("it can be planned");
    change(&mut plan);
    transfer::apply(&plan, &source, &target, 1, &()).expect("nothing fails")
}

fn names(tree: &dyn Tree) -> Vec<(String, String)> {
    all_names(tree).expect("JSON")
}

#[test]
fn a_name_stays_or_moves_as_is_wanted() {
    let [one, two] =
        [(ONE, "one"), (OTHER, "two")].map(|(text, title)| Classic::of(text).config(title));
    for (on_conflict, owner) in [(OnConflict::Keep, one), (OnConflict::Replace, two)] {
        let base = (*Root::of(ONE).tree).clone();
        let root = Root::into(base, OTHER, &Migration::default().on_conflict(on_conflict));
        assert_eq!(root.seen.len(), 2);
        let want = [("one:1", owner), ("two:1", two)];
        let want = want.map(|(name, id)| (name.to_owned(), id.to_string()));
        assert_eq!(names(&*root.tree), want, "{on_conflict:?}");
    }
}

#[test]
fn an_image_that_is_there_gets_more_names() {
    let root = Root::of(ONE);
    let more = ONE.replace("name one:1", "name one:1\n  name more:1");
    let again = Root::into((*root.tree).clone(), &more, &Migration::default());
    assert_eq!((again.outcome.moved.len(), again.outcome.written), (1, 0));
    let id = Classic::of(ONE).config("one").to_string();
    assert_eq!(names(&*again.tree), [("more:1".into(), id.clone()), ("one:1".into(), id)]);
}

#[test]
fn what_docker_does_not_understand_stays_in_the_file() {
    let tree = Root::of(ONE).tree;
    let id = Classic::of(ONE).config("one");
    let odd = format!(
        r#"{{"Repositories":{{"gone":{{"gone:1":"sha256:{}"}},"one":{{"b c":"x","one:1":"{id}"}},"z":null}}}}"#,
        "0".repeat(64)
    );
    put(&*tree, NAMES, odd.as_bytes());
    moved(OTHER, &tree, |_| {});
    let two = Classic::of(OTHER).config("two");
    let want = odd.replace(r#","z""#, &format!(r#","two":{{"two:1":"{two}"}},"z""#));
    assert_eq!(text(&*tree, NAMES), Ok(want));
}

#[test]
fn a_file_that_dockerd_does_not_start_with_is_not_written_over() {
    for bytes in [&b""[..], b"[]", b"{\"Repositories\":1}", b"{\"Repositories\""] {
        let tree = Root::of(ONE).tree;
        put(&*tree, NAMES, bytes);
        let error = Migration::default().classic(&sink(&tree)).expect_err("no names");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(NAMES) && error.advice().is_some(), "{error}");
    }
}

#[test]
fn a_digest_is_kept_if_it_is_that_of_a_document() {
    let digest = Digest::of(b"the image's index");
    let target = Descriptor {
        digest: digest.to_string(),
        media_type: media_type::OCI_INDEX.to_owned(),
        size: 17,
        ..Descriptor::default()
    };
    let (documents, blobs, absent) = (Vec::new(), Vec::new(), Vec::new());
    let kept = Contents { target, documents, blobs, absent };
    for kept in [None, Some(kept)] {
        let tree = Arc::new(Memory::new());
        let outcome = moved(ONE, &tree, |plan| {
            let own = format!("localhost:5000/one@{}", ImageStep::OWN_DIGEST);
            plan.images[0].names =
                vec![own, "no name".to_owned(), "docker.io/library/x".to_owned()];
            plan.images[0].kept.clone_from(&kept);
        });
        let dropped: Vec<_> = outcome.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(dropped, ["name-dropped"; 2]);
        let names = names(&*tree).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let want = kept.iter().map(|_| format!("localhost:5000/one@{digest}"));
        assert_eq!(names, want.collect::<Vec<_>>());
        assert_eq!(leftovers(&*tree), [""; 0]);
    }
}

#[test]
fn what_registries_have_is_noted_beside_what_is_known() {
    const FOLDER: &str = "image/overlay2/distribution";
    let tree = Arc::new(Memory::new());
    let diff_id = Classic::of(ONE).diff_id("one");
    let packed = |bytes: &[u8], repositories: &[&str]| PackedLayer {
        diff_id,
        blob: BlobId(Digest::of(bytes)),
        repositories: repositories.iter().map(|name| (*name).to_owned()).collect(),
    };
    let (gzip, zstd) = (packed(b"gzip", &["docker.io/library/one"]), packed(b"zstd", &[]));
    moved(ONE, &tree, |plan| plan.images[0].packed = vec![gzip.clone(), zstd.clone()]);
    let places = format!("{FOLDER}/v2metadata-by-diffid/sha256/{}", diff_id.hex());
    let one = |blob: BlobId, name: &str| {
        format!(r#"{{"Digest":"{blob}","SourceRepository":"{name}","HMAC":""}}"#)
    };
    let first = one(gzip.blob, "docker.io/library/one");
    assert_eq!(text(&*tree, &places), Ok(format!("[{first}]")));
    for layer in [&gzip, &zstd] {
        let file = format!("{FOLDER}/diffid-by-digest/sha256/{}", layer.blob.hex());
        assert_eq!(text(&*tree, &file), Ok(diff_id.to_string()));
        assert_eq!(tree.stat(path(&file)).map(|file| file.mode).ok(), Some(0o644));
    }
    assert_eq!(tree.stat(path(FOLDER)).map(|folder| folder.mode).ok(), Some(0o700));

    let second = packed(b"zstd", &["localhost:5000/two"]);
    let more = ONE.replace("image one", "image two").replace("name one:1", "name three:1");
    moved(&more, &tree, |plan| plan.images[0].packed = vec![second.clone()]);
    let want = format!("[{first},{}]", one(second.blob, "localhost:5000/two"));
    assert_eq!(text(&*tree, &places), Ok(want));
    assert_eq!(look(&tree).map(|seen| seen.len()), Ok(2));
}
