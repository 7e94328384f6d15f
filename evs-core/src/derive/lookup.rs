//! [`Lookup`]: a table from texts to texts, for example from the number of a campaign to its customer.

use std::{fmt, path::Path, sync::Arc};

use ahash::HashMap;

use super::code::CodeName;

/// A table from keys to values, by which [`Field::lookup`](crate::Field::lookup) derives a field.
///
/// It is read once, when it is made. Its name and version stand for it in the definition of a statistic: raise the version
/// when the rows that were counted with the old table must not be added to those with the new one. A table that only gets
/// more keys can keep its version.
///
/// ```
/// # extern crate evs_core as evs;
/// use evs::{Lookup, Statistic, arg, count};
///
/// let customers = Lookup::new("customers", 1, [("7", "acme"), ("8", "initech")]);
/// let statistic = Statistic::named("by_customer")
///     .group_by([arg("campaign").lookup(&customers).default("unknown").named("customer")])
///     .measure(count());
/// ```
#[derive(Clone)]
pub struct Lookup {
    pub(crate) name: CodeName,
    values: Arc<HashMap<Vec<u8>, Vec<u8>>>,
}

impl Lookup {
    /// A table of these keys and values. Of two values for one key, the last counts.
    pub fn new<K: Into<Vec<u8>>, V: Into<Vec<u8>>>(
        name: impl Into<String>,
        version: u32,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let entries = entries.into_iter().map(|(key, value)| (key.into(), value.into()));
        Self { name: CodeName { name: name.into(), version }, values: Arc::new(entries.collect()) }
    }

    /// Reads a CSV file (RFC 4180) without a header: the first column has the keys, the second the values. Further columns
    /// are ignored, as are blanks around a field and lines that begin with `#`.
    ///
    /// # Errors
    ///
    /// Fails with the line if the file cannot be read, a line has one column only, or a key stands there twice with
    /// different values.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// # let directory = tempfile::tempdir()?;
    /// # let path = directory.path().join("customers.csv");
    /// std::fs::write(&path, "7,acme\n8,\"Smith, Wesson\"\n")?;
    /// let customers = evs::Lookup::from_csv("customers", 1, &path)?;
    /// assert_eq!(customers.len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_csv(
        name: impl Into<String>,
        version: u32,
        path: impl AsRef<Path>,
    ) -> Result<Self, LookupError> {
        let path = path.as_ref();
        let wrong = |line: Option<u64>, reason: String| LookupError {
            place: line.map_or_else(|| format!("{path:?}"), |line| format!("{path:?} line {line}")),
            reason,
        };
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .comment(Some(b'#'))
            .trim(csv::Trim::All)
            .from_path(path)
            .map_err(|error| wrong(None, error.to_string()))?;
        let mut values: HashMap<Vec<u8>, Vec<u8>> = HashMap::default();
        for record in reader.byte_records() {
            let record = record
                .map_err(|error| wrong(error.position().map(csv::Position::line), error.to_string()))?;
            let line = record.position().map(csv::Position::line);
            let (Some(key), Some(value)) = (record.get(0), record.get(1)) else {
                return Err(wrong(line, "expected two columns: a key and its value".to_owned()));
            };
            let held = values.entry(key.to_vec()).or_insert_with(|| value.to_vec());
            if held != value {
                let key = String::from_utf8_lossy(key);
                return Err(wrong(line, format!("the key {key:?} has another value above")));
            }
        }
        Ok(Self { name: CodeName { name: name.into(), version }, values: Arc::new(values) })
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// True if the table has no keys.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.values.get(key).map(Vec::as_slice)
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup").field("name", &self.name).field("len", &self.len()).finish()
    }
}

// The name and the version stand for the table.
impl PartialEq for Lookup {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Lookup {}

/// A table for [`Lookup`] cannot be read: the file, the line if there is one, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupError {
    place: String,
    reason: String,
}

impl fmt::Display for LookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the table in {}: {}", self.place, self.reason)
    }
}

impl std::error::Error for LookupError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Lookup, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("table.csv");
        std::fs::write(&path, text).unwrap();
        Lookup::from_csv("t", 1, &path)
            .map_err(|error| error.to_string().replace(&format!("{path:?}"), "FILE"))
    }

    #[test]
    fn a_table_is_read_from_csv() {
        let table = read("# campaigns\n7, acme\n8,\"Smith, Wesson\",more\n\n7,acme\n").unwrap();
        assert_eq!(table.len(), 2);
        assert_eq!(table.get(b"7"), Some(&b"acme"[..]));
        assert_eq!(table.get(b"8"), Some(&b"Smith, Wesson"[..]));
        assert_eq!(table.get(b"9"), None);
    }

    #[test]
    fn mistakes_in_a_table_have_their_line() {
        assert_eq!(
            read("7,a\n8\n").unwrap_err(),
            "the table in FILE line 2: expected two columns: a key and its value"
        );
        assert_eq!(
            read("7,a\n7,b\n").unwrap_err(),
            "the table in FILE line 2: the key \"7\" has another value above"
        );
        let missing = Lookup::from_csv("t", 1, "/no/such/file").unwrap_err().to_string();
        assert!(missing.starts_with("the table in \"/no/such/file\": No such file"), "{missing}");
    }
}
