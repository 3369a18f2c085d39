//! `images --tree`: what each image is made of, and what of it is here.

use crate::cli::render::images::{short, store_cell};
use crate::cli::render::table::{Column, table};
use crate::cli::render::units;
use crate::cli::rows::images::{AttestationRow, ImageRow, PlatformRow};

/// Returns the tree of each of `rows`.
pub(crate) fn text(rows: &[ImageRow], width: Option<usize>) -> String {
    let columns = [
        Column::gives("IMAGE", 1, 20),
        Column::gives("ID", 3, 12),
        Column::gives("SIZE", 2, 8),
        Column::whole("CONTENT"),
        Column::gives("STORE", 4, 16),
    ];
    let lines: Vec<Vec<String>> = rows.iter().flat_map(image).collect();
    table(&columns, &lines, width)
}

fn line(name: String, id: Option<&str>, size: Option<u64>, content: &str) -> Vec<String> {
    let size = size.map_or_else(String::new, units::size);
    vec![name, id.map(short).unwrap_or_default().to_owned(), size, content.to_owned()]
}

fn content(present: bool) -> &'static str {
    if present { "present" } else { "absent" }
}

/// An image: each further name on a line of its own, then its parts.
fn image(row: &ImageRow) -> Vec<Vec<String>> {
    let (first, others) = match row.names.split_first() {
        Some((first, others)) => (first.clone(), others),
        None => (untagged(row), &[][..]),
    };
    let mut head = line(first, Some(&row.id), row.size, "");
    head.push(store_cell(row));
    let mut lines = vec![head];
    lines.extend(others.iter().map(|name| vec![name.clone()]));

    let (of_platforms, loose): (Vec<&AttestationRow>, Vec<&AttestationRow>) = row
        .attestations
        .iter()
        .partition(|a| a.subject.is_some() && row.platforms.iter().any(|p| p.digest == a.subject));
    let parts = row.platforms.len() + loose.len();
    for (n, platform) in row.platforms.iter().enumerate() {
        let said: Vec<&AttestationRow> =
            of_platforms.iter().copied().filter(|a| a.subject == platform.digest).collect();
        lines.extend(platform_lines(platform, &said, n + 1 == parts));
    }
    for (n, attestation) in loose.iter().enumerate() {
        lines.push(attestation_line(attestation, branch(n + 1 == loose.len())));
    }
    lines
}

/// A name with a digest, the digest cut as IDs are.
fn untagged(row: &ImageRow) -> String {
    match row.digests.first().and_then(|name| name.split_once('@')) {
        Some((name, digest)) => format!("{name}@sha256:{}", short(digest)),
        None => "<untagged>".to_owned(),
    }
}

fn branch(last: bool) -> &'static str {
    if last { "└─ " } else { "├─ " }
}

fn platform_lines(
    platform: &PlatformRow,
    said: &[&AttestationRow],
    last: bool,
) -> Vec<Vec<String>> {
    let mut name = format!("{}{}/{}", branch(last), platform.os, platform.architecture);
    if let Some(variant) = &platform.variant {
        name += &format!("/{variant}");
    }
    let digest = platform.digest.as_deref();
    let mut lines = vec![line(name, digest, platform.size, content(platform.present))];
    let stem = if last { "   " } else { "│  " };
    for (n, attestation) in said.iter().enumerate() {
        let branch = format!("{stem}{}", branch(n + 1 == said.len()));
        lines.push(attestation_line(attestation, &branch));
    }
    lines
}

fn attestation_line(attestation: &AttestationRow, branch: &str) -> Vec<String> {
    let name = format!("{branch}attestation");
    line(name, Some(&attestation.digest), attestation.size, content(attestation.present))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::cli::sample;

    #[test]
    fn the_tree_shows_what_is_here_and_what_is_not() {
        assert_snapshot!(text(&sample::images(), None), @"
        IMAGE                                             ID             SIZE      CONTENT   STORE
        registry.example.com:5000/team/app:v3             0081f5a699c7   2.06MB              classic (hidden)
        registry.example.com:5000/team/app:latest
        └─ linux/amd64                                                             present
        <untagged>                                        5f7df114d75a   2.06MB              classic (hidden)
        └─ linux/amd64                                                             present
        tiny/base:1                                       a6153feb13c0   2.06MB              classic (hidden)
        └─ linux/amd64                                                             present
        multi/arch:1                                      7738375643e0   22.3kB              containerd
        ├─ linux/amd64                                    ad6400000000   22.3kB    present
        │  └─ attestation                                 a77e57000000   1.34kB    present
        └─ linux/arm64/v8                                 a76400000000             absent
        127.0.0.1:5000/lib/bydigest@sha256:607341a30000   607341a3bb34   2.06MB              classic (hidden)
        └─ linux/amd64                                                             present
        weird:1                                           45eef71f9c7e   6.22MB              classic (hidden)
        └─ linux/amd64                                                             present
        ");
        assert_snapshot!(text(&sample::images()[3..4], Some(40)), @"
        IMAGE               SIZE     CONTENT
        multi/arch:1        22.3kB
        ├─ linux/amd64      22.3kB   present
        │  └─ attestation   1.34kB   present
        └─ linux/arm64/v8            absent
        ");
    }

    #[test]
    fn an_attestation_of_nothing_here_hangs_on_the_image() {
        let mut row = sample::images().remove(3);
        row.attestations[0].subject = None;
        assert_snapshot!(text(&[row], None), @"
        IMAGE               ID             SIZE      CONTENT   STORE
        multi/arch:1        7738375643e0   22.3kB              containerd
        ├─ linux/amd64      ad6400000000   22.3kB    present
        ├─ linux/arm64/v8   a76400000000             absent
        └─ attestation      a77e57000000   1.34kB    present
        ");
    }
}
