//! The competitor of evs's sink: one `update` command per batch, as durable as the sink's and without its guards.

use mongodb::{
    Client, Database,
    bson::{DateTime, Decimal128, Document, doc},
};

use super::HandRow;

/// The documents of a command, with room for the rest of it.
const COMMAND_ROWS_MAX: usize = 40_000;

pub(crate) struct ByHand {
    database: Database,
}

impl ByHand {
    /// Connects to the database that `url` names.
    pub(crate) async fn open(url: &str) -> Self {
        let client = Client::with_uri_str(url).await.expect("a MongoDB server");
        let database = client.default_database().expect("a database in the URL");
        Self { database }
    }
}

impl super::ByHand for ByHand {
    /// Makes an empty collection.
    async fn fresh(&mut self) {
        self.database.collection::<Document>("by_hand").drop().await.expect("dropped");
        self.database.create_collection("by_hand").await.expect("created");
        let index = doc! { "key": { "window_start": 1 }, "name": "window_start_1" };
        let command = doc! { "createIndexes": "by_hand", "indexes": [index] };
        self.database.run_command(command).await.expect("an index, as the sink makes it");
    }

    /// Adds rows to those that are there.
    async fn insert(&mut self, rows: &[HandRow]) {
        for rows in rows.chunks(COMMAND_ROWS_MAX) {
            let updates = rows.iter().map(update).collect::<Vec<_>>();
            let concern = doc! { "w": "majority", "j": true };
            let command =
                doc! { "update": "by_hand", "updates": updates, "ordered": false, "writeConcern": concern };
            let reply = self.database.run_command(command).await.expect("an answer");
            assert!(!reply.contains_key("writeErrors"), "{:?}", reply.get("writeErrors"));
        }
    }
}

/// The upsert of a row.
fn update(row: &HandRow) -> Document {
    let HandRow { window_start, campaign, kind, count, revenue } = row;
    let revenue = format!("{revenue}E-2").parse::<Decimal128>().expect("a decimal");
    doc! {
        "q": { "_id": format!("{window_start}|{campaign}|{kind}") },
        "u": {
            "$inc": { "count": count, "revenue": revenue },
            "$setOnInsert": {
                "window_start": DateTime::from_millis(window_start * 1000), "campaign": campaign, "kind": kind,
            },
        },
        "upsert": true,
    }
}
