//! Reads and writes the variable-length integers of the binlog's rows, and defines the error for invalid JSON in the
//! binlog.
//!
//! Integers are LEB128, as in Protocol Buffers and WebAssembly: seven bits per byte, the lowest first, and the highest
//! bit set in all bytes but the last. Most numbers of a row are lengths and counts below 128, which take one byte.
//!
//! ```text
//! 300 = 0b10_0101100  ->  1_0101100  0_0000010  =  AC 02
//! ```
//!
//! Reading never trusts a length: [`Reader::take`] compares it with the bytes that are there before anything is
//! allocated.

/// A text is not the JSON of the expected value.
///
/// [`Schema::from_json`](crate::Schema::from_json) and [`Frontier::from_json`](crate::Frontier::from_json) return it,
/// for what a store has kept. The cause (`source`) names the line and column.
///
/// ```
/// # extern crate evs_core as evs;
/// let error = evs::Schema::from_json("{}").unwrap_err();
/// assert_eq!(error.to_string(), "not the JSON of a schema");
/// assert!(evs::describe(&error).starts_with("not the JSON of a schema: missing field"));
/// ```
#[derive(Debug, thiserror::Error)]
#[error("not the JSON of {what}")]
pub struct InvalidJson {
    /// The name of the expected value, with its article: `a schema`.
    what: &'static str,
    source: serde_json::Error,
}

impl InvalidJson {
    /// Makes the error; `what` names the expected value.
    pub(crate) fn new(what: &'static str, source: serde_json::Error) -> Self {
        Self { what, source }
    }
}

/// The bytes ended before the value was complete, or the number does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnexpectedEnd;

/// Appends `value` as LEB128: seven bits per byte, the lowest bits first. For example, 300 becomes `AC 02`.
pub(crate) fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// Reads values one after the other from a slice.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'b> {
    bytes: &'b [u8],
    /// The offset of the next byte to read.
    at: usize,
}

impl<'b> Reader<'b> {
    /// Makes a reader at the start of `bytes`.
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Returns the number of bytes that were read.
    pub(crate) fn offset(&self) -> usize {
        self.at
    }

    /// Returns the next `len` bytes.
    ///
    /// # Errors
    ///
    /// Fails if there are fewer.
    pub(crate) fn take(&mut self, len: usize) -> Result<&'b [u8], UnexpectedEnd> {
        let end = self.at.checked_add(len).ok_or(UnexpectedEnd)?;
        let taken = self.bytes.get(self.at..end).ok_or(UnexpectedEnd)?;
        self.at = end;
        Ok(taken)
    }

    /// Returns the next number, as [`put_varint`] has written it.
    ///
    /// # Errors
    ///
    /// Fails if the bytes end within the number, or if it does not fit 64 bits.
    pub(crate) fn varint(&mut self) -> Result<u64, UnexpectedEnd> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            let bits = u64::from(byte & 0x7F);
            if shift == 63 && bits > 1 {
                return Err(UnexpectedEnd);
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(UnexpectedEnd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_every_length_are_read_back() {
        for shift in 0..64 {
            for value in [1_u64 << shift, (1_u64 << shift) - 1, u64::MAX >> shift] {
                let mut bytes = Vec::new();
                put_varint(&mut bytes, value);
                assert_eq!(Reader::new(&bytes).varint(), Ok(value));
                assert_eq!(Reader::new(&bytes[..bytes.len() - 1]).varint(), Err(UnexpectedEnd));
            }
        }
        assert_eq!(Reader::new(&[0xFF; 10]).varint(), Err(UnexpectedEnd), "more than 64 bits");
    }
}
