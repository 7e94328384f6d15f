//! `/status` and the page.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_in_the_status_as_the_description_says() {
    let running = Running::new().await;
    let lines = line("GET / HTTP/1.1", 200) + "not a line\n";
    running.deliver(&lines).await;
    let answer = get(running.client, "/status").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let status = answer.json();
    let source = &status["sources"][0];
    assert_eq!((&source["source"], &source["state"]), (&"web1".into(), &"running".into()));
    let pipeline = &source["status"];
    assert_eq!((&pipeline["lines"], &pipeline["rejected"]), (&2.into(), &1.into()));
    assert_eq!(pipeline["rejected_samples"][0]["line"], "not a line");
    assert_eq!(pipeline["sinks"][0]["state"], "up");
    assert!(status["time"].as_f64().unwrap() > 1.7e9, "{status}");
    let one = get(running.client, "/status?source=web1").await.json();
    assert_eq!(one["sources"][0]["status"]["epoch"], pipeline["epoch"]);
    assert_eq!(get(running.client, "/status?source=web2").await.status, 404);

    let description = get(running.client, "/openapi.json").await.json();
    for (path, answer) in [
        ("/status", status),
        ("/health/live", get(running.client, "/health/live").await.json()),
        ("/statistics", get(running.client, "/statistics").await.json()),
        ("/statistics/{name}", get(running.client, "/statistics/requests?from=0&to=60&each=60").await.json()),
    ] {
        let schema =
            &description["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        conforms(&answer, schema, &description, path);
    }
    for path in ["/", "/status", "/metrics", "/health/live", "/health/ready", "/statistics", "/openapi.json"]
    {
        assert_eq!(get(running.client, path).await.status, 200, "{path}");
        assert!(description["paths"][path].is_object(), "{path} is described");
    }
    running.end().await;
}

/// Compares an answer with its description: every member is described, every required one is there, and the types agree.
fn conforms(answer: &Value, schema: &Value, all: &Value, at: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        let schema = &all["components"]["schemas"][name];
        assert!(schema.is_object(), "{at}: {name} is not described");
        return conforms(answer, schema, all, at);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let is_null = |schema: &&Value| schema["type"] == "null";
        if answer.is_null() {
            assert!(any.iter().any(|schema| is_null(&schema)), "{at}: null");
            return;
        }
        return conforms(answer, any.iter().find(|schema| !is_null(schema)).unwrap(), all, at);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let found = match answer {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let is_it = types.contains(&found) || (found == "integer" && types.contains(&"number"));
    assert!(is_it, "{at}: {found}, described as {types:?}");
    if let Some(values) = schema["enum"].as_array() {
        assert!(values.contains(answer), "{at}: {answer}");
    }
    if let Value::Array(items) = answer {
        items.iter().for_each(|item| conforms(item, &schema["items"], all, &format!("{at}[]")));
    }
    if let Value::Object(members) = answer {
        if schema["additionalProperties"].is_object() {
            let of = &schema["additionalProperties"];
            members.iter().for_each(|(name, member)| conforms(member, of, all, &format!("{at}.{name}")));
            return;
        }
        for (name, member) in members {
            let schema = &schema["properties"][name];
            assert!(
                schema["description"].is_string() || schema["$ref"].is_string(),
                "{at}.{name} is not described"
            );
            conforms(member, schema, all, &format!("{at}.{name}"));
        }
        for name in schema["required"].as_array().into_iter().flatten() {
            assert!(members.contains_key(name.as_str().unwrap()), "{at}: {name} is missing");
        }
        let optional =
            schema["properties"].as_object().unwrap().keys().filter(|name| !members.contains_key(*name));
        let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
        optional.for_each(|name| assert!(!required.iter().any(|needed| needed == name), "{at}.{name}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_shown_before_its_pipeline_is_built_and_if_that_fails() {
    let (machine, cockpit) = (Machine::new(), Cockpit::new());
    let client = serve(&cockpit, Options::new()).await;
    assert_eq!(get(client, "/status").await.json()["sources"], serde_json::json!([]));
    // The state directory cannot be made.
    std::fs::write(machine.0.path().join("state"), "").unwrap();
    let built = cockpit.build("web1", machine.pipeline().sink("reports", TestSink::default()));
    let error = built.await.unwrap_err();
    let source = get(client, "/status").await.json()["sources"][0].clone();
    assert_eq!((&source["state"], &source["status"]), (&"failed".into(), &Value::Null));
    assert_eq!(source["error"], evs_core::describe(&error));
    assert_eq!(get(client, "/health/live").await.status, 503);
    assert_eq!(get(client, "/statistics/requests").await.status, 404);
    assert!(cockpit.remove("web1") && !cockpit.remove("web1"));
    assert_eq!(get(client, "/health/live").await.status, 200);
}

#[tokio::test]
async fn a_start_is_shown_from_its_first_moment() {
    let (machine, cockpit) = (Machine::new(), Cockpit::new());
    let mut building =
        std::pin::pin!(cockpit.build("web1", machine.pipeline().sink("reports", TestSink::default())));
    // The future was polled once: building goes on elsewhere.
    let is_built =
        std::future::poll_fn(|context| std::task::Poll::Ready(building.as_mut().poll(context).is_ready()));
    assert!(!is_built.await, "building takes a thread of its own");
    assert_eq!(cockpit.sources()[0].state, evs_admin::SourceState::Starting);
    let pipeline = building.await.unwrap();
    assert_eq!(cockpit.sources()[0].state, evs_admin::SourceState::Built);
    pipeline.run_to_end(async {}).await.unwrap();
}

#[tokio::test]
async fn the_page_and_the_routes_are_nested_in_the_routes_of_a_host() {
    use axum::{Router, routing::get as route};
    let cockpit = Cockpit::new();
    let host = Router::<u32>::new()
        .route("/", route(async || "the host's"))
        .nest_service("/evs", evs_admin::http::router(&cockpit))
        .with_state(7);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client(listener.local_addr().unwrap());
    tokio::spawn(async { axum::serve(listener, host).await });
    assert_eq!(get(client, "/").await.body, "the host's");
    for path in ["/evs", "/evs/"] {
        let page = get(client, path).await;
        assert_eq!(
            (page.status, page.header("content-type")),
            (200, Some("text/html; charset=utf-8")),
            "{path}"
        );
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'sha256-"), "{policy}");
    }
    assert_eq!(get(client, "/evs/status").await.json()["sources"], serde_json::json!([]));
}
