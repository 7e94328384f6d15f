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
