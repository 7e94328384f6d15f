//! The state directory: who may write to it, what is in it, and what becomes of a process that loses it.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown, symlink},
    path::Path,
    process::Command,
};

use evs_testkit::Kind;

use crate::{
    calls::can_trace,
    skip,
    support::process::{Place, Running},
};

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o7777
}

fn make(directory: &Path, mode: u32) {
    fs::create_dir(directory).unwrap();
    fs::set_permissions(directory, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn everything_in_the_state_directory_is_the_users_alone() {
    let mut place = Place::new(Kind::Combined, 41);
    place.write(1_000);
    place.run_clean();
    assert_eq!(mode(&place.state()), 0o700);
    let mut names = Vec::new();
    for entry in fs::read_dir(place.state()).unwrap().map(Result::unwrap) {
        assert_eq!(mode(&entry.path()), 0o600, "{entry:?}");
        names.push(entry.file_name().into_string().unwrap());
    }
    for name in ["lock", "reserve", "rejected-0.jsonl"] {
        assert!(names.iter().any(|other| other == name), "{name}: {names:?}");
    }
    assert!(names.iter().any(|name| name.ends_with(".evs")), "{names:?}");
}

#[tokio::test]
async fn a_state_directory_that_others_can_write_to_is_refused_until_it_is_closed() {
    let mut place = Place::new(Kind::Combined, 42);
    place.write(1_000);
    let own = "give evs a directory of its own";
    for (open, way_out) in [(0o777, "chmod 700"), (0o770, "chmod 700"), (0o1777, own)] {
        make(&place.state(), open);
        let outcome = Running::start(place.command(&[]).arg("--once")).outcome();
        let state = place.state().canonicalize().unwrap();
        outcome.assert_stopped(&[way_out]);
        assert!(outcome.stderr.contains(&format!("mode {open:04o}")), "{outcome:?}");
        assert!(outcome.stderr.contains(&state.display().to_string()), "{outcome:?}");
        fs::remove_dir(place.state()).expect("nothing was written to it");
    }
    make(&place.state(), 0o777);
    fs::set_permissions(place.state(), Permissions::from_mode(0o700)).unwrap();
    place.run_clean();
    place.assert_exact("closed").await;
}

#[tokio::test]
async fn a_state_directory_of_another_user_is_refused_for_root_too() {
    let mut place = Place::new(Kind::Combined, 43);
    place.write(1_000);
    make(&place.state(), 0o700);
    let nobody = 65_534;
    if chown(place.state(), Some(nobody), None).is_err() {
        return skip("a state directory of another user", "only root can give one away");
    }
    let outcome = Running::start(place.command(&[]).arg("--once")).outcome();
    outcome.assert_stopped(&["belongs to user 65534 (mode 0700), but this process runs as user 0"]);
    assert!(outcome.stderr.contains("run it as user 65534, or"), "{outcome:?}");
    chown(place.state(), Some(0), None).unwrap();
    place.run_clean();
    place.assert_exact("given back").await;
}

#[tokio::test]
async fn a_link_in_the_state_directory_is_refused_and_its_target_is_left_alone() {
    for name in ["reserve", "lock", "rejected-0.jsonl", "binlog-0000000000000001.evs"] {
        let mut place = Place::new(Kind::Combined, 44);
        place.write(1_000);
        let victim = place.path("victim");
        fs::write(&victim, "precious").unwrap();
        make(&place.state(), 0o700);
        symlink(&victim, place.state().join(name)).unwrap();
        let outcome = Running::start(place.command(&[]).arg("--once")).outcome();
        outcome.assert_stopped(&["it is a symbolic link"]);
        assert!(outcome.stderr.contains(name), "{outcome:?}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious", "{name}");
        fs::remove_file(place.state().join(name)).unwrap();
        place.run_clean();
        place.assert_exact(name).await;
    }
}

#[tokio::test]
async fn a_removed_lock_file_lets_no_second_process_in() {
    let mut place = Place::new(Kind::Combined, 45);
    place.write(1_000);
    let mut first = Running::start(&mut place.command(&[]));
    place.until_counted(&mut first).await;
    fs::remove_file(place.state().join("lock")).unwrap();
    Running::start(place.command(&[]).arg("--once")).outcome().assert_stopped(&["is in use by"]);
    place.write(1_000);
    place.until_counted(&mut first).await;
    first.signal("TERM");
    first.outcome().assert_complete();
    assert_eq!(place.run_clean().lines(), 0);
    place.assert_exact("the lock file was removed").await;
}

#[tokio::test]
async fn a_state_directory_that_was_moved_stops_the_process_before_it_commits() {
    let mut place = Place::new(Kind::Combined, 46);
    place.write(1_000);
    let mut running = Running::start(&mut place.command(&[]));
    place.until_counted(&mut running).await;
    let (state, moved) = (place.state(), place.path("moved"));
    fs::rename(&state, &moved).unwrap();
    let before = bytes_of_binlog(&moved);
    place.write(1_000);
    let outcome = running.outcome();
    outcome.assert_stopped(&["was moved, removed or replaced"]);
    assert_eq!(bytes_of_binlog(&moved), before, "it wrote after it had lost its directory");
    fs::rename(&moved, &state).unwrap();
    assert_eq!(place.run_clean().lines(), 1_000);
    place.assert_exact("put back").await;
}

#[tokio::test]
async fn a_process_whose_directory_was_replaced_by_a_copy_that_another_uses_adds_nothing() {
    let mut place = Place::new(Kind::Combined, 47);
    place.write(1_000);
    let mut first = Running::start(&mut place.command(&[]));
    place.until_counted(&mut first).await;
    first.signal("STOP");
    let (state, moved) = (place.state(), place.path("moved"));
    fs::rename(&state, &moved).unwrap();
    let copied = Command::new("cp").arg("-a").args([&moved, &state]).status().unwrap();
    assert!(copied.success());
    place.write(1_000);
    assert_eq!(place.run_clean().lines(), 1_000, "the second process counts in the copy");
    place.write(1_000);
    first.signal("CONT");
    first.outcome().assert_stopped(&["was moved, removed or replaced"]);
    assert_eq!(place.run_clean().lines(), 1_000);
    place.assert_exact("two directories").await;
}

fn bytes_of_binlog(directory: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension() == Some(OsStr::new("evs")));
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// The same command with another state directory.
fn with_state(command: &Command, state: &Path) -> Command {
    let mut changed = Command::new(command.get_program());
    let mut is_state = false;
    for argument in command.get_args() {
        changed.arg(if is_state { OsString::from(state) } else { argument.to_owned() });
        is_state = argument == "--state";
    }
    changed
}

#[tokio::test]
async fn every_directory_that_is_made_is_synced_in_the_one_above() {
    if !can_trace("syncs of new directories") {
        return;
    }
    let mut place = Place::new(Kind::Combined, 48);
    place.write(1_000);
    let trace = place.path("trace");
    let output = trace.display().to_string();
    let wrapper =
        ["strace", "-D", "-I2", "-f", "-qq", "-y", "-o", &output, "-e", "trace=fsync,mkdir,mkdirat"];
    let state = place.path("new/newer/state");
    let mut command = with_state(&place.command(&wrapper), &state);
    Running::start(command.arg("--once")).outcome().assert_complete();
    let trace = fs::read_to_string(&trace).unwrap();
    for directory in [state.as_path(), &place.path("new/newer"), &place.path("new")] {
        assert_eq!(mode(directory), 0o700);
        let parent = directory.parent().unwrap().canonicalize().unwrap();
        let made = trace.find(&format!("{}\"", directory.display())).expect("it is made");
        let parent = format!("<{}>", parent.display());
        let is_synced = trace[made..].lines().any(|line| line.contains("fsync(") && line.contains(&parent));
        assert!(is_synced, "{parent} is not synced after:\n{trace}");
    }
}
