//! Finds masks by the vector instructions of x86-64: the same masks as the portable functions, in a few instructions
//! each.
//!
//! One thing needs `unsafe`: the functions may only be called on a processor that has their instructions.
//! `request_masks` and `pair_masks` ask the processor first, and return a function that is safe to call. Loads are in
//! bounds because a chunk is an array of 64 or 16 bytes.

use std::arch::{is_x86_feature_detected, x86_64::*};

use super::request::RequestMasks;

/// The fastest function for the masks of a request that this processor can run.
pub(super) fn request_masks() -> fn(&[u8; 64]) -> RequestMasks<u64> {
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
        // SAFETY: the processor has the instructions.
        return |chunk| unsafe { request_masks_avx512(chunk) };
    }
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the instructions.
        return |chunk| unsafe { request_masks_avx2(chunk) };
    }
    super::portable::request_masks
}

/// Compares 64 bytes in one instruction per byte value. AVX-512 gives the mask directly.
#[target_feature(enable = "avx512f,avx512bw")]
fn request_masks_avx512(chunk: &[u8; 64]) -> RequestMasks<u64> {
    // SAFETY: the chunk has 64 bytes.
    let bytes = unsafe { _mm512_loadu_si512(chunk.as_ptr().cast()) };
    let equal = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte as i8));
    RequestMasks::new(equal)
}

/// Compares 32 bytes at a time, and joins the two masks of 32 bits.
#[target_feature(enable = "avx2")]
fn request_masks_avx2(chunk: &[u8; 64]) -> RequestMasks<u64> {
    // SAFETY: both halves lie within the 64 bytes of the chunk.
    let halves = unsafe {
        let half = chunk.as_ptr().cast::<__m256i>();
        [_mm256_loadu_si256(half), _mm256_loadu_si256(half.add(1))]
    };
    let equal = |byte: u8| {
        let pattern = _mm256_set1_epi8(byte as i8);
        let mask = |half| _mm256_movemask_epi8(_mm256_cmpeq_epi8(half, pattern)) as u32;
        u64::from(mask(halves[0])) | u64::from(mask(halves[1])) << 32
    };
    RequestMasks::new(equal)
}

/// The fastest function for the masks of a query that this processor can run.
pub(super) fn pair_masks() -> fn(&[u8; 64]) -> [u64; 2] {
    if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") {
        // SAFETY: the processor has the instructions.
        return |chunk| unsafe { pair_masks_avx512(chunk) };
    }
    if is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has the instructions.
        return |chunk| unsafe { pair_masks_avx2(chunk) };
    }
    super::portable::pair_masks
}

/// As [`request_masks_avx512`], for the two bytes that cut a query.
#[target_feature(enable = "avx512f,avx512bw")]
fn pair_masks_avx512(chunk: &[u8; 64]) -> [u64; 2] {
    // SAFETY: the chunk has 64 bytes.
    let bytes = unsafe { _mm512_loadu_si512(chunk.as_ptr().cast()) };
    let equal = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(byte as i8));
    [equal(b'&'), equal(b'=')]
}

/// As [`request_masks_avx2`], for the two bytes that cut a query.
#[target_feature(enable = "avx2")]
fn pair_masks_avx2(chunk: &[u8; 64]) -> [u64; 2] {
    // SAFETY: both halves lie within the 64 bytes of the chunk.
    let halves = unsafe {
        let half = chunk.as_ptr().cast::<__m256i>();
        [_mm256_loadu_si256(half), _mm256_loadu_si256(half.add(1))]
    };
    let equal = |byte: u8| {
        let pattern = _mm256_set1_epi8(byte as i8);
        let mask = |half| _mm256_movemask_epi8(_mm256_cmpeq_epi8(half, pattern)) as u32;
        u64::from(mask(halves[0])) | u64::from(mask(halves[1])) << 32
    };
    [equal(b'&'), equal(b'=')]
}

/// The offset of the first quote, backslash or control character.
#[inline(always)]
pub(super) fn first_special(chunk: &[u8; 16]) -> Option<usize> {
    // SAFETY: SSE2 is part of x86-64.
    unsafe { first_special_sse2(chunk) }
}

/// Compares 16 bytes at a time. A byte is a control character if it is the lesser of itself and the last of these.
#[target_feature(enable = "sse2")]
#[inline]
fn first_special_sse2(chunk: &[u8; 16]) -> Option<usize> {
    // SAFETY: the chunk has 16 bytes.
    let bytes = unsafe { _mm_loadu_si128(chunk.as_ptr().cast()) };
    let [quotes, backslashes] = [b'"', b'\\'].map(|byte| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8)));
    let controls = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1F)), bytes);
    let found = _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quotes, backslashes), controls));
    (found != 0).then(|| found.trailing_zeros() as usize)
}
