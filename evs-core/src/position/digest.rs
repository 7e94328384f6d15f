//! Digests: short stand-ins for some bytes of a file, by which the bytes are recognized.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

/// The length and the xxh3-64 hash of some bytes of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Digest {
    /// The number of bytes that were hashed.
    pub len: u32,
    /// Their hash. In JSON it has 16 hexadecimal digits.
    #[serde(with = "hex")]
    pub hash: u64,
}

impl Digest {
    /// Returns the digest of `bytes`, which must be fewer than 2^32.
    pub fn of(bytes: &[u8]) -> Self {
        Self { len: bytes.len() as u32, hash: xxh3_64(bytes) }
    }

    /// Returns true if `bytes` begin with the ones that were hashed.
    pub(crate) fn begins(&self, bytes: &[u8]) -> bool {
        bytes.get(..self.len as usize).is_some_and(|beginning| self.matches(beginning))
    }

    /// Returns true if `bytes` are the ones that were hashed.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        *self == Self::of(bytes)
    }
}

mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(value: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:016x}"))
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<u64, D::Error> {
        let text = <std::borrow::Cow<'d, str>>::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16).map_err(D::Error::custom)
    }
}
