//! What systemd is told. A socket of the test takes its place.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

use std::{
    env,
    io::{Read, Write},
    os::unix::net::UnixDatagram,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use evs_admin::{Cockpit, systemd};
use evs_core::Condition;
use support::{Machine, TestSink, line};

/// The most notifications until something is told.
const TOLD_MAX: usize = 100;

/// A process that does not outlive its test.
struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The time of `WatchdogSec=` in the test, in microseconds.
const WATCHDOG_USEC: &str = "400000";

/// The service: a process of its own, since systemd names its socket in the environment. It runs when the test below starts
/// it. Its standard input says what to do.
#[tokio::test(flavor = "multi_thread")]
async fn service() {
    if env::var("EVS_TEST_SERVICE").is_err() {
        return;
    }
    let machine = Arc::new(Machine::new());
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let passes = {
        let gate = Arc::clone(&gate);
        move |_: &[&[u8]]| {
            let closed = gate.0.lock().unwrap();
            drop(gate.1.wait_while(closed, |closed| *closed).unwrap());
            true
        }
    };
    let cockpit = Cockpit::new().stuck_after(Duration::from_millis(500));
    let builder = machine.pipeline().require("gate", Condition::code("gate", 1, ["request"], passes));
    machine.append(&line("GET / HTTP/1.1", 200));
    let notified = cockpit.clone();
    tokio::spawn(async move { match systemd::notify(&notified).await {} });
    let pipeline = cockpit.build("web1", builder.sink("reports", TestSink::default())).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let writer = Arc::clone(&machine);
    let commands = std::thread::spawn(move || {
        let mut input = std::io::stdin();
        let mut command = [0];
        let mut stop = Some(stop);
        while input.read(&mut command).unwrap() == 1 {
            match command[0] {
                b'g' => *gate.0.lock().unwrap() = true,
                // Conditions judge each value once.
                b'l' => writer.append(&line("GET /other HTTP/1.1", 200)),
                b'o' => {
                    *gate.0.lock().unwrap() = false;
                    gate.1.notify_all();
                }
                _ => drop(stop.take()),
            }
        }
    });
    let shutdown = async {
        drop(stopped.await);
        systemd::stopping();
    };
    pipeline.run(shutdown).await.unwrap();
    commands.join().unwrap();
}

#[test]
fn systemd_is_told_when_a_service_is_ready_alive_stuck_and_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let service = Command::new(env::current_exe().unwrap())
        .args(["--exact", "service", "--nocapture"])
        .envs([("EVS_TEST_SERVICE", "1"), ("WATCHDOG_USEC", WATCHDOG_USEC)])
        .env("NOTIFY_SOCKET", &path)
        .env_remove("WATCHDOG_PID")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut service = Service(service);
    let mut input = service.0.stdin.take().unwrap();
    let mut tell = |command: &[u8]| input.write_all(command).unwrap();
    let next = || {
        let mut bytes = [0; 4096];
        let len = socket.recv(&mut bytes).expect("a notification within a minute");
        String::from_utf8(bytes[..len].to_vec()).unwrap()
    };
    let until = |what: &str| {
        let mut told = Vec::new();
        while told.len() < TOLD_MAX {
            told.push(next());
            if told.last().is_some_and(|told| told.contains(what)) {
                return told.pop().unwrap();
            }
        }
        panic!("never {what}: {told:#?}");
    };
    let first = next();
    assert!(!first.contains("READY=1") && first.contains("EXTEND_TIMEOUT_USEC="), "{first}");
    let ready = until("READY=1");
    assert!(ready.contains("STATUS=web1: "), "{ready}");
    let alive = until("WATCHDOG=1");
    assert!(!alive.contains("READY=1") || alive == ready, "once");

    tell(b"gl");
    // The worker has work and makes no step: after a while nothing says that the service is alive.
    let is_silent = |told: &String| !told.contains("WATCHDOG=1");
    assert!((0..TOLD_MAX).any(|_| is_silent(&next())), "it is stuck");
    assert!((0..3).all(|_| is_silent(&next())), "it stays stuck");
    tell(b"o");
    until("WATCHDOG=1");
    tell(b"s");
    until("STOPPING=1");
    drop(input);
    assert!(service.0.wait().unwrap().success());
}

#[test]
fn without_a_socket_nothing_is_told_and_nothing_fails() {
    systemd::stopping();
}
