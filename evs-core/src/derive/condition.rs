//! [`Condition`]: a question about a line, for [`Statistic::only`](crate::Statistic::only).

use std::{
    ops::{BitAnd, BitOr, Not},
    str::FromStr,
    sync::Arc,
};

use super::{
    code::{CodeName, JudgeCode},
    compare::{Comparison, Constant, Decimal, Order},
    expr::{Expr, Input},
    field::Field,
    parse::{self, SyntaxError},
    pattern::Pattern,
};
use crate::{format::Conventions, number::Reading};

/// A question about a line that is answered yes or no: the lines that a statistic counts.
///
/// Conditions are made by the methods of [`Field`] and joined by `&`, `|` and `!`, or read from text. `Display` writes the
/// text that is read again:
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{Condition, Statistic, count, field};
///
/// let errors = field("status").ge(500) & field("uri").starts_with("/api/");
/// assert_eq!(errors.to_string(), r#"status >= 500 and uri starts_with "/api/""#);
/// let read: Condition = r#"status >= 500 and uri starts_with "/api/""#.parse()?;
/// assert_eq!(read, errors);
///
/// let statistic = Statistic::named("api_errors").only(errors).group_by(["uri"]).measure(count());
/// # Ok::<(), evs::SyntaxError>(())
/// ```
///
/// # Text
///
/// | text | method |
/// | --- | --- |
/// | `status = 404`, `host = "a"`, `!=` | [`eq`](Field::eq), [`ne`](Field::ne) |
/// | `status in (301, 302)`, `not in` | [`one_of`](Field::one_of) |
/// | `request_time > 0.5`, `<`, `<=`, `>=` | [`gt`](Field::gt), [`lt`](Field::lt), [`le`](Field::le), [`ge`](Field::ge) |
/// | `uri starts_with "/a"`, `ends_with`, `contains` | [`starts_with`](Field::starts_with) and so on |
/// | `uri matches "^/a[0-9]+$"` | [`matches`](Field::matches) |
/// | `remote_addr in_network "10.0.0.0/8"` | [`in_network`](Field::in_network) |
/// | `http_referer is absent`, `is present` | [`is_absent`](Field::is_absent) |
/// | `not A`, `A and B`, `A or B`, `(A)` | `!`, `&`, `\|` |
///
/// `not` binds more tightly than `and`, and `and` more tightly than `or`. Texts stand in double quotes, in which `\"` is a
/// quote and `\\` a backslash. A field is a variable (`status`), or a function: `lower(host) = "example.com"`.
///
/// # Meaning
///
/// A number without quotes compares as a number: `status = 404` is also true for `0404`, and a duration such as `12ms` is
/// 0.012. A value that is no number, or absent, is in no order to any number: both `x < 5` and `x >= 5` are false. `!`
/// turns any answer around, so `not x < 5` is true for it.
///
/// A condition never rejects a line: one that is not selected is counted by other statistics, or by none.
/// [`StatisticStatus::selected`](crate::StatisticStatus::selected) says how many were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition(pub(crate) Test);

/// The tree of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    /// A question about one value.
    Compare(Expr, Comparison),
    /// The user's code, and the values that it gets.
    Code(JudgeCode, Vec<Expr>),
    Not(Box<Self>),
    /// True if all are. There are two or more, and none of them is `All`.
    All(Vec<Self>),
    /// True if any is. There are two or more, and none of them is `Any`.
    Any(Vec<Self>),
}

/// A number or text with which a field is compared. Numbers compare as numbers, texts byte by byte.
///
/// It is made from integers, floating-point numbers (by the shortest decimal number that means the same) and strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operand(pub(crate) Constant);

macro_rules! operands_of_numbers {
    ($($number:ty)*) => {$(
        impl From<$number> for Operand {
            fn from(number: $number) -> Self {
                Self(Constant::Number(Decimal::new(number.to_string())))
            }
        }
    )*};
}

operands_of_numbers!(i32 i64 u16 u32 u64 usize f64);

impl From<&str> for Operand {
    fn from(text: &str) -> Self {
        Self(Constant::Text(text.to_owned()))
    }
}

impl From<String> for Operand {
    fn from(text: String) -> Self {
        Self(Constant::Text(text))
    }
}

impl Operand {
    /// The operand as a number. A string is one, too, for whoever reads it from elsewhere.
    fn into_decimal(self) -> Decimal {
        match self.0 {
            Constant::Number(decimal) => decimal,
            Constant::Text(text) => Decimal::new(text),
        }
    }
}

impl Condition {
    /// A condition that the user's own code answers. It gets the texts of the fields in their order; `-` is a value that is
    /// absent.
    ///
    /// The name and version stand for the code in the statistic's definition: raise the version when the code means
    /// something else. The code must be pure: it is called once per distinct value, from several threads, and again after a
    /// restart. It must not panic: a panic stops the pipeline.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::Condition;
    ///
    /// let is_even = Condition::code("is_even", 1, ["arg_id"], |values| {
    ///     values[0].last().is_some_and(|digit| digit.is_ascii_digit() && digit % 2 == 0)
    /// });
    /// ```
    pub fn code<F: Into<Field>>(
        name: impl Into<String>,
        version: u32,
        fields: impl IntoIterator<Item = F>,
        judge: impl Fn(&[&[u8]]) -> bool + Send + Sync + 'static,
    ) -> Self {
        let name = CodeName { name: name.into(), version };
        let values = fields.into_iter().map(|field| field.into().expr).collect();
        Self(Test::Code(JudgeCode { name, call: Arc::new(judge) }, values))
    }

    /// The mistake in the condition, if there is one: a pattern that is none, for example.
    pub(crate) fn mistake(&self) -> Option<String> {
        self.0.mistake()
    }
}

impl Test {
    fn mistake(&self) -> Option<String> {
        match self {
            Self::Compare(value, comparison) => comparison.mistake().or_else(|| value.mistake()),
            Self::Code(code, values) => code.name.mistake().or_else(|| values.iter().find_map(Expr::mistake)),
            Self::Not(test) => test.mistake(),
            Self::All(tests) | Self::Any(tests) => tests.iter().find_map(Self::mistake),
        }
    }

    /// Collects what the answer depends on, each once.
    pub(crate) fn collect_inputs(&self, inputs: &mut Vec<Input>) {
        match self {
            Self::Compare(value, _) => value.collect_inputs(inputs),
            Self::Code(_, values) => values.iter().for_each(|value| value.collect_inputs(inputs)),
            Self::Not(test) => test.collect_inputs(inputs),
            Self::All(tests) | Self::Any(tests) => {
                tests.iter().for_each(|test| test.collect_inputs(inputs));
            }
        }
    }

    /// What the answer depends on, each once.
    pub(crate) fn inputs(&self) -> Vec<Input> {
        let mut inputs = Vec::new();
        self.collect_inputs(&mut inputs);
        inputs
    }

    /// The answer for a line. `texts` has the texts of `inputs`, and `conventions` says how the log writes numbers.
    pub(crate) fn holds(&self, inputs: &[Input], texts: &[&[u8]], conventions: Conventions) -> bool {
        match self {
            Self::Compare(value, comparison) => {
                let mut text = Vec::new();
                value.write(inputs, texts, &mut text);
                let mut number = value.number(Reading::default());
                number.follow(conventions);
                comparison.holds(&text, &number)
            }
            Self::Code(code, values) => {
                let mut written = vec![Vec::new(); values.len()];
                for (value, written) in values.iter().zip(&mut written) {
                    value.write(inputs, texts, written);
                }
                let written: Vec<&[u8]> = written.iter().map(Vec::as_slice).collect();
                (code.call)(&written)
            }
            Self::Not(test) => !test.holds(inputs, texts, conventions),
            Self::All(tests) => tests.iter().all(|test| test.holds(inputs, texts, conventions)),
            Self::Any(tests) => tests.iter().any(|test| test.holds(inputs, texts, conventions)),
        }
    }

    /// Joins two tests by `All` or `Any`, without a tree of the same kind within.
    fn join(self, other: Self, is_all: bool) -> Self {
        let mut tests = Vec::new();
        for test in [self, other] {
            match test {
                Self::All(inner) if is_all => tests.extend(inner),
                Self::Any(inner) if !is_all => tests.extend(inner),
                test => tests.push(test),
            }
        }
        if is_all { Self::All(tests) } else { Self::Any(tests) }
    }
}

impl BitAnd for Condition {
    type Output = Self;

    /// True if both are.
    fn bitand(self, other: Self) -> Self {
        Self(self.0.join(other.0, true))
    }
}

impl BitOr for Condition {
    type Output = Self;

    /// True if one of them is, or both.
    fn bitor(self, other: Self) -> Self {
        Self(self.0.join(other.0, false))
    }
}

impl Not for Condition {
    type Output = Self;

    /// True if it is not.
    fn not(self) -> Self {
        match self.0 {
            Test::Not(test) => Self(*test),
            test => Self(Test::Not(Box::new(test))),
        }
    }
}

impl FromStr for Condition {
    type Err = SyntaxError;

    /// Reads a condition from its text.
    ///
    /// # Errors
    ///
    /// Fails with the column and what was expected there.
    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        parse::condition(text)
    }
}

/// The conditions about one field.
impl Field {
    fn is(self, comparison: Comparison) -> Condition {
        Condition(Test::Compare(self.expr, comparison))
    }

    /// True if the value is equal: to a text byte by byte, to a number as a number. For any case of letters, compare
    /// [`lower`](Self::lower).
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::field;
    ///
    /// let condition = field("status").eq(404) & field("host").lower().eq("example.com");
    /// assert_eq!(condition.to_string(), r#"status = 404 and lower(host) = "example.com""#);
    /// ```
    pub fn eq(self, value: impl Into<Operand>) -> Condition {
        self.is(Comparison::OneOf(vec![value.into().0]))
    }

    /// True if the value is not equal: the opposite of [`eq`](Self::eq).
    pub fn ne(self, value: impl Into<Operand>) -> Condition {
        !self.eq(value)
    }

    /// True if the value is equal to one of these.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// let redirects = evs::field("status").one_of([301, 302, 307, 308]);
    /// ```
    pub fn one_of<O: Into<Operand>>(self, values: impl IntoIterator<Item = O>) -> Condition {
        self.is(Comparison::OneOf(values.into_iter().map(|value| value.into().0).collect()))
    }

    /// True if the value is a number less than this one.
    ///
    /// Numbers compare by their exact decimal value. The number may also be given as a string: `"0.1"`.
    pub fn lt(self, number: impl Into<Operand>) -> Condition {
        self.is(Comparison::Ordered(Order::Less, number.into().into_decimal()))
    }

    /// True if the value is a number at most this one. See [`lt`](Self::lt).
    pub fn le(self, number: impl Into<Operand>) -> Condition {
        self.is(Comparison::Ordered(Order::AtMost, number.into().into_decimal()))
    }

    /// True if the value is a number greater than this one. See [`lt`](Self::lt).
    pub fn gt(self, number: impl Into<Operand>) -> Condition {
        self.is(Comparison::Ordered(Order::Greater, number.into().into_decimal()))
    }

    /// True if the value is a number at least this one. See [`lt`](Self::lt).
    pub fn ge(self, number: impl Into<Operand>) -> Condition {
        self.is(Comparison::Ordered(Order::AtLeast, number.into().into_decimal()))
    }

    /// True if the value begins with the text.
    pub fn starts_with(self, text: impl Into<String>) -> Condition {
        self.is(Comparison::StartsWith(text.into()))
    }

    /// True if the value ends with the text.
    pub fn ends_with(self, text: impl Into<String>) -> Condition {
        self.is(Comparison::EndsWith(text.into()))
    }

    /// True if the text is anywhere in the value.
    pub fn contains(self, text: impl Into<String>) -> Condition {
        self.is(Comparison::Contains(text.into()))
    }

    /// True if the regular expression is found anywhere in the value. Its syntax is that of the crate
    /// [`regex`](https://docs.rs/regex/latest/regex/#syntax); `^` and `$` bind it to the value's ends.
    pub fn matches(self, pattern: impl Into<String>) -> Condition {
        self.is(Comparison::Matches(Pattern::new(pattern.into())))
    }

    /// True if the value is an address, with or without a port, in one of the networks.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// let internal = evs::field("remote_addr").in_network(["10.0.0.0/8", "2001:db8::/32"]);
    /// ```
    pub fn in_network<T: Into<String>>(self, networks: impl IntoIterator<Item = T>) -> Condition {
        self.is(Comparison::in_network(networks.into_iter().map(Into::into).collect()))
    }

    /// True if the line has no such value: `-` or nothing.
    pub fn is_absent(self) -> Condition {
        self.is(Comparison::IsAbsent)
    }
}
