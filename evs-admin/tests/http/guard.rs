//! Who may ask.

use std::time::Instant;

use evs_admin::http::{ServeError, serve_on};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

#[tokio::test]
async fn a_token_is_asked_for_everything_but_the_page() {
    let client = serve(&Cockpit::new(), Options::new().token("secret").with_changes()).await;
    assert_eq!(get(client, "/").await.status, 200);
    for path in ["/status", "/metrics", "/health/live", "/statistics", "/openapi.json", "/nothing"] {
        let refused = get(client, path).await;
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")), "{path}");
    }
    for (token, status) in [("Bearer secret", 200), ("Bearer secre", 401), ("secret", 401), ("Bearer ", 401)]
    {
        assert_eq!(client.ask("GET", "/status", &[("Authorization", token)]).await.status, status, "{token}");
    }
    let change = client.ask("POST", "/do/resume", &[]).await;
    assert_eq!(change.status, 401);
}

#[tokio::test]
async fn pages_of_other_sites_and_names_that_are_not_the_servers_are_refused() {
    let client = serve(&Cockpit::new(), Options::new().host("stats.example.org")).await;
    let with = async |head: &[(&str, &str)]| client.ask("GET", "/status", head).await.status;
    for (host, status) in [
        ("localhost:9180", 200),
        ("127.0.0.1", 200),
        ("[::1]:9180", 200),
        ("Stats.example.org", 200),
        ("evil.example", 421),
        ("localhost.evil.example", 421),
        ("", 421),
    ] {
        assert_eq!(with(&[("Host", host)]).await, status, "{host}");
    }
    assert_eq!(with(&[("Host", "localhost:1"), ("Origin", "http://localhost:1")]).await, 200);
    assert_eq!(with(&[("Host", "localhost:1"), ("Origin", "http://evil.example")]).await, 403);
    assert_eq!(with(&[("Host", "localhost:1"), ("Origin", "null")]).await, 403);
}

#[tokio::test]
async fn without_a_token_nobody_else_may_look_and_nobody_change_anything() {
    let refused = async |address: &str, options: Options| {
        let listener = TcpListener::bind(address).await.unwrap();
        serve_on(listener, &Cockpit::new(), options).await.unwrap_err()
    };
    let error = refused("0.0.0.0:0", Options::new()).await;
    assert!(matches!(&error, ServeError::NoToken { what } if what.contains("0.0.0.0")), "{error}");
    let error = refused("127.0.0.1:0", Options::new().with_changes()).await;
    assert!(matches!(error, ServeError::NoToken { .. }), "{error}");
    let error = refused("0.0.0.0:0", Options::new().token("")).await;
    assert!(matches!(error, ServeError::NoToken { .. }), "{error}");
}

#[tokio::test]
async fn nothing_but_get_is_answered_where_nothing_changes() {
    let client = serve(&Cockpit::new(), Options::new()).await;
    for path in ["/status", "/metrics", "/statistics/x", "/health/live"] {
        for method in ["POST", "PUT", "DELETE"] {
            assert_eq!(client.ask(method, path, &[]).await.status, 405, "{method} {path}");
        }
    }
    assert_eq!(client.ask("POST", "/do/pause", &[]).await.status, 404, "only on purpose");
}

#[tokio::test]
async fn half_a_request_does_not_hold_a_connection() {
    let client = serve(&Cockpit::new(), Options::new()).await;
    let mut stream = TcpStream::connect(client.0).await.unwrap();
    let begun = Instant::now();
    stream.write_all(b"GET /status HTTP/1.1\r\nHost: loc").await.unwrap();
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await;
    assert!(closed.is_ok() && begun.elapsed() >= Duration::from_secs(9), "{closed:?}");
    assert_eq!(get(client, "/status").await.status, 200);
}
