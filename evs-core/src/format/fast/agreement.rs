//! Compares the fast path with the reference. The property tests and the fuzz target `fast_path` use it.
//!
//! Both read the same blocks. The columns of the fast path, sorted, must have the times, fields and numbers that the
//! reference finds line by line; the rejected lines must be the same, with their reasons and columns. The comparison
//! covers the limits of stores and the ranges of numbers, too, since the fast path checks these by block.

use super::{
    block::BlockParser,
    columns::{Columns, Number, Rejected},
};
use crate::{
    format::{
        compile::is_list,
        container::Preamble,
        error::FormatError,
        limits::LineLimits,
        log_format::LogFormat,
        rejection::{Reason, Rejection},
    },
    number::{Reading, Rounding},
};

/// The time, the fields and the numbers of a line.
type Row = (i64, Vec<Vec<u8>>, Vec<Option<i64>>);

/// All content that was read from a block.
#[derive(Debug, Default, PartialEq)]
struct Content {
    /// The number of lines, accepted or rejected.
    lines: usize,
    /// Sorted, since the fast path does not keep the order of lines.
    rows: Vec<Row>,
    rejected: Vec<Rejected>,
    /// The time of the last accepted line.
    last_seconds: Option<i64>,
}

/// Reads a block, and collects the columns of all its lines.
///
/// It also checks that an absent number has the value 0, on which sums rely.
fn content(parser: &mut BlockParser, fields: usize, numbers: usize, block: &[u8]) -> Content {
    let mut content = Content::default();
    let mut columns = Columns::new(fields, numbers);
    parser.begin(block);
    while parser.read(block, &mut columns) {
        for row in 0..columns.len() {
            let fields = columns.fields.iter().map(|column| columns.text(block, column[row]).to_vec());
            let numbers = columns.numbers.iter().map(|column| {
                assert!(!column.are_absent[row] || (column.some_absent && column.values[row] == 0));
                (!column.are_absent[row]).then_some(column.values[row])
            });
            content.rows.push((columns.seconds[row], fields.collect(), numbers.collect()));
        }
        content.lines += columns.lines;
        content.rejected.append(&mut columns.rejected);
        content.last_seconds = columns.last_seconds.or(content.last_seconds);
    }
    content.rows.sort();
    content
}

/// Asserts that the damaged lines of a block, and no others, were rejected for damage.
fn assert_damage_is_rejected(block: &[u8], content: &Content) {
    let is_damage = |reason| matches!(reason, Reason::Nul | Reason::ByteOrderMark);
    let mut found = content.rejected.iter().filter(|rejected| is_damage(rejected.rejection.reason));
    let mut start = 0;
    for line in block.split(|byte| *byte == b'\n') {
        let (len, nul) = (line.len(), line.iter().position(|byte| *byte == 0));
        let expected = if line.starts_with("\u{feff}".as_bytes()) {
            Some(Rejection::at(0, Reason::ByteOrderMark))
        } else {
            nul.map(|at| Rejection::at(at, Reason::Nul))
        };
        if let Some(rejection) = expected {
            assert_eq!(found.next(), Some(&Rejected { start, end: start + len, rejection }));
        }
        start += len + 1;
    }
    assert_eq!(found.next(), None);
}

/// Reads each block by the fast path and by the reference, and asserts that both read the same. Returns `true` if the
/// format has a fast path.
///
/// The parsers are asked for those of `fields` that the format has. The last two of these are also read as numbers.
/// Since a line with a bad number is rejected whatever else is in it, all blocks are first read without numbers.
///
/// # Errors
///
/// Returns the error if `format` is not a format.
///
/// # Panics
///
/// Panics if the two disagree.
pub fn assert_agreement(format: &str, fields: &[&str], blocks: &[&[u8]]) -> Result<bool, FormatError> {
    assert_agreement_of(&format.parse()?, fields, blocks)
}

/// As [`assert_agreement`], for a format with more settings than its text.
pub(super) fn assert_agreement_of(
    format: &LogFormat,
    fields: &[&str],
    blocks: &[&[u8]],
) -> Result<bool, FormatError> {
    let fields: Vec<_> = fields.iter().filter(|field| format.parser(&[field]).is_ok()).collect();
    let reference = format.parser(&fields)?;
    let number = |(at, (scale, rounding))| {
        // Some numbers of the tests are outside of this range.
        let reading = Reading { scale, rounding, has_units: true, ..Reading::default() };
        Number {
            field: at,
            reading,
            is_list: is_list(fields[at]),
            may_be_list: true,
            is_summed: true,
            is_lenient: false,
            is_deferred: false,
            is_of_client: false,
            range: -100..=5_000_000,
        }
    };
    let numbers: Vec<_> = (fields.len().saturating_sub(2)..fields.len())
        .zip([(0, Rounding::HalfEven), (3, Rounding::Exact)])
        .map(number)
        .collect();
    // A damaged line that begins with `#`, or that nothing describes, is none or rejected for that.
    let has_directives = matches!(format.preamble(), Some(Preamble::Directive(_)));
    let mut is_fast = false;
    // Some lines of the tests are within these limits, others are not.
    let narrow = LineLimits {
        times: 1_795_246_763..=1_795_900_000,
        key_bytes_max: 60,
        keys_bytes_max: 150,
        keys: vec![(0..fields.len()).collect(), (0..fields.len().min(1)).collect()],
    };
    for (numbers, limits) in [(Vec::new(), LineLimits::default()), (numbers, narrow)] {
        let mut fast = BlockParser::new(reference.clone(), numbers.clone(), limits.clone());
        let mut plain = BlockParser::without_fast_path(reference.clone(), numbers.clone(), limits.clone());
        for block in blocks {
            let found = content(&mut fast, fields.len(), numbers.len(), block);
            let expected = content(&mut plain, fields.len(), numbers.len(), block);
            assert_eq!(found, expected, "{format} {fields:?} {:?}", String::from_utf8_lossy(block));
            if !has_directives {
                assert_damage_is_rejected(block, &found);
            }
        }
        is_fast = fast.is_fast();
    }
    Ok(is_fast)
}

#[cfg(test)]
mod tests;
