//! Fields that are derived from addresses and user agents, from the lines of a log to the rows of a store.

#![cfg(all(feature = "geoip", feature = "user_agent"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use evs::{GeoIp, MemorySink, prelude::*, user_agent};

const CHROME: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1";
const GOOGLEBOT: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

fn database(name: &str, file: &str) -> GeoIp {
    GeoIp::open(name, 1, format!("{}/tests/geoip/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Counts the lines, each of an address and an agent, and returns the rows of each statistic.
async fn rows_of(lines: &[(&str, &str)], statistics: Vec<Statistic>) -> Vec<Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let line = |(address, agent): &(&str, &str)| {
        format!("{address} - - [01/Mar/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"{agent}\"\n")
    };
    std::fs::write(&log, lines.iter().map(line).collect::<String>()).unwrap();
    let sink = Arc::new(MemorySink::new());
    let builder = Pipeline::builder("web1")
        .tail(&log)
        .format(LogFormat::combined())
        .sink("memory", Arc::clone(&sink))
        .state_dir(dir.path().join("state"));
    let pipeline =
        statistics.into_iter().fold(builder, |builder, one| builder.statistic(one)).build().unwrap();
    let summary = pipeline.run_to_end(std::future::pending()).await.unwrap();
    assert_eq!((summary.lines, summary.rejected), (lines.len() as u64, 0));
    let mut all = Vec::new();
    for schema in pipeline.schemas() {
        let rows = sink.totals(schema, 0..i64::MAX).await.unwrap();
        let row = |row: evs::RowRef<'_>| {
            let keys = row.keys.iter().map(|key| String::from_utf8_lossy(key).into_owned());
            let values =
                row.values.iter().map(|value| value.map_or("-".to_owned(), |value| value.to_string()));
            keys.chain(values).collect::<Vec<_>>().join(" ")
        };
        all.push(rows.iter().map(row).collect());
    }
    all
}

#[tokio::test]
async fn addresses_are_keys_numbers_and_conditions() {
    let geo = database("geo", "GeoLite2-City-Test.mmdb");
    let asn = database("asn", "GeoLite2-ASN-Test.mmdb");
    let client = || field("remote_addr");
    let lines = [
        ("81.2.69.160", CHROME),
        ("81.2.69.142", CHROME),
        ("::ffff:89.160.20.112", CHROME),
        ("2001:480::7", CHROME),
        ("10.0.0.1", CHROME),
        ("unix:", CHROME),
    ];
    let rows = rows_of(
        &lines,
        vec![
            Statistic::named("keys")
                .group_by([geo.country(client()).unwrap(), geo.city(client()).unwrap()])
                .measure(count()),
            Statistic::named("conditions")
                .only(geo.continent(client()).unwrap().eq("EU") & asn.asn(client()).unwrap().eq(29518))
                .group_by([asn.organization(client()).unwrap()])
                .measure(count()),
            Statistic::named("numbers")
                .only(!asn.asn(client()).unwrap().is_absent())
                .measure(max(asn.asn(client()).unwrap()))
                .measure(sum(geo.at(client(), "location.latitude").unwrap()).scale(4)),
            Statistic::named("networks").distinct(asn.asn(client()).unwrap()),
        ],
    )
    .await;
    assert_eq!(rows[0], ["- - 2", "GB London 2", "SE Linköping 1", "US San Diego 1"]);
    assert_eq!(rows[1], ["Bredband2 AB 1"]);
    assert_eq!(rows[2], ["29518 584167"]);
    assert_eq!(rows[3].len(), 2, "one row for each autonomous system, and one for none: {:?}", rows[3]);
}

#[tokio::test]
async fn user_agents_are_keys_numbers_and_conditions() {
    let agent = user_agent("http_user_agent");
    let invalid = "\\xFF\\x00 Firefox/127.0";
    let long = "x".repeat(8192);
    let lines = [CHROME, CHROME, IPHONE, GOOGLEBOT, "curl/8.5.0", "-", "", invalid, &long]
        .map(|agent| ("192.0.2.1", agent));
    let rows = rows_of(
        &lines,
        vec![
            Statistic::named("keys")
                .group_by([agent.browser(), agent.os(), agent.category()])
                .measure(count()),
            Statistic::named("conditions")
                .only(agent.is_crawler())
                .group_by([agent.browser()])
                .measure(count()),
            Statistic::named("numbers")
                .group_by([agent.category()])
                .only(agent.browser().eq("Chrome"))
                .measure(min(agent.browser_version())),
            Statistic::named("browsers").only(!agent.is_crawler()).distinct(agent.browser()),
        ],
    )
    .await;
    let expected = [
        "- - - 3",
        "Chrome Linux pc 2",
        "Firefox - - 1",
        "Googlebot - crawler 1",
        "Safari iPhone smartphone 1",
        "curl - misc 1",
    ];
    assert_eq!(rows[0], expected);
    assert_eq!(rows[1], ["Googlebot 1"]);
    assert_eq!(rows[2], ["pc 126"]);
    assert_eq!(rows[3].len(), 5, "{:?}", rows[3]);
}
