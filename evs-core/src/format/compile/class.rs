//! The classes of nginx variables, by the values that they can have. The class decides how the end of a value is
//! found.
//!
//! `$status` is a number and ends after its digits, for example; `$http_user_agent` in quotes ends at the next quote.
//!
//! The lists of names follow nginx's documentation of its variables (<https://nginx.org/en/docs/varindex.html>) and,
//! where that says nothing about blanks or emptiness, its source. A variable that is in no list is loose: nothing is
//! assumed about its value, at the price of a closer look at the literal after it.

use super::escape::Escape;
use crate::format::decode::time::Shape;

/// The class of a variable in a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::format) enum Class {
    /// The value ends at the next `"`, which the escaping keeps out of values.
    Quoted,
    /// The value is a time of a known shape.
    Time(Shape),
    /// The value is a number, or `-`.
    Number,
    /// nginx makes the value, without a blank in it. It ends at the first blank or before.
    Token,
    /// The value has one token for each upstream server that was tried, joined by `, ` and ` : `.
    List,
    /// The value is a host or a port, and `$request_uri` follows it directly. It ends at the first `/`: neither can have
    /// one, and a target begins with one. Where a request has no target, `-` or `*` stands for it.
    BeforeTarget,
    /// The value ends at the next such byte, or at the end of the line.
    Delimited(u8),
    /// The value may be anything, with blanks and brackets. It ends at the first position after which the line goes on
    /// as the format does.
    Loose,
}

impl Class {
    /// The class of `$name` when the literal `until` stands after it.
    ///
    /// A quote after a value makes it a quoted one, whatever its name, because nginx escapes quotes. That holds for
    /// the default escaping and for JSON, but not for `escape=none`.
    pub(in crate::format) fn of(name: &str, until: &[u8], escape: Escape) -> Self {
        if let Some(shape) = Shape::of_variable(name) {
            return Self::Time(shape);
        }
        if NUMBERS.contains(&name) || NUMBERS_OR_NOTHING.contains(&name) {
            return Self::Number;
        }
        if until.starts_with(b"\"") && escape != Escape::None {
            return Self::Quoted;
        }
        if is_list(name) {
            return Self::List;
        }
        if TOKENS.contains(&name) || TOKENS_OR_NOTHING.contains(&name) {
            return Self::Token;
        }
        Self::Loose
    }

    /// True if the value can be empty. Most texts can be. In the default escaping a number cannot: a line without it
    /// was cut.
    pub(in crate::format) fn may_be_empty(&self, name: &str, escape: Escape) -> bool {
        match self {
            Self::Quoted | Self::Loose => true,
            Self::Time(_) | Self::Delimited(_) => false,
            Self::BeforeTarget => TOKENS_OR_NOTHING.contains(&name),
            Self::Token => !escape.has_dashes() || TOKENS_OR_NOTHING.contains(&name),
            Self::List => !escape.has_dashes(),
            Self::Number => {
                NUMBERS_OR_NOTHING.contains(&name) || (!escape.has_dashes() && !NEVER_MISSING.contains(&name))
            }
        }
    }
}

/// The numbers that the log module prints by itself. They are never empty, whatever the escaping.
const NEVER_MISSING: &[&str] = &["status", "body_bytes_sent", "bytes_sent", "request_length", "request_time"];

/// The variables that are numbers.
const NUMBERS: &[&str] = &[
    "body_bytes_sent",
    "bytes_sent",
    "connection",
    "connection_requests",
    "connection_time",
    "connections_active",
    "connections_reading",
    "connections_waiting",
    "connections_writing",
    "gzip_ratio",
    "pid",
    "request_length",
    "request_time",
    "server_port",
    "status",
    "tcpinfo_rcv_space",
    "tcpinfo_rtt",
    "tcpinfo_rttvar",
    "tcpinfo_snd_cwnd",
];

/// The numbers that may be empty: a Unix socket has no port.
const NUMBERS_OR_NOTHING: &[&str] =
    &["proxy_protocol_port", "proxy_protocol_server_port", "realip_remote_port", "remote_port"];

/// The tokens that are never empty: nginx prints at least `-`.
const TOKENS: &[&str] = &[
    "hostname",
    "limit_conn_status",
    "limit_req_status",
    "nginx_version",
    "pipe",
    "realip_remote_addr",
    "remote_addr",
    "request_id",
    "request_method",
    "scheme",
    "server_addr",
    "server_protocol",
    "ssl_cipher",
    "ssl_protocol",
    "upstream_cache_status",
];

/// True if the end of `$name` is certain where `$request_uri` follows it directly.
///
/// nginx refuses a `/` in the host of a request, but `$http_host` has it also for the requests that it refuses.
pub(super) fn ends_before_target(name: &str, next: &str) -> bool {
    next == "request_uri" && matches!(name, "host" | "hostname" | "server_name" | "server_port")
}

/// The tokens that may be empty.
///
/// Variables whose values clients, certificates or files choose are not tokens: `$ssl_server_name`, `$ssl_client_s_dn`,
/// `$request_uri`, `$request_filename` and the like can have blanks in them.
const TOKENS_OR_NOTHING: &[&str] = &[
    "host",
    "http2",
    "http3",
    "https",
    "is_args",
    "proxy_protocol_addr",
    "proxy_protocol_server_addr",
    "request_completion",
    "server_name",
    "ssl_ciphers",
    "ssl_client_fingerprint",
    "ssl_client_serial",
    "ssl_curve",
    "ssl_curves",
    "ssl_early_data",
    "ssl_session_id",
    "ssl_session_reused",
];

/// True if nginx prints one value in this variable for each upstream server that it tried for a request.
///
/// Not every `$upstream_…` is a list: `$upstream_cache_status` has one value, and `$upstream_http_NAME` is a response
/// header, in which `, ` may mean anything.
pub(crate) fn is_list(variable: &str) -> bool {
    LISTS.contains(&variable)
}

/// True if the variable is what a client sends under a name of its choice: an argument, a cookie or a header.
pub(crate) fn is_of_client(variable: &str) -> bool {
    ["arg_", "cookie_", "http_"].iter().any(|prefix| variable.starts_with(prefix))
}

/// The variables that are lists: nginx joins the values of all tries in these alone.
const LISTS: &[&str] = &[
    "upstream_addr",
    "upstream_bytes_received",
    "upstream_bytes_sent",
    "upstream_connect_time",
    "upstream_header_time",
    "upstream_queue_time",
    "upstream_response_length",
    "upstream_response_time",
    "upstream_status",
];
