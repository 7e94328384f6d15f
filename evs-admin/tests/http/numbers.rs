//! `/statistics` and `/statistics/{name}`.

use std::sync::atomic::Ordering::SeqCst;

use super::*;
use crate::support::WINDOW;

#[tokio::test(flavor = "multi_thread")]
async fn statistics_are_listed_with_their_columns_and_sinks() {
    let running = Running::new().await;
    let listed = get(running.client, "/statistics").await.json();
    let statistic = &listed[0];
    assert_eq!((&statistic["statistic"], &statistic["source"]), (&"requests".into(), &"web1".into()));
    assert_eq!(statistic["keys"], serde_json::json!(["status", "request"]));
    assert_eq!(statistic["measures"], serde_json::json!(["count", "body_bytes_sent_sum"]));
    assert_eq!(
        (&statistic["sinks"], &statistic["window_seconds"]),
        (&serde_json::json!(["reports"]), &60.into())
    );
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_numbers_of_a_sink_are_grouped_as_asked() {
    let running = Running::new().await;
    let later = line("GET /a HTTP/1.1", 200).replace("13:25", "13:26");
    let lines = line("GET /a HTTP/1.1", 200).repeat(3)
        + &line("GET /b HTTP/1.1", 200).repeat(2)
        + &line("GET /c HTTP/1.1", 404)
        + &later;
    running.deliver(&lines).await;
    let ask = async |query: &str| {
        let path = format!("/statistics/requests?from={WINDOW}&to={}&{query}", WINDOW + 120);
        get(running.client, &path).await
    };
    let counts = |answer: &Value, key: &str| -> Vec<(String, String)> {
        let groups = answer["groups"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        groups.map(|group| (text(&group["keys"][key]), text(&group["measures"]["count"]))).collect()
    };
    let pairs = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(key, count)| ((*key).to_owned(), (*count).to_owned())).collect()
    };
    let whole = ask("").await.json();
    assert_eq!(
        whole["groups"][0]["measures"],
        serde_json::json!({"count": "7", "body_bytes_sent_sum": "70"})
    );
    let by_status = ask("by=status").await.json();
    assert_eq!(counts(&by_status, "status"), pairs(&[("200", "6"), ("404", "1")]));
    let top = ask("by=request&top=2").await.json();
    assert_eq!(counts(&top, "request"), pairs(&[("GET /a HTTP/1.1", "4"), ("GET /b HTTP/1.1", "2")]));
    // The same keys, in each window in the same order.
    let each = ask("by=request&top=2&each=60").await.json();
    let starts: Vec<_> = each["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| group["window_start"].as_i64().unwrap())
        .collect();
    assert_eq!(starts, [WINDOW, WINDOW, WINDOW + 60]);
    let expected = [("GET /a HTTP/1.1", "3"), ("GET /b HTTP/1.1", "2"), ("GET /a HTTP/1.1", "1")];
    assert_eq!(counts(&each, "request"), pairs(&expected));

    let csv = ask("by=status&each=60&format=csv").await;
    assert!(csv.header("content-type").unwrap().starts_with("text/csv"));
    let expected = format!(
        "window_start,status,count,body_bytes_sent_sum\r\n{WINDOW},200,5,50\r\n{WINDOW},404,1,10\r\n{},200,1,10\r\n",
        WINDOW + 60
    );
    assert_eq!(csv.body, expected);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_a_client_stay_text_in_a_spreadsheet() {
    let running = Running::new().await;
    running.deliver(&(line("=cmd(1),2", 200) + &line("-1", 200))).await;
    let path = format!("/statistics/requests?from={WINDOW}&to={}&by=request&format=csv", WINDOW + 60);
    let csv = get(running.client, &path).await.body;
    let expected = "window_start,request,count,body_bytes_sent_sum\r\n,-1,1,10\r\n,\"'=cmd(1),2\",1,10\r\n";
    assert_eq!(csv, expected);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mistake_is_answered_with_what_is_wrong() {
    let running = Running::new().await;
    for (path, status, what) in [
        ("/statistics/other", 404, "no statistic"),
        ("/statistics/requests?sink=other", 404, "no sink"),
        ("/statistics/requests?source=web2", 404, "no source"),
        ("/statistics/requests?from=100&to=50", 400, "not before"),
        ("/statistics/requests?from=0&to=99999999", 400, "too many"),
        ("/statistics/requests?by=nothing", 400, "nothing"),
        ("/statistics/requests?each=90", 400, "90"),
        ("/statistics/requests?format=xml", 400, "json or csv"),
    ] {
        let answer = get(running.client, path).await;
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(answer.status == status && error.contains(what), "{path}: {answer:?}");
    }
    assert_eq!(get(running.client, "/statistics/requests?from=x").await.status, 400);
    running.sink.is_down.store(true, SeqCst);
    let answer = get(running.client, "/statistics/requests").await;
    assert_eq!(answer.status, 502);
    assert!(
        answer.json()["error"].as_str().unwrap().starts_with("the sink reports: connecting"),
        "{answer:?}"
    );
    running.sink.is_down.store(false, SeqCst);
    running.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_two_questions_are_answered_at_a_time() {
    let running = Running::new().await;
    let client = running.client;
    let ask = || tokio::spawn(async move { get(client, "/statistics/requests").await.status });
    let asked: Vec<_> = (0..8).map(|_| ask()).collect();
    for answer in asked {
        assert_eq!(answer.await.unwrap(), 200);
    }
    assert_eq!(running.sink.questions.1.load(SeqCst), 2);
    running.end().await;
}
