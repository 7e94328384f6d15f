//! Why a format is refused.

/// A format that cannot be parsed without guessing, or does not have what is asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// A word that is neither a known format nor a `log_format` string.
    #[error(
        "no format is called {name:?}: use combined, common, json, ltsv, or a log_format string with variables"
    )]
    Unknown {
        /// The word.
        name: String,
    },
    /// An `escape=` that nginx does not know.
    #[error("byte {offset}: escape={found:?} does not exist: use default, json or none")]
    Escape {
        /// Where it begins in the format string.
        offset: usize,
        /// What stands behind the `=`.
        found: String,
    },
    /// A `$` without a name behind it.
    #[error("byte {offset}: `$` without a name: nginx has no way to print a `$`, name a variable")]
    NoName {
        /// Where the `$` is in the format string.
        offset: usize,
    },
    /// A `${` that is not followed by a name and `}`.
    #[error("byte {offset}: `${{` without a name and `}}`: write `${{name}}`")]
    Brace {
        /// Where the `$` is in the format string.
        offset: usize,
    },
    /// Two variables with nothing between them: where one ends cannot be told.
    #[error(
        "byte {offset}: nothing between ${first} and ${second}: put a text between them that neither contains"
    )]
    SideBySide {
        /// Where the second begins in the format string.
        offset: usize,
        /// The variable before.
        first: String,
        /// The variable at `offset`.
        second: String,
    },
    /// A list of upstream tries that is followed by what also joins its elements.
    #[error(
        "byte {offset}: {text:?} behind ${name} also joins the tries in ${name}: put another text there, or quotes around ${name}"
    )]
    ListSeparator {
        /// Where the text begins in the format string.
        offset: usize,
        /// The list.
        name: String,
        /// The text behind it.
        text: String,
    },
    /// A line feed in the format: what it makes is more than one line.
    #[error("byte {offset}: a line feed in the format: write each request on one line")]
    LineFeed {
        /// Where it is in the format string.
        offset: usize,
    },
    /// No variable that holds the time.
    #[error("the format has no time: add $time_local, $time_iso8601 or $msec")]
    NoTime,
    /// A field that is neither in the format nor can be derived from what is.
    #[error("the format has no ${field} and nothing to derive it from; it has {}", list(known))]
    NoField {
        /// The field asked for.
        field: String,
        /// The format's variables.
        known: Vec<String>,
    },
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("${name}")).collect::<Vec<_>>().join(", ")
}
