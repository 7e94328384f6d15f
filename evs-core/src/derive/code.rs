//! Functions of the user's own code, under a name and a version.

use std::{fmt, sync::Arc};

/// A pure function from the texts of some fields to a text.
type Write = dyn Fn(&[&[u8]], &mut Vec<u8>) + Send + Sync;
/// A pure function from the texts of some fields to yes or no.
type Judge = dyn Fn(&[&[u8]]) -> bool + Send + Sync;

/// The name and version under which code stands in a definition. Code cannot be compared, so its author says by the version
/// when it means something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CodeName {
    pub(crate) name: String,
    pub(crate) version: u32,
}

impl CodeName {
    /// The mistake in the name, if there is one. The name stands in definitions like that of a function.
    pub(crate) fn mistake(&self) -> Option<String> {
        let is_word = |name: &str| {
            name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        (!is_word(&self.name)).then(|| {
            format!("{:?} is no name of a function: letters, digits and _, the first a letter", self.name)
        })
    }
}

/// Code that makes a text of the texts of some fields.
#[derive(Clone)]
pub(crate) struct WriteCode {
    pub(crate) name: CodeName,
    pub(crate) call: Arc<Write>,
}

/// Code that says yes or no to the texts of some fields.
#[derive(Clone)]
pub(crate) struct JudgeCode {
    pub(crate) name: CodeName,
    pub(crate) call: Arc<Judge>,
}

impl fmt::Debug for WriteCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl fmt::Debug for JudgeCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

// The name and the version stand for the code.
impl PartialEq for WriteCode {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for WriteCode {}

impl PartialEq for JudgeCode {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for JudgeCode {}
