//! The texts of fields and conditions, as they stand in definitions.
//!
//! A text is read again by [`parse`](super::parse), except for code and tables, which have a name and a version only.

use std::fmt::{self, Display, Formatter, Write};

use super::{
    code::CodeName,
    compare::{Comparison, Constant, Decimal},
    condition::{Condition, Test},
    expr::Expr,
    function::Function,
    parse::is_word,
};
use crate::sketch::LG_REGISTERS;

/// A text in quotes.
struct Quoted<'t>(&'t str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() => write!(f, "\\u{{{:x}}}", u32::from(c))?,
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}

/// Writes items, with commas between them.
fn list<T: Display>(f: &mut Formatter<'_>, items: impl IntoIterator<Item = T>) -> fmt::Result {
    for (at, item) in items.into_iter().enumerate() {
        write!(f, "{}{item}", if at == 0 { "" } else { ", " })?;
    }
    Ok(())
}

impl Display for CodeName {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl Display for Expr {
    /// A variable whose name is no word, such as a JSON key with a blank, is written as `field("…")` within an expression.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) if is_word(name) => f.write_str(name),
            Self::Variable(name) => write!(f, "field({})", Quoted(name)),
            Self::Time(offset) if offset.is_utc() => f.write_str("time()"),
            Self::Time(offset) => write!(f, "time(\"{offset}\")"),
            Self::Log => f.write_str("log()"),
            Self::Constant(text) => Quoted(text).fmt(f),
            Self::Call(Function::Code(code), values) => {
                write!(f, "{}(", code.name)?;
                list(f, values)?;
                f.write_char(')')
            }
            Self::Call(function, values) => {
                write!(f, "{}(", function.name())?;
                list(f, values)?;
                match function {
                    Function::Truncate(number) | Function::PathPrefix(number) => write!(f, ", {number}")?,
                    Function::Network(v4, v6) => write!(f, ", {v4}, {v6}")?,
                    Function::Replace(pattern, with) => {
                        write!(f, ", {}, {}", Quoted(&pattern.text), Quoted(with))?;
                    }
                    Function::Lookup(lookup) => write!(f, ", {}", lookup.name)?,
                    Function::Bucket(histogram) => write!(f, ", {}", histogram.alpha)?,
                    Function::DistinctSlot | Function::DistinctRank => write!(f, ", {LG_REGISTERS}")?,
                    Function::Default(text) => write!(f, ", {}", Quoted(text))?,
                    _ => {}
                }
                f.write_char(')')
            }
        }
    }
}

impl Expr {
    /// The text in a definition. A variable alone stands as it is, whatever characters it has: so definitions are written
    /// since there have been no expressions.
    pub(crate) fn definition(&self) -> String {
        match self {
            Self::Variable(name) if !name.contains(['(', '"']) => name.clone(),
            expr => expr.to_string(),
        }
    }
}

impl Display for Decimal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Display for Constant {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => Quoted(text).fmt(f),
            Self::Number(decimal) => decimal.fmt(f),
        }
    }
}

/// Writes a comparison of a value, or its opposite.
fn comparison(f: &mut Formatter<'_>, value: &Expr, comparison: &Comparison, is_not: bool) -> fmt::Result {
    let word = match comparison {
        Comparison::OneOf(constants) if constants.len() == 1 => {
            return write!(f, "{value} {} {}", if is_not { "!=" } else { "=" }, constants[0]);
        }
        Comparison::IsAbsent => {
            return write!(f, "{value} is {}", if is_not { "present" } else { "absent" });
        }
        Comparison::OneOf(_) => "in",
        Comparison::Ordered(order, _) => order.sign(),
        Comparison::StartsWith(_) => "starts_with",
        Comparison::EndsWith(_) => "ends_with",
        Comparison::Contains(_) => "contains",
        Comparison::Matches(_) => "matches",
        Comparison::InNetwork(_) => "in_network",
    };
    match (comparison, is_not) {
        (Comparison::Ordered(..), true) => write!(f, "not {value} {word} ")?,
        (_, true) => write!(f, "{value} not {word} ")?,
        (_, false) => write!(f, "{value} {word} ")?,
    }
    match comparison {
        Comparison::OneOf(constants) => {
            f.write_char('(')?;
            list(f, constants)?;
            f.write_char(')')
        }
        Comparison::Ordered(_, decimal) => decimal.fmt(f),
        Comparison::StartsWith(text) | Comparison::EndsWith(text) | Comparison::Contains(text) => {
            Quoted(text).fmt(f)
        }
        Comparison::Matches(pattern) => Quoted(&pattern.text).fmt(f),
        Comparison::InNetwork(networks) => match &networks[..] {
            [(text, _)] => Quoted(text).fmt(f),
            networks => {
                f.write_char('(')?;
                list(f, networks.iter().map(|(text, _)| Quoted(text)))?;
                f.write_char(')')
            }
        },
        Comparison::IsAbsent => Ok(()),
    }
}

impl Display for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compare(value, about) => comparison(f, value, about, false),
            Self::Code(code, values) => {
                write!(f, "{}(", code.name)?;
                list(f, values)?;
                f.write_char(')')
            }
            Self::Not(test) => match &**test {
                Self::Compare(value, about) => comparison(f, value, about, true),
                test @ Self::Code(..) => write!(f, "not {test}"),
                test => write!(f, "not ({test})"),
            },
            Self::All(tests) => {
                for (at, test) in tests.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { " and " })?;
                    match test {
                        Self::Any(_) => write!(f, "({test})")?,
                        test => test.fmt(f)?,
                    }
                }
                Ok(())
            }
            Self::Any(tests) => {
                for (at, test) in tests.iter().enumerate() {
                    write!(f, "{}{test}", if at == 0 { "" } else { " or " })?;
                }
                Ok(())
            }
        }
    }
}

/// Writes the text that is read again by `parse`, except for code, which has a name and a version only.
impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
