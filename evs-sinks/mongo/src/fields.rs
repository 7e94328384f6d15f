//! A schema's columns as fields of documents.

use evs_core::{MeasureKind, Schema, SinkError};
use mongodb::bson::{
    Bson,
    raw::{CStr, CString, RawBson, RawBsonRef, cstr},
};

use crate::decimal;

/// The names of a schema's fields, as documents want them, and how their values are held.
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
    /// Of a schema whose names were checked.
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
    /// A value as a field holds it: counts as integers of 64 bits, all else as a decimal of the declared
    /// scale. `None` if it does not fit.
    pub(crate) fn encode(&self, value: i128) -> Option<RawBson> {
        if self.kind == MeasureKind::Count {
            return i64::try_from(value).ok().map(RawBson::Int64);
        }
        decimal::encode(value, self.scale).map(RawBson::Decimal128)
    }

    /// The value of a field, times 10^scale. `None` if it is no number that evs could have written.
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

    /// What the held total may be for `added` to keep it within 34 digits: an operator and the number that
    /// must not be met. Servers round what has more, and say nothing.
    ///
    /// `None` where the server itself refuses (64 bits), or nothing can come of it.
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

    /// Whether `held` and `added` together are more than the field can hold.
    pub(crate) fn overflows(&self, held: i128, added: i128) -> bool {
        self.kind == MeasureKind::Sum
            && held.checked_add(added).is_none_or(|total| self.encode(total).is_none())
    }

    /// A value for messages, with its point.
    pub(crate) fn show(&self, value: i128) -> String {
        match self.encode(value).map(Bson::try_from) {
            Some(Ok(number)) => number.to_string(),
            _ => format!("{value} / 10^{}", self.scale),
        }
    }
}
