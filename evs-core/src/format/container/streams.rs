//! What is known of lines that are not complete, by their streams.

/// The number of streams whose lines may be incomplete at the same time.
const STREAMS_MAX: usize = 16;

/// A value for each stream whose line is not complete, the oldest first.
#[derive(Clone, Debug)]
pub(super) struct Streams<T>(Vec<(Vec<u8>, T)>);

impl<T: Default> Streams<T> {
    /// No stream.
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The values, those of the lines that began first before others.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    /// The value of a stream. A new one takes the place of the oldest if there are too many: its pieces are given up.
    pub(super) fn value(&mut self, stream: &[u8]) -> &mut T {
        let at = self.find(stream).unwrap_or_else(|| {
            if self.0.len() == STREAMS_MAX {
                self.0.remove(0);
            }
            self.0.push((stream.to_vec(), T::default()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    /// Takes the value of a stream whose line is complete.
    pub(super) fn take(&mut self, stream: &[u8]) -> Option<T> {
        self.find(stream).map(|at| self.0.remove(at).1)
    }

    fn find(&self, stream: &[u8]) -> Option<usize> {
        self.0.iter().position(|(known, _)| known == stream)
    }
}
