//! containerd's bolt files as values: reading single entries.

use std::collections::BTreeMap;

use super::schema;
use crate::error::DecodeError;
use crate::format::bbolt::{Bucket, Db, Item};
use crate::format::containerd::value;
use crate::format::time::Timestamp;

type Decoded<T> = Result<T, DecodeError>;

/// Returns the bucket `v1/<namespace>` of a `meta.db`.
pub(super) fn namespace<'a>(db: &Db<'a>, namespace: &str) -> Decoded<Option<Bucket<'a>>> {
    db.root().at(&[schema::V1, namespace.as_bytes()])
}

/// Returns the names of the sub-buckets of `bucket`.
pub(super) fn buckets<'a>(bucket: &Bucket<'a>) -> Decoded<Vec<(&'a [u8], Bucket<'a>)>> {
    let mut found = Vec::new();
    for entry in bucket.iter() {
        if let (key, Item::Bucket(child)) = entry? {
            found.push((key, child));
        }
    }
    Ok(found)
}

pub(super) fn text<'a>(bucket: &Bucket<'a>, key: &[u8]) -> Decoded<Option<&'a str>> {
    Ok(bucket.get(key)?.and_then(|bytes| std::str::from_utf8(bytes).ok()))
}

pub(super) fn time(bucket: &Bucket<'_>, key: &[u8]) -> Decoded<Option<Timestamp>> {
    Ok(bucket.get(key)?.and_then(|bytes| value::time(bytes).ok()))
}

pub(super) fn size(bucket: &Bucket<'_>) -> Decoded<Option<u64>> {
    let bytes = bucket.get(schema::SIZE)?;
    let number = bytes.and_then(|bytes| value::varint(bytes).ok());
    Ok(number.and_then(|number| u64::try_from(number).ok()))
}

pub(super) fn labels<'a>(bucket: &Bucket<'a>) -> Decoded<BTreeMap<&'a str, &'a str>> {
    let mut labels = BTreeMap::new();
    let Some(bucket) = bucket.bucket(schema::LABELS)? else { return Ok(labels) };
    for entry in bucket.iter() {
        if let (key, Item::Value(value)) = entry?
            && let (Ok(key), Ok(value)) = (std::str::from_utf8(key), std::str::from_utf8(value))
        {
            labels.insert(key, value);
        }
    }
    Ok(labels)
}
