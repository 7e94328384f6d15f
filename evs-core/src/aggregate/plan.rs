//! The plan of a pipeline's statistics: the fields that the parser finds for all of them.
//!
//! Statistics ask for fields by name, and often for the same ones. The plan numbers each field once, and each number
//! (a field at a scale) once. Everything after that uses indices.
//!
//! ```text
//! one: by status,  sum of arg_v at scale 2       fields   status, arg_v
//! two: by arg_v,   max of arg_v at scale 2       numbers  (arg_v, 2)
//! ```

use std::{ops::RangeInclusive, sync::Arc};

use crate::{
    derive::{Condition, Expr, Field, Input, Test},
    format::{CheckName, FormatError, LineLimits, LineParser, LogFormat, Number},
    number::Reading,
    sink::Limits,
    statistic::{Measure, MeasureKind, Statistic},
};

/// The fields and numbers that all statistics together need of a line. Each is decoded once, however many statistics
/// use it.
///
/// A *text* is a value that has ids: field 0, field 1 and so on, and after the fields the derived texts.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The fields that the parser finds.
    pub(crate) fields: Vec<String>,
    /// The texts that are no fields. Those of the line's time and log come first.
    pub(crate) derived: Vec<DerivedText>,
    /// The fields that are read as numbers, each at a scale. A field at two scales is two numbers.
    pub(crate) numbers: Vec<Number>,
    /// The numbers that are read from derived texts.
    pub(crate) derived_numbers: Vec<DerivedNumber>,
    /// The times and keys that a line may have.
    pub(crate) limits: LineLimits,
    /// True if lines whose time is more than a day ahead of the clock are rejected.
    pub(crate) rejects_ahead: bool,
    /// The questions of all conditions.
    pub(crate) leaves: Vec<Leaf>,
    /// The conditions, of which each stands here once.
    pub(crate) trees: Vec<Tree>,
    /// The rates of samples by position, for each rate how many lines there are to one that is counted.
    pub(crate) rates: Vec<u32>,
    /// The conditions that a line must fulfil, or it is rejected under that name.
    pub(crate) checks: Vec<(CheckName, usize)>,
    /// The statistics, in the order in which the user named them.
    pub(crate) statistics: Vec<StatisticPlan>,
}

/// The part of a plan that belongs to one statistic.
#[derive(Debug, Clone)]
pub(crate) struct StatisticPlan {
    /// The index of its condition in [`Plan::trees`]. `None` counts all lines.
    pub(crate) only: Option<usize>,
    /// The length of a window.
    pub(crate) window_seconds: i64,
    /// By key, its text.
    pub(crate) keys: Vec<usize>,
    /// By measure, its kind.
    pub(crate) kinds: Arc<[MeasureKind]>,
    /// By measure, its number. `None` for a count.
    pub(crate) numbers: Vec<Option<NumberAt>>,
    /// The number of keys that a window shows. `None` shows all.
    pub(crate) top: Option<usize>,
    /// The number of rows at which the statistic is cut early.
    pub(crate) rows_max: usize,
    /// The time for which a window is kept after its start.
    pub(crate) retain_seconds: Option<i64>,
}

/// A text that is no field of the parser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DerivedText {
    /// The line's time or log.
    Line(Input),
    /// A function of texts that are fields, times or the log.
    Value(Expr, Inputs),
}

/// The inputs of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inputs {
    pub(crate) names: Vec<Input>,
    /// By input, its text.
    pub(crate) texts: Vec<usize>,
}

/// The number that a measure adds up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberAt {
    /// The index in [`Plan::numbers`].
    Field(usize),
    /// The index in [`Plan::derived_numbers`].
    Derived(usize),
}

/// A number that is read from a derived text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DerivedNumber {
    pub(crate) text: usize,
    pub(crate) number: Number,
}

/// A question that is answered at once: about one text, or about several if it cannot be taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    pub(crate) question: Question,
    pub(crate) inputs: Inputs,
}

/// A question about texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    /// A part of a condition.
    Test(Test),
    /// True for one value in that many.
    OneIn(u32, Expr),
}

/// A condition over the answers to [`Plan::leaves`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tree {
    Leaf(usize),
    /// True for some lines by their position, at that one of [`Plan::rates`].
    Position(usize),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

/// The lines that need the id of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LinesOf {
    Nobody,
    /// Those that one of these conditions selects, by their indices in [`Plan::trees`], in order.
    Trees(Vec<usize>),
    All,
}

impl LinesOf {
    /// Adds the lines of another user of the text.
    fn add(&mut self, others: &Self) {
        match (&mut *self, others) {
            (_, Self::Nobody) | (Self::All, _) => {}
            (Self::Trees(trees), Self::Trees(others)) => {
                trees.extend(others);
                trees.sort_unstable();
                trees.dedup();
            }
            _ => *self = others.clone(),
        }
    }
}

impl Plan {
    /// The plan for these statistics, and for checks by name.
    pub(crate) fn new(statistics: &[Statistic], checks: &[(CheckName, Condition)]) -> Self {
        let mut plan = Self {
            fields: Vec::new(),
            derived: Vec::new(),
            numbers: Vec::new(),
            derived_numbers: Vec::new(),
            limits: LineLimits::default(),
            rejects_ahead: false,
            leaves: Vec::new(),
            trees: Vec::new(),
            rates: Vec::new(),
            checks: Vec::new(),
            statistics: Vec::new(),
        };
        plan.add_inputs(statistics, checks);
        for (name, condition) in checks {
            let tree = plan.condition(condition);
            plan.checks.push((*name, tree));
        }
        for statistic in statistics {
            let schema = statistic.schema();
            let only = plan.selection(statistic);
            let planned = StatisticPlan {
                only,
                window_seconds: i64::from(schema.window_seconds),
                keys: statistic.all_keys().map(|key| plan.text(&key.expr)).collect(),
                kinds: schema.measures.iter().map(|measure| measure.kind).collect(),
                numbers: Vec::new(),
                top: statistic.top.map(|keys| keys as usize),
                rows_max: statistic.rows_max,
                retain_seconds: schema.retain_seconds.map(|seconds| seconds.try_into().unwrap_or(i64::MAX)),
            };
            plan.statistics.push(planned);
        }
        // A number that rejects lines for all statistics can serve those with conditions as well. So it comes first.
        for has_condition in [false, true] {
            for (at, statistic) in statistics.iter().enumerate() {
                if plan.statistics[at].only.is_some() == has_condition {
                    let number = |measure: &Measure| {
                        measure.field.as_ref().map(|field| plan.number(measure, field, has_condition))
                    };
                    let numbers = statistic.measures.iter().map(number).collect();
                    plan.statistics[at].numbers = numbers;
                }
            }
        }
        let fields = plan.fields.len();
        let of_parser = |keys: &Vec<usize>| keys.iter().copied().filter(|text| *text < fields).collect();
        plan.limits.keys = plan.statistics.iter().map(|statistic| of_parser(&statistic.keys)).collect();
        plan
    }

    /// Adds all fields and times, so that the numbers of texts do not change afterwards.
    fn add_inputs(&mut self, statistics: &[Statistic], checks: &[(CheckName, Condition)]) {
        let mut inputs = Vec::new();
        for statistic in statistics {
            statistic.all_keys().for_each(|key| key.expr.collect_inputs(&mut inputs));
            let fields = statistic.measures.iter().filter_map(|measure| measure.field.as_ref());
            fields.for_each(|field| field.expr.collect_inputs(&mut inputs));
            statistic.only.iter().for_each(|condition| condition.0.collect_inputs(&mut inputs));
            let sampled = statistic.sample.iter().filter_map(|(_, field)| field.as_ref());
            sampled.for_each(|field| field.expr.collect_inputs(&mut inputs));
        }
        checks.iter().for_each(|(_, condition)| condition.0.collect_inputs(&mut inputs));
        for input in inputs {
            match input {
                Input::Variable(name) => self.fields.push(name),
                Input::Time(_) | Input::Log => self.derived.push(DerivedText::Line(input)),
            }
        }
    }

    /// The number of texts: of the fields and of what is derived from them.
    pub(crate) fn texts(&self) -> usize {
        self.fields.len() + self.derived.len()
    }

    /// By text, the lines that need its id.
    ///
    /// The keys of a statistic with a condition are looked up for the lines that it selects alone. What a condition or a number
    /// is read from has ids for all lines.
    pub(crate) fn lines_of_texts(&self) -> Vec<LinesOf> {
        let mut lines_of = vec![LinesOf::Nobody; self.texts()];
        for statistic in &self.statistics {
            for &key in &statistic.keys {
                lines_of[key].add(&statistic.only.map_or(LinesOf::All, |tree| LinesOf::Trees(vec![tree])));
            }
        }
        let of_leaves = self.leaves.iter().flat_map(|leaf| &leaf.inputs.texts).copied();
        for text in of_leaves.chain(self.derived_numbers.iter().map(|number| number.text)) {
            lines_of[text] = LinesOf::All;
        }
        for (at, derived) in self.derived.iter().enumerate() {
            if let DerivedText::Value(_, inputs) = derived {
                let users = lines_of[self.fields.len() + at].clone();
                inputs.texts.iter().for_each(|&input| lines_of[input].add(&users));
            }
        }
        lines_of
    }

    /// True if lines may be rejected after they were read, so that their places must be known.
    pub(crate) fn judges(&self) -> bool {
        let has_derived_keys = || {
            self.statistics
                .iter()
                .flat_map(|statistic| &statistic.keys)
                .any(|text| *text >= self.fields.len())
        };
        !self.checks.is_empty()
            || !self.rates.is_empty()
            || !self.derived_numbers.is_empty()
            || self.numbers.iter().any(|number| number.is_deferred)
            || (self.limits.have_keys_max() && has_derived_keys())
    }

    /// The text of a value. A new one is added.
    fn text(&mut self, expr: &Expr) -> usize {
        if let Some(name) = expr.variable() {
            return index_of_or_push(&mut self.fields, name.to_owned());
        }
        let derived = match expr {
            Expr::Time(offset) => DerivedText::Line(Input::Time(*offset)),
            Expr::Log => DerivedText::Line(Input::Log),
            expr => {
                let inputs = self.inputs(expr.inputs());
                DerivedText::Value(expr.clone(), inputs)
            }
        };
        self.fields.len() + index_of_or_push(&mut self.derived, derived)
    }

    /// The texts of inputs. All of them are known.
    fn inputs(&mut self, names: Vec<Input>) -> Inputs {
        let expr = |input: &Input| match input {
            Input::Variable(name) => Expr::Variable(name.clone()),
            Input::Time(offset) => Expr::Time(*offset),
            Input::Log => Expr::Log,
        };
        let texts = names.iter().map(|input| self.text(&expr(input))).collect();
        Inputs { names, texts }
    }

    /// The index of a condition. A new one is added.
    fn condition(&mut self, condition: &Condition) -> usize {
        let tree = self.tree(&condition.0);
        index_of_or_push(&mut self.trees, tree)
    }

    /// The index of what selects the lines of a statistic: its condition and its sample. `None` selects all lines.
    fn selection(&mut self, statistic: &Statistic) -> Option<usize> {
        let condition = statistic.only.as_ref().map(|condition| self.tree(&condition.0));
        let sample = statistic.sample.as_ref().map(|(one_in, by)| match by {
            None => Tree::Position(index_of_or_push(&mut self.rates, *one_in)),
            Some(field) => {
                let question = Question::OneIn(*one_in, field.expr.clone());
                let leaf = Leaf { question, inputs: self.inputs(field.expr.inputs()) };
                Tree::Leaf(index_of_or_push(&mut self.leaves, leaf))
            }
        });
        let tree = match (condition, sample) {
            (Some(condition), Some(sample)) => Tree::All(vec![condition, sample]),
            (condition, sample) => condition.or(sample)?,
        };
        Some(index_of_or_push(&mut self.trees, tree))
    }

    /// Takes a condition apart into questions about one text each, as far as that can be done.
    fn tree(&mut self, test: &Test) -> Tree {
        let names = test.inputs();
        let all = |plan: &mut Self, tests: &[Test]| tests.iter().map(|test| plan.tree(test)).collect();
        match test {
            Test::Not(test) if names.len() > 1 => Tree::Not(Box::new(self.tree(test))),
            Test::All(tests) if names.len() > 1 => Tree::All(all(self, tests)),
            Test::Any(tests) if names.len() > 1 => Tree::Any(all(self, tests)),
            test => {
                let leaf = Leaf { question: Question::Test(test.clone()), inputs: self.inputs(names) };
                Tree::Leaf(index_of_or_push(&mut self.leaves, leaf))
            }
        }
    }

    /// Narrows the limits of lines to those of a store.
    pub(crate) fn limit(&mut self, limits: &Limits) {
        for statistic in &self.statistics {
            let (times, can_be) = (&mut self.limits.times, limits.times(statistic.window_seconds));
            *times = *times.start().max(can_be.start())..=*times.end().min(can_be.end());
        }
        self.limits.key_bytes_max = limits.key_bytes_max;
        self.limits.keys_bytes_max = limits.keys_bytes_max;
    }

    /// Narrows the values of a measure to `range`, times 10^scale.
    ///
    /// A line counts in every statistic or in none, so this applies to all statistics that read the same number. A lenient
    /// measure leaves out the others' values and not their lines, and a statistic with a condition rejects only the lines that
    /// it counts, so these get a number of their own.
    pub(crate) fn narrow(&mut self, (statistic, measure): (usize, usize), range: &RangeInclusive<i64>) {
        let at = match self.statistics[statistic].numbers[measure] {
            None => return,
            Some(NumberAt::Derived(at)) => {
                let held = &mut self.derived_numbers[at].number.range;
                *held = narrowed(held, range);
                return;
            }
            Some(NumberAt::Field(at)) => at,
        };
        let number = &self.numbers[at];
        let range = narrowed(&number.range, range);
        let is_user = |number: &&Option<NumberAt>| **number == Some(NumberAt::Field(at));
        let users = self.statistics.iter().flat_map(|statistic| &statistic.numbers).filter(is_user).count();
        let is_deferred = self.statistics[statistic].only.is_some() && !number.is_lenient;
        let is_shared = users > 1 && (number.is_lenient || is_deferred);
        if range != number.range && (is_shared || (is_deferred && !number.is_deferred)) {
            let own = Number { range, is_deferred, ..number.clone() };
            let own = index_of_or_push(&mut self.numbers, own);
            self.statistics[statistic].numbers[measure] = Some(NumberAt::Field(own));
        } else {
            self.numbers[at].range = range;
        }
    }

    /// The number of a measure. A new one is added. A statistic with a condition rejects a line with a value that is none only
    /// if it counts the line.
    fn number(&mut self, measure: &Measure, field: &Field, has_condition: bool) -> NumberAt {
        let is_deferred = has_condition && !measure.is_lenient;
        let text = self.text(&field.expr);
        let reading = Reading {
            scale: measure.scale,
            rounding: measure.rounding,
            elements: measure.elements,
            ..Reading::default()
        };
        let mut number = Number { field: text, is_lenient: measure.is_lenient, ..field.expr.number(reading) };
        number.is_list |= measure.is_list;
        number.is_summed = measure.kind == MeasureKind::Sum;
        let is_same = |known: &Number| {
            (known.field, known.reading, known.is_list, known.is_lenient)
                == (number.field, number.reading, number.is_list, number.is_lenient)
        };
        if text >= self.fields.len() {
            let number = Number { is_summed: false, ..number };
            let of_derived = &mut self.derived_numbers;
            // Each statistic has its own limits for it.
            of_derived.push(DerivedNumber { text, number });
            return NumberAt::Derived(of_derived.len() - 1);
        }
        let known =
            self.numbers.iter().position(|known| is_same(known) && (is_deferred || !known.is_deferred));
        if let Some(known) = known {
            self.numbers[known].is_summed &= number.is_summed;
            return NumberAt::Field(known);
        }
        self.numbers.push(Number { is_deferred, ..number });
        NumberAt::Field(self.numbers.len() - 1)
    }

    /// The fields whose names may be mistaken, if no line has them. Whether there is an argument is up to the clients.
    pub(crate) fn doubtful(&self, parser: &LineParser) -> Vec<usize> {
        let is_doubtful = |field: &usize| !self.fields[*field].starts_with("arg_");
        let fields = 0..self.fields.len();
        if parser.may_lack_fields() { fields.filter(is_doubtful).collect() } else { Vec::new() }
    }

    /// The parser that finds the fields of the plan.
    ///
    /// # Errors
    ///
    /// Fails if the format does not have one of the fields.
    pub(crate) fn parser(&self, format: &LogFormat) -> Result<LineParser, FormatError> {
        format.parser(&self.fields)
    }
}

/// The values that are in both ranges.
fn narrowed(held: &RangeInclusive<i64>, range: &RangeInclusive<i64>) -> RangeInclusive<i64> {
    *held.start().max(range.start())..=*held.end().min(range.end())
}

/// The index of an item in a list. A new item is appended.
pub(super) fn index_of_or_push<T: PartialEq>(items: &mut Vec<T>, item: T) -> usize {
    items.iter().position(|other| *other == item).unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        derive::arg,
        statistic::{Statistic, count, max, sum},
    };

    #[test]
    fn a_field_is_asked_for_once_however_many_statistics_use_it() {
        let one = Statistic::named("one").group_by(["status"]).measure(sum(arg("v")).scale(2));
        let two =
            Statistic::named("two").group_by([arg("v")]).measure(count()).measure(max(arg("v")).scale(2));
        let plan = Plan::new(&[one, two], &[]);
        assert_eq!(plan.fields, ["status", "arg_v"]);
        let reading = Reading { scale: 2, ..Reading::default() };
        assert_eq!(
            plan.numbers,
            [Number {
                field: 1,
                reading,
                is_list: false,
                may_be_list: false,
                is_summed: false,
                is_lenient: false,
                is_deferred: false,
                is_of_client: true,
                range: i64::MIN..=i64::MAX
            }]
        );
        assert_eq!(plan.statistics[1].keys, [1]);
        assert_eq!(plan.statistics[1].numbers, [None, Some(NumberAt::Field(0))]);
    }

    #[test]
    fn only_what_nginx_prints_for_each_try_is_added_up() {
        let statistic = Statistic::named("s")
            .measure(sum("upstream_response_time").scale(3))
            .measure(sum("upstream_response_length"))
            .measure(sum("upstream_http_x_cost"))
            .measure(sum("upstream_cache_status"));
        let plan = Plan::new(&[statistic], &[]);
        let are_lists: Vec<bool> = plan.numbers.iter().map(|number| number.is_list).collect();
        assert_eq!(are_lists, [true, true, false, false]);
    }
}
