//! A log in a directory of its own, and helpers that read it through a tailer.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "shared by several tests")]

pub mod sim;

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use evs_core::{
    TailError,
    internals::{
        clock::Wall,
        tail::{ChunkKind, TailEvent, TailOptions, Tailer},
    },
};
use lzma_rust2::{XzOptions, XzReader, XzWriter};
use tempfile::TempDir;

pub const GRACE: Duration = Duration::from_secs(1000);

pub struct Log {
    pub directory: TempDir,
    pub path: PathBuf,
}

/// Returns a clock that stands still: how long the machine takes must not decide what happens.
pub fn still() -> Wall {
    let now = Instant::now();
    Wall::new(move || (now, 0))
}

impl Log {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        Self { directory, path }
    }

    pub fn with(text: &str) -> Self {
        let log = Self::new();
        log.append(text);
        log
    }

    pub fn options(&self) -> TailOptions {
        TailOptions { grace: GRACE, wall: still(), ..TailOptions::new(&self.path) }
    }

    pub fn sibling(&self, suffix: &str) -> PathBuf {
        self.directory.path().join(format!("access.log{suffix}"))
    }

    pub fn append(&self, text: &str) {
        append(&self.path, text);
    }

    /// Rotates the log in the way of logrotate's `create`.
    pub fn rotate(&self, suffix: &str) {
        fs::rename(&self.path, self.sibling(suffix)).unwrap();
        File::create(&self.path).unwrap();
    }

    /// Rotates the log in the way of logrotate's `copytruncate`.
    pub fn copy_truncate(&self, suffix: &str) {
        fs::copy(&self.path, self.sibling(suffix)).unwrap();
        self.truncate();
    }

    pub fn truncate(&self) {
        OpenOptions::new().write(true).open(&self.path).unwrap().set_len(0).unwrap();
    }

    pub fn start(&self) -> Tailer {
        Tailer::start(self.options(), Instant::now()).unwrap()
    }
}

pub fn append(path: &Path, text: &str) {
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// Replaces a plain file with a compressed one that has the same time.
pub fn compress(path: &Path, extension: &str) -> PathBuf {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let bytes = pack(&fs::read(path).unwrap(), extension);
    let packed = PathBuf::from(format!("{}.{extension}", path.display()));
    fs::write(&packed, bytes).unwrap();
    set_time(&packed, modified);
    fs::remove_file(path).unwrap();
    packed
}

pub fn pack(bytes: &[u8], extension: &str) -> Vec<u8> {
    match extension {
        "gz" => {
            written(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()), bytes).finish()
        }
        "zst" => zstd::encode_all(bytes, 1),
        "xz" => written(XzWriter::new(Vec::new(), XzOptions::with_preset(0)).unwrap(), bytes).finish(),
        "bz2" => {
            written(bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast()), bytes).finish()
        }
        _ => panic!("{extension}: not compressed"),
    }
    .unwrap()
}

fn written<W: Write>(mut encoder: W, bytes: &[u8]) -> W {
    encoder.write_all(bytes).unwrap();
    encoder
}

pub fn unpack(bytes: &[u8], extension: &str) -> Vec<u8> {
    let mut unpacked = Vec::new();
    match extension {
        "gz" => flate2::read::GzDecoder::new(bytes).read_to_end(&mut unpacked),
        "zst" => zstd::Decoder::new(bytes).unwrap().read_to_end(&mut unpacked),
        "xz" => XzReader::new(bytes, false).read_to_end(&mut unpacked),
        "bz2" => bzip2::read::BzDecoder::new(bytes).read_to_end(&mut unpacked),
        _ => panic!("{extension}: not compressed"),
    }
    .unwrap();
    unpacked
}

pub fn set_time(path: &Path, time: SystemTime) {
    File::options().append(true).open(path).unwrap().set_modified(time).unwrap();
}

/// A range that was handed out, with its bytes as a worker reads them.
#[derive(Debug)]
pub struct Piece {
    pub number: u64,
    pub start: u64,
    pub end: u64,
    pub kind: ChunkKind,
    pub bytes: Vec<u8>,
}

pub fn pieces(tailer: &mut Tailer) -> Result<Vec<Piece>, TailError> {
    let (mut pieces, mut buffer) = (Vec::new(), Vec::new());
    while let Some(chunk) = tailer.next_chunk()? {
        let bytes = chunk.read(&mut buffer)?.to_vec();
        if chunk.kind == ChunkKind::Lines {
            assert_eq!(bytes.last(), Some(&b'\n'));
        }
        let (number, start, end, kind) = (chunk.number, chunk.start, chunk.end, chunk.kind);
        pieces.push(Piece { number, start, end, kind, bytes });
    }
    Ok(pieces)
}

/// Returns everything that can be read now, as text.
pub fn read(tailer: &mut Tailer) -> String {
    text(&pieces(tailer).unwrap())
}

pub fn text(pieces: &[Piece]) -> String {
    pieces.iter().map(|piece| String::from_utf8(piece.bytes.clone()).unwrap()).collect()
}

/// Polls, and returns everything that can be read then.
pub fn poll(tailer: &mut Tailer) -> String {
    tailer.poll(Instant::now()).unwrap();
    read(tailer)
}

/// The same as [`poll`], but after the grace time.
pub fn poll_later(tailer: &mut Tailer) -> String {
    tailer.poll(Instant::now() + 2 * GRACE).unwrap();
    read(tailer)
}

pub fn lost(tailer: &mut Tailer) -> u64 {
    tailer.take_events().iter().map(TailEvent::lost).sum()
}
