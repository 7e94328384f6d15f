//! [`Field`]: the name of a value of the line, and the name of its column.

/// A field of a record, by the name that nginx gives it.
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
/// assert_eq!((campaign.variable(), campaign.name()), ("arg_c", "campaign"));
/// assert_eq!(field("status").name(), "status");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    variable: String,
    name: Option<String>,
}

/// The field that nginx calls `$name`, for example `status` or `request_time`.
///
/// Nothing is checked here. [`PipelineBuilder::build`](crate::PipelineBuilder::build) returns
/// [`FormatError::NoField`](crate::FormatError::NoField) if the format neither has the field nor can derive it.
pub fn field(name: impl Into<String>) -> Field {
    Field { variable: name.into(), name: None }
}

/// The query argument that nginx calls `$arg_name`, percent-decoded.
///
/// As in nginx, case does not matter in the name, and the first argument of a name counts: in `?c=1&C=2` it is `1`. An
/// argument without a value (`?c=`) is the empty text, and one that is not there is `-`.
pub fn arg(name: impl AsRef<str>) -> Field {
    field(format!("arg_{}", name.as_ref()))
}

impl Field {
    /// Names the column of the field. By default, the column has the name of the field.
    ///
    /// A column's name has 1 to 63 letters, digits and `_`, and begins with a letter. So a field such as the JSON key
    /// `request.method` needs a name of its own.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The name that nginx gives the field, such as `arg_c`.
    pub fn variable(&self) -> &str {
        &self.variable
    }

    /// The name of the field's column: the one that [`named`](Self::named) has set, else that of the field.
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.variable)
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
