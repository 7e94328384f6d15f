//! Formats as they stand in nginx's configuration: a pasted directive, or a file with one.
//!
//! ```text
//! log_format main escape=json '{"time":"$msec",'
//!                             '"status":$status}';
//! ```
//!
//! becomes `escape=json {"time":"$msec","status":$status}`.

use std::{fs, path::Path};

use super::{FormatError, LogFormat};

/// A token of nginx's configuration.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// A word without quotes around it.
    Word(String),
    /// A string in quotes.
    Quoted(String),
    /// `;`, `{` or `}`.
    End,
}

/// The format string that a pasted directive has. `None` if `text` is not one, but a format string itself.
///
/// A text is a directive if it begins with `log_format`, or has nothing but strings in single quotes and, before them,
/// an `escape=`.
pub(super) fn pasted(text: &str) -> Option<String> {
    let mut tokens = Tokens(text).collect::<Option<Vec<_>>>()?;
    while tokens.last() == Some(&Token::End) {
        tokens.pop();
    }
    let mut rest = &tokens[..];
    if let [Token::Word(directive), Token::Word(_) | Token::Quoted(_), after @ ..] = rest
        && directive == "log_format"
    {
        return joined(after);
    }
    if let [Token::Word(escape), after @ ..] = rest
        && escape.starts_with("escape=")
    {
        rest = after;
    }
    let is_quoted = |token: &Token| matches!(token, Token::Quoted(_));
    let body = text.trim_start();
    let body = if body.starts_with("escape=") {
        body.find(char::is_whitespace).map_or("", |at| &body[at..])
    } else {
        body
    };
    (body.trim_start().starts_with('\'') && rest.iter().all(is_quoted)).then(|| joined(&tokens))?
}

/// Joins the strings of a format, after its `escape=` if it has one. `None` if there is another directive.
fn joined(tokens: &[Token]) -> Option<String> {
    let (mut format, mut rest) = (String::new(), tokens);
    if let [Token::Word(escape), after @ ..] = tokens
        && escape.starts_with("escape=")
    {
        format = format!("{escape} ");
        rest = after;
    }
    for token in rest {
        match token {
            Token::Word(text) | Token::Quoted(text) => format.push_str(text),
            Token::End => return None,
        }
    }
    Some(format)
}

/// The tokens of a text. After a quote that does not end comes `None`.
struct Tokens<'t>(&'t str);

impl Iterator for Tokens<'_> {
    type Item = Option<Token>;

    fn next(&mut self) -> Option<Option<Token>> {
        loop {
            self.0 = self.0.trim_start();
            match self.0.strip_prefix('#') {
                Some(comment) => self.0 = comment.split_once('\n').map_or("", |(_, after)| after),
                None => break,
            }
        }
        let first = self.0.chars().next()?;
        if matches!(first, ';' | '{' | '}') {
            self.0 = &self.0[1..];
            return Some(Some(Token::End));
        }
        let quote = Some(first).filter(|first| matches!(first, '\'' | '"'));
        let mut text = String::new();
        let mut chars = self.0.char_indices().peekable();
        chars.next_if(|_| quote.is_some());
        loop {
            let Some((at, c)) = chars.next() else {
                self.0 = "";
                return Some(quote.is_none().then_some(Token::Word(text)));
            };
            let is_end = match quote {
                Some(quote) => c == quote,
                None => c.is_whitespace() || c == ';' || (c == '{' && !text.ends_with('$')),
            };
            if is_end {
                self.0 = &self.0[at + usize::from(quote.is_some())..];
                return Some(Some(if quote.is_some() { Token::Quoted(text) } else { Token::Word(text) }));
            }
            match (c, chars.peek().map(|(_, c)| *c)) {
                ('\\', Some(escaped @ ('"' | '\'' | '\\'))) => text.push(escaped),
                ('\\', Some('t')) => text.push('\t'),
                ('\\', Some('r')) => text.push('\r'),
                ('\\', Some('n')) => text.push('\n'),
                _ => {
                    text.push(c);
                    continue;
                }
            }
            chars.next();
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
    /// format of that name. For the format, see [`nginx`](Self::nginx).
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
        let (mut directive, mut known) = (Vec::new(), Vec::new());
        for token in Tokens(&text) {
            let Some(token) = token else { break };
            if token != Token::End {
                directive.push(token);
                continue;
            }
            if let [Token::Word(first), Token::Word(of) | Token::Quoted(of), rest @ ..] = &directive[..]
                && first == "log_format"
            {
                match joined(rest) {
                    Some(format) if of == name => return Self::nginx(&format),
                    _ => known.push(of.clone()),
                }
            }
            directive.clear();
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
            assert_eq!(pasted(text).as_deref(), Some(expected), "{text}");
            assert_eq!(text.parse::<LogFormat>().unwrap().to_string(), expected, "{text}");
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
