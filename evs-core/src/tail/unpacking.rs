//! Private access for the fuzz target `compressed_logs`: a file of any bytes, read as the tailer reads it.

use std::{
    ffi::OsString,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use super::{
    chunk::{Chunk, ChunkKind},
    decoder::decoder_with,
    fs::{FileId, LogFs, LogRead, Stat},
    handle::LogHandle,
    options::ChunkLimits,
    unzip::Unzip,
};

/// A file system with one file, of these bytes.
#[derive(Clone, Debug)]
struct OneFile(Arc<[u8]>);

impl LogFs for OneFile {
    fn list(&self, _: &Path) -> io::Result<Vec<OsString>> {
        Ok(Vec::new())
    }

    fn stat(&self, _: &Path) -> io::Result<Option<Stat>> {
        LogRead::stat(self).map(Some)
    }

    fn link_target(&self, _: &Path) -> io::Result<Option<PathBuf>> {
        Ok(None)
    }

    fn open(&self, _: &Path) -> io::Result<Box<dyn LogRead>> {
        Ok(Box::new(self.clone()))
    }
}

impl LogRead for OneFile {
    fn stat(&self) -> io::Result<Stat> {
        let id = FileId { device: 1, inode: 1 };
        let size = self.0.len() as u64;
        Ok(Stat { id, size, modified: UNIX_EPOCH, changed: UNIX_EPOCH, is_regular: true })
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.0.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the uncompressed bytes of a file of that name, up to `bytes_max` of them. It is read with buffers of that size.
///
/// # Errors
///
/// Fails if the file is damaged.
pub fn unpack(name: &str, file: &[u8], buffer_bytes: usize, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    decoder_with(&handle(name, file)?, buffer_bytes)?.take(bytes_max).read_to_end(&mut plain)?;
    Ok(plain)
}

/// Reads such a file chunk by chunk from `offset` on, and compares all of them with `plain`, its uncompressed bytes.
///
/// # Errors
///
/// Fails if the file is damaged.
///
/// # Panics
///
/// Panics if a chunk is not a range of whole lines of `plain`, or keeps too much of it.
pub fn assert_chunks(
    name: &str,
    file: &[u8],
    plain: &[u8],
    offset: usize,
    (chunk_bytes, line_bytes_max): (u64, u64),
) -> io::Result<()> {
    let mut unzip = Unzip::open(&handle(name, file)?, offset as u64)?;
    let limits = ChunkLimits { chunk_bytes, line_bytes_max, preamble: None };
    let (mut at, mut tail) = (offset, Vec::new());
    while at < plain.len() {
        let mut block = Vec::new();
        let taken = unzip.next(&mut block, &mut tail, (plain.len() - at) as u64, limits)?;
        let range = &plain[at..at + taken.len as usize];
        at += range.len();
        let (last, before) = range.split_last().expect("a chunk is never empty");
        match taken.kind {
            ChunkKind::Lines => {
                assert_eq!(*last, b'\n');
                assert!(range.split(|byte| *byte == b'\n').all(|line| line.len() as u64 <= line_bytes_max));
            }
            ChunkKind::Final => assert!(at == plain.len() && *last != b'\n'),
            ChunkKind::Oversized => {
                assert!(!before.contains(&b'\n') && (*last == b'\n' || at == plain.len()));
                assert!(range.len() as u64 > line_bytes_max);
                assert_eq!(block.len(), Chunk::OVERSIZED_BYTES.min(line_bytes_max as usize));
            }
        }
        assert!(range.starts_with(&block));
        assert!(taken.kind == ChunkKind::Oversized || block.len() == range.len());
        assert!(plain[offset..at].ends_with(&tail));
    }
    Ok(())
}

fn handle(name: &str, file: &[u8]) -> io::Result<Arc<LogHandle>> {
    let opened = LogHandle::open(&OneFile(file.into()), Path::new(name));
    opened.map(|(handle, ..)| Arc::new(handle)).map_err(io::Error::other)
}
