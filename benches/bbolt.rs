//! bbolt files like containerd's: a bucket of buckets, each with a few values and labels.

use divan::counter::{BytesCount, ItemsCount};
use tranship::format::bbolt::{Db, Item, Options, OwnedBucket, check, load, write};

const BLOBS: u32 = 30_000;

fn main() {
    divan::main();
}

fn values() -> OwnedBucket<'static> {
    let mut root = OwnedBucket::new();
    let blobs = root.path_mut(&[b"v1", b"moby", b"content", b"blob"]);
    for n in 0..BLOBS {
        let blob = blobs.bucket_mut(format!("sha256:{n:064x}").into_bytes());
        blob.put(&b"createdat"[..], vec![1; 15]);
        blob.put(&b"updatedat"[..], vec![1; 15]);
        blob.put(&b"size"[..], vec![2, 3, 4]);
        let labels = blob.bucket_mut(&b"labels"[..]);
        labels.put(&b"containerd.io/uncompressed"[..], format!("sha256:{n:064x}").into_bytes());
    }
    root
}

fn file() -> Vec<u8> {
    write(&values(), &Options::default()).expect("small keys and values")
}

#[divan::bench]
fn scan(bencher: divan::Bencher<'_, '_>) {
    let bytes = file();
    bencher.counter(ItemsCount::new(BLOBS)).bench(|| {
        let db = Db::open(&bytes).expect("a file of our own");
        let blobs = db.root().at(&[b"v1", b"moby", b"content", b"blob"]).expect("sound");
        let blobs = blobs.expect("it is there");
        let buckets = blobs.iter().filter(|entry| matches!(entry, Ok((_, Item::Bucket(_)))));
        assert_eq!(buckets.count(), BLOBS as usize);
    });
}

#[divan::bench]
fn check_all(bencher: divan::Bencher<'_, '_>) {
    let bytes = file();
    bencher.counter(BytesCount::of_slice(&bytes)).bench(|| check(&bytes).expect("sound"));
}

#[divan::bench]
fn load_all(bencher: divan::Bencher<'_, '_>) {
    let bytes = file();
    bencher
        .counter(BytesCount::of_slice(&bytes))
        .bench(|| load(&Db::open(&bytes).expect("sound")).map(|root| root.len()).expect("sound"));
}

#[divan::bench]
fn write_all(bencher: divan::Bencher<'_, '_>) {
    let (values, size) = (values(), file().len());
    bencher
        .counter(BytesCount::new(size))
        .bench(|| write(&values, &Options::default()).expect("small keys and values"));
}
