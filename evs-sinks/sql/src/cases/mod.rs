//! Test cases for every SQL store.
//!
//! The differences between stores are arguments. A sink implements [`Database`], and [`Server`] if its databases are on
//! a server, and lists its cases with [`cases!`](crate::cases!). `evs_core::conformance` has the contract of every
//! sink; the cases here add what is particular to SQL: tables as others see them, rights, URLs and locks.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "cases of tests")]

mod answers;
mod database;
mod pools;
mod store;
mod suite;
mod tables;

pub use answers::*;
pub use database::*;
pub use pools::*;
pub use store::*;
pub use suite::*;
pub use tables::*;

/// Lists cases of [`cases`](mod@crate::cases) as tests: `cases! { MyDatabase: all_scales_are_kept(), ... }`.
#[macro_export]
macro_rules! cases {
    ($database:ty: $($name:ident($($argument:expr),* $(,)?)),+ $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                $crate::cases::$name::<$database>($($argument),*).await;
            }
        )+
    };
}

/// Defines `Plain`, a [`cases::Plain`](crate::cases::Plain) on a connection of sqlx: `plain! { MySqlConnection }`.
#[macro_export]
macro_rules! plain {
    ($connection:ty) => {
        /// A connection as any other program would make it.
        struct Plain($connection);

        impl Plain {
            async fn open(url: &str) -> Self {
                Self(<$connection as ::sqlx::Connection>::connect(url).await.unwrap())
            }
        }

        #[$crate::async_trait]
        impl $crate::cases::Plain for Plain {
            async fn run(&mut self, sql: &str) {
                ::sqlx::raw_sql(::sqlx::AssertSqlSafe(sql)).execute(&mut self.0).await.unwrap();
            }

            async fn texts(&mut self, sql: &str) -> Vec<Vec<String>> {
                use ::sqlx::Row as _;
                let rows = ::sqlx::raw_sql(::sqlx::AssertSqlSafe(sql)).fetch_all(&mut self.0).await.unwrap();
                // Without a prepared statement, a server sends all values as text. SQLite converts them.
                let text = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
                rows.iter()
                    .map(|row| (0..row.len()).map(|at| text(row.try_get_unchecked(at).unwrap())).collect())
                    .collect()
            }
        }
    };
}
