//! The check by which a store lets only the last process that claimed a source write.

use super::error::SinkError;
use crate::writer::Writer;

impl Writer {
    /// Checks that `self` may write. `stored` is the writer that the store remembers as the last one to claim the
    /// source.
    ///
    /// A sink calls this where nobody else can claim the source meanwhile, for example in the transaction that
    /// applies a batch.
    ///
    /// # Errors
    ///
    /// [`SinkError::TakenOver`] if another process claimed the source later. [`SinkError::Unclaimed`] if the store
    /// remembers an earlier writer or none: then the store has lost the claim.
    pub fn check(&self, stored: Option<&Self>) -> Result<(), SinkError> {
        match stored {
            Some(stored) if stored.token == self.token => Ok(()),
            Some(stored) if stored.fence >= self.fence => {
                Err(SinkError::TakenOver { writer: Box::new(stored.clone()) })
            }
            _ => Err(SinkError::Unclaimed { source_name: self.source.clone() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Epoch;

    #[test]
    fn only_the_last_one_that_claimed_may_write() {
        let claimed = |fence| Writer { fence, ..Writer::this_process("web1", Epoch::random()) };
        let (mine, other) = (claimed(3), claimed);
        assert!(mine.check(Some(&mine)).is_ok());
        assert!(matches!(mine.check(Some(&other(4))), Err(SinkError::TakenOver { .. })));
        assert!(matches!(mine.check(Some(&other(3))), Err(SinkError::TakenOver { .. })));
        assert!(matches!(mine.check(Some(&other(2))), Err(SinkError::Unclaimed { .. })));
        assert!(matches!(mine.check(None), Err(SinkError::Unclaimed { .. })));
    }
}
