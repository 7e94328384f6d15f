//! Beside a running pipeline.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::{Duration, Instant},
};

use evs_admin::cli::Exit;
use evs_core::{Statistic, count};

use crate::support::{Machine, runtime};

#[test]
fn all_commands_work_beside_a_pipeline_that_cuts_and_removes_segments() {
    let machine = Machine::new();
    machine.log(0..10);
    let often =
        Statistic::named("often").group_by(["uri"]).measure(count()).flush_every(Duration::from_millis(100));
    let builder =
        machine.builder().statistic(often).segment_bytes_max(8192).keep_acknowledged(Duration::ZERO);
    let pipeline = builder.poll_every(Duration::from_millis(20)).build().unwrap();
    let runtime = runtime();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let is_done = AtomicBool::new(false);
    let looks = std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            runtime.block_on(pipeline.run(async {
                let _ = stopped.await;
            }))
        });
        scope.spawn(|| {
            let mut number = 10;
            while !is_done.load(SeqCst) {
                machine.log(number..number + 50);
                number += 50;
                std::thread::yield_now();
                if number > 200_000 {
                    break;
                }
            }
        });
        let (begin, mut looks) = (Instant::now(), 0);
        while begin.elapsed() < Duration::from_secs(4) {
            let place = format!("{}:3", machine.log_path().display());
            for command in ["verify", "status", "inspect", "export", "rejected", "trace"] {
                let place = (command == "trace").then_some(&*place);
                let ran = machine.evs(command, &[&["--json"][..], place.as_slice()].concat());
                // Before the first commit there is nothing to look at.
                if ran.exit == Exit::CouldNotLook && ran.err.contains("has no binlog") {
                    continue;
                }
                looks += 1;
                assert_eq!(
                    ran.exit,
                    Exit::Fine,
                    "{command}: {} {}",
                    ran.err,
                    ran.out.lines().last().unwrap_or_default()
                );
            }
        }
        let holder = machine.evs("status", &["--json"]).json().remove(0)["holder"].clone();
        assert!(holder.as_str().is_some_and(|holder| !holder.contains("ended")), "{holder}");
        is_done.store(true, SeqCst);
        stop.send(()).unwrap();
        run.join().unwrap().unwrap();
        looks
    });
    assert!(looks > 10, "{looks}");
    let status = machine.evs("status", &["--json"]).json().remove(0);
    assert!(status["statistics"][1]["first_sequence"].as_u64() != Some(1), "segments were removed: {status}");
    machine.evs("verify", &[]).expect(Exit::Fine);
}
