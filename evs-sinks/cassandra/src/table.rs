use std::sync::Arc;

use evs_core::Schema;

use crate::{rows, windows::Index};

/// A statistic whose table was checked, and the statements on it.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) schema: Schema,
    pub(crate) buckets: i32,
    pub(crate) insert: Arc<str>,
    pub(crate) select: Arc<str>,
    pub(crate) windows: Index,
}

impl Table {
    /// The statements for a statistic whose table has that number of buckets.
    pub(crate) fn new(keyspace: &str, schema: &Schema, buckets: i32) -> Self {
        Self {
            schema: schema.clone(),
            buckets,
            insert: rows::insert(keyspace, schema),
            select: rows::select(keyspace, schema),
            windows: Index::new(keyspace, schema),
        }
    }
}
