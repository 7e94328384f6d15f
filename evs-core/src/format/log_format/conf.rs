//! Formats as they stand in nginx's configuration: a pasted directive, or a file with one.
//!
//! ```text
//! log_format main escape=json '{"time":"$msec",'
//!                             '"status":$status}';
//! ```
//!
//! becomes `escape=json {"time":"$msec","status":$status}`.

use std::{fs, path::Path};

use super::{FormatError, Language, LogFormat};

/// Text of a configuration without its quotes and escapes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Unquoted {
    pub(super) text: String,
    /// For each byte of `text`, the offset in the configuration where it comes from.
    offsets: Vec<usize>,
}

impl Unquoted {
    fn push(&mut self, c: char, offset: usize) {
        self.text.push(c);
        // A character that is taken as it is has as many bytes there as here. An escape that is undone has one here.
        self.offsets.extend((0..c.len_utf8()).map(|byte| offset + byte));
    }

    fn append(&mut self, other: &Self) {
        self.text.push_str(&other.text);
        self.offsets.extend_from_slice(&other.offsets);
    }

    /// Compiles the text. The offset of an error is that in the configuration.
    pub(super) fn compile(&self) -> Result<LogFormat, FormatError> {
        LogFormat::text(&self.text, Language::Nginx).map_err(|mut error| {
            if let Some(offset) = error.offset_mut() {
                *offset = self.offsets.get(*offset).copied().unwrap_or(*offset);
            }
            error
        })
    }
}

/// A token of nginx's configuration.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// A word without quotes around it.
    Word(Unquoted),
    /// A string in quotes.
    Quoted(Unquoted),
    /// `;`, `{` or `}`.
    End,
}

impl Token {
    /// True for a word that `is` takes.
    fn is_word(&self, is: impl Fn(&str) -> bool) -> bool {
        matches!(self, Self::Word(word) if is(&word.text))
    }

    /// The text of a word or string.
    fn text(&self) -> Option<&Unquoted> {
        match self {
            Self::Word(text) | Self::Quoted(text) => Some(text),
            Self::End => None,
        }
    }
}

/// The format string that a pasted directive has. `None` if `text` is not one, but a format string itself.
///
/// A text is a directive if it begins with `log_format`, or has nothing but strings in single quotes and, before them,
/// an `escape=`.
pub(super) fn pasted(text: &str) -> Option<Unquoted> {
    let mut tokens = Tokens { text, at: 0 }.collect::<Option<Vec<_>>>()?;
    while tokens.last() == Some(&Token::End) {
        tokens.pop();
    }
    if let Some((_, format)) = directive(&tokens) {
        return joined(format);
    }
    let strings = match &tokens[..] {
        [escape, after @ ..] if escape.is_word(|word| word.starts_with("escape=")) => after,
        all => all,
    };
    let is_quoted = |token: &Token| matches!(token, Token::Quoted(_));
    let body = text.trim_start();
    let body = if body.starts_with("escape=") {
        body.find(char::is_whitespace).map_or("", |at| &body[at..])
    } else {
        body
    };
    (body.trim_start().starts_with('\'') && strings.iter().all(is_quoted)).then(|| joined(&tokens))?
}

/// The name and the format of a `log_format` directive.
fn directive(tokens: &[Token]) -> Option<(&str, &[Token])> {
    let [directive, name, format @ ..] = tokens else { return None };
    let name = &name.text()?.text;
    directive.is_word(|word| word == "log_format").then_some((name, format))
}

/// Joins the strings of a format, after its `escape=` if it has one. `None` if there is another directive.
fn joined(tokens: &[Token]) -> Option<Unquoted> {
    let mut format = Unquoted::default();
    for (index, token) in tokens.iter().enumerate() {
        format.append(token.text()?);
        if index == 0 && token.is_word(|word| word.starts_with("escape=")) {
            let end = format.offsets.last().map_or(0, |last| last + 1);
            format.push(' ', end);
        }
    }
    Some(format)
}

/// The tokens of a text, from the offset `at` on. After a quote that does not end comes `None`.
struct Tokens<'t> {
    text: &'t str,
    at: usize,
}

impl Iterator for Tokens<'_> {
    type Item = Option<Token>;

    fn next(&mut self) -> Option<Option<Token>> {
        loop {
            let rest = &self.text[self.at..];
            self.at += rest.len() - rest.trim_start().len();
            let Some(comment) = self.text[self.at..].strip_prefix('#') else { break };
            self.at = comment.find('\n').map_or(self.text.len(), |end| self.at + 1 + end);
        }
        let first = self.text[self.at..].chars().next()?;
        if matches!(first, ';' | '{' | '}') {
            self.at += 1;
            return Some(Some(Token::End));
        }
        let quote = Some(first).filter(|first| matches!(first, '\'' | '"'));
        let mut text = Unquoted::default();
        let begin = self.at;
        let mut chars = self.text[begin..].char_indices().map(|(at, c)| (begin + at, c)).peekable();
        chars.next_if(|_| quote.is_some());
        loop {
            let Some((at, c)) = chars.next() else {
                self.at = self.text.len();
                return Some(quote.is_none().then_some(Token::Word(text)));
            };
            let is_end = match quote {
                Some(quote) => c == quote,
                None => c.is_whitespace() || c == ';' || (c == '{' && !text.text.ends_with('$')),
            };
            if is_end {
                self.at = at + usize::from(quote.is_some());
                return Some(Some(if quote.is_some() { Token::Quoted(text) } else { Token::Word(text) }));
            }
            let unescaped = match (c, chars.peek().map(|(_, c)| *c)) {
                ('\\', Some(escaped @ ('"' | '\'' | '\\'))) => Some(escaped),
                ('\\', Some('t')) => Some('\t'),
                ('\\', Some('r')) => Some('\r'),
                ('\\', Some('n')) => Some('\n'),
                _ => None,
            };
            text.push(unescaped.unwrap_or(c), at);
            if unescaped.is_some() {
                chars.next();
            }
        }
    }
}

impl LogFormat {
    /// The format that a file of nginx's configuration defines under a name: `log_format NAME …;`.
    ///
    /// Files that it includes are not read: give the path of the one that has the `log_format`.
    ///
    /// # Errors
    ///
    /// Returns [`FormatError::Unreadable`] if the file cannot be read, and [`FormatError::NoLogFormat`] if it has no
    /// format of that name. For the format, see [`nginx`](Self::nginx); offsets are those in the file.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::{FormatError, LogFormat};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("nginx.conf");
    /// std::fs::write(&path, "http {\n  log_format main '$remote_addr [$time_local] '\n    '$status';\n}\n")?;
    /// let format = LogFormat::from_nginx_conf(&path, "main")?;
    /// assert_eq!(format.to_string(), "$remote_addr [$time_local] $status");
    ///
    /// let error = LogFormat::from_nginx_conf(&path, "json").unwrap_err();
    /// assert!(matches!(error, FormatError::NoLogFormat { known, .. } if known == ["main"]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_nginx_conf(path: impl AsRef<Path>, name: &str) -> Result<Self, FormatError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path)
            .map_err(|error| FormatError::Unreadable { path: path.to_owned(), error: error.to_string() })?;
        let (mut tokens, mut known) = (Vec::new(), Vec::new());
        for token in (Tokens { text: &text, at: 0 }) {
            let Some(token) = token else { break };
            if token != Token::End {
                tokens.push(token);
                continue;
            }
            if let Some((of, strings)) = directive(&tokens) {
                match joined(strings) {
                    Some(format) if of == name => return format.compile(),
                    _ => known.push(of.to_owned()),
                }
            }
            tokens.clear();
        }
        Err(FormatError::NoLogFormat { path: path.to_owned(), name: name.to_owned(), known })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_directive_is_its_strings_joined() {
        for (text, expected) in [
            ("log_format main '$msec '\n    '\"$request\" ' $status;", "$msec \"$request\" $status"),
            (
                "  log_format\tmain escape=json '{\"t\":\"$msec\",' # the time\n '\"s\":$status}' ;\n",
                "escape=json {\"t\":\"$msec\",\"s\":$status}",
            ),
            ("log_format main \"$msec \\\"$request\\\" ${status}\";", "$msec \"$request\" ${status}"),
            ("log_format main '$msec it\\'s \\\\x $status'", "$msec it's \\x $status"),
            ("log_format a ${msec}x$status;", "${msec}x$status"),
            ("'$msec ' '$status'", "$msec $status"),
            ("'$msec $status';", "$msec $status"),
            ("escape=none '$msec '\n'$status'", "escape=none $msec $status"),
        ] {
            assert_eq!(pasted(text).unwrap().text, expected, "{text}");
            assert_eq!(text.parse::<LogFormat>().unwrap().to_string(), expected, "{text}");
        }
    }

    #[test]
    fn offsets_of_errors_are_those_in_what_was_pasted() {
        for (text, at) in [
            ("log_format main '$msec '\n    '$host$uri';", "$uri"),
            ("log_format main '$msec \\'\\' ' '$';", "$'"),
            ("'$msec é \\\\ ' '${'", "${"),
            ("log_format a escape=yes '$msec';", "escape=yes"),
            ("log_format a '$msec \\n $status';", "\\n"),
        ] {
            let offset = text.parse::<LogFormat>().unwrap_err().offset_mut().copied();
            assert_eq!(offset, Some(text.rfind(at).unwrap()), "{text}");
        }
    }

    #[test]
    fn a_format_string_is_none() {
        for text in [
            "$msec $status",
            "\"$msec\" \"$status\"",
            "'$msec' $status",
            "escape=json {\"t\":\"$msec\"}",
            "escape=json \"$msec\"",
            "it's $msec",
            "log_format '$msec",
            "log_format a '$msec'; log_format b '$msec';",
            "",
        ] {
            assert_eq!(pasted(text), None, "{text}");
        }
    }
}
