//! Builds the index by the vector instructions of x86-64. Beside `masks`, this is the only `unsafe` code of the crate.
//!
//! Two things need `unsafe`. The functions may only be called on a processor that has their instructions: [`scan`]
//! asks the processor first. And they write separators through pointers: [`Room`] keeps the invariant of these.
//!
//! A chunk of 64 bytes takes these steps, all of them without a branch that depends on the data:
//!
//! 1. Compare the chunk with the quote, the delimiter, the newline and the escape: four masks of 64 bits.
//! 2. Multiply the quote mask by all ones without carries (`pclmulqdq`): that is the running parity, in one
//!    instruction.
//! 3. Combine masks and parity to the mask of separators.
//! 4. Write the offsets of its bits. AVX2 writes eight at a time, whether there are eight or not; the next chunk
//!    overwrites the surplus. AVX-512 compresses the offsets 0 to 63 by the mask (`vpcompressb`), and widens sixteen
//!    of them at a time.

use std::arch::{is_x86_feature_detected, x86_64::*};

use super::{
    parity::{Carry, Masks, padded},
    structure::{BYTE_ORDER_MARK_HEAD, Delimiters, Index, Newline, Suspects},
};

/// Indexes `block` if the processor has the instructions for it.
pub(super) fn scan(block: &[u8], delimiters: Delimiters, index: &mut Index) -> bool {
    let has_avx2 = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("pclmulqdq");
    let has_avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi2");
    if has_avx2 && has_avx512 {
        // SAFETY: the processor has the instructions.
        unsafe { scan_avx512(block, delimiters, index) };
    } else if has_avx2 {
        // SAFETY: the processor has the instructions.
        unsafe { scan_avx2(block, delimiters, index) };
    }
    has_avx2
}

/// The spare capacity of an index's vectors, to which the separators of a block are written. The lengths are kept
/// here, in registers, until [`finish`](Self::finish) sets those of the vectors.
///
/// Invariant: `separators` and `newlines` point to the vectors' memory, whose capacity is at least `len` (or `lines`),
/// plus one for each byte of the block that is still to be scanned, plus 64.
///
/// The extra 64 are for the surplus of the last write.
struct Room {
    /// The first element of [`Index::separators`].
    separators: *mut u32,
    /// The number of separators written.
    len: usize,
    /// The first element of [`Index::newlines`].
    newlines: *mut Newline,
    /// The number of newlines written.
    lines: usize,
    /// The number of quotes in the bytes scanned so far.
    quotes: u32,
    /// The parity at the end of the bytes scanned so far.
    carry: Carry,
    /// The suspects among the bytes scanned so far.
    suspects: Suspects,
}

impl Room {
    /// Reserves room for a separator and a newline per byte of the block.
    fn new(index: &mut Index, block: &[u8]) -> Self {
        // This reserves far more than most blocks need. The system gives pages only when they are written to.
        index.separators.reserve(block.len() + 64);
        index.newlines.reserve(block.len() + 64);
        Self {
            separators: index.separators.as_mut_ptr(),
            len: index.separators.len(),
            newlines: index.newlines.as_mut_ptr(),
            lines: index.newlines.len(),
            quotes: index.quotes,
            carry: Carry::default(),
            suspects: Suspects::default(),
        }
    }

    /// Adds the newlines of the next 64 bytes, before the separators themselves are added, and counts the quotes.
    ///
    /// In most cases there is one newline or none. So one is written in any case, and `lines` counts it only if it was
    /// real: no branch depends on it that could be mispredicted.
    ///
    /// # Safety
    ///
    /// `masks` and `separators` describe the next 64 bytes of the block, and every newline among these is a separator.
    #[inline(always)]
    unsafe fn push_newlines(&mut self, masks: Masks, separators: u64) {
        let mut newlines = masks.newline;
        let whole = self.lines + newlines.count_ones() as usize;
        loop {
            let before = (newlines & newlines.wrapping_neg()).wrapping_sub(1);
            let separator = self.len as u32 + (separators & before).count_ones();
            let quotes = self.quotes + (masks.quote & before).count_ones();
            // SAFETY: there is room for one per byte, and after these for one that does not count.
            unsafe { self.newlines.add(self.lines).write(Newline { separator, quotes }) };
            self.lines += 1;
            newlines &= newlines.wrapping_sub(1);
            if newlines == 0 {
                break;
            }
        }
        self.lines = whole;
        self.quotes += masks.quote.count_ones();
    }

    /// Sets the lengths of the index's vectors.
    ///
    /// # Safety
    ///
    /// The first `len` separators and `lines` newlines have been written, and nothing of the index but its escapes
    /// has changed since `new`.
    unsafe fn finish(self, index: &mut Index) {
        debug_assert!(self.len <= index.separators.capacity() && self.lines <= index.newlines.capacity());
        // SAFETY: these have been written, within the capacity.
        unsafe {
            index.separators.set_len(self.len);
            index.newlines.set_len(self.lines);
        }
        index.quotes = self.quotes;
        index.suspects = self.suspects;
    }
}

/// Indexes `block`, 32 bytes per instruction.
#[target_feature(enable = "avx2,bmi1,popcnt,pclmulqdq")]
pub(super) fn scan_avx2(block: &[u8], delimiters: Delimiters, index: &mut Index) {
    let (chunks, rest) = block.as_chunks::<64>();
    let room = Room::new(index, block);
    let last = [padded(rest)];
    let last = if rest.is_empty() { &[] } else { &last[..] };
    // SAFETY: these are all chunks of the block, in order. `len` grows by the number of separators written, and nothing
    // else changes the index.
    unsafe {
        let room = chunks_avx2(chunks, 0, delimiters, room, index);
        let room = chunks_avx2(last, chunks.len() * 64, delimiters, room, index);
        room.finish(index);
    }
}

/// Adds the separators of `chunks`, the first of which begins at `from`. The padded chunk is passed in a call of its
/// own: choosing it within the loop makes the loop an eighth slower.
///
/// # Safety
///
/// `chunks` are the chunks of the block that come next, and `room` was made for this block and `index`.
#[inline(never)]
#[target_feature(enable = "avx2,bmi1,popcnt,pclmulqdq")]
unsafe fn chunks_avx2(
    chunks: &[[u8; 64]],
    from: usize,
    delimiters: Delimiters,
    mut room: Room,
    index: &mut Index,
) -> Room {
    let (mut lowest, mut highest) = (_mm256_set1_epi8(-1), _mm256_setzero_si256());
    for (chunk, start) in chunks.iter().zip((from..).step_by(64)) {
        // SAFETY: both halves lie within the 64 bytes of the chunk.
        let halves = unsafe {
            let half = chunk.as_ptr().cast::<__m256i>();
            [_mm256_loadu_si256(half), _mm256_loadu_si256(half.add(1))]
        };
        lowest = _mm256_min_epu8(lowest, _mm256_min_epu8(halves[0], halves[1]));
        highest = _mm256_max_epu8(highest, _mm256_max_epu8(halves[0], halves[1]));
        let equal = |byte: u8| {
            let pattern = _mm256_set1_epi8(byte as i8);
            let mask = |half| _mm256_movemask_epi8(_mm256_cmpeq_epi8(half, pattern)) as u32;
            u64::from(mask(halves[0])) | u64::from(mask(halves[1])) << 32
        };
        let masks = Masks {
            quote: if delimiters.are_quoted { equal(b'"') } else { 0 },
            delimiter: equal(delimiters.byte),
            newline: equal(b'\n'),
            escape: equal(delimiters.escape),
        };
        let separators = room.carry.separators(masks, running_parity(masks.quote));
        // SAFETY: both describe this chunk, whose padding has no separators, and every newline in it is a separator.
        unsafe { room.push_newlines(masks, separators) };
        if masks.escape != 0 {
            index.push_escapes(masks.escape, start);
        }
        let count = separators.count_ones() as usize;
        let mut left = separators;
        let mut written = 0;
        // Always eight at a time, however many there are: more than eight are rare, so the branch is well predicted.
        loop {
            for _ in 0..8 {
                // SAFETY: there is room for the bytes still to be scanned and for 64 separators more. `written` is
                // less than 64, since the next eight are written only while it is less than `count`, at most 64.
                unsafe {
                    room.separators.add(room.len + written).write(start as u32 + left.trailing_zeros());
                }
                left &= left.wrapping_sub(1);
                written += 1;
            }
            if written >= count {
                break;
            }
        }
        room.len += count;
    }
    let is_any = |lanes| _mm256_movemask_epi8(lanes) != 0;
    let high = _mm256_max_epu8(highest, _mm256_set1_epi8(BYTE_ORDER_MARK_HEAD as i8));
    room.suspects.has_nul |= is_any(_mm256_cmpeq_epi8(lowest, _mm256_setzero_si256()));
    room.suspects.has_high |= is_any(_mm256_cmpeq_epi8(highest, high));
    room
}

/// Indexes `block`, 64 bytes per instruction.
#[target_feature(enable = "avx2,bmi1,popcnt,pclmulqdq,avx512f,avx512bw,avx512vbmi2")]
pub(super) fn scan_avx512(block: &[u8], delimiters: Delimiters, index: &mut Index) {
    let (chunks, rest) = block.as_chunks::<64>();
    let room = Room::new(index, block);
    let last = [padded(rest)];
    let last = if rest.is_empty() { &[] } else { &last[..] };
    // SAFETY: these are all chunks of the block, in order. `len` grows by the number of separators written, and nothing
    // else changes the index.
    unsafe {
        let room = chunks_avx512(chunks, 0, delimiters, room, index);
        let room = chunks_avx512(last, chunks.len() * 64, delimiters, room, index);
        room.finish(index);
    }
}

/// Adds the separators of `chunks`, the first of which begins at `from`. The padded chunk is passed in a call of its
/// own: choosing it within the loop makes the loop an eighth slower.
///
/// # Safety
///
/// `chunks` are the chunks of the block that come next, and `room` was made for this block and `index`.
#[inline(never)]
#[target_feature(enable = "avx2,bmi1,popcnt,pclmulqdq,avx512f,avx512bw,avx512vbmi2")]
unsafe fn chunks_avx512(
    chunks: &[[u8; 64]],
    from: usize,
    delimiters: Delimiters,
    mut room: Room,
    index: &mut Index,
) -> Room {
    let (mut lowest, mut highest) = (_mm512_set1_epi8(-1), _mm512_setzero_si512());
    let offsets: [u8; 64] = std::array::from_fn(|at| at as u8);
    // SAFETY: the array has 64 bytes.
    let offsets = unsafe { _mm512_loadu_si512(offsets.as_ptr().cast()) };
    for (chunk, start) in chunks.iter().zip((from..).step_by(64)) {
        // SAFETY: the chunk has 64 bytes.
        let bytes = unsafe { _mm512_loadu_si512(chunk.as_ptr().cast()) };
        lowest = _mm512_min_epu8(lowest, bytes);
        highest = _mm512_max_epu8(highest, bytes);
        let equal = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte as i8));
        let masks = Masks {
            quote: if delimiters.are_quoted { equal(b'"') } else { 0 },
            delimiter: equal(delimiters.byte),
            newline: equal(b'\n'),
            escape: equal(delimiters.escape),
        };
        let separators = room.carry.separators(masks, running_parity(masks.quote));
        // SAFETY: both describe this chunk, whose padding has no separators, and every newline in it is a separator.
        unsafe { room.push_newlines(masks, separators) };
        if masks.escape != 0 {
            index.push_escapes(masks.escape, start);
        }
        let count = separators.count_ones() as usize;
        // Compresses the offsets whose bits are set, and widens sixteen of them at a time.
        let mut packed = _mm512_maskz_compress_epi8(separators, offsets);
        let base = _mm512_set1_epi32(start as i32);
        let mut written = 0;
        loop {
            let sixteen = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(packed));
            // SAFETY: there is room for the bytes still to be scanned and for 64 separators more. `written` is at most
            // 48, since the next sixteen are written only while it is less than `count`, at most 64.
            unsafe {
                let target = room.separators.add(room.len + written);
                _mm512_storeu_si512(target.cast(), _mm512_add_epi32(sixteen, base));
            }
            written += 16;
            if written >= count {
                break;
            }
            packed = _mm512_alignr_epi32::<4>(_mm512_setzero_si512(), packed);
        }
        room.len += count;
    }
    room.suspects.has_nul |= _mm512_testn_epi8_mask(lowest, lowest) != 0;
    room.suspects.has_high |=
        _mm512_cmpge_epu8_mask(highest, _mm512_set1_epi8(BYTE_ORDER_MARK_HEAD as i8)) != 0;
    room
}

/// Sets bit n to the parity of the bits up to n: that is a carry-less multiplication by all ones.
#[inline]
#[target_feature(enable = "pclmulqdq")]
fn running_parity(mask: u64) -> u64 {
    let product = _mm_clmulepi64_si128::<0>(_mm_set_epi64x(0, mask as i64), _mm_set1_epi8(-1));
    _mm_cvtsi128_si64(product) as u64
}
