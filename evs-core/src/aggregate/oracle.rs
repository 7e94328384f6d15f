//! Aggregation line by line, as simple as possible. The tests compare the columns with it.
//!
//! It reads each line by the reference, builds the row's key as one byte string, and looks that up in a hash table. It
//! is also the baseline against which the columns were measured when they were written.

use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashTable;

use super::{
    merge::Overflow,
    plan::{NumberAt, Plan},
    selection::is_one_in,
};
use crate::{
    batch::Rows,
    codec::{Reader, put_varint},
    derive::{Condition, Expr, Input},
    format::{CheckName, Conventions, Number},
    format::{LineParser, Reason, Record, Rejection},
    number::NumberError,
    statistic::MeasureKind,
    statistic::Statistic,
};

/// The accumulator of a minimum without a value. The values of lines have fewer bits.
const NO_MIN: i128 = i128::MAX;
/// The accumulator of a maximum without a value.
const NO_MAX: i128 = i128::MIN;

/// The rows that one statistic has gathered since the last cut, by window and keys.
///
/// The key of a row is a byte string (see [`RowKey`]), so that finding a row takes one hash and one comparison, and no
/// allocation if the row exists. The accumulators of all rows are in one vector.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    kinds: Arc<[MeasureKind]>,
    keys: usize,
    hasher: RandomState,
    /// By the hash of a row's key, the row.
    index: HashTable<u32>,
    /// The keys of all rows, one after the other.
    key_bytes: Vec<u8>,
    /// By row, the end of its key in `key_bytes`.
    key_ends: Vec<usize>,
    /// The values of all rows, row by row. They have 128 bits, so that no line can overflow one.
    accumulators: Vec<i128>,
}

impl Table {
    pub(crate) fn new(keys: usize, kinds: Arc<[MeasureKind]>) -> Self {
        Self {
            kinds,
            keys,
            // Its keys are random: texts come from strangers, who must not be able to choose collisions.
            hasher: RandomState::new(),
            index: HashTable::new(),
            key_bytes: Vec::new(),
            key_ends: Vec::new(),
            accumulators: Vec::new(),
        }
    }

    /// Takes the rows out and leaves an empty table with room for about as many.
    pub(crate) fn take(&mut self) -> Self {
        let mut empty = Self::new(self.keys, Arc::clone(&self.kinds));
        // A quarter less than now, so that a single crowded interval does not fix the size for good.
        let rows = self.len() - self.len() / 4;
        empty.key_ends.reserve(rows);
        empty.accumulators.reserve(rows * self.kinds.len());
        empty.key_bytes.reserve(self.key_bytes.len() - self.key_bytes.len() / 4);
        let hasher = &empty.hasher;
        empty.index.reserve(rows, |_| hasher.hash_one(0));
        std::mem::replace(self, empty)
    }

    pub(crate) fn len(&self) -> usize {
        self.key_ends.len()
    }

    /// The accumulators of the row with that key. The row is made if there is none.
    #[inline]
    pub(crate) fn row(&mut self, key: &[u8]) -> &mut [i128] {
        let hash = self.hasher.hash_one(key);
        let found =
            self.index.find(hash, |&row| key_of(&self.key_bytes, &self.key_ends, row as usize) == key);
        let row = match found {
            Some(&row) => row as usize,
            None => self.insert(hash, key),
        };
        let stride = self.kinds.len();
        &mut self.accumulators[row * stride..][..stride]
    }

    /// Makes the row of a new key.
    #[cold]
    fn insert(&mut self, hash: u64, key: &[u8]) -> usize {
        let row = self.key_ends.len();
        self.key_bytes.extend_from_slice(key);
        self.key_ends.push(self.key_bytes.len());
        self.accumulators.extend(self.kinds.iter().map(|kind| match kind {
            MeasureKind::Count | MeasureKind::Sum => 0,
            MeasureKind::Min => NO_MIN,
            MeasureKind::Max => NO_MAX,
        }));
        let Self { hasher, key_bytes, key_ends, .. } = self;
        // The row limit is far below 2^32.
        self.index.insert_unique(hash, row as u32, |&row| {
            hasher.hash_one(key_of(key_bytes, key_ends, row as usize))
        });
        row
    }

    /// Adds all rows of `other`, a table of the same statistic.
    pub(crate) fn merge(&mut self, other: &Self) -> Result<(), Overflow> {
        let kinds = Arc::clone(&self.kinds);
        for (row, values) in other.accumulators.chunks_exact(kinds.len()).enumerate() {
            let mine = self.row(key_of(&other.key_bytes, &other.key_ends, row));
            for ((kind, mine), value) in kinds.iter().zip(mine).zip(values) {
                *mine = match kind {
                    MeasureKind::Count | MeasureKind::Sum => mine.checked_add(*value).ok_or(Overflow)?,
                    MeasureKind::Min => (*mine).min(*value),
                    MeasureKind::Max => (*mine).max(*value),
                };
            }
        }
        Ok(())
    }

    /// The rows of a batch, sorted by window and key. (Several keys are sorted by their lengths first.)
    pub(crate) fn to_rows(&self) -> Rows {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        order.sort_unstable_by_key(|&row| key_of(&self.key_bytes, &self.key_ends, row as usize));
        let mut rows = Rows::new(self.keys, self.kinds.len());
        let mut keys = Vec::with_capacity(self.keys);
        let mut values = Vec::with_capacity(self.kinds.len());
        for row in order {
            let row = row as usize;
            keys.clear();
            let window = RowKey::parts(key_of(&self.key_bytes, &self.key_ends, row), self.keys, &mut keys);
            let stride = self.kinds.len();
            values.clear();
            values.extend(self.kinds.iter().zip(&self.accumulators[row * stride..][..stride]).map(
                |(kind, &value)| match kind {
                    MeasureKind::Min => (value != NO_MIN).then_some(value),
                    MeasureKind::Max => (value != NO_MAX).then_some(value),
                    MeasureKind::Count | MeasureKind::Sum => Some(value),
                },
            ));
            rows.push(window, keys.iter().copied(), &values);
        }
        rows
    }
}

/// The key of a row.
#[inline]
fn key_of<'t>(key_bytes: &'t [u8], key_ends: &[usize], row: usize) -> &'t [u8] {
    let start = if row == 0 { 0 } else { key_ends[row - 1] };
    &key_bytes[start..key_ends[row]]
}

/// The window and keys of a row as a byte string, in a buffer that is reused for every line.
///
/// The window comes first, in big endian with its sign bit inverted, so that the bytes sort as windows do. The keys
/// follow, each with its length before it except for the last.
#[derive(Debug, Default, Clone)]
pub(crate) struct RowKey {
    bytes: Vec<u8>,
}

impl RowKey {
    /// Begins a key with its window.
    #[inline]
    pub(crate) fn begin(&mut self, window_start: i64) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&(window_start ^ i64::MIN).to_be_bytes());
    }

    /// Appends the next key. The length of the last one need not be written.
    #[inline]
    pub(crate) fn push(&mut self, key: &[u8], is_last: bool) {
        if !is_last {
            put_varint(&mut self.bytes, key.len() as u64);
        }
        self.bytes.extend_from_slice(key);
    }

    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Splits a key again: returns its window, and puts its `count` keys into `keys`.
    // Cannot fail: only keys that `push` wrote are ever split.
    fn parts<'k>(key: &'k [u8], count: usize, keys: &mut Vec<&'k [u8]>) -> i64 {
        let (window, mut rest) = key.split_first_chunk::<8>().unwrap();
        for at in 0..count {
            let is_last = at + 1 == count;
            let mut reader = Reader::new(rest);
            let len = if is_last { rest.len() } else { reader.varint().unwrap() as usize };
            let start = reader.offset();
            keys.push(&rest[start..start + len]);
            rest = &rest[start + len..];
        }
        i64::from_be_bytes(*window) ^ i64::MIN
    }
}

/// Counts one line at a time.
pub(super) struct PlainWorker {
    plan: Plan,
    parser: LineParser,
    statistics: Vec<Statistic>,
    checks: Vec<(CheckName, Condition)>,
    /// By statistic, the lines that its condition selected.
    pub(super) selected: Vec<u64>,
    /// By statistic, its rows.
    pub(super) tables: Vec<Table>,
    /// The lines that were too late, once per statistic.
    pub(super) too_late: u64,
    /// The lines that were more than a day ahead of the clock.
    pub(super) ahead: u64,
    /// The values that were left out.
    pub(super) bad_values: u64,
    pub(super) last_seconds: Option<i64>,
}

impl PlainWorker {
    pub(super) fn new(
        plan: Plan,
        parser: LineParser,
        statistics: &[Statistic],
        checks: &[(CheckName, Condition)],
    ) -> Self {
        let tables = plan.statistics.iter();
        let tables =
            tables.map(|statistic| Table::new(statistic.keys.len(), statistic.kinds.clone())).collect();
        Self {
            parser,
            statistics: statistics.to_vec(),
            checks: checks.to_vec(),
            selected: vec![0; statistics.len()],
            tables,
            too_late: 0,
            ahead: 0,
            bad_values: 0,
            last_seconds: None,
            plan,
        }
    }

    /// Counts a line in all statistics that are not skipped.
    pub(super) fn line(
        &mut self,
        (line, position): (&[u8], u64),
        now: i64,
        skip: &[bool],
        is_tallied: bool,
    ) -> Result<(), Rejection> {
        let mut record = Record::new();
        self.parser.parse(line, &mut record)?;
        self.plan.limits.check(line, &record)?;
        if self.plan.rejects_ahead && record.seconds() > now + 86_400 {
            return Err(Rejection { reason: Reason::TimeAhead, column: 1 });
        }
        let mut numbers = Vec::new();
        for number in &self.plan.numbers {
            let read = read(number, record.field(number.field, line));
            if let Err(reason) = read
                && !number.is_lenient
                && !number.is_deferred
            {
                return Err(Rejection { reason, column: record.column(number.field) });
            }
            numbers.push(read);
        }
        let texts = Texts { plan: &self.plan, record: &record, line };
        let conventions = Conventions::of(&self.parser);
        let holds = |condition: &Condition| {
            texts.of(&condition.0.inputs(), |names, texts| condition.0.holds(names, texts, conventions))
        };
        for (name, condition) in &self.checks {
            if !holds(condition) {
                return Err(Rejection { reason: Reason::Check(*name), column: 1 });
            }
        }
        let mut derived = Vec::new();
        for number in &self.plan.derived_numbers {
            let users = |at: &usize| {
                self.plan.statistics[*at]
                    .numbers
                    .iter()
                    .position(|known| *known == Some(NumberAt::Derived(derived.len())))
            };
            let (statistic, measure) =
                (0..self.statistics.len()).find_map(|at| Some((at, users(&at)?))).unwrap();
            let field = self.statistics[statistic].measures[measure].field.clone().unwrap();
            let mut number = number.number.clone();
            number.follow(conventions);
            derived.push(read(&number, &texts.write(&field.expr)));
        }
        let value = |at: NumberAt| match at {
            NumberAt::Field(at) => (numbers[at], &self.plan.numbers[at]),
            NumberAt::Derived(at) => (derived[at], &self.plan.derived_numbers[at].number),
        };
        let is_sampled = |statistic: &Statistic| match &statistic.sample {
            None => true,
            Some((rate, None)) => is_one_in(*rate, &position.to_le_bytes()),
            Some((rate, Some(field))) => is_one_in(*rate, &texts.write(&field.expr)),
        };
        let counts: Vec<bool> = self
            .statistics
            .iter()
            .map(|statistic| statistic.only.as_ref().is_none_or(holds) && is_sampled(statistic))
            .collect();
        let keys: Vec<Vec<Vec<u8>>> = self
            .statistics
            .iter()
            .map(|statistic| statistic.all_keys().map(|key| texts.write(&key.expr)).collect())
            .collect();
        for (at, statistic) in self.plan.statistics.iter().enumerate().filter(|(at, _)| counts[*at]) {
            if !self.plan.limits.allow(keys[at].iter().map(Vec::as_slice)) {
                return Err(Rejection { reason: Reason::KeyTooLong, column: 1 });
            }
            for (read, number) in statistic.numbers.iter().flatten().map(|number| value(*number)) {
                if let Err(reason) = read
                    && !number.is_lenient
                {
                    return Err(Rejection { reason, column: 1 });
                }
            }
        }
        let all = (0..numbers.len()).map(NumberAt::Field).chain((0..derived.len()).map(NumberAt::Derived));
        let is_left_out = |number: &NumberAt| {
            let is_user =
                |at: &usize| counts[*at] && self.plan.statistics[*at].numbers.contains(&Some(*number));
            value(*number).0.is_err() && (0..self.statistics.len()).any(|at| is_user(&at))
        };
        self.bad_values += all.filter(is_left_out).count() as u64;
        for (at, statistic) in self.plan.statistics.iter().enumerate() {
            if skip[at] || !counts[at] {
                continue;
            }
            if is_tallied && statistic.only.is_some() {
                self.selected[at] += 1;
            }
            let start = record.seconds() - record.seconds().rem_euclid(statistic.window_seconds);
            if statistic.retain_seconds.is_some_and(|seconds| start + seconds <= now) {
                self.too_late += 1;
                continue;
            }
            let mut key = RowKey::default();
            key.begin(start);
            for (part, text) in keys[at].iter().enumerate() {
                key.push(text, part + 1 == keys[at].len());
            }
            let row = self.tables[at].row(key.as_bytes());
            for ((total, kind), number) in row.iter_mut().zip(&*statistic.kinds).zip(&statistic.numbers) {
                let value = number.and_then(|number| value(number).0.ok().flatten());
                match (kind, value) {
                    (MeasureKind::Count, _) => *total += 1,
                    (_, None) => {}
                    (MeasureKind::Sum, Some(value)) => *total += value,
                    (MeasureKind::Min, Some(value)) => *total = value.min(*total),
                    (MeasureKind::Max, Some(value)) => *total = value.max(*total),
                }
            }
        }
        self.ahead += u64::from(record.seconds() > now + 86_400);
        self.last_seconds = Some(record.seconds());
        Ok(())
    }
}

/// The texts of a line.
struct Texts<'t> {
    plan: &'t Plan,
    record: &'t Record,
    line: &'t [u8],
}

impl Texts<'_> {
    /// Calls a function with the texts of inputs.
    fn of<T>(&self, names: &[Input], call: impl FnOnce(&[Input], &[&[u8]]) -> T) -> T {
        let text = |name: &Input| match name {
            Input::Variable(name) => {
                let field = self.plan.fields.iter().position(|field| field == name).unwrap();
                self.record.field(field, self.line).to_vec()
            }
            Input::Log => b"-".to_vec(),
            Input::Time(offset) => offset.shift(self.record.seconds()).to_string().into_bytes(),
        };
        let texts: Vec<Vec<u8>> = names.iter().map(text).collect();
        let texts: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        call(names, &texts)
    }

    /// The text of a value.
    fn write(&self, expr: &Expr) -> Vec<u8> {
        let mut out = Vec::new();
        self.of(&expr.inputs(), |names, texts| expr.write(names, texts, &mut out));
        out
    }
}

/// Reads a value of a measure, which may have more than 64 bits if it is only added up.
fn read(number: &Number, text: &[u8]) -> Result<Option<i128>, Reason> {
    let is_held = number.is_summed && !number.is_list && number.range == (i64::MIN..=i64::MAX);
    let value = match number.read(text) {
        Err(NumberError::TooLarge) if is_held => {
            number.reading.wide(text).map(Some).ok_or(NumberError::TooLarge)
        }
        read => read.map(|value| value.map(i128::from)),
    };
    let (low, high) = (i128::from(*number.range.start()), i128::from(*number.range.end()));
    match value {
        Ok(Some(value)) if !is_held && (value < low || value > high) => Err(Reason::NumberOutOfRange),
        value => value.map_err(Reason::from),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const KINDS: [MeasureKind; 4] =
        [MeasureKind::Count, MeasureKind::Sum, MeasureKind::Min, MeasureKind::Max];

    type Line = (i64, Vec<u8>, Vec<u8>, i64);

    fn add(table: &mut Table, (window, a, b, value): &Line) {
        let mut key = RowKey::default();
        key.begin(*window);
        key.push(a, false);
        key.push(b, true);
        let row = table.row(key.as_bytes());
        let value = i128::from(*value);
        row[0] += 1;
        row[1] += value;
        row[2] = row[2].min(value);
        row[3] = row[3].max(value);
    }

    /// The values, by window and keys.
    type Contents = BTreeMap<(i64, Vec<Vec<u8>>), Vec<Option<i128>>>;

    fn contents(rows: &Rows) -> Contents {
        let mut contents = Contents::new();
        let mut cursor = rows.cursor();
        while let Some(row) = cursor.next_row() {
            let keys = row.keys.iter().map(|key| key.to_vec()).collect();
            let before = contents.insert((row.window_start, keys), row.values.to_vec());
            assert_eq!(before, None, "each row comes once");
        }
        contents
    }

    fn lines() -> impl Strategy<Value = Vec<Line>> {
        let key = || prop::collection::vec(prop::sample::select(vec![0_u8, 1, b'a', 0xFF]), 0..3);
        prop::collection::vec(
            (prop::sample::select(vec![-60_i64, 0, 60]), key(), key(), any::<i64>()),
            0..200,
        )
    }

    proptest! {
        #[test]
        fn merged_tables_hold_what_one_table_would(lines in lines(), split in 0_usize..200) {
            let (mut one, mut first) = (Table::new(2, KINDS.into()), Table::new(2, KINDS.into()));
            let mut second = first.take();
            for (at, line) in lines.iter().enumerate() {
                add(&mut one, line);
                add(if at < split { &mut first } else { &mut second }, line);
            }
            first.merge(&second).unwrap();
            let mut naive: BTreeMap<_, Vec<i128>> = BTreeMap::new();
            for (window, a, b, value) in &lines {
                let values = naive.entry((*window, vec![a.clone(), b.clone()])).or_default();
                values.push(i128::from(*value));
            }
            let naive: BTreeMap<_, _> = naive.into_iter().map(|(key, values)| {
                let (min, max) = (values.iter().min().copied(), values.iter().max().copied());
                (key, vec![Some(values.len() as i128), Some(values.iter().sum()), min, max])
            }).collect();
            prop_assert_eq!(&contents(&one.to_rows()), &naive);
            prop_assert_eq!(&contents(&first.to_rows()), &naive);
        }
    }

    #[test]
    fn a_row_without_a_value_has_no_extremes() {
        let mut table = Table::new(0, KINDS.into());
        let mut key = RowKey::default();
        key.begin(60);
        table.row(key.as_bytes())[0] += 1;
        let rows = table.to_rows();
        assert_eq!(rows.cursor().next_row().unwrap().values, [Some(1), Some(0), None, None]);
    }

    #[test]
    fn a_sum_beyond_128_bits_is_an_overflow() {
        let mut table = Table::new(0, [MeasureKind::Sum].into());
        let mut key = RowKey::default();
        key.begin(0);
        table.row(key.as_bytes())[0] = i128::MAX;
        let other = table.clone();
        assert_eq!(table.merge(&other), Err(Overflow));
    }

    #[test]
    fn taking_leaves_an_empty_table() {
        let mut table = Table::new(2, KINDS.into());
        add(&mut table, &(0, b"a".to_vec(), b"b".to_vec(), 1));
        assert_eq!(table.take().len(), 1);
        assert_eq!((table.len(), table.to_rows().len()), (0, 0));
    }
}
