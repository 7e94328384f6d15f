//! Test cases for every SQL store with a server.
//!
//! The differences between servers are arguments. A sink implements [`Database`] for a database on its own test
//! server, and lists its cases with [`cases!`](crate::cases!). `evs_core::conformance` has the contract of every
//! sink; the cases here add what is particular to SQL: tables as others see them, rights, URLs and locks.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "cases of tests")]

mod database;
mod store;
mod tables;

pub use database::*;
pub use store::*;
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
