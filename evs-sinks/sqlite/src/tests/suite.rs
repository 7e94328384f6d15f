use evs_core::conformance::Limits;

use super::File;

fn limits() -> Limits {
    let integers = i64::MIN.into()..=i64::MAX.into();
    Limits { counts: integers.clone(), extremes: integers, ..Limits::default() }
}

evs_sql::cases! { File:
    passes_the_suite(limits()),
}
