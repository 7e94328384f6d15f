use std::sync::{Arc, Once, atomic::AtomicBool};

/// Makes a write beyond the process's limit of file sizes an error of that write, EFBIG, which evs takes as it takes a
/// full disk. Without this, the kernel ends the process by SIGXFSZ, and nobody learns why.
///
/// It is a handler that does nothing, not SIG_IGN: programs that the process starts do not inherit it. A handler that
/// the process has of its own is called as before.
pub(super) fn catch_file_size_limit() {
    static CAUGHT: Once = Once::new();
    CAUGHT.call_once(|| {
        let flag = Arc::new(AtomicBool::new(false));
        if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, flag) {
            tracing::warn!(%error, "a limit of file sizes will end the process (SIGXFSZ cannot be handled)");
        }
    });
}
