//! The texts of some lines as ids: the fields of the parser, and what is derived from them.
//!
//! Each text has a dictionary. The ids of a field are looked up line by line. Those of a derived text are found by the ids of
//! its inputs, so its function runs once per distinct value, whatever it costs:
//!
//! ```text
//! uri                   "/a/b" = 0, "/a/c" = 1, "/d" = 2      lines 0 1 2 0
//! path_prefix(uri, 1)   "/a" = 0, "/d" = 1                    known [0, 0, 1]   ->   lines 0 0 1 0
//! ```
//!
//! A key that only statistics with conditions have is looked up after the conditions, for the lines that they select. An
//! errors-only statistic by page costs no look-up for pages without errors, and its dictionary holds none of them.

use super::{
    dictionary::Dictionary,
    memo::Memo,
    plan::{DerivedNumber, DerivedText, Inputs, LinesOf, Plan, index_of_or_push},
    selection::{Selected, numbers_of},
    table::room,
};
use crate::{
    derive::Input,
    format::{Columns, Conventions, NumberColumn, Reason, Span},
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
    /// The texts that need ids for all lines, in the order in which they are found.
    of_all: Vec<usize>,
    /// The texts that need ids for some lines, in the order in which they are found, and the index of these in `unions`.
    of_some: Vec<(usize, usize)>,
    /// The lines that some conditions select together.
    unions: Vec<Union>,
    /// The derived texts. The first one follows the last field of the parser.
    derived: Vec<Derivation>,
    /// The number of fields.
    first_derived: usize,
    /// The path of the log that has the lines.
    log: Vec<u8>,
    // Used again for every value:
    text: Vec<u8>,
    // Used again for every text of some lines:
    spans: Vec<Span>,
    seconds: Vec<i64>,
    input_ids: Vec<Vec<u32>>,
    found: Vec<u32>,
}

/// The lines that at least one of some conditions selects.
#[derive(Debug)]
struct Union {
    /// The conditions, by their indices in the plan.
    trees: Vec<usize>,
    /// By line, 1 if it is one of them and 0 if not.
    answers: Vec<u8>,
    /// Their numbers, in order.
    lines: Vec<u32>,
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
        let (mut of_all, mut of_some, mut unions) = (Vec::new(), Vec::new(), Vec::new());
        for (text, lines) in plan.lines_of_texts().into_iter().enumerate() {
            match lines {
                LinesOf::Nobody => {}
                LinesOf::All => of_all.push(text),
                LinesOf::Trees(trees) => of_some.push((text, index_of_or_push(&mut unions, trees))),
            }
        }
        Self {
            dictionaries: (0..plan.texts()).map(dictionary).collect(),
            ids: vec![Vec::new(); plan.texts()],
            numbers: plan.derived_numbers.iter().map(number).collect(),
            of_all,
            of_some,
            unions: unions.into_iter().map(Union::new).collect(),
            derived: plan.derived.iter().map(derivation).collect(),
            first_derived: plan.fields.len(),
            log: b"-".to_vec(),
            text: Vec::new(),
            spans: Vec::new(),
            seconds: Vec::new(),
            input_ids: Vec::new(),
            found: Vec::new(),
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

    /// Finds the ids and numbers that all lines in the columns need.
    pub(super) fn find(&mut self, block: &[u8], columns: &Columns) {
        let mut ids = std::mem::take(&mut self.ids);
        for at in 0..self.of_all.len() {
            let text = self.of_all[at];
            let mut own = std::mem::take(&mut ids[text]);
            match text.checked_sub(self.first_derived) {
                None => self.dictionaries[text].ids(block, columns, &columns.fields[text], &mut own),
                Some(derived) => self.derive(derived, &ids, &columns.seconds, &mut own),
            }
            ids[text] = own;
        }
        self.ids = ids;
        for number in &mut self.numbers {
            let text = number.plan.text;
            number.find(&self.dictionaries[text], &self.ids[text]);
        }
    }

    /// Finds the ids that only lines need which some conditions select. Those of other lines mean nothing.
    pub(super) fn find_selected(&mut self, block: &[u8], columns: &Columns, selected: &[Selected]) {
        self.unions.iter_mut().for_each(|union| union.find(selected));
        for at in 0..self.of_some.len() {
            let (text, union) = self.of_some[at];
            let lines = std::mem::take(&mut self.unions[union].lines);
            let mut found = std::mem::take(&mut self.found);
            match text.checked_sub(self.first_derived) {
                None => {
                    let spans = &columns.fields[text];
                    self.spans.clear();
                    self.spans.extend(lines.iter().map(|line| spans[*line as usize]));
                    self.dictionaries[text].ids(block, columns, &self.spans, &mut found);
                }
                Some(derived) => self.derive_some(derived, &lines, &columns.seconds, &mut found),
            }
            let ids = &mut self.ids[text];
            ids.resize(columns.len(), 0);
            lines.iter().zip(&found).for_each(|(line, id)| ids[*line as usize] = *id);
            self.found = found;
            self.unions[union].lines = lines;
        }
    }

    /// Finds the ids of a derived text for some of the lines of these times.
    fn derive_some(&mut self, at: usize, lines: &[u32], seconds: &[i64], found: &mut Vec<u32>) {
        let mut own_seconds = std::mem::take(&mut self.seconds);
        own_seconds.clear();
        own_seconds.extend(lines.iter().map(|line| seconds[*line as usize]));
        let mut input_ids = std::mem::take(&mut self.input_ids);
        input_ids.resize_with(self.ids.len(), Vec::new);
        if let DerivedText::Value(_, inputs) = &self.derived[at].from {
            for &input in &inputs.texts {
                let (ids, taken) = (&self.ids[input], &mut input_ids[input]);
                taken.clear();
                taken.extend(lines.iter().map(|line| ids[*line as usize]));
            }
        }
        self.derive(at, &input_ids, &own_seconds, found);
        self.input_ids = input_ids;
        self.seconds = own_seconds;
    }

    /// Finds the ids of a derived text for lines of these times. `ids` has those of its inputs.
    fn derive(&mut self, at: usize, ids: &[Vec<u32>], seconds: &[i64], own_ids: &mut Vec<u32>) {
        let Self { dictionaries, derived, first_derived, text, log, .. } = self;
        // The inputs are fields, times and the log, and those come first.
        let (inputs_of, own) = dictionaries.split_at_mut(*first_derived + at);
        let own = &mut own[0];
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
                let inputs: Vec<_> = texts.iter().map(|text| (&inputs_of[*text], &ids[*text][..])).collect();
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

impl Union {
    fn new(trees: Vec<usize>) -> Self {
        Self { trees, answers: Vec::new(), lines: Vec::new() }
    }

    /// Finds the lines.
    fn find(&mut self, selected: &[Selected]) {
        let Self { trees, answers, lines } = self;
        let Some((first, others)) = trees.split_first() else { return };
        if others.is_empty() {
            lines.clone_from(&selected[*first].lines);
            return;
        }
        answers.clone_from(&selected[*first].answers);
        for tree in others {
            answers.iter_mut().zip(&selected[*tree].answers).for_each(|(answer, other)| *answer |= other);
        }
        numbers_of(answers, lines);
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
