//! The example `embedded`: its status over HTTP, while the store is away and after that.

use std::{
    io::{Read, Write},
    net::TcpStream,
    process::Command,
};

use evs_testkit::Kind;

use crate::{
    lock,
    support::{
        example,
        process::{Place, Running},
    },
    unlock,
};

/// Gets a path from a server. Returns the head and the body of the answer.
fn get(address: &str, path: &str) -> (String, String) {
    ask(address, &format!("GET {path}"))
}

/// Sends a request to a server. Returns the head and the body of the answer.
fn ask(address: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: {address}\r\nAccept: */*\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn a_service_shows_its_status_and_whether_it_is_healthy() {
    let mut place = Place::new(Kind::Combined, 41);
    place.write(1_000);
    let locked = lock(&place.database()).await;
    let mut command = Command::new(example("embedded"));
    command.arg(place.log()).arg(place.database()).arg(place.state()).arg("127.0.0.1:0");
    let mut running = Running::start(&mut command);
    running.until("said its address", |running| running.stderr().contains("/status\n"));
    let said = running.stderr();
    let address = said.split("http://").nth(1).and_then(|url| url.split('/').next()).unwrap();

    running.until("read the log", |_| {
        let (head, body) = get(address, "/status");
        let status: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert!(head.starts_with("HTTP/1.0 200 "), "{head}");
        status["lines"] == 1_000
    });
    assert!(get(address, "/healthz").0.contains(" 503 "), "the store is away");
    assert!(get(address, "/other").0.contains(" 404 ") && get(address, "/retry").0.contains(" 404 "));
    assert!(ask(address, "POST /retry").0.contains(" 200 "));
    unlock(locked).await;
    running.until("healthy", |_| get(address, "/healthz").0.contains(" 200 "));
    running.signal("TERM");
    let outcome = running.outcome();
    assert!(outcome.status.success(), "{outcome:?}");
    assert!(outcome.stdout.ends_with("1000 lines counted\n"), "{outcome:?}");
}
