use std::{
    io::{ErrorKind, Read},
    sync::Arc,
};

use super::{FileMark, LogHandle, TailError, handle::Packing, unzip::decoder};

/// What of a file tells whether it is the one that was read.
#[derive(Debug)]
pub(super) struct Survey {
    /// How long it is, uncompressed.
    pub(super) size: u64,
    /// Its first bytes, up to [`FileMark::HEAD_BYTES_MAX`].
    pub(super) head: Vec<u8>,
    /// The bytes before each offset that was asked for, up to [`FileMark::TAIL_BYTES_MAX`].
    pub(super) tails: Vec<Vec<u8>>,
}

impl Survey {
    /// Looks at a file. A compressed one is decompressed, and thereby verified, to its end.
    ///
    /// # Errors
    ///
    /// [`TailError::Damaged`] if it cannot be.
    pub(super) fn of(handle: &Arc<LogHandle>, offsets: &[u64]) -> Result<Self, TailError> {
        if handle.packing() != Packing::Plain {
            return Self::decompress(handle, offsets);
        }
        let tails = offsets.iter().map(|offset| tail_before(handle, *offset)).collect::<Result<_, _>>()?;
        Ok(Self { size: handle.stat()?.size, head: head_of(handle)?, tails })
    }

    fn decompress(handle: &Arc<LogHandle>, offsets: &[u64]) -> Result<Self, TailError> {
        let damaged = |source| TailError::Damaged { path: handle.path().to_owned(), source };
        // What a decompressor makes of no bytes at all differs; none of them writes such a file.
        if handle.stat()?.size == 0 {
            return Err(damaged(ErrorKind::UnexpectedEof.into()));
        }
        let mut stops: Vec<(usize, u64)> = offsets.iter().copied().enumerate().collect();
        stops.sort_by_key(|(_, offset)| *offset);
        let mut survey = Self { size: 0, head: Vec::new(), tails: vec![Vec::new(); offsets.len()] };
        let mut tail = Vec::new();
        let mut decoder = decoder(handle).map_err(damaged)?;
        let mut piece = vec![0; 64 << 10];
        for (index, stop) in
            stops.into_iter().map(|(index, stop)| (Some(index), stop)).chain([(None, u64::MAX)])
        {
            while survey.size < stop {
                let most = (stop - survey.size).min(piece.len() as u64) as usize;
                let count = match decoder.read(&mut piece[..most]) {
                    Ok(0) => break,
                    Ok(count) => count,
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    Err(error) => return Err(damaged(error)),
                };
                let wanted = FileMark::HEAD_BYTES_MAX.saturating_sub(survey.head.len()).min(count);
                survey.head.extend_from_slice(&piece[..wanted]);
                push_tail(&mut tail, &piece[..count]);
                survey.size += count as u64;
            }
            if let Some(index) = index {
                survey.tails[index].clone_from(&tail);
            }
        }
        Ok(survey)
    }
}

/// The first bytes of a file, up to [`FileMark::HEAD_BYTES_MAX`].
pub(super) fn head_of(handle: &Arc<LogHandle>) -> Result<Vec<u8>, TailError> {
    if handle.packing() == Packing::Plain {
        return handle.read_range(0, FileMark::HEAD_BYTES_MAX as u64);
    }
    let damaged = |source| TailError::Damaged { path: handle.path().to_owned(), source };
    let mut head = Vec::new();
    let most = FileMark::HEAD_BYTES_MAX as u64;
    decoder(handle).map_err(damaged)?.take(most).read_to_end(&mut head).map_err(damaged)?;
    Ok(head)
}

/// The bytes of a plain file before `offset`, up to [`FileMark::TAIL_BYTES_MAX`].
pub(super) fn tail_before(handle: &LogHandle, offset: u64) -> Result<Vec<u8>, TailError> {
    handle.read_range(offset.saturating_sub(FileMark::TAIL_BYTES_MAX as u64), offset)
}

/// Appends `bytes` to `tail`, of which only the end is kept.
pub(super) fn push_tail(tail: &mut Vec<u8>, bytes: &[u8]) {
    let most = FileMark::TAIL_BYTES_MAX;
    let bytes = &bytes[bytes.len().saturating_sub(most)..];
    let surplus = (tail.len() + bytes.len()).saturating_sub(most);
    tail.drain(..surplus);
    tail.extend_from_slice(bytes);
}
