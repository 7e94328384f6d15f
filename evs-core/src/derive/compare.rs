//! Comparisons of a value with a constant.

use std::cmp::Ordering;

use ipnet::IpNet;

use super::{address, expr::is_absent, pattern::Pattern};
use crate::{
    format::Number,
    number::{NumberError, Reading, Rounding},
};

/// A constant with which a value is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Constant {
    /// Compared byte by byte.
    Text(String),
    /// Compared as numbers, so that `0.50` is `0.5`.
    Number(Decimal),
}

/// A decimal number. It keeps its text, which is its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub(crate) text: String,
    /// The value times 10^scale. `None` if it does not fit 64 bits, or is no number.
    value: Option<(i64, u8)>,
}

/// The most decimal places of a constant.
const SCALE_MAX: u8 = 18;
/// The decimal places with which a value is read that has more of them than the constant.
const FINE_SCALES: [u8; 3] = [9, 12, SCALE_MAX];

impl Decimal {
    pub(crate) fn new(text: String) -> Self {
        let places = text.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let scale = u8::try_from(places).ok().filter(|scale| *scale <= SCALE_MAX);
        let value = scale.and_then(|scale| {
            let read = Reading { scale, ..Reading::default() }.number(text.as_bytes());
            read.ok().flatten().map(|value| (value, scale))
        });
        Self { text, value }
    }

    /// The mistake in the number, if there is one.
    pub(crate) fn mistake(&self) -> Option<String> {
        let expected = "a decimal number of 64 bits with at most 18 decimal places";
        self.value.is_none().then(|| format!("{:?} is not {expected}", self.text))
    }

    /// Compares the number that a text writes with this one. `None` if the text is no number.
    ///
    /// `number` says how the numbers of the field are written. The comparison is exact, however many digits the text has.
    pub(crate) fn compare(&self, text: &[u8], number: &Number) -> Option<Ordering> {
        let (value, scale) = self.value?;
        let read = |scale, rounding| {
            let reading = Reading { scale, rounding, ..number.reading };
            Number { reading, ..number.clone() }.read(text)
        };
        let beyond = || if text.starts_with(b"-") { Ordering::Less } else { Ordering::Greater };
        match read(scale, Rounding::Exact) {
            Ok(read) => return read.map(|read| read.cmp(&value)),
            Err(NumberError::NotANumber) => return None,
            Err(NumberError::TooLarge) => return Some(beyond()),
            Err(NumberError::TooManyDigits) => {}
        }
        for fine in FINE_SCALES.into_iter().filter(|fine| *fine > scale) {
            if let Ok(Some(read)) = read(fine, Rounding::Exact) {
                let value = i128::from(value) * 10_i128.pow(u32::from(fine - scale));
                return Some(i128::from(read).cmp(&value));
            }
        }
        // It has more decimal places still. What was cut off decides only between equal numbers.
        match read(scale, Rounding::Truncate) {
            Ok(Some(read)) => Some(read.cmp(&value).then(beyond())),
            Err(NumberError::TooLarge) => Some(beyond()),
            Ok(None) | Err(_) => None,
        }
    }
}

/// A question about one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// Equal to one of these constants.
    OneOf(Vec<Constant>),
    /// A number, and in one of these orders to the constant.
    Ordered(Order, Decimal),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    /// The pattern is found anywhere in the text.
    Matches(Pattern),
    /// An address in one of these networks. A network that is none is kept as its text.
    InNetwork(Vec<(String, Option<IpNet>)>),
    /// `-` or empty.
    IsAbsent,
}

/// The order of a number to a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Less,
    AtMost,
    AtLeast,
    Greater,
}

impl Order {
    /// All orders, with their signs. A sign comes before those that it begins with.
    pub(crate) const ALL: [(&str, Self); 4] =
        [("<=", Self::AtMost), (">=", Self::AtLeast), ("<", Self::Less), (">", Self::Greater)];

    /// The sign of the order.
    pub(crate) fn sign(self) -> &'static str {
        Self::ALL.iter().find(|(_, order)| *order == self).map_or("", |(sign, _)| *sign)
    }

    fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::AtLeast => ordering.is_ge(),
            Self::Greater => ordering.is_gt(),
        }
    }
}

impl Comparison {
    /// A comparison with networks, which are read from their texts.
    pub(crate) fn in_network(networks: Vec<String>) -> Self {
        Self::InNetwork(
            networks
                .into_iter()
                .map(|text| {
                    let network = address::network(&text);
                    (text, network)
                })
                .collect(),
        )
    }

    /// The answer for a text. `number` says how the numbers of the field are written.
    pub(crate) fn holds(&self, text: &[u8], number: &Number) -> bool {
        match self {
            Self::OneOf(constants) => constants.iter().any(|constant| match constant {
                Constant::Text(other) => text == other.as_bytes(),
                Constant::Number(decimal) => decimal.compare(text, number) == Some(Ordering::Equal),
            }),
            Self::Ordered(order, decimal) => {
                decimal.compare(text, number).is_some_and(|ordering| order.holds(ordering))
            }
            Self::StartsWith(part) => text.starts_with(part.as_bytes()),
            Self::EndsWith(part) => text.ends_with(part.as_bytes()),
            Self::Contains(part) => memchr::memmem::find(text, part.as_bytes()).is_some(),
            Self::Matches(pattern) => pattern.is_in(text),
            Self::InNetwork(networks) => address::parse_address(text).is_some_and(|address| {
                networks.iter().any(|(_, network)| network.is_some_and(|network| network.contains(&address)))
            }),
            Self::IsAbsent => is_absent(text),
        }
    }

    /// The mistake in the comparison, if there is one.
    pub(crate) fn mistake(&self) -> Option<String> {
        match self {
            Self::OneOf(constants) if constants.is_empty() => Some("one of no values".to_owned()),
            Self::OneOf(constants) => constants.iter().find_map(|constant| match constant {
                Constant::Text(_) => None,
                Constant::Number(decimal) => decimal.mistake(),
            }),
            Self::Ordered(_, decimal) => decimal.mistake(),
            Self::Matches(pattern) => pattern.mistake(),
            Self::InNetwork(networks) if networks.is_empty() => Some("in no network".to_owned()),
            Self::InNetwork(networks) => networks.iter().find_map(|(text, network)| {
                let expected = "a network such as 10.0.0.0/8 or 2001:db8::/32";
                network.is_none().then(|| format!("{text:?} is not {expected}"))
            }),
            Self::StartsWith(_) | Self::EndsWith(_) | Self::Contains(_) | Self::IsAbsent => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers as a server writes them: with units, and perhaps as a list.
    fn of_server() -> Number {
        let reading = Reading { has_units: true, has_exponents: true, ..Reading::default() };
        Number { may_be_list: true, ..Number::plain(reading) }
    }

    fn compare(text: &str, constant: &str) -> Option<Ordering> {
        Decimal::new(constant.to_owned()).compare(text.as_bytes(), &of_server())
    }

    #[test]
    fn numbers_are_compared_exactly() {
        use Ordering::{Equal, Greater, Less};
        for (text, constant, expected) in [
            ("500", "500", Some(Equal)),
            ("499", "500", Some(Less)),
            ("0500", "500", Some(Equal)),
            ("0.50", "0.5", Some(Equal)),
            ("0.5", "0.500", Some(Equal)),
            ("0.5000000000000000000000001", "0.5", Some(Greater)),
            ("0.4999999999999999999999999", "0.5", Some(Less)),
            ("-0.0000000000000000000000001", "0", Some(Less)),
            ("0.0000000000000000000000001", "0", Some(Greater)),
            ("-0.5000000000000000000000001", "-0.5", Some(Less)),
            ("99999999999999999999999", "5", Some(Greater)),
            ("-99999999999999999999999", "5", Some(Less)),
            ("99999999999999999999999.5", "5", Some(Greater)),
            ("9223372036854775807", "9223372036854775807", Some(Equal)),
            ("1e3", "1000", Some(Equal)),
            ("12ms", "0.012", Some(Equal)),
            ("13ms", "0.012", Some(Greater)),
            ("0.25, 0.25", "0.5", Some(Equal)),
            ("0.25 : 0.26", "0.5", Some(Greater)),
            ("-0", "0", Some(Equal)),
            ("-", "0", None),
            ("", "0", None),
            ("x", "0", None),
            ("0x10", "0", None),
        ] {
            assert_eq!(compare(text, constant), expected, "{text} and {constant}");
        }
    }

    #[test]
    fn what_is_no_number_is_a_mistake() {
        for text in ["", "-", "x", "1.2.3", "NaN", "inf", "99999999999999999999", "0.1234567890123456789"] {
            assert!(Decimal::new(text.to_owned()).mistake().is_some(), "{text}");
        }
        for text in ["0", "-1", "0.5", "0.123456789012345678", "-9223372036854775808"] {
            assert_eq!(Decimal::new(text.to_owned()).mistake(), None, "{text}");
        }
    }

    #[test]
    fn answers_about_a_text() {
        let holds = |comparison: Comparison, text: &str| comparison.holds(text.as_bytes(), &of_server());
        let networks = || Comparison::in_network(vec!["10.0.0.0/8".to_owned(), "2001:db8::/32".to_owned()]);
        let matches = |pattern: &str| Comparison::Matches(Pattern::new(pattern.to_owned()));
        let five = || Decimal::new("5".to_owned());
        let one_of = || Comparison::OneOf(vec![Constant::Text("a".to_owned()), Constant::Number(five())]);
        for (comparison, yes, no) in [
            (one_of(), "a", "b"),
            (one_of(), "5.0", "A"),
            (Comparison::Ordered(Order::Less, five()), "4", "5"),
            (Comparison::Ordered(Order::AtMost, five()), "5", "6"),
            (Comparison::Ordered(Order::AtLeast, five()), "5", "4"),
            (Comparison::Ordered(Order::Greater, five()), "6", "-"),
            (Comparison::StartsWith("/api".to_owned()), "/api/x", "/ap"),
            (Comparison::EndsWith(".js".to_owned()), "/a.js", "/a.jsx"),
            (Comparison::Contains("bot".to_owned()), "Googlebot/2", "Bot"),
            (matches("^/[a-z]+$"), "/abc", "/abc1"),
            (matches("(?i)bot"), "BOT", "b0t"),
            (networks(), "10.1.2.3", "11.0.0.1"),
            (networks(), "[2001:db8::1]:443", "2001:db9::1"),
            (networks(), "::ffff:10.0.0.1", "-"),
            (Comparison::IsAbsent, "-", "x"),
            (Comparison::IsAbsent, "", "--"),
        ] {
            assert!(holds(comparison.clone(), yes), "{comparison:?} of {yes:?}");
            assert!(!holds(comparison.clone(), no), "{comparison:?} of {no:?}");
        }
    }
}
