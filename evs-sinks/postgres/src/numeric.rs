//! The binary form of exact decimals, as the server sends and accepts them.
//!
//! The server has digits of base 10,000. `-12345.6` is sent as: 3 digits, exponent 1, negative, 1 decimal place, and
//! the digits 1, 2345 and 6000. Text would be shorter to write here, but then the server would have to parse each
//! number of a batch.

use sqlx::{
    Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, types::Oid},
};

/// The text of a decimal number, for encoding as a NUMERIC: digits, perhaps with a sign and a point.
pub(crate) struct Numeric<'t>(pub(crate) &'t str);

/// The number of decimal digits in one digit of that base.
const BASE_DIGITS: usize = 4;

const NEGATIVE: u16 = 0x4000;

/// Writes the number of base-10,000 digits, the exponent of the first of them, the sign and the number of decimal
/// places, and then the digits.
/// <https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/utils/adt/numeric.c>, `numeric_recv`
fn encode(text: &str, buffer: &mut Vec<u8>) {
    let (sign, digits) = text.strip_prefix('-').map_or((0, text), |digits| (NEGATIVE, digits));
    let (whole, behind) = digits.split_once('.').unwrap_or((digits, ""));
    let before = whole.len().div_ceil(BASE_DIGITS);
    let count = before + behind.len().div_ceil(BASE_DIGITS);
    let first = before.cast_signed() - 1;
    for header in [count as u16, first as i16 as u16, sign, behind.len() as u16] {
        buffer.extend_from_slice(&header.to_be_bytes());
    }
    let value = |group: &[u8]| group.iter().fold(0, |value, digit| 10 * value + u16::from(digit - b'0'));
    // The digits before the point are padded with zeros on the left, and those after it on the right.
    for group in whole.as_bytes().rchunks(BASE_DIGITS).rev() {
        buffer.extend_from_slice(&value(group).to_be_bytes());
    }
    for group in behind.as_bytes().chunks(BASE_DIGITS) {
        let zeros = (BASE_DIGITS - group.len()) as u32;
        buffer.extend_from_slice(&(value(group) * 10_u16.pow(zeros)).to_be_bytes());
    }
}

impl Encode<'_, Postgres> for Numeric<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        encode(self.0, buffer);
        Ok(IsNull::No)
    }
}

impl Type<Postgres> for Numeric<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1700))
    }
}

impl PgHasArrayType for Numeric<'_> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1231))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_cut_in_digits_of_four() {
        for (text, weight, sign, scale, digits) in [
            ("0", 0, 0, 0, &[0][..]),
            ("7", 0, 0, 0, &[7]),
            ("-12345", 1, 0x4000, 0, &[1, 2345]),
            ("12345678", 1, 0, 0, &[1234, 5678]),
            ("0.05", 0, 0, 2, &[0, 500]),
            ("-12.50", 0, 0x4000, 2, &[12, 5000]),
            ("1.00012", 0, 0, 5, &[1, 1, 2000]),
            ("9999.9999", 0, 0, 4, &[9999, 9999]),
        ] {
            let mut bytes = Vec::new();
            encode(text, &mut bytes);
            let found = bytes.chunks(2).map(|two| u16::from_be_bytes([two[0], two[1]])).collect::<Vec<_>>();
            assert_eq!(found[..4], [digits.len() as u16, weight, sign, scale], "{text}");
            assert_eq!(found[4..], *digits, "{text}");
        }
    }
}
