//! What every verb that moves images does: plan, show the plan, carry it out, show what became of it.

use crate::cli::args::{PlanOut, Quiet};
use crate::cli::exit::Exit;
use crate::cli::ops::{MigrateRequest, Ops};
use crate::cli::plan_file;
use crate::cli::progress::{Display, Events, Interrupt, Style};
use crate::cli::render::{findings, migrate};
use crate::cli::rows::any_matter;
use crate::cli::rows::migrate::Migration;
use crate::cli::rows::plan::FingerprintRow;
use crate::cli::ui::Ui;
use crate::error::{Error, Result};

/// Plans what is asked for, shows the plan, carries it out and shows what became of it; or keeps the
/// plan.
pub(crate) fn carry_out(
    request: &MigrateRequest,
    plan_out: &PlanOut,
    how: Quiet,
    ui: &mut Ui<'_>,
    ops: &dyn Ops,
) -> Result<Exit> {
    if let Some(file) = &plan_out.plan_out {
        return plan_file::keep(request, file, how, ui, ops);
    }
    let interrupt = Interrupt::default();
    let carry = Carry { request, how, wanted: None, job: None, interrupt: &interrupt };
    carry.run(ui, ops)
}

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Carry<'a> {
    /// What is asked for.
    pub(crate) request: &'a MigrateRequest,
    /// What is printed.
    pub(crate) how: Quiet,
    /// What the plan must depend on still.
    pub(crate) wanted: Option<&'a FingerprintRow>,
    /// The job that it is, if it is one of several.
    pub(crate) job: Option<&'a str>,
    /// Whoever wishes it to stop.
    pub(crate) interrupt: &'a Interrupt,
}

impl Carry<'_> {
    /// Does it all, with JSON at the end if that is wished for.
    pub(crate) fn run(&self, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Exit> {
        let done = self.report(ui, ops)?;
        if self.how.json {
            ui.json(&done)?;
        }
        Ok(exit(&done))
    }

    /// Does it all, and returns what became of it; text is printed unless JSON is wished for.
    pub(crate) fn report(&self, ui: &mut Ui<'_>, ops: &dyn Ops) -> Result<Migration> {
        let style = if self.request.dry_run { Style::None } else { self.how.progress };
        let events = style.events(self.job);
        let done = self.attempt(events.as_ref(), ui, ops);
        if let Some(events) = &events {
            events.end(&done);
        }
        done
    }

    fn attempt(
        &self,
        events: Option<&Events>,
        ui: &mut Ui<'_>,
        ops: &dyn Ops,
    ) -> Result<Migration> {
        self.leave_stdout(ui)?;
        let prepared = ops.prepare(self.request)?;
        if let Some(wanted) = self.wanted {
            plan_file::still_holds(wanted, &prepared.fingerprint()?)?;
        }
        let Quiet { quiet, json, progress } = self.how;
        if prepared.plan().over_threshold {
            if !json {
                ui.print(&migrate::over_threshold(prepared.plan()))?;
            }
            return Ok(prepared.plan().clone());
        }
        if !quiet && !json {
            ui.print(&migrate::plan(prepared.plan(), ui.widths()))?;
            ui.flush()?;
        }
        let done = match self.request.dry_run {
            true => prepared.plan().clone(),
            false => {
                self.interrupt.listen()?;
                let bar = progress == Style::Auto && !quiet && !json && ui.err_is_terminal;
                prepared.apply(&Display::new(bar, events, self.interrupt))?
            }
        };
        if !json {
            if !quiet {
                ui.print(&migrate::outcome(&done, ui.widths()))?;
            }
            ui.note(&findings::text(&done.findings, ui.text_width()));
        }
        Ok(done)
    }

    /// Leaves stdout to the archive, if that goes there.
    fn leave_stdout(&self, ui: &mut Ui<'_>) -> Result<()> {
        if !self.request.to_stdout {
            return Ok(());
        }
        if ui.width.is_some() && !self.request.dry_run {
            return Err(Error::refused("an archive does not go to a terminal")
                .hint("send stdout to a file or a command, or name one: `-o images.tar`"));
        }
        ui.stand_aside();
        Ok(())
    }
}

/// Returns how a verb ends that did this.
pub(crate) fn exit(done: &Migration) -> Exit {
    Exit::with_findings(!done.over_threshold && any_matter(&done.findings))
}
