//! The limits of a line: whatever is counted can be stored, so that no client can make a batch that a store refuses.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{fs, future::pending, ops::Range};

use evs_core::{
    Error, Limits, LogFormat, MemorySink, Pipeline, PipelineBuilder, Sink, Statistic, Summary, arg, count,
    sum,
};
use tempfile::TempDir;

const TIME: &str = "1795267522.000";
const WINDOW: i64 = 1_795_267_500;

struct Place(TempDir);

impl Place {
    fn with(lines: &[String]) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.0.path().join("access.log"), lines.concat()).unwrap();
        place
    }

    fn pipeline(&self, statistic: Statistic) -> PipelineBuilder {
        Pipeline::builder("web1")
            .tail(self.0.path().join("access.log"))
            .format(LogFormat::nginx(r#"$msec "$request" $status"#).unwrap())
            .statistic(statistic)
            .state_dir(self.0.path().join("state"))
    }

    async fn count(builder: PipelineBuilder) -> Result<Summary, Error> {
        builder.build()?.run_to_end(pending()).await
    }

    /// Why lines were rejected.
    fn reasons(&self) -> Vec<String> {
        let rejected = fs::read_to_string(self.0.path().join("state/rejected-0.jsonl")).unwrap_or_default();
        let rejected = rejected.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        rejected.map(|line| line["reason"].as_str().unwrap().to_owned()).collect()
    }
}

fn line(time: &str, arguments: &str) -> String {
    format!("{time} \"GET /?{arguments} HTTP/1.1\" 200\n")
}

fn sales() -> Statistic {
    Statistic::named("sales").group_by([arg("c")]).measure(count()).measure(sum(arg("v")))
}

/// The lines and the sum of a statistic.
async fn totals(sink: &MemorySink, statistic: &Statistic, windows: Range<i64>) -> (i128, i128) {
    let place = Place::with(&[]);
    let pipeline = place.pipeline(statistic.clone()).sink("none", MemorySink::new()).build().unwrap();
    let rows = sink.totals(pipeline.schemas().next().unwrap(), windows).await.unwrap();
    let (mut lines, mut total) = (0, 0);
    let mut cursor = rows.cursor();
    while let Some(row) = cursor.next_row() {
        lines += row.values[0].unwrap();
        total += row.values[1].unwrap_or(0);
    }
    (lines, total)
}

#[tokio::test]
async fn a_line_that_one_store_cannot_hold_is_rejected_for_all_of_them() {
    let place = Place::with(&[
        line(TIME, "c=a&v=5"),
        // The window begins within the limits, and the one before does not.
        line("1795267500.000", "c=a&v=1"),
        line("1795267499.999", "c=a&v=1"),
        line("1795267620.000", "c=a&v=1"),
        line("253402300799.000", "c=a&v=1"),
        line(TIME, &format!("c={}&v=1", "k".repeat(20))),
        line(TIME, &format!("c={}&v=1", "k".repeat(21))),
        // Six bytes of a key, 24 of its text.
        line(TIME, "c=%FF%FF%FF%FF%FF%FF&v=1"),
        line(TIME, "c=a&v=1152921504606846"),
        line(TIME, "c=a&v=1152921504606847"),
        line(TIME, "c=a&v=-1152921504606847"),
        line(TIME, "c=a&v=9223372036854775807"),
    ]);
    let wide = MemorySink::new();
    let narrow = Limits::default().windows(WINDOW..=WINDOW + 60).key_bytes_max(20);
    let narrow = MemorySink::new().limited(narrow.sums(i64::MIN.into()..=i64::MAX.into()));
    let builder = place.pipeline(sales()).sink("wide", wide.clone()).sink("narrow", narrow.clone());
    let summary = Place::count(builder).await.unwrap();
    assert_eq!((summary.lines, summary.rejected, summary.is_complete), (12, 8, true));
    for sink in [&wide, &narrow] {
        assert_eq!(totals(sink, &sales(), i64::MIN..i64::MAX).await, (4, 1_152_921_504_606_853));
    }
    let time = "a store cannot hold the window of that time";
    let key = "a store cannot hold a key of that length";
    let number = "number outside of the measure's range";
    assert_eq!(place.reasons(), [time, time, time, key, key, number, number, number]);
}

#[tokio::test]
async fn a_measure_holds_lines_to_its_range() {
    let place = Place::with(&[
        line(TIME, "c=a&v=0"),
        line(TIME, "c=a&v=10.00"),
        line(TIME, "c=a&v=-"),
        line(TIME, "c=a"),
        line(TIME, "c=a&v=10.01"),
        line(TIME, "c=a&v=-0.01"),
    ]);
    let statistic = |within| {
        let price = sum(arg("v")).scale(2).within(within);
        Statistic::named("sales").group_by([arg("c")]).measure(count()).measure(price)
    };
    // The narrower of two ranges of one number holds, in both statistics.
    let other = Statistic::named("other").measure(count()).measure(sum(arg("v")).scale(2));
    let sink = MemorySink::new();
    let builder = place.pipeline(statistic(0..=10)).statistic(other).sink("memory", sink.clone());
    let summary = Place::count(builder).await.unwrap();
    assert_eq!((summary.lines, summary.rejected), (6, 2));
    assert_eq!(totals(&sink, &statistic(0..=10), 0..i64::MAX).await, (4, 1000));
    assert_eq!(place.reasons(), ["number outside of the measure's range"; 2]);
    #[expect(clippy::reversed_empty_ranges)]
    let error = place.pipeline(statistic(10..=0)).sink("memory", sink).build().unwrap_err();
    assert!(error.to_string().contains("statistic sales: within"), "{error}");
}

#[tokio::test]
async fn a_range_can_be_wider_than_what_is_safe_for_a_store() {
    let narrow = || MemorySink::new().limited(Limits::default().sums(-1000..=1000));
    let statistic = sales().measure(sum(arg("v")).named("wide").within(0..=i64::MAX));
    let place = Place::with(&[line(TIME, "c=a&v=1")]);
    let summary = Place::count(place.pipeline(statistic).sink("memory", narrow())).await.unwrap();
    assert_eq!(summary.rejected, 1, "the other measure of the same field keeps its own");
    let statistic = Statistic::named("sales").measure(count()).measure(sum(arg("v")).within(0..=i64::MAX));
    let place = Place::with(&[line(TIME, "c=a&v=9223372036854775807")]);
    let summary = Place::count(place.pipeline(statistic.clone()).sink("memory", narrow())).await.unwrap();
    assert_eq!((summary.rejected, summary.is_complete), (0, true));
}

#[tokio::test]
async fn lines_far_ahead_of_the_clock_are_counted_and_told_of_or_rejected() {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let lines = [now, now + 86_000, now + 90_000, now + 400 * 86_400]
        .map(|seconds| line(&format!("{seconds}.000"), "c=a&v=1"));
    for (rejects, counted, ahead) in [(false, 4, 2), (true, 2, 0)] {
        let (place, sink) = (Place::with(&lines), MemorySink::new());
        let pipeline = place.pipeline(sales()).reject_ahead(rejects).sink("memory", sink.clone());
        let pipeline = pipeline.build().unwrap();
        let summary = pipeline.run_to_end(pending()).await.unwrap();
        assert_eq!((summary.ahead, pipeline.status().ahead), (ahead, ahead));
        assert_eq!(summary.rejected, 4 - counted as u64);
        assert_eq!(totals(&sink, &sales(), 0..i64::MAX).await.0, counted);
        let reasons = vec!["the time is too far ahead of the clock"; 4 - counted as usize];
        assert_eq!(place.reasons(), reasons);
    }
}
