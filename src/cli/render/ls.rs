//! Files as `ls` shows them.

use crate::cli::render::text::printable;
use crate::cli::rows::ls::FileRow;

/// Some files under one heading.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block {
    /// The folder, where there are several.
    pub(crate) heading: Option<String>,
    /// What is in it, each with the name it is shown by.
    pub(crate) files: Vec<(String, FileRow)>,
}

/// Returns the text of `blocks`: names alone, or with `long` all that is known.
pub(crate) fn text(blocks: &[Block], long: bool) -> String {
    let mut text = String::new();
    for (number, block) in blocks.iter().enumerate() {
        if let Some(heading) = &block.heading {
            let gap = if number > 0 { "\n" } else { "" };
            text.push_str(&format!("{gap}{}:\n", printable(heading)));
        }
        match long {
            true => lines(&block.files, &mut text),
            false => {
                for (name, _) in &block.files {
                    text.push_str(&format!("{}\n", printable(name)));
                }
            }
        }
    }
    text
}

fn lines(files: &[(String, FileRow)], text: &mut String) {
    let size = |row: &FileRow| row.device.clone().unwrap_or_else(|| row.size.to_string());
    let widest = |cell: &dyn Fn(&FileRow) -> String| {
        files.iter().map(|(_, row)| cell(row).len()).max().unwrap_or_default()
    };
    let links = widest(&|row| row.links.to_string());
    let uid = widest(&|row| row.uid.to_string());
    let gid = widest(&|row| row.gid.to_string());
    let sizes = widest(&size);
    for (name, row) in files {
        let time = row
            .mtime
            .map_or_else(|| "?".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M").to_string());
        let target = row.target.as_ref().map(|target| format!(" -> {}", printable(target)));
        text.push_str(&format!(
            "{} {:>links$} {:>uid$} {:>gid$} {:>sizes$} {time:16} {}{}\n",
            mode(row),
            row.links,
            row.uid,
            row.gid,
            size(row),
            printable(name),
            target.unwrap_or_default(),
        ));
    }
}

/// Returns the type and permissions in ten letters, as POSIX has them of `ls -l`.
fn mode(row: &FileRow) -> String {
    let bits = u32::from_str_radix(&row.mode, 8).unwrap_or_default();
    let mut letters = String::from(row.kind.letter());
    for (shift, special, set) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits_here = bits >> shift;
        letters.push(if bits_here & 4 > 0 { 'r' } else { '-' });
        letters.push(if bits_here & 2 > 0 { 'w' } else { '-' });
        letters.push(match (bits & special > 0, bits_here & 1 > 0) {
            (true, true) => set,
            (true, false) => set.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    letters
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::cli::rows::ls::FileKind;

    fn file(name: &str, kind: FileKind, mode: &str, size: u64) -> (String, FileRow) {
        let row = FileRow {
            of: "web".into(),
            path: format!("/{name}"),
            path_bytes: None,
            kind,
            mode: mode.into(),
            uid: 0,
            gid: 0,
            links: 1,
            size,
            mtime: "2026-11-20T17:27:46Z".parse().ok(),
            target: None,
            device: None,
            xattrs: Default::default(),
        };
        (name.to_owned(), row)
    }

    #[test]
    fn long_lines_stand_in_columns() {
        let mut link = file("sh", FileKind::Symlink, "0777", 0);
        link.1.target = Some("bus\u{1b}ybox".into());
        let mut null = file("null", FileKind::Char, "0666", 0);
        (null.1.device, null.1.uid) = (Some("1:3".into()), 65534);
        let mut old = file("su", FileKind::File, "4755", 2_061_456);
        old.1.mtime = None;
        let tmp = file("tmp", FileKind::Dir, "1777", 0);
        let odd = file("a\nb", FileKind::File, "6600", 1);
        let files = vec![odd, link, null, old, tmp];
        let block = |heading: &str| Block { heading: Some(heading.into()), files: files.clone() };
        let blocks = [Block { heading: None, files: files.clone() }];
        assert_snapshot!(text(&blocks, true), @r"
        -rwS--S--- 1     0 0       1 2026-11-20 17:27 a\nb
        lrwxrwxrwx 1     0 0       0 2026-11-20 17:27 sh -> bus\u{1b}ybox
        crw-rw-rw- 1 65534 0     1:3 2026-11-20 17:27 null
        -rwsr-xr-x 1     0 0 2061456 ?                su
        drwxrwxrwt 1     0 0       0 2026-11-20 17:27 tmp
        ");
        assert_eq!(text(&[block("web:/a"), block("web:/b")], false).lines().count(), 13);
    }
}
