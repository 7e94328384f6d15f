//! Any text is a log format, or is refused with an offset inside of it. A format that compiles reads any line without a
//! panic.
//!
//! The input is a format, a line feed, and a line.
#![no_main]

use evs_core::{FormatError, LogFormat, Record};
use evs_fuzz::assert_refused;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let split = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (format, line) = (&input[..split], input.get(split + 1..).unwrap_or_default());
    let Ok(format) = std::str::from_utf8(format) else { return };
    match format.parse::<LogFormat>() {
        Ok(format) => match format.parser::<&str>(&[]) {
            Ok(mut parser) => drop(parser.parse(line, &mut Record::new())),
            Err(error) => assert_eq!(error, FormatError::NoTime),
        },
        Err(error) => assert_refused(format, &error),
    }
});
