//! Opens the database file, and checks that it stays the same file.
//!
//! A file can be replaced while it is open, for example by restoring a backup over it. SQLite would go on writing to
//! the old file, which has no name any more, and every batch would be acknowledged and lost. So
//! the device and inode that the path has now are compared with those that it had when the file was opened.

use std::{
    fmt, fs,
    path::{self, Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use evs_sql::{Connection, Connector, Dialect, StoreError, Value};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection as _, Row, SqliteConnection, TypeInfo, ValueRef,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqliteRow, SqliteSynchronous},
};

use crate::{dialect::SqliteDialect, errors::sort};

/// The time limit for waiting for another writer.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The pragmas that keep rows from being lost, and the values with which they do: `EXTRA` (3) is stricter than `FULL`
/// (2), and a file system that cannot have a write-ahead log keeps another journal on the disk.
const PRAGMAS: [(&str, &[&str]); 3] = [
    ("PRAGMA journal_mode", &["wal", "delete", "truncate", "persist"]),
    ("PRAGMA synchronous", &["2", "3"]),
    ("PRAGMA locking_mode", &["normal"]),
];

/// Opens a database file.
pub(crate) struct SqliteConnector {
    path: PathBuf,
    options: SqliteConnectOptions,
}

impl SqliteConnector {
    /// A connector for the file at `path`. It does not open the file.
    pub(crate) fn new(path: &Path) -> Self {
        Self::with_options(SqliteConnectOptions::new().filename(path))
    }

    /// A connector for the file that the driver's options name. It does not open the file.
    ///
    /// A relative path is resolved here and only here: a process may change its directory, and each new connection must
    /// find the same file.
    pub(crate) fn with_options(options: SqliteConnectOptions) -> Self {
        let named = options.get_filename();
        let path = path::absolute(named).unwrap_or_else(|_| named.to_owned());
        Self { options: options.filename(&path), path }
    }

    /// Opens the database file. Creates it before if it is missing and `create` is true.
    pub(crate) async fn create(&self, create: bool) -> Result<(), StoreError> {
        self.open(create).await.map(drop)
    }

    async fn open(&self, create: bool) -> Result<SqliteSession, StoreError> {
        check_path(&self.path)?;
        let options = self.options.clone();
        let session = options
            .create_if_missing(create)
            .shared_cache(false)
            .locking_mode(SqliteLockingMode::Normal)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT)
            // Statements have thousands of parameters, and the batch's size and duration are logged elsewhere.
            .disable_statement_logging()
            .connect()
            .await;
        let mut connection = session.map_err(|error| self.explain(&error))?;
        self.check_pragmas(&mut connection).await?;
        let file = FileId::of(&self.path)?;
        Ok(SqliteSession { connection, path: self.path.clone(), file })
    }

    /// Checks that the settings of the connection are those that were asked for: a pragma among the driver's options
    /// may undo them.
    async fn check_pragmas(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        for (pragma, expected) in PRAGMAS {
            let row = sqlx::query(pragma).fetch_one(&mut *connection).await;
            let found = row.and_then(|row| match row.try_get_unchecked::<i64, _>(0) {
                Ok(number) if row.try_get_raw(0)?.type_info().name() == "INTEGER" => Ok(number.to_string()),
                _ => row.try_get_unchecked::<String, _>(0),
            });
            let found = found.map_err(|error| self.explain(&error))?;
            if !expected.contains(&found.as_str()) {
                let path = self.path.display();
                return Err(StoreError::permanent(format!(
                    "{path}: {pragma} is {found} although evs has set it to {}: a pragma of the options undoes that",
                    expected[0]
                )));
            }
        }
        Ok(())
    }

    fn explain(&self, error: &sqlx::Error) -> StoreError {
        let mut error = sort(error);
        error.message = format!("{}: {}", self.path.display(), error.message);
        error
    }
}

/// Explains what SQLite only calls "unable to open database file".
///
/// The file itself is not opened here: closing it would release the locks that other connections of this
/// process hold on it.
fn check_path(path: &Path) -> Result<(), StoreError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let refused = |path: &Path, what| Err(StoreError::permanent(format!("{}: {what}", path.display())));
    match fs::metadata(directory) {
        Ok(found) if !found.is_dir() => return refused(directory, "is not a directory".to_owned()),
        Ok(_) => {}
        Err(error) => return refused(directory, format!("the directory cannot be used: {error}")),
    }
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => refused(path, "is a directory, not a database".to_owned()),
        _ => Ok(()),
    }
}

/// Shows the path alone: the options may contain a key.
impl fmt::Debug for SqliteConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteConnector").field("path", &self.path).finish_non_exhaustive()
    }
}

#[async_trait]
impl Connector for SqliteConnector {
    type Connection = SqliteSession;

    fn dialect(&self) -> &dyn Dialect {
        &SqliteDialect
    }

    /// Opens the file, which must exist: a file that vanished must not be replaced by an empty one.
    async fn connect(&self) -> Result<SqliteSession, StoreError> {
        self.open(false).await
    }
}

/// The identity of the file that a path leads to.
#[derive(Debug, PartialEq, Eq)]
struct FileId {
    #[cfg(unix)]
    device_and_inode: (u64, u64),
}

impl FileId {
    #[cfg(unix)]
    fn of(path: &Path) -> Result<Self, StoreError> {
        use std::os::unix::fs::MetadataExt;

        let found = fs::metadata(path)
            .map_err(|error| StoreError::transient(format!("{}: {error}", path.display())))?;
        Ok(Self { device_and_inode: (found.dev(), found.ino()) })
    }

    /// On other systems an open file cannot be replaced.
    #[cfg(not(unix))]
    fn of(_: &Path) -> Result<Self, StoreError> {
        Ok(Self {})
    }
}

/// A connection. When it is dropped, it ends its running statement and rolls back.
#[derive(Debug)]
pub(crate) struct SqliteSession {
    connection: SqliteConnection,
    path: PathBuf,
    file: FileId,
}

impl SqliteSession {
    /// Checks that the path still leads to the open file. SQLite does not notice when its file is deleted or
    /// replaced, and would go on writing to the old one.
    ///
    /// A file that is gone may come back. A file that was replaced stops the sink: when SQLite closes the old file,
    /// it deletes the `-wal` file by name, and that may belong to the new file by then.
    fn check_file(&self) -> Result<(), StoreError> {
        if FileId::of(&self.path)? == self.file {
            return Ok(());
        }
        let path = self.path.display();
        Err(StoreError::permanent(format!(
            "{path}: another file was put in the place of the one that is open; restart to use it"
        )))
    }

    async fn run(&mut self, sql: &'static str) -> Result<(), StoreError> {
        sqlx::query(sql).execute(&mut self.connection).await.map(drop).map_err(|error| sort(&error))
    }
}

/// Binds a statement's parameters. All of its text is evs's own, with names that were checked.
fn bind(
    sql: &Arc<str>,
    values: Vec<Value>,
) -> sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
    let query = sqlx::query(AssertSqlSafe(Arc::clone(sql)));
    values.into_iter().fold(query, |query, value| match value {
        Value::Null => query.bind(None::<i64>),
        Value::Integer(number) | Value::Time(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
        Value::Hash(hash) => query.bind(hash.to_vec()),
        Value::List(..) => unreachable!("the dialect asks for no lists"),
    })
}

fn read(row: &SqliteRow) -> Result<Vec<Value>, sqlx::Error> {
    let value = |at| {
        let raw = row.try_get_raw(at)?;
        match raw.type_info().name() {
            _ if raw.is_null() => Ok(Value::Null),
            "TEXT" => row.try_get(at).map(Value::Text),
            _ => row.try_get(at).map(Value::Integer),
        }
    };
    (0..row.len()).map(value).collect()
}

#[async_trait]
impl Connection for SqliteSession {
    /// Takes the writer's lock at once. So the transaction reads the newest commit, and no later upgrade of a read
    /// lock can fail.
    async fn begin(&mut self) -> Result<(), StoreError> {
        self.check_file()?;
        self.run("BEGIN IMMEDIATE").await
    }

    async fn execute(&mut self, sql: &Arc<str>, values: Vec<Value>) -> Result<u64, StoreError> {
        let done = bind(sql, values).execute(&mut self.connection).await.map_err(|error| sort(&error))?;
        Ok(done.rows_affected())
    }

    async fn query(&mut self, sql: &Arc<str>, values: Vec<Value>) -> Result<Vec<Vec<Value>>, StoreError> {
        self.check_file()?;
        let rows = bind(sql, values).fetch_all(&mut self.connection).await.map_err(|error| sort(&error))?;
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| sort(&error))
    }

    async fn commit(&mut self) -> Result<(), StoreError> {
        self.run("COMMIT").await
    }

    async fn rollback(&mut self) -> Result<(), StoreError> {
        self.run("ROLLBACK").await
    }

    /// Moves everything from the write-ahead log into the file, which then is the complete database. If several
    /// processes or pipelines use the file, the last one does that.
    async fn close(mut self) -> Result<(), StoreError> {
        self.check_file()?;
        let checkpoint = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut self.connection).await;
        let is_busy = checkpoint.and_then(|row| row.try_get::<i64, _>(0)).map_err(|error| sort(&error))? != 0;
        self.connection.close().await.map_err(|error| sort(&error))?;
        if is_busy {
            let path = self.path.display();
            return Err(StoreError::transient(format!(
                "{path}: somebody else uses the database, so a part of it stays in {path}-wal"
            )));
        }
        Ok(())
    }

    /// SQLITE_MAX_SQL_LENGTH and SQLITE_MAX_LENGTH limit the statement's text and each value, but not the total of
    /// all values.
    fn statement_bytes_max(&self) -> usize {
        usize::MAX
    }
}
