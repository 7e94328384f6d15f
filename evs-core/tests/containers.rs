//! A log in containers is counted by whole lines: by several workers, and after restarts between the pieces of a line.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod sent_support;

use std::fmt::Write as _;

use evs_core::LogFormat;
use sent_support::Place;

const TIME: &str = "2026-11-28T10:00:43.000000001Z";

fn place() -> Place {
    let inner = LogFormat::nginx(r#"$msec "$request" $status $bytes_sent"#).unwrap();
    Place::new(LogFormat::cri(inner), "bytes_sent")
}

#[tokio::test]
async fn pieces_are_put_together_across_the_chunks_of_several_workers() {
    let place = place();
    let mut text = String::new();
    for at in 0..20_000 {
        writeln!(text, "{TIME} stdout P 1795860043.000 \"GET /{at}").unwrap();
        writeln!(text, "{TIME} stderr F start worker process {at}").unwrap();
        writeln!(text, "{TIME} stdout P {}", "a".repeat(at % 50)).unwrap();
        writeln!(text, "{TIME} stdout F  HTTP/1.1\" 200 7").unwrap();
    }
    place.append(&text);
    let summary = place.run().await;
    assert_eq!((summary.lines, summary.rejected), (40_000, 20_000), "the other stream is rejected");
    assert_eq!(place.bytes().await, 7 * 20_000);
}

#[tokio::test]
async fn a_restart_between_two_pieces_counts_the_line_once() {
    let place = place();
    for (text, lines, bytes) in [
        (format!("{TIME} stdout F 1795860043.000 \"GET /\" 200 1\n"), 1, 1),
        (format!("{TIME} stdout P 1795860043.000 \"GE\n"), 0, 1),
        (format!("{TIME} stdout P T /\" 2\n{TIME} std"), 0, 1),
        (format!("err F x\n{TIME} stdout F 00 2\n{TIME} stdout P 1795860043.000 \"\""), 2, 3),
        (format!("\n{TIME} stdout F  200 4\n"), 1, 7),
    ] {
        place.append(&text);
        let summary = place.run().await;
        assert_eq!((summary.lines, place.bytes().await), (lines, bytes), "{text}");
    }
}
