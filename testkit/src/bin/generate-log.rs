//! Writes the log of a workload to a file, and the expected totals to `FILE.expected.json`.
//!
//!     generate-log w1 5000000 /tmp/access.log --mixed --seed 7
//!
//! The JSON file has the format of the log, the numbers of lines, bytes and rejected lines, and for each statistic its
//! definition and a digest of its rows. A program in any language can compute the same digest from a store: see
//! [`Digest`].

use std::{
    error::Error,
    fmt::Write as _,
    fs::{self, File},
    io::Write,
    path::PathBuf,
};

use evs_testkit::{Digest, Generator, Measure, Mix, Options, StatisticSpec, Workload};

const USAGE: &str = "usage: generate-log WORKLOAD LINES FILE [--mixed] [--shuffled] [--seed N]

WORKLOAD is w1, w2, w3-10, w3-30, json, w1-reordered, w1-timed or w1-bracket
--mixed     0.2 % of the lines are malformed and 0.2 % odd but valid
--shuffled  every second line is up to five seconds older than the one before
--seed N    another log; 1 if not set";

/// The arguments of the command line.
struct Arguments {
    workload: Workload,
    lines: u64,
    path: PathBuf,
    options: Options,
}

/// Reads the arguments. `None` if they cannot be used.
fn arguments() -> Option<Arguments> {
    let mut words = std::env::args().skip(1);
    let workload = Workload::named(&words.next()?)?;
    let (lines, path) = (words.next()?.parse().ok()?, words.next()?.into());
    let mut options = Options { seed: 1, ..Options::default() };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--mixed" => options.mix = Mix { malformed_every: 500, odd_every: 500 },
            "--shuffled" => options.is_shuffled = true,
            "--seed" => options.seed = words.next()?.parse().ok()?,
            _ => return None,
        }
    }
    Some(Arguments { workload, lines, path, options })
}

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { workload, lines, path, options } = arguments().ok_or(USAGE)?;
    let mut generator = Generator::of(workload, options);
    let (mut file, mut block, mut bytes) = (File::create(&path)?, Vec::new(), 0);
    let mut left = lines;
    while left > 0 {
        let count = left.min(1000);
        generator.lines(count, &mut block);
        file.write_all(&block)?;
        bytes += block.len();
        block.clear();
        left -= count;
    }
    let (_, rejected) = generator.counts();
    let mut expected = format!(
        "{{\"workload\": {:?}, \"format\": {:?}, \"lines\": {lines}, \"rejected\": {rejected}, \
         \"bytes\": {bytes}, \"statistics\": [",
        workload.name(),
        workload.log_format()
    );
    for (at, (spec, digest)) in workload.statistics().iter().zip(generator.digests()).enumerate() {
        expected.push_str(if at > 0 { ",\n" } else { "\n" });
        write_statistic(&mut expected, spec, &digest)?;
    }
    expected.push_str("\n]}\n");
    let mut name = path.into_os_string();
    name.push(".expected.json");
    fs::write(name, expected)?;
    Ok(())
}

/// Writes a statistic as JSON. All texts are plain ones, for which Rust has the same escapes.
fn write_statistic(out: &mut String, spec: &StatisticSpec, digest: &Digest) -> std::fmt::Result {
    let Digest { rows, lines, value, checksum } = digest;
    let measure = spec.measures.first().map(|measure| match measure {
        Measure::Sum(field, scale) => {
            format!("{{\"kind\": \"sum\", \"field\": {field:?}, \"scale\": {scale}, \"total\": {value}}}")
        }
        Measure::Max(field, scale) => {
            format!("{{\"kind\": \"max\", \"field\": {field:?}, \"scale\": {scale}, \"total\": {value}}}")
        }
    });
    write!(
        out,
        "{{\"name\": {:?}, \"spec\": {:?}, \"by\": {:?}, \"measure\": {}, \"rows\": {rows}, \
         \"lines\": {lines}, \"checksum\": {checksum}}}",
        spec.name,
        spec.to_string(),
        spec.by,
        measure.as_deref().unwrap_or("null"),
    )
}
