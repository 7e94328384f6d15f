//! Opening segments gives batches or an error, whatever bytes they have: no panic, and no allocation by a hostile length.
//!
//! The input is one segment or more, one after the other. The seeds are those of `evs-core/tests/fixtures/binlog-v1` and
//! `binlog-v2`. Each input is tried as it is, and once more with correct checksums.

#![no_main]

use std::{collections::BTreeMap, sync::Arc};

use evs_core::internals::binlog::{Binlog, BinlogOptions, reseal};
use evs_core::internals::disk::SimDisk;
use libfuzzer_sys::fuzz_target;

/// The source of the fixture.
const SOURCE: &str = "ads-web1";

/// The first bytes of each segment.
const MAGIC: &[u8] = b"EVSBLOG\n";

fuzz_target!(|bytes: &[u8]| {
    let mut segments = segments(bytes);
    open_and_read(&segments);
    segments.iter_mut().for_each(|(number, segment)| reseal(*number, segment));
    open_and_read(&segments);
});

/// The segments in the input, by the numbers in their headers.
fn segments(bytes: &[u8]) -> BTreeMap<u64, Vec<u8>> {
    let mut starts: Vec<usize> = (1..bytes.len()).filter(|at| bytes[*at..].starts_with(MAGIC)).collect();
    starts.push(bytes.len());
    let mut segments = BTreeMap::new();
    let mut begin = 0;
    for end in starts {
        let segment = &bytes[begin..end];
        let number = segment.get(32..40).and_then(|number| number.try_into().ok()).map(u64::from_le_bytes);
        segments.insert(number.unwrap_or(1).max(1), segment.to_vec());
        begin = end;
    }
    segments
}

/// Opens a binlog of those segments, reads every batch of it, and opens it again.
fn open_and_read(segments: &BTreeMap<u64, Vec<u8>>) {
    let disk = SimDisk::new();
    for (number, segment) in segments {
        disk.set_contents(&format!("binlog-{number:016x}.evs"), segment.clone());
    }
    let Ok((binlog, _)) = Binlog::open(Arc::new(disk.clone()), SOURCE, BinlogOptions::default()) else {
        return;
    };
    let reader = binlog.reader();
    let state = binlog.state().clone();
    for statistic in state.statistics.keys() {
        let Some(first) = reader.first_sequence(statistic) else { continue };
        for sequence in first..=reader.last_sequence(statistic) {
            // A batch in a valid frame may still have rows that cannot be decoded.
            let _ = reader.batch(statistic, sequence);
        }
    }
    drop(binlog);
    // Opening it again finds the same, and cuts nothing more off.
    let (again, recovery) = Binlog::open(Arc::new(disk), SOURCE, BinlogOptions::default())
        .expect("a binlog that was opened can be opened again");
    assert_eq!(again.state(), &state);
    assert_eq!(recovery.torn, None);
}
