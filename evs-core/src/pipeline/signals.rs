use std::sync::{Arc, Once, atomic::AtomicBool};

/// Turns a write beyond the process's limit of file sizes into an error of that write, EFBIG. evs handles that error
/// like a full disk. Without this, the kernel would end the process with SIGXFSZ, and no message would tell why.
///
/// The handler does nothing. It is a handler and not SIG_IGN, since programs that the process starts would inherit
/// SIG_IGN. If the process has a handler of its own, that one is still called.
pub(super) fn catch_file_size_limit() {
    static CAUGHT: Once = Once::new();
    CAUGHT.call_once(|| {
        let flag = Arc::new(AtomicBool::new(false));
        if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, flag) {
            tracing::warn!(%error, "a limit of file sizes will end the process (SIGXFSZ cannot be handled)");
        }
    });
}
