//! The plan of a migration, and what became of it.

use crate::cli::render::Widths;
use crate::cli::render::images::short;
use crate::cli::render::moved;
use crate::cli::render::table::{Column, table};
use crate::cli::render::text::{count, printable, wrap};
use crate::cli::render::units;
use crate::cli::rows::StoreKind;
use crate::cli::rows::migrate::{Action, ByteCounts, EndRow, LossRow, Migration, MovedImage};
use crate::cli::rows::migrate::{StayRow, StepRow};

/// Returns the plan: what moves, what it costs, what is not kept and what stays.
pub(crate) fn plan(plan: &Migration, widths: Widths) -> String {
    let mut out = format!("From  {}\nTo    {}\n", end(&plan.source), end(&plan.target));
    if plan.images.is_empty() && plan.containers.is_empty() {
        return out + "\nThere is no image to move.\n" + &stays(&plan.stays, widths.text);
    }
    if !plan.images.is_empty() {
        out += &format!("\n{}", images(plan, widths.table));
    }
    if !plan.containers.is_empty() {
        out += &format!("\n{}", moved::table(&plan.containers, widths.table));
    }
    if moving(&plan.images) > 0 || !plan.containers.is_empty() {
        out += &format!("\n{}\n", wrap(&cost(plan), widths.text, ""));
    }
    out += &losses(plan, widths.text);
    out += &stays(&plan.stays, widths.text);
    out
}

/// Returns the one line that is all to say of images larger than the threshold.
pub(crate) fn over_threshold(plan: &Migration) -> String {
    let size = units::size(plan.bytes.selected);
    format!("Nothing was done: the images are larger than the threshold, {size} together.\n")
}

/// Returns what became of the plan, or that it was not carried out, and what to do next.
pub(crate) fn outcome(done: &Migration, widths: Widths) -> String {
    let summary = match done.dry_run {
        true => "Nothing was written: this was a dry run.".to_owned(),
        false => result(done),
    };
    format!("\n{}\n{}", wrap(&summary, widths.text, ""), next_steps(&done.next_steps, widths.text))
}

fn end(end: &EndRow) -> String {
    let store = end.store.name();
    format!("{store} ({}) at {}", printable(&end.driver), printable(&end.path))
}

fn moving(images: &[MovedImage]) -> u64 {
    images.iter().filter(|image| image.action == Action::Add).map(|_| 1).sum()
}

fn images(plan: &Migration, width: Option<usize>) -> String {
    let columns = [
        Column::gives("IMAGE", 1, 24),
        Column::gives("IMAGE ID", 4, 12),
        Column::gives("BECOMES", 3, 12),
        Column::gives("LAYERS", 5, 6),
        Column::gives("SIZE", 2, 8),
        Column::whole("ACTION"),
    ];
    let add = if plan.target.store == StoreKind::Layout { "export" } else { "move" };
    let cells = |image: &MovedImage| {
        vec![
            name(image),
            short(&image.id).to_owned(),
            image.becomes.as_deref().map(short).unwrap_or_default().to_owned(),
            image.layers.len().to_string(),
            image.size.map_or_else(String::new, units::size),
            action(image.action, add).to_owned(),
        ]
    };
    table(&columns, &plan.images.iter().map(cells).collect::<Vec<_>>(), width)
}

/// Returns how many images and containers there are to speak of, in words and as a number.
fn both(plan: &Migration) -> (String, u64) {
    let images = moving(&plan.images);
    let containers = plan.containers.iter().filter(|row| row.action == Action::Add).count() as u64;
    let words = match (images, containers) {
        (images, 0) => count(images, "image"),
        (0, containers) => count(containers, "container"),
        _ => format!("{} and {}", count(images, "image"), count(containers, "container")),
    };
    (words, images.saturating_add(containers))
}

fn name(image: &MovedImage) -> String {
    match image.names.as_slice() {
        [] => "<none>".to_owned(),
        [only] => only.clone(),
        [first, others @ ..] => format!("{first} (+{})", others.len()),
    }
}

/// Returns what happens to `count` images.
fn verb(plan: &Migration, count: u64) -> &'static str {
    match (plan.target.store, count) {
        (StoreKind::Layout, 1) => "is exported",
        (StoreKind::Layout, _) => "are exported",
        (_, 1) => "moves",
        _ => "move",
    }
}

pub(super) fn action(action: Action, add: &'static str) -> &'static str {
    match action {
        Action::Add => add,
        Action::Present => "there already",
        Action::Failed => "damaged",
    }
}

fn cost(plan: &Migration) -> String {
    let layers = &plan.layers;
    let (moves, n) = both(plan);
    let verb = verb(plan, n);
    format!(
        "{moves} {verb}. Of {}, {} must be read ({}) and {} there already. {}{}",
        count(layers.total, "layer"),
        layers.to_read,
        units::size(plan.bytes.read),
        are(layers.reused),
        left_out(layers.left_out),
        room(&plan.bytes),
    )
}

fn left_out(n: u64) -> String {
    if n == 0 { String::new() } else { format!("{} left out. ", are(n)) }
}

fn are(n: u64) -> String {
    if n == 1 { "1 is".to_owned() } else { format!("{n} are") }
}

fn room(bytes: &ByteCounts) -> String {
    let write = units::size(bytes.write);
    let needed = units::size(bytes.needed);
    let free = match bytes.free {
        Some(free) if free < bytes.needed => format!("; only {} are", units::size(free)),
        Some(free) => format!("; {} are", units::size(free)),
        None => String::new(),
    };
    format!("About {write} are written, and {needed} must be free{free}.")
}

fn result(done: &Migration) -> String {
    let moved = moving(&done.images);
    if moved == 0
        && done.containers.is_empty()
        && done.images.iter().all(|image| image.action == Action::Present)
    {
        return "Nothing to do: the images are there already.".to_owned();
    }
    let failed = done.images.iter().filter(|image| image.action == Action::Failed).count();
    let (moves, n) = both(done);
    let verb = if n == 1 { "is" } else { "are" };
    let verb = if done.target.path == "stdout" { "went to" } else { &format!("{verb} in") };
    let mut text = format!(
        "Done: {} {verb} {}. {} read ({}), {} there already; {} written.",
        moves,
        target(done),
        count(done.layers.to_read, "layer"),
        units::size(done.bytes.read),
        done.layers.reused,
        units::size(done.bytes.written.unwrap_or_default()),
    );
    if failed > 0 {
        text += &format!(" {} could not be moved.", count(failed as u64, "image"));
    }
    let failed = done.containers.iter().filter(|row| row.action == Action::Failed).count();
    if failed > 0 {
        text += &format!(" {} could not be moved.", count(failed as u64, "container"));
    }
    text
}

fn target(done: &Migration) -> String {
    match done.target.store {
        StoreKind::Layout => printable(&done.target.path).into_owned(),
        kind => format!("the {} store", kind.name()),
    }
}

fn losses(plan: &Migration, width: usize) -> String {
    if plan.losses.is_empty() {
        return String::new();
    }
    let line = |loss: &LossRow| item(&format!("{}: {}", loss.image, loss.what), width);
    let lines: String = plan.losses.iter().map(line).collect();
    let target = match plan.target.store {
        StoreKind::Layout => "An export".to_owned(),
        kind => format!("The {} store", kind.name()),
    };
    format!("\n{target} cannot keep:\n{lines}")
}

fn stays(stays: &[StayRow], width: usize) -> String {
    if stays.is_empty() {
        return String::new();
    }
    let line = |stay: &StayRow| item(&format!("{}: {}", stay.what, stay.why), width);
    format!("\nWhat stays where it is:\n{}", stays.iter().map(line).collect::<String>())
}

fn item(text: &str, width: usize) -> String {
    wrap(&format!("  {}", printable(text)), width, "    ") + "\n"
}

fn next_steps(steps: &[StepRow], width: usize) -> String {
    if steps.is_empty() {
        return String::new();
    }
    let mut out = "\nNext:\n".to_owned();
    for (n, step) in steps.iter().enumerate() {
        out += &wrap(&format!("  {}. {}", n + 1, printable(&step.what)), width, "     ");
        out.push('\n');
        if let Some(command) = &step.command {
            out += &format!("     $ {}\n", printable(command));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;
    use crate::cli::sample;

    const AT_80: Widths = Widths { table: Some(80), text: 80 };

    #[test]
    fn a_plan_says_what_moves_what_it_costs_and_what_does_not_move() {
        assert_snapshot!(plan(&sample::migration(), AT_80), @"
        From  classic (overlay2) at /var/lib/docker
        To    containerd (overlayfs) at /var/lib/docker/containerd/daemon

        IMAGE                       IMAGE ID       BECOMES        SIZE     ACTION
        registry.example.com:500…   0081f5a699c7   0081f5a699ff   2.06MB   move
        <none>                      5f7df114d75a   5f7df114d7ff   2.06MB   there already
        tiny/base:1                 a6153feb13c0   a6153feb13ff   2.06MB   move
        127.0.0.1:5000/lib/bydig…   607341a3bb34   607341a3bbff   2.06MB   there already
        weird:1                     45eef71f9c7e                  6.22MB   move

        CONTAINER   CONTAINER ID   IMAGE         STATE     SIZE      ACTION
        web         409111641b53   tiny/base:1   exited    1.2kB     move
        db          409111641b53   tiny/base:1   running   5.6MB     move

        3 images and 2 containers move. Of 9 layers, 8 must be read (14.5MB) and 1 is
        there already. About 8.2MB are written, and 9MB must be free; 81GB are.

        The containerd store cannot keep:
          weird:1: two entries of one layer have the same path; the second is kept

        What stays where it is:
          container old: its removal was begun: its own daemon ends that
        ");
        let narrow = Widths { table: Some(40), text: 40 };
        assert_snapshot!(plan(&sample::migration(), narrow), @"
        From  classic (overlay2) at /var/lib/docker
        To    containerd (overlayfs) at /var/lib/docker/containerd/daemon

        IMAGE                      ACTION
        registry.example.com:50…   move
        <none>                     there already
        tiny/base:1                move
        127.0.0.1:5000/lib/bydi…   there already
        weird:1                    move

        CONTAINER   STATE     SIZE    ACTION
        web         exited    1.2kB   move
        db          running   5.6MB   move

        3 images and 2 containers move. Of 9
        layers, 8 must be read (14.5MB) and 1 is
        there already. About 8.2MB are written,
        and 9MB must be free; 81GB are.

        The containerd store cannot keep:
          weird:1: two entries of one layer have
            the same path; the second is kept

        What stays where it is:
          container old: its removal was begun:
            its own daemon ends that
        ");
        let mut nothing = sample::migration();
        nothing.images.clear();
        nothing.containers.clear();
        assert_snapshot!(plan(&nothing, AT_80), @"
        From  classic (overlay2) at /var/lib/docker
        To    containerd (overlayfs) at /var/lib/docker/containerd/daemon

        There is no image to move.

        What stays where it is:
          container old: its removal was begun: its own daemon ends that
        ");
    }

    #[test]
    fn an_outcome_ends_with_the_next_steps() {
        assert_snapshot!(outcome(&sample::migration(), AT_80), @"

        Nothing was written: this was a dry run.

        Next:
          1. Make Docker use the containerd store from its next start on.
             $ tranship switch
          2. Start Docker and look at the images.
             $ systemctl start docker && docker images
        ");
        let mut done = Migration { dry_run: false, ..sample::migration() };
        done.bytes.written = Some(8_200_000);
        assert_snapshot!(outcome(&done, AT_80), @"

        Done: 3 images and 2 containers are in the containerd store. 8 layers read
        (14.5MB), 1 there already; 8.2MB written.

        Next:
          1. Make Docker use the containerd store from its next start on.
             $ tranship switch
          2. Start Docker and look at the images.
             $ systemctl start docker && docker images
        ");
    }

    #[test]
    fn too_little_room_is_said() {
        let bytes = ByteCounts {
            read: 0,
            write: 0,
            free: Some(1000),
            needed: 2000,
            selected: 0,
            written: None,
        };
        assert!(room(&bytes).ends_with("2kB must be free; only 1kB are."));
    }
}
