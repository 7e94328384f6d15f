//! The arguments of the command line. Their docs are the text of `--help`.
//!
//! Each choice of evs has an enum of its own here, since clap needs a trait that the library's enums do not have.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Counts an access log into a database, every line exactly once.
///
/// Without --log it counts sample lines and shows the result. With it, the log is followed through its
/// rotations until SIGINT or SIGTERM. The last line on standard output is a JSON object: lines, rejected,
/// bytes, batches, seconds, lines_per_second.
///
/// Exit codes: 0 if everything was delivered, 3 if batches wait in the state directory for the next start, 4 if bytes
/// of the log were lost, 5 if --once found nothing but lines that were rejected, 1 for an error.
#[derive(Debug, Parser)]
#[command(name = "access_log")]
pub(crate) struct Arguments {
    /// The log to follow; it need not exist yet. A pattern, such as '/var/log/nginx/*.access.log', stands for many logs. A name with times in it, such as access.%Y-%m-%d.log, stands for a log
    /// whose files are all named by their time
    #[arg(long, value_name = "PATH")]
    pub(crate) log: Option<PathBuf>,
    /// A name (combined, common, apache_combined, apache_common, apache_vhost, json, ltsv, w3c, caddy, traefik,
    /// traefik_json, ingress_nginx, aws_alb, haproxy_http, envoy, lighttpd, varnish), a log_format string or directive of
    /// nginx's, or a LogFormat string of Apache's. Before it may stand the container of each line: docker:, cri:, syslog: or
    /// journald:, as in cri:combined
    #[arg(long, value_name = "FORMAT", default_value = "combined")]
    pub(crate) format: String,
    /// The field that holds the time, and its shape: epoch, seconds, milliseconds, microseconds, nanoseconds, iso8601,
    /// local, or conversions as for strftime. Without a shape, the key of a JSON or LTSV log, or one of several times of a
    /// format string
    #[arg(long, value_name = "FIELD[=SHAPE]")]
    pub(crate) time: Option<String>,
    /// The minutes by which the web server's clock is ahead of UTC, for times without a zone
    #[arg(long, value_name = "MINUTES", default_value_t = 0, allow_negative_numbers = true)]
    pub(crate) utc_offset: i16,
    /// The lines end with CR LF, as web servers on Windows write them
    #[arg(long)]
    pub(crate) crlf: bool,
    /// A statistic: 'NAME; where=CONDITION; window=60s; flush=5s; retain=90d; begin=oldest; by=FIELD,FIELD; count;
    /// sum=FIELD[:SCALE]; min=FIELD[:SCALE]; max=FIELD[:SCALE]; distinct=FIELD; top=N; sample=N [by FIELD]; to=SINK,SINK; rows=N'. A
    /// CONDITION is such as 'status >= 500 and uri starts_with "/api/"', and a FIELD of by= may be a function of fields, such as
    /// 'path_prefix(uri, 2) as page' or 'bucket(request_time, 0.01)'. After a FIELD[:SCALE], 'list', 'first', 'last' or 'largest' reads a list of numbers, and says what becomes of
    /// them; 'rounded' or 'truncated' keeps lines with more decimal places; 'within LOWEST..HIGHEST' rejects lines with other
    /// values (whole numbers in the unit of the field, either may be missing); and 'lenient' leaves out what is no number or out of range, in the place of rejecting its line
    /// [default: 'requests; window=60s; by=status; count; sum=body_bytes_sent']
    #[arg(long = "stat", value_name = "SPEC")]
    pub(crate) stats: Vec<String>,
    /// A sink: sqlite://PATH; with the feature of the store mysql://, mariadb://, postgres://, mongodb:// or cassandra://,
    /// each followed by USER:PASSWORD@HOST/DATABASE; discard:// to measure all but the store; or @FILE, for a file with a
    /// URL on each line, so that a password is not in the list of processes. Without any, the variable EVS_SINK is read in
    /// the same way as such a file. The state directory knows the sink by NAME, by default its kind of store (sqlite, mysql,
    /// ...), so that another address is the same sink [default: sqlite://access_log.db]
    #[arg(long = "sink", value_name = "[NAME=]URL")]
    pub(crate) sinks: Vec<String>,
    /// A sink that had another name: its name now, and the former one, whose waiting batches it gets
    #[arg(long, value_name = "NEW=OLD")]
    pub(crate) formerly: Vec<String>,
    /// Give up the batches that wait for a sink which is gone
    #[arg(long, value_name = "NAME")]
    pub(crate) forget_sink: Vec<String>,
    /// The state directory, of this source alone [default: .evs/SOURCE]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// The source's name, unique among all that write to the sinks: letters, digits, ., _ and -
    #[arg(long, value_name = "NAME", default_value = "access_log")]
    pub(crate) source: String,
    /// Threads that parse and count
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    pub(crate) workers: usize,
    /// Lines read a second at most, so that catching up leaves the processor to others
    #[arg(long, value_name = "N")]
    pub(crate) lines_per_second: Option<u64>,
    /// The beginning of a new source: at the oldest rotated file, or at the start or the end of the live one
    #[arg(long, value_name = "WHERE", value_enum, default_value = "start")]
    pub(crate) from: Begin,
    /// A further directory with rotated files, relative to that of the log
    #[arg(long, value_name = "DIR")]
    pub(crate) olddir: Option<PathBuf>,
    /// When a file is gone of which not everything was read: stop, or count the loss and continue
    #[arg(long, value_name = "WHAT", value_enum, default_value = "stop")]
    pub(crate) on_gone: OnGone,
    /// When a file does not have the bytes that were read of it: stop, read it again, or take what is in it for read
    #[arg(long, value_name = "WHAT", value_enum, default_value = "stop")]
    pub(crate) on_changed: OnChanged,
    /// When a rotated file cannot be decompressed: stop, or skip it and count the loss
    #[arg(long, value_name = "WHAT", value_enum, default_value = "stop")]
    pub(crate) on_unreadable: OnUnreadable,
    /// Reject lines whose time is more than a day ahead of the clock, in the place of counting them
    #[arg(long)]
    pub(crate) reject_ahead: bool,
    /// Believe the clock at once, although it is far ahead of where it was at the last run
    #[arg(long)]
    pub(crate) trust_clock: bool,
    /// When a sink has counts of the source that this state directory has not made: stop, or, with an empty one, go on
    /// where the sinks stand, or count again from the start of the log
    #[arg(long, value_name = "WHAT", value_enum, default_value = "stop")]
    pub(crate) on_lost_state: OnLostState,
    /// Begin where this copy of another source's state directory stands; for a cloned machine, with a --source and a
    /// --state of its own
    #[arg(long, value_name = "DIR", requires = "undelivered")]
    pub(crate) cloned_from: Option<PathBuf>,
    /// Batches in that copy that a sink lacks: deliver them, if this machine has cut them, or leave them to the original
    #[arg(long, value_name = "WHAT", value_enum, requires = "cloned_from")]
    pub(crate) undelivered: Option<Undelivered>,
    /// Show how the first lines of the log are read, field by field, or where they fail, and count nothing
    #[arg(long, requires = "log")]
    pub(crate) explain: bool,
    /// Go through everything there is, deliver it, and exit. What it waits for is logged to standard error
    #[arg(long)]
    pub(crate) once: bool,
    /// Seconds to wait for the sinks after reading has ended, by --once or by a signal. Then the exit code is 3: the rest
    /// waits in the state directory for the next start [default: 10 after a signal, no limit with --once]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) drain_timeout: Option<u64>,
}

/// The reaction to a sink that has counts of the source that this state directory has not made.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OnLostState {
    Stop,
    Adopt,
    StartOver,
}

impl From<OnLostState> for evs::LostState {
    fn from(on_lost_state: OnLostState) -> Self {
        match on_lost_state {
            OnLostState::Stop => Self::Refuse,
            OnLostState::Adopt => Self::Adopt,
            OnLostState::StartOver => Self::StartOver,
        }
    }
}

/// The fate of the batches in a copied state directory that a sink lacks.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Undelivered {
    Deliver,
    Leave,
}

impl From<Undelivered> for evs::Undelivered {
    fn from(undelivered: Undelivered) -> Self {
        match undelivered {
            Undelivered::Deliver => Self::Deliver,
            Undelivered::Leave => Self::Leave,
        }
    }
}

/// The beginning of a new source.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Begin {
    Oldest,
    Start,
    End,
}

impl From<Begin> for evs::Begin {
    fn from(begin: Begin) -> Self {
        match begin {
            Begin::Oldest => Self::Oldest,
            Begin::Start => Self::Start,
            Begin::End => Self::End,
        }
    }
}

/// The reaction to a file that is gone before all of it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnGone {
    Stop,
    Continue,
}

impl From<OnGone> for evs::OnGone {
    fn from(on_gone: OnGone) -> Self {
        match on_gone {
            OnGone::Stop => Self::Stop,
            OnGone::Continue => Self::Continue,
        }
    }
}

/// The reaction to a file that no longer has the bytes that were read of it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OnChanged {
    Stop,
    ReadAgain,
    Skip,
}

impl From<OnChanged> for evs::OnChanged {
    fn from(on_changed: OnChanged) -> Self {
        match on_changed {
            OnChanged::Stop => Self::Stop,
            OnChanged::ReadAgain => Self::ReadAgain,
            OnChanged::Skip => Self::Skip,
        }
    }
}

/// The reaction to a rotated file that cannot be decompressed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum OnUnreadable {
    Stop,
    Skip,
}

impl From<OnUnreadable> for evs::OnUnreadable {
    fn from(on_unreadable: OnUnreadable) -> Self {
        match on_unreadable {
            OnUnreadable::Stop => Self::Stop,
            OnUnreadable::Skip => Self::Skip,
        }
    }
}
