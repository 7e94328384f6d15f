//! evs inside a service: counts an nginx log into SQLite, and shows its status over HTTP, here with tokio alone.
//!
//!     cargo run --example embedded -- /var/log/nginx/access.log /tmp/stats.db /tmp/evs-state 127.0.0.1:8080
//!     curl http://127.0.0.1:8080/status; curl -X POST http://127.0.0.1:8080/retry
//!
//! Ctrl-C and SIGTERM end it in good order; even without that, the next start continues where this one ended.

use std::time::Duration;

use evs::{SinkState, StatusHandle, prelude::*};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, log, database, state, address] = arguments.as_slice() else {
        return Err("usage: embedded LOG DATABASE STATE_DIR ADDRESS".into());
    };
    let requests = Statistic::named("requests").window(Duration::from_secs(60)).group_by(["status"]);
    let pipeline = Pipeline::builder("embedded")
        .tail(log)
        .format(LogFormat::combined())
        .statistic(requests.measure(count()).measure(sum("body_bytes_sent")))
        .sink("stats", SqliteSink::connect(&format!("sqlite://{database}")).await?)
        .state_dir(state);
    let pipeline = pipeline.build_async().await?;
    let (server, handle) = (TcpListener::bind(address).await?, pipeline.status_handle());
    eprintln!("http://{}/status", server.local_addr()?);
    tokio::spawn(async move {
        while let Ok((client, _)) = server.accept().await {
            tokio::spawn(answer(client, handle.clone()));
        }
    });
    let mut terminated = signal(SignalKind::terminate())?;
    let shutdown = async { tokio::select!(_ = tokio::signal::ctrl_c() => {}, _ = terminated.recv() => {}) };
    println!("{} lines counted", pipeline.run(shutdown).await?.lines);
    Ok(())
}

/// Answers one request. With axum a route is one line: `get(async move || Json(handle.status()))`.
async fn answer(client: TcpStream, handle: StatusHandle) -> std::io::Result<()> {
    let (mut client, status) = (BufReader::new(client), handle.status());
    let (mut request, mut header) = (String::new(), String::new());
    client.read_line(&mut request).await?;
    while client.read_line(&mut header).await? > 2 {
        header.clear(); // The request ends with an empty line.
    }
    let is_healthy = status.sinks.iter().all(|sink| sink.state == SinkState::Up);
    let (code, body) = match request.rsplit_once(' ').map_or("", |(route, _version)| route) {
        "GET /status" => ("200 OK", serde_json::to_string_pretty(&status)?),
        "GET /healthz" if is_healthy => ("200 OK", "healthy".to_owned()),
        "GET /healthz" => ("503 Service Unavailable", "a sink is away".to_owned()),
        "POST /retry" if handle.retry_sink("stats").is_ok() => ("200 OK", "tried again".to_owned()),
        _ => ("404 Not Found", "there are GET /status, GET /healthz and POST /retry".to_owned()),
    };
    client.write_all(format!("HTTP/1.0 {code}\r\n\r\n{body}\n").as_bytes()).await
}
