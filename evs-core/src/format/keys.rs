//! Formats whose lines name their fields.

/// The keys that are asked for, each with a slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    names: Vec<Box<[u8]>>,
}

impl Keys {
    /// The slot of `name`, a new one if it has none yet.
    pub(super) fn slot(&mut self, name: &str) -> usize {
        self.find(name.as_bytes()).unwrap_or_else(|| {
            self.names.push(name.as_bytes().into());
            self.names.len() - 1
        })
    }

    /// The slot of `name`, if it is asked for. There are few keys: comparing beats hashing.
    pub(super) fn find(&self, name: &[u8]) -> Option<usize> {
        self.names.iter().position(|known| **known == *name)
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }
}
