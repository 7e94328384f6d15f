//! The fields of a record, by the names that nginx gives them.

/// A field of a record, by the name that nginx gives it.
///
/// [`field`] and [`arg`] make one. A plain string can be used wherever a field is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    variable: String,
    name: Option<String>,
}

/// The field that nginx calls `$name`, for example `status` or `request_time`.
pub fn field(name: impl Into<String>) -> Field {
    Field { variable: name.into(), name: None }
}

/// The query argument that nginx calls `$arg_name`, percent-decoded.
pub fn arg(name: impl AsRef<str>) -> Field {
    field(format!("arg_{}", name.as_ref()))
}

impl Field {
    /// Names the column of the field. By default, the column has the name of the field.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The nginx variable that holds the field, without its `$`.
    pub fn variable(&self) -> &str {
        &self.variable
    }

    /// The name of the field's column.
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
