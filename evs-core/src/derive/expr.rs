//! [`Expr`]: a field of a line, or a pure function of some.

use super::{function::Function, time::UtcOffset};
use crate::{
    format::{Number, is_list, is_of_client},
    number::Reading,
};

/// A value of a line: a variable of the format, the line's time, a constant, or a function of such values.
///
/// It is a value itself: it has a text (`path_prefix(uri, 2)`), and two are equal if they have the same text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expr {
    /// A variable of the format.
    Variable(String),
    /// The line's time in seconds since 1970, moved by an offset from UTC.
    Time(UtcOffset),
    /// The path of the log that has the line.
    Log,
    /// The same text in every line.
    Constant(String),
    /// A function of other values.
    Call(Function, Vec<Expr>),
}

/// A value of a line from which others are derived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A variable of the format.
    Variable(String),
    /// The line's time in seconds since 1970, moved by an offset from UTC.
    Time(UtcOffset),
    /// The path of the log that has the line.
    Log,
}

/// The text of a value that is absent.
pub(crate) const ABSENT: &[u8] = b"-";

/// True for the texts that stand for no value.
pub(crate) fn is_absent(text: &[u8]) -> bool {
    matches!(text, b"" | b"-")
}

impl Expr {
    /// A function of one value.
    pub(crate) fn call(self, function: Function) -> Self {
        Self::Call(function, vec![self])
    }

    /// Collects what the value is derived from, each once.
    pub(crate) fn collect_inputs(&self, inputs: &mut Vec<Input>) {
        let input = match self {
            Self::Variable(name) => Input::Variable(name.clone()),
            Self::Time(offset) => Input::Time(*offset),
            Self::Log => Input::Log,
            Self::Constant(_) => return,
            Self::Call(_, values) => {
                values.iter().for_each(|value| value.collect_inputs(inputs));
                return;
            }
        };
        if !inputs.contains(&input) {
            inputs.push(input);
        }
    }

    /// What the value is derived from, each once.
    pub(crate) fn inputs(&self) -> Vec<Input> {
        let mut inputs = Vec::new();
        self.collect_inputs(&mut inputs);
        inputs
    }

    /// Appends the value to `out`. `texts` has the texts of `inputs`.
    ///
    /// It allocates for values within values, so it is for values that are seen for the first time.
    pub(crate) fn write(&self, inputs: &[Input], texts: &[&[u8]], out: &mut Vec<u8>) {
        let text_of = |is_it: &dyn Fn(&Input) -> bool| {
            let at = inputs.iter().position(is_it);
            at.and_then(|at| texts.get(at)).copied().unwrap_or(ABSENT)
        };
        match self {
            Self::Variable(name) => {
                out.extend_from_slice(text_of(
                    &|input| matches!(input, Input::Variable(other) if other == name),
                ));
            }
            Self::Time(offset) => {
                out.extend_from_slice(text_of(
                    &|input| matches!(input, Input::Time(other) if other == offset),
                ));
            }
            Self::Log => out.extend_from_slice(text_of(&|input| *input == Input::Log)),
            Self::Constant(text) => out.extend_from_slice(text.as_bytes()),
            Self::Call(function, values) => {
                let mut held = Vec::new();
                let ends: Vec<usize> = values
                    .iter()
                    .map(|value| {
                        value.write(inputs, texts, &mut held);
                        held.len()
                    })
                    .collect();
                let start = |at: usize| if at == 0 { 0 } else { ends[at - 1] };
                let values: Vec<&[u8]> =
                    ends.iter().enumerate().map(|(at, end)| &held[start(at)..*end]).collect();
                function.write(&values, out);
            }
        }
    }

    /// The variable that the value is, if it is nothing but one.
    pub(crate) fn variable(&self) -> Option<&str> {
        match self {
            Self::Variable(name) => Some(name),
            _ => None,
        }
    }

    /// True if a client chose a part of the value.
    pub(crate) fn is_of_client(&self) -> bool {
        match self {
            Self::Variable(name) => is_of_client(name),
            Self::Time(_) | Self::Log | Self::Constant(_) => false,
            Self::Call(_, values) => values.iter().any(Self::is_of_client),
        }
    }

    /// The way in which the numbers of the value are read.
    pub(crate) fn number(&self, reading: Reading) -> Number {
        let is_of_client = self.is_of_client();
        let may_be_list = |input: &Input| match input {
            Input::Variable(name) => may_be_list(name),
            Input::Time(_) | Input::Log => true,
        };
        Number {
            field: 0,
            // The service that reads an argument of `5m` knows nothing of such units.
            reading: Reading { has_units: !is_of_client, ..reading },
            is_list: self.variable().is_some_and(is_list),
            may_be_list: self.inputs().iter().all(may_be_list),
            is_summed: false,
            is_lenient: false,
            is_deferred: false,
            is_of_client,
            range: i64::MIN..=i64::MAX,
        }
    }

    /// The mistake in the expression, if there is one: a pattern that is none, for example.
    pub(crate) fn mistake(&self) -> Option<String> {
        match self {
            Self::Variable(name) if name.is_empty() => Some("a field without a name".to_owned()),
            Self::Variable(_) | Self::Time(_) | Self::Log | Self::Constant(_) => None,
            Self::Call(function, values) => function
                .mistake()
                .or_else(|| self.mistake_in_time())
                .or_else(|| values.iter().find_map(Self::mistake)),
        }
    }

    /// The mistake in a part of a time, if the value is one. Of a field such as `$time_local` it would be absent in each line.
    fn mistake_in_time(&self) -> Option<String> {
        let Self::Call(Function::TimePart(part), values) = self else { return None };
        let is_time = |value: &Self| matches!(value, Self::Time(_));
        (!values.iter().all(is_time)).then(|| {
            let name = part.name();
            format!("expected {name}(time()), a part of the line's time, or {name}(time(\"+02:00\")) by another clock")
        })
    }

    /// The name of the column of a value that has no other: `uri_path_prefix`, for example.
    pub(crate) fn default_name(&self) -> String {
        match self {
            Self::Variable(name) => name.clone(),
            Self::Time(_) => "time".to_owned(),
            Self::Log => "log".to_owned(),
            Self::Constant(_) => "constant".to_owned(),
            Self::Call(function, values) => match values.first() {
                Some(first) if !function.is_code() => {
                    format!("{}_{}", first.default_name(), function.name())
                }
                _ => function.name().to_owned(),
            },
        }
    }
}

/// True if a text such as `0.001, 0.002` in the field can only be a list. In a header, a comma may mean anything.
fn may_be_list(field: &str) -> bool {
    let headers = ["sent_http_", "sent_trailer_", "upstream_http_", "upstream_trailer_", "upstream_cookie_"];
    !is_of_client(field) && !headers.iter().any(|prefix| field.starts_with(prefix))
}
