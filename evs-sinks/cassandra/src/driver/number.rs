//! Cassandra's `varint`: two's complement, big endian, in as few bytes as possible.
//!
//! 128 is `00 80` and not `80`, which would be -128. 0 is one byte, `00`.

/// The number of bytes that `number` takes.
pub(crate) fn bytes(number: i128) -> usize {
    let magnitude = if number < 0 { !number } else { number };
    (128 - magnitude.leading_zeros()) as usize / 8 + 1
}

/// Writes `number`.
pub(crate) fn put(out: &mut Vec<u8>, number: i128) {
    out.extend_from_slice(&number.to_be_bytes()[16 - bytes(number)..]);
}

/// Reads a number. `None` if it is wider than 128 bits, or empty.
pub(crate) fn read(bytes: &[u8]) -> Option<i128> {
    let negative = bytes.first()? & 0x80 != 0;
    let fill = if negative { 0xFF } else { 0 };
    // Other programs may write more bytes than necessary.
    let spare = bytes.len().saturating_sub(16);
    let (extra, low) = bytes.split_at(spare);
    let mut whole = [fill; 16];
    whole[16 - low.len()..].copy_from_slice(low);
    let number = i128::from_be_bytes(whole);
    (extra.iter().all(|byte| *byte == fill) && (number < 0) == negative).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        let mut numbers = vec![0, i128::MIN, i128::MAX];
        for bits in 0..127 {
            let power = 1_i128 << bits;
            numbers.extend([power, power - 1, power + 1, -power, -power - 1, 1 - power]);
        }
        for number in numbers {
            let mut out = Vec::new();
            put(&mut out, number);
            assert_eq!(out.len(), bytes(number), "{number}");
            assert_eq!(read(&out), Some(number), "{number}");
        }
    }

    #[test]
    fn the_form_is_that_of_cassandra() {
        // From the specification of the native protocol, version 4, section 6.
        let examples: [(i128, &[u8]); 8] = [
            (0, &[0x00]),
            (1, &[0x01]),
            (127, &[0x7F]),
            (128, &[0x00, 0x80]),
            (129, &[0x00, 0x81]),
            (-1, &[0xFF]),
            (-128, &[0x80]),
            (-129, &[0xFF, 0x7F]),
        ];
        for (number, bytes) in examples {
            let mut out = Vec::new();
            put(&mut out, number);
            assert_eq!(out, bytes, "{number}");
        }
    }

    #[test]
    fn what_does_not_fit_is_not_cut() {
        assert_eq!(read(&[]), None);
        assert_eq!(read(&[0; 17]), Some(0));
        assert_eq!(read(&[0xFF; 20]), Some(-1));
        let mut beyond = [0xFF; 17];
        beyond[0] = 0;
        assert_eq!(read(&beyond), None, "2^128 - 1");
        beyond[1] = 0x80;
        assert_eq!(read(&beyond), None, "more than 2^127 - 1");
    }
}
