//! Samples of real logs.

use std::{fs, path::Path};

use super::*;

/// The number of lines and of accepted lines, the sum of `body_bytes_sent`, and the lines of each status.
fn totals(file: &str, format: &str) -> (usize, usize, i64, Vec<(String, usize)>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/samples").join(file);
    let bytes = fs::read(path).unwrap();
    let mut parser = format.parse::<LogFormat>().unwrap().parser(&["status", "body_bytes_sent"]).unwrap();
    let mut record = Record::new();
    let (mut lines, mut good, mut sum) = (0, 0, 0);
    let mut statuses = std::collections::BTreeMap::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n")) {
        lines += 1;
        if parser.parse(line, &mut record).is_ok() {
            good += 1;
            sum += decimal(record.field(1, line), 0).unwrap().unwrap_or(0);
            *statuses.entry(String::from_utf8_lossy(record.field(0, line)).into_owned()).or_insert(0) += 1;
        }
    }
    (lines, good, sum, statuses.into_iter().collect())
}

#[test]
fn give_the_counts_and_sums_of_their_readme() {
    let forwarded = format!("{COMBINED} \"$http_x_forwarded_for\"");
    let timed = format!("{forwarded} $request_time");
    let traefik = format!("{COMBINED} $requests \"$router\" \"$server\" ${{duration}}ms");
    let extended = format!("{COMMON} $request_length \"$http_referer\" \"$http_user_agent\"");
    let thumbnails = r#"$remote_addr [$time_local] "$request" $status $request_length $body_bytes_sent $request_time "$t_size" $read_time $gen_time"#;
    for (file, format, lines, good, sum, statuses) in [
        (
            "apache-combined.log",
            "combined",
            150,
            150,
            6_357_034,
            &[("200", 147), ("301", 1), ("304", 1), ("404", 1)][..],
        ),
        ("beats-apache-access.log", "combined", 7, 2, 651, &[("404", 1), ("408", 1)]),
        ("beats-apache-access.log", "common", 7, 2, 209, &[("404", 1), ("408", 1)]),
        ("nginx-malformed-requests.log", "combined", 11, 11, 1727, &[("400", 11)]),
        ("traefik-clf.log", &traefik, 9, 7, 2325, &[("-", 1), ("200", 6)]),
        ("mtail-apache-combined.log", "combined", 5, 5, 2602, &[("200", 4), ("304", 1)]),
        ("mtail-apache-common-ext.log", &extended, 3, 3, 1899, &[("200", 1), ("304", 1), ("404", 1)]),
        ("nginx-main-shop.log", &forwarded, 100, 100, 1_477_839, &[("200", 96), ("302", 1), ("404", 3)]),
        ("nginx-custom-thumbnails.log", thumbnails, 60, 60, 1_143_328, &[("200", 58), ("404", 2)]),
        ("alp-combined-time.log", &timed, 14, 13, 362, &[("200", 10), ("400", 2), ("504", 1)]),
    ] {
        let expected = statuses.iter().map(|(status, count)| ((*status).to_owned(), *count)).collect();
        assert_eq!(totals(file, format), (lines, good, sum, expected), "{file} as {format}");
    }
    for (file, format) in [("alp-json.log", "json"), ("alp-ltsv.log", "ltsv")] {
        let (lines, good, ..) = totals(file, format);
        assert_eq!((lines, good), (14, 14), "{file}");
    }
}
