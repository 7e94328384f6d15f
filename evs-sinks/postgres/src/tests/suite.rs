use evs_sql::cases::decimal_limits;

use super::Database;

evs_sql::cases! { Database:
    passes_the_suite(decimal_limits(-210_866_803_200..=9_224_318_015_999)),
}
