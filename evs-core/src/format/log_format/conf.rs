//! Formats as they stand in nginx's configuration: a pasted directive, or a file with one.
//!
//! ```text
//! log_format main escape=json '{"time":"$msec",'
//!                             '"status":$status}';
//! ```
//!
//! becomes `escape=json {"time":"$msec","status":$status}`. Other directives around it are left out.

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

/// The format string of a pasted configuration. `None` if `text` is not one, but a format string itself.
///
/// A text is a configuration if it has a `log_format` directive, or nothing but strings in single quotes and, before them, an
/// `escape=`.
pub(super) fn pasted(text: &str) -> Option<Result<Unquoted, FormatError>> {
    match <[_; 1]>::try_from(directives(text)) {
        Ok([(_, format)]) => return format.map(Ok),
        Err(several) if !several.is_empty() => {
            let names = several.into_iter().map(|(name, _)| name).collect();
            return Some(Err(FormatError::Several { names }));
        }
        Err(_) => {}
    }
    let mut tokens = Tokens { text, at: 0 }.collect::<Option<Vec<_>>>()?;
    while tokens.last() == Some(&Token::End) {
        tokens.pop();
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
    let are_strings = body.trim_start().starts_with('\'') && strings.iter().all(is_quoted);
    joined(&tokens).filter(|_| are_strings).map(Ok)
}

/// The `log_format` directives of a configuration: their names and formats.
fn directives(text: &str) -> Vec<(String, Option<Unquoted>)> {
    let (mut tokens, mut found) = (Vec::new(), Vec::new());
    let mut add = |tokens: &[Token]| {
        found.extend(directive(tokens).map(|(name, strings)| (name.to_owned(), joined(strings))));
    };
    for token in (Tokens { text, at: 0 }) {
        match token {
            Some(Token::End) => {
                add(&tokens);
                tokens.clear();
            }
            Some(token) => tokens.push(token),
            None => return found,
        }
    }
    // The last one may lack its semicolon.
    add(&tokens);
    found
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
        let mut known = Vec::new();
        for (of, format) in directives(&text) {
            match format {
                Some(format) if of == name => return format.compile(),
                _ => known.push(of),
            }
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
            ("http {\n log_format a '$msec $status';\n access_log x a; }", "$msec $status"),
        ] {
            assert_eq!(pasted(text).unwrap().unwrap().text, expected, "{text}");
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
    fn one_of_several_formats_is_not_guessed() {
        let text = "log_format a '$msec'; log_format b '$msec $status';";
        let error = text.parse::<LogFormat>().unwrap_err();
        assert_eq!(error, FormatError::Several { names: vec!["a".to_owned(), "b".to_owned()] });
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
            "",
        ] {
            assert_eq!(pasted(text), None, "{text}");
        }
    }
}
