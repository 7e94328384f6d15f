//! Writes a log to standard output: `generate-log KIND LINES [ODD_EVERY]`, where KIND is `combined`, `ads` or
//! `cdn`, and one line in ODD_EVERY is malformed and another one odd but valid.

use std::{
    error::Error,
    io::{self, Write},
};

use evs_testkit::{Generator, Kind, Mix};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (kind, lines, every) = match arguments.as_slice() {
        [kind, lines] => (kind, lines.parse()?, 0),
        [kind, lines, every] => (kind, lines.parse()?, every.parse()?),
        _ => return Err("usage: generate-log combined|ads|cdn LINES [ODD_EVERY]".into()),
    };
    let kind = match kind.as_str() {
        "combined" => Kind::Combined,
        "ads" => Kind::Ads,
        "cdn" => Kind::Cdn,
        other => return Err(format!("{other:?} is no kind of log: combined, ads or cdn").into()),
    };
    let mut generator = Generator::new(kind, Mix { malformed_every: every, odd_every: every }, 1);
    let mut out = io::stdout().lock();
    let mut block = Vec::new();
    let mut left: u64 = lines;
    while left > 0 {
        let count = left.min(10_000);
        generator.lines(count, &mut block);
        out.write_all(&block)?;
        block.clear();
        left -= count;
    }
    Ok(())
}
