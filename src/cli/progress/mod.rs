//! How far an operation is, shown as it goes, and Ctrl-C.

mod bar;
mod events;
mod interrupt;

use std::io;

use indicatif::ProgressDrawTarget;

pub(crate) use self::events::Events;
pub(crate) use self::interrupt::Interrupt;
use crate::store::Progress;
use bar::Bar;

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Style {
    /// A bar on a terminal, else nothing
    #[default]
    Auto,
    /// Nothing
    None,
    /// An event a line on stderr, as JSON; other lines there are for people
    Json,
}

impl Style {
    /// Returns events on stderr, if that is the style, about `job` if it is one of several.
    pub(crate) fn events(self, job: Option<&str>) -> Option<Events> {
        let is_json = self == Self::Json;
        is_json.then(|| Events::new(Box::new(io::stderr()), job.map(str::to_owned)))
    }
}

/// Shows progress as a bar, as events or not at all, and passes on the wish to stop.
#[derive(Debug)]
pub(crate) struct Display<'a> {
    shown: Shown<'a>,
    interrupt: &'a Interrupt,
}

#[derive(Debug)]
enum Shown<'a> {
    Nothing,
    Bar(Bar),
    Events(&'a Events),
}

impl<'a> Display<'a> {
    /// Returns a display of `events` if there are any, else of a bar if that is `visible`.
    pub(crate) fn new(visible: bool, events: Option<&'a Events>, interrupt: &'a Interrupt) -> Self {
        let shown = match events {
            Some(events) => Shown::Events(events),
            None if visible => Shown::Bar(Bar::on(ProgressDrawTarget::stderr())),
            None => Shown::Nothing,
        };
        Self { shown, interrupt }
    }

    fn shown(&self) -> &dyn Progress {
        match &self.shown {
            Shown::Nothing => &(),
            Shown::Bar(bar) => bar,
            Shown::Events(events) => *events,
        }
    }
}

impl Progress for Display<'_> {
    fn start(&self, total_bytes: u64, layers: usize) {
        self.shown().start(total_bytes, layers);
    }

    fn advance(&self, bytes: u64) {
        self.shown().advance(bytes);
    }

    fn layer_done(&self) {
        self.shown().layer_done();
    }

    fn phase(&self, name: &str) {
        self.shown().phase(name);
    }

    fn cancelled(&self) -> bool {
        self.interrupt.asked()
    }
}
