//! The threads of many pipelines in one process. This test is a program of its own, since it counts them all.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "pipeline_support/mod.rs"]
mod pipeline_support;

use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};

use evs_core::{LogFormat, MemorySink, Phase, Pipeline, Statistic, count};
use pipeline_support::{Machine, until};
use tokio::sync::watch;

const PIPELINES: usize = 200;
/// The threads of the runtime, and those on which it lets code block.
const RUNTIME: usize = 2;
const BLOCKING: usize = 4;

/// The number of threads of this process, by the first 15 bytes of their names.
fn threads() -> BTreeMap<String, usize> {
    let mut threads = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").unwrap() {
        // A thread may end in between.
        let Ok(name) = fs::read_to_string(task.unwrap().path().join("comm")) else { continue };
        *threads.entry(name.trim_end().to_owned()).or_default() += 1;
    }
    threads
}

/// The number of threads that belong to pipelines alone.
fn own(threads: &BTreeMap<String, usize>) -> usize {
    threads.iter().filter(|(name, _)| name.starts_with("evs-")).map(|(_, threads)| threads).sum()
}

/// The number of inotify instances of this process.
fn inotify_instances() -> usize {
    let files = fs::read_dir("/proc/self/fd").unwrap();
    let targets = files.filter_map(|file| fs::read_link(file.unwrap().path()).ok());
    targets.filter(|target| target.to_string_lossy() == "anon_inode:inotify").count()
}

fn build(machine: &Machine) -> Arc<Pipeline> {
    let requests = Statistic::named("requests").measure(count()).flush_every(Duration::from_millis(20));
    let builder = Pipeline::builder("web1").tail(machine.log()).format(LogFormat::common());
    let builder = builder.statistic(requests).sink("memory", MemorySink::new()).state_dir(machine.state());
    Arc::new(builder.build().unwrap())
}

async fn run_all() {
    let before = threads();
    let machines: Vec<_> = std::iter::repeat_with(Machine::new).take(PIPELINES).collect();
    let pipelines: Vec<_> = machines.iter().map(build).collect();
    assert_eq!(own(&threads()), 0, "a pipeline that does not run has no threads");

    let stop = watch::Sender::new(false);
    let run = |pipeline: &Arc<Pipeline>| {
        let mut stopped = stop.subscribe();
        pipeline.spawn(async move { drop(stopped.wait_for(|stopped| *stopped).await) }).unwrap()
    };
    let runs: Vec<_> = pipelines.iter().map(run).collect();
    for (pipeline, machine) in pipelines.iter().zip(&machines) {
        machine.append("::1 - - [21/Nov/2026:13:25:22 +0000] \"GET / HTTP/1.1\" 200 5\n");
        until(pipeline, "delivered", |status| status.sinks[0].batches > 0).await;
    }
    let running = threads();
    for name in ["evs-reader", "evs-worker-0", "evs-committer"] {
        assert_eq!(running.get(name), Some(&PIPELINES), "{running:#?}");
    }
    assert_eq!(own(&running), 3 * PIPELINES, "{running:#?}");
    let all = |threads: &BTreeMap<String, usize>| threads.values().sum::<usize>();
    // One more watches the directories of all logs.
    let most = all(&before) + 3 * PIPELINES + 1 + BLOCKING;
    assert!(all(&running) <= most, "{running:#?}");
    assert_eq!(inotify_instances(), usize::from(cfg!(feature = "notify")));

    stop.send_replace(true);
    for run in runs {
        let summary = run.await.unwrap().unwrap();
        assert_eq!((summary.lines, summary.is_complete), (1, true));
    }
    assert!(pipelines.iter().all(|pipeline| pipeline.status().phase == Phase::Ended));
    drop(pipelines);
    assert_eq!(inotify_instances(), 0);
}

#[test]
fn two_hundred_pipelines_have_three_threads_each_and_share_the_rest() {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime =
        runtime.worker_threads(RUNTIME).max_blocking_threads(BLOCKING).enable_all().build().unwrap();
    runtime.block_on(run_all());
    drop(runtime);
    // A thread says that it has ended just before it does.
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while own(&threads()) > 0 {
        assert!(std::time::Instant::now() < deadline, "{:#?}", threads());
        std::thread::yield_now();
    }
}
