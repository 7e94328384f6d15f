//! A full disk: a small tmpfs, mounted where only the process under test sees it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use evs_testkit::{Generator, Kind, Mix};

use crate::{
    lock, skip,
    support::process::{Place, Running},
    unlock,
};

/// A mount namespace with a small file system on a directory. It is gone when this is dropped.
struct SmallDisk {
    holder: Child,
    // Closed, it ends the holder.
    _stdin: ChildStdin,
    /// The way to the file system for those outside of the namespace.
    outside: PathBuf,
}

impl SmallDisk {
    fn mount(at: &Path, bytes: u64) -> Option<Self> {
        use std::io::Read;

        fs::create_dir_all(at).unwrap();
        let script = r#"mount -t tmpfs -o size="$1" tmpfs "$2" && echo mounted && exec cat"#;
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh", &bytes.to_string()]).arg(at);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut holder = command.spawn().ok()?;
        let mut said = [0; 8];
        if holder.stdout.as_mut()?.read_exact(&mut said).is_err() {
            holder.wait().unwrap();
            return None;
        }
        let stdin = holder.stdin.take()?;
        let outside = PathBuf::from(format!("/proc/{}/root{}", holder.id(), at.display()));
        Some(Self { holder, _stdin: stdin, outside })
    }

    /// What runs a program in the namespace.
    fn wrapper(&self) -> [String; 3] {
        ["nsenter".into(), format!("--mount=/proc/{}/ns/mnt", self.holder.id()), "--".into()]
    }

    /// Takes that many bytes of the room.
    fn fill(&self, bytes: usize) {
        fs::write(self.outside.join("ballast"), vec![b'x'; bytes]).unwrap();
    }

    /// Takes all of the room that is left.
    fn fill_up(&self) {
        use std::io::Write;

        let mut rest = fs::File::create(self.outside.join("rest")).unwrap();
        while rest.write(&[b'x'; 4096]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.outside.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

fn small_disk(test: &str, place: &Place) -> Option<SmallDisk> {
    let disk = SmallDisk::mount(&place.state(), 2 << 20);
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
    disk.fill((2 << 20) - (256 << 10));
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
    disk.fill((2 << 20) - (256 << 10));
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
    disk.fill((2 << 20) - (256 << 10));
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
