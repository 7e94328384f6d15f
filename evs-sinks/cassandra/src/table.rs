use std::sync::Arc;

use evs_core::Schema;

use crate::{config::Config, rows, windows::Index};

/// A statistic whose table was checked, and the statements on it.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) schema: Schema,
    pub(crate) buckets: i32,
    /// The number of requests that are sent at the same time.
    pub(crate) pool: usize,
    pub(crate) insert: Arc<str>,
    pub(crate) select: Arc<str>,
    pub(crate) windows: Index,
}

impl Table {
    /// The statements for a statistic whose table has that number of buckets.
    pub(crate) fn new(config: &Config, schema: &Schema, buckets: i32) -> Self {
        let Config { keyspace, pool, .. } = config;
        Self {
            schema: schema.clone(),
            buckets,
            pool: *pool,
            insert: rows::insert(keyspace, schema),
            select: rows::select(keyspace, schema),
            windows: Index::new(keyspace, schema, *pool),
        }
    }
}
