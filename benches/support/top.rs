//! How far top lists are from exact counts, for ten million distinct keys.

use std::collections::HashMap;

use evs::{LogFormat, Statistic, count};
use evs_core::internals::Aggregation;

/// The number of distinct keys.
const KEYS: u64 = 10_000_000;
/// The number of lines.
const LINES: u64 = 20_000_000;
/// The keys that a list shows.
const SHOWN: u32 = 1000;
/// The lines of a block.
const BLOCK: u64 = 4096;

/// A generator of numbers, the same in each run (SplitMix64: Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The cumulative shares of keys 1 to `KEYS`, of which key k has a share of k^-s.
fn shares(s: f64) -> Vec<f64> {
    let mut sum = 0.0;
    let mut shares: Vec<f64> = (1..=KEYS)
        .map(|key| {
            sum += (key as f64).powf(-s);
            sum
        })
        .collect();
    shares.iter_mut().for_each(|share| *share /= sum);
    shares
}

/// Counts keys by a top list and exactly, and prints how they compare.
pub(crate) fn accuracy() {
    println!("{LINES} lines of {KEYS} keys, a top list of {SHOWN}, one batch");
    println!("keys      total exact  of the best {SHOWN} shown  largest loss  its bound  memory in MiB");
    for (name, s) in [("uniform", 0.0), ("Zipf 1.0", 1.0), ("Zipf 1.3", 1.3)] {
        let Counted { rows, exact, memory } = counted(s);
        let is_exact = rows.values().sum::<i128>() == i128::from(LINES);
        let mut best: Vec<(u32, usize)> =
            exact.iter().enumerate().map(|(key, count)| (*count, key)).collect();
        best.sort_unstable_by(|one, other| other.cmp(one));
        best.truncate(SHOWN as usize);
        let shown = |key: usize| rows.get(&name_of(key)).copied().unwrap_or_default();
        let found = best.iter().filter(|(_, key)| shown(*key) > 0).count();
        let lost = best.iter().map(|(count, key)| i128::from(*count) - shown(*key)).max().unwrap_or_default();
        let bound = LINES * 7 / 4 / u64::from(SHOWN);
        println!("{name:9} {is_exact:11}  {found:22}  {lost:12}  {bound:9}  {:13}", memory >> 20);
    }
}

/// What a top list and exact counts have of the same lines.
struct Counted {
    /// The rows of the list, by key.
    rows: HashMap<Vec<u8>, i128>,
    /// The exact counts, by key.
    exact: Vec<u32>,
    /// The resident memory that the list has taken, in bytes.
    memory: u64,
}

/// The text of a key.
fn name_of(key: usize) -> Vec<u8> {
    format!("/page/{key}").into_bytes()
}

/// Counts lines whose key k has a share of k^-s, or the same share as all others if `s` is 0.
fn counted(s: f64) -> Counted {
    let format = LogFormat::nginx("$msec $uri").expect("a format");
    let statistic = Statistic::named("pages").group_by(["uri"]).measure(count()).top(SHOWN);
    let mut aggregation = Aggregation::new(&format, &[statistic]).expect("the field is there");
    let shares = if s > 0.0 { shares(s) } else { Vec::new() };
    let (mut random, mut block) = (Random(7), Vec::new());
    // The pages are touched, so that they are not taken for memory of the list.
    let mut exact = vec![1_u32; KEYS as usize + 1];
    exact.fill(0);
    let before = resident();
    let mut largest = 0;
    for at in 0..LINES {
        let key = match shares.len() {
            0 => (random.next() % KEYS) as usize,
            _ => {
                let unit = random.unit();
                shares.partition_point(|share| *share < unit)
            }
        };
        exact[key] += 1;
        block.extend_from_slice(b"60.000 ");
        block.extend_from_slice(&name_of(key));
        block.push(b'\n');
        if at % BLOCK == BLOCK - 1 || at + 1 == LINES {
            aggregation.lines(&block);
            block.clear();
            largest = largest.max(resident());
        }
    }
    let gathered = aggregation.cut();
    let mut rows = HashMap::new();
    for piece in gathered.merge() {
        let mut cursor = piece.cursor();
        while let Some(row) = cursor.next_row() {
            rows.insert(row.keys[0].to_vec(), row.values[0].unwrap_or_default());
        }
    }
    Counted { rows, exact, memory: largest.max(resident()).saturating_sub(before) }
}

/// The resident memory of the process, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes =
        line.and_then(|line| line.split_whitespace().nth(1)).and_then(|number| number.parse::<u64>().ok());
    kilobytes.unwrap_or_default() << 10
}
