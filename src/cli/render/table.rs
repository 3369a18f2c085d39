//! Tables as Docker prints them: no borders, three spaces between columns.

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Row, Table, Width};

use crate::cli::render::text::printable;

/// The spaces between two columns, and the least a column takes with them.
///
/// docker/cli cli/command/formatter/formatter.go: tabwriter.NewWriter(out, 10, 1, 3, ' ', 0)
const GAP: u16 = 3;
const LEAST: u16 = 10 - GAP;

/// One column, and what may become of it on a narrow terminal.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    header: String,
    /// Columns give way in the order of their rank, the highest first; rank 0 never does.
    rank: u8,
    /// The narrowest it may be cut to.
    least: u16,
}

impl Column {
    /// Returns a column that is always shown whole.
    pub(crate) fn whole(header: impl Into<String>) -> Self {
        Self { header: header.into(), rank: 0, least: u16::MAX }
    }

    /// Returns a column that may be cut to `least`, then left out, before those of lower `rank`.
    pub(crate) fn gives(header: impl Into<String>, rank: u8, least: u16) -> Self {
        Self { header: header.into(), rank, least }
    }
}

/// Returns the table of `rows`, without cells that have no column, under `columns`, no wider than `width` if the columns' ranks allow
/// it. Without a width, as on a pipe, nothing is ever cut.
pub(crate) fn table(columns: &[Column], rows: &[Vec<String>], width: Option<usize>) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| printable(cell).into_owned()).collect())
        .collect();
    let content = content_widths(columns, &rows);
    let (shown, widths) = match width {
        Some(width) => fit(columns, &content, width),
        None => roomy(&content),
    };
    render(columns, &rows, &shown, &widths)
}

fn content_widths(columns: &[Column], rows: &[Vec<String>]) -> Vec<u16> {
    let mut table = Table::new();
    table.set_header(columns.iter().map(|column| &column.header));
    table.add_rows(rows);
    let mut widths = table.column_max_content_widths();
    widths.truncate(columns.len());
    widths
}

/// Every column, as wide as Docker makes it.
fn roomy(content: &[u16]) -> (Vec<usize>, Vec<u16>) {
    let last = content.len().saturating_sub(1);
    let wide = |(n, width): (usize, &u16)| {
        if n == last { *width } else { (*width).max(LEAST) }
    };
    ((0..content.len()).collect(), content.iter().enumerate().map(wide).collect())
}

fn total(widths: &[u16]) -> usize {
    let gaps = usize::from(GAP) * widths.len().saturating_sub(1);
    gaps + widths.iter().map(|width| usize::from(*width)).sum::<usize>()
}

/// Cuts columns, then leaves columns out, until the rest fits or nothing more may give way.
fn fit(columns: &[Column], content: &[u16], width: usize) -> (Vec<usize>, Vec<u16>) {
    let (mut shown, widths) = roomy(content);
    if total(&widths) <= width {
        return (shown, widths);
    }
    loop {
        let widths = cut(columns, content, &shown, width);
        let next = shown.iter().copied().max_by_key(|n| columns[*n].rank);
        match next {
            Some(next) if total(&widths) > width && columns[next].rank > 0 => {
                shown.retain(|n| *n != next);
            }
            _ => return (shown, widths),
        }
    }
}

/// Returns the widths of the `shown` columns, those of the highest rank cut first.
fn cut(columns: &[Column], content: &[u16], shown: &[usize], width: usize) -> Vec<u16> {
    let mut widths: Vec<u16> = shown.iter().map(|n| content[*n]).collect();
    let mut order: Vec<usize> = (0..shown.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(columns[shown[*at]].rank));
    for at in order {
        let over = u16::try_from(total(&widths).saturating_sub(width)).unwrap_or(u16::MAX);
        let least = columns[shown[at]].least.min(widths[at]);
        widths[at] = widths[at].saturating_sub(over).max(least);
    }
    widths
}

fn render(columns: &[Column], rows: &[Vec<String>], shown: &[usize], widths: &[u16]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_truncation_indicator("…");
    // Cells hold no NUL, so text is cut where its column ends and not at the word before.
    table.set_delimiter('\0');
    table.set_header(line(shown.iter().map(|n| columns[*n].header.as_str())));
    for row in rows {
        table.add_row(line(shown.iter().map(|n| row.get(*n).map_or("", String::as_str))));
    }
    for (column, width) in table.column_iter_mut().zip(widths) {
        column.set_padding((0, GAP));
        column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width.saturating_add(GAP))));
    }
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn line<'a>(cells: impl Iterator<Item = &'a str>) -> Row {
    let mut row = Row::from(cells);
    row.max_height(1);
    row
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn sample(width: Option<usize>) -> String {
        let columns = [
            Column::gives("REPOSITORY", 1, 12),
            Column::whole("TAG"),
            Column::gives("CREATED", 3, 9),
            Column::gives("STORE", 2, 10),
            Column::whole("SIZE"),
        ];
        let rows = [
            [
                "registry.example.com:5000/team/app",
                "v1",
                "2 weeks ago",
                "classic (hidden)",
                "2.06MB",
            ],
            ["tiny/日本", "1", "Less than a second ago", "containerd", "3.3MB"],
        ];
        table(&columns, &rows.map(|row| row.map(String::from).to_vec()), width)
    }

    #[test]
    fn a_pipe_and_a_wide_terminal_get_every_column_whole() {
        assert_eq!(sample(None), sample(Some(200)));
        assert_snapshot!(sample(None), @"
        REPOSITORY                           TAG       CREATED                  STORE              SIZE
        registry.example.com:5000/team/app   v1        2 weeks ago              classic (hidden)   2.06MB
        tiny/日本                            1         Less than a second ago   containerd         3.3MB
        ");
    }

    #[test]
    fn a_narrow_terminal_gets_the_columns_that_matter() {
        assert_snapshot!(sample(Some(80)), @"
        REPOSITORY                           TAG   CREATED     STORE              SIZE
        registry.example.com:5000/team/app   v1    2 weeks …   classic (hidden)   2.06MB
        tiny/日本                            1     Less tha…   containerd         3.3MB
        ");
        assert_snapshot!(sample(Some(40)), @"
        REPOSITORY     TAG   STORE        SIZE
        registry.ex…   v1    classic (…   2.06MB
        tiny/日本      1     containerd   3.3MB
        ");
        for width in 30..120 {
            let widest = sample(Some(width)).lines().map(|line| line.chars().count()).max();
            assert!(widest.is_some_and(|widest| widest <= width), "{width}");
        }
    }

    #[test]
    fn hostile_cells_stay_in_their_line() {
        let columns = [Column::whole("NAME"), Column::whole("X")];
        let rows = [vec!["a\nb\t\x1b[2J".to_owned(), "x".to_owned()], vec!["short".to_owned()]];
        assert_snapshot!(table(&columns, &rows, None), @r"
        NAME              X
        a\nb\t\u{1b}[2J   x
        short
        ");
        assert_eq!(table(&columns, &[], None), "NAME      X\n");
        assert_eq!(table(&[], &[], Some(10)), "");
        assert_eq!(table(&[], &rows, Some(10)).trim(), "");
        let wide = [vec!["x".repeat(100_000), "y".to_owned(), "no column".to_owned()]];
        for width in [None, Some(0), Some(1), Some(40)] {
            assert!(table(&columns, &wide, width).contains('x'));
        }
    }
}
