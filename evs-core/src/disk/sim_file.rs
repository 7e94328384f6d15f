//! A file of the simulated disk: what programs see of it, what is on the disk, and what a power cut leaves.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

/// The unit that a disk writes as a whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A simulated file.
#[derive(Debug, Default)]
pub(super) struct SimFile {
    /// The bytes that programs see.
    pub(super) visible: Vec<u8>,
    /// The bytes that are certainly on the disk.
    durable: Vec<u8>,
    /// The sectors that the next sync writes.
    pub(super) dirty: BTreeSet<usize>,
    /// All contents that a sector had since its last sync. After a power cut it has any one of them.
    candidates: BTreeMap<usize, Vec<Vec<u8>>>,
    /// The greatest length since the last sync.
    len_max: usize,
    /// True while a handle has the file locked.
    pub(super) is_locked: bool,
}

impl SimFile {
    /// Makes a file whose bytes are on the disk.
    pub(super) fn with_contents(bytes: Vec<u8>) -> Self {
        Self { len_max: bytes.len(), durable: bytes.clone(), visible: bytes, ..Self::default() }
    }

    /// Writes bytes for programs to see. They become durable with the next sync.
    pub(super) fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.visible.len() < end {
            self.visible.resize(end, 0);
        }
        self.visible[offset..end].copy_from_slice(bytes);
        self.len_max = self.len_max.max(end);
        self.touch(offset, end);
    }

    /// Sets the length for programs to see.
    pub(super) fn truncate(&mut self, len: usize) {
        let old = self.visible.len();
        self.visible.resize(len, 0);
        self.touch(len, old.max(len));
    }

    /// Records that the sectors of `from..to` have new contents.
    fn touch(&mut self, from: usize, to: usize) {
        for sector in from / SECTOR_BYTES..to.div_ceil(SECTOR_BYTES) {
            self.dirty.insert(sector);
            self.candidates.entry(sector).or_default().push(sector_of(&self.visible, sector));
        }
    }

    pub(super) fn sync(&mut self) {
        self.durable.resize(self.visible.len(), 0);
        for sector in mem::take(&mut self.dirty) {
            put_sector(&mut self.durable, sector, &sector_of(&self.visible, sector));
            self.candidates.remove(&sector);
        }
        self.len_max = self.durable.len();
    }

    /// Decides which of the unsynced sectors, and which length, are on the disk.
    pub(super) fn power_cut(&mut self, chance: &mut Chance) {
        let durable_len = self.durable.len();
        let (len_min, len_max) = (durable_len.min(self.visible.len()), durable_len.max(self.len_max));
        let len = match chance.below(4) {
            0 => durable_len,
            1 => self.visible.len(),
            _ => len_min + chance.below(len_max - len_min + 1),
        };
        // Half of the time all sectors are new or all are old. Otherwise they are mixed.
        let taste = chance.below(4);
        self.durable.resize(len, 0);
        for (sector, candidates) in mem::take(&mut self.candidates) {
            let pick = match taste {
                0 => candidates.len() - 1,
                1 => candidates.len(),
                _ => chance.below(candidates.len() + 1),
            };
            // Without a pick, the sector keeps its durable contents; beyond the old end these are zeros.
            if let Some(bytes) = candidates.get(pick) {
                put_sector(&mut self.durable, sector, bytes);
            }
        }
        self.visible = self.durable.clone();
        self.dirty.clear();
        self.len_max = len;
    }
}

/// Returns the bytes of a sector, padded with zeros.
fn sector_of(bytes: &[u8], sector: usize) -> Vec<u8> {
    let rest = bytes.get(sector * SECTOR_BYTES..).unwrap_or_default();
    let mut sector = rest[..rest.len().min(SECTOR_BYTES)].to_vec();
    sector.resize(SECTOR_BYTES, 0);
    sector
}

/// Overwrites a sector, or the part of it that lies within `bytes`.
fn put_sector(bytes: &mut [u8], sector: usize, contents: &[u8]) {
    if let Some(rest) = bytes.get_mut(sector * SECTOR_BYTES..) {
        let len = rest.len().min(SECTOR_BYTES);
        rest[..len].copy_from_slice(&contents[..len]);
    }
}

/// A splitmix64 generator: the same seed always gives the same power cut.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    /// Returns a pseudo-random number below `limit`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % limit as u64) as usize
    }
}
