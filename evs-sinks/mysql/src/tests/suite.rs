use evs_sql::cases::decimal_limits;

use super::Database;

evs_sql::cases! { Database:
    passes_the_suite(decimal_limits(-30_610_224_000..=253_402_300_799)),
}
