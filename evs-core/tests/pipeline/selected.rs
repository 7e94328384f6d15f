//! Statistics that count some lines, checks that reject lines, and statistics that go to some sinks.

use evs_core::{Condition, Reason, Totals, arg, constant, field, histogram};

use super::*;

/// The totals of each row of a statistic, by its keys joined with blanks.
async fn rows(sink: &TestSink, schema: &Schema) -> BTreeMap<String, Vec<i128>> {
    let totals = sink.totals(schema, i64::MIN..i64::MAX).await.unwrap();
    let row = |row: evs_core::Row<'_>| {
        let keys: Vec<_> = row.keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect();
        (keys.join(" "), row.values.iter().map(|value| value.unwrap()).collect())
    };
    let mut cursor = totals.cursor();
    let mut rows = BTreeMap::new();
    while let Some(next) = cursor.next_row() {
        let (keys, values) = row(next);
        assert_eq!(rows.insert(keys, values), None);
    }
    rows
}

fn schema(pipeline: &Pipeline, statistic: &str) -> Schema {
    Schema::clone(pipeline.schemas().find(|schema| schema.statistic == statistic).unwrap())
}

fn request(uri: &str, status: u16) -> String {
    line(status, 7).replace("GET / ", &format!("GET {uri} "))
}

#[tokio::test]
async fn a_statistic_counts_the_lines_that_its_condition_selects_under_derived_keys() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    for (uri, status) in [
        ("/api/v1/a?p=5", 500),
        ("/api/v1/b", 502),
        ("/api/v2/a?p=x", 200),
        ("/img/a.png", 500),
        ("/api/v1/a", 503),
    ] {
        machine.append(&request(uri, status));
    }
    let build = || {
        let errors = Statistic::named("errors")
            .only(field("status").ge(500) & field("uri").starts_with("/api/"))
            .group_by([constant("site", "shop"), field("uri").path_prefix(2).named("endpoint")])
            .measure(count());
        // Only the lines of this statistic need a price that is a number.
        let prices = Statistic::named("prices").only(arg("p").matches("^[0-9]+$")).measure(sum(arg("p")));
        machine.pipeline().statistic(errors).statistic(prices).sink("memory", sink.clone()).build().unwrap()
    };
    let pipeline = build();
    let (errors, prices) = (schema(&pipeline, "errors"), schema(&pipeline, "prices"));
    assert_eq!(errors.only.as_deref(), Some(r#"status >= 500 and uri starts_with "/api/""#));
    assert_eq!(errors.keys[1].field, "path_prefix(uri, 2)");
    let summary = pipeline.run_to_end(pending()).await.unwrap();
    assert_eq!((summary.lines, summary.rejected), (5, 0));
    assert_eq!(rows(&sink, &errors).await, BTreeMap::from([("shop /api/v1".to_owned(), vec![3])]));
    assert_eq!(rows(&sink, &prices).await, BTreeMap::from([(String::new(), vec![5])]));
    let selected: Vec<_> = pipeline.status().statistics.iter().map(|statistic| statistic.selected).collect();
    assert_eq!(selected, [0, 3, 1]);
    drop(pipeline);

    // It goes on after a restart, and another condition is another definition.
    machine.append(&request("/api/v1/c", 500));
    build().run_to_end(pending()).await.unwrap();
    assert_eq!(rows(&sink, &errors).await, BTreeMap::from([("shop /api/v1".to_owned(), vec![4])]));
    let changed = Statistic::named("errors").only(field("status").ge(400)).measure(count());
    let error = machine.pipeline().statistic(changed).sink("memory", sink.clone()).build().unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains(r#"condition status >= 500 and uri starts_with "/api/" -> status >= 400"#),
        "{text}"
    );
}

#[tokio::test]
async fn a_line_that_fails_a_check_is_rejected_under_its_name() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let signed = || Condition::code("is_signed", 1, ["args"], |values| values[0].ends_with(b"&s=ok"));
    let build = || {
        machine.pipeline().require("signature", signed()).require("get", field("request_method").eq("GET"))
    };
    machine.append(&(request("/?a=1&s=ok", 200) + &request("/?a=1&s=bad", 200)));
    machine.append(&request("/?s=bad", 200).replace("GET", "POST"));
    machine.append(&request("/?a=2&s=ok", 200).replace("GET", "POST"));
    let summary = run_to_end(build().sink("memory", sink.clone())).await.unwrap();
    assert_eq!((summary.lines, summary.rejected), (4, 3));
    assert_eq!(totals(&sink, "requests").await, of([("200", 1, 7)]));
    let rejected = fs::read_to_string(machine.state().join("rejected-0.jsonl")).unwrap();
    let reasons: Vec<String> = rejected
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["reason"].as_str().unwrap().to_owned()
        })
        .collect();
    let failed = |name: &str| format!("the check {name} failed");
    assert_eq!(reasons, [failed("signature"), failed("signature"), failed("get")]);
    assert_eq!(Reason::Nul.code(), "nul");
    for (name, condition, expected) in [
        ("Signature", signed(), "1 to 63 of a-z"),
        ("signature", signed(), "a name that no other check has"),
        ("nul", signed(), "a name that no other check has, and that is no reason of evs"),
        ("x", field("uri").matches("("), "the pattern \"(\" is wrong"),
    ] {
        let error =
            build().require(name, condition).sink("memory", sink.clone()).build().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_statistic_goes_to_the_sinks_that_it_names() {
    let machine = Machine::new();
    let (all, some) = (TestSink::default(), TestSink::default());
    let build = |to: &[&str]| {
        let billing = by_status("billing").to(to.to_vec());
        let sinks = machine.pipeline().statistic(billing).sink("all", all.clone()).sink("some", some.clone());
        sinks.build()
    };
    let run = async |to: &[&str]| build(to).unwrap().run_to_end(pending()).await.unwrap();
    machine.append(&line(200, 1));
    *some.refuses_rows_of.lock().unwrap() = Some("billing");
    assert!(run(&["all"]).await.is_complete);
    *some.refuses_rows_of.lock().unwrap() = None;
    assert_eq!(totals(&all, "billing").await, of([("200", 1, 1)]));
    assert_eq!(totals(&some, "requests").await, of([("200", 1, 1)]));
    let billing = schema(&build(&["all"]).unwrap(), "billing");
    // It is delivered to others from the next batch on.
    machine.append(&line(200, 2));
    assert!(run(&["some"]).await.is_complete);
    assert_eq!(rows(&all, &billing).await, BTreeMap::from([("200".to_owned(), vec![1, 1])]));
    assert_eq!(rows(&some, &billing).await, BTreeMap::from([("200".to_owned(), vec![1, 2])]));
    for (to, expected) in [(&["none"][..], "\"none\""), (&[], "no sink")] {
        let error = build(to).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("statistic billing: to"), "{error}");
    }
}

#[tokio::test]
async fn batches_go_to_the_sinks_that_they_were_cut_for_under_whatever_name() {
    let machine = Machine::new();
    let (pg, archive) = (TestSink::default(), TestSink::default());
    let billing = |to: &str| machine.pipeline().statistic(by_status("billing").to([to]));
    // A batch waits for `pg`.
    pg.is_down.store(true, SeqCst);
    machine.append(&line(200, 1));
    let pipeline = billing("pg").sink("pg", pg.clone()).sink("archive", archive.clone()).build().unwrap();
    let cut = async { until(&pipeline, "cut", |status| status.batches >= 2).await };
    pipeline.run(cut).await.unwrap();
    let schema = schema(&pipeline, "billing");
    drop(pipeline);
    pg.is_down.store(false, SeqCst);
    // The sink gets another name, another sink gets its name, and the statistic goes to that one.
    machine.append(&line(200, 2));
    let (reports, other) = (pg.clone(), TestSink::default());
    let renamed = || {
        let builder = billing("pg").sink("reports", reports.clone()).formerly("pg");
        builder.sink("archive", archive.clone())
    };
    let error = renamed().build().unwrap_err().to_string();
    assert!(error.contains("the names of sinks"), "{error}");
    let to_archive =
        billing("archive").sink("reports", reports.clone()).formerly("pg").sink("archive", archive.clone());
    assert!(run_to_end(to_archive).await.unwrap().is_complete);
    assert_eq!(rows(&reports, &schema).await, BTreeMap::from([("200".to_owned(), vec![1, 1])]));
    assert_eq!(rows(&archive, &schema).await, BTreeMap::from([("200".to_owned(), vec![1, 2])]));
    machine.append(&line(200, 4));
    let builder = billing("pg").sink("reports", reports.clone()).sink("archive", archive.clone());
    assert!(run_to_end(builder.sink("pg", other.clone())).await.unwrap().is_complete);
    assert_eq!(rows(&reports, &schema).await, BTreeMap::from([("200".to_owned(), vec![1, 1])]));
    assert_eq!(rows(&other, &schema).await, BTreeMap::from([("200".to_owned(), vec![1, 4])]));
}

#[tokio::test]
async fn quantiles_distinct_counts_and_top_lists_are_read_from_rows() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let build = || {
        let sizes = Statistic::named("sizes").group_by([histogram("body_bytes_sent", 0.01)]).measure(count());
        let visitors = Statistic::named("visitors").distinct("remote_addr").measure(count());
        let pages = Statistic::named("pages").group_by(["uri"]).measure(count()).top(2);
        let builder = machine.pipeline().statistic(sizes).statistic(visitors).statistic(pages);
        builder.sink("memory", sink.clone()).build().unwrap()
    };
    // Two runs of 500 requests each, from 300 addresses in all.
    let mut schemas = Vec::new();
    for run in 0..2 {
        for request in 0..500_u64 {
            let uri = if request < 300 {
                "/a"
            } else if request < 450 {
                "/b"
            } else {
                &format!("/{request}")
            };
            let address = format!("192.0.2.{} ", (request + run * 50) % 250);
            let line = line(200, request * 10).replace("::1 ", &address);
            machine.append(&line.replace("GET / ", &format!("GET {uri} ")));
        }
        let pipeline = build();
        schemas = pipeline.schemas().cloned().collect();
        pipeline.run_to_end(pending()).await.unwrap();
    }
    let schema = |name: &str| schemas.iter().find(|schema| schema.statistic == name).unwrap();
    let all = i64::MIN..i64::MAX;
    let found = sink.totals(schema("sizes"), all.clone()).await.unwrap();
    let mut totals = Totals::new(schema("sizes"), 1_795_267_500..1_795_267_560);
    totals.add(&found).unwrap();
    let median = totals.whole().quantile("body_bytes_sent_bucket", 0.5).unwrap().unwrap();
    assert!((median.value - 2490.0).abs() <= 2490.0 * 0.011, "{median:?}");

    let found = sink.totals(schema("visitors"), all.clone()).await.unwrap();
    let mut totals = Totals::new(schema("visitors"), 1_795_267_500..1_795_267_560);
    totals.add(&found).unwrap();
    let distinct = totals.whole().distinct("remote_addr_slot").unwrap();
    assert!((distinct.estimate() - 250.0).abs() < 10.0, "{}", distinct.estimate());
    assert_eq!(totals.whole().total("count").unwrap().map(|count| count.value), Some(1000));

    let pages = rows(&sink, schema("pages")).await;
    let expected =
        [("(other)", 100), ("/a", 600), ("/b", 300)].map(|(uri, count)| (uri.to_owned(), vec![count]));
    assert_eq!(pages, BTreeMap::from(expected));
}
