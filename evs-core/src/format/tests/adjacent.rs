//! Variables with nothing between them, where the boundary is certain.

use super::*;

#[test]
fn a_target_after_a_host_begins_at_its_slash() {
    let format =
        nginx(r#"[$time_local] "$request_method $scheme://$host$request_uri $server_protocol" $status"#);
    for (written, expected) in [
        (
            "GET https://shop.example.net/list?c=7 HTTP/1.1",
            ["https", "shop.example.net", "/list?c=7", "/list", "7"],
        ),
        ("GET http://[::1]/ HTTP/2.0", ["http", "[::1]", "/", "/", "-"]),
        ("GET http://a-b//x HTTP/1.1", ["http", "a-b", "//x", "/x", "-"]),
        // Requests without a target, and without a host.
        ("OPTIONS http://h* HTTP/1.1", ["http", "h", "*", "*", "-"]),
        ("- http://_- HTTP/1.0", ["http", "_", "-", "-", "-"]),
        ("GET http:///a HTTP/1.0", ["http", "", "/a", "/a", "-"]),
    ] {
        let line = format!("[{TIME}] \"{written}\" 200");
        let found =
            read(&format, &["scheme", "host", "request_uri", "uri", "arg_c"], line.as_bytes()).unwrap();
        assert_eq!(found[..3], expected[..3], "{written}");
        if expected[2].starts_with('/') {
            assert_eq!(found[3..], expected[3..], "{written}");
        }
    }
    for written in ["GET http://h HTTP/1.1", "GET http:// HTTP/1.1", "GET http://h x/ HTTP/1.1"] {
        let line = format!("[{TIME}] \"{written}\" 200");
        let found = reason(&format, line.as_bytes()).map(|(reason, _)| reason);
        assert_eq!(found, Some(Reason::Unterminated), "{written}");
    }
    let format = nginx("$msec $server_name:$server_port$request_uri");
    let found = read(&format, &["server_port", "request_uri"], b"1795246822.000 www.example.net:443/a b");
    assert_eq!(found.unwrap(), ["443", "/a b"]);
}

#[test]
fn what_is_not_certain_is_refused() {
    for format in
        ["$msec $http_host$request_uri", "$msec $host$uri", "$msec $args$request_uri", "$msec $host$status"]
    {
        assert!(matches!(LogFormat::nginx(format), Err(FormatError::SideBySide { .. })), "{format}");
    }
}
