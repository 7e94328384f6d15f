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
    /// The first variable whose end, or whose beginning after a list, a client can move, in a format with escapes: its name, and
    /// that of the list. `None` if there is none.
    pub(in crate::format) fn forgeable(&self) -> Option<(&str, Option<&str>)> {
        let is_movable = |(index, step): &(usize, &Step)| {
            let next = self.steps.get(index + 1);
            let is_before_time =
                step.no_colon && matches!(next.map(|step| &step.class), Some(Class::Time(_)));
            let is_moved = !step.until.is_empty()
                && may_hold(step, step.until.as_bytes())
                && !is_before_time
                && self.tail.as_ref().is_none_or(|tail| tail.index != *index);
            // Such a host is rare, so the tail is counted all the same.
            let is_in_tail = self.tail.as_ref().is_some_and(|tail| {
                tail.index < *index && is_host(step) && may_hold(step, tail.delimiter.as_bytes())
            });
            is_moved || is_in_tail || next.is_some_and(|next| continues_list(step, next))
        };
        let (index, step) = self.steps.iter().enumerate().find(is_movable)?;
        let is_list = step.class == Class::List;
        Some(match is_list {
            true => (&self.steps[index + 1].name, Some(&*step.name)),
            false => (&step.name, None),
        })
    }
}

/// True if a client can write a text into the value, which nothing but the text after it delimits.
///
/// It can write neither quotes nor control characters, unless the format has no escapes. nginx refuses a host with blanks or
/// slashes, and no other text that may be a delimiter.
fn may_hold(step: &Step, text: &[u8]) -> bool {
    let is_fenced = |byte: &u8| *byte == b'"' || *byte < b' ';
    let is_chosen = is_chosen(step) && !text.iter().any(is_fenced);
    is_chosen || (is_host(step) && !text.iter().any(|byte| is_fenced(byte) || b" /".contains(byte)))
}

fn is_host(step: &Step) -> bool {
    step.class == Class::Token && &*step.name == "host"
}

/// True if a client can go on with a list: in `$upstream_status $http_x`, with a value that begins with `: 200 `.
fn continues_list(list: &Step, next: &Step) -> bool {
    list.class == Class::List && list.until.as_bytes() == b" " && is_chosen(next)
}

/// True if a client chooses the value, which may have blanks.
fn is_chosen(step: &Step) -> bool {
    const NAMES: &[&str] = &[
        "args",
        "content_length",
        "content_type",
        "document_uri",
        "fastcgi_path_info",
        "proxy_add_x_forwarded_for",
        "query_string",
        "remote_logname",
        "remote_user",
        // The controller of Ingress NGINX takes it from a header.
        "req_id",
        "request",
        "request_body",
        "request_filename",
        "request_uri",
        "ssl_client_cert",
        "ssl_client_i_dn",
        "ssl_client_s_dn",
        "ssl_server_name",
        "uri",
    ];
    let is_named = |prefix| step.name.starts_with(prefix);
    step.class == Class::Loose
        && (is_of_client(&step.name)
            || NAMES.contains(&&*step.name)
            || ["env_", "note_", "trailer_"].into_iter().any(is_named))
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
