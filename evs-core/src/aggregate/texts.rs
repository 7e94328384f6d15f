//! The texts of some lines as ids: the fields of the parser, and what is derived from them.
//!
//! Each text has a dictionary. The ids of a field are looked up line by line. Those of a derived text are found by the ids of
//! its inputs, so its function runs once per distinct value, whatever it costs:
//!
//! ```text
//! uri                   "/a/b" = 0, "/a/c" = 1, "/d" = 2      lines 0 1 2 0
//! path_prefix(uri, 1)   "/a" = 0, "/d" = 1                    known [0, 0, 1]   ->   lines 0 0 1 0
//! ```

use super::{
    dictionary::Dictionary,
    memo::Memo,
    plan::{DerivedNumber, DerivedText, Inputs, Plan},
    table::room,
};
use crate::{
    derive::Input,
    format::{Columns, Conventions, NumberColumn, Reason},
};

/// The number of texts with which a dictionary is full, unless the row limits of its statistics are lower.
const TEXTS_MAX: usize = 1 << 20;
/// The minimum of that number, however low the row limits are: a dictionary that is reset too often is no help.
const TEXTS_MIN: usize = if cfg!(test) { 4 } else { 1 << 16 };
/// The number of texts with which a dictionary is full that no row has ids of.
const INPUTS_MAX: usize = if cfg!(test) { 4 } else { 1 << 18 };

/// The texts of a plan, and their ids for some lines.
#[derive(Debug)]
pub(super) struct TextIds {
    /// By text, its dictionary. It stays empty if the text needs no ids.
    pub(super) dictionaries: Vec<Dictionary>,
    /// By text, the ids of its values.
    pub(super) ids: Vec<Vec<u32>>,
    /// The numbers of derived texts.
    pub(super) numbers: Vec<TextNumbers>,
    /// The fields that need ids.
    fields: Vec<usize>,
    /// The derived texts. The first one follows the last field of the parser.
    derived: Vec<Derivation>,
    /// The number of fields.
    first_derived: usize,
    /// The path of the log that has the lines.
    log: Vec<u8>,
    // Used again for every value:
    text: Vec<u8>,
}

/// The state of a derived text.
#[derive(Debug)]
struct Derivation {
    from: DerivedText,
    /// By input, the ids of the function's values.
    memo: Memo<u32>,
    /// The last time, and its id.
    last: Option<(i64, u32)>,
}

/// A number that is read from a derived text.
#[derive(Debug)]
pub(super) struct TextNumbers {
    pub(super) plan: DerivedNumber,
    memo: Memo<Result<Option<i64>, Reason>>,
    /// The numbers of the lines.
    pub(super) column: NumberColumn,
    // Used again for every block of lines:
    read: Vec<Result<Option<i64>, Reason>>,
}

impl TextIds {
    pub(super) fn new(plan: &Plan, conventions: Conventions) -> Self {
        let dictionary = |text: usize| {
            let users = plan.statistics.iter().filter(|statistic| statistic.keys.contains(&text));
            // A top list keeps few of the keys that it sees.
            let rows_max = users.map(|statistic| statistic.top.map_or(statistic.rows_max, room)).max();
            Dictionary::new(
                rows_max.map_or(INPUTS_MAX, |rows| rows.saturating_mul(2).clamp(TEXTS_MIN, TEXTS_MAX)),
            )
        };
        let derivation = |from: &DerivedText| {
            let inputs = match from {
                DerivedText::Line(_) => 0,
                DerivedText::Value(_, inputs) => inputs.texts.len(),
            };
            Derivation { from: from.clone(), memo: Memo::new(inputs), last: None }
        };
        let number = |known: &DerivedNumber| {
            let mut plan = known.clone();
            plan.number.follow(conventions);
            TextNumbers { plan, memo: Memo::new(1), column: NumberColumn::default(), read: Vec::new() }
        };
        Self {
            dictionaries: (0..plan.texts()).map(dictionary).collect(),
            ids: vec![Vec::new(); plan.texts()],
            numbers: plan.derived_numbers.iter().map(number).collect(),
            fields: (0..plan.fields.len()).filter(|field| plan.needs_ids(*field)).collect(),
            derived: plan.derived.iter().map(derivation).collect(),
            first_derived: plan.fields.len(),
            log: b"-".to_vec(),
            text: Vec::new(),
        }
    }

    /// Sets the path of the log that has the next lines.
    pub(super) fn set_log(&mut self, path: &str) {
        self.log.clear();
        self.log.extend_from_slice(path.as_bytes());
    }

    /// Forgets all values of a text, and what is known of texts and numbers that are derived from it.
    pub(super) fn reset(&mut self, text: usize) {
        self.dictionaries[text].reset();
        for (at, derivation) in self.derived.iter_mut().enumerate() {
            let is_input =
                matches!(&derivation.from, DerivedText::Value(_, inputs) if inputs.texts.contains(&text));
            if is_input || self.first_derived + at == text {
                derivation.memo.forget();
                derivation.last = None;
            }
        }
        self.numbers
            .iter_mut()
            .filter(|number| number.plan.text == text)
            .for_each(|number| number.memo.forget());
    }

    /// Finds the ids and numbers of the lines in the columns.
    pub(super) fn find(&mut self, block: &[u8], columns: &Columns) {
        for field in &self.fields {
            let (dictionary, ids) = (&mut self.dictionaries[*field], &mut self.ids[*field]);
            dictionary.ids(block, columns, &columns.fields[*field], ids);
        }
        for at in 0..self.derived.len() {
            self.derive(at, &columns.seconds);
        }
        for number in &mut self.numbers {
            let text = number.plan.text;
            number.find(&self.dictionaries[text], &self.ids[text]);
        }
    }

    /// Finds the ids of a derived text for lines of these times.
    fn derive(&mut self, at: usize, seconds: &[i64]) {
        let Self { dictionaries, ids, derived, first_derived, text, log, .. } = self;
        // The inputs are fields, times and the log, and those come first.
        let (inputs_of, own) = dictionaries.split_at_mut(*first_derived + at);
        let (input_ids, own_ids) = ids.split_at_mut(*first_derived + at);
        let (own, own_ids) = (&mut own[0], &mut own_ids[0]);
        let Derivation { from, memo, last } = &mut derived[at];
        match from {
            DerivedText::Line(Input::Variable(_)) => {}
            DerivedText::Line(Input::Log) => {
                let id = own.id(log);
                own_ids.clear();
                own_ids.resize(seconds.len(), id);
            }
            DerivedText::Line(Input::Time(offset)) => {
                own_ids.clear();
                own_ids.extend(seconds.iter().map(|seconds| match last {
                    Some((known, id)) if known == seconds => *id,
                    _ => {
                        let id = own.id(offset.shift(*seconds).to_string().as_bytes());
                        *last = Some((*seconds, id));
                        id
                    }
                }));
            }
            DerivedText::Value(expr, Inputs { names, texts }) => {
                let inputs: Vec<_> =
                    texts.iter().map(|text| (&inputs_of[*text], &input_ids[*text][..])).collect();
                let compute = |texts: &[&[u8]]| {
                    text.clear();
                    expr.write(names, texts, text);
                    own.id(text)
                };
                memo.find(&inputs, seconds.len(), compute, own_ids);
            }
        }
    }
}

impl TextNumbers {
    /// Reads the numbers of lines whose texts have these ids.
    fn find(&mut self, dictionary: &Dictionary, ids: &[u32]) {
        let Self { plan, memo, column, read } = self;
        let compute = |texts: &[&[u8]]| {
            let mut column = NumberColumn::default();
            plan.number.append(texts[0], &mut column)?;
            match column.bad.first() {
                Some(_) => Err(Reason::NotANumber),
                None => Ok((!column.are_absent[0]).then_some(column.values[0])),
            }
        };
        memo.find(&[(dictionary, ids)], ids.len(), compute, read);
        column.clear();
        for (line, value) in read.iter().enumerate() {
            column.push(value.unwrap_or_default());
            if value.is_err() {
                column.bad.push(line);
            }
        }
    }
}
