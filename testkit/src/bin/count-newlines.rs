//! Counts the newlines of a file. That is the least work that any program that reads a log must do, and so the limit
//! against which evs is measured. Each thread reads its own pieces of 1 MiB with `pread`, and looks at every byte
//! once.
//!
//!     count-newlines FILE [THREADS]

use std::{
    error::Error,
    fs::File,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

/// The bytes that a thread reads at a time.
const PIECE_BYTES: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("usage: count-newlines FILE [THREADS]")?;
    let threads: usize = arguments.next().map_or(Ok(1), |threads| threads.parse())?;
    let (file, piece) = (File::open(path)?, AtomicU64::new(0));
    let lines = thread::scope(|scope| {
        let counters: Vec<_> = (0..threads).map(|_| scope.spawn(|| count(&file, &piece))).collect();
        counters
            .into_iter()
            .map(|counter| counter.join().expect("no thread panics"))
            .sum::<Result<usize, _>>()
    })?;
    println!("{lines}");
    Ok(())
}

/// Counts the newlines of pieces of the file until there are no more. `piece` is the number of the next one, for all
/// threads.
fn count(file: &File, piece: &AtomicU64) -> std::io::Result<usize> {
    let (mut buffer, mut lines) = (vec![0; PIECE_BYTES], 0);
    loop {
        let offset = piece.fetch_add(1, Ordering::Relaxed) * PIECE_BYTES as u64;
        let mut end = 0;
        while end < PIECE_BYTES {
            match file.read_at(&mut buffer[end..], offset + end as u64)? {
                0 if end == 0 => return Ok(lines),
                0 => break,
                read => end += read,
            }
        }
        lines += memchr::memchr_iter(b'\n', &buffer[..end]).count();
    }
}
