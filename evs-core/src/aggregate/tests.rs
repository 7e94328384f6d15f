//! Compares the columns with the oracle: several workers, cuts, dictionaries that are reset, all kinds of measures.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*, sample::select};

use super::{oracle::PlainWorker, *};
use crate::{
    batch::Rows,
    derive::{Condition, Field, combine, concat, constant, event_time, field},
    format::{CheckName, LogFormat, Reason, Rejection},
    sink::Limits,
    statistic::{Measure, Statistic, count, max, min, sum},
};

const NOW: i64 = 1_795_246_800;
const KEYS: [&str; 6] = ["remote_addr", "status", "http_x", "arg_c", "uri", "body_bytes_sent"];

/// The values, by window and keys.
type Contents = BTreeMap<(i64, Vec<Vec<u8>>), Vec<Option<i128>>>;

fn contents(pieces: &[Rows]) -> Contents {
    let mut contents = Contents::new();
    let mut before = None;
    for rows in pieces {
        let mut cursor = rows.cursor();
        while let Some(row) = cursor.next_row() {
            let keys: Vec<_> = row.keys.iter().map(|key| key.to_vec()).collect();
            let at = Some((row.window_start, keys));
            assert!(before < at, "rows come in the order of windows and keys, each once");
            contents.insert(at.clone().unwrap(), row.values.to_vec());
            before = at;
        }
    }
    contents
}

/// A field of a line, or one that is derived from some.
fn key() -> impl Strategy<Value = Field> {
    let plain = || select(KEYS.to_vec()).prop_map(field);
    let derived = (plain(), plain(), 0..10_usize).prop_map(|(one, other, function)| match function {
        0 => one.lower(),
        1 => one.truncate(2),
        2 => concat([one, constant("", "+"), other]),
        3 => one.path_prefix(1),
        4 => one.default("none"),
        5 => one.map("length", 1, |text, out| out.extend_from_slice(text.len().to_string().as_bytes())),
        6 => combine("longer", 1, [one, other], |texts, out| {
            out.extend_from_slice(texts[usize::from(texts[1].len() > texts[0].len())]);
        }),
        7 => event_time().minute(),
        8 => constant("c", "text"),
        _ => one.replace("[ab]+", "x"),
    });
    prop_oneof![2 => plain(), 1 => derived]
}

/// A question about a line.
fn condition() -> impl Strategy<Value = Condition> {
    let leaf = (key(), 0..9_usize).prop_map(|(field, question)| match question {
        0 => field.ge(203),
        1 => field.eq("a"),
        2 => field.one_of([200, 301]),
        3 => field.starts_with("a"),
        4 => field.contains("b"),
        5 => field.lt(100),
        6 => field.matches("^[ab]+$"),
        7 => Condition::code("even", 1, [field.clone(), field.lower()], |texts| {
            texts.concat().len().is_multiple_of(4)
        }),
        _ => field.is_absent(),
    });
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, other)| one & other),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| one | other),
            inner.prop_map(|condition| !condition),
        ]
    })
}

fn statistic() -> impl Strategy<Value = Statistic> {
    let keys = vec(key(), 0..5);
    let only = prop::option::of(condition());
    let within = prop_oneof![3 => Just(None), 1 => Just(Some(-5..=500)), 1 => Just(Some(0..=i64::MAX))];
    let number = prop_oneof![
        4 => select(vec!["body_bytes_sent", "arg_v"]).prop_map(field),
        1 => Just(field("arg_v").default("7")),
        1 => Just(field("uri").map("digits", 1, |text, out| out.extend(text.iter().filter(|byte| **byte != b'/')))),
    ];
    let measure =
        (number, 0..4_usize, within, any::<bool>()).prop_map(|(scaled, kind, within, is_lenient)| {
            let measure = match kind {
                0 => return count(),
                1 => sum(scaled),
                2 => min(scaled),
                _ => max(scaled),
            };
            let measure = within.into_iter().fold(measure, Measure::within);
            if is_lenient { measure.lenient() } else { measure }
        });
    let window = select(vec![1_u64, 60]);
    let retain = prop_oneof![Just(None), Just(Some(60_u64))];
    let sample = prop_oneof![
        6 => Just(None),
        1 => Just(Some((2, None))),
        1 => key().prop_map(|field| Some((3, Some(field)))),
    ];
    (keys, vec(measure, 1..4), window, retain, select(vec![1_usize, 10]), (only, sample)).prop_map(
        |(keys, measures, window, retain, rows_max, (only, sample))| {
            let statistic = Statistic::named("s")
                .group_by(keys)
                .window(std::time::Duration::from_secs(window))
                .rows_max(rows_max);
            let statistic = measures.into_iter().fold(statistic, Statistic::measure);
            let mut statistic = only.into_iter().fold(statistic, Statistic::only);
            statistic.sample = sample;
            retain.into_iter().fold(statistic, |statistic, seconds| {
                statistic.retain(std::time::Duration::from_secs(seconds))
            })
        },
    )
}

fn line() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        6 => "[0-9]{1,3}",
        1 => Just("-".to_owned()),
        1 => Just("9223372036854775807".to_owned()),
        1 => Just("-9223372036854775808".to_owned()),
        1 => Just("9223372036854775808".to_owned()),
    ];
    let value = prop_oneof![6 => number.clone(), 1 => select(vec!["x", "1.5", "5m"]).prop_map(str::to_owned)];
    let texts = ("[ab]{1,2}|[a-c]{17,19}", "[23]0[0-4]", "[ab \\\\]{0,2}|x{16,17}[ab]", "[ab%+]{0,3}");
    let seconds = prop_oneof![6 => -130_i64..3, 1 => 86_390_i64..86_420];
    (seconds, texts, number, value, 0..40_usize).prop_map(
        |(seconds, (addr, status, x, arg), bytes, value, damage)| {
            let time = NOW + seconds;
            let line = format!(
                "{addr} {time}.000 \"GET /{status}?c={arg}&v={value} HTTP/1.1\" {status} {bytes} \"{x}\""
            );
            if damage == 0 { line[..line.len() / 2].to_owned() } else { line }
        },
    )
}

fn format() -> LogFormat {
    LogFormat::nginx(r#"$remote_addr $msec "$request" $status $body_bytes_sent "$http_x""#).unwrap()
}

/// A step of the test: the lines, the worker that gets them, the statistics that have counted them before, and the
/// statistics that are cut after them.
type Step = (Vec<String>, usize, u8, u8);

fn step() -> impl Strategy<Value = Step> {
    let skipped = prop_oneof![3 => Just(0_u8), 1 => any::<u8>()];
    (vec(line(), 0..30), 0..2_usize, skipped, prop_oneof![Just(0), Just(u8::MAX), any::<u8>()])
}

/// Limits of stores that hold everything, or not everything that the lines carry.
fn limits() -> impl Strategy<Value = Limits> {
    let narrow = Limits::default()
        .windows(NOW - 100..=NOW + 86_400)
        .sums(-1_000_000_000..=1_000_000_000)
        .key_bytes_max(17)
        .keys_bytes_max(22);
    select(vec![Limits::default(), narrow])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn columns_hold_what_the_oracle_counts(
        statistics in vec(statistic(), 1..4),
        steps in vec(step(), 1..6),
        check in prop::option::weighted(0.2, condition()),
        limits in limits(),
        rejects_ahead: bool,
    ) {
        let schemas: Vec<_> = statistics.iter().map(Statistic::schema).collect();
        let checks: Vec<_> = check.into_iter().map(|check| (CheckName::new("check"), check)).collect();
        let mut plan = Plan::new(&statistics, &checks);
        plan.limit(&limits);
        plan.rejects_ahead = rejects_ahead;
        for (at, statistic) in statistics.iter().enumerate() {
            for (measure, known) in statistic.measures.iter().enumerate() {
                known.range(&limits).into_iter().for_each(|range| plan.narrow((at, measure), &range));
            }
        }
        let parser = plan.parser(&format()).unwrap();
        let all: Vec<usize> = (0..statistics.len()).collect();
        let mut workers = [(); 2].map(|()| Worker::new(plan.clone(), parser.clone(), true));
        let mut plain = PlainWorker::new(plan.clone(), parser.clone(), &statistics, &checks);
        let (mut rejected, mut lines_seen) = (Vec::new(), 0);
        let mut found = vec![(Contents::new(), Contents::new()); statistics.len()];
        let mut tally = Tally::default();
        let steps = steps.into_iter().chain([(Vec::new(), 0, 0, u8::MAX)]);
        let mut bytes_seen = 0;
        let mut last_seconds = [None; 2];
        for (number, (lines, at_worker, skipped, cut)) in steps.enumerate() {
            let block = lines.iter().map(|line| format!("{line}\n")).collect::<String>();
            let skip = Skip { statistics: all.iter().map(|at| skipped >> at & 1 == 1).collect(), tally: skipped & 128 != 0, is_older: false };
            let worker = &mut workers[at_worker];
            worker.set_now(NOW);
            worker.lines(block.as_bytes(), number as u64, 7, Some(&skip));
            let mut at = 7;
            let tallied_before = (plain.too_late, plain.ahead, plain.bad_values);
            plain.last_seconds = last_seconds[at_worker];
            for line in &lines {
                if let Err(rejection) = plain.line((line.as_bytes(), at), NOW, &skip.statistics, !skip.tally)
                    && !skip.tally
                {
                    rejected.push((number as u64, at, rejection));
                }
                at += line.len() as u64 + 1;
            }
            if skip.tally {
                (plain.too_late, plain.ahead, plain.bad_values) = tallied_before;
            } else {
                lines_seen += lines.len() as u64;
                bytes_seen += block.len() as u64;
            }
            last_seconds[at_worker] = plain.last_seconds;
            prop_assert_eq!(worker.last_seconds(), plain.last_seconds);
            for statistic in worker.full(1) {
                prop_assert!(all.contains(&statistic));
            }
            let cut: Vec<usize> = all.iter().copied().filter(|at| cut >> at & 1 == 1).collect();
            if cut.is_empty() {
                continue;
            }
            last_seconds = [None; 2];
            let parts: Vec<Part> = workers.iter_mut().map(|worker| worker.cut(&cut)).collect();
            let mut gathered: Vec<Vec<TableRows>> = vec![Vec::new(); cut.len()];
            for part in parts {
                tally.add(part.tally);
                gathered.iter_mut().zip(part.rows).for_each(|(gathered, rows)| gathered.extend(rows));
            }
            for (at, parts) in cut.into_iter().zip(gathered) {
                let (schema, kinds) = (&schemas[at], &plan.statistics[at].kinds);
                let rows = merge(&parts, schema.keys.len(), kinds, None).unwrap();
                let expected = plain.tables[at].take().to_rows();
                found[at] = (contents(&rows), BTreeMap::new());
                let mut cursor = expected.cursor();
                while let Some(row) = cursor.next_row() {
                    let keys = row.keys.iter().map(|key| key.to_vec()).collect();
                    found[at].1.insert((row.window_start, keys), row.values.to_vec());
                }
                prop_assert_eq!(&found[at].0, &found[at].1, "{:?}", schema);
            }
        }
        tally.samples.sort_by_key(|line| (line.file, line.offset));
        let samples: Vec<(u64, u64, Rejection)> =
            tally.samples.iter().map(|line| (line.file, line.offset, line.rejection)).collect();
        prop_assert_eq!(tally.counters.rejected, rejected.len() as u64);
        prop_assert_eq!(samples, rejected);
        prop_assert_eq!((tally.counters.lines, tally.counters.bytes), (lines_seen, bytes_seen));
        prop_assert_eq!(tally.counters.too_late, plain.too_late);
        prop_assert_eq!(tally.counters.ahead, plain.ahead);
        prop_assert_eq!(tally.counters.bad_values, plain.bad_values);
        tally.selected.resize(statistics.len(), 0);
        prop_assert_eq!(tally.selected, plain.selected);
    }
}

#[test]
fn nuls_before_a_line_reject_that_line_and_no_other() {
    let nginx = format!("1.2.3.4 {NOW}.000 \"GET / HTTP/1.1\" 200 5 \"x\"\n");
    let json = format!("{{\"msec\":{NOW},\"remote_addr\":\"1.2.3.4\"}}\n");
    let ltsv = format!("remote_addr:1.2.3.4\tmsec:{NOW}.000\n");
    for (format, line) in [(format(), nginx), (LogFormat::json(), json), (LogFormat::ltsv(), ltsv)] {
        for (damage, reason) in
            [("\0".repeat(500), Reason::Nul), ("\u{feff}".to_owned(), Reason::ByteOrderMark)]
        {
            let statistic = Statistic::named("s").group_by(["remote_addr"]).measure(count());
            let plan = Plan::new(&[statistic.rows_max(10)], &[]);
            let mut worker = Worker::new(plan.clone(), plan.parser(&format).unwrap(), true);
            let block = format!("{damage}{line}{line}{damage}{line}{line}");
            worker.lines(block.as_bytes(), 1, 7, None);
            let mut part = worker.cut(&[0]);
            let rows = merge(&part.rows.remove(0), 1, &plan.statistics[0].kinds, None).unwrap();
            let counted = contents(&rows);
            assert_eq!(counted.into_values().collect::<Vec<_>>(), [[Some(2)]], "{block:?}");
            assert_eq!((part.tally.counters.lines, part.tally.counters.rejected), (4, 2));
            let rejection = Rejection { reason, column: 1 };
            let glued = format!("{damage}{line}");
            for (sample, offset) in part.tally.samples.iter().zip([7, 7 + glued.len() + line.len()]) {
                assert_eq!((sample.rejection, sample.offset), (rejection, offset as u64));
                assert_eq!(sample.sample, glued.trim_end().as_bytes());
            }
        }
    }
}

#[test]
fn lines_whose_window_is_past_take_no_room() {
    let keys = ["remote_addr", "http_x", "status"];
    let statistic =
        Statistic::named("s").group_by(keys).measure(count()).retain(std::time::Duration::from_secs(60));
    let plan = Plan::new(&[statistic.rows_max(10)], &[]);
    let mut worker = Worker::new(plan.clone(), plan.parser(&format()).unwrap(), true);
    worker.set_now(NOW);
    for addr in 0..3 {
        for x in 0..3 {
            let line = format!("{addr} {}.000 \"\" 200 1 \"{x}\"\n", NOW - 1000);
            worker.lines(line.as_bytes(), 1, 0, None);
        }
    }
    assert_eq!(worker.counters().too_late, 9);
    assert_eq!((worker.rows().sum::<usize>(), worker.joined()), (0, 0));
}

#[test]
fn many_rows_and_long_ones_become_several_batches() {
    for (lines, key_bytes, expected) in [(140_000, 6, 2), (9000, 4000, 3)] {
        let statistic = Statistic::named("s").group_by(["http_x"]).measure(count());
        let plan = Plan::new(&[statistic.rows_max(200_000)], &[]);
        let mut worker = Worker::new(plan.clone(), plan.parser(&format()).unwrap(), true);
        for block in (0..lines).collect::<Vec<u32>>().chunks(1000) {
            let line = |x: &u32| format!("a {NOW}.000 \"\" 200 1 \"{x:0key_bytes$}\"\n");
            worker.lines(block.iter().map(line).collect::<String>().as_bytes(), 1, 0, None);
        }
        let pieces = merge(&worker.cut(&[0]).rows.remove(0), 1, &plan.statistics[0].kinds, None).unwrap();
        assert_eq!(pieces.len(), expected, "{pieces:?}");
        assert!(pieces.iter().all(|rows| rows.len() <= 1 << 17 && rows.as_bytes().len() < 17 << 20));
        assert_eq!(contents(&pieces).len(), lines as usize);
    }
}

#[test]
fn a_sum_beyond_128_bits_is_an_overflow_and_one_beyond_64_bits_is_not() {
    let statistics = [Statistic::named("s").measure(sum("body_bytes_sent"))];
    let plan = Plan::new(&statistics, &[]);
    let mut worker = Worker::new(plan.clone(), plan.parser(&format()).unwrap(), true);
    for _ in 0..3 {
        worker.lines(b"a 60.000 \"\" 200 9223372036854775807 \"\"\n", 1, 0, None);
    }
    let mut rows = worker.cut(&[0]).rows.remove(0);
    let merged = merge(&rows, 0, &plan.statistics[0].kinds, None).unwrap();
    assert_eq!(merged[0].cursor().next_row().unwrap().values, [Some(3 * i128::from(i64::MAX))]);
    rows[0].add_carried(i128::MAX / 2 + 1);
    let other = rows[0].clone();
    assert_eq!(merge(&[rows.remove(0), other], 0, &plan.statistics[0].kinds, None), Err(merge::Overflow));
}

#[test]
fn a_value_beyond_64_bits_by_its_scale_is_added_up_and_nothing_else() {
    let values = ["922337203685477580.8", "-0.1", "-922337203685477580.9", "1844674407370955161.6"];
    let block = values.map(|value| format!("a 60.000 \"\" 200 {value} \"\"\n")).concat();
    let size = || sum("body_bytes_sent").scale(1);
    let sums = [size(), size().named("again")];
    for (measures, expected) in [
        (&[size()][..], &[Some(18_446_744_073_709_551_614)][..]),
        (&sums, &[Some(18_446_744_073_709_551_614); 2]),
        (&[size(), max("body_bytes_sent").scale(1)], &[Some(-1), Some(-1)]),
        (&[size().within(-5..=5)], &[Some(-1)]),
    ] {
        let statistic = measures.iter().cloned().fold(Statistic::named("s"), Statistic::measure);
        let mut plan = Plan::new(&[statistic], &[]);
        for (at, measure) in measures.iter().enumerate() {
            measure.range(&Limits::default()).into_iter().for_each(|range| plan.narrow((0, at), &range));
        }
        let mut worker = Worker::new(plan.clone(), plan.parser(&format()).unwrap(), true);
        worker.lines(block.as_bytes(), 1, 0, None);
        let mut part = worker.cut(&[0]);
        let merged = merge(&part.rows.remove(0), 0, &plan.statistics[0].kinds, None).unwrap();
        assert_eq!(merged[0].cursor().next_row().unwrap().values, expected);
    }
}

#[test]
fn the_limits_of_a_lenient_measure_are_its_own() {
    let statistics = [
        Statistic::named("a").measure(sum("body_bytes_sent").within(i64::MIN..=0).lenient()),
        Statistic::named("b").measure(sum("body_bytes_sent").within(0..=i64::MAX).lenient()),
        Statistic::named("c")
            .measure(sum("body_bytes_sent").lenient())
            .measure(min("body_bytes_sent").within(0..=i64::MAX).lenient())
            .measure(max("body_bytes_sent").within(i64::MIN..=0).lenient()),
    ];
    let mut plan = Plan::new(&statistics, &[]);
    for (at, statistic) in statistics.iter().enumerate() {
        for (measure, known) in statistic.measures.iter().enumerate() {
            known.range(&Limits::default()).into_iter().for_each(|range| plan.narrow((at, measure), &range));
        }
    }
    let mut worker = Worker::new(plan.clone(), plan.parser(&format()).unwrap(), true);
    let block = ["-5", "7", "x"].map(|value| format!("a 60.000 \"\" 200 {value} \"\"\n")).concat();
    worker.lines(block.as_bytes(), 1, 0, None);
    let mut part = worker.cut(&[0, 1, 2]);
    for (at, expected) in [&[Some(-5)][..], &[Some(7)], &[Some(2), Some(7), Some(-5)]].into_iter().enumerate()
    {
        let merged = merge(&std::mem::take(&mut part.rows[at]), 0, &plan.statistics[at].kinds, None).unwrap();
        assert_eq!(merged[0].cursor().next_row().unwrap().values, expected, "statistic {at}");
    }
}

#[test]
fn a_response_header_with_a_comma_is_not_a_list_of_tries() {
    let format = LogFormat::nginx(r#"$msec $upstream_response_length "$upstream_http_x_cost""#).unwrap();
    let statistic =
        Statistic::named("s").measure(sum("upstream_response_length")).measure(sum("upstream_http_x_cost"));
    let plan = Plan::new(&[statistic.rows_max(10)], &[]);
    let mut worker = Worker::new(plan.clone(), plan.parser(&format).unwrap(), true);
    worker.lines(b"60.000 5, 7 \"3\"\n60.000 5 \"1, 2\"\n", 1, 0, None);
    let mut part = worker.cut(&[0]);
    let merged = merge(&part.rows.remove(0), 0, &plan.statistics[0].kinds, None).unwrap();
    assert_eq!(merged[0].cursor().next_row().unwrap().values, [Some(12), Some(3)]);
    let reasons: Vec<Reason> = part.tally.samples.iter().map(|line| line.rejection.reason).collect();
    assert_eq!(reasons, [Reason::NotANumber]);
}

#[test]
fn what_a_client_writes_is_no_number_of_the_server() {
    let read = |format: &str, line: &str, measures: &[Measure]| {
        let format: LogFormat = format.parse().unwrap();
        let statistic = measures.iter().cloned().fold(Statistic::named("s"), Statistic::measure);
        let plan = Plan::new(&[statistic.rows_max(10)], &[]);
        let mut worker = Worker::new(plan.clone(), plan.parser(&format).unwrap(), true);
        worker.lines(line.as_bytes(), 1, 0, None);
        let mut part = worker.cut(&[0]);
        let merged = merge(&part.rows.remove(0), 0, &plan.statistics[0].kinds, None).unwrap();
        let rejected = part.tally.counters.rejected;
        (rejected, merged.first().map(|rows| rows.cursor().next_row().unwrap().values.to_vec()))
    };
    let haproxy = |time: &str, c: &str| {
        format!(
            "1.1.1.1:5 [30/Nov/2026:14:00:01.123] w b/s 1/0/{time}/3/4 200 5 - - ---- 5/4/3/2/0 0/0 \"GET /?c={c} HTTP/1.1\"\n"
        )
    };
    let measures = [sum("connect_time"), min("connect_time"), sum("arg_c")];
    assert_eq!(
        read("haproxy_http", &haproxy("-1", "-1"), &measures),
        (0, Some(vec![Some(0), None, Some(-1)]))
    );
    assert_eq!(read("haproxy_http", &haproxy("+2", "%2B5"), &measures), (1, None));
    let alb = r#"https 2026-11-30T14:00:01.186641Z app/my-lb/5 1.1.1.1:2817 - -1 -1 0.5 502 - 0 57 "GET https://www.example.com:443/?c=-1 HTTP/1.1" "c" - - - "R" "w" "a" 1"#;
    let measures =
        [sum("target_processing_time").scale(1), sum("response_processing_time").scale(1), sum("arg_c")];
    assert_eq!(read("aws_alb", &format!("{alb}\n"), &measures), (0, Some(vec![Some(0), Some(5), Some(-1)])));
    let json = |size: &str, c: &str| format!("{{\"time\":60,\"size\":{size},\"args\":\"c={c}\"}}\n");
    let measures = [sum("size"), sum("arg_c")];
    assert_eq!(read("json", &json("1e3", "7"), &measures), (0, Some(vec![Some(1000), Some(7)])));
    assert_eq!(read("json", &json("1e3", "1e3"), &measures), (1, None));
}

/// The rows of a top list over texts, from two workers that are cut once.
fn top_list(texts: &[String], keys_max: u32, keys: &[&str]) -> BTreeMap<Vec<Vec<u8>>, i128> {
    let statistic = Statistic::named("s").group_by(keys.to_vec()).measure(count()).top(keys_max);
    let plan = Plan::new(&[statistic], &[]);
    let mut workers = [(); 2].map(|()| Worker::new(plan.clone(), plan.parser(&format()).unwrap(), true));
    for (at, texts) in texts.chunks(50).enumerate() {
        let line = |text: &String| format!("{text} {NOW}.000 \"\" 200 1 \"{text}\"\n");
        workers[at % 2].lines(texts.iter().map(line).collect::<String>().as_bytes(), 1, 0, None);
    }
    let parts: Vec<TableRows> =
        workers.iter_mut().flat_map(|worker| worker.cut(&[0]).rows.remove(0)).collect();
    let merged = merge(&parts, keys.len(), &plan.statistics[0].kinds, Some(keys_max as usize)).unwrap();
    contents(&merged).into_iter().map(|((_, keys), values)| (keys, values[0].unwrap())).collect()
}

proptest! {
    #[test]
    fn a_top_list_keeps_totals_and_shows_the_best_keys(
        texts in vec(prop_oneof!["[a-z]", "[a-f]{2}", Just("best".to_owned()), Just("(other)".to_owned())], 0..2000),
        keys_max in 1..20_u32,
        keys in 1..4_usize,
    ) {
        let keys = &["remote_addr", "http_x", "remote_addr"][..keys];
        let rows = top_list(&texts, keys_max, keys);
        prop_assert_eq!(rows.values().sum::<i128>(), texts.len() as i128);
        let other = vec![b"(other)".to_vec(); keys.len()];
        let shown: Vec<_> = rows.iter().filter(|(keys, _)| **keys != other).collect();
        prop_assert!(shown.len() <= keys_max as usize);
        let mut exact: BTreeMap<&str, i128> = BTreeMap::new();
        texts.iter().for_each(|text| *exact.entry(text).or_default() += 1);
        for (text, count) in exact.into_iter().filter(|(text, _)| *text != "(other)") {
            let held = rows.get(&vec![text.as_bytes().to_vec(); keys.len()]).copied().unwrap_or_default();
            prop_assert!(held <= count, "{text}: {held} of {count}");
            let lost = (count - held) * 4 * i128::from(keys_max);
            prop_assert!(lost <= 7 * texts.len() as i128, "{text}: {held} of {count}");
        }
    }
}
