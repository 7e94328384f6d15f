//! Apache's formats.

use super::{FormatError, Language, LogFormat};

/// Apache's `combined`, as in its default configuration.
const COMBINED: &str = r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#;
/// Apache's `common`.
const COMMON: &str = r#"%h %l %u %t "%r" %>s %b"#;
/// `vhost_combined`, as in Debian's configuration.
const VHOST: &str = r#"%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i""#;

impl LogFormat {
    /// The format of an Apache `LogFormat`: the string between its outer quotes. `\"` and `"` are the same.
    ///
    /// Values are read with Apache's escapes. Fields have the names that nginx has for the same values:
    ///
    /// | directive | field |
    /// | --- | --- |
    /// | `%h`, `%a` | `remote_addr` |
    /// | `%{c}a` | `realip_remote_addr` |
    /// | `%u`, `%l` | `remote_user`, `remote_logname` |
    /// | `%t`, `%{…}t` | the time; `time_local` |
    /// | `%r`, `%m`, `%U`, `%H` | `request`, `request_method`, `uri`, `server_protocol` |
    /// | `%q` | `args` and `arg_NAME` are derived from it |
    /// | `%s`, `%>s` | `status` |
    /// | `%b`, `%B` | `body_bytes_sent` |
    /// | `%I`, `%O`, `%S` | `request_length`, `bytes_sent`, `bytes_transferred` |
    /// | `%T`, `%{ms}T`, `%D`, `%{us}T` | `request_time`, `request_time_ms`, `request_time_us` (two names for one) |
    /// | `%v`, `%V`, `%p`, `%{remote}p` | `server_name`, `host`, `server_port`, `remote_port` |
    /// | `%{Name}i`, `%{Name}o` | `http_name`, `sent_http_name`, in small letters, with `_` for `-` |
    /// | `%{Name}C`, `%{Name}e`, `%{Name}n` | `cookie_Name`, `env_Name`, `note_Name` |
    /// | `%A`, `%f`, `%k`, `%P`, `%X` | `server_addr`, `request_filename`, `connection_requests`, `pid`, `connection_status` |
    /// | `%L`, `%R`, `%{tid}P` | `log_id`, `handler`, `tid` |
    /// | `%{NAME}x`, `%{Name}^ti`, `%{Name}^to` | `name`, as in `ssl_protocol`; `trailer_name`, `sent_trailer_name` |
    ///
    /// A status condition (`%400,501{User-Agent}i`) makes no difference: the value is `-` where it does not hold.
    /// `%{…}t` is `sec`, `msec`, `usec`, or conversions of `strftime` as [`time`](Self::time) lists them. The parts of a
    /// time may come from several: `%{%Y-%m-%d %T}t.%{msec_frac}t`.
    ///
    /// A whole directive may be pasted, too: `LogFormat "…" name` or `CustomLog path "…"`.
    ///
    /// # Errors
    ///
    /// Fails if `format` is not such a string, or if its lines cannot be parsed without guessing. A string with nginx's
    /// variables and no directives is [`FormatError::Language`].
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::LogFormat;
    ///
    /// let format = LogFormat::apache(r#"%h %l %u %t \"%r\" %>s %b %D \"%{User-Agent}i\""#)?;
    /// let mut parser = format.parser(&["status", "request_time_us", "http_user_agent"])?;
    /// let mut record = Default::default();
    /// let line = br#"::1 - - [21/Nov/2026:13:25:22 +0545] "GET / HTTP/1.1" 200 3 417 "8.9\" tablet""#;
    /// parser.parse(line, &mut record)?;
    /// assert_eq!(record.field(1, line), b"417");
    /// assert_eq!(record.field(2, line), b"8.9\" tablet");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn apache(format: &str) -> Result<Self, FormatError> {
        if !is_apache(format) && format.contains('$') {
            return Err(FormatError::Language { of: "nginx", constructor: "LogFormat::nginx" });
        }
        match pasted(format) {
            Some(Pasted::Format(format)) => Self::text(format, Language::Apache),
            Some(Pasted::Name(name)) => match name {
                "combined" => Ok(Self::apache_combined()),
                "common" => Ok(Self::apache_common()),
                "vhost_combined" => Ok(Self::apache_vhost()),
                _ => Err(FormatError::Unknown { name: name.to_owned() }),
            },
            None => Self::text(format, Language::Apache),
        }
    }

    /// Apache's `combined`: `%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"`.
    // Cannot fail: a test compiles it.
    #[expect(clippy::missing_panics_doc, clippy::unwrap_used)]
    pub fn apache_combined() -> Self {
        Self::apache(COMBINED).unwrap()
    }

    /// Apache's `common`, which is its `combined` up to `%b`.
    // Cannot fail: a test compiles it.
    #[expect(clippy::missing_panics_doc, clippy::unwrap_used)]
    pub fn apache_common() -> Self {
        Self::apache(COMMON).unwrap()
    }

    /// Apache's `vhost_combined`: `%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i"`.
    // Cannot fail: a test compiles it.
    #[expect(clippy::missing_panics_doc, clippy::unwrap_used)]
    pub fn apache_vhost() -> Self {
        Self::apache(VHOST).unwrap()
    }
}

/// What a pasted directive of Apache's has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pasted<'t> {
    /// A format string.
    Format(&'t str),
    /// The name of a format that another directive defines.
    Name(&'t str),
}

/// The format of a pasted `LogFormat` or `CustomLog`. `None` if `text` is neither.
fn pasted(text: &str) -> Option<Pasted<'_>> {
    let (directive, rest) = text.trim().split_once(char::is_whitespace)?;
    let rest = match &*directive.to_ascii_lowercase() {
        "logformat" => rest,
        "customlog" => argument(rest)?.1,
        _ => return None,
    };
    let (format, _) = argument(rest)?;
    Some(if rest.trim_start().starts_with('"') { Pasted::Format(format) } else { Pasted::Name(format) })
}

/// The first argument of a directive, without quotes around it, and the text after it. Its escapes stay.
fn argument(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let Some(inside) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        return (end > 0).then(|| text.split_at(end));
    };
    let mut is_escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            '"' if !is_escaped => return Some((&inside[..at], &inside[at + 1..])),
            _ => is_escaped = c == '\\' && !is_escaped,
        }
    }
    None
}

/// True if a text is for Apache: it has directives such as `%h` or `%{Referer}i` and no variables of nginx's, or is a whole
/// `LogFormat` or `CustomLog`.
pub(super) fn is_apache(text: &str) -> bool {
    let begins_name = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'{' || *byte == b'_';
    let has = |sign: u8, next: fn(&u8) -> bool| {
        text.as_bytes().windows(2).any(|pair| pair[0] == sign && next(&pair[1]))
    };
    has(b'%', |byte| byte.is_ascii_alphabetic() || matches!(byte, b'{' | b'>' | b'<'))
        && !has(b'$', begins_name)
        || pasted(text).is_some()
}

/// The first directive of Apache's in a string with variables of nginx's, and its offset. `%h` in such a string is only taken for
/// one where it stands alone, between blanks, quotes or brackets.
pub(super) fn mixed_in(text: &str) -> Option<(usize, String)> {
    let ends = |text: &str| text.chars().next().is_none_or(|c| matches!(c, ' ' | '\t' | '"' | ']' | '|'));
    text.match_indices('%').find_map(|(at, _)| {
        let begins = text[..at].chars().next_back().is_none_or(|c| matches!(c, ' ' | '\t' | '"' | '[' | '|'));
        let rest = &text[at + 1..];
        let name = match rest.strip_prefix('{') {
            Some(rest) => rest.find('}')? + 2,
            None => rest.find(|c| !matches!(c, '<' | '>'))?,
        };
        let letter = rest[name..].chars().next().filter(char::is_ascii_alphabetic)?;
        let end = at + 1 + name + letter.len_utf8();
        (begins && ends(&text[end..])).then(|| (at, text[at..end].to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pasted_directive_is_its_format() {
        for (text, expected) in [
            (r#"LogFormat "%h %t \"%r\" %>s" short"#, r#"%h %t \"%r\" %>s"#),
            (r#"  CustomLog "|/bin/cat x" "%h %t %s" env=!x"#, "%h %t %s"),
            (r#"customlog logs/access.log "%h %t \\""#, r"%h %t \\"),
            ("CustomLog logs/a.log vhost_combined", VHOST),
        ] {
            assert_eq!(text.parse::<LogFormat>().unwrap().to_string(), expected, "{text}");
        }
        for text in ["LogFormat", r#"LogFormat "%h"#, "%h %t", "Log \"%h\""] {
            assert_eq!(pasted(text), None, "{text}");
        }
        assert!(matches!("CustomLog a.log main".parse::<LogFormat>(), Err(FormatError::Unknown { .. })));
    }

    #[test]
    fn directives_of_apache_among_variables_of_nginx_are_told() {
        for (text, expected) in [
            ("%h - [%t] $status", Some((0, "%h"))),
            ("$msec \"%{Referer}i\" $status", Some((7, "%{Referer}i"))),
            ("$msec %>s", Some((6, "%>s"))),
            ("$msec 100%s $status", None),
            ("$msec %20a $status", None),
            ("$msec %hello $status", None),
            ("$msec %", None),
            ("$msec %{x", None),
        ] {
            let expected = expected.map(|(at, directive)| (at, directive.to_owned()));
            assert_eq!(mixed_in(text), expected, "{text}");
            let is_mixed = matches!(text.parse::<LogFormat>(), Err(FormatError::Mixed { .. }));
            assert_eq!(is_mixed, expected.is_some(), "{text}");
        }
    }
}
