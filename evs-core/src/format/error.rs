//! [`FormatError`]: the reason why a format is refused.
//!
//! A format is refused when its lines could be read in two ways. The alternative is a parser that guesses: it counts
//! most lines correctly and some under a wrong key, and nobody notices.

use std::path::PathBuf;

/// A format is refused: it cannot be parsed without guessing, or does not have a field that is asked for.
///
/// Offsets are bytes of the text that was given, counted from 0. Each message names the way out.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{FormatError, LogFormat};
///
/// let refused = |format: &str| LogFormat::nginx(format).unwrap_err();
/// assert!(matches!(refused("$msec $host$uri"), FormatError::SideBySide { offset: 11, .. }));
/// let error = LogFormat::nginx("$status").unwrap().parser(&["status"]).unwrap_err();
/// assert!(matches!(error, FormatError::NoTime));
///
/// let error = LogFormat::common().parser(&["http_referer"]).unwrap_err();
/// assert!(error.to_string().starts_with("the format has no $http_referer"), "{error}");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// The text is neither the name of a format nor a `log_format` string.
    #[error(
        "no format is called {name:?}: use combined, common, apache_combined, apache_common, apache_vhost, json, ltsv, w3c, caddy, traefik, traefik_json, ingress_nginx, aws_alb, haproxy_http, envoy, lighttpd, varnish, or a format string of nginx or Apache"
    )]
    Unknown {
        /// The text.
        name: String,
    },
    /// nginx does not know this `escape=`.
    #[error("byte {offset}: escape={found:?} does not exist: use default, json or none")]
    Escape {
        /// The offset of `escape=` in the format string.
        offset: usize,
        /// The text after the `=`.
        found: String,
    },
    /// A `$` has no name after it.
    #[error("byte {offset}: `$` without a name: nginx has no way to print a `$`, name a variable")]
    NoName {
        /// The offset of the `$` in the format string.
        offset: usize,
    },
    /// A `${` has no name and `}` after it.
    #[error("byte {offset}: `${{` without a name and `}}`: write `${{name}}`")]
    Brace {
        /// The offset of the `$` in the format string.
        offset: usize,
    },
    /// Apache does not know this directive, or its value has no name here.
    #[error(
        "byte {offset}: the directive {directive} is not known: use another, or leave out the part of each line that it writes"
    )]
    Directive {
        /// The offset of the `%` in the format string.
        offset: usize,
        /// The directive.
        directive: String,
    },
    /// An Apache format ends with a backslash.
    #[error("byte {offset}: a backslash with nothing after it: write two for one")]
    Backslash {
        /// The offset of the backslash in the format string.
        offset: usize,
    },
    /// The format string is one of another web server.
    #[error("this is a format of {of}: use {constructor} for it")]
    Language {
        /// The web server whose format it is.
        of: &'static str,
        /// The constructor for it.
        constructor: &'static str,
    },
    /// The format string has variables of nginx's, and directives of Apache's, which nginx would write as they stand there.
    #[error(
        "byte {offset}: {directive} is of Apache, and the variables with `$` are of nginx: write all of them in one language"
    )]
    Mixed {
        /// The offset of the directive in the format string.
        offset: usize,
        /// The directive.
        directive: String,
    },
    /// A pasted configuration of nginx's has several formats.
    #[error(
        "there are several log_format: {}; leave one, or use LogFormat::from_nginx_conf, which takes the name",
        names.join(", ")
    )]
    Several {
        /// The names of the formats.
        names: Vec<String>,
    },
    /// A file of nginx's configuration cannot be read.
    #[error("{}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        error: String,
    },
    /// A file of nginx's configuration has no `log_format` of that name.
    #[error("{}: no log_format {name}; it has: {}", path.display(), known.join(", "))]
    NoLogFormat {
        /// The file.
        path: PathBuf,
        /// The name asked for.
        name: String,
        /// The names that the file has.
        known: Vec<String>,
    },
    /// Two variables have nothing between them, so the end of the first one cannot be found.
    #[error(
        "byte {offset}: nothing between ${first} and ${second}: put a text between them that neither contains"
    )]
    SideBySide {
        /// The offset of the second variable in the format string.
        offset: usize,
        /// The first variable.
        first: String,
        /// The second variable, at `offset`.
        second: String,
    },
    /// The text after a list of upstream tries also joins the elements of the list.
    #[error(
        "byte {offset}: {text:?} after ${name} also joins the tries in ${name}: put another text there, or quotes around ${name}"
    )]
    ListSeparator {
        /// The offset of the text in the format string.
        offset: usize,
        /// The variable that is a list.
        name: String,
        /// The text after it.
        text: String,
    },
    /// The format has a line feed, so a request would be more than one line.
    #[error("byte {offset}: a line feed in the format: write each request on one line")]
    LineFeed {
        /// The offset of the line feed in the format string.
        offset: usize,
    },
    /// Lines of that format cannot be read inside of a container.
    #[error(
        "lines of the format {inner} cannot be read inside of {container}; name one container, and a format whose lines stand by themselves, as in {container}:combined"
    )]
    Container {
        /// The container.
        container: &'static str,
        /// The format of the lines in it.
        inner: String,
    },
    /// A shape of times is neither a name nor a pattern that tells the instant.
    #[error(
        "the time cannot have the shape {shape:?}: {why}; use epoch, seconds, milliseconds, microseconds, nanoseconds, iso8601, local, or a pattern such as %Y-%m-%d %H:%M:%S"
    )]
    TimeShape {
        /// The shape.
        shape: String,
        /// The problem with it.
        why: &'static str,
    },
    /// The name of the field that holds the time does not tell its shape.
    #[error("the shape of the time {field} is not known: tell it with LogFormat::time")]
    NoTimeShape {
        /// The field.
        field: String,
    },
    /// No variable holds the time.
    #[error(
        "the format has no time: add $time_local, $time_iso8601 or $msec, or tell with LogFormat::time which variable holds it"
    )]
    NoTime,
    /// The format does not have the field, nor one from which it could be derived.
    #[error("the format has no ${field} and nothing to derive it from; it has {}", list(known))]
    NoField {
        /// The field asked for.
        field: String,
        /// The variables that the format has.
        known: Vec<String>,
    },
}

impl FormatError {
    /// The offset in the format string, if the error has one.
    pub(super) fn offset_mut(&mut self) -> Option<&mut usize> {
        match self {
            Self::Escape { offset, .. }
            | Self::NoName { offset }
            | Self::Brace { offset }
            | Self::Directive { offset, .. }
            | Self::Backslash { offset }
            | Self::Mixed { offset, .. }
            | Self::SideBySide { offset, .. }
            | Self::ListSeparator { offset, .. }
            | Self::LineFeed { offset } => Some(offset),
            Self::Unknown { .. }
            | Self::Language { .. }
            | Self::Several { .. }
            | Self::Unreadable { .. }
            | Self::NoLogFormat { .. }
            | Self::Container { .. }
            | Self::TimeShape { .. }
            | Self::NoTimeShape { .. }
            | Self::NoTime
            | Self::NoField { .. } => None,
        }
    }
}

/// The names as they stand in a format: `$a, $b`.
fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("${name}")).collect::<Vec<_>>().join(", ")
}
