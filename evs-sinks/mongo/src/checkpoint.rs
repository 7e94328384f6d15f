//! The points at which tests make an attempt to apply a batch fail.

use evs_store::Failure;
#[cfg(test)]
use evs_store::StoreError;

/// The points at which tests make an attempt to apply a batch fail.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Checkpoint {
    /// The given number of rows was added.
    #[cfg_attr(not(test), expect(dead_code))]
    Rows(usize),
    /// All rows were added.
    AllRows,
    /// The progress was moved.
    Progress,
}

/// The fault that happens at a checkpoint. Outside of tests there is none.
#[derive(Debug, Default)]
pub(crate) struct Checkpoints {
    #[cfg(test)]
    pub(crate) fault: std::sync::Mutex<Option<evs_core::Fault>>,
}

impl Checkpoints {
    #[cfg(not(test))]
    #[expect(clippy::unused_self, clippy::unnecessary_wraps)]
    pub(crate) fn reached(&self, _: Checkpoint) -> Result<(), Failure> {
        Ok(())
    }

    /// Fails once if the fault is for this point.
    #[cfg(test)]
    pub(crate) fn reached(&self, checkpoint: Checkpoint) -> Result<(), Failure> {
        use std::sync::PoisonError;

        use evs_core::Fault;

        let mut fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        let due = match (*fault, checkpoint) {
            (Some(Fault::Rows(after)), Checkpoint::Rows(written)) => written >= after,
            (Some(Fault::Commit), Checkpoint::AllRows) | (Some(Fault::Answer), Checkpoint::Progress) => true,
            _ => false,
        };
        if due {
            *fault = None;
            return Err(StoreError::transient("fault on demand").into());
        }
        Ok(())
    }
}
