//! A log whose `#Fields:` lines change is counted by the line that holds at each place: by several workers, after a
//! restart in the middle of a file, and in a compressed file.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod sent_support;

use std::{fmt::Write as _, fs, io::Write as _};

use evs_core::LogFormat;
use sent_support::Place;

const ONE: &str = "#Fields: date time sc-status sc-bytes";
const OTHER: &str = "#Fields: sc-bytes date time cs(User-Agent) sc-status";

/// Lines after `fields`, each of which has 7 bytes sent.
fn lines(fields: &str, count: usize) -> String {
    let mut text = format!("{fields}\r\n");
    for at in 0..count {
        let time = format!("2026-11-28 10:{:02}:{:02}", at / 60 % 60, at % 60);
        let line = if fields == ONE { format!("{time} 200 7") } else { format!("7 {time} agent/{at} 200") };
        writeln!(text, "{line}\r").unwrap();
    }
    text
}

fn place() -> Place {
    Place::new(LogFormat::w3c(), "sc-bytes")
}

#[tokio::test]
async fn each_chunk_of_several_workers_knows_its_fields() {
    let place = place();
    place.append("2026-11-28 10:00:00 200 7\n");
    for _ in 0..4 {
        place.append(&lines(ONE, 20_000));
        place.append(&lines(OTHER, 20_000));
    }
    let summary = place.run().await;
    assert_eq!((summary.lines, summary.rejected), (160_001, 1), "the first line has no fields before it");
    assert_eq!(place.bytes().await, 7 * 160_000);
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_file_finds_the_fields_that_hold_there() {
    let place = place();
    place.append(&lines(ONE, 1000));
    place.append(&lines(OTHER, 1000));
    place.run().await;
    for start in 1..4 {
        let more = lines(OTHER, 500);
        place.append(more.split_once('\n').unwrap().1);
        let summary = place.run().await;
        assert_eq!((summary.lines, summary.rejected), (500, 0));
        assert_eq!(place.bytes().await, 7 * (2000 + 500 * start));
    }
}

#[tokio::test]
async fn a_file_that_is_compressed_while_nobody_reads_goes_on_with_its_fields() {
    let place = place();
    place.append(&lines(ONE, 1000));
    place.append(&lines(OTHER, 1000));
    place.run().await;
    let more = lines(OTHER, 5000);
    place.append(more.split_once('\n').unwrap().1);
    let packed = fs::File::create(place.folder.path().join("access.log.1.gz")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
    packed.write_all(&fs::read(place.log()).unwrap()).unwrap();
    packed.finish().unwrap();
    fs::remove_file(place.log()).unwrap();
    place.append("#Date: 2026-11-29 00:00:00\r\n");
    place.append(&lines(ONE, 100));
    let summary = place.run().await;
    assert_eq!((summary.lines, summary.rejected), (5100, 0));
    assert_eq!(place.bytes().await, 7 * 7100);
}
