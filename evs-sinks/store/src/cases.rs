//! What the tests of all stores need: a statistic and its batches.

use evs_core::{Batch, Epoch, KeyColumn, MeasureColumn, MeasureKind, Rows, Schema, conformance::chained};

/// The statistic `ads`: a key, a count, and a sum in hundredths.
pub fn schema() -> Schema {
    let measure = |name: &str, kind, scale| MeasureColumn::new(name, kind, "", scale);
    Schema::new(
        "ads",
        60,
        vec![KeyColumn::new("campaign", "arg_c")],
        vec![measure("hits", MeasureKind::Count, 0), measure("revenue", MeasureKind::Sum, 2)],
    )
}

/// A batch of [`schema`]. A row is the window, the key, and the revenue of one hit.
pub fn batch<K: AsRef<[u8]>>(source: &str, sequence: u64, rows: &[(i64, K, i128)]) -> Batch {
    let mut encoded = Rows::new(1, 2);
    for (window, key, revenue) in rows {
        encoded.push(*window, [key.as_ref()], &[Some(1), Some(*revenue)]);
    }
    chained(Batch::new(source, Epoch::from_bytes([7; 16]), schema(), sequence, encoded))
}
