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
    ///
    /// A status condition (`%400,501{User-Agent}i`) makes no difference: the value is `-` where it does not hold.
    /// `%{…}t` is `sec`, `msec`, `usec`, or conversions of `strftime` as [`time`](Self::time) lists them. The parts of a
    /// time may come from several: `%{%Y-%m-%d %T}t.%{msec_frac}t`.
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
        Self::text(format, Language::Apache)
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

/// True if a format string has directives of Apache's, such as `%h` or `%{Referer}i`, and no variables of nginx's.
pub(super) fn is_apache(text: &str) -> bool {
    let begins_name = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'{' || *byte == b'_';
    let has = |sign: u8, next: fn(&u8) -> bool| {
        text.as_bytes().windows(2).any(|pair| pair[0] == sign && next(&pair[1]))
    };
    has(b'%', |byte| byte.is_ascii_alphabetic() || matches!(byte, b'{' | b'>' | b'<'))
        && !has(b'$', begins_name)
}
