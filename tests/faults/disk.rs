//! A full disk, which only the process under test sees.

use std::{path::Path, process::Command};

use evs_testkit::{Generator, Kind, Mix, SmallDisk};

use crate::{
    lock, skip,
    support::process::{Place, Running},
    unlock,
};

const DISK_BYTES: usize = 2 << 20;

fn small_disk(test: &str, place: &Place) -> Option<SmallDisk> {
    small_disk_on(&place.state(), test)
}

fn small_disk_on(folder: &Path, test: &str) -> Option<SmallDisk> {
    let disk = SmallDisk::mount(folder, DISK_BYTES as u64);
    if disk.is_none() {
        skip(test, "mounting in a namespace of its own is not permitted (unshare -m needs root)");
    }
    disk
}

#[tokio::test]
async fn a_full_disk_pauses_reading_until_there_is_room() {
    let mut place = Place::new(Kind::Ads, 21);
    let Some(disk) = small_disk("a full disk", &place) else { return };
    place.write(150_000);
    disk.fill(DISK_BYTES - (256 << 10));
    // The sink is away, so that nothing of the binlog can go.
    let locked = lock(&place.database()).await;
    let wrapper = disk.wrapper();
    let mut running = Running::start(place.command(&wrapper.each_ref().map(String::as_str)).arg("--once"));
    running.until_it_says("reading waits");
    assert!(running.stderr().contains("No space left on device"), "{}", running.stderr());
    disk.make_room();
    unlock(locked).await;
    let outcome = running.outcome();
    outcome.assert_complete();
    assert_eq!(outcome.lines(), 150_000);
    place.assert_exact("the disk was full").await;
}

#[tokio::test]
async fn a_disk_that_the_binlog_alone_has_filled_is_freed_when_the_sink_returns() {
    let mut place = Place::new(Kind::Ads, 23);
    let Some(disk) = small_disk("a disk filled by the binlog", &place) else { return };
    // Without rejected lines, whose file stays.
    place.generator = Generator::new(Kind::Ads, Mix::default(), 23);
    disk.fill(DISK_BYTES - (256 << 10));
    let locked = lock(&place.database()).await;
    let wrapper = disk.wrapper();
    let mut command = place.command(&wrapper.each_ref().map(String::as_str));
    let mut running = Running::start(command.env("RUST_LOG", "info"));
    running.until("the binlog fills the disk", |running| {
        place.write(500);
        running.stderr().contains("No space left on device")
    });
    disk.fill_up();
    unlock(locked).await;
    running.until_it_says("reading goes on");
    drop(running);
    // The ballast is still there.
    Running::start(command.arg("--once")).outcome().assert_complete();
    place.assert_exact("the binlog had filled the disk").await;
}

#[tokio::test]
async fn a_process_killed_on_a_full_disk_starts_on_it_and_goes_on() {
    let mut place = Place::new(Kind::Ads, 22);
    let Some(disk) = small_disk("a kill on a full disk", &place) else { return };
    place.write(150_000);
    disk.fill(DISK_BYTES - (256 << 10));
    let locked = lock(&place.database()).await;
    let wrapper = disk.wrapper();
    let mut command = place.command(&wrapper.each_ref().map(String::as_str));
    command.arg("--once");
    for _ in 0..3 {
        let mut running = Running::start(&mut command);
        running.until_it_says("reading waits");
        running.signal("KILL");
        assert!(!running.outcome().status.success());
    }
    disk.make_room();
    unlock(locked).await;
    Running::start(&mut command).outcome().assert_complete();
    place.assert_exact("killed on a full disk").await;
}

#[tokio::test]
async fn a_full_disk_under_the_database_holds_up_its_sink_only() {
    let mut place = Place::new(Kind::Ads, 24);
    let folder = place.database().parent().unwrap().to_owned();
    let Some(disk) = small_disk_on(&folder, "a full disk under the database") else { return };
    place.write(150_000);
    disk.fill(DISK_BYTES - (128 << 10));
    let wrapper = disk.wrapper();
    let mut command = place.command(&wrapper.each_ref().map(String::as_str));
    let mut running = Running::start(command.arg("--once"));
    running.until_it_says("database or disk is full");
    disk.make_room();
    let outcome = running.outcome();
    outcome.assert_complete();
    assert_eq!(outcome.lines(), 150_000);
    // The write-ahead log belongs to the database.
    for file in std::fs::read_dir(disk.outside()).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
    }
    place.assert_exact("the database's disk was full").await;
}

#[tokio::test]
async fn a_read_only_disk_is_an_error_at_the_start_and_nothing_else() {
    let mut place = Place::new(Kind::Combined, 25);
    let Some(disk) = small_disk("a read-only disk", &place) else { return };
    place.write(1_000);
    let wrapper = disk.wrapper();
    let mut command = place.command(&wrapper.each_ref().map(String::as_str));
    command.arg("--once");
    let state = place.state();
    let remount = |how: &str| {
        let mut remount = Command::new(&wrapper[0]);
        remount.args(&wrapper[1..]).args(["mount", "-o", &format!("remount,{how}")]).arg(&state);
        assert!(remount.status().unwrap().success(), "{how}");
    };
    remount("ro");
    Running::start(&mut command).outcome().assert_stopped(&["Read-only file system"]);
    remount("rw");
    Running::start(&mut command).outcome().assert_complete();
    place.assert_exact("the disk was read-only").await;
    // It is another disk than that of the log.
    place.write(1_000);
    remount("ro");
    Running::start(&mut command).outcome().assert_stopped(&["Read-only file system"]);
    remount("rw");
    Running::start(&mut command).outcome().assert_complete();
    place.assert_exact("the disk was read-only again").await;
}
