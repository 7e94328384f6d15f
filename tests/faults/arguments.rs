//! Arguments that make no sense: the message names the argument, and what it may be.

use std::{fs, process::Command};

use evs_testkit::Kind;

use crate::support::{
    access_log,
    process::{Outcome, Place, Running},
};

const STAT: &str = "requests; by=status; count";

/// Runs the example on a small log with further arguments, of which `%` is the place's directory.
fn run(place: &Place, arguments: &[&str]) -> Outcome {
    let dir = place.path("").display().to_string();
    let mut command = Command::new(access_log());
    command.current_dir(&dir);
    let mut defaults = vec![
        ("--log", place.log().display().to_string()),
        ("--state", place.state().display().to_string()),
        ("--sink", format!("sqlite://{}", place.database().display())),
        ("--stat", STAT.to_owned()),
    ];
    defaults.retain(|(name, _)| !arguments.contains(name));
    for (name, value) in defaults {
        command.args([name, &value]);
    }
    command
        .arg("--once")
        .args(arguments.iter().map(|argument| argument.replace('%', dir.trim_end_matches('/'))));
    Running::start(&mut command).outcome()
}

#[test]
fn impossible_arguments_are_named_with_what_they_may_be() {
    let mut place = Place::new(Kind::Combined, 41);
    place.write(10);
    fs::create_dir(place.path("directory")).unwrap();
    fs::write(place.path("file"), "").unwrap();
    assert!(Command::new("mkfifo").arg(place.path("fifo")).status().unwrap().success());
    let cases: &[(&[&str], &[&str])] = &[
        (&["--format", "apache"], &["--format"]),
        (&["--format", ""], &["--format"]),
        (&["--format", "$remote_addr $status"], &["--format", "time"]),
        (&["--format", "$remote_addr$status [$time_local]"], &["--format"]),
        (&["--stat", ""], &["--stat", "name"]),
        (&["--stat", "r; by=status; count; average=x"], &["--stat", "average=x", "expected one of"]),
        (&["--stat", "r; window=soon; count"], &["--stat", "window=soon", "60s"]),
        (&["--stat", "r; window=0s; count"], &["window", "1 s to 366 days"]),
        (&["--stat", "r; flush=0; count"], &["flush", "expected"]),
        (&["--stat", "r; rows=many; count"], &["--stat", "rows=many", "a number"]),
        (&["--stat", "r; rows=0; count"], &["rows_max", "expected"]),
        (&["--stat", "r; sum=body_bytes_sent:x"], &["--stat", "FIELD[:SCALE]"]),
        (&["--stat", "r; by=nothing_like_it; count"], &["nothing_like_it"]),
        (&["--stat", "r; by=status"], &["measure", "not set"]),
        (&["--stat", "R!; count"], &["statistic", "a-z"]),
        (&["--stat", "r; count", "--stat", "r; count"], &["statistic", "a name that no other has"]),
        (&["--sink", "foo://somewhere"], &["--sink", "sqlite://PATH"]),
        (&["--sink", "somewhere"], &["--sink", "sqlite://PATH"]),
        (&["--sink", "@%/missing"], &["--sink", "missing"]),
        (&["--sink", "@%/file"], &["--sink", "file", "no URL"]),
        (&["--sink", "sqlite://a.db", "--sink", "sqlite://b.db"], &["--sink", "sqlite", "NAME=URL"]),
        (&["--sink", "a b=sqlite://a.db"], &["--sink", "sqlite://PATH"]),
        (&["--formerly", "reports"], &["--formerly", "NEW=OLD"]),
        (&["--formerly", "pg=reports"], &["--formerly", "NEW=OLD"]),
        (&["--formerly", "sqlite=sqlite"], &["formerly", "no sink has now"]),
        (&["--forget-sink", "sqlite"], &["forget_sink", "configured"]),
        (&["--sink", "sqlite://%/none/stats.db"], &["none", "cannot be used"]),
        (&["--sink", "sqlite://%/directory"], &["is a directory"]),
        (&["--from", "nowhere"], &["--from", "oldest, start, end"]),
        (&["--log", "%/directory"], &["directory", "regular file"]),
        (&["--log", "%/fifo"], &["fifo", "regular file"]),
        (&["--log", "%/missing.log"], &["--log", "missing.log"]),
        (&["--log", "%/none/access.log"], &["--log", "none/access.log"]),
        (&["--state", "%/file"], &["file", "directory"]),
        (&["--state", "/proc/none/state"], &["/proc/none/state"]),
        (&["--workers", "0"], &["workers", "1 to 256"]),
        (&["--workers", "257"], &["workers", "1 to 256"]),
        (&["--workers", "-1"], &["--workers"]),
        (&["--lines-per-second", "0"], &["lines_per_second_max", "1 or more"]),
        (&["--source", "Web 1"], &["source", "a-z, 0-9, _ and -"]),
        (&["--nonsense"], &["--nonsense"]),
    ];
    let mut wrong = Vec::new();
    for (arguments, expected) in cases {
        let outcome = run(&place, arguments);
        let says = expected.iter().all(|text| outcome.stderr.contains(text));
        if outcome.status.code().is_none_or(|code| code == 0) || !says {
            wrong
                .push(format!("{arguments:?}: expected {expected:?}: {} {}", outcome.status, outcome.stderr));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_state_directory_of_another_definition_or_source_is_refused_and_left_as_it_is() {
    let mut place = Place::new(Kind::Combined, 42);
    place.write(10);
    assert!(run(&place, &[]).status.success());
    let cases: [(&[&str], &[&str]); 3] = [
        (&["--source", "other"], &["other", "access_log"]),
        (&["--stat", "requests; by=remote_addr; count"], &["requests", "remote_addr"]),
        (&["--stat", "requests; window=3600s; by=status; count"], &["requests", "3600s"]),
    ];
    for (arguments, expected) in cases {
        let outcome = run(&place, arguments);
        outcome.assert_stopped(&expected[..1]);
        assert!(expected.iter().all(|text| outcome.stderr.contains(text)), "{arguments:?}: {outcome:?}");
    }
    place.write(10);
    let outcome = run(&place, &[]);
    outcome.assert_complete();
    assert_eq!(outcome.lines(), 10, "the rest, and no more");
}

#[test]
fn a_log_that_may_not_be_read_is_waited_for_and_said() {
    use std::os::unix::fs::PermissionsExt;

    let mut place = Place::new(Kind::Combined, 43);
    place.write(10);
    fs::set_permissions(place.log(), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::File::open(place.log()).is_ok() {
        crate::skip("an unreadable log", "root may read everything");
        return;
    }
    let mut running = Running::start(place.command(&[]).env("RUST_LOG", "info"));
    running.until_it_says("ermission denied");
    fs::set_permissions(place.log(), fs::Permissions::from_mode(0o600)).unwrap();
    running.until("counted", |_| place.binlog_bytes() > 1_000);
    running.signal("TERM");
    running.outcome().assert_complete();
}

#[tokio::test]
async fn a_url_in_a_file_or_in_the_environment_is_not_in_the_list_of_processes() {
    for from_file in [true, false] {
        let mut place = Place::new(Kind::Combined, 44);
        place.write(1_000);
        let url = format!("sqlite://{}", place.database().display());
        let with_url = place.command(&[]);
        let mut arguments: Vec<_> = with_url.get_args().map(ToOwned::to_owned).collect();
        let sink = arguments.iter().position(|argument| argument == "--sink").unwrap();
        arguments.drain(sink..sink + 2);
        let mut command = Command::new(access_log());
        command.args(&arguments);
        if from_file {
            fs::write(place.path("sinks"), format!("# where to\n\n{url}\n")).unwrap();
            command.arg("--sink").arg(format!("@{}", place.path("sinks").display()));
        } else {
            command.env("EVS_SINK", &url);
        }
        let mut running = Running::start(&mut command);
        place.until_counted(&mut running).await;
        let listed = fs::read(format!("/proc/{}/cmdline", running.id())).unwrap();
        assert!(!String::from_utf8_lossy(&listed).contains(&url), "from a file: {from_file}");
        running.signal("TERM");
        running.outcome().assert_complete();
        place.assert_exact("the URL was not an argument").await;
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_opened_is_named_and_counted_into_once_it_can() {
    let mut place = Place::new(Kind::Combined, 45);
    place.write(1_000);
    let directory = place.path("database");
    fs::remove_dir(&directory).unwrap();
    let outcome = Running::start(place.command(&[]).arg("--once")).outcome();
    outcome.assert_stopped(&["the directory cannot be used"]);
    assert!(outcome.stderr.contains("--sink"), "{outcome:?}");
    assert!(!place.state().exists(), "nothing was counted");
    fs::create_dir(&directory).unwrap();
    place.run_clean();
    place.assert_exact("the directory was made").await;
}

#[test]
fn a_log_of_another_format_ends_with_a_code_of_its_own_and_is_explained() {
    let mut place = Place::new(Kind::Combined, 47);
    place.write(10);
    let wrong = r#"$remote_addr [$time_local] "$request" $status"#;
    let outcome = run(&place, &["--format", wrong]);
    assert_eq!(outcome.status.code(), Some(5), "{}", outcome.stderr);
    for text in ["10 of 10 lines were rejected", "the commonest reason", "--explain"] {
        assert!(outcome.stderr.contains(text), "{}", outcome.stderr);
    }
    let explained = run(&place, &["--format", wrong, "--explain"]);
    assert!(explained.status.success(), "{}", explained.stderr);
    let lines =
        explained.stdout.lines().filter(|line| line.starts_with("rejected after remote_addr: column"));
    assert!(lines.count() >= 5, "{}", explained.stdout);
    let explained = run(&place, &["--format", "combined", "--explain"]);
    assert!(explained.stdout.contains("\n  status = ") && explained.stdout.contains("accepted: "));
}

#[test]
fn what_a_client_wrote_for_the_terminal_is_not_sent_there() {
    let place = Place::new(Kind::Combined, 48);
    fs::write(
        place.path("access.log"),
        "::1 - - [21/Nov/2026:13:25:22 +0000] \"GET /\x1b[2J HTTP/1.1\" 200 1\n",
    )
    .unwrap();
    for format in ["combined", "$msec $status"] {
        let explained = run(&place, &["--format", format, "--explain"]);
        assert!(explained.status.success(), "{}", explained.stderr);
        assert!(
            explained.stdout.contains("GET /") && !explained.stdout.contains('\x1b'),
            "{format}: {explained:?}"
        );
    }
}
