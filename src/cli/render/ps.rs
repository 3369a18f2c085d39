//! The list of containers: Docker's columns first.

use jiff::Timestamp;

use crate::cli::render::images::short;
use crate::cli::render::table::{Column, table};
use crate::cli::render::template::{Field, Fields};
use crate::cli::render::units;
use crate::cli::rows::ps::{ContainerRow, PortRow};

/// What `--format` may name: Docker's fields, then ours.
///
/// docker/cli cli/command/formatter/container.go NewContainerContext
pub(crate) const FIELDS: &[Field] = &[
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("CreatedAt", "CREATED AT"),
    ("RunningFor", "CREATED"),
    ("Ports", "PORTS"),
    ("State", "STATE"),
    ("Status", "STATUS"),
    ("Size", "SIZE"),
    ("Names", "NAMES"),
    ("Labels", "LABELS"),
    ("Mounts", "MOUNTS"),
    ("LocalVolumes", "LOCAL VOLUMES"),
    ("Networks", "NETWORKS"),
    ("Restart", "RESTART"),
    ("Store", "STORE"),
    ("Hidden", "HIDDEN"),
    ("Driver", "DRIVER"),
    ("Root", "ROOT"),
];

/// How the lines are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    /// Whether IDs and commands are whole.
    pub(crate) no_trunc: bool,
    /// Whether sizes were asked for.
    pub(crate) sizes: bool,
    /// What "2 days ago" counts from.
    pub(crate) now: Timestamp,
    /// The terminal's width.
    pub(crate) width: Option<usize>,
}

/// One container and how to show it.
#[derive(Clone, Debug)]
pub(crate) struct Line<'a> {
    row: &'a ContainerRow,
    style: Style,
}

/// Sorts `rows` as Docker does: the newest first.
pub(crate) fn sort(rows: &mut [ContainerRow]) {
    rows.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
}

/// Returns the lines of `rows`.
pub(crate) fn lines(rows: &[ContainerRow], style: Style) -> Vec<Line<'_>> {
    rows.iter().map(|row| Line { row, style }).collect()
}

/// Returns what became of a container, in Docker's words. None of them runs now as far as anyone can
/// tell, so `Up` is never said: a running daemon may have been killed.
///
/// moby v28 daemon/container/state.go String
pub(crate) fn status(row: &ContainerRow, now: Timestamp) -> String {
    let state = &row.state;
    let end = if row.was_running { " (power lost?)" } else { "" };
    match state.status.as_str() {
        "running" if !row.was_running => "Running".to_owned(),
        "running" => format!("Was running{end}"),
        "paused" => format!("Was paused{end}"),
        "restarting" => format!("Was restarting ({}){end}", state.exit_code),
        "removing" => "Removal In Progress".to_owned(),
        "dead" => "Dead".to_owned(),
        "created" => "Created".to_owned(),
        _ => match state.finished {
            None => format!("Exited ({})", state.exit_code),
            ended => format!("Exited ({}) {}", state.exit_code, units::since(ended, now)),
        },
    }
}

/// Returns the command as Docker shows it: arguments with a space are quoted.
///
/// moby v28 daemon/container/view.go transform
pub(crate) fn command(words: &[String]) -> String {
    let quoted = |(at, word): (usize, &String)| match at > 0 && word.contains(' ') {
        true => format!("'{word}'"),
        false => word.clone(),
    };
    words.iter().enumerate().map(quoted).collect::<Vec<_>>().join(" ")
}

/// Returns a port as Docker shows it.
pub(crate) fn port(port: &PortRow) -> String {
    let ip = match port.ip.as_str() {
        "" => String::new(),
        ip if ip.contains(':') => format!("[{ip}]:"),
        ip => format!("{ip}:"),
    };
    let public = port.public.as_deref().unwrap_or("?");
    format!("{ip}{public}->{}/{}", port.private, port.protocol)
}

/// Returns the store's name, and whether it is hidden.
pub(crate) fn store_cell(row: &ContainerRow) -> String {
    match row.store {
        Some(store) => format!("{}{}", store.name(), if row.hidden { " (hidden)" } else { "" }),
        None => format!("{} (gone)", row.driver),
    }
}

fn ellipsis(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

impl Line<'_> {
    /// Returns the container's ID, short unless asked for whole.
    pub(crate) fn id(&self) -> &str {
        if self.style.no_trunc { &self.row.id } else { short(&self.row.id) }
    }

    fn command(&self) -> String {
        let text = command(&self.row.command);
        let text = if self.style.no_trunc { text } else { ellipsis(&text, 20) };
        format!("\"{text}\"")
    }

    fn size(&self) -> String {
        match self.row.size {
            Some(bytes) => units::size(bytes),
            None if self.style.sizes => "N/A".to_owned(),
            None => String::new(),
        }
    }

    fn mounts(&self) -> String {
        let short = |name: &str| if self.style.no_trunc { name.into() } else { ellipsis(name, 15) };
        let mounts = self.row.mounts.iter().map(|mount| short(&mount.source));
        mounts.collect::<Vec<_>>().join(",")
    }
}

impl Fields for Line<'_> {
    fn field(&self, name: &str) -> String {
        let row = self.row;
        match name {
            "ID" => self.id().to_owned(),
            "Image" if row.image.is_empty() => short(&row.image_id).to_owned(),
            "Image" => row.image.clone(),
            "Command" => self.command(),
            "CreatedAt" => units::at(row.created),
            "RunningFor" => units::since(row.created, self.style.now),
            "Ports" => row.ports.iter().map(port).collect::<Vec<_>>().join(", "),
            "State" => row.state.status.clone(),
            "Status" => status(row, self.style.now),
            "Size" => self.size(),
            "Names" => row.name.clone(),
            "Labels" => {
                let labels = row.labels.iter().map(|(key, value)| format!("{key}={value}"));
                labels.collect::<Vec<_>>().join(",")
            }
            "Mounts" => self.mounts(),
            "LocalVolumes" => {
                row.mounts.iter().filter(|mount| mount.kind == "volume").count().to_string()
            }
            "Networks" => row.networks.join(","),
            "Restart" => row.restart.clone().unwrap_or_default(),
            "Store" => row.store.map_or_else(String::new, |store| store.name().to_owned()),
            "Hidden" => row.hidden.to_string(),
            "Driver" => row.driver.clone(),
            "Root" => row.root.clone(),
            _ => String::new(),
        }
    }
}

/// Returns the IDs of `rows`.
pub(crate) fn ids(rows: &[ContainerRow], style: Style) -> String {
    lines(rows, style).iter().map(|line| format!("{}\n", line.id())).collect()
}

/// Returns the table of `rows`.
pub(crate) fn text(rows: &[ContainerRow], style: Style) -> String {
    let mut columns = vec![
        Column::whole("CONTAINER ID"),
        Column::gives("IMAGE", 2, 12),
        Column::gives("COMMAND", 8, 10),
        Column::gives("CREATED", 7, 11),
        Column::gives("STATUS", 1, 14),
        Column::gives("PORTS", 6, 12),
        Column::gives("NAMES", 1, 10),
        Column::gives("STORE", 3, 16),
        Column::gives("RESTART", 5, 7),
    ];
    let names = ["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"];
    if style.sizes {
        columns.push(Column::gives("SIZE", 4, 8));
    }
    let cells = |line: &Line<'_>| {
        let mut cells: Vec<String> = names.iter().map(|name| line.field(name)).collect();
        cells.extend([store_cell(line.row), line.field("Restart")]);
        cells.extend(style.sizes.then(|| line.field("Size")));
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

    fn style(width: Option<usize>) -> Style {
        Style { no_trunc: false, sizes: true, now: sample::now(), width }
    }

    #[test]
    fn the_list_reads_as_dockers_with_the_store_beside_it() {
        assert_snapshot!(text(&sample::containers(), style(None)), @r#"
        CONTAINER ID   IMAGE                                   COMMAND                  CREATED         STATUS                      PORTS                    NAMES     STORE              RESTART          SIZE
        409111641b53   tiny/base:1                             "sh -c 'echo added; …"   2 seconds ago   Was running (power lost?)                            running   classic (hidden)   no               33B
        55aa64f50ccc   nginx                                   "sh -c 'echo added; …"   3 seconds ago   Created                     127.0.0.1:8080->80/tcp   web       containerd         unless-stopped   33B
        d0e9fc8535fd   registry.example.com:5000/team/app:v1   "sh -c 'echo added; …"   4 seconds ago   Exited (3) 3 seconds ago                             changed   classic (hidden)   no               33B
        0a1b2c3d4e5f   tiny/base:1                             "sh -c 'echo added; …"   2 years ago     Exited (0) 3 seconds ago                             lost      aufs (gone)                         N/A
        "#);
        assert_snapshot!(text(&sample::containers(), style(Some(100))), @"
        CONTAINER ID   IMAGE          STATUS                     NAMES     STORE              RESTART   SIZE
        409111641b53   tiny/base:1    Was running (power lost…   running   classic (hidden)   no        33B
        55aa64f50ccc   nginx          Created                    web       containerd         unless…   33B
        d0e9fc8535fd   registry.ex…   Exited (3) 3 seconds ago   changed   classic (hidden)   no        33B
        0a1b2c3d4e5f   tiny/base:1    Exited (0) 3 seconds ago   lost      aufs (gone)                  N/A
        ");
        for width in 60..200 {
            let text = text(&sample::containers(), style(Some(width)));
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest.is_some_and(|widest| widest <= width), "{width}");
        }
    }

    #[test]
    fn every_state_has_docker_s_words() {
        let row = sample::containers().remove(2);
        let said = |status_word: &str, was_running| {
            let mut row = row.clone();
            row.state.status = status_word.into();
            row.was_running = was_running;
            status(&row, sample::now())
        };
        for (word, was_running, wanted) in [
            ("running", true, "Was running (power lost?)"),
            ("running", false, "Running"),
            ("paused", true, "Was paused (power lost?)"),
            ("restarting", true, "Was restarting (3) (power lost?)"),
            ("created", false, "Created"),
            ("dead", false, "Dead"),
            ("removing", false, "Removal In Progress"),
            ("exited", false, "Exited (3) 3 seconds ago"),
        ] {
            assert_eq!(said(word, was_running), wanted, "{word}");
        }
    }

    #[test]
    fn every_field_that_may_be_named_has_a_text() {
        let rows = sample::containers();
        for (name, _) in FIELDS {
            let any = lines(&rows, style(None)).iter().any(|line| !line.field(name).is_empty());
            assert!(any, "{name}");
        }
        let template = Template::parse("{{.Names}}: {{.Ports}}", FIELDS).expect("a template");
        let text = template.render(&lines(&rows[1..2], style(None)), FIELDS).expect("a line");
        assert_eq!(text, "web: 127.0.0.1:8080->80/tcp\n");
    }
}
