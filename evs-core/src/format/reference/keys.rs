//! The keys of formats whose lines name their fields: JSON and LTSV.
//!
//! Such lines have many keys that nobody asked for, so a look-up must be cheap above all when it finds nothing: see
//! [`Names`].

use crate::format::decode::names::Names;

/// The keys that are asked for. Each has a slot, into which its value is captured.
#[derive(Clone, Debug)]
pub(in crate::format) struct Keys(Names);

impl Default for Keys {
    fn default() -> Self {
        Self(Names::new(false))
    }
}

impl Keys {
    /// The slot of `name`. A new name gets the next slot.
    pub(in crate::format) fn slot(&mut self, name: &str) -> usize {
        self.0.add(name.as_bytes())
    }

    /// The slot of `name`, or `None` if nobody asked for it.
    #[inline]
    pub(in crate::format) fn find(&self, name: &[u8]) -> Option<usize> {
        self.0.find(name, 0, name.len())
    }

    /// The number of keys, which is the number of slots.
    pub(in crate::format) fn len(&self) -> usize {
        self.0.len()
    }
}
