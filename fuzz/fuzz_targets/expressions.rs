//! A text is a condition or a field, or is refused with a column in it. What is read is written as a text that is read as the
//! same, and answers any line without a panic.
//!
//! The input is the text of the expression, a NUL byte, and the line.
#![no_main]

use evs_core::internals::Aggregation;
use evs_core::{Condition, Field, LogFormat, Statistic, count};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (text, line) = match input.iter().position(|byte| *byte == 0) {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, &b""[..]),
    };
    let Ok(text) = std::str::from_utf8(text) else { return };
    match text.parse::<Field>() {
        Ok(field) => {
            let written = field.to_string();
            assert_eq!(written.parse::<Field>().expect(&written).to_string(), written);
            answer(Statistic::named("s").group_by([field.named("key")]), line);
        }
        Err(error) => assert!((1..=text.chars().count() + 1).contains(&error.column), "{error}"),
    }
    match text.parse::<Condition>() {
        Ok(condition) => {
            let written = condition.to_string();
            assert_eq!(written.parse::<Condition>().expect(&written), condition, "{written}");
            answer(Statistic::named("s").only(condition), line);
        }
        Err(error) => assert!((1..=text.chars().count() + 1).contains(&error.column), "{error}"),
    }
});

/// Counts a line of JSON, which has a key of every name.
fn answer(statistic: Statistic, line: &[u8]) {
    let value = String::from_utf8_lossy(line).replace(['"', '\\'], "").replace(char::is_control, "");
    let line = format!("{{\"time\":60,\"a\":\"{value}\",\"b\":\"{value}\"}}\n");
    let mut aggregation =
        Aggregation::new(&LogFormat::json(), &[statistic.measure(count())]).expect("JSON has all fields");
    aggregation.lines(line.as_bytes());
    assert_eq!(aggregation.rejected(), 0);
    assert!(aggregation.rows() <= 1);
}
