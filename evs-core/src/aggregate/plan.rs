use std::sync::Arc;

use crate::{
    format::{FormatError, LineParser, LogFormat, Number},
    statistic::{MeasureKind, Schema},
};

/// What a line has to be asked for, so that every statistic is served with each field decoded once.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The fields that the parser is to find.
    pub(crate) fields: Vec<String>,
    /// The fields that are read as numbers, each at a scale.
    pub(crate) numbers: Vec<Number>,
    pub(crate) statistics: Vec<StatisticPlan>,
}

/// One statistic's share of a plan.
#[derive(Debug, Clone)]
pub(crate) struct StatisticPlan {
    pub(crate) window_seconds: i64,
    /// Indices into [`Plan::fields`].
    pub(crate) keys: Vec<usize>,
    pub(crate) kinds: Arc<[MeasureKind]>,
    /// For each measure its index into [`Plan::numbers`]; of no meaning for a count.
    pub(crate) numbers: Vec<usize>,
    pub(crate) rows_max: usize,
    /// How long a window is kept after its start.
    pub(crate) retain_seconds: Option<i64>,
}

impl Plan {
    /// The plan for statistics of these schemas and row limits.
    pub(crate) fn new<'s>(statistics: impl IntoIterator<Item = (&'s Schema, usize)>) -> Self {
        let mut plan = Self { fields: Vec::new(), numbers: Vec::new(), statistics: Vec::new() };
        for (schema, rows_max) in statistics {
            let keys = schema.keys.iter().map(|key| plan.field(&key.field)).collect();
            let numbers = schema
                .measures
                .iter()
                .map(|measure| match measure.kind {
                    MeasureKind::Count => 0,
                    _ => plan.number(&measure.field, measure.scale),
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
        plan
    }

    fn field(&mut self, name: &str) -> usize {
        index_of_or_push(&mut self.fields, name.to_owned())
    }

    fn number(&mut self, name: &str, scale: u8) -> usize {
        let number = Number { field: self.field(name), scale, is_list: name.starts_with("upstream_") };
        index_of_or_push(&mut self.numbers, number)
    }

    /// The parser that finds the plan's fields.
    pub(crate) fn parser(&self, format: &LogFormat) -> Result<LineParser, FormatError> {
        format.parser(&self.fields)
    }
}

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
        assert_eq!(plan.numbers, [Number { field: 1, scale: 2, is_list: false }]);
        assert_eq!(plan.statistics[1].keys, [1]);
        assert_eq!(plan.statistics[1].numbers, [0, 0]);
    }
}
