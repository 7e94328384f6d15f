//! Statistics with conditions, derived keys, top lists, distinct counts, histograms, samples and routes, as arguments of the
//! example; and what a process that nothing disturbs counts for them.

use std::{collections::BTreeMap, path::Path, process::Command, sync::Arc};

use evs::{Schema, Sink};
use evs_testkit::{Kind, log_format};

use super::{access_log, schema_of};

#[path = "../../examples/access_log/statistic.rs"]
mod text;

/// The statistics, for logs of [`KIND`].
pub(crate) const ANSWERS: [&str; 7] = [
    "answers_selected; where=arg_v > 20 and not arg_t is absent; by=lower(arg_c) as campaign, minute(time()) as minute; count; sum=arg_v",
    "answers_top; by=arg_c; count; sum=arg_v; top=3",
    "answers_distinct; by=arg_t; distinct=arg_c",
    "answers_histogram; by=bucket(arg_v, 0.05) as bucket; count",
    "answers_tenth; by=arg_t; count; sample=10",
    "answers_some; by=arg_c; count; sample=3 by arg_c",
    "answers_routed; where=arg_t != \"\"; by=concat(arg_t, \"/\", truncate(arg_c, 2)) as kind; count; to=store",
];
pub(crate) const KIND: Kind = Kind::Ads;
/// The name of the sink.
pub(crate) const SINK: &str = "store";

/// By window and keys, the values.
pub(crate) type Held = BTreeMap<(i64, Vec<Vec<u8>>), Vec<Option<i128>>>;

/// Adds the statistics to the arguments of the example, each cut at another time.
pub(crate) fn add_to(command: &mut Command) {
    for (at, answer) in ANSWERS.iter().enumerate() {
        let flush = ["50ms", "10ms", "700ms"][at % 3];
        command.args(["--stat", &format!("{answer}; flush={flush}")]);
    }
}

/// The schema of each statistic, of which the sinks are no part.
pub(crate) fn schemas() -> impl Iterator<Item = Arc<Schema>> {
    ANSWERS.iter().map(|answer| {
        let answer = answer.trim_end_matches("; to=store");
        schema_of(log_format(KIND), text::parse(answer).unwrap())
    })
}

/// What a sink has of a statistic. A top list shows other keys of each batch than of all lines, and the same totals: of one, these
/// are compared.
pub(crate) async fn held(sink: &dyn Sink, schema: &Schema) -> Held {
    let rows = sink.totals(schema, i64::MIN..i64::MAX).await.unwrap();
    let (mut held, mut cursor) = (Held::new(), rows.cursor());
    while let Some(row) = cursor.next_row() {
        let keys = match schema.top {
            Some(_) => Vec::new(),
            None => row.keys.iter().map(|key| key.to_vec()).collect(),
        };
        let values = held.entry((row.window_start, keys)).or_insert_with(|| vec![None; row.values.len()]);
        for (sum, value) in values.iter_mut().zip(row.values) {
            *sum = sum.or(Some(0)).zip(*value).map(|(sum, value)| sum + value);
        }
    }
    held
}

/// Checks that a sink has what an undisturbed process counts in the whole log. `dir` has room for files of
/// its own.
pub(crate) async fn assert_exact(log: &Path, dir: &Path, sink: &dyn Sink, when: &str) {
    let database = dir.join("undisturbed.db");
    let mut command = Command::new(access_log());
    command.arg("--log").arg(log).arg("--state").arg(dir.join("undisturbed"));
    command.args(["--format", log_format(KIND), "--from", "oldest", "--once", "--sink"]);
    command.arg(format!("{SINK}=sqlite://{}", database.display()));
    add_to(&mut command);
    assert!(command.output().unwrap().status.success(), "{command:?}");
    let undisturbed = evs::SqliteSink::open(&database).await.unwrap();
    for schema in schemas() {
        let (expected, found) = (held(&undisturbed, &schema).await, held(sink, &schema).await);
        assert!(!expected.is_empty(), "{}: it counts nothing", schema.statistic);
        let counts = |held: &Held| held.values().map(|values| values[0].unwrap_or(0)).sum::<i128>();
        assert_eq!(counts(&found), counts(&expected), "{when}: {}: lost or counted twice", schema.statistic);
        assert!(found == expected, "{when}: {}: {found:?} instead of {expected:?}", schema.statistic);
    }
}
