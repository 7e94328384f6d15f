//! The epoch: the identity of a state directory.
//!
//! Sequences begin with 1 in every state directory. So `batch 1 of web1` is not unique: it could be of the present
//! directory, or of one that was lost last year. Together with the epoch it is.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A random 128-bit id that is made with a source's state directory. If a state directory is lost and made again, the
/// new one has another epoch, so that sinks can tell the two apart.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::Epoch;
///
/// let epoch: Epoch = "5f0c00000000000000000000000000a1".parse()?;
/// assert_eq!(epoch.to_string(), "5f0c00000000000000000000000000a1");
/// assert_ne!(Epoch::random(), Epoch::random());
/// # Ok::<(), evs::InvalidEpoch>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Epoch([u8; 16]);

impl Epoch {
    /// Makes a new random epoch.
    ///
    /// # Panics
    ///
    /// Panics if the operating system has no random bytes to give.
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system provides randomness");
        Self(bytes)
    }

    /// Makes an epoch from its bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the epoch.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

/// Displays the epoch as 32 lower-case hexadecimal digits, the form in which sinks store it.
impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text is not an epoch.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not an epoch: 32 hexadecimal digits are expected")]
pub struct InvalidEpoch(String);

impl FromStr for Epoch {
    type Err = InvalidEpoch;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        match u128::from_str_radix(text, 16) {
            Ok(value) if digits => Ok(Self(value.to_be_bytes())),
            _ => Err(InvalidEpoch(text.to_owned())),
        }
    }
}

impl From<Epoch> for String {
    fn from(epoch: Epoch) -> Self {
        epoch.to_string()
    }
}

impl TryFrom<String> for Epoch {
    type Error = InvalidEpoch;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_reversible() {
        let epoch = Epoch::from_bytes(*b"\x00\x01\xfe\xffabcdefghijkl");
        assert_eq!(epoch.to_string(), "0001feff6162636465666768696a6b6c");
        assert_eq!(epoch.to_string().parse::<Epoch>().unwrap(), epoch);
        assert!("0001feff".parse::<Epoch>().is_err());
        assert!("+001feff6162636465666768696a6b6c".parse::<Epoch>().is_err());
    }
}
