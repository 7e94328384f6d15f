//! Converts rows of a batch to updates, and documents to rows.
//!
//! The statement of a row that adds 5 to `count`, in batch 7:
//!
//! ```text
//! { q: { _id: "1795872300|spring", "_evs.m5a1c…": { $not: { $gte: 7 } } },
//!   u: { $inc: { count: 5 }, $set: { "_evs.m5a1c…": 7 }, $setOnInsert: { window_start: …, campaign: "spring" } },
//!   upsert: true }
//! ```
//!
//! `$not: { $gte: 7 }` and not `$lt: 7`, because a document that another source has made has no such mark, and must
//! match.

use std::{
    borrow::Cow,
    ops::{Range, RangeInclusive},
};

use evs_core::{Batch, MeasureKind, Row, RowCursor, Rows, Schema, SinkError, escape, unescape};
use mongodb::bson::{
    DateTime, Document, doc,
    raw::{BindRawBsonRef, CStr, CString, RawArrayBuf, RawBsonRef, RawDocument, RawDocumentBuf, cstr},
};

use crate::{
    fields::{Fields, Measure},
    identity,
    names::{MARKS, WINDOW_START},
    server::Limits,
};

/// The number of statements in a command. More would not be faster.
const STATEMENTS_MAX: usize = 1000;

/// The years 1 to 9999. A date could hold more, but most drivers and tools could not read it.
pub(crate) const WINDOWS: RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// The limit on all keys of a row together, escaped: well below the 16 MiB of a document, which is in its statement
/// twice.
pub(crate) const KEYS_BYTES_MAX: usize = 4 << 20;

/// The most bytes that an element of an array takes beside its contents.
const ELEMENT_BYTES: usize = 16;

/// Refuses a batch with a value or a window that a document cannot hold, before anything is written.
///
/// MongoDB would keep a decimal of more than 34 digits rounded, without an error. So evs has to look at each value
/// itself.
pub(crate) fn check(fields: &Fields, rows: &Rows) -> Result<(), SinkError> {
    let mut cursor = rows.cursor();
    while let Some(row) = cursor.next_row() {
        if !WINDOWS.contains(&row.window_start) {
            let place = place(&fields.schema, &row, WINDOW_START);
            return Err(SinkError::refused(format!(
                "{place}: only dates of the years 1 to 9999 can be read everywhere"
            )));
        }
        for (measure, value) in fields.measures.iter().zip(row.values) {
            if let Some(value) = value.filter(|value| measure.encode(*value).is_none()) {
                let place = place(&fields.schema, &row, measure.name.as_str());
                let room = if measure.kind == MeasureKind::Count { "64 bits" } else { "34 digits" };
                return Err(SinkError::refused(format!("{place}: {value} does not fit into {room}")));
            }
        }
    }
    Ok(())
}

fn place(schema: &Schema, row: &Row<'_>, field: &str) -> String {
    let short = |key: &&[u8]| escape(key).chars().take(60).collect::<String>();
    let keys = row.keys.iter().map(short).collect::<Vec<_>>();
    let (statistic, window) = (&schema.statistic, row.window_start);
    format!("statistic {statistic}: {field} of window {window}, keys {keys:?}")
}

/// The common parts of a batch's updates.
pub(crate) struct Stream {
    /// The stream's mark, as a path: `_evs.m…`.
    pub(crate) path: CString,
    /// The mark's name within [`MARKS`].
    pub(crate) mark: CString,
    /// The batch's sequence.
    pub(crate) sequence: i64,
}

impl Stream {
    /// The common parts of the updates of `batch`.
    pub(crate) fn of(batch: &Batch) -> Result<Self, SinkError> {
        let Batch { source, epoch, sequence, .. } = batch;
        let refused = |what| {
            let statistic = batch.statistic();
            SinkError::refused(format!("statistic {statistic}: batch {sequence} of source {source}: {what}"))
        };
        let no_name = |_| refused("the mark is no name");
        let mark = CString::try_from(identity::mark(source, *epoch)).map_err(no_name)?;
        let path = CString::try_from(format!("{MARKS}.{mark}")).map_err(no_name)?;
        let sequence =
            i64::try_from(*sequence).map_err(|_| refused("the sequence does not fit into 64 bits"))?;
        Ok(Self { path, mark, sequence })
    }
}

/// One guarded upsert: `{q, u, upsert: true}`.
///
/// It adds a row to its document, unless the document's mark says that an attempt has done so already. A request of
/// an abandoned attempt may arrive late, even after the batch and its successors were applied. That is harmless:
/// marks only grow, so the request finds one that is not below its own.
///
/// If the retention removed the document in the meantime, the request makes it again, with what it adds. The new
/// document is as old as the removed one, and is removed in the same way.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    window_start: i64,
    raw: RawDocumentBuf,
}

impl Statement {
    fn new(fields: &Fields, stream: &Stream, row: &Row<'_>) -> Self {
        let mut query = RawDocumentBuf::new();
        query.append(cstr!("_id"), identity::document(row.window_start, row.keys));
        // A document without the mark matches this, too. It would not match {$lt: n}.
        query.append(&stream.path, not(cstr!("$gte"), stream.sequence));
        let mut set = RawDocumentBuf::new();
        set.append(&stream.path, stream.sequence);
        let (mut add, mut min, mut max) =
            (RawDocumentBuf::new(), RawDocumentBuf::new(), RawDocumentBuf::new());
        for (measure, value) in fields.measures.iter().zip(row.values) {
            // An absent value leaves the field unchanged or missing. The others were checked to fit.
            let Some((value, number)) = value.and_then(|value| Some((value, measure.encode(value)?))) else {
                continue;
            };
            match measure.kind {
                MeasureKind::Count | MeasureKind::Sum => add.append(&measure.name, number),
                MeasureKind::Min => min.append(&measure.name, number),
                MeasureKind::Max => max.append(&measure.name, number),
                kind => unreachable!("`names::check` refuses {kind:?}"),
            }
            if let Some((operator, bound)) = measure.range_guard(value) {
                query.append(&measure.name, not(operator, bound));
            }
        }
        let mut insert = RawDocumentBuf::new();
        insert.append(cstr!("window_start"), DateTime::from_millis(row.window_start * 1000));
        for (name, key) in fields.keys.iter().zip(row.keys) {
            insert.append(name, &*escape(key));
        }
        let mut update = RawDocumentBuf::new();
        let changes = [
            (cstr!("$inc"), add),
            (cstr!("$min"), min),
            (cstr!("$max"), max),
            (cstr!("$set"), set),
            (cstr!("$setOnInsert"), insert),
        ];
        for (operator, fields) in changes {
            // Servers before 5.0 refuse an operator without fields.
            if !fields.is_empty() {
                update.append(operator, fields);
            }
        }
        let mut statement = RawDocumentBuf::new();
        statement.append(cstr!("q"), query);
        statement.append(cstr!("u"), update);
        statement.append(cstr!("upsert"), true);
        Self { window_start: row.window_start, raw: statement }
    }

    /// The start of the document's window.
    pub(crate) fn window_start(&self) -> i64 {
        self.window_start
    }

    /// The document that the statement makes if there is none.
    fn document(&self, stream: &Stream) -> RawDocumentBuf {
        let mut document = RawDocumentBuf::new();
        document.append(cstr!("_id"), self.id());
        for operator in ["$setOnInsert", "$inc", "$min", "$max"] {
            let fields = self.part("u").and_then(|update| update.get_document(operator).ok());
            for (name, value) in fields.into_iter().flatten().flatten() {
                document.append(name, value);
            }
        }
        let mut marks = RawDocumentBuf::new();
        marks.append(&stream.mark, stream.sequence);
        document.append(MARKS, marks);
        document
    }

    /// The document's `_id`.
    pub(crate) fn id(&self) -> &str {
        self.part("q").and_then(|query| query.get_str("_id").ok()).unwrap_or_default()
    }

    /// The value that the statement adds to a field.
    pub(crate) fn added(&self, field: &str) -> Option<RawBsonRef<'_>> {
        self.part("u")?.get_document("$inc").ok()?.get(field).ok()?
    }

    /// True if the statement makes the document if there is none.
    pub(crate) fn is_upsert(&self) -> bool {
        self.raw.get_bool("upsert").unwrap_or_default()
    }

    /// The same statement, which makes a missing document if `upsert` is true.
    pub(crate) fn with_upsert(&self, upsert: bool) -> Self {
        let mut statement = RawDocumentBuf::new();
        for (name, part) in [(cstr!("q"), self.part("q")), (cstr!("u"), self.part("u"))] {
            if let Some(part) = part {
                statement.append(name, part);
            }
        }
        statement.append(cstr!("upsert"), upsert);
        Self { window_start: self.window_start, raw: statement }
    }

    fn part(&self, name: &str) -> Option<&RawDocument> {
        self.raw.get_document(name).ok()
    }
}

/// `{$not: {OPERATOR: value}}`.
fn not(operator: &CStr, value: impl BindRawBsonRef) -> RawDocumentBuf {
    let mut inner = RawDocumentBuf::new();
    inner.append(operator, value);
    let mut outer = RawDocumentBuf::new();
    outer.append(cstr!("$not"), inner);
    outer
}

/// Makes one command of updates from statements.
pub(crate) fn update_command(
    collection: &str,
    statements: &[Statement],
    concern: &RawDocument,
) -> RawDocumentBuf {
    let updates = statements.iter().map(|statement| &*statement.raw);
    command(cstr!("update"), collection, cstr!("updates"), updates, concern)
}

/// Makes one command from statements that inserts the documents that they would make.
pub(crate) fn insert_command(
    collection: &str,
    statements: &[Statement],
    stream: &Stream,
    concern: &RawDocument,
) -> RawDocumentBuf {
    let documents = statements.iter().map(|statement| statement.document(stream));
    command(cstr!("insert"), collection, cstr!("documents"), documents, concern)
}

/// Makes a command of parts. The server tries each part even if others fail.
fn command(
    name: &CStr,
    collection: &str,
    parts_name: &CStr,
    parts: impl Iterator<Item: BindRawBsonRef>,
    concern: &RawDocument,
) -> RawDocumentBuf {
    let mut array = RawArrayBuf::new();
    for part in parts {
        array.push(part);
    }
    let mut command = RawDocumentBuf::new();
    command.append(name, collection);
    command.append(parts_name, array);
    command.append(cstr!("ordered"), false);
    command.append(cstr!("writeConcern"), concern);
    command
}

/// Turns rows into statements, as many at a time as fit into a command. That bounds the memory that a batch takes
/// here.
pub(crate) struct Statements<'b> {
    fields: &'b Fields,
    stream: &'b Stream,
    limits: Limits,
    cursor: RowCursor<'b>,
    /// The statement that did not fit into the last command.
    left: Option<Statement>,
    newest_window: Option<i64>,
}

impl<'b> Statements<'b> {
    /// Statements for `rows`, in commands within `limits`.
    pub(crate) fn new(fields: &'b Fields, stream: &'b Stream, limits: Limits, rows: &'b Rows) -> Self {
        Self { fields, stream, limits, cursor: rows.cursor(), left: None, newest_window: None }
    }

    /// The start of the newest window of all rows so far.
    pub(crate) fn newest_window(&self) -> Option<i64> {
        self.newest_window
    }

    /// The statements of the next command. Empty after the last one.
    pub(crate) fn next_command(&mut self) -> Result<Vec<Statement>, SinkError> {
        let statements_max = STATEMENTS_MAX.min(self.limits.statements_max);
        let bytes_max = self.limits.statements_bytes_max;
        let mut statements = Vec::with_capacity(statements_max);
        let mut bytes = 0;
        while statements.len() < statements_max {
            let Some(statement) = self.next_statement() else { break };
            let statement_bytes = statement.raw.as_bytes().len() + ELEMENT_BYTES;
            if statement_bytes > bytes_max {
                let (name, id) = (&self.fields.schema.statistic, statement.id());
                return Err(SinkError::refused(format!(
                    "statistic {name}: the row {id} takes {statement_bytes} bytes, which does not fit into a \
                     command of {bytes_max} bytes"
                )));
            }
            bytes += statement_bytes;
            if bytes > bytes_max {
                self.left = Some(statement);
                break;
            }
            statements.push(statement);
        }
        Ok(statements)
    }

    fn next_statement(&mut self) -> Option<Statement> {
        if let Some(left) = self.left.take() {
            return Some(left);
        }
        let row = self.cursor.next_row()?;
        self.newest_window = self.newest_window.max(Some(row.window_start));
        Some(Statement::new(self.fields, self.stream, &row))
    }
}

/// The query for the documents whose windows start within `windows`. `None` if there can be none.
///
/// Dates outside of the years 1 to 9999 exist in BSON, and many tools cannot read them, so evs has no such windows.
pub(crate) fn filter(windows: &Range<i64>) -> Option<Document> {
    if windows.is_empty() || windows.end <= *WINDOWS.start() || windows.start > *WINDOWS.end() {
        return None;
    }
    let date = |seconds: i64| DateTime::from_millis(seconds * 1000);
    let mut range = Document::new();
    // No bounds are sent that no document reaches: servers need not understand them.
    if windows.start > *WINDOWS.start() {
        range.insert("$gte", date(windows.start));
    }
    if windows.end <= *WINDOWS.end() {
        range.insert("$lt", date(windows.end));
    }
    Some(if range.is_empty() {
        range
    } else {
        doc! { WINDOW_START: range }
    })
}

/// The rows of the documents that were found, sorted by window and keys.
pub(crate) fn read(fields: &Fields, found: &[RawDocumentBuf]) -> Result<Rows, SinkError> {
    let mut sorted = Vec::with_capacity(found.len());
    for document in found {
        sorted.push(parse(fields, document).ok_or_else(|| {
            let statistic = &fields.schema.statistic;
            SinkError::refused(format!(
                "a document of the collection {statistic} cannot be read: {document:?}"
            ))
        })?);
    }
    // Sorted by the keys' bytes, because the server sorts by their escaped texts.
    sorted.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let mut rows = Rows::new(fields.keys.len(), fields.measures.len());
    for (window, keys, values) in &sorted {
        rows.push(*window, keys.iter().map(|key| &**key), values);
    }
    Ok(rows)
}

/// The window's start, the keys' bytes and the values.
type ReadRow<'r> = (i64, Vec<Cow<'r, [u8]>>, Vec<Option<i128>>);

fn parse<'r>(fields: &Fields, document: &'r RawDocument) -> Option<ReadRow<'r>> {
    let millis = document.get_datetime(WINDOW_START).ok()?.timestamp_millis();
    let key = |name: &CString| unescape(document.get_str(name.as_str()).ok()?);
    let keys = fields.keys.iter().map(key).collect::<Option<_>>()?;
    let value = |measure: &Measure| match document.get(measure.name.as_str()).ok()? {
        Some(field) => measure.decode(field).map(Some),
        None => Some(None),
    };
    let values = fields.measures.iter().map(value).collect::<Option<_>>()?;
    (millis % 1000 == 0).then_some((millis / 1000, keys, values))
}
