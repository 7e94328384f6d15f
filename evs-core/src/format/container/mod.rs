//! Containers: the envelopes that Docker, Kubernetes, syslog and the journal put around each line of a log.
//!
//! ```text
//! 2026-11-28T10:00:45.1Z stdout P 192.0.2.2 - - [28/Nov/2026:10:00:45 +0000] "GET /a?long=aaaa    a piece
//! 2026-11-28T10:00:45.2Z stderr F start worker process 30                                         another stream
//! 2026-11-28T10:00:45.2Z stdout F aaaa HTTP/1.1" 200 30 "-" "x"                                   its last piece
//! ```
//!
//! - `opener` finds the content of a single line, its stream, and if it is a piece.
//! - `unwrapper` makes the lines of the inner format, puts pieces together by stream, and knows where each came from.
//! - `pieces` finds the pieces before an offset whose lines are not complete there. Each chunk carries them, so a worker
//!   puts lines together across chunks and after a restart.
//! - `streams` keeps what is known of incomplete lines by stream.

mod opener;
mod pieces;
mod streams;
mod unwrapper;

pub(super) use self::{opener::is_syslog_time, unwrapper::Added};
pub(crate) use self::{pieces::Pieces, unwrapper::Unwrapper};

/// The envelope of each line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// Docker's `json-file`: `{"log":"…\n","stream":"stdout","time":"…"}`.
    Docker,
    /// The format of the container runtimes of Kubernetes: `TIME STREAM P|F …`. If `keeps_header`, the inner format begins
    /// with that header, and only the pieces are put together.
    Cri { keeps_header: bool },
    /// A header of syslog, as RFC 3164 or RFC 5424 has it. If `is_optional`, lines may have none.
    Syslog { is_optional: bool },
    /// The JSON export of systemd's journal.
    Journald,
}

impl Container {
    /// The name in a text: `cri:combined`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Cri { .. } => "cri",
            Self::Syslog { .. } => "syslog",
            Self::Journald => "journald",
        }
    }

    /// The container of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        let all = [
            Self::Docker,
            Self::Cri { keeps_header: false },
            Self::Syslog { is_optional: false },
            Self::Journald,
        ];
        all.into_iter().find(|container| container.name() == name)
    }

    /// True if a line may come in pieces.
    pub(super) fn has_pieces(self) -> bool {
        !matches!(self, Self::Syslog { .. })
    }

    /// False if no line of these bytes can be a piece.
    fn may_have_pieces(self, bytes: &[u8]) -> bool {
        let find = |needle| memchr::memmem::find(bytes, needle).is_some();
        match self {
            Self::Docker => true,
            Self::Cri { .. } => find(b" P"),
            Self::Syslog { .. } => false,
            Self::Journald => find(b"_LINE_BREAK"),
        }
    }
}

/// The lines before a range of a log without which it cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preamble {
    /// The last line that begins with this text, such as `#Fields:`. It begins with `#`.
    Directive(&'static str),
    /// The pieces of lines that are not complete there.
    Pieces(Container),
}

/// The length of the longest line that is put together of pieces. A longer one is rejected.
const LINE_BYTES_MAX: usize = if cfg!(test) { 200 } else { 1 << 20 };
