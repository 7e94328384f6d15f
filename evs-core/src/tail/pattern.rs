//! Names that are made of times, as cronolog, rotatelogs and many web servers write them:
//! `access.%Y-%m-%d.log`.
//!
//! `access.%Y-%m-%d.log` becomes the pieces `access.`, year, `-`, month, `-`, day, `.log`. The name
//! `access.2026-11-28.log` then has the key (2026, 11, 28, 0, 0, 0, 0), and keys are compared from the left. So
//! `%d-%m-%Y` orders names by time, too, which the names as texts would not.

/// A file name with times in it, in the letters of `strftime`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    pieces: Vec<Piece>,
}

/// A piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// A number with this many digits (`None`: any number of them), and its place in the sort key.
    Digits(Option<usize>, usize),
    /// The name of the month in three letters.
    Month,
}

/// The parts of the sort key: year, month, day, hour, minute, second and, last, seconds since 1970.
const PARTS: usize = 7;
/// The names of the months, as `%b` writes them.
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl Pattern {
    /// Parses the pattern in `name`; returns `None` if there is no time in it.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut chars = name.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                literal.push(c);
                continue;
            }
            let piece = match chars.next()? {
                '%' => {
                    literal.push('%');
                    continue;
                }
                'Y' => Piece::Digits(Some(4), 0),
                'y' => Piece::Digits(Some(2), 0),
                'm' => Piece::Digits(Some(2), 1),
                'b' => Piece::Month,
                'd' => Piece::Digits(Some(2), 2),
                'j' => Piece::Digits(Some(3), 2),
                'H' => Piece::Digits(Some(2), 3),
                'M' => Piece::Digits(Some(2), 4),
                'S' => Piece::Digits(Some(2), 5),
                's' => Piece::Digits(None, 6),
                _ => return None,
            };
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            pieces.push(piece);
        }
        let has_time = !pieces.is_empty();
        pieces.push(Piece::Literal(literal));
        has_time.then_some(Self { pieces })
    }

    /// Returns the sort key of `name`, which orders names by time; `None` if `name` does not match this
    /// pattern.
    pub(super) fn key(&self, name: &str) -> Option<Vec<u64>> {
        let mut key = vec![0; PARTS];
        let mut rest = name;
        for piece in &self.pieces {
            match piece {
                Piece::Literal(literal) => rest = rest.strip_prefix(&**literal)?,
                Piece::Month => {
                    let month = MONTHS.iter().position(|month| rest.starts_with(month))?;
                    (key[1], rest) = (month as u64 + 1, &rest[3..]);
                }
                Piece::Digits(width, part) => {
                    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                    let width = width.unwrap_or(digits);
                    if digits < width || width == 0 {
                        return None;
                    }
                    (key[*part], rest) = (rest[..width].parse().ok()?, &rest[width..]);
                }
            }
        }
        rest.is_empty().then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_by_the_times_in_them() {
        let cases = [
            ("access.%Y-%m-%d.log", "access.2026-11-28.log", "access.2026-12-01.log"),
            ("access.log.%Y%m%d%H", "access.log.2026112809", "access.log.2026112810"),
            ("%d%b%y.log", "28Nov26.log", "01Dec26.log"),
            ("access.%s", "access.999999999", "access.1795860000"),
            ("a.%Y.%j", "a.2025.365", "a.2026.001"),
        ];
        for (pattern, earlier, later) in cases {
            let pattern = Pattern::parse(pattern).unwrap();
            assert!(pattern.key(earlier).unwrap() < pattern.key(later).unwrap(), "{earlier} {later}");
        }
    }

    #[test]
    fn other_names_are_not_of_the_pattern() {
        let pattern = Pattern::parse("access.%Y-%m-%d.log").unwrap();
        for name in ["access.log", "access.2026-11-28.log.1", "access.26-11-28.log", "error.2026-11-28.log"] {
            assert_eq!(pattern.key(name), None, "{name}");
        }
    }

    #[test]
    fn a_name_without_a_time_is_no_pattern() {
        for name in ["access.log", "100%.log", "100%%.log", "a%Q"] {
            assert_eq!(Pattern::parse(name), None, "{name}");
        }
    }
}
