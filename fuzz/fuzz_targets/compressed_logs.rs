//! Compressed logs: any bytes give a text or an error, the same whatever the size of the reads, and chunks of whole lines
//! that make up that text. A text that was compressed is read as it was, and what is left of a cut file is the beginning
//! of its text or an error.
//!
//! The first four bytes of the input choose a compression, the limits of chunks, and where a file is cut; the rest is the
//! file, or the text.
#![no_main]

use std::io::Write;

use evs_core::internals::tail::{assert_chunks, unpack};
use libfuzzer_sys::fuzz_target;

/// The most bytes that are read of a file: a few bytes can stand for gigabytes.
const PLAIN_BYTES_MAX: u64 = 1 << 18;

fuzz_target!(|input: &[u8]| {
    let [packing, limits, place, buffer, bytes @ ..] = input else { return };
    let limits = (1 + u64::from(limits % 16) * 7, 1 + u64::from(limits / 16) * 31);
    let limits = (limits.0, limits.1.max(limits.0));
    let at = |len: usize| len * usize::from(*place) / 256;
    let buffer = 1 + usize::from(*buffer);

    if packing & 0x80 != 0 {
        return compressed(packing % 3, bytes, limits, at, buffer);
    }
    for name in ["access.log.2", "access.log.2.gz"] {
        let file = unpack(name, bytes, 1 << 16, PLAIN_BYTES_MAX);
        let again = unpack(name, bytes, buffer, PLAIN_BYTES_MAX);
        assert_eq!(file.as_ref().ok(), again.as_ref().ok(), "buffers of {buffer} bytes");
        if let Ok(plain) = file {
            assert_chunks(name, bytes, &plain, at(plain.len()), limits).expect("it was read before");
        }
    }
});

/// A text that is compressed.
fn compressed(packing: u8, bytes: &[u8], limits: (u64, u64), at: impl Fn(usize) -> usize, buffer: usize) {
    let packed = pack(packing, bytes, at(bytes.len()));
    let name = "access.log.2.gz";
    assert!(unpack(name, &packed, buffer, PLAIN_BYTES_MAX).expect("whole") == bytes);
    assert_chunks(name, &packed, bytes, at(bytes.len()), limits).expect("whole");
    if let Ok(beginning) = unpack(name, &packed[..at(packed.len())], buffer, PLAIN_BYTES_MAX) {
        assert!(bytes.starts_with(&beginning));
    }
}

/// Compresses a text in two parts, one after the other, as logs are that grow after they were compressed.
fn pack(packing: u8, text: &[u8], at: usize) -> Vec<u8> {
    let (first, last) = text.split_at(at);
    [first, last].into_iter().flat_map(|part| pack_one(packing, part).expect("in memory")).collect()
}

fn pack_one(packing: u8, text: &[u8]) -> std::io::Result<Vec<u8>> {
    match packing {
        0 => {
            let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            file.write_all(text)?;
            file.finish()
        }
        1 => {
            let mut file = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            file.write_all(text)?;
            file.finish()
        }
        _ => zstd::encode_all(text, 1),
    }
}
