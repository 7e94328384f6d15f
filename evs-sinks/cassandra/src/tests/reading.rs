//! Tests of reading: totals, the documented queries, buckets, and the time to live.

use evs_core::{Epoch, Sink};

use super::support::{Keyspace, Server, batch, plain, schema};
use crate::{Driver, driver::Value, progress::now, rows::CLUSTERING_BYTES_MAX};

/// The page for users. Its queries are run here as they are written there.
const PAGE: &str = include_str!("../../../../docs/sinks/cassandra.md");

pub(super) async fn values_are_what_a_plain_query_reads(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    let keyspace = server.keyspace().await;
    let (sink, schema) = (keyspace.sink().await, schema(&["campaign", "kind"]));
    sink.prepare(&schema).await.unwrap();
    let wide = [Some(i64::MAX.into()), Some(i128::MIN), Some(i128::MAX), Some(-1), None];
    let zero = [Some(-5), Some(0), Some(0), None, Some(1_000)];
    let rows: [(i64, &[&[u8]], _); 2] =
        [(-60, &["größe".as_bytes(), b""], wide), (1_700_000_040, &[b"a\xFF", b"\0"], zero)];
    sink.apply(&batch(Epoch::random(), &schema, 1, &rows)).await.unwrap();
    let text = |text: &str| Value::Text(text.into());
    // The values are read as text, so that Cassandra itself interprets them.
    let read = async |window: i64| {
        let columns =
            ["hits", "revenue", "bytes", "time_min", "time_max"].map(|name| format!("CAST({name} AS text)"));
        let query = format!(
            "SELECT campaign, kind, CAST(window_start AS text), evs_bucket, evs_source, evs_sequence, {} FROM KS.ad_events \
             WHERE window_start = {} AND evs_bucket = 0",
            columns.join(", "),
            window * 1000
        );
        let rows = keyspace.query(&query).await;
        assert_eq!(rows.len(), 1);
        rows.into_iter().next().unwrap()
    };
    let stream = |bucket| [Value::Int(bucket), text("web1"), Value::Bigint(1)];
    let expected = [text("größe"), text(""), text("1969-12-31T23:59:00.000Z")].into_iter().chain(stream(0));
    let values = [
        text("9223372036854775807"),
        text("-1701411834604692317316873037158841057.28"),
        text("170141183460469231731687303715884105727"),
        text("-0.001"),
        Value::Absent,
    ];
    assert_eq!(read(-60).await, expected.chain(values).collect::<Vec<_>>());
    let expected =
        [text(r"a\xFF"), text(r"\x00"), text("2023-11-14T22:14:00.000Z")].into_iter().chain(stream(0));
    let values = [text("-5"), text("0.00"), text("0"), Value::Absent, text("1.000")];
    assert_eq!(read(1_700_000_040).await, expected.chain(values).collect::<Vec<_>>());
    server.clean().await;
}

/// The queries of the page: its `cql` code blocks that begin with SELECT.
fn documented() -> Vec<String> {
    let blocks = PAGE.split("```cql\n").skip(1).filter_map(|rest| rest.split("```").next());
    let queries =
        blocks.filter(|block| block.starts_with("SELECT")).map(|block| block.trim().replace("stats.", "KS."));
    queries.map(|query| query.trim_end_matches(';').to_owned()).collect()
}

pub(super) async fn the_documented_queries_give_the_sums(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    let keyspace = server.keyspace().await;
    let (sink, mut schema) = (keyspace.sink().await, schema(&["campaign", "kind"]));
    schema.measures.retain(|measure| measure.name != "bytes");
    sink.prepare(&schema).await.unwrap();
    // 2026-01-01T00:01:00Z, the window of the page.
    let window = 1_767_225_660;
    let epoch = Epoch::random();
    for sequence in 1..=3 {
        let mut rows = evs_core::Rows::new(2, 4);
        let n = i128::from(sequence);
        rows.push(window, [&b"c1"[..], b"click"], &[Some(n), Some(-n), Some(n), Some(n)]);
        rows.push(window, [&b"c1"[..], b"view"], &[Some(10), None, None, None]);
        rows.push(window + 60, [&b"c1"[..], b"click"], &[Some(100), Some(7), Some(7), Some(7)]);
        let mut next = batch(Epoch::random(), &schema, sequence, &[]);
        next.epoch = epoch;
        next.rows = rows;
        sink.apply(&evs_core::conformance::chained(next)).await.unwrap();
    }
    let queries = documented();
    assert_eq!(queries.len(), 4, "{queries:?}");
    let text = |text: &str| Value::Text(text.into());
    let click = [
        text("c1"),
        text("click"),
        Value::Bigint(6),
        Value::Decimal(-6, 2),
        Value::Decimal(1, 3),
        Value::Decimal(3, 3),
    ];
    // Sums are 0 where no row had a value, extremes are null.
    let view =
        [text("c1"), text("view"), Value::Bigint(30), Value::Decimal(0, 0), Value::Absent, Value::Absent];
    assert_eq!(keyspace.query(&queries[0]).await, [click.to_vec(), view.to_vec()]);
    assert_eq!(keyspace.query(&queries[1]).await, [[Value::Bigint(6), Value::Decimal(-6, 2)]]);
    let campaign = [text("c1"), Value::Bigint(36), Value::Decimal(-6, 2)];
    assert_eq!(keyspace.query(&queries[2]).await, [campaign]);
    let windows = [window, window + 60].map(|window| vec![Value::Timestamp(window * 1000)]);
    assert_eq!(keyspace.query(&queries[3]).await, windows);
    server.clean().await;
}

/// Several keys that together are too long for Cassandra, and that only differ at their end.
pub(super) async fn long_keys_together_are_kept(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    let keyspace = server.keyspace().await;
    let (sink, schema) = (keyspace.sink().await, schema(&["campaign", "kind", "site"]));
    sink.prepare(&schema).await.unwrap();
    let long = |last: u8| [vec![0xFF; 10 * 1024 - 1], vec![last]].concat();
    let fits = vec![b'x'; CLUSTERING_BYTES_MAX - 2];
    let (a, b) = (long(b'a'), long(b'b'));
    let keys: [[&[u8]; 3]; 5] =
        [[&a, &a, &a], [&a, &a, &b], [&b, &a, &a], [b"a", b"b", &fits], [b"a", &fits, b"b"]];
    for sequence in [1, 2] {
        let rows = keys.iter().map(|keys| (60, &keys[..], [Some(1); 5])).collect::<Vec<_>>();
        sink.apply(&batch(EPOCH, &schema, sequence, &rows)).await.unwrap();
    }
    let mut expected = keys
        .map(|row| (60, row.map(<[u8]>::to_vec).to_vec(), vec![Some(2), Some(2), Some(2), Some(1), Some(1)]));
    expected.sort();
    assert_eq!(plain(&sink.totals(&schema, 0..120).await.unwrap()), expected);
    server.clean().await;
}

const EPOCH: Epoch = Epoch::from_bytes([7; 16]);

async fn buckets_in_use(keyspace: &Keyspace) -> usize {
    keyspace.query("SELECT DISTINCT window_start, evs_bucket FROM KS.ad_events").await.len()
}

/// A table's number of buckets holds for every later writer and reader, whatever their settings say.
pub(super) async fn buckets_are_those_that_the_table_was_made_with(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    let keyspace = server.keyspace().await;
    let schema = schema(&["campaign"]);
    let keys = (0..200).map(|key| format!("c{key}").into_bytes()).collect::<Vec<_>>();
    let keys = keys.iter().map(|key| [key.as_slice()]).collect::<Vec<_>>();
    let rows = keys.iter().map(|key| (60, &key[..], [Some(1); 5])).collect::<Vec<_>>();
    let many = keyspace.builder().buckets(2).buckets_of("ad_events", 8).connect().await.unwrap();
    many.prepare(&schema).await.unwrap();
    many.apply(&batch(EPOCH, &schema, 1, &rows)).await.unwrap();
    assert_eq!(buckets_in_use(&keyspace).await, 8);
    let other = keyspace.builder().buckets(64).connect().await.unwrap();
    other.prepare(&schema).await.unwrap();
    other.apply(&batch(EPOCH, &schema, 2, &rows)).await.unwrap();
    assert_eq!(buckets_in_use(&keyspace).await, 8);
    let totals = plain(&keyspace.sink().await.totals(&schema, 0..120).await.unwrap());
    assert_eq!(totals.len(), 200);
    assert!(totals.iter().all(|(_, _, values)| values[0] == Some(2)), "{totals:?}");
    server.clean().await;
}

pub(super) async fn rows_live_as_long_as_their_window(driver: Driver) {
    let Some(server) = Server::new(driver).await else { return };
    let keyspace = server.keyspace().await;
    let (sink, mut schema) = (keyspace.sink().await, schema(&["campaign"]));
    let day = 86_400_i64;
    schema.retain_seconds = Some(10 * day.cast_unsigned());
    sink.prepare(&schema).await.unwrap();
    let today = now() / 60 * 60;
    // Windows of now, of nine days ago with one day to live, with half an hour to live, and one whose time is over.
    let windows = [today, today - 9 * day, today - 10 * day + 1_800, today - 10 * day - 60];
    let one: &[&[u8]] = &[b"c1"];
    let rows = windows.map(|window| (window, one, [Some(1); 5]));
    sink.apply(&batch(EPOCH, &schema, 1, &rows)).await.unwrap();
    assert_eq!(sink.progress("web1").await.unwrap()[0].sequence, 1);
    let totals = plain(&sink.totals(&schema, i64::MIN..i64::MAX).await.unwrap());
    let mut left = windows[..3].to_vec();
    left.sort_unstable();
    assert_eq!(totals.iter().map(|row| row.0).collect::<Vec<_>>(), left, "what is over is left out");
    // The batch is written again, as after a lost answer, to the index and the rows.
    keyspace.execute("TRUNCATE KS.evs_progress").await;
    keyspace.sink().await.apply(&batch(EPOCH, &schema, 1, &rows)).await.unwrap();
    let found = keyspace.query("SELECT window_start, TTL(hits) FROM KS.ad_events").await;
    assert_eq!(found.len(), 3);
    for row in found {
        let [Value::Timestamp(window), Value::Int(ttl)] = row[..] else { panic!("{row:?}") };
        let end = now() + i64::from(ttl);
        let off = end - (window / 1000 + 10 * day);
        // Less time than that has passed between the write and this line.
        assert!((-120..=120).contains(&off), "{window}: {ttl}");
    }
    server.clean().await;
}
