//! What a status tells beside states and lags: what was rejected and why, how long things took, and what threads do.

use std::time::Instant;

use evs_core::ThreadStatus;

use super::*;

#[tokio::test]
async fn rejected_lines_are_counted_by_reason_and_the_last_ones_are_shown() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let pipeline = machine.pipeline().sink("memory", sink).workers(2).build().unwrap();
    let escape = "\u{1b}[31mred\n";
    machine.append(&(line(200, 3) + "\n" + escape + &"x\n".repeat(20) + &"y".repeat(2000) + "\n"));
    pipeline.run_to_end(pending()).await.unwrap();
    let status = pipeline.status();
    let by_reason: Vec<_> =
        status.rejected_by_reason.iter().map(|rejected| (rejected.reason, rejected.lines)).collect();
    assert_eq!((by_reason, status.rejected), (vec![("unterminated", 22), ("empty", 1)], 23));
    let samples = status.rejected_samples;
    assert_eq!(samples.len(), 10, "the last ones");
    let last = samples.last().unwrap();
    assert_eq!((last.path.as_deref(), &*last.line), (machine.log().to_str(), &*"y".repeat(256)));
    assert!(last.offset > 0 && !last.reason.is_empty());

    // The numbers are those of the run.
    pipeline.run_to_end(pending()).await.unwrap();
    let status = pipeline.status();
    assert!(status.rejected_by_reason.is_empty() && status.rejected_samples.is_empty(), "{status:#?}");
}

#[tokio::test]
async fn without_kept_samples_a_status_has_no_text_of_the_log() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let pipeline = machine.pipeline().sink("memory", sink).keep_samples(false).build().unwrap();
    machine.append("secret\n");
    pipeline.run_to_end(pending()).await.unwrap();
    let samples = pipeline.status().rejected_samples;
    assert_eq!(samples.iter().map(|sample| &*sample.line).collect::<Vec<_>>(), [""]);
}

#[tokio::test]
async fn cuts_commits_and_calls_of_sinks_are_timed() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let pipeline = machine.pipeline().statistic(by_status("other")).sink("memory", sink).build().unwrap();
    machine.append(&line(200, 3));
    pipeline.run_to_end(pending()).await.unwrap();
    let status = pipeline.status();
    assert!(status.commit_time.count > 0 && status.commit_time.count == status.cut_time.count, "{status:#?}");
    assert!(status.cut_time.sum >= status.commit_time.sum && !status.commit_time.sum.is_zero());
    assert_eq!((status.sinks[0].apply_time.count, status.sinks[0].batches), (2, 2));
    let batches: Vec<_> =
        status.statistics.iter().map(|statistic| (statistic.batches, statistic.batch_rows)).collect();
    assert_eq!(batches, [(1, 1), (1, 1)]);
    let binlog = fs::read_dir(machine.state()).unwrap();
    assert!(binlog.count() > 0 && status.error.is_none());
}

#[tokio::test]
async fn a_run_that_fails_leaves_its_error_in_the_status() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    fs::create_dir(machine.log()).unwrap();
    let pipeline = machine.pipeline().sink("memory", sink).build().unwrap();
    let error = pipeline.run_to_end(pending()).await.unwrap_err();
    assert_eq!(pipeline.status().error, Some(evs_core::describe(&error)));
    fs::remove_dir(machine.log()).unwrap();
    machine.append(&line(200, 1));
    pipeline.run_to_end(pending()).await.unwrap();
    assert_eq!(pipeline.status().error, None);
}

#[tokio::test]
async fn the_threads_of_a_run_show_their_steps() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let pipeline = machine.pipeline().sink("memory", sink).workers(2).build().unwrap();
    assert!(pipeline.status().threads.is_empty());
    machine.append(&line(200, 1));
    let drive = async {
        until(&pipeline, "running", |status| status.threads.len() == 4 && status.lines == 1).await;
        let mut names: Vec<_> = pipeline.status().threads.into_iter().map(|thread| thread.name).collect();
        names.sort_unstable();
        assert_eq!(names, ["committer", "reader", "worker 0", "worker 1"]);
        until(&pipeline, "idle", |status| status.threads.iter().all(|thread| thread.is_waiting)).await;
        // They wake up now and then all the same.
        let idle = Instant::now();
        for name in ["reader", "committer"] {
            let has_stepped = |thread: &ThreadStatus| thread.name == name && thread.since < idle.elapsed();
            until(&pipeline, "awake", |status| status.threads.iter().any(has_stepped)).await;
        }
    };
    pipeline.run(drive).await.unwrap();
    assert!(pipeline.status().threads.is_empty());
}
