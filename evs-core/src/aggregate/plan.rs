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
    format::{FormatError, LineLimits, LineParser, LogFormat, Number, is_list, is_of_client},
    number::Reading,
    sink::Limits,
    statistic::{MeasureColumn, MeasureKind, Schema},
};

/// The fields and numbers that all statistics together need of a line. Each is decoded once, however many statistics
/// use it.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The fields that the parser finds.
    pub(crate) fields: Vec<String>,
    /// The fields that are read as numbers, each at a scale. A field at two scales is two numbers.
    pub(crate) numbers: Vec<Number>,
    /// The times and keys that a line may have.
    pub(crate) limits: LineLimits,
    /// True if lines whose time is more than a day ahead of the clock are rejected.
    pub(crate) rejects_ahead: bool,
    /// The statistics, in the order in which the user named them.
    pub(crate) statistics: Vec<StatisticPlan>,
}

/// The part of a plan that belongs to one statistic.
#[derive(Debug, Clone)]
pub(crate) struct StatisticPlan {
    /// The length of a window.
    pub(crate) window_seconds: i64,
    /// By key, its index in [`Plan::fields`].
    pub(crate) keys: Vec<usize>,
    /// By measure, its kind.
    pub(crate) kinds: Arc<[MeasureKind]>,
    /// By measure, its index in [`Plan::numbers`]. It means nothing for a count.
    pub(crate) numbers: Vec<usize>,
    /// The number of rows at which the statistic is cut early.
    pub(crate) rows_max: usize,
    /// The time for which a window is kept after its start.
    pub(crate) retain_seconds: Option<i64>,
}

impl Plan {
    /// The plan for statistics of these schemas and row limits.
    pub(crate) fn new<'s>(statistics: impl IntoIterator<Item = (&'s Schema, usize)>) -> Self {
        let mut plan = Self {
            fields: Vec::new(),
            numbers: Vec::new(),
            limits: LineLimits::default(),
            rejects_ahead: false,
            statistics: Vec::new(),
        };
        for (schema, rows_max) in statistics {
            let keys = schema.keys.iter().map(|key| plan.field(&key.field)).collect();
            let numbers = schema
                .measures
                .iter()
                .map(|measure| match measure.kind {
                    MeasureKind::Count => 0,
                    _ => plan.number(measure),
                })
                .collect();
            plan.statistics.push(StatisticPlan {
                window_seconds: i64::from(schema.window_seconds),
                keys,
                kinds: schema.measures.iter().map(|measure| measure.kind).collect(),
                numbers,
                rows_max,
                retain_seconds: schema.retain_seconds.map(|seconds| seconds.try_into().unwrap_or(i64::MAX)),
            });
        }
        plan.limits.keys = plan.statistics.iter().map(|statistic| statistic.keys.clone()).collect();
        plan
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
    /// A line counts in every statistic or in none, so this applies to all statistics that read the same number. Only a lenient
    /// measure leaves out the others' values and not their lines, so it gets a number of its own.
    pub(crate) fn narrow(&mut self, (statistic, measure): (usize, usize), range: &RangeInclusive<i64>) {
        let at = self.statistics[statistic].numbers[measure];
        let held = &self.numbers[at].range;
        let range = *held.start().max(range.start())..=*held.end().min(range.end());
        let users =
            self.statistics.iter().flat_map(|statistic| statistic.numbers.iter().zip(&*statistic.kinds));
        let users = users.filter(|(number, kind)| **number == at && **kind != MeasureKind::Count);
        if self.numbers[at].is_lenient && range != *held && users.count() > 1 {
            let own = Number { range, ..self.numbers[at].clone() };
            self.statistics[statistic].numbers[measure] = index_of_or_push(&mut self.numbers, own);
        } else {
            self.numbers[at].range = range;
        }
    }

    /// The index of a field. A new field is added.
    fn field(&mut self, name: &str) -> usize {
        index_of_or_push(&mut self.fields, name.to_owned())
    }

    /// The index of a number. A new number is added.
    fn number(&mut self, measure: &MeasureColumn) -> usize {
        let field = self.field(&measure.field);
        let reading = Reading {
            scale: measure.scale,
            rounding: measure.rounding,
            elements: measure.elements,
            // The service that reads an argument of `5m` knows nothing of such units.
            has_units: !is_of_client(&measure.field),
            ..Reading::default()
        };
        let is_list = measure.is_list || is_list(&measure.field);
        let known = self.numbers.iter().position(|number| {
            (number.field, number.reading, number.is_list, number.is_lenient)
                == (field, reading, is_list, measure.is_lenient)
        });
        let is_summed = measure.kind == MeasureKind::Sum;
        if let Some(known) = known {
            self.numbers[known].is_summed &= is_summed;
            return known;
        }
        let (may_be_list, range) = (may_be_list(&measure.field), i64::MIN..=i64::MAX);
        let (is_lenient, is_of_client) = (measure.is_lenient, is_of_client(&measure.field));
        self.numbers.push(Number {
            field,
            reading,
            is_list,
            may_be_list,
            is_summed,
            is_lenient,
            is_of_client,
            range,
        });
        self.numbers.len() - 1
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

/// True if a text such as `0.001, 0.002` in the field can only be a list. In a header, a comma may mean anything.
fn may_be_list(field: &str) -> bool {
    let headers = ["sent_http_", "sent_trailer_", "upstream_http_", "upstream_trailer_", "upstream_cookie_"];
    !is_of_client(field) && !headers.iter().any(|prefix| field.starts_with(prefix))
}

/// The index of an item in a list. A new item is appended.
fn index_of_or_push<T: PartialEq>(items: &mut Vec<T>, item: T) -> usize {
    items.iter().position(|other| *other == item).unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistic::{Statistic, arg, count, max, sum};

    #[test]
    fn a_field_is_asked_for_once_however_many_statistics_use_it() {
        let one = Statistic::named("one").group_by(["status"]).measure(sum(arg("v")).scale(2));
        let two =
            Statistic::named("two").group_by([arg("v")]).measure(count()).measure(max(arg("v")).scale(2));
        let schemas = [one.schema(), two.schema()];
        let plan = Plan::new(schemas.iter().map(|schema| (&**schema, 10)));
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
                is_of_client: true,
                range: i64::MIN..=i64::MAX
            }]
        );
        assert_eq!(plan.statistics[1].keys, [1]);
        assert_eq!(plan.statistics[1].numbers, [0, 0]);
    }

    #[test]
    fn only_what_nginx_prints_for_each_try_is_added_up() {
        let statistic = Statistic::named("s")
            .measure(sum("upstream_response_time").scale(3))
            .measure(sum("upstream_response_length"))
            .measure(sum("upstream_http_x_cost"))
            .measure(sum("upstream_cache_status"));
        let schema = statistic.schema();
        let plan = Plan::new([(&*schema, 10)]);
        let are_lists: Vec<bool> = plan.numbers.iter().map(|number| number.is_list).collect();
        assert_eq!(are_lists, [true, true, false, false]);
    }
}
