//! Creates collections and indexes, and checks existing ones.
//!
//! The collections are created explicitly, although MongoDB would create them at the first insert: otherwise a
//! typing error in the name of the database would silently make new ones, and `create(false)` would have no effect.

use std::collections::HashMap;

use evs_core::{Schema, SinkError};
use evs_store::{CATALOGUE, Failure, PROGRESS, StoreError, WRITERS, Words};
use mongodb::bson::{DateTime, Document, doc};

use crate::{
    errors::{self, DUPLICATE_KEY, failed, integer},
    names::{self, WINDOW_START},
    server::Server,
};

/// The longest time that a TTL index can be given.
const RETAIN_SECONDS_MAX: u64 = 0x7FFF_FFFF;

/// The number of times that another writer may create the same collection or index at the same moment before this
/// gives up.
const ROUNDS_MAX: usize = 5;

/// Creates the collection of a statistic, or checks it.
///
/// The entry in the catalogue is written last: a collection without one is empty, and the next attempt uses it.
pub(crate) async fn statistic(server: &Server, schema: &Schema, create: bool) -> Result<(), Failure> {
    names::check(schema)?;
    let statistic = &schema.statistic;
    let names = [PROGRESS, WRITERS, CATALOGUE, statistic];
    let found = collections(server, &names).await?;
    let known = definition(server, statistic).await?;
    if let Some(definition) = &known {
        Words::COLLECTIONS.extension(definition, schema)?;
        if !found.contains_key(statistic) {
            return Err(gone(statistic).into());
        }
    }
    for name in names {
        match found.get(name) {
            Some(collection) => check(name, collection)?,
            None if create => make(server, name).await?,
            None => {
                let database = server.database_name();
                return Err(SinkError::refused(format!(
                    "the collection {name} is not in the database {database}, and evs is not to make it: \
                     db.createCollection({name:?})"
                ))
                .into());
            }
        }
    }
    retention(server, schema, create).await?;
    match known {
        Some(definition) => extend(server, schema, definition).await,
        None => enter(server, schema).await,
    }
}

/// Checks that the statistic was prepared. It changes nothing.
pub(crate) async fn check_known(server: &Server, schema: &Schema) -> Result<(), Failure> {
    names::check(schema)?;
    let statistic = &schema.statistic;
    let Some(definition) = definition(server, statistic).await? else {
        return Err(Words::COLLECTIONS.not_prepared(statistic).into());
    };
    Words::COLLECTIONS.compare(&definition, schema)?;
    match collections(server, &[statistic]).await?.get(statistic) {
        Some(collection) => Ok(check(statistic, collection)?),
        None => Err(gone(statistic).into()),
    }
}

fn gone(statistic: &str) -> SinkError {
    let how = format!("deleting the documents of {statistic} from {CATALOGUE} and {PROGRESS}");
    Words::COLLECTIONS.gone(statistic, &how)
}

/// Reads the server's description of those of the collections that exist.
async fn collections(server: &Server, names: &[&str]) -> Result<HashMap<String, Document>, Failure> {
    let command = doc! { "listCollections": 1, "filter": { "name": { "$in": names } } };
    let found = list(server, command).await?;
    Ok(found.into_iter().filter_map(|one| Some((one.get_str("name").ok()?.to_owned(), one))).collect())
}

async fn list(server: &Server, command: Document) -> Result<Vec<Document>, Failure> {
    let mut cursor = server.database().await?.run_cursor_command(command).await.map_err(failed)?;
    let mut found = Vec::new();
    while cursor.advance().await.map_err(failed)? {
        found.push(cursor.deserialize_current().map_err(failed)?);
    }
    Ok(found)
}

/// Refuses a collection that would lose documents, or take different keys for the same key.
fn check(name: &str, collection: &Document) -> Result<(), SinkError> {
    let refused = |what: &str| Err(SinkError::refused(format!("the collection {name} {what}")));
    match collection.get_str("type") {
        Ok("collection") | Err(_) => {}
        Ok(other) => return refused(&format!("is a {other}")),
    }
    let Ok(options) = collection.get_document("options") else { return Ok(()) };
    if options.get_bool("capped").unwrap_or_default() {
        return refused("is capped: it would drop documents when it is full");
    }
    let collation =
        options.get_document("collation").ok().and_then(|collation| collation.get_str("locale").ok());
    match collation {
        None | Some("simple") => Ok(()),
        Some(locale) => refused(&format!(
            "has a collation ({locale}): keys that it takes for equal would be added up; it must have none"
        )),
    }
}

async fn make(server: &Server, name: &str) -> Result<(), Failure> {
    let command = doc! { "create": name, "writeConcern": server.write_concern() };
    match change(server, command).await {
        // Another source was faster.
        Err((Some(errors::NAMESPACE_EXISTS), _)) => Ok(()),
        answer => answer.map_err(|(_, failure)| failure),
    }
}

/// Runs a command that changes something, and returns after the majority has it. An error comes with the server's
/// code.
async fn change(server: &Server, command: Document) -> Result<(), (Option<i32>, Failure)> {
    let database = server.database().await.map_err(|failure| (None, failure))?;
    let reply = database.run_command(command).await.map_err(|error| (errors::code(&error), failed(error)))?;
    errors::of_write_concern(&reply).map_or(Ok(()), |error| Err((None, error.into())))
}

/// Gives the collection the index on `window_start` that fits the schema's retention: one by which the server removes
/// old documents, or a plain one.
async fn retention(server: &Server, schema: &Schema, create: bool) -> Result<(), Failure> {
    let Schema { statistic, retain_seconds, .. } = schema;
    let wanted = retain_seconds.map(|seconds| match i64::try_from(seconds) {
        Ok(whole) if seconds <= RETAIN_SECONDS_MAX => Ok(whole),
        _ => Err(SinkError::refused(format!(
            "statistic {statistic}: a retention of {seconds} s is longer than MongoDB can be told \
             ({RETAIN_SECONDS_MAX} s): leave it out to keep windows for ever"
        ))),
    });
    let wanted = wanted.transpose()?;
    for _ in 0..ROUNDS_MAX {
        let found = window_index(server, statistic).await?;
        let held = found.as_ref().map(|index| index.expires);
        if held == Some(wanted) {
            return Ok(());
        }
        if !create {
            // Without a retention the index only makes queries faster.
            return if held.flatten() == wanted {
                Ok(())
            } else {
                Err(not_ours(statistic, held.flatten(), wanted))
            };
        }
        let answer = match (found, wanted) {
            // Servers from 5.1 on can turn a plain index into one that expires documents. No server can turn it back.
            (Some(Index { name, expires: Some(_) }), Some(seconds)) => {
                expire_after(server, statistic, &name, seconds).await
            }
            (Some(Index { name, .. }), _) => {
                change(server, doc! { "dropIndexes": statistic, "index": name }).await
            }
            (None, _) => make_index(server, statistic, wanted).await,
        };
        match answer {
            // This may take two steps, and another source may act between them.
            Ok(()) | Err((Some(errors::INDEX_NOT_FOUND), _)) => {}
            Err((_, failure)) => return Err(failure),
        }
    }
    Err(StoreError::transient(format!(
        "the index of {statistic} on {WINDOW_START} is changed by others, too"
    ))
    .into())
}

fn not_ours(statistic: &str, held: Option<i64>, wanted: Option<i64>) -> Failure {
    let show =
        |seconds: Option<i64>| seconds.map_or("for ever".to_owned(), |seconds| format!("for {seconds} s"));
    let options = wanted.map_or(String::new(), |seconds| format!(", {{expireAfterSeconds: {seconds}}}"));
    SinkError::refused(format!(
        "the collection {statistic} keeps documents {}, but the statistic says {}, and evs is not to change it: \
         db.{statistic}.dropIndex({{{WINDOW_START}: 1}}) if there is one, and \
         db.{statistic}.createIndex({{{WINDOW_START}: 1}}{options})",
        show(held),
        show(wanted)
    ))
    .into()
}

/// The index on `window_start`.
struct Index {
    name: String,
    /// The number of seconds after which the index removes documents.
    expires: Option<i64>,
}

async fn window_index(server: &Server, statistic: &str) -> Result<Option<Index>, Failure> {
    let indexes = list(server, doc! { "listIndexes": statistic }).await?;
    let index = indexes.into_iter().find(|index| {
        let partial = index.contains_key("partialFilterExpression") || index.contains_key("collation");
        !partial && index.get_document("key").is_ok_and(|key| key.keys().eq([WINDOW_START]))
    });
    Ok(index.map(|index| Index {
        name: index.get_str("name").unwrap_or_default().to_owned(),
        expires: integer(&index, "expireAfterSeconds"),
    }))
}

async fn make_index(
    server: &Server,
    statistic: &str,
    expires: Option<i64>,
) -> Result<(), (Option<i32>, Failure)> {
    let mut index = doc! { "key": { WINDOW_START: 1 }, "name": format!("{WINDOW_START}_1") };
    if let Some(seconds) = expires {
        index.insert("expireAfterSeconds", seconds);
    }
    let concern = server.write_concern();
    change(server, doc! { "createIndexes": statistic, "indexes": [index], "writeConcern": concern }).await
}

async fn expire_after(
    server: &Server,
    statistic: &str,
    name: &str,
    seconds: i64,
) -> Result<(), (Option<i32>, Failure)> {
    let index = doc! { "name": name, "expireAfterSeconds": seconds };
    let command = doc! { "collMod": statistic, "index": index, "writeConcern": server.write_concern() };
    change(server, command).await.map_err(|(code, failure)| match failure {
        Failure::Store(error) if code == Some(errors::UNAUTHORIZED) => {
            let what = format!(
                "statistic {statistic}: the retention cannot be changed to {seconds} s without the action collMod \
                 (role dbAdmin): grant it, or have somebody run db.runCommand({{collMod: {statistic:?}, index: \
                 {{name: {name:?}, expireAfterSeconds: {seconds}}}}})"
            );
            (code, SinkError::refused_by(what, error).into())
        }
        failure => (code, failure),
    })
}

/// Reads the catalogue's definition of a statistic, as JSON.
async fn definition(server: &Server, statistic: &str) -> Result<Option<String>, Failure> {
    let collection = server.database().await?.collection::<Document>(CATALOGUE);
    let found = collection.find_one(doc! { "_id": statistic }).await.map_err(failed)?;
    Ok(found.map(|entry| entry.get_str("definition").unwrap_or_default().to_owned()))
}

/// Enters a statistic into the catalogue, if its collection is empty.
async fn enter(server: &Server, schema: &Schema) -> Result<(), Failure> {
    let statistic = &schema.statistic;
    let documents = server.database().await?.collection::<Document>(statistic);
    if documents.find_one(doc! {}).await.map_err(failed)?.is_some() {
        // Another source may have entered it in the meantime, and added rows.
        return match definition(server, statistic).await? {
            Some(definition) => extend(server, schema, definition).await,
            None => Err(Words::COLLECTIONS.not_ours(statistic).into()),
        };
    }
    let entry = doc! { "_id": statistic, "definition": schema.to_json(), "since": DateTime::now() };
    let concern = server.write_concern();
    let reply =
        server.run(doc! { "insert": CATALOGUE, "documents": [entry], "writeConcern": concern }).await?;
    let errors = reply.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
    for error in errors.iter().filter_map(|error| error.as_document()) {
        if integer(error, "code") != Some(DUPLICATE_KEY.into()) {
            return Err(errors::of_write(error).into());
        }
        let definition = definition(server, statistic).await?.unwrap_or_default();
        extend(server, schema, definition).await?;
    }
    errors::of_write_concern(&reply).map_or(Ok(()), |error| Err(error.into()))
}

/// Adds the measures that only `schema` has to the definition in the catalogue, which was `definition`. Documents need
/// no change: a field that nobody has added to is missing.
///
/// The entry is replaced only if it still is the one that was read, so that each of several sources with different
/// measures adds its own to those of the others.
async fn extend(server: &Server, schema: &Schema, mut definition: String) -> Result<(), Failure> {
    let statistic = &schema.statistic;
    for _ in 0..ROUNDS_MAX {
        let Some(extension) = Words::COLLECTIONS.extension(&definition, schema)? else { return Ok(()) };
        names::check(&extension.schema)?;
        let update = doc! {
            "q": { "_id": statistic, "definition": &definition },
            "u": { "$set": { "definition": extension.schema.to_json() } },
        };
        let concern = server.write_concern();
        let command = doc! { "update": CATALOGUE, "updates": [update], "writeConcern": concern };
        let reply = server.run(command).await?;
        let errors = reply.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
        if let Some(error) = errors.iter().find_map(|error| error.as_document()) {
            return Err(errors::of_write(error).into());
        }
        if let Some(error) = errors::of_write_concern(&reply) {
            return Err(error.into());
        }
        if integer(&reply, "n") == Some(1) {
            return Ok(());
        }
        definition = self::definition(server, statistic).await?.unwrap_or_default();
    }
    let what = format!("the definition of {statistic} in {CATALOGUE} is changed by others, too");
    Err(StoreError::transient(what).into())
}
