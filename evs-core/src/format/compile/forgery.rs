//! Values that clients choose, where no quotes delimit them.
//!
//! In the format `$request|$status|$host`, a client that asks for `/a|200|x` writes a status of its own choice. evs reads such
//! lines from the safe side:
//!
//! - The values before the first one that a client chooses are certain.
//! - Those after the last one are counted from the end of the line, if their delimiter is a byte that none of them has.
//! - `$request` ends after its protocol, since nginx refuses blanks in a target: `GET /a|200|x HTTP/1.1`.
//!
//! The ends of the others are not certain, and such a format is forgeable.

use super::{
    class::{Class, is_of_client},
    steps::{Step, Steps, Tail},
};

impl Steps {
    /// The first variable whose end a client can move, in a format with escapes. `None` if there is none.
    pub(in crate::format) fn forgeable(&self) -> Option<&str> {
        let is_movable = |(index, step): &(usize, &Step)| {
            // A client can write neither quotes nor control characters, unless the format has no escapes.
            let is_fenced = step.until.as_bytes().iter().any(|byte| *byte == b'"' || *byte < b' ');
            let is_before_time = step.no_colon
                && matches!(self.steps.get(index + 1).map(|step| &step.class), Some(Class::Time(_)));
            is_chosen(step)
                && !step.until.is_empty()
                && !is_before_time
                && !is_fenced
                && self.tail.as_ref().is_none_or(|tail| tail.index != *index)
        };
        self.steps.iter().enumerate().find(is_movable).map(|(_, step)| &*step.name)
    }
}

/// True if a client chooses the value, which nothing but the text after it delimits.
fn is_chosen(step: &Step) -> bool {
    const NAMES: &[&str] = &[
        "args",
        "document_uri",
        "query_string",
        "remote_user",
        "request",
        "request_body",
        "request_filename",
        "request_uri",
        "ssl_client_s_dn",
        "ssl_server_name",
        "uri",
    ];
    step.class == Class::Loose && (is_of_client(&step.name) || NAMES.contains(&&*step.name))
}

/// The values after the last one that a client chooses, if they can be counted from the end of the line.
pub(super) fn tail(steps: &[Step]) -> Option<Tail> {
    let index = steps.iter().rposition(is_chosen)?;
    let delimiter = &steps[index].until;
    let (last, between) = steps[index + 1..].split_last()?;
    let is_rare = delimiter.as_bytes().iter().any(|byte| b";|\t".contains(byte));
    let has_delimiter = |step: &Step| match &step.class {
        Class::Number | Class::Token => !is_rare && delimiter.as_bytes() != b" ",
        Class::Loose | Class::Time(_) | Class::List => !is_rare,
        Class::Quoted | Class::BeforeTarget | Class::Delimited(_) => true,
    };
    let is_certain = between.iter().all(|step| step.until.as_bytes() == delimiter.as_bytes())
        && last.until.is_empty()
        && !steps[index + 1..].iter().any(has_delimiter);
    is_certain.then(|| Tail { index, delimiter: delimiter.clone(), count: between.len() + 1 })
}
