//! Delivers the batches of evs to MySQL and MariaDB, exactly once.
