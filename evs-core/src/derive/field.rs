//! [`Field`]: a value of the line that is a key, a number or a part of a condition, and the name of its column.

use std::{fmt, str::FromStr, sync::Arc};

use super::{
    code::{CodeName, WriteCode},
    expr::Expr,
    function::{Function, Histogram},
    lookup::Lookup,
    parse::{self, SyntaxError},
    pattern::Pattern,
    time::{TimePart, UtcOffset},
};

/// A field of a record, by the name that nginx gives it, or a value that is derived from fields.
///
/// [`field`] and [`arg`] make one. A plain string can be used wherever a field is asked for.
///
/// The [format](crate::LogFormat) of the log decides which fields there are:
///
/// | format | fields |
/// | --- | --- |
/// | `log_format` string | its variables, without the `$` |
/// | JSON | its keys; `a.b` is the key `b` in the object `a` |
/// | LTSV | its labels |
///
/// Some fields are derived if the log does not have them itself. From `request` come `request_method`, `request_uri`,
/// `server_protocol`, `uri` (decoded and normalised), `args` and every `arg_NAME`; from `request_uri` the last three;
/// from `args` the arguments.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{arg, field};
///
/// let campaign = arg("c").named("campaign");
/// assert_eq!((&*campaign.to_string(), &*campaign.name()), ("arg_c", "campaign"));
/// assert_eq!(field("status").name(), "status");
/// ```
///
/// # Derived fields
///
/// The methods below derive a field from another. The result is a key, the number of a measure, or a part of a
/// [`Condition`](crate::Condition), like any other field. A value that is absent (`-` or nothing) stays absent (`-`), except
/// by [`default`](Self::default).
///
/// A derived field is computed once for each distinct value of its inputs, not for each line. It has a text, which stands in
/// the definition of the statistic, and [`FromStr`] reads it:
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{Field, Statistic, count, field};
///
/// let endpoint = field("uri").path_prefix(2);
/// assert_eq!((&*endpoint.to_string(), &*endpoint.name()), ("path_prefix(uri, 2)", "uri_path_prefix"));
/// assert_eq!("path_prefix(uri, 2)".parse::<Field>()?, endpoint);
///
/// let statistic = Statistic::named("endpoints")
///     .group_by([endpoint.named("endpoint"), field("status").status_class().named("class")])
///     .measure(count());
/// # Ok::<(), evs::SyntaxError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub(crate) expr: Expr,
    name: Option<String>,
}

/// The field that nginx calls `$name`, for example `status` or `request_time`.
///
/// Nothing is checked here. [`PipelineBuilder::build`](crate::PipelineBuilder::build) returns
/// [`FormatError::NoField`](crate::FormatError::NoField) if the format neither has the field nor can derive it.
pub fn field(name: impl Into<String>) -> Field {
    Field::of(Expr::Variable(name.into()))
}

/// The query argument that nginx calls `$arg_name`, percent-decoded.
///
/// As in nginx, case does not matter in the name, and the first argument of a name counts: in `?c=1&C=2` it is `1`. An
/// argument without a value (`?c=`) is the empty text, and one that is not there is `-`.
pub fn arg(name: impl AsRef<str>) -> Field {
    field(format!("arg_{}", name.as_ref()))
}

/// A field with the same text in every line, for a column that tells the rows of several pipelines apart.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{Statistic, constant, count, field};
///
/// let statistic =
///     Statistic::named("requests").group_by([constant("vhost", "shop"), field("status")]).measure(count());
/// ```
pub fn constant(name: impl Into<String>, text: impl Into<String>) -> Field {
    Field::of(Expr::Constant(text.into())).named(name)
}

/// The line's time in seconds since 1970, from which [`hour`](Field::hour), [`date`](Field::date) and other parts are
/// derived. They are those of UTC.
///
/// ```
/// # extern crate evs_core as evs;
/// let hour = evs::event_time().hour().named("hour");
/// assert_eq!(hour.to_string(), "hour(time())");
/// ```
pub fn event_time() -> Field {
    Field::of(Expr::Time(UtcOffset::default()))
}

/// As [`event_time`], for the parts that a clock with an offset from UTC shows, such as `+02:00`. A zone with summer time has
/// two offsets, so it is none.
///
/// # Errors
///
/// Fails if the text is no such offset.
///
/// ```
/// # extern crate evs_core as evs;
/// let hour = evs::event_time_at("-05:00")?.hour();
/// assert_eq!(hour.to_string(), r#"hour(time("-05:00"))"#);
/// # Ok::<(), evs::SyntaxError>(())
/// ```
pub fn event_time_at(offset: &str) -> Result<Field, SyntaxError> {
    let offset = offset.parse().map_err(|expected| SyntaxError { column: 1, expected })?;
    Ok(Field::of(Expr::Time(offset)))
}

/// The path of the log that has the line: the name that its live file has, also for lines of a rotated one. A pipeline that follows
/// [many logs](crate::PipelineBuilder::tail) tells them apart by it.
///
/// ```
/// # extern crate evs_core as evs;
/// // `shop`, of `/var/log/nginx/shop.access.log`.
/// let site = evs::log_path().replace(r"^.*/(.*)\.access\.log$", "$1").named("site");
/// assert_eq!(site.to_string(), r#"replace(log(), "^.*/(.*)\\.access\\.log$", "$1")"#);
/// ```
pub fn log_path() -> Field {
    Field::of(Expr::Log)
}

/// The texts of several fields, one after the other. [`constant`] puts text between them.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{concat, constant, field};
///
/// let url = concat([field("scheme"), constant("", "://"), field("host"), field("uri")]).named("url");
/// assert_eq!(url.to_string(), r#"concat(scheme, "://", host, uri)"#);
/// ```
pub fn concat<F: Into<Field>>(fields: impl IntoIterator<Item = F>) -> Field {
    let values = fields.into_iter().map(|field| field.into().expr).collect();
    Field::of(Expr::Call(Function::Concat, values))
}

/// A field that the user's own code derives from several fields. It gets their texts in order, and appends its value to
/// `out`; `-` is a value that is absent, here and there. See [`Field::map`] for one field.
///
/// ```
/// # extern crate evs_core as evs;
/// let client = evs::combine("client", 1, ["remote_addr", "http_user_agent"], |values, out| {
///     out.extend_from_slice(values[0]);
///     out.push(b' ');
///     out.extend_from_slice(values[1]);
/// });
/// assert_eq!(client.to_string(), "client@1(remote_addr, http_user_agent)");
/// ```
pub fn combine<F: Into<Field>>(
    name: impl Into<String>,
    version: u32,
    fields: impl IntoIterator<Item = F>,
    write: impl Fn(&[&[u8]], &mut Vec<u8>) + Send + Sync + 'static,
) -> Field {
    let code = WriteCode { name: CodeName { name: name.into(), version }, call: Arc::new(write) };
    let values = fields.into_iter().map(|field| field.into().expr).collect();
    Field::of(Expr::Call(Function::Code(code), values))
}

/// The logarithmic bucket of a field's number, for a histogram: the key of a statistic that counts.
///
/// A bucket has the name of a number that differs from each of its numbers by at most `alpha` times the number: 0.0001 to 0.5,
/// with at most six decimal places. With 0.01 there are some 115 buckets for each power of ten, from 10^-9 to 10^18. A value that
/// is absent or no number is in the bucket `-`. As for a measure, the numbers of nginx's lists are added up, and a duration such as
/// `12ms` is in seconds, unless a client writes the field. [`Totals`](crate::Totals) reads quantiles from the rows, and so does SQL.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{Statistic, count, field, histogram};
///
/// let latency = Statistic::named("latency")
///     .group_by([field("host"), histogram("request_time", 0.01)])
///     .measure(count());
/// assert_eq!(histogram("request_time", 0.01).name(), "request_time_bucket");
/// ```
pub fn histogram(field: impl Into<Field>, alpha: f64) -> Field {
    let field = field.into();
    let buckets = Histogram::of(&field.expr, alpha);
    field.derive(Function::Bucket(buckets))
}

impl Field {
    pub(super) fn of(expr: Expr) -> Self {
        Self { expr, name: None }
    }

    /// Names the column of the field. By default, the column has the name of the field, and that of a derived field also has
    /// the function: `uri_path_prefix`.
    ///
    /// A column's name has 1 to 63 letters, digits and `_`, and begins with a letter. So a field such as the JSON key
    /// `request.method` needs a name of its own.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The name of the field's column: the one that [`named`](Self::named) has set, else one by its text.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.expr.default_name())
    }

    /// Derives a field. It gets a column name of its own.
    fn derive(self, function: Function) -> Self {
        Self::of(self.expr.call(function))
    }

    /// The text in small letters.
    #[must_use]
    pub fn lower(self) -> Self {
        self.derive(Function::Lower)
    }

    /// The first bytes of the text, at most `bytes`. A character of UTF-8 is not cut.
    #[must_use]
    pub fn truncate(self, bytes: usize) -> Self {
        self.derive(Function::Truncate(bytes))
    }

    /// The path of a URL or of a request's URI, without query and fragment: of `https://example.com/a?b` it is `/a`. Absent if
    /// the text is neither.
    #[must_use]
    pub fn path(self) -> Self {
        self.derive(Function::Path)
    }

    /// The first segments of the [`path`](Self::path): of `/api/v1/users/7` and 2 they are `/api/v1`.
    #[must_use]
    pub fn path_prefix(self, segments: usize) -> Self {
        self.derive(Function::PathPrefix(segments))
    }

    /// The extension of the [`path`](Self::path) in small letters: of `/img/logo.PNG?v=2` it is `png`. Absent if there is none.
    #[must_use]
    pub fn extension(self) -> Self {
        self.derive(Function::Extension)
    }

    /// The host of a URL in small letters, without port: of `https://Example.com:8443/a` it is `example.com`. Absent if the
    /// text is no URL.
    #[must_use]
    pub fn host(self) -> Self {
        self.derive(Function::Host)
    }

    /// The class of an HTTP status: `2xx`, `4xx`. Absent if the text is no status.
    #[must_use]
    pub fn status_class(self) -> Self {
        self.derive(Function::StatusClass)
    }

    /// The network of an address, by the lengths of its prefix in bits: of `192.0.2.77` with 24 bits it is `192.0.2.0/24`. A
    /// common way to keep addresses without persons is `network(24, 48)`. Absent if the text is no address.
    #[must_use]
    pub fn network(self, v4_bits: u8, v6_bits: u8) -> Self {
        self.derive(Function::Network(v4_bits, v6_bits))
    }

    /// The text with every match of a regular expression replaced. In `with`, `$1` and `${name}` stand for the expression's
    /// groups, and `$$` for a dollar sign. The syntax is that of the crate [`regex`](https://docs.rs/regex).
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// let route = evs::field("uri").replace("[0-9]+", "N").named("route");
    /// ```
    #[must_use]
    pub fn replace(self, pattern: impl Into<String>, with: impl Into<String>) -> Self {
        self.derive(Function::Replace(Pattern::new(pattern.into()), with.into()))
    }

    /// The value that a table has for the text. Absent if the table does not have it.
    #[must_use]
    pub fn lookup(self, table: &Lookup) -> Self {
        self.derive(Function::Lookup(table.clone()))
    }

    /// The text, or `default` if it is absent: `-` or empty.
    #[must_use]
    pub fn default(self, default: impl Into<String>) -> Self {
        self.derive(Function::Default(default.into()))
    }

    /// The first element of a list, such as the client in `http_x_forwarded_for` or the first server in
    /// `upstream_response_time`. Elements are joined by commas or by ` : `.
    #[must_use]
    pub fn first(self) -> Self {
        self.derive(Function::First)
    }

    /// The last element of a list: see [`first`](Self::first).
    #[must_use]
    pub fn last(self) -> Self {
        self.derive(Function::Last)
    }

    /// The register of a value in a sketch for distinct counts, and the rank of the value there.
    pub(crate) fn register(self) -> (Self, Self) {
        let named = |field: Self, of: &str, part: &str| field.named(format!("{of}_{part}"));
        let of = self.name();
        let rank = self.clone().derive(Function::DistinctRank);
        (named(self.derive(Function::DistinctSlot), &of, "slot"), named(rank, &of, "rank"))
    }

    /// The minute of the line's time, from `00` to `59`: see [`event_time`].
    #[must_use]
    pub fn minute(self) -> Self {
        self.derive(Function::TimePart(TimePart::Minute))
    }

    /// The hour of the line's time, from `00` to `23`: see [`event_time`].
    #[must_use]
    pub fn hour(self) -> Self {
        self.derive(Function::TimePart(TimePart::Hour))
    }

    /// The day of the week of the line's time, from `1` for Monday to `7` for Sunday: see [`event_time`].
    #[must_use]
    pub fn weekday(self) -> Self {
        self.derive(Function::TimePart(TimePart::Weekday))
    }

    /// The date of the line's time, such as `2026-11-21`: see [`event_time`].
    #[must_use]
    pub fn date(self) -> Self {
        self.derive(Function::TimePart(TimePart::Date))
    }

    /// The month of the line's time, such as `2026-11`: see [`event_time`].
    #[must_use]
    pub fn month(self) -> Self {
        self.derive(Function::TimePart(TimePart::Month))
    }

    /// A field that the user's own code derives from this one. It gets the text, and appends its value to `out`; `-` is a
    /// value that is absent, here and there.
    ///
    /// The name and version stand for the code in the statistic's definition: raise the version when the code means something
    /// else. The name is also that of the column, unless [`named`](Self::named) gives it another. The code must be pure: it is
    /// called once per distinct value, from several threads, and again after a restart. It must not panic: a panic stops the
    /// pipeline.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::{Statistic, count, field};
    ///
    /// let shard = field("remote_addr").map("shard", 1, |address, out| {
    ///     let sum = address.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
    ///     out.extend_from_slice((sum % 16).to_string().as_bytes());
    /// });
    /// assert_eq!((&*shard.to_string(), &*shard.name()), ("shard@1(remote_addr)", "shard"));
    /// let statistic = Statistic::named("shards").group_by([shard]).measure(count());
    /// ```
    #[must_use]
    pub fn map(
        self,
        name: impl Into<String>,
        version: u32,
        write: impl Fn(&[u8], &mut Vec<u8>) + Send + Sync + 'static,
    ) -> Self {
        combine(name, version, [self], move |values, out| write(values.first().copied().unwrap_or(b"-"), out))
    }
}

impl From<&str> for Field {
    fn from(name: &str) -> Self {
        field(name)
    }
}

impl From<String> for Field {
    fn from(name: String) -> Self {
        field(name)
    }
}

/// Writes the text of the field as it stands in a definition: `status`, `path_prefix(uri, 2)`.
impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}

impl FromStr for Field {
    type Err = SyntaxError;

    /// Reads a field from its text: a variable, or a function such as `path_prefix(uri, 2)`. Code and tables cannot be read.
    ///
    /// # Errors
    ///
    /// Fails with the column and what was expected there.
    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        parse::field(text)
    }
}
