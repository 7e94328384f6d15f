//! Reads labelled tab-separated values: pairs `label:value`, joined by tabs (<http://ltsv.org>).
//!
//! ```text
//! time:1795246822 <TAB> status:200 <TAB> ua:curl/8.5
//! ```
//!
//! A value may have colons in it, but no tab, and LTSV has no escapes. A field without a colon, or with nothing before
//! it, rejects the line: a cut line would otherwise count with a wrong value.

use memchr::memchr;
use nom::{
    IResult, Parser,
    bytes::complete::{tag, take_till, take_till1},
    sequence::separated_pair,
};

use super::{
    fields::{Capture, Captures},
    keys::Keys,
};
use crate::format::{
    rejection::{Reason, Rejection},
    work,
};

/// Captures the values of `keys` in `line`. If a label occurs twice, the first one counts.
pub(in crate::format) fn read(keys: &Keys, line: &[u8], captures: &mut Captures) -> Result<(), Rejection> {
    let mut start = 0;
    loop {
        let end = memchr(b'\t', &line[start..]).map_or(line.len(), |at| start + at);
        let Ok((_, (label, value))) = labelled(&line[start..end]) else {
            return Err(Rejection::at(start, Reason::Label));
        };
        work::examine(end + 1 - start);
        if let Some(slot) = keys.find(label)
            && captures.get(slot).is_none()
        {
            captures.set(slot, Capture::raw(end - value.len(), end));
        }
        if end == line.len() {
            return Ok(());
        }
        start = end + 1;
    }
}

/// Splits `label:value`. The value may be empty, and may have colons in it.
fn labelled(field: &[u8]) -> IResult<&[u8], (&[u8], &[u8])> {
    separated_pair(take_till1(|byte| byte == b':'), tag(":"), take_till(|_| false)).parse(field)
}
