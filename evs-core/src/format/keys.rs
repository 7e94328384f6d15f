//! Formats whose lines name their fields.

use super::names::Names;

/// The keys that are asked for, each with a slot.
#[derive(Clone, Debug)]
pub(super) struct Keys(Names);

impl Default for Keys {
    fn default() -> Self {
        Self(Names::new(false))
    }
}

impl Keys {
    /// The slot of `name`, a new one if it has none yet.
    pub(super) fn slot(&mut self, name: &str) -> usize {
        self.0.add(name.as_bytes())
    }

    /// The slot of `name`, if it is asked for.
    #[inline]
    pub(super) fn find(&self, name: &[u8]) -> Option<usize> {
        self.0.find(name, 0, name.len())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
