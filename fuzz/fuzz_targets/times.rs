//! Times of any shape. Any text is a shape or is refused, and a shape reads any text or rejects it. A time that is
//! written in a shape is read as the same second. The zone of times without one shifts them by its minutes and changes
//! nothing else. What a time without a year is depends on the clock, so it is only read.
//!
//! The input is six bytes for a second, two for a zone, a shape, a line feed, and the text of a time.
#![no_main]

use evs_core::{FormatError, LineParser, LogFormat, Reason, Record};
use libfuzzer_sys::fuzz_target;

/// The seconds of a day.
const DAY: i64 = 86_400;
/// The first second of the year 1, and the number of seconds until the year 9998: any zone keeps them within four digits.
const FIRST: i64 = -62_135_596_800;
const RANGE: i64 = 315_474_652_800;

fuzz_target!(|input: &[u8]| {
    let Some((numbers, rest)) = input.split_first_chunk::<8>() else { return };
    let [a, b, c, d, e, f, zone @ ..] = *numbers;
    let seconds = FIRST + i64::from_le_bytes([a, b, c, d, e, f, 0, 0]) % RANGE;
    let zone = i16::from_le_bytes(zone);
    let mut parts = rest.splitn(2, |byte| *byte == b'\n');
    let (shape, text) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Ok(shape) = std::str::from_utf8(shape) else { return };
    let format = match LogFormat::json().time("t", shape) {
        Ok(format) => format,
        Err(error) => return assert!(matches!(error, FormatError::TimeShape { .. }), "{error}"),
    };
    let parser = |zone| format.clone().utc_offset_minutes(zone).parser(&["t"]).expect("a time");
    let (mut utc, mut zoned) = (parser(0), parser(zone));
    let (in_utc, in_zone) = (read(&mut utc, text), read(&mut zoned, text));
    if lacks_year(shape) {
        return;
    }
    match (in_utc, in_zone) {
        (Ok(one), Ok(other)) => assert!([0, i64::from(zone) * 60].contains(&(one - other))),
        // The date exists in one of them only: at the beginning of the year 0, or at the end of the year 9999.
        (Err(Reason::Date), _) | (_, Err(Reason::Date)) => {}
        (one, other) => assert_eq!(one, other),
    }
    if let Some((text, expected)) = written(shape, seconds, zone) {
        let text = text.as_bytes();
        assert_eq!(read(&mut zoned, text), Ok(expected), "{shape:?} at {seconds}");
        // Again, now that the parser remembers it; and between others in quotes, where the end of it must be found.
        assert_eq!(read(&mut zoned, text), Ok(expected), "{shape:?} at {seconds}");
        quoted(shape, zone, text, expected);
    }
});

/// True for conversions of which none tells the year.
fn lacks_year(shape: &str) -> bool {
    let mut rest = shape.bytes();
    let mut has_any = false;
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            has_any = true;
            if rest.next().is_some_and(|conversion| b"YyFDcs".contains(&conversion)) {
                return false;
            }
        }
    }
    has_any
}

/// Reads a time in a line of JSON.
fn read(parser: &mut LineParser, text: &[u8]) -> Result<i64, Reason> {
    let mut line = b"{\"t\":\"".to_vec();
    for byte in text {
        match byte {
            b'"' | b'\\' | ..0x20 => line.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => line.push(*byte),
        }
    }
    line.extend_from_slice(b"\"}");
    let mut record = Record::new();
    match parser.parse(&line, &mut record) {
        Ok(()) => {
            let seen = record.field(0, &line);
            assert_eq!(seen, if text.is_empty() { b"-" } else { text });
            Ok(record.seconds())
        }
        Err(rejection) => {
            assert!(rejection.column as usize <= line.len() + 1);
            Err(rejection.reason)
        }
    }
}

/// Reads a time in a line of nginx's.
fn quoted(shape: &str, zone: i16, text: &[u8], expected: i64) {
    if text.iter().any(|byte| matches!(byte, b'"' | b'\\' | 0 | b'\n')) {
        return;
    }
    let format =
        LogFormat::nginx(r#""$host" "$t" "$status""#).expect("a format").time("t", shape).expect("a shape");
    let mut parser = format.utc_offset_minutes(zone).parser(&["t", "status"]).expect("a time");
    let line = [b"\"example.net\" \"", text, b"\" \"200\""].concat();
    let mut record = Record::new();
    assert_eq!(parser.parse(&line, &mut record), Ok(()), "{shape:?}: {:?}", line.escape_ascii());
    assert_eq!((record.seconds(), record.field(0, &line)), (expected, text));
}

/// A time in that shape, and the second as which it must be read. `None` for a shape that cannot be written so that
/// its end is certain, and for a second that it cannot tell.
fn written(shape: &str, seconds: i64, zone: i16) -> Option<(String, i64)> {
    let epoch = |unit: i64| Some(((seconds * unit).to_string(), seconds));
    match shape {
        // Another number of digits may be that of a time that was cut.
        "epoch" => return (1_000_000_000..10_000_000_000).contains(&seconds).then(|| epoch(1))?,
        "seconds" => return epoch(1),
        "milliseconds" => return epoch(1_000),
        "microseconds" => return epoch(1_000_000),
        "nanoseconds" => return (seconds.abs() < 9_000_000_000).then(|| epoch(1_000_000_000))?,
        "local" => return written("%d/%b/%Y:%H:%M:%S %z", seconds, zone),
        "iso8601" => return written("%Y-%m-%dT%H:%M:%S.%f", seconds, zone),
        _ => {}
    }
    let mut letters = Vec::new();
    expand(shape, &mut letters);
    let has = |wanted: &[char]| letters.iter().any(|(is_conversion, c)| *is_conversion && wanted.contains(c));
    let offset = match (has(&['Z']), has(&['z'])) {
        (true, _) => 0,
        // Any offset that exists.
        (false, true) => i64::from(zone) % 1440,
        (false, false) => i64::from(zone),
    };
    let local = seconds + offset * 60;
    let (year, month, day, day_of_year) = date(local.div_euclid(DAY));
    let of_day = local.rem_euclid(DAY);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    let half = if hour % 12 == 0 { 12 } else { hour % 12 };
    let is_known = !(has(&['y']) && !(1969..=2068).contains(&year) || has(&['s']) && seconds < 0);
    let mut text = String::new();
    for (index, &(is_conversion, c)) in letters.iter().enumerate() {
        // Digits or letters go on until something else comes.
        let is_open = is_conversion && "sfLNZ".contains(c);
        if is_open && letters.get(index + 1).is_some_and(|(is, next)| *is || next.is_alphanumeric()) {
            return None;
        }
        text += &match (is_conversion, c) {
            (false, c) => c.to_string(),
            (_, 'Y') => format!("{year:04}"),
            (_, 'y') => format!("{:02}", year % 100),
            (_, 'm') => format!("{month:02}"),
            (_, 'b' | 'h') => NAMES[month as usize - 1].to_owned(),
            (_, 'd') => format!("{day:02}"),
            (_, 'e') => format!("{day:2}"),
            (_, 'j') => format!("{day_of_year:03}"),
            (_, 'H') => format!("{hour:02}"),
            (_, 'k') => format!("{hour:2}"),
            (_, 'I') => format!("{half:02}"),
            (_, 'l') => format!("{half:2}"),
            (_, 'p') => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            (_, 'M') => format!("{minute:02}"),
            (_, 'S') => format!("{second:02}"),
            (_, 'a') => "Sat".to_owned(),
            (_, 'z') => {
                let sign = if offset < 0 { '-' } else { '+' };
                format!("{sign}{:02}{:02}", offset.abs() / 60, offset.abs() % 60)
            }
            (_, 'Z') => "UTC".to_owned(),
            (_, 's') => seconds.to_string(),
            (_, 'f' | 'L' | 'N') => "707".to_owned(),
            (_, other) => unreachable!("%{other} was compiled"),
        };
    }
    let expected = if has(&['s', 'S']) { seconds } else { seconds - second };
    is_known.then_some((text, expected))
}

const NAMES: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The characters of a shape, true for those of conversions, with composed ones written out.
fn expand(shape: &str, letters: &mut Vec<(bool, char)>) {
    let mut chars = shape.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            letters.push((false, c));
            continue;
        }
        match chars.next().expect("the shape was compiled") {
            '%' => letters.push((false, '%')),
            't' => letters.push((false, '\t')),
            'F' => expand("%Y-%m-%d", letters),
            'T' => expand("%H:%M:%S", letters),
            'R' => expand("%H:%M", letters),
            'r' => expand("%I:%M:%S %p", letters),
            'D' => expand("%m/%d/%y", letters),
            'c' => expand("%a %b %e %H:%M:%S %Y", letters),
            conversion => letters.push((true, conversion)),
        }
    }
}

/// The year, month, day and day of the year, of a day since 1970: counted year by year, and month by month.
fn date(mut days: i64) -> (i64, i64, i64, i64) {
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    // 400 years have 146,097 days.
    let mut year = 1970 + days.div_euclid(146_097) * 400;
    days = days.rem_euclid(146_097);
    while days >= 365 + i64::from(is_leap(year)) {
        days -= 365 + i64::from(is_leap(year));
        year += 1;
    }
    let day_of_year = days + 1;
    let mut month = 1;
    for length in [31, 28 + i64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1, day_of_year)
}
