//! The decoder of a compressed file, and the meaning of its errors.

use std::{
    error::Error,
    fmt,
    io::{self, BufReader, Read},
    path::Path,
    sync::Arc,
};

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

use super::{error::TailError, handle::LogHandle, packing::Packing};

/// The number of compressed bytes that are read at a time.
const PIECE_BYTES: usize = 64 << 10;

/// The most memory that a decoder of xz may take: a file made by `xz -9` needs a little less.
const XZ_KIB_MAX: u32 = 192 << 10;

/// Returns a reader of the uncompressed bytes of a file, from the beginning.
pub(super) fn decoder(handle: &Arc<LogHandle>) -> io::Result<Box<dyn Read + Send>> {
    decoder_with(handle, PIECE_BYTES)
}

/// The same as [`decoder`], with a buffer of the given number of compressed bytes.
pub(super) fn decoder_with(handle: &Arc<LogHandle>, buffer_bytes: usize) -> io::Result<Box<dyn Read + Send>> {
    let file = BufReader::with_capacity(buffer_bytes, Cursor { handle: Arc::clone(handle), offset: 0 });
    Ok(match handle.packing() {
        Packing::Plain => Box::new(file),
        Packing::Bzip2 => Box::new(MultiBzDecoder::new(file)),
        Packing::Gzip => Box::new(MultiGzDecoder::new(file)),
        Packing::Xz => Box::new(XzReader::new_mem_limit(file, true, XZ_KIB_MAX)),
        Packing::Zstd => Box::new(zstd::Decoder::with_buffer(file)?),
        Packing::Unreadable => {
            let why = "it is neither gzip, zstd, xz nor bzip2, although it is named like a compressed file";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
    })
}

/// The operating system failed to read a file that is being decompressed. The file itself may be intact.
#[derive(Debug)]
struct ReadFailed(io::Error);

impl fmt::Display for ReadFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for ReadFailed {}

/// Converts an error of a decoder: the file at `path` is damaged, unless the operating system failed to read
/// it.
pub(super) fn unpack_error(path: &Path, error: io::Error) -> TailError {
    if !error.get_ref().is_some_and(|inner| inner.is::<ReadFailed>()) {
        return TailError::Damaged { path: path.to_owned(), source: error };
    }
    let inner = error.into_inner().and_then(|inner| inner.downcast::<ReadFailed>().ok());
    let source = inner.map_or_else(|| io::ErrorKind::Other.into(), |failed| failed.0);
    TailError::io("read", path)(source)
}

/// A reader of a file with an offset of its own.
struct Cursor {
    handle: Arc<LogHandle>,
    offset: u64,
}

impl Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.handle.read_at(buffer, self.offset);
        let count = read.map_err(|error| io::Error::new(error.kind(), ReadFailed(error)))?;
        self.offset += count as u64;
        Ok(count)
    }
}
