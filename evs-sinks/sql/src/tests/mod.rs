//! Tests with a store that only records its statements, and needs no database.

mod attempts;

use evs_core::{
    Batch, Epoch, KeyColumn, MeasureColumn, MeasureKind, Rows, Schema, SinkError, conformance::chained,
};
use proptest::prelude::*;

use crate::{
    ColumnType, Dialect, Limits, Value, decimal, names,
    rows::{self, Statements},
    table::{Shape, Table, Upserts, sweep, totals, with_placeholders},
};

/// PostgreSQL's SQL, more or less.
#[derive(Debug)]
struct Numbered {
    limits: Limits,
    hashes_keys: bool,
    has_lists: bool,
}

const LIMITS: Limits = Limits {
    parameters_max: 1000,
    rows_max: 64,
    key_bytes_max: 100,
    keys_bytes_max: 1000,
    sums: i128::MIN..=i128::MAX,
    windows: -1000..=1_000_000,
};

const PLAIN: Numbered = Numbered { limits: LIMITS, hashes_keys: false, has_lists: false };

impl Dialect for Numbered {
    fn limits(&self) -> Limits {
        self.limits.clone()
    }

    fn placeholder(&self, sql: &mut String, number: usize) {
        sql.push_str(&format!("${number}"));
    }

    fn column_type(&self, column: ColumnType) -> String {
        match column {
            ColumnType::Integer | ColumnType::Count => "BIGINT".to_owned(),
            ColumnType::Time => "TIMESTAMPTZ".to_owned(),
            ColumnType::Decimal(scale) | ColumnType::Sum(scale) => format!("NUMERIC(38,{scale})"),
            ColumnType::Key | ColumnType::KeyText => "TEXT COLLATE \"C\"".to_owned(),
            ColumnType::KeyHash => "BYTEA".to_owned(),
            ColumnType::Text => "TEXT".to_owned(),
        }
    }

    fn hashes_keys(&self) -> bool {
        self.hashes_keys
    }

    fn number(&self, column: ColumnType, value: i128) -> Option<Value> {
        match column {
            ColumnType::Decimal(scale) | ColumnType::Sum(scale) => {
                let fits = value.unsigned_abs() < 10_u128.pow(38);
                fits.then(|| Value::Text(decimal(value, scale)))
            }
            _ => i64::try_from(value).ok().map(Value::Integer),
        }
    }

    fn rows_of_lists(&self, columns: &[ColumnType]) -> Option<String> {
        self.has_lists.then(|| format!("SELECT * FROM lists({})", columns.len()))
    }

    fn reserves(&self, table: &str) -> bool {
        table.starts_with("pg_")
    }

    fn table_query(&self) -> &'static str {
        "TABLE"
    }

    fn columns_query(&self) -> &'static str {
        "COLUMNS"
    }
}

fn schema(keys: &[&str], measures: &[(&str, MeasureKind)]) -> Schema {
    let key = |name: &&str| KeyColumn::new(*name, *name);
    let measure = |(name, kind): &(&str, MeasureKind)| MeasureColumn::new(*name, *kind, "", 0);
    Schema::new("ads", 60, keys.iter().map(key).collect(), measures.iter().map(measure).collect())
}

fn simple() -> Schema {
    schema(&["k"], &[("n", MeasureKind::Count)])
}

fn batch(rows: &[(i64, &[u8], i128)]) -> Batch {
    let mut encoded = Rows::new(1, 1);
    for (window, key, value) in rows {
        encoded.push(*window, [*key], &[Some(*value)]);
    }
    let (schema, epoch) = (simple(), Epoch::from_bytes([7; 16]));
    chained(Batch::new("web1", epoch, schema, 1, encoded))
}

#[test]
fn statements_say_what_the_dialect_says() {
    let kinds = [("n", MeasureKind::Count), ("low", MeasureKind::Min), ("high", MeasureKind::Max)];
    let schema = schema(&["k"], &kinds);
    assert_eq!(
        &*Shape::of_statistic(&schema, &PLAIN).create(&PLAIN),
        "CREATE TABLE IF NOT EXISTS \"ads\" (\"window_start\" TIMESTAMPTZ NOT NULL, \
         \"k\" TEXT COLLATE \"C\" NOT NULL, \"n\" BIGINT, \"low\" NUMERIC(38,0), \"high\" NUMERIC(38,0), \
         PRIMARY KEY (\"window_start\", \"k\"))"
    );
    let Upserts::Rows(upserts) = Table::new(&schema, &PLAIN).upserts else { panic!("no lists") };
    let assignments = "DO UPDATE SET \
         \"n\" = coalesce(\"ads\".\"n\" + excluded.\"n\", \"ads\".\"n\", excluded.\"n\"), \
         \"low\" = coalesce(least(\"ads\".\"low\", excluded.\"low\"), \"ads\".\"low\", excluded.\"low\"), \
         \"high\" = coalesce(greatest(\"ads\".\"high\", excluded.\"high\"), \"ads\".\"high\", excluded.\"high\")";
    assert_eq!(
        &*upserts[1],
        format!(
            "INSERT INTO \"ads\" (\"window_start\", \"k\", \"n\", \"low\", \"high\") \
             VALUES ($1,$2,$3,$4,$5),($6,$7,$8,$9,$10) ON CONFLICT (\"window_start\", \"k\") {assignments}"
        )
    );
    assert_eq!(
        &*totals(&simple(), &PLAIN),
        "SELECT \"window_start\", \"k\", \"n\" FROM \"ads\" WHERE \"window_start\" >= $1 AND \"window_start\" <= $2"
    );
    assert_eq!(
        &*sweep(&simple(), &PLAIN),
        "DELETE FROM \"ads\" WHERE (\"window_start\", \"k\") IN (SELECT \"window_start\", \"k\" FROM \"ads\" \
         WHERE \"window_start\" <= $1 ORDER BY \"window_start\", \"k\" LIMIT 5000)"
    );
    assert_eq!(&*with_placeholders("a = ? AND b = ?", &PLAIN), "a = $1 AND b = $2");

    let hashing = Numbered { hashes_keys: true, has_lists: true, ..PLAIN };
    assert_eq!(
        &*Shape::of_statistic(&schema, &hashing).create(&hashing),
        "CREATE TABLE IF NOT EXISTS \"ads\" (\"window_start\" TIMESTAMPTZ NOT NULL, \"key_hash\" BYTEA NOT NULL, \
         \"k\" TEXT COLLATE \"C\" NOT NULL, \"n\" BIGINT, \"low\" NUMERIC(38,0), \"high\" NUMERIC(38,0), \
         PRIMARY KEY (\"window_start\", \"key_hash\"))"
    );
    let Upserts::Lists { sql, .. } = Table::new(&schema, &hashing).upserts else { panic!("lists") };
    assert_eq!(
        &*sql,
        format!(
            "INSERT INTO \"ads\" (\"window_start\", \"key_hash\", \"k\", \"n\", \"low\", \"high\") \
             SELECT * FROM lists(6) ON CONFLICT (\"window_start\", \"key_hash\") {assignments}"
        )
    );
    assert_eq!(&*totals(&simple(), &hashing), &*totals(&simple(), &PLAIN));
}

#[test]
fn names_that_are_no_plain_names_are_refused() {
    let check = |change: &dyn Fn(&mut Schema)| {
        let mut schema = simple();
        change(&mut schema);
        names::check(&schema, &PLAIN)
    };
    let long = "a".repeat(64);
    let bad = ["", "1a", "a b", "a\"b", "a;b", "a\0", "ä", "a-b", "a.b", long.as_str()];
    for name in bad.into_iter().chain(["A", "_a", "evs_progress", "evs_ads", "pg_class"]) {
        assert!(check(&|schema| schema.statistic = name.to_owned()).is_err(), "table {name:?}");
    }
    for name in bad.into_iter().chain(["window_start", "Window_Start", "N", "n"]) {
        assert!(check(&|schema| schema.keys[0].name = name.to_owned()).is_err(), "key {name:?}");
    }
    for name in ["", "k", "K", "a\"b"] {
        assert!(check(&|schema| schema.measures[0].name = name.to_owned()).is_err(), "measure {name:?}");
    }
    for name in ["a", "z9_", &long[..63]] {
        assert!(check(&|schema| schema.statistic = name.to_owned()).is_ok(), "table {name:?}");
        assert!(check(&|schema| schema.keys[0].name = name.to_uppercase()).is_ok(), "key {name:?}");
    }
    let hashed = schema(&["key_hash"], &[("n", MeasureKind::Count)]);
    assert!(names::check(&hashed, &PLAIN).is_ok());
    assert!(names::check(&hashed, &Numbered { hashes_keys: true, ..PLAIN }).is_err());
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let refused =
        |schema: &Schema, batch: &Batch| rows::check(schema, &batch.rows, &PLAIN).unwrap_err().to_string();
    let decimals = schema(&["k"], &[("n", MeasureKind::Sum)]);
    for (schema, beyond) in [(&simple(), i128::from(i64::MAX) + 1), (&decimals, 10_i128.pow(38))] {
        let within = batch(&[(60, b"c1", 1), (120, b"c2", beyond - 1)]);
        assert!(rows::check(schema, &within.rows, &PLAIN).is_ok());
        let beyond = refused(schema, &batch(&[(60, b"c1", 1), (120, b"c2", beyond)]));
        assert!(beyond.contains("n of window 120, keys [\"c2\"]"), "{beyond}");
    }
    for window in [-1000, 1_000_000] {
        assert!(rows::check(&simple(), &batch(&[(window, b"c1", 1)]).rows, &PLAIN).is_ok());
        let outside = refused(&simple(), &batch(&[(window + window.signum(), b"c1", 1)]));
        assert!(outside.contains("the time does not fit"), "{outside}");
    }
    // An escaped byte takes four bytes.
    assert!(rows::check(&simple(), &batch(&[(60, &[0xFF; 25], 1)]).rows, &PLAIN).is_ok());
    let long = refused(&simple(), &batch(&[(60, &[0xFF; 26], 1)]));
    assert!(long.contains("longer than 100 bytes"), "{long}");
}

#[test]
fn a_row_that_fits_into_no_statement_is_refused() {
    for has_lists in [false, true] {
        let dialect = Numbered { has_lists, ..PLAIN };
        let batch = batch(&[(60, &[b'x'; 200], 1)]);
        let table = Table::new(&batch.schema, &dialect);
        let next = |bytes_max| {
            let mut statements = Statements::new(&table, &dialect, &batch.rows, bytes_max);
            statements.next_statement().map(|statement| statement.is_some())
        };
        let error = next(400).unwrap_err();
        assert!(matches!(error, SinkError::Refused { .. }), "{error:?}");
        assert!(next(1000).unwrap());
    }
}

#[test]
fn hashes_tell_apart_what_differs() {
    let dialect = Numbered { hashes_keys: true, ..PLAIN };
    let columns = schema(&["k", "l"], &[]).keys;
    let mut schema = simple();
    schema.keys = columns;
    let keys: [[&[u8]; 2]; 6] =
        [[b"a", b"b"], [b"b", b"a"], [b"ab", b""], [b"", b"ab"], [b"a", b"b\0"], [b"a\0", b"b"]];
    let mut rows = Rows::new(2, 1);
    for keys in keys {
        rows.push(60, keys, &[Some(1)]);
    }
    let table = Table::new(&schema, &dialect);
    let mut statements = Statements::new(&table, &dialect, &rows, usize::MAX);
    let mut hashes = Vec::new();
    while let Some((_, parameters)) = statements.next_statement().unwrap() {
        hashes.extend(parameters.chunks(5).map(|row| row[1].clone()));
    }
    assert!(hashes.iter().all(|hash| matches!(hash, Value::Hash(_))), "{hashes:?}");
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), keys.len());
    // Existing tables have these hashes, so they must never change: SHA-256 of 00 00 00 00 00 00 00 01 "a" 00 00 00
    // 00 00 00 00 01 "b".
    let known = 0x3c9d_5910_45bc_8876_f9d0_399b_bfb0_5c6a_u128;
    assert!(hashes.contains(&Value::Hash(known.to_be_bytes())));
}

proptest! {
    #[test]
    fn every_row_is_written_once_in_order_and_within_the_limits(
        keys in prop::collection::btree_set((0_i64..3, prop::collection::vec(any::<u8>(), 0..20)), 0..300),
        seed in any::<u64>(),
        hashes_keys in any::<bool>(),
        has_lists in any::<bool>(),
        rows_max in 1_usize..100,
        parameters_max in 4_usize..200,
        bytes_max in 1200_usize..5000,
    ) {
        let mut shuffled = keys.iter().collect::<Vec<_>>();
        shuffled.sort_by_key(|(window, key)| (seed ^ *window as u64).wrapping_mul(key.len() as u64 + 7));
        let rows = shuffled.iter().map(|(window, key)| (*window, key.as_slice(), 1)).collect::<Vec<_>>();
        let batch = batch(&rows);
        let limits = Limits { parameters_max, rows_max, ..LIMITS };
        let dialect = Numbered { limits, hashes_keys, has_lists };
        let table = Table::new(&batch.schema, &dialect);
        let mut statements = Statements::new(&table, &dialect, &batch.rows, bytes_max);
        let columns = if hashes_keys { 4 } else { 3 };
        let mut written: Vec<Vec<Value>> = Vec::new();
        while let Some((sql, parameters)) = statements.next_statement().unwrap() {
            let bytes = sql.len() + parameters.iter().map(Value::bytes).sum::<usize>();
            prop_assert!(bytes <= bytes_max);
            let mut rows = if has_lists {
                let lists = parameters.iter().map(|list| match list {
                    Value::List(_, values) => values.as_slice(),
                    other => panic!("no list: {other:?}"),
                });
                let lists = lists.collect::<Vec<_>>();
                prop_assert_eq!(lists.len(), columns);
                (0..lists[0].len()).map(|row| lists.iter().map(|list| list[row].clone()).collect()).collect()
            } else {
                prop_assert!(parameters.len() <= parameters_max);
                let last = format!("${})", parameters.len());
                prop_assert!(sql.contains(&last), "{sql} has {} parameters", parameters.len());
                parameters.chunks(columns).map(<[Value]>::to_vec).collect::<Vec<_>>()
            };
            prop_assert!(rows.len() <= rows_max);
            let size = rows.len();
            while let [.., before, last] = &rows[..] && last[columns - 1] == Value::Null {
                prop_assert_eq!(&before[..columns - 1], &last[..columns - 1]);
                rows.pop();
            }
            prop_assert!((size - rows.len()) * 8 <= size);
            written.append(&mut rows);
        }
        prop_assert!(written.is_sorted_by(|a, b| a[..2] < b[..2]));
        if hashes_keys {
            written.iter_mut().for_each(|row| drop(row.remove(1)));
        }
        let back = rows::read(&batch.schema, &written, &dialect).unwrap();
        let mut found = Vec::new();
        let mut cursor = back.cursor();
        while let Some(row) = cursor.next_row() {
            found.push((row.window_start, row.keys[0].to_vec()));
        }
        prop_assert_eq!(found, keys.into_iter().collect::<Vec<_>>());
    }
}
