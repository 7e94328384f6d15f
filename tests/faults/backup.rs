//! Copies of the SQLite database.

use std::{fs, path::Path};

use evs_testkit::Kind;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use crate::support::{
    process::{Place, Running},
    sqlite_totals,
};

#[tokio::test]
async fn after_a_clean_exit_the_database_file_alone_has_everything() {
    for once in [true, false] {
        let mut place = Place::new(Kind::Combined, 61);
        place.write(3_000);
        let outcome = if once {
            place.run_clean()
        } else {
            let mut running = Running::start(&mut place.command(&[]));
            running.until("cut a batch", |_| place.binlog_bytes() > 1_000);
            running.signal("TERM");
            running.outcome()
        };
        outcome.assert_complete();
        assert!(outcome.lines() > 0);
        let copy = place.path("copy.db");
        fs::copy(place.database(), &copy).unwrap();
        let counted = sqlite_totals(&copy, Kind::Combined, "totals").await;
        let lines: u64 = counted.values().map(|total| total.0).sum();
        let rejected = outcome.summary()["rejected"].as_u64().unwrap();
        assert_eq!(lines, outcome.lines() - rejected, "once: {once}");
    }
}

async fn vacuum_into(database: &Path, backup: &Path) {
    let url = format!("sqlite://{}", database.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let vacuum = format!("VACUUM INTO '{}'", backup.display());
    sqlx::query(AssertSqlSafe(vacuum)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_backup_made_while_evs_runs_is_whole_and_gets_what_it_lacks() {
    let mut place = Place::new(Kind::Combined, 62);
    place.write(3_000);
    let mut running = Running::start(&mut place.command(&[]));
    place.until_counted(&mut running).await;
    let backup = place.path("backup.db");
    vacuum_into(&place.database(), &backup).await;
    place.write(3_000);
    place.until_counted(&mut running).await;
    running.signal("TERM");
    running.outcome().assert_complete();
    // The database is lost; the backup takes its place, and nothing else of the old one.
    for file in ["stats.db", "stats.db-wal", "stats.db-shm"] {
        let _ = fs::remove_file(place.path("database").join(file));
    }
    fs::rename(&backup, place.database()).unwrap();
    place.run_clean();
    place.assert_exact("restored from a backup").await;
}
