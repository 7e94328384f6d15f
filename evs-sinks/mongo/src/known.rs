//! What is known about a statistic.

use crate::{fields::Fields, novelty::Novelty};

/// A statistic whose collection has been checked.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) fields: Fields,
    pub(crate) novelty: Novelty,
}
