//! Errors whose way out is a change of the program.

use super::*;

#[tokio::test]
async fn a_setting_and_a_format_are_corrected() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.log_requests(200, 2);
    let build = || machine.pipeline().sink("stats", sink.clone());
    assert_is!(build().workers(0).build().unwrap_err(), Error::Setting { .. });
    let by_country = Statistic::named("countries").group_by(["country"]).measure(count());
    assert_is!(build().statistic(by_country).build().unwrap_err(), Error::Format(_));
    assert!(!machine.state().exists(), "nothing was made");
    machine.count(&sink).await;
    assert_eq!(totals(&sink, "requests").await, of([("200", 2)]));
}

#[tokio::test]
async fn a_run_is_made_again_after_the_one_that_was_running() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    let pipeline = machine.pipeline().sink("stats", sink.clone()).build().unwrap();
    machine.log_requests(200, 1);
    let again = async { assert_is!(pipeline.run(async {}).await.unwrap_err(), Error::AlreadyRunning) };
    pipeline.run_to_end(again).await.unwrap();
    machine.log_requests(200, 1);
    pipeline.run_to_end(std::future::pending()).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 2)]));
}

#[tokio::test]
async fn a_changed_statistic_gets_another_name_or_its_old_definition() {
    let (machine, sink) = (Machine::new(), TestSink::default());
    machine.log_requests(200, 1);
    machine.count(&sink).await;
    let by_hour = |name| by_status(name).window(Duration::from_secs(3600));
    let with = |statistic| {
        let builder = Pipeline::builder("web1").tail(machine.log()).format(LogFormat::common());
        builder.statistic(statistic).state_dir(machine.state()).sink("stats", sink.clone())
    };
    machine.log_requests(404, 1);
    assert_is!(with(by_hour("requests")).build().unwrap_err(), Error::Redefined { .. });
    // Another name for the new one, which begins where the source stands, beside the old one.
    run_to_end(with(by_hour("requests_by_hour")).statistic(by_status("requests"))).await.unwrap();
    assert_eq!(totals(&sink, "requests").await, of([("200", 1), ("404", 1)]));
    machine.log_requests(500, 1);
    run_to_end(with(by_hour("requests_by_hour"))).await.unwrap();
    // The old one again.
    machine.count(&sink).await;
    assert_eq!(totals(&sink, "requests").await, of([("200", 1), ("404", 1), ("500", 1)]));
}
