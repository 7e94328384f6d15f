//! Takes single lines of any format apart.

use super::{
    fields::{self, Captures, Plan},
    json::Scanner,
    keys::Keys,
    ltsv,
};
use crate::{
    format::{
        compile::{Escape, Steps},
        damage,
        decode::time::Clock,
        rejection::{Reason, Rejection},
    },
    record::Record,
};

/// Takes lines apart. Each worker has its own: it remembers the last time it read.
#[derive(Clone, Debug)]
pub struct LineParser {
    pub(in crate::format) source: Source,
    slots: usize,
    pub(in crate::format) plan: Plan,
    captures: Captures,
    clock: Clock,
}

/// Where logged values come from, and in which slots they are kept.
#[derive(Clone, Debug)]
pub(in crate::format) enum Source {
    /// `slots` has the slot of each step that has one.
    Nginx {
        steps: Steps,
        slots: Vec<Option<usize>>,
    },
    /// `times` are the slots that may hold the time, the best first.
    Json {
        scanner: Scanner,
        times: Vec<usize>,
    },
    Ltsv {
        keys: Keys,
        times: Vec<usize>,
    },
}

impl LineParser {
    /// A parser that reads the values of `slots` slots by `source`.
    pub(in crate::format) fn new(source: Source, slots: usize, plan: Plan) -> Self {
        Self { source, slots, plan, captures: Captures::default(), clock: Clock::default() }
    }

    /// Reads `line`, which is without its line feed, into `record`.
    ///
    /// # Errors
    ///
    /// Why the line is not one of the format. The record then has no fields.
    pub fn parse(&mut self, line: &[u8], record: &mut Record) -> Result<(), Rejection> {
        self.parse_in_block(line, true, record)
    }

    /// Reads a line of a block, which is searched for NUL bytes only if it may have any.
    pub(in crate::format) fn parse_in_block(
        &mut self,
        line: &[u8],
        may_have_nul: bool,
        record: &mut Record,
    ) -> Result<(), Rejection> {
        record.clear();
        if line.is_empty() {
            return Err(Rejection::at(0, Reason::Empty));
        }
        // Offsets are kept in 32 bits.
        if u32::try_from(line.len()).is_err() {
            return Err(Rejection::at(0, Reason::LineTooLong));
        }
        self.captures.clear(self.slots);
        let (captures, clock) = (&mut self.captures, &mut self.clock);
        let seconds = match &mut self.source {
            Source::Nginx { steps, slots } => {
                damage::check(line, may_have_nul)?;
                steps.read(line, slots, clock, captures)?
            }
            Source::Json { scanner, times } => {
                // Damaged lines are not JSON, so good lines need not be searched for damage.
                scanner.read(line, captures).map_err(|rejection| damage::or(line, rejection))?;
                keyed_time(line, times, Escape::Json, captures, clock, record)?
            }
            Source::Ltsv { keys, times } => {
                damage::check(line, may_have_nul)?;
                ltsv::read(keys, line, captures)?;
                keyed_time(line, times, Escape::None, captures, clock, record)?
            }
        };
        record.set_seconds(seconds);
        self.plan.fill(line, captures, record);
        Ok(())
    }
}

fn keyed_time(
    line: &[u8],
    slots: &[usize],
    escape: Escape,
    captures: &Captures,
    clock: &mut Clock,
    record: &mut Record,
) -> Result<i64, Rejection> {
    let time = slots.iter().find_map(|slot| captures.get(*slot));
    let Some(time) = time else { return Err(Rejection::at(0, Reason::NoTime)) };
    // Some writers escape the slashes of a $time_local.
    let value = fields::unescaped(line, time, escape, record);
    let text = fields::text_of(line, value, &record.unescaped);
    clock.read_any(text).map_err(|reason| Rejection::at(value.origin as usize, reason))
}
