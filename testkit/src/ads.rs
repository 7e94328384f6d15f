use std::io::Write;

use crate::{
    Random,
    combined::{AGENTS, Counted, address},
    local_time,
};

pub(crate) fn good(random: &mut Random, second: i64, log: &mut Vec<u8>) -> Counted {
    let (campaign, banner) = (1000 + random.skewed(200), random.below(5000));
    let event = random.pick(&["imp", "imp", "imp", "imp", "imp", "imp", "click", "sale"]);
    let value = random.below(10_000) as i64;
    let query = format!("c={campaign}&b={banner}&t={event}&v={value}&u={:016x}", random.number());
    write(random, second, &query, log);
    (vec![campaign.to_string().into(), event.into()], Some(value))
}

/// Arguments in any order and case, encoded, missing, empty or twice.
pub(crate) fn odd(random: &mut Random, second: i64, log: &mut Vec<u8>) -> Counted {
    let value = random.below(1 << 50) as i64;
    let (query, campaign, event, value) = match random.below(8) {
        0 => (format!("v={value}&t=imp&c=%31%30+0%2B"), "10 0+", "imp", Some(value)),
        1 => (format!("C=upper&c=lower&T=sale&V={value}"), "upper", "sale", Some(value)),
        2 => (format!("c=first&c=second&t=imp&v={value}&v=5"), "first", "imp", Some(value)),
        3 => (format!("v={value}"), "-", "-", Some(value)),
        4 => ("c=&t=&v=".to_owned(), "", "", None),
        5 => ("c=1&t=click&v=-".to_owned(), "1", "click", None),
        6 => (format!("cc=7&xt=1&t&c=%zz&t=%C3%A9&v={value}#v=9"), "%zz", "é", Some(value)),
        _ => (format!("c=-5&t=sale&v=-{value}"), "-5", "sale", Some(-value)),
    };
    write(random, second, &query, log);
    (vec![campaign.into(), event.into()], value)
}

fn write(random: &mut Random, second: i64, query: &str, log: &mut Vec<u8>) {
    let time = String::from_utf8(local_time(second)).expect("ASCII");
    let (address, agent) = (address(random), random.pick(&AGENTS));
    write!(
        log,
        "{address} - - [{time}] \"GET /e?{query} HTTP/1.1\" 204 0 \"https://news.example.org/story\" \"{agent}\""
    )
    .expect("memory");
}
