//! A schema's columns as fields of documents.

use evs_core::{MeasureKind, Schema, SinkError};
use mongodb::bson::{
    Bson,
    raw::{CStr, CString, RawBson, RawBsonRef, cstr},
};

use crate::decimal;

/// The fields of a schema: their names in documents, and the form of their values.
#[derive(Debug)]
pub(crate) struct Fields {
    pub(crate) schema: Schema,
    pub(crate) keys: Vec<CString>,
    pub(crate) measures: Vec<Measure>,
}

/// A measure's field.
#[derive(Debug)]
pub(crate) struct Measure {
    pub(crate) name: CString,
    pub(crate) kind: MeasureKind,
    scale: u8,
}

impl Fields {
    /// Makes the fields of a schema whose names were checked.
    pub(crate) fn new(schema: &Schema) -> Result<Self, SinkError> {
        let name = |name: &str| {
            let statistic = &schema.statistic;
            CString::try_from(name).map_err(|_| {
                SinkError::refused(format!("statistic {statistic}: {name:?} is no name of a field"))
            })
        };
        let keys = schema.keys.iter().map(|key| name(&key.name)).collect::<Result<_, _>>()?;
        let measure = |measure: &evs_core::MeasureColumn| {
            Ok(Measure { name: name(&measure.name)?, kind: measure.kind, scale: measure.scale })
        };
        let measures = schema.measures.iter().map(measure).collect::<Result<_, SinkError>>()?;
        Ok(Self { schema: schema.clone(), keys, measures })
    }
}

impl Measure {
    /// Encodes a value for its field: counts as 64-bit integers, other measures as decimals of the declared scale.
    /// `None` if it does not fit.
    pub(crate) fn encode(&self, value: i128) -> Option<RawBson> {
        if self.kind == MeasureKind::Count {
            return i64::try_from(value).ok().map(RawBson::Int64);
        }
        decimal::encode(value, self.scale).map(RawBson::Decimal128)
    }

    /// The value of a field, times 10^scale. `None` if it is not a number that evs could have written.
    pub(crate) fn decode(&self, field: RawBsonRef<'_>) -> Option<i128> {
        match field {
            RawBsonRef::Decimal128(number) => decimal::decode(number, self.scale),
            RawBsonRef::Int64(number) => i128::from(number).checked_mul(self.power()?),
            RawBsonRef::Int32(number) => i128::from(number).checked_mul(self.power()?),
            _ => None,
        }
    }

    fn power(&self) -> Option<i128> {
        10_i128.checked_pow(self.scale.into())
    }

    /// The guard that keeps the total within 34 digits when `added` is added to it: an operator, and a number. The
    /// guard fails if the operator holds for the current total. It is needed because servers silently round longer
    /// numbers.
    ///
    /// `None` if the server itself refuses the overflow (64 bits), or if there can be none.
    pub(crate) fn range_guard(&self, added: i128) -> Option<(&'static CStr, RawBson)> {
        if self.kind != MeasureKind::Sum || added == 0 {
            return None;
        }
        let (operator, bound) = if added > 0 {
            (cstr!("$gt"), decimal::MAX - added)
        } else {
            (cstr!("$lt"), -decimal::MAX - added)
        };
        Some((operator, self.encode(bound)?))
    }

    /// True if the sum of `held` and `added` is more than the field can hold.
    pub(crate) fn overflows(&self, held: i128, added: i128) -> bool {
        self.kind == MeasureKind::Sum
            && held.checked_add(added).is_none_or(|total| self.encode(total).is_none())
    }

    /// The value with its decimal point, for messages.
    pub(crate) fn show(&self, value: i128) -> String {
        match self.encode(value).map(Bson::try_from) {
            Some(Ok(number)) => number.to_string(),
            _ => format!("{value} / 10^{}", self.scale),
        }
    }
}
