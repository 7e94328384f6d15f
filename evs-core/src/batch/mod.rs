//! Batches: the rows that one statistic has gathered over a part of the log. A batch is the unit of commit and
//! delivery.

mod batch;
mod epoch;
mod rows;
mod text;

pub use batch::Batch;
pub(crate) use batch::checksum;
pub use epoch::{Epoch, InvalidEpoch};
pub use rows::{InvalidRows, Row, RowCursor, RowIter, RowRef, Rows};
pub use text::{escape, unescape};
