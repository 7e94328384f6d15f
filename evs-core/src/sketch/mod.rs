//! Bounded answers to questions that have no bound: quantiles, distinct counts, averages and rates.
//!
//! A median or the number of different visitors cannot be added up. Two kinds of columns can, and the answers follow from
//! them:
//!
//! - The **bucket** of a number ([`Buckets`](bucket::Buckets)) is a key. The rows of a statistic that has it are a histogram.
//! - The **slot** of a value ([`slot_and_rank`](distinct::slot_and_rank)) is a key, and its **rank** is a `max`. The rows are
//!   the registers of a HyperLogLog.
//!
//! Both are rows as any others. So a sink knows nothing of them, merges them exactly, and counts them once.
//! [`Totals`] reads the answers from the rows of a store; `docs/guide/answers.md` shows how SQL does.

mod bucket;
mod decimal;
mod definition;
mod distinct;
mod error;
mod group;
mod totals;

#[cfg(test)]
mod foreign;
#[cfg(test)]
mod tests;

pub(crate) use self::{
    bucket::{Buckets, InvalidAlpha},
    distinct::{LG_REGISTERS, slot_and_rank},
};
pub use self::{
    decimal::Decimal,
    distinct::Distinct,
    error::TotalsError,
    group::{Group, Quantile},
    totals::Totals,
};
