//! The decision whether a store adds a batch, has it already, or refuses it.

use super::{
    error::SinkError,
    progress::{Applied, Progress},
};
use crate::batch::Batch;

/// Decides about `batch` for a store whose progress is `last`. `Ok(None)` tells the sink to add the batch;
/// `Ok(Some(_))` is the result to return, since there is nothing to add.
///
/// For example, for a store that has applied batch 7, batch 8 is to be added, batch 7 was applied before, batch 9 is
/// a [`SinkError::Gap`], and batch 6 is [`SinkError::Ahead`].
///
/// A sink calls this where nobody else can change the progress meanwhile, for example in the transaction that applies
/// the batch.
///
/// # Errors
///
/// [`SinkError::Gap`], [`SinkError::Ahead`] or [`SinkError::Foreign`], by the contract of [`Sink`](crate::Sink).
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{Applied, Batch, Epoch, MeasureColumn, MeasureKind, Progress, Rows, Schema, SinkError, judge};
///
/// let count = MeasureColumn::new("count", MeasureKind::Count, "", 0);
/// let schema = Schema::new("requests", 60, Vec::new(), vec![count]);
/// let epoch = Epoch::random();
/// let batch = |sequence, predecessor| {
///     let mut batch = Batch::new("web1", epoch, schema.clone(), sequence, Rows::new(0, 1));
///     batch.predecessor = predecessor;
///     batch
/// };
/// let first = batch(1, 0);
/// // A store that knows nothing adds the first batch, and then knows it.
/// assert!(matches!(judge(None, &first), Ok(None)));
/// let last = Progress::after(&first);
/// assert!(matches!(judge(Some(&last), &first), Ok(Some(Applied::Before))));
/// // The next batch names the one before it. In another history it names another one.
/// assert!(matches!(judge(Some(&last), &batch(2, first.checksum())), Ok(None)));
/// assert!(matches!(judge(Some(&last), &batch(2, 12345)), Err(SinkError::Foreign { .. })));
/// assert!(matches!(judge(Some(&last), &batch(3, 12345)), Err(SinkError::Gap { .. })));
/// ```
pub fn judge(last: Option<&Progress>, batch: &Batch) -> Result<Option<Applied>, SinkError> {
    let (applied, checksum) = last.map_or((0, 0), |last| (last.sequence, last.checksum));
    let statistic = || batch.statistic().to_owned();
    // Compares the checksum of the store's last batch with the checksum that batch has in the offered history.
    let compare = |offered| match last {
        // The store knows only the sequence of its last batch, so there is nothing to compare.
        Some(last) if last.checksum == 0 => Ok(()),
        Some(last) if last.checksum != offered => {
            let (sequence, found) = (last.sequence, last.checksum);
            Err(SinkError::Foreign { statistic: statistic(), sequence, offered, found })
        }
        _ => Ok(()),
    };
    match batch.sequence {
        0 => Err(SinkError::Gap { statistic: statistic(), offered: 0, applied }),
        sequence if sequence - 1 == applied => compare(batch.predecessor).map(|()| None),
        sequence if sequence == applied => compare(batch.checksum()).map(|()| Some(Applied::Before)),
        offered if offered < applied => {
            Err(SinkError::Ahead { statistic: statistic(), offered, applied, checksum })
        }
        offered => Err(SinkError::Gap { statistic: statistic(), offered, applied }),
    }
}
