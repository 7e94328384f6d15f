//! Values that several kinds of log have in common, and the ways to choose one.

use super::Column;
use crate::Random;

/// The number of clients. Some are more frequent than others.
pub(super) const ADDRESSES: usize = 50_000;

/// The addresses of the clients.
pub(super) fn addresses() -> Column {
    let address = |at| format!("{}.{}.{}.{}", 20 + at % 200, at / 200, at * 7 % 256, at * 13 % 256);
    Column::new("remote_addr", (0..ADDRESSES).map(address))
}

/// User agents: browsers in fifty versions each, and robots.
pub(super) fn agents() -> Column {
    let versions = (90..140).flat_map(|version| {
        [
            format!(
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                 Chrome/{version}.0.0.0 Safari/537.36"
            ),
            format!(
                "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 \
                 (KHTML, like Gecko) Version/{version}.5 Mobile/15E148 Safari/604.1"
            ),
            format!("Mozilla/5.0 (X11; Linux x86_64; rv:{version}.0) Gecko/20100101 Firefox/{version}.0"),
            format!("Mozilla/5.0 (compatible; AhrefsBot/{version}.1; +http://ahrefs.com/robot/)"),
        ]
    });
    Column::new("http_user_agent", versions)
}

/// One of the numbers. One that is listed more often is more likely.
pub(super) fn one_of(random: &mut Random, numbers: &[usize]) -> usize {
    numbers[random.below(numbers.len() as u64) as usize]
}

/// The position of one of a column's values; all are equally likely.
pub(super) fn any(random: &mut Random, column: &Column) -> usize {
    random.below(column.values.len() as u64) as usize
}

/// The position of one of a column's values; the first ones are more likely.
pub(super) fn popular(random: &mut Random, column: &Column) -> usize {
    random.skewed(column.values.len() as u64) as usize
}
