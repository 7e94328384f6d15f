//! The functions that derive a field from others.

use std::sync::Arc;

use super::{
    address,
    code::WriteCode,
    expr::{ABSENT, Expr, is_absent},
    lookup::Lookup,
    pattern::Pattern,
    time::TimePart,
    url,
};
use crate::{
    number::{Reading, Rounding},
    sketch::{Buckets, InvalidAlpha, slot_and_rank},
};

/// A pure function from the texts of some values to a text.
///
/// A function of one value that is absent gives an absent value, except for [`Default`](Self::Default).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    /// Small letters: those of Unicode in valid UTF-8, otherwise those of ASCII.
    Lower,
    /// The first bytes, never a part of a character of UTF-8.
    Truncate(usize),
    /// The path of a URL or URI.
    Path,
    /// The first segments of the path of a URL or URI.
    PathPrefix(usize),
    /// The extension of the last segment of the path of a URL or URI.
    Extension,
    /// The host of a URL.
    Host,
    /// The class of an HTTP status: `4xx`.
    StatusClass,
    /// The network of an address, with these lengths of the prefix for IPv4 and IPv6.
    Network(u8, u8),
    /// The text with every match of a pattern replaced.
    Replace(Pattern, String),
    /// The value of a table. Absent if the table does not have the key.
    Lookup(Lookup),
    /// The value, or this text if it is absent.
    Default(String),
    /// The first element of a list.
    First,
    /// The last element of a list.
    Last,
    /// A part of a time.
    TimePart(TimePart),
    /// The bucket of a number.
    Bucket(Histogram),
    /// The register that a value falls into, in a sketch for distinct counts.
    DistinctSlot,
    /// The rank of a value in its register.
    DistinctRank,
    /// All values, one after the other.
    Concat,
    /// The user's code.
    Code(WriteCode),
}

impl Function {
    /// The name in a definition.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Lower => "lower",
            Self::Truncate(_) => "truncate",
            Self::Path => "path",
            Self::PathPrefix(_) => "path_prefix",
            Self::Extension => "extension",
            Self::Host => "host",
            Self::StatusClass => "status_class",
            Self::Network(..) => "network",
            Self::Replace(..) => "replace",
            Self::Lookup(_) => "lookup",
            Self::Default(_) => "default",
            Self::First => "first",
            Self::Last => "last",
            Self::TimePart(part) => part.name(),
            Self::Bucket(_) => "bucket",
            Self::DistinctSlot => "distinct_slot",
            Self::DistinctRank => "distinct_rank",
            Self::Concat => "concat",
            Self::Code(code) => &code.name.name,
        }
    }

    pub(crate) fn is_code(&self) -> bool {
        matches!(self, Self::Code(_))
    }

    /// The mistake in the function's own settings, if there is one.
    pub(crate) fn mistake(&self) -> Option<String> {
        match self {
            Self::Truncate(0) => Some("truncate to 0 bytes; expected 1 or more".to_owned()),
            Self::PathPrefix(0) => Some("path_prefix of 0 segments; expected 1 or more".to_owned()),
            Self::Network(v4, v6) if *v4 > 32 || *v6 > 128 => {
                Some(format!("network({v4}, {v6}); expected at most 32 bits of IPv4 and 128 of IPv6"))
            }
            Self::Replace(pattern, with) => pattern.mistake().or_else(|| pattern.mistake_in(with)),
            Self::Lookup(lookup) => lookup.name.mistake(),
            Self::Bucket(histogram) => histogram.buckets.as_ref().err().map(ToString::to_string),
            Self::Code(code) => code.name.mistake(),
            _ => None,
        }
    }

    /// Appends the function's value for these values.
    pub(crate) fn write(&self, values: &[&[u8]], out: &mut Vec<u8>) {
        let text = match self {
            Self::Concat => {
                values.iter().for_each(|value| out.extend_from_slice(value));
                return;
            }
            Self::Code(code) => {
                (code.call)(values, out);
                return;
            }
            _ => values.first().copied().unwrap_or(ABSENT),
        };
        match self {
            Self::Default(default) if is_absent(text) => out.extend_from_slice(default.as_bytes()),
            _ if is_absent(text) => out.extend_from_slice(ABSENT),
            Self::Default(_) | Self::Concat | Self::Code(_) => out.extend_from_slice(text),
            Self::Lower => write_lower(text, out),
            Self::Truncate(bytes) => out.extend_from_slice(truncated(text, *bytes)),
            Self::Path => out.extend_from_slice(url::path(text).unwrap_or(ABSENT)),
            Self::PathPrefix(segments) => out
                .extend_from_slice(url::path(text).map_or(ABSENT, |path| url::path_prefix(path, *segments))),
            Self::Extension => url::write_extension(url::path(text).unwrap_or_default(), out),
            Self::Host => url::write_host(text, out),
            Self::StatusClass => match text {
                [class @ b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'] => {
                    out.extend_from_slice(&[*class, b'x', b'x']);
                }
                _ => out.extend_from_slice(ABSENT),
            },
            Self::Network(v4, v6) => address::write_network(text, (*v4, *v6), out),
            Self::Replace(pattern, with) => pattern.replace(text, with, out),
            Self::Lookup(lookup) => out.extend_from_slice(lookup.get(text).unwrap_or(ABSENT)),
            Self::First => out.extend_from_slice(elements(text).next().unwrap_or(ABSENT)),
            Self::Last => out.extend_from_slice(elements(text).last().unwrap_or(ABSENT)),
            Self::TimePart(part) => part.write(text, out),
            Self::Bucket(histogram) => histogram.write(text, out),
            Self::DistinctSlot => out.extend_from_slice(slot_and_rank(text).0.to_string().as_bytes()),
            Self::DistinctRank => out.extend_from_slice(slot_and_rank(text).1.to_string().as_bytes()),
        }
    }
}

/// The buckets of a relative error, or the reason why there are none.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    pub(crate) alpha: f64,
    buckets: Result<Arc<Buckets>, InvalidAlpha>,
    /// True if a client writes the numbers. They are neither lists nor durations then.
    is_of_client: bool,
}

/// The decimal places to which lists and durations are rounded before they get a bucket: those of the smallest bucket.
const BUCKET_SCALE: u8 = 9;

impl Histogram {
    /// The buckets of a value of that kind.
    pub(crate) fn of(value: &Expr, alpha: f64) -> Self {
        Self { alpha, buckets: Buckets::new(alpha).map(Arc::new), is_of_client: value.is_of_client() }
    }

    /// Appends the bucket of a number. As for a measure, the numbers of a list are added up, and a duration is in seconds.
    fn write(&self, text: &[u8], out: &mut Vec<u8>) {
        let Ok(buckets) = &self.buckets else {
            out.extend_from_slice(ABSENT);
            return;
        };
        let start = out.len();
        buckets.write(text, out);
        if self.is_of_client || &out[start..] != ABSENT {
            return;
        }
        let reading = Reading {
            scale: BUCKET_SCALE,
            rounding: Rounding::HalfEven,
            has_units: true,
            ..Reading::default()
        };
        if let Ok(Some(sum)) = reading.list(text) {
            out.truncate(start);
            let (sign, digits) = (if sum < 0 { "-" } else { "" }, format!("{:010}", sum.unsigned_abs()));
            let (whole, fraction) = digits.split_at(digits.len() - usize::from(BUCKET_SCALE));
            buckets.write(format!("{sign}{whole}.{fraction}").as_bytes(), out);
        }
    }
}

// The relative error decides the buckets.
impl PartialEq for Histogram {
    fn eq(&self, other: &Self) -> bool {
        self.alpha.to_bits() == other.alpha.to_bits()
    }
}

impl Eq for Histogram {}

/// Appends the text in small letters.
fn write_lower(text: &[u8], out: &mut Vec<u8>) {
    match str::from_utf8(text) {
        Ok(text) if !text.is_ascii() => out.extend_from_slice(text.to_lowercase().as_bytes()),
        _ => out.extend(text.iter().map(u8::to_ascii_lowercase)),
    }
}

/// The first bytes of a text, at most `bytes`, without a part of a character.
fn truncated(text: &[u8], bytes: usize) -> &[u8] {
    if text.len() <= bytes {
        return text;
    }
    // A character has up to four bytes, of which all but the first are 0b10xxxxxx.
    let is_inside = |at: &usize| text[*at] & 0xC0 == 0x80;
    let end = (bytes.saturating_sub(3)..=bytes).rev().find(|at| !is_inside(at)).unwrap_or(bytes);
    &text[..end]
}

/// The elements of a list: joined by commas, as in headers, or by ` : `, as nginx also joins upstream servers.
fn elements(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let comma = memchr::memchr(b',', text);
        let colon = memchr::memmem::find(text, b" : ");
        let (end, next) = match (comma, colon) {
            (Some(comma), Some(colon)) if colon < comma => (colon, Some(colon + 3)),
            (Some(comma), _) => (comma, Some(comma + 1)),
            (None, Some(colon)) => (colon, Some(colon + 3)),
            (None, None) => (text.len(), None),
        };
        rest = next.map(|next| &text[next..]);
        Some(text[..end].trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(function: &Function, values: &[&str]) -> String {
        let values: Vec<_> = values.iter().map(|value| value.as_bytes()).collect();
        let mut out = Vec::new();
        function.write(&values, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn functions_of_one_value() {
        let customers = Lookup::new("customers", 1, [("7", "acme")]);
        let replace =
            |pattern: &str, with: &str| Function::Replace(Pattern::new(pattern.to_owned()), with.to_owned());
        let buckets = |field: &str| Function::Bucket(Histogram::of(&Expr::Variable(field.to_owned()), 0.01));
        for (function, text, expected) in [
            (Function::Lower, "Straße É", "straße é"),
            (Function::Truncate(3), "abcd", "abc"),
            (Function::Truncate(3), "ab", "ab"),
            (Function::Truncate(3), "abé", "ab"),
            (Function::Truncate(4), "a\u{1f600}", "a"),
            (Function::Truncate(5), "a\u{1f600}", "a\u{1f600}"),
            (Function::Path, "https://example.com/a?b", "/a"),
            (Function::Path, "*", "-"),
            (Function::PathPrefix(1), "/a/b?c", "/a"),
            (Function::Extension, "/a/b.JPG?c=.d", "jpg"),
            (Function::Host, "https://Example.com/", "example.com"),
            (Function::StatusClass, "404", "4xx"),
            (Function::StatusClass, "000", "-"),
            (Function::StatusClass, "4040", "-"),
            (Function::Network(24, 48), "192.0.2.7", "192.0.2.0/24"),
            (replace("[0-9]+", "N"), "/a/12/b/3", "/a/N/b/N"),
            (replace("^/u/([^/]+)/.*$", "$1"), "/u/me/x", "me"),
            (Function::Lookup(customers.clone()), "7", "acme"),
            (Function::Lookup(customers), "8", "-"),
            (Function::Default("none".to_owned()), "-", "none"),
            (Function::Default("none".to_owned()), "", "none"),
            (Function::Default("none".to_owned()), "x", "x"),
            (Function::First, "203.0.113.9, 10.0.0.1", "203.0.113.9"),
            (Function::Last, "0.518 : 0.009", "0.009"),
            (Function::Last, "0.5, 0.4 : 0.3,0.2", "0.2"),
            (Function::Last, "one", "one"),
            (Function::TimePart(TimePart::Hour), "3600", "01"),
            (buckets("request_time"), "0.1234", "0.1241"),
            (buckets("request_time"), "x", "-"),
            (buckets("request_time"), "-", "-"),
            (buckets("request_time"), "0.1, 0.02 : 0.0034", "0.1241"),
            (buckets("request_time"), "123.4ms", "0.1241"),
            (buckets("arg_time"), "123.4ms", "-"),
            (buckets("arg_time"), "0.1, 0.2", "-"),
            (Function::DistinctSlot, "-", "-"),
            (Function::DistinctRank, "-", "-"),
            (Function::Lower, "-", "-"),
            (Function::Lower, "", "-"),
            (Function::Host, "-", "-"),
        ] {
            assert_eq!(apply(&function, &[text]), expected, "{function:?} of {text:?}");
        }
        assert_eq!(apply(&Function::Concat, &["https", "://", "a", ""]), "https://a");
    }

    #[test]
    fn bytes_that_are_no_text_are_kept() {
        let mut out = Vec::new();
        Function::Lower.write(&[b"A\xFF\xC3B"], &mut out);
        assert_eq!(out, b"a\xFF\xC3b");
        out.clear();
        Function::Truncate(2).write(&[b"\x80\x80\x80\x80\x80"], &mut out);
        assert_eq!(out, b"\x80\x80");
    }
}
