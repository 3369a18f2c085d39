//! The list of volumes: Docker's columns first.

use crate::cli::render::table::{Column, table};
use crate::cli::render::template::{Field, Fields};
use crate::cli::render::text::{count, list, printable};
use crate::cli::render::units;
use crate::cli::rows::volumes::{VolumeRow, VolumesCarried};

/// What `--format` may name: Docker's fields, then ours.
///
/// docker/cli cli/command/formatter/volume.go newVolumeContext
pub(crate) const FIELDS: &[Field] = &[
    ("Name", "VOLUME NAME"),
    ("Driver", "DRIVER"),
    ("Scope", "SCOPE"),
    ("Mountpoint", "MOUNTPOINT"),
    ("Labels", "LABELS"),
    ("Links", "LINKS"),
    ("Size", "SIZE"),
    ("UsedBy", "USED BY"),
    ("Hidden", "HIDDEN"),
    ("Anonymous", "ANONYMOUS"),
    ("Device", "DEVICE"),
    ("Root", "ROOT"),
];

impl Fields for VolumeRow {
    fn field(&self, name: &str) -> String {
        match name {
            "Name" => self.name.clone(),
            "Driver" => self.driver.clone(),
            "Scope" => "local".to_owned(),
            "Mountpoint" => self.mountpoint.clone().unwrap_or_default(),
            "Labels" => {
                let label = |(key, value): (&String, &String)| format!("{key}={value}");
                self.labels.iter().map(label).collect::<Vec<_>>().join(",")
            }
            "Links" => self.used_by.len().to_string(),
            "Size" => self.size.map_or_else(|| "N/A".to_owned(), units::size),
            "UsedBy" => used_by(self),
            "Hidden" => self.hidden.to_string(),
            "Anonymous" => self.anonymous.to_string(),
            "Device" => self.mount.as_ref().map_or_else(String::new, |mount| mount.device.clone()),
            "Root" => self.root.clone(),
            _ => String::new(),
        }
    }
}

fn used_by(row: &VolumeRow) -> String {
    let user = |user: &crate::cli::rows::volumes::UserRow| {
        let hidden = if user.hidden { " (hidden)" } else { "" };
        format!("{}{hidden}", user.name)
    };
    row.used_by.iter().map(user).collect::<Vec<_>>().join(", ")
}

/// Where the files of a volume are that mounts something, as its driver's cell says it.
fn driver(row: &VolumeRow) -> String {
    match &row.mount {
        Some(mount) => format!("{} ({} {})", row.driver, mount.kind, mount.device),
        None => row.driver.clone(),
    }
}

/// Returns the table of `rows`.
pub(crate) fn text(rows: &[VolumeRow], width: Option<usize>) -> String {
    let columns = [
        Column::gives("DRIVER", 3, 5),
        Column::gives("VOLUME NAME", 1, 12),
        Column::gives("SIZE", 4, 8),
        Column::gives("USED BY", 2, 12),
    ];
    let cells =
        |row: &VolumeRow| vec![driver(row), row.name.clone(), row.field("Size"), used_by(row)];
    let rows: Vec<_> = rows.iter().map(cells).collect();
    table(&columns, &rows, width)
}

/// Returns what is to be said of volumes that the daemon takes for unused although they are not.
pub(crate) fn hidden_note(rows: &[VolumeRow]) -> Option<String> {
    let hidden: Vec<_> = rows.iter().filter(|row| row.hidden).collect();
    let most = hidden.iter().take(3).map(|row| printable(&row.name).into_owned());
    let mut names: Vec<String> = most.collect();
    match hidden.len() {
        0 => return None,
        1..=3 => {}
        all => names.push(format!("{} more", all - 3)),
    }
    let verb = if hidden.len() == 1 { "is" } else { "are" };
    let (names, them) = (list(&names), if hidden.len() == 1 { "it" } else { "them" });
    Some(format!(
        "{names} {verb} used by containers alone that the daemon which starts next does not see: \
         `docker volume prune --all` would delete {them}, and without --all if anonymous"
    ))
}

/// Returns what became of an export or import.
pub(crate) fn carried(done: &VolumesCarried) -> String {
    let line = |row: &crate::cli::rows::volumes::CarriedRow| {
        let files = count(row.files, "file");
        let to = row.mountpoint.as_ref().map(|place| format!(" in {}", printable(place)));
        let replaced = if row.replaced { ", in place of what was there" } else { "" };
        let (name, to) = (printable(&row.name), to.unwrap_or_default());
        format!("{name}: {files}, {}{to}{replaced}\n", units::size(row.size))
    };
    let lines: String = done.volumes.iter().map(line).collect();
    let end = if done.dry_run { "Nothing was written: this was a dry run.\n" } else { "" };
    lines + end
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::cli::sample;

    #[test]
    fn the_list_reads_as_dockers_with_more_beside_it() {
        assert_snapshot!(text(&sample::volumes(), None), @"
        DRIVER                 VOLUME NAME                                                        SIZE      USED BY
        local                  7d6e4abd0995b000000000000000000000000000000000000000000000000000   0B        web
        local                  db                                                                 48MB      old-db (hidden)
        local (nfs :/export)   share                                                              N/A
        local                  web                                                                1.23kB    web, old-web (hidden)
        ");
        assert_snapshot!(text(&sample::volumes(), Some(60)), @"
        DRIV…   VOLUME NAME                    SIZE     USED BY
        local   7d6e4abd0995b00000000000000…   0B       web
        local   db                             48MB     old-db (hid…
        loca…   share                          N/A
        local   web                            1.23kB   web, old-we…
        ");
        assert_snapshot!(hidden_note(&sample::volumes()).expect("one is hidden"), @"db is used by containers alone that the daemon which starts next does not see: `docker volume prune --all` would delete it, and without --all if anonymous");
        assert_eq!(hidden_note(&sample::volumes()[2..]), None);
    }

    #[test]
    fn every_field_that_may_be_named_has_a_text() {
        for (name, _) in FIELDS {
            assert!(sample::volumes().iter().any(|row| !row.field(name).is_empty()), "{name}");
        }
    }
}
