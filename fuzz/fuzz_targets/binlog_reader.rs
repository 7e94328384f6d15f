//! Opening a segment gives batches or an error, whatever bytes it has: no panic, and no allocation by a hostile length.
//!
//! The seeds are `evs-core/tests/fixtures/binlog-v1` and `binlog-v2`. Each input is tried as it is, and once more with
//! correct checksums.

#![no_main]

use std::sync::Arc;

use evs_core::internals::binlog::{Binlog, BinlogOptions, reseal};
use evs_core::internals::disk::SimDisk;
use libfuzzer_sys::fuzz_target;

/// The source of the fixture.
const SOURCE: &str = "ads-web1";

fuzz_target!(|bytes: &[u8]| {
    open_and_read(bytes.to_vec());
    let mut sealed = bytes.to_vec();
    reseal(1, &mut sealed);
    open_and_read(sealed);
});

/// Opens a segment of those bytes, reads every batch of it, and opens it again.
fn open_and_read(segment: Vec<u8>) {
    let disk = SimDisk::new();
    disk.set_contents("binlog-0000000000000001.evs", segment);
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
