//! Where every byte is, for people.

use std::collections::BTreeMap;

use crate::cli::render::Widths;
use crate::cli::render::table::{self, Column};
use crate::cli::render::text::{count, first, printable, wrap};
use crate::cli::render::units::size;
use crate::cli::rows::StoreKind;
use crate::cli::rows::usage::{GroupRow, LineRow, RemovalRow, ThingRow, UsageReport};
use crate::model::Use;

/// So many of the largest things are named.
const LARGEST: usize = 5;

/// How wide the longest bar is.
const BAR: usize = 24;
const BAR_WIDTH: u16 = 24;

/// So many names are told of one thing; `--json` has them all.
const NAMED: usize = 4;

/// Returns the first screen: the sum, what it is of, the largest things, and what can go.
pub(crate) fn text(report: &UsageReport, top: Option<usize>, widths: Widths) -> String {
    let width = widths.text;
    let places: Vec<_> = report.places.iter().map(|place| printable(place)).collect();
    let total = report.total;
    let sum = format!(
        "{} on disk in {}; {} when read",
        size(total.on_disk),
        count(total.files, "file"),
        size(total.apparent),
    );
    let mut out = format!("{}\n{}\n\n", places.join("\n"), wrap(&sum, width, ""));
    out += &kinds(report, widths.table);
    out += &largest(&report.lines, top.unwrap_or(LARGEST), widths);
    if report.hidden > 0 {
        let text = format!(
            "Hidden: {}, in stores that no daemon shows at its next start. `tranship status` tells why.",
            size(report.hidden)
        );
        out += &format!("\n{}\n", wrap(&text, width, ""));
    }
    let text = match report.reclaimable {
        0 => "Nothing here is of no use to anybody.".to_owned(),
        bytes => format!(
            "Nobody would miss {}: `tranship reclaim --orphans` shows the proof for each, and removes it.",
            size(bytes)
        ),
    };
    out += &format!("\n{}\n", wrap(&text, width, ""));
    out
}

fn kinds(report: &UsageReport, width: Option<usize>) -> String {
    let mut sums: BTreeMap<(Use, Option<StoreKind>, bool), (u64, u64)> = BTreeMap::new();
    for line in &report.lines {
        let sum = sums.entry((line.thing.kind, line.thing.store, line.hidden)).or_default();
        sum.0 = sum.0.saturating_add(line.on_disk);
        sum.1 += 1;
    }
    let mut sums: Vec<_> = sums.into_iter().collect();
    sums.sort_by_key(|(_, (bytes, _))| std::cmp::Reverse(*bytes));
    let most = sums.first().map_or(0, |(_, (bytes, _))| *bytes);
    let row =
        |((kind, store, hidden), (bytes, lines)): &((Use, Option<StoreKind>, bool), (u64, u64))| {
            let store = store.map_or("", StoreKind::name);
            let store = if *hidden { format!("{store} (hidden)") } else { store.to_owned() };
            let mut row = vec![
                kind.name().to_owned(),
                store.trim().to_owned(),
                size(*bytes),
                lines.to_string(),
            ];
            // A bar is for eyes.
            row.extend(width.map(|_| bar(*bytes, most)));
            row
        };
    let rows: Vec<_> = sums.iter().map(row).collect();
    let mut columns = vec![
        Column::whole("KIND"),
        Column::gives("STORE", 2, 10),
        Column::whole("ON DISK"),
        Column::gives("THINGS", 3, 6),
    ];
    columns.extend(width.map(|_| Column::gives("", 4, BAR_WIDTH)));
    table::table(&columns, &rows, width)
}

/// Returns which store something is in, and that it is hidden.
fn in_store(store: Option<StoreKind>, hidden: bool) -> String {
    let words = [store.map(StoreKind::name), hidden.then_some("(hidden)")];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn bar(bytes: u64, most: u64) -> String {
    let eighths = (u128::from(bytes) * BAR as u128 * 8).checked_div(u128::from(most)).unwrap_or(0);
    let eighths = usize::try_from(eighths).unwrap_or(0);
    let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    "█".repeat(eighths / 8) + rest
}

fn largest(lines: &[LineRow], top: usize, widths: Widths) -> String {
    let mut lines: Vec<&LineRow> = lines.iter().collect();
    lines.sort_by_key(|line| std::cmp::Reverse(line.on_disk));
    let row = |line: &&LineRow| {
        vec![
            what(&line.thing),
            size(line.on_disk),
            size(line.frees_alone),
            first(&line.thing.names, NAMED),
        ]
    };
    let rows: Vec<_> = lines.iter().take(top).map(row).collect();
    let columns = [
        Column::gives("LARGEST", 1, 24),
        Column::whole("ON DISK"),
        Column::gives("FREES ALONE", 3, 11),
        Column::gives("HELD BY", 2, 12),
    ];
    format!("\n{}", table::table(&columns, &rows, widths.table))
}

/// Returns what a thing is in a few words.
pub(crate) fn what(thing: &ThingRow) -> String {
    let role = if thing.role.is_empty() { String::new() } else { format!(" ({})", thing.role) };
    format!("{} {}{role}", thing.kind.name(), short(&thing.id))
}

/// Returns IDs as Docker shows them, and anything else as it is.
fn short(id: &str) -> &str {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    let is_id = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id { &digits[..12] } else { id }
}

/// Returns the table of lines that were put together.
pub(crate) fn table(groups: &[GroupRow], width: Option<usize>) -> String {
    let row = |group: &GroupRow| {
        vec![
            short(&group.id).to_owned(),
            in_store(group.store, group.hidden),
            size(group.on_disk),
            size(group.shared),
            size(group.frees_alone),
            group.names.join(", "),
        ]
    };
    let rows: Vec<_> = groups.iter().map(row).collect();
    // Folders hold what many hold.
    if groups.iter().all(|group| group.lines == 0) {
        let rows: Vec<_> = rows.iter().map(|row| vec![row[0].clone(), row[2].clone()]).collect();
        return table::table(
            &[Column::gives("DIRECTORY", 1, 12), Column::whole("ON DISK")],
            &rows,
            width,
        );
    }
    let columns = [
        Column::gives("ID", 1, 12),
        Column::gives("STORE", 4, 10),
        Column::whole("ON DISK"),
        Column::gives("SHARED", 3, 6),
        Column::whole("FREES ALONE"),
        Column::gives("NAMES", 2, 12),
    ];
    table::table(&columns, &rows, width)
}

/// Returns what would be free, and what would not.
pub(crate) fn removal(removal: &RemovalRow, width: usize) -> String {
    let list = |title: &str, items: &[String]| match items {
        [] => String::new(),
        items => {
            let line =
                |item: &String| wrap(&format!("  {}", printable(item)), width, "    ") + "\n";
            format!("{title}\n{}", items.iter().map(line).collect::<String>())
        }
    };
    let mut out = list("Without", &removal.things) + &list("and along with it", &removal.along);
    let frees = format!("{} would be free: {} bytes.", size(removal.frees), removal.frees);
    out += &format!("{}\n", wrap(&frees, width, ""));
    let stays: u64 = removal.stays.iter().map(|one| one.on_disk).sum();
    if stays > 0 {
        let mut by: BTreeMap<&str, u64> = BTreeMap::new();
        for one in &removal.stays {
            for holder in &one.held_by {
                *by.entry(holder).or_default() += one.on_disk;
            }
        }
        out += &format!("\n{} of it would stay, for others hold it too:\n", size(stays));
        let line = |(holder, bytes): (&&str, &u64)| {
            wrap(&format!("  {}: {}", printable(holder), size(*bytes)), width, "    ") + "\n"
        };
        out += &by.iter().map(line).collect::<String>();
    }
    out
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::cli::rows::usage::StaysRow;
    use crate::cli::sample;

    fn screen(width: Option<usize>) -> String {
        text(&sample::usage(false), None, Widths { table: width, text: width.unwrap_or(80) })
    }

    #[test]
    fn the_first_screen_answers() {
        assert_snapshot!(screen(None), @r"
        /var/lib/docker
        2.96GB on disk in 50 files; 2.67GB when read

        KIND      STORE              ON DISK   THINGS
        layer     classic (hidden)   2.2GB     1
        blob      containerd         700MB     1
        volume                       48MB      1
        logs                         12MB      1
        orphan    classic (hidden)   5MB       1

        LARGEST                       ON DISK   FREES ALONE   HELD BY
        layer 1a7e00000000            2.2GB     4.1kB         tiny/base:1, team/app:v3
        blob 2b0000000000 (layer)     700MB     700MB         multi/arch:1
        volume db\u{1b}[31m (named)   48MB      48MB          db\u{1b}[31m
        logs c0ffeec0ffee             12MB      12MB          web
        orphan overlay2/lost          5MB       5MB

        Hidden: 2.21GB, in stores that no daemon shows at its next start. `tranship
        status` tells why.

        Nobody would miss 5MB: `tranship reclaim --orphans` shows the proof for each,
        and removes it.
        ");
        assert_snapshot!(screen(Some(100)), @r"
        /var/lib/docker
        2.96GB on disk in 50 files; 2.67GB when read

        KIND      STORE              ON DISK   THINGS
        layer     classic (hidden)   2.2GB     1         ████████████████████████
        blob      containerd         700MB     1         ███████▋
        volume                       48MB      1         ▌
        logs                         12MB      1         ▏
        orphan    classic (hidden)   5MB       1

        LARGEST                       ON DISK   FREES ALONE   HELD BY
        layer 1a7e00000000            2.2GB     4.1kB         tiny/base:1, team/app:v3
        blob 2b0000000000 (layer)     700MB     700MB         multi/arch:1
        volume db\u{1b}[31m (named)   48MB      48MB          db\u{1b}[31m
        logs c0ffeec0ffee             12MB      12MB          web
        orphan overlay2/lost          5MB       5MB

        Hidden: 2.21GB, in stores that no daemon shows at its next start. `tranship status` tells why.

        Nobody would miss 5MB: `tranship reclaim --orphans` shows the proof for each, and removes it.
        ");
        assert_snapshot!(screen(Some(44)), @r"
        /var/lib/docker
        2.96GB on disk in 50 files; 2.67GB when read

        KIND     STORE              ON DISK   THINGS
        layer    classic (hidden)   2.2GB     1
        blob     containerd         700MB     1
        volume                      48MB      1
        logs                        12MB      1
        orphan   classic (hidden)   5MB       1

        LARGEST                       ON DISK
        layer 1a7e00000000            2.2GB
        blob 2b0000000000 (layer)     700MB
        volume db\u{1b}[31m (named)   48MB
        logs c0ffeec0ffee             12MB
        orphan overlay2/lost          5MB

        Hidden: 2.21GB, in stores that no daemon
        shows at its next start. `tranship status`
        tells why.

        Nobody would miss 5MB: `tranship reclaim
        --orphans` shows the proof for each, and
        removes it.
        ");
    }

    #[test]
    fn a_table_by_image_tells_what_each_frees() {
        assert_snapshot!(table(&sample::usage(true).groups, None), @r"
        ID             STORE              ON DISK   SHARED    FREES ALONE   NAMES
        1a7e00000000   classic (hidden)   2.2GB     2.2GB     4.1kB         tiny/base:1
        ");
    }

    #[test]
    fn what_stays_is_told_with_who_holds_it() {
        let stays = StaysRow {
            kind: Use::Layer,
            id: "sha256:1a7e".into(),
            on_disk: 2_200_000_000,
            held_by: vec!["image team/app:v3".into(), "container web".into()],
        };
        let one = RemovalRow {
            things: vec!["image tiny/base:1 (a6153feb13c0)".into()],
            along: vec!["image 5f7df114d75a, which it was built from".into()],
            frees: 4096,
            stays: vec![stays],
        };
        assert_snapshot!(removal(&one, 80), @r"
        Without
          image tiny/base:1 (a6153feb13c0)
        and along with it
          image 5f7df114d75a, which it was built from
        4.1kB would be free: 4096 bytes.

        2.2GB of it would stay, for others hold it too:
          container web: 2.2GB
          image team/app:v3: 2.2GB
        ");
        let all = RemovalRow { along: Vec::new(), stays: Vec::new(), ..one };
        assert_snapshot!(removal(&all, 80), @r"
        Without
          image tiny/base:1 (a6153feb13c0)
        4.1kB would be free: 4096 bytes.
        ");
    }

    #[test]
    fn a_bar_is_as_long_as_its_part() {
        assert_eq!(bar(8, 8).chars().count(), BAR);
        assert_eq!(bar(4, 8).chars().count(), BAR / 2);
        assert_eq!((bar(0, 8).as_str(), bar(0, 0).as_str()), ("", ""));
        assert_eq!(bar(u64::MAX, u64::MAX).chars().count(), BAR);
    }
}
