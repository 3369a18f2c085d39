//! The list of images: one line a tag, Docker's columns first.

use jiff::Timestamp;

use crate::cli::filter::repository;
use crate::cli::render::table::{Column, table};
use crate::cli::render::template::{Field, Fields};
use crate::cli::render::units;
use crate::cli::rows::images::ImageRow;

/// What `--format` may name: Docker's fields, then ours.
///
/// docker/cli cli/command/formatter/image.go newImageContext
pub(crate) const FIELDS: &[Field] = &[
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
    ("Containers", "CONTAINERS"),
    ("Store", "STORE"),
    ("Hidden", "HIDDEN"),
    ("Driver", "DRIVER"),
    ("Root", "ROOT"),
];

const NONE: &str = "<none>";

/// How the lines are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Whether each digest gets a line.
    pub(crate) digests: bool,
    /// Whether IDs are whole.
    pub(crate) no_trunc: bool,
    /// What "2 days ago" counts from.
    pub(crate) now: Timestamp,
    /// The terminal's width.
    pub(crate) width: Option<usize>,
}

/// One line of the list: an image under one of its names.
#[derive(Clone, Debug)]
pub(crate) struct Line<'a> {
    row: &'a ImageRow,
    repository: &'a str,
    tag: &'a str,
    digest: &'a str,
    style: Style,
}

/// Sorts `rows` as Docker does: the newest first. Among those of one moment, by name, the nameless
/// last.
pub(crate) fn sort(rows: &mut [ImageRow]) {
    rows.sort_by(|a, b| {
        let name = |row: &'_ ImageRow| (row.names.is_empty(), row.names.first().cloned());
        b.created.cmp(&a.created).then_with(|| name(a).cmp(&name(b))).then_with(|| a.id.cmp(&b.id))
    });
}

/// Sorts `rows` so that those of one root stand together, in the order of `roots`.
pub(crate) fn group(rows: &mut [ImageRow], roots: &[String]) {
    rows.sort_by_key(|row| roots.iter().position(|root| *root == row.root));
}

/// Returns the lines of `rows`: one for each tag, or with digests one for each tag and digest, and
/// one for each repository that only a digest names.
///
/// docker/cli cli/command/formatter/image.go imageFormatTaggedAndDigest
pub(crate) fn lines(rows: &[ImageRow], style: Style) -> Vec<Line<'_>> {
    rows.iter().flat_map(|row| lines_of(row, style)).collect()
}

fn lines_of(row: &ImageRow, style: Style) -> Vec<Line<'_>> {
    let line = |repository, tag, digest| Line { row, repository, tag, digest, style };
    let mut lines = Vec::new();
    let tagged: Vec<(&str, &str)> = row.names.iter().filter_map(|name| tag_of(name)).collect();
    for (repository, tag) in &tagged {
        let digests: Vec<&str> = match style.digests {
            true => digests_of(row).filter(|(of, _)| of == repository).map(|(_, d)| d).collect(),
            false => Vec::new(),
        };
        match digests.is_empty() {
            true => lines.push(line(*repository, *tag, NONE)),
            false => lines.extend(digests.iter().map(|digest| line(*repository, *tag, *digest))),
        }
    }
    let mut seen: Vec<&str> = tagged.iter().map(|(repository, _)| *repository).collect();
    for (repository, digest) in
        digests_of(row).filter(|(of, _)| !seen.contains(of)).collect::<Vec<_>>()
    {
        if style.digests {
            lines.push(line(repository, NONE, digest));
        } else if !seen.contains(&repository) {
            lines.push(line(repository, NONE, ""));
        }
        seen.push(repository);
    }
    if lines.is_empty() {
        lines.push(line(row.names.first().map_or(NONE, String::as_str), NONE, NONE));
    }
    lines
}

fn tag_of(name: &str) -> Option<(&str, &str)> {
    let repository = repository(name);
    name[repository.len()..]
        .strip_prefix(':')
        .map(|tag| (repository, tag))
        .filter(|(_, tag)| !tag.contains('@'))
}

fn digests_of(row: &ImageRow) -> impl Iterator<Item = (&str, &str)> {
    row.digests.iter().filter_map(|name| {
        let (_, digest) = name.split_once('@')?;
        Some((repository(name), digest))
    })
}

/// Returns the ID as Docker shortens it.
pub(crate) fn short(id: &str) -> &str {
    let hex = id.split_once(':').map_or(id, |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex)
}

impl Line<'_> {
    /// Returns the image's ID, short unless asked for whole.
    pub(crate) fn id(&self) -> &str {
        if self.style.no_trunc { &self.row.id } else { short(&self.row.id) }
    }
}

impl Fields for Line<'_> {
    fn field(&self, name: &str) -> String {
        let row = self.row;
        let size = |bytes: Option<u64>| bytes.map_or("N/A".into(), units::fine_size);
        match name {
            "ID" => self.id().to_owned(),
            "Repository" => self.repository.to_owned(),
            "Tag" => self.tag.to_owned(),
            "Digest" => self.digest.to_owned(),
            "CreatedSince" => units::since(row.created, self.style.now),
            "CreatedAt" => units::at(row.created),
            "Size" => row.size.map_or("N/A".into(), units::size),
            "SharedSize" => size(row.shared_size),
            "UniqueSize" => size(row.unique_size),
            "Containers" => row.containers.map_or("N/A".into(), |n| n.to_string()),
            "Store" => row.store.name().to_owned(),
            "Hidden" => row.hidden.to_string(),
            "Driver" => row.driver.clone(),
            "Root" => row.root.clone(),
            _ => String::new(),
        }
    }
}

/// Returns the store's name, and whether it is hidden.
pub(crate) fn store_cell(row: &ImageRow) -> String {
    format!("{}{}", row.store.name(), if row.hidden { " (hidden)" } else { "" })
}

/// Returns the IDs of `rows`, one for each line the table would have, as Docker does.
pub(crate) fn ids(rows: &[ImageRow], style: Style) -> String {
    lines(rows, style).iter().map(|line| format!("{}\n", line.id())).collect()
}

/// Returns the table of `rows`.
pub(crate) fn text(rows: &[ImageRow], style: Style) -> String {
    let mut columns = vec![Column::gives("REPOSITORY", 1, 12), Column::gives("TAG", 2, 8)];
    if style.digests {
        columns.push(Column::gives("DIGEST", 7, 19));
    }
    columns.extend([
        Column::whole("IMAGE ID"),
        Column::gives("CREATED", 6, 11),
        Column::gives("SIZE", 4, 8),
        Column::gives("STORE", 3, 19),
    ]);
    let cells = |line: &Line<'_>| {
        let mut cells = vec![line.field("Repository"), line.field("Tag")];
        if style.digests {
            cells.push(line.field("Digest"));
        }
        cells.extend(["ID", "CreatedSince", "Size"].map(|name| line.field(name)));
        cells.push(store_cell(line.row));
        cells
    };
    let lines: Vec<Vec<String>> = lines(rows, style).iter().map(cells).collect();
    table(&columns, &lines, style.width.filter(|_| !style.no_trunc))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::cli::render::template::Template;
    use crate::cli::sample;

    fn style(digests: bool, width: Option<usize>) -> Style {
        Style { digests, no_trunc: false, now: sample::now(), width }
    }

    #[test]
    fn the_list_reads_as_dockers_with_the_store_beside_it() {
        assert_snapshot!(text(&sample::images(), style(false, None)), @"
        REPOSITORY                           TAG       IMAGE ID       CREATED          SIZE      STORE
        registry.example.com:5000/team/app   v3        0081f5a699c7   3 seconds ago    2.06MB    classic (hidden)
        registry.example.com:5000/team/app   latest    0081f5a699c7   3 seconds ago    2.06MB    classic (hidden)
        <none>                               <none>    5f7df114d75a   3 seconds ago    2.06MB    classic (hidden)
        tiny/base                            1         a6153feb13c0   4 seconds ago    2.06MB    classic (hidden)
        multi/arch                           1         7738375643e0   5 seconds ago    22.3kB    containerd
        127.0.0.1:5000/lib/bydigest          <none>    607341a3bb34   11 minutes ago   2.06MB    classic (hidden)
        weird                                1         45eef71f9c7e   2 years ago      6.22MB    classic (hidden)
        ");
        assert_snapshot!(text(&sample::images(), style(false, Some(80))), @"
        REPOSITORY       TAG      IMAGE ID       CREATED       SIZE     STORE
        registry.exam…   v3       0081f5a699c7   3 seconds …   2.06MB   classic (hidden)
        registry.exam…   latest   0081f5a699c7   3 seconds …   2.06MB   classic (hidden)
        <none>           <none>   5f7df114d75a   3 seconds …   2.06MB   classic (hidden)
        tiny/base        1        a6153feb13c0   4 seconds …   2.06MB   classic (hidden)
        multi/arch       1        7738375643e0   5 seconds …   22.3kB   containerd
        127.0.0.1:500…   <none>   607341a3bb34   11 minutes…   2.06MB   classic (hidden)
        weird            1        45eef71f9c7e   2 years ago   6.22MB   classic (hidden)
        ");
        assert_snapshot!(text(&sample::images(), style(false, Some(40))), @"
        REPOSITORY         TAG      IMAGE ID
        registry.exampl…   v3       0081f5a699c7
        registry.exampl…   latest   0081f5a699c7
        <none>             <none>   5f7df114d75a
        tiny/base          1        a6153feb13c0
        multi/arch         1        7738375643e0
        127.0.0.1:5000/…   <none>   607341a3bb34
        weird              1        45eef71f9c7e
        ");
    }

    #[test]
    fn digests_get_a_line_each() {
        assert_snapshot!(text(&sample::images(), style(true, Some(120))), @"
        REPOSITORY                         TAG      DIGEST                IMAGE ID       CREATED       SIZE     STORE
        registry.example.com:5000/team/…   v3       <none>                0081f5a699c7   3 seconds …   2.06MB   classic (hidden)
        registry.example.com:5000/team/…   latest   <none>                0081f5a699c7   3 seconds …   2.06MB   classic (hidden)
        <none>                             <none>   <none>                5f7df114d75a   3 seconds …   2.06MB   classic (hidden)
        tiny/base                          1        <none>                a6153feb13c0   4 seconds …   2.06MB   classic (hidden)
        multi/arch                         1        sha256:7738375643e…   7738375643e0   5 seconds …   22.3kB   containerd
        127.0.0.1:5000/lib/bydigest        <none>   sha256:607341a3000…   607341a3bb34   11 minutes…   2.06MB   classic (hidden)
        weird                              1        <none>                45eef71f9c7e   2 years ago   6.22MB   classic (hidden)
        ");
        let mut row = sample::images().remove(2);
        row.digests = ["a", "b"].map(|d| format!("tiny/base@sha256:{d}")).to_vec();
        row.digests.push("other@sha256:c".into());
        let rows = [row];
        let got: Vec<_> = lines(&rows, style(true, None))
            .iter()
            .map(|l| (l.repository, l.tag, l.digest))
            .collect();
        let wanted = [
            ("tiny/base", "1", "sha256:a"),
            ("tiny/base", "1", "sha256:b"),
            ("other", "<none>", "sha256:c"),
        ];
        assert_eq!(got, wanted);
        let got: Vec<_> =
            lines(&rows, style(false, None)).iter().map(|l| (l.repository, l.tag)).collect();
        assert_eq!(got, [("tiny/base", "1"), ("other", "<none>")]);
    }

    #[test]
    fn every_field_that_may_be_named_has_a_text() {
        let rows = sample::images();
        for line in lines(&rows, style(false, None)) {
            for (name, _) in FIELDS {
                let text = line.field(name);
                assert!(!text.is_empty() || *name == "Digest", "{name}");
            }
        }
        let template = Template::parse("json", FIELDS).expect("a template");
        let json = template.render(&lines(&rows[..1], style(false, None)), FIELDS);
        assert_snapshot!(json.expect("a line of JSON"), @r#"
        {"Containers":"0","CreatedAt":"2026-11-20 17:27:43 +0000 UTC","CreatedSince":"3 seconds ago","Digest":"<none>","Driver":"overlay2","Hidden":"true","ID":"0081f5a699c7","Repository":"registry.example.com:5000/team/app","Root":"/var/lib/docker","SharedSize":"N/A","Size":"2.06MB","Store":"classic","Tag":"v3","UniqueSize":"N/A"}
        {"Containers":"0","CreatedAt":"2026-11-20 17:27:43 +0000 UTC","CreatedSince":"3 seconds ago","Digest":"<none>","Driver":"overlay2","Hidden":"true","ID":"0081f5a699c7","Repository":"registry.example.com:5000/team/app","Root":"/var/lib/docker","SharedSize":"N/A","Size":"2.06MB","Store":"classic","Tag":"latest","UniqueSize":"N/A"}
        "#);
    }

    #[test]
    fn the_newest_image_comes_first() {
        let mut rows = sample::images();
        let wanted = rows.clone();
        rows.reverse();
        rows[0].created = None;
        sort(&mut rows);
        assert_eq!(rows.last().map(|row| &row.id), wanted.last().map(|row| &row.id));
        assert!(rows.is_sorted_by(|a, b| a.created >= b.created));
    }
}
