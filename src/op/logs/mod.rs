//! What a container wrote, from the files that its daemon kept of it.

mod records;
mod tail;

use crate::error::{Error, Place, Result};
use crate::format::docker::log::{Form, Record};
use crate::format::time::Timestamp;
use crate::model::{Finding, Severity};
use crate::op::host::ContainerAt;
use crate::store::logs::{self, Log, LogFile};
use crate::tree::{Sub, Tree, clean};
use records::{Records, Step};
use tail::Start;

/// Which records are wanted; those that `docker logs` shows if asked the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// From the first that is not older than this on.
    pub since: Option<Timestamp>,
    /// Up to the first that is newer than this.
    pub until: Option<Timestamp>,
    /// Of the last so many alone, whatever their stream.
    pub tail: Option<u64>,
}

/// Hands each wanted record of a container's log to `each`, the oldest first, and returns what is wrong
/// with it. What is damaged is passed over.
///
/// # Errors
/// Missing where there is no log; what the tree says, and what `each` says.
pub fn read(
    at: &ContainerAt<'_>,
    wanted: &Wanted,
    each: &mut dyn FnMut(&Record<'_>) -> Result<()>,
) -> Result<Vec<Finding>> {
    let root = Sub::new(at.root.tree.clone(), at.root.path.as_path());
    let driver = logs::driver(&root, at.container)?;
    if let Some(log) = logs::find(&root, at.container, driver.as_deref())? {
        return of_log(&root, &log, wanted, each);
    }
    // A daemon can be told to keep it elsewhere; in the tree of the whole system that is found too.
    if let Some(file) = clean(at.container.record.log_path.as_bytes())
        && let Some(log) = logs::at(&*at.root.tree, file.as_path(), Form::Json)?
    {
        return of_log(&*at.root.tree, &log, wanted, each);
    }
    if at.container.record.state.started().is_none() {
        return Ok(Vec::new());
    }
    Err(none(at, driver.as_deref()))
}

fn none(at: &ContainerAt<'_>, driver: Option<&str>) -> Error {
    let place = Place::new(at.root.place.clone(), "");
    let name = &at.container.name;
    match driver {
        Some(driver @ ("json-file" | "local")) | Some(driver @ "") => {
            Error::missing(place, format!("the log of {name}, as `{driver}` keeps it, is gone"))
        }
        Some(driver) => {
            Error::missing(place, format!("{name} logs with `{driver}`, which keeps nothing here"))
        }
        None => Error::missing(place, format!("there is no log of {name}")),
    }
}

/// As [`read`], of the files of `log` in `tree`.
///
/// # Errors
/// What the tree says, and what `each` says.
pub fn of_log(
    tree: &dyn Tree,
    log: &Log,
    wanted: &Wanted,
    each: &mut dyn FnMut(&Record<'_>) -> Result<()>,
) -> Result<Vec<Finding>> {
    let starts = tail::starts(tree, log, wanted.tail)?;
    let mut reading = Reading { form: log.form, wanted: *wanted, each, findings: Vec::new() };
    for (file, start) in log.files.iter().zip(starts) {
        let Some(start) = start else { continue };
        if !reading.file(tree, file, start)? {
            break;
        }
    }
    Ok(reading.findings)
}

struct Reading<'e> {
    form: Form,
    wanted: Wanted,
    each: &'e mut dyn FnMut(&Record<'_>) -> Result<()>,
    findings: Vec<Finding>,
}

/// What of one file is no record. One finding tells of all: they may be millions.
#[derive(Default)]
struct Damage {
    first: Option<(u64, String)>,
    places: u64,
    bytes: u64,
}

impl Damage {
    fn add(&mut self, offset: u64, bytes: usize, what: String) {
        self.first.get_or_insert((offset, what));
        self.places = self.places.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }

    fn finding(self, place: Place) -> Option<Finding> {
        let (offset, what) = self.first?;
        let whole = match self.places {
            1 => format!("{what}; {} bytes are not shown", self.bytes),
            places => format!("{what}; {places} such places, {} bytes, are not shown", self.bytes),
        };
        Some(finding("log-damaged", place.at(offset), whole))
    }
}

fn finding(code: &'static str, place: Place, what: String) -> Finding {
    Finding { code, severity: Severity::DataLost, place, what, remedy: String::new() }
}

impl Reading<'_> {
    /// Reads one file; returns whether later ones are wanted.
    fn file(&mut self, tree: &dyn Tree, file: &LogFile, start: Start) -> Result<bool> {
        let mut records = Records::open(tree, file, self.form, start.offset)?;
        let (mut damage, mut skip, mut goes_on) = (Damage::default(), start.skip, true);
        let place = || tree.place(file.path.as_path());
        while goes_on {
            match records.next() {
                Step::Record(..) if skip > 0 => skip -= 1,
                Step::Record(offset, body) => goes_on = self.record(offset, body, &mut damage)?,
                Step::Damage(offset, length, what) => damage.add(offset, length, what),
                Step::Torn(offset, length) => {
                    let what = format!("the last record is torn; its {length} bytes are not shown");
                    self.findings.push(finding("log-torn", place().at(offset), what));
                    break;
                }
                Step::Failed(offset, error) => {
                    let what = format!("{error}; what follows is not shown");
                    self.findings.push(finding("log-unreadable", place().at(offset), what));
                    break;
                }
                Step::End => break,
            }
        }
        self.findings.extend(damage.finding(place()));
        Ok(goes_on)
    }

    /// Hands a record on if it is wanted; returns whether later ones are.
    ///
    /// moby v28.5 daemon/logger/loggerutils/logfile.go forwarder: times need not ascend.
    fn record(&mut self, offset: u64, body: &[u8], damage: &mut Damage) -> Result<bool> {
        let record = match self.form.decode(body) {
            Ok(record) => record,
            Err(error) => {
                let salvaged = self.form.salvage(body);
                let lost = salvaged.unwrap_or(body.len());
                damage.add(offset + error.offset, lost, error.what);
                match salvaged.and_then(|at| self.form.decode(&body[at..]).ok()) {
                    Some(record) => record,
                    None => return Ok(true),
                }
            }
        };
        if self.wanted.since.is_some_and(|since| record.time < since) {
            return Ok(true);
        }
        self.wanted.since = None;
        if self.wanted.until.is_some_and(|until| record.time > until) {
            return Ok(false);
        }
        (self.each)(&record)?;
        Ok(true)
    }
}
