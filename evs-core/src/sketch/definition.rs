//! The texts by which a schema says that a column is a bucket, a slot or a rank.
//!
//! ```text
//! bucket(request_time, 0.01)      a key: the bucket of a number, and the relative error
//! distinct_slot(remote_addr, 12)  a key: the register of a value, and the binary logarithm of their number
//! distinct_rank(remote_addr, 12)  a measure, `max`: the rank of the value
//! ```
//!
//! The first argument may itself be an expression with brackets and commas; the second is after the last comma.

use super::distinct::LG_REGISTERS;

/// The relative error of a key column that is a bucket. `None` for any other.
pub(super) fn bucket_alpha(field: &str) -> Option<f64> {
    arguments(field, "bucket")?.1.parse().ok()
}

/// The field of a key column that is a slot. `None` for any other.
pub(super) fn slot_field(field: &str) -> Option<&str> {
    registers_field(field, "distinct_slot")
}

/// The field of a measure column that is a rank. `None` for any other.
pub(super) fn rank_field(field: &str) -> Option<&str> {
    registers_field(field, "distinct_rank")
}

fn registers_field<'f>(field: &'f str, function: &str) -> Option<&'f str> {
    let (field, lg_registers) = arguments(field, function)?;
    (lg_registers.parse() == Ok(LG_REGISTERS)).then_some(field)
}

/// The two arguments of a call of `function`.
fn arguments<'f>(call: &'f str, function: &str) -> Option<(&'f str, &'f str)> {
    let inner = call.strip_prefix(function)?.strip_prefix('(')?.strip_suffix(')')?;
    let (first, second) = inner.rsplit_once(',')?;
    Some((first.trim(), second.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_known_by_their_definition() {
        for (field, alpha, slot, rank) in [
            ("bucket(request_time, 0.01)", Some(0.01), None, None),
            ("bucket(max(a, b),0.5)", Some(0.5), None, None),
            ("bucket(request_time)", None, None, None),
            ("bucket(request_time, wide)", None, None, None),
            ("buckets(request_time, 0.01)", None, None, None),
            ("distinct_slot(remote_addr, 12)", None, Some("remote_addr"), None),
            ("distinct_rank(remote_addr, 12)", None, None, Some("remote_addr")),
            ("distinct_slot(path_prefix(uri, 2), 12)", None, Some("path_prefix(uri, 2)"), None),
            ("distinct_slot(remote_addr, 14)", None, None, None),
            ("request_time", None, None, None),
            ("", None, None, None),
        ] {
            assert_eq!(
                (bucket_alpha(field), slot_field(field), rank_field(field)),
                (alpha, slot, rank),
                "{field}"
            );
        }
    }
}
