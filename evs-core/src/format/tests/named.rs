//! Named formats, on lines of their servers' documentation or as such.

use super::*;

/// Asserts that a line of a named format is read, with these fields and this time.
fn assert_reads(name: &str, line: &str, seconds: i64, expected: &[(&str, &str)]) {
    let format: LogFormat = name.parse().unwrap();
    let fields: Vec<_> = expected.iter().map(|(field, _)| *field).collect();
    let mut record = Record::new();
    format.parser(&fields).unwrap().parse(line.as_bytes(), &mut record).unwrap();
    assert_eq!(record.seconds(), seconds, "{name}");
    for (index, (field, value)) in expected.iter().enumerate() {
        assert_eq!(record.field(index, line.as_bytes()), value.as_bytes(), "{name}: {field}");
    }
}

#[test]
fn caddy() {
    let line = r#"{"level":"info","ts":1585597114.7687502,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"127.0.0.1","proto":"HTTP/2.0","method":"GET","host":"localhost","uri":"/a?c=7","headers":{"User-Agent":["curl/7.82.0"]}},"bytes_read":0,"user_id":"","duration":0.000929675,"size":10900,"status":200}"#;
    let expected =
        [("request.method", "GET"), ("size", "10900"), ("duration", "0.000929675"), ("status", "200")];
    assert_reads("caddy", line, 1_585_597_114, &expected);
    let expected = [
        ("request_method", "GET"),
        ("body_bytes_sent", "10900"),
        ("remote_addr", "127.0.0.1"),
        ("host", "localhost"),
        ("request_uri", "/a?c=7"),
        ("uri", "/a"),
        ("arg_c", "7"),
        ("server_protocol", "HTTP/2.0"),
        ("request_time", "0.000929675"),
        ("request_length", "0"),
    ];
    assert_reads("caddy", line, 1_585_597_114, &expected);
    let caddy: LogFormat = "caddy".parse().unwrap();
    for (line, expected) in [
        (r#"{"ts":1.0,"logger":"http.log.access.log0","status":200}"#, None),
        (r#"{"ts":1.0,"request":{"method":"GET"},"status":200}"#, None),
        (
            r#"{"ts":1.0,"logger":"http.log.error","request":{"method":"GET"},"status":502}"#,
            Some((Reason::OtherLog, 21)),
        ),
        (r#"{"ts":1.0,"msg":"serving initial configuration"}"#, Some((Reason::OtherLog, 1))),
    ] {
        assert_eq!(reason(&caddy, line.as_bytes()), expected, "{line}");
    }
}

#[test]
fn traefik() {
    let line = r#"192.168.1.1 - john [10/Oct/2000:13:55:36 +0000] "GET /a?c=7 HTTP/1.1" 200 2326 "-" "curl/8" 1 "api@docker" "http://10.0.0.1:80" 12ms"#;
    let expected = [
        ("remote_user", "john"),
        ("uri", "/a"),
        ("body_bytes_sent", "2326"),
        ("requests", "1"),
        ("router", "api@docker"),
        ("server_url", "http://10.0.0.1:80"),
        ("request_time_ms", "12"),
    ];
    assert_reads("traefik", line, 971_186_136, &expected);
    // No answer, no router.
    let line = r#"10.0.0.1 - - [10/Nov/2009:23:00:00 +0000] "GET /foo http" - - "-" "-" 0 "-" "-" 123000ms"#;
    assert_reads("traefik", line, 1_257_894_000, &[("status", "-"), ("request_time_ms", "123000")]);
    let line = r#"{"ClientHost":"192.0.2.2","DownstreamContentSize":2099,"DownstreamStatus":200,"Duration":1811271,"RequestMethod":"POST","RouterName":"web@docker","StartLocal":"2026-11-28T11:00:47.503803974+01:00","StartUTC":"2026-11-28T10:00:47.503803974Z","time":"2026-11-28T11:00:48+01:00"}"#;
    let expected = [
        ("DownstreamStatus", "200"),
        ("RouterName", "web@docker"),
        ("Duration", "1811271"),
        ("status", "200"),
        ("request_method", "POST"),
        ("body_bytes_sent", "2099"),
    ];
    assert_reads("traefik_json", line, 1_795_860_047, &expected);
}

#[test]
fn ingress_nginx() {
    let line = r#"192.0.2.7 - - [28/Nov/2026:10:00:47 +0000] "GET /a?c=7 HTTP/2.0" 200 1485 "-" "curl/8" 498 0.008 [default-web-80] [] 10.0.0.1:8080, 10.0.0.2:8080 0, 1485 0.001, 0.007 502, 200 5933dc44"#;
    let expected = [
        ("uri", "/a"),
        ("arg_c", "7"),
        ("status", "200"),
        ("proxy_upstream_name", "default-web-80"),
        ("upstream_response_time", "0.001, 0.007"),
        ("req_id", "5933dc44"),
    ];
    assert_reads("ingress_nginx", line, 1_795_860_047, &expected);
}

#[test]
fn aws_alb() {
    let line = r#"https 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://www.example.com:443/a?c=7 HTTP/1.1" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root=1-58337281-1d84f3d73c47ec4e58577259" "www.example.com" "arn:aws:acm:us-east-2:123456789012:certificate/12345678-1234-1234-1234-123456789012" 1 2018-07-02T22:22:48.364000Z "authenticate,forward" "-" "-" "10.0.0.1:80" "200" "-" "-""#;
    let expected = [
        ("remote_addr", "192.168.131.39"),
        ("uri", "/a"),
        ("target_processing_time", "0.048"),
        ("bytes_sent", "57"),
        ("host", "www.example.com"),
    ];
    assert_reads("aws_alb", line, 1_530_570_180, &expected);
}

#[test]
fn haproxy_http() {
    let expected = [
        ("remote_addr", "10.0.1.2"),
        ("backend", "static"),
        ("server", "srv1"),
        ("response_time", "69"),
        ("status", "200"),
        ("bytes_sent", "2750"),
        ("request_method", "GET"),
        ("uri", "/index.html"),
    ];
    let line = r#"Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1""#;
    assert_reads("haproxy_http", line, 1_233_922_454, &expected);
    // No header is captured.
    assert_reads("haproxy_http", &line.replace("{1wt.eu} {} ", ""), 1_233_922_454, &expected);
    // As HAProxy writes them to standard output, and in a container.
    let headless = &line[line.find("10.0.1.2").unwrap()..];
    assert_reads("haproxy_http", headless, 1_233_922_454, &expected);
    let journal = serde_json::json!({"MESSAGE": headless}).to_string();
    assert_reads("journald:haproxy_http", &journal, 1_233_922_454, &expected);
    assert_reads("syslog:haproxy_http", line, 1_233_922_454, &expected);
    assert_eq!("cri:haproxy_http".parse::<LogFormat>().unwrap().to_string(), "cri:haproxy_http");
    // A syslog daemon in a container, or HAProxy itself, may write a header there, too.
    for envelope in [
        &format!("<134>{headless}"),
        &format!("<134>1 2026-11-30T14:00:01Z lb haproxy 1 - - {headless}"),
        line,
    ] {
        let docker = serde_json::json!({"log": format!("{envelope}\n"), "stream": "stdout"}).to_string();
        assert_reads("docker:haproxy_http", &docker, 1_233_922_454, &expected);
        assert_reads("haproxy_http", envelope, 1_233_922_454, &expected);
        let bad = docker.replace(" 200 2750", " 2x0 2750");
        let at = u32::try_from(bad.find("2x0").unwrap() + 1).unwrap();
        let found = reason(&"docker:haproxy_http".parse().unwrap(), bad.as_bytes()).unwrap();
        assert!((at..=at + 1).contains(&found.1), "{bad}: {found:?}");
    }
    // It cuts long lines, which end with the request.
    let cut = headless.strip_suffix("ml HTTP/1.1\"").unwrap();
    assert_reads("haproxy_http", cut, 1_233_922_454, &[("status", "200"), ("request_uri", "/index.ht")]);
    assert!(reason(&"haproxy_http".parse().unwrap(), &cut.as_bytes()[..cut.len() - 20]).is_some());
    let address = headless.replace("10.0.1.2:", "2001:db8::7:");
    assert_reads("haproxy_http", &address, 1_233_922_454, &[("remote_addr", "2001:db8::7")]);
    // A captured cookie may have blanks.
    let cookie = headless.replace("2750 - -", "2750 A=x - ---- y srv=1");
    let expected = [("request_cookie", "A=x - ---- y"), ("termination_state", "----"), ("actconn", "1")];
    assert_reads("haproxy_http", &cookie, 1_233_922_454, &expected);
    // With `option logasap`, the request goes on.
    let line = line.replace("/109 200 2750", "/+109 200 +2750");
    let expected = [("total_time", "+109"), ("bytes_sent", "+2750")];
    assert_reads("haproxy_http", &line, 1_233_922_454, &expected);
    let own = r#"$remote_addr [$time_local] $tr/$tw/$tc/$ta $status $bytes_sent"#;
    let line = "10.0.1.2 [06/Feb/2009:12:14:14.655] 10/0/30/+109 200 +2750";
    assert_reads(own, line, 1_233_922_454, &[("ta", "+109"), ("bytes_sent", "+2750")]);
}

#[test]
fn haproxy_writes_quotes_as_numbers() {
    let line = r##"10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in~ static/<NOSRV> 10/-1/-1/-1/10 503 212 - - SC-- 0/0/0/0/+3 0/0 {say#22hi#22 #7B} "GET /a?c=#C3#A9#22x HTTP/1.1""##;
    let expected = [
        ("server", "<NOSRV>"),
        ("captured", "{say\"hi\" {} "),
        ("request_uri", "/a?c=\u{e9}\"x"),
        ("arg_c", "\u{e9}\"x"),
        ("retries", "+3"),
    ];
    assert_reads("haproxy_http", line, 1_233_922_454, &expected);
    let bad = line.replace(&line[line.find("\"GET").unwrap()..], "\"<BADREQ>\"");
    assert_reads("haproxy_http", &bad, 1_233_922_454, &[("request", "<BADREQ>"), ("uri", "-")]);
}

#[test]
fn envoy() {
    let line = r#"[2016-04-15T20:17:00.310Z] "POST /api/v1/locations?c=7 HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" "cc21d9b0-cf5c-432b-8c7e-98aeb7988cd2" "locations" "tcp://10.0.2.1:80""#;
    let expected =
        [("uri", "/api/v1/locations"), ("status", "204"), ("request_time_ms", "226"), ("host", "locations")];
    assert_reads("envoy", line, 1_460_751_420, &expected);
    // The request ends after its protocol, although a client wrote the text that ends it before.
    let forged = line.replace("c=7 HTTP/2", "c=7\" 200 - 154 HTTP/2");
    assert_reads("envoy", &forged, 1_460_751_420, &[("status", "204"), ("host", "locations")]);
    assert!("envoy".parse::<LogFormat>().unwrap().is_forgeable());
}

#[test]
fn lighttpd_and_varnish() {
    let line = r#"192.0.2.10 www.example.net - [28/Nov/2026:10:00:47 +0000] "GET /a?c=7 HTTP/1.1" 200 50 "-" "8.9\" tablet""#;
    let expected = [("host", "www.example.net"), ("uri", "/a"), ("http_user_agent", "8.9\" tablet")];
    assert_reads("lighttpd", line, 1_795_860_047, &expected);
    let line = r#"192.0.2.10 - - [28/Nov/2026:10:00:47 +0000] "GET http://www.example.net/a?c=7 HTTP/1.1" 200 50 "-" "curl/8""#;
    assert_reads("varnish", line, 1_795_860_047, &[("uri", "/a"), ("arg_c", "7"), ("body_bytes_sent", "50")]);
}
