//! The status in words: what is here, what will be shown, what is hidden.

use crate::cli::render::table::{Column, table};
use crate::cli::render::text::{count, list, printable, wrap};
use crate::cli::render::units;
use crate::cli::render::{Widths, findings};
use crate::cli::rows::status::{ChangeRow, ChoiceRow, NextStart, RootRow, Status, StoreRow};

/// Returns all of `status` but its findings.
pub(crate) fn text(status: &Status, widths: Widths) -> String {
    if status.roots.is_empty() {
        return "No Docker data was found here.\n".to_owned();
    }
    status.roots.iter().map(|root| root_text(root, widths)).collect::<Vec<_>>().join("\n\n")
}

/// Returns the findings of all roots.
pub(crate) fn findings(status: &Status, width: usize) -> String {
    status.roots.iter().map(|root| findings::text(&root.findings, width)).collect()
}

fn root_text(root: &RootRow, widths: Widths) -> String {
    let mut out = format!("{}\n\n", printable(&root.path));
    if root.stores.is_empty() {
        return out + "It holds no image store.\n";
    }
    out += &stores(&root.stores, widths.table);
    match &root.next_start {
        Some(next) => out += &next_start(next, widths.text),
        None => out += "\nThese are images to be loaded: no Docker starts here.\n",
    }
    out += &hidden(&root.stores, widths.text);
    out += &changes(&root.changes, widths.text);
    out
}

fn stores(stores: &[StoreRow], width: Option<usize>) -> String {
    let columns = [
        Column::whole("STORE"),
        Column::gives("DRIVER", 4, 9),
        Column::whole("IMAGES"),
        Column::gives("CONTAINERS", 3, 10),
        Column::gives("SIZE", 2, 8),
        Column::gives("STATE", 1, 6),
    ];
    let cells = |store: &StoreRow| {
        vec![
            store.store.name().to_owned(),
            store.driver.clone(),
            store.images.to_string(),
            store.containers.to_string(),
            size(store),
            state(store).to_owned(),
        ]
    };
    table(&columns, &stores.iter().map(cells).collect::<Vec<_>>(), width)
}

fn size(store: &StoreRow) -> String {
    let about = if store.bytes_estimated { "~" } else { "" };
    store.bytes.map_or_else(String::new, |bytes| format!("{about}{}", units::size(bytes)))
}

fn state(store: &StoreRow) -> &'static str {
    match (store.hidden, store.open_by_daemon) {
        (true, true) => "hidden, open in a daemon",
        (true, false) => "hidden",
        (false, true) => "open in a daemon",
        (false, false) => "",
    }
}

fn next_start(next: &NextStart, width: usize) -> String {
    let choices = [
        ("Docker 28 or older", &next.docker_28),
        ("Docker 29", &next.docker_29),
        ("Rancher Desktop (automatic)", &next.rancher_auto),
    ];
    let mut out = "\nAt its next start:\n".to_owned();
    for (daemon, choice) in choices {
        out += &wrap(&choice_text(daemon, choice), width, "    ");
        out.push('\n');
    }
    out
}

fn choice_text(daemon: &str, choice: &ChoiceRow) -> String {
    let does = match choice.store {
        Some(store) => format!("shows the {} store", store.name()),
        None => "will not start".to_owned(),
    };
    format!("  {daemon} {does}: {}.", printable(choice.why.trim_end_matches('.')))
}

fn hidden(stores: &[StoreRow], width: usize) -> String {
    let hidden: Vec<&StoreRow> =
        stores.iter().filter(|store| store.hidden && !is_empty(store)).collect();
    if hidden.is_empty() {
        return String::new();
    }
    let stores: Vec<String> = hidden.iter().map(|store| held_by(store)).collect();
    let text = format!(
        "Hidden: {}. They are on disk and nothing removes them; the daemon does not look there.",
        list(&stores)
    );
    format!("\n{}\n", wrap(&text, width, ""))
}

/// A store that holds nothing hides nothing.
fn is_empty(store: &StoreRow) -> bool {
    store.images == 0 && store.containers == 0
}

fn held_by(store: &StoreRow) -> String {
    let containers = match store.containers {
        0 => String::new(),
        n => format!(" and {}", count(n, "container")),
    };
    let size = store.bytes.map_or_else(String::new, |_| format!(" ({})", size(store)));
    let images = count(store.images, "image");
    format!("{images}{containers}{size} in the {} store", store.store.name())
}

fn changes(changes: &[ChangeRow], width: usize) -> String {
    let mut out = String::new();
    for change in changes {
        let what = printable(change.what.trim_end_matches('.'));
        let text = format!("To see the {} store, {what}.", change.to.name());
        out += &format!("\n{}\n", wrap(&text, width, ""));
        if let Some(command) = &change.command {
            out += &format!("  $ {}\n", printable(command));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::cli::sample;

    #[test]
    fn the_status_reads_as_prose_at_every_width() {
        let status = sample::status();
        let at = |width: usize| text(&status, Widths { table: Some(width), text: width.min(100) });
        assert_snapshot!(at(80), @"
        /var/lib/docker

        STORE        DRIVER      IMAGES    CONTAINERS   SIZE      STATE
        classic      overlay2    12        6            24.5MB    hidden
        containerd   overlayfs   2         1            3.25MB    open in a daemon

        At its next start:
          Docker 28 or older shows the containerd store: features.containerd-snapshotter
            is true in /etc/docker/daemon.json.
          Docker 29 shows the containerd store: features.containerd-snapshotter is true
            in /etc/docker/daemon.json.
          Rancher Desktop (automatic) shows the classic store: there are classic images.

        Hidden: 12 images and 6 containers (24.5MB) in the classic store. They are on
        disk and nothing removes them; the daemon does not look there.

        To see the classic store, set features.containerd-snapshotter to false in
        /etc/docker/daemon.json, or move its images.
          $ tranship migrate --to containerd
        ");
        assert_snapshot!(at(40), @"
        /var/lib/docker

        STORE        IMAGES   SIZE     STATE
        classic      12       24.5MB   hidden
        containerd   2        3.25MB   open in …

        At its next start:
          Docker 28 or older shows the
            containerd store:
            features.containerd-snapshotter is
            true in /etc/docker/daemon.json.
          Docker 29 shows the containerd store:
            features.containerd-snapshotter is
            true in /etc/docker/daemon.json.
          Rancher Desktop (automatic) shows the
            classic store: there are classic
            images.

        Hidden: 12 images and 6 containers
        (24.5MB) in the classic store. They are
        on disk and nothing removes them; the
        daemon does not look there.

        To see the classic store, set
        features.containerd-snapshotter to false
        in /etc/docker/daemon.json, or move its
        images.
          $ tranship migrate --to containerd
        ");
        let pipe = text(&status, Widths { table: None, text: 80 });
        assert!(pipe.lines().all(|line| line.chars().count() <= 80), "{pipe}");
    }

    #[test]
    fn nothing_found_is_said() {
        let widths = Widths { table: None, text: 80 };
        assert_eq!(text(&Status::default(), widths), "No Docker data was found here.\n");
        let mut status = sample::status();
        status.roots[0].next_start = None;
        let carried = text(&status, widths);
        assert!(carried.contains("no Docker starts here.") && !carried.contains("next start"));
        status.roots[0].stores.clear();
        assert!(text(&status, widths).ends_with("\n\nIt holds no image store.\n"));
    }

    #[test]
    fn a_daemon_that_will_not_start_is_said() {
        let mut status = sample::status();
        let next = status.roots[0].next_start.as_mut().expect("a data root");
        next.docker_29 = ChoiceRow { store: None, why: "overlay2 is no snapshotter".into() };
        let text = text(&status, Widths { table: None, text: 80 });
        assert!(text.contains("  Docker 29 will not start: overlay2 is no snapshotter.\n"));
    }
}
