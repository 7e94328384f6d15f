//! Logs in the format of each web server, proxy and balancer that has a name, and in each container.

use std::fmt::Write as _;

use evs::prelude::*;
use evs_testkit::Random;

/// The number of requests in each second of a log.
const PER_SECOND: u64 = 2000;
/// 2026-11-28, 10:00:00 UTC.
const START: u64 = 1_795_860_000;

/// A format, and its fields that a bench counts.
pub(crate) struct Case {
    /// The format as a text.
    pub(crate) format: &'static str,
    /// The key of the statistic.
    status: &'static str,
    bytes: &'static str,
    /// The time that the request took, if the lines tell it, and its decimal places.
    duration: Option<(&'static str, u8)>,
    write: fn(&Request, &mut String),
}

/// All formats that have a name, and `combined` in each container.
pub(crate) const CASES: &[Case] = &[
    case("combined", COMBINED, None, |request, out| request.combined(out)),
    case("common", COMBINED, None, |request, out| request.common(out)),
    case("apache_combined", COMBINED, None, |request, out| request.combined(out)),
    case("apache_vhost", SENT, None, vhost),
    case("lighttpd", COMBINED, None, lighttpd),
    case("varnish", COMBINED, None, varnish),
    case("ingress_nginx", COMBINED, Some(("request_time", 3)), ingress_nginx),
    case("traefik", COMBINED, Some(("request_time_ms", 0)), traefik),
    case("envoy", SENT, Some(("request_time_ms", 0)), envoy),
    case("haproxy_http", SENT, Some(("total_time", 0)), haproxy_http),
    case("aws_alb", SENT, Some(("target_processing_time", 3)), aws_alb),
    case("w3c", ("sc-status", "sc-bytes"), Some(("time-taken", 0)), iis),
    case("cloudfront", ("sc-status", "sc-bytes"), Some(("time-taken", 3)), cloudfront),
    case("json", COMBINED, Some(("request_time", 3)), json),
    case("ltsv", COMBINED, Some(("request_time", 3)), ltsv),
    case("caddy", ("status", "size"), Some(("duration", 9)), caddy),
    case("traefik_json", ("DownstreamStatus", "DownstreamContentSize"), Some(("Duration", 0)), traefik_json),
    case("docker:combined", COMBINED, None, docker),
    case("cri:combined", COMBINED, None, cri),
    case("syslog:combined", COMBINED, None, syslog),
    case("journald:combined", COMBINED, None, journald),
];

/// The status and the size in formats of nginx's names.
const COMBINED: (&str, &str) = ("status", "body_bytes_sent");
const SENT: (&str, &str) = ("status", "bytes_sent");

const fn case(
    format: &'static str,
    (status, bytes): (&'static str, &'static str),
    duration: Option<(&'static str, u8)>,
    write: fn(&Request, &mut String),
) -> Case {
    Case { format, status, bytes, duration, write }
}

impl Case {
    /// Count, sum of bytes and sum of durations by minute and status.
    pub(crate) fn statistic(&self) -> Statistic {
        let statistic = Statistic::named("requests").group_by([self.status]).measure(count());
        let statistic = statistic.measure(sum(self.bytes));
        match self.duration {
            Some((field, scale)) => statistic.measure(sum(field).scale(scale)),
            None => statistic,
        }
    }

    /// A log of the given number of lines. A log of the W3C's format begins with its `#` lines.
    pub(crate) fn log(&self, lines: u64) -> Vec<u8> {
        let mut random = Random::new(15);
        let mut log = match self.format {
            "w3c" => IIS_HEADER.to_owned(),
            "cloudfront" => CLOUDFRONT_HEADER.to_owned(),
            _ => String::new(),
        };
        for number in 0..lines {
            (self.write)(&Request::new(number, &mut random), &mut log);
            log.push('\n');
        }
        log.into_bytes()
    }
}

/// A request, of which each format writes a part.
struct Request {
    number: u64,
    /// The time of its end, in microseconds since 1970. Requests that end at about the same time are written in any order.
    micros: u64,
    addr: String,
    port: u64,
    method: &'static str,
    target: String,
    host: &'static str,
    status: &'static str,
    bytes: u64,
    /// The microseconds that it took.
    took: u64,
    referer: &'static str,
    agent: &'static str,
}

const AGENTS: [&str; 4] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "curl/8.11.0",
];

impl Request {
    fn new(number: u64, random: &mut Random) -> Self {
        let addr = random.skewed(50_000);
        Self {
            number,
            micros: START * 1_000_000 + number * (1_000_000 / PER_SECOND) + random.below(50_000),
            addr: format!("198.51.{}.{}", addr / 250, addr % 250),
            port: 1024 + random.below(60_000),
            method: random.pick(&["GET", "GET", "GET", "GET", "POST", "HEAD"]),
            target: format!("/shop/article-{}?c={}&v=1.50", random.skewed(20_000), random.below(100)),
            host: random.pick(&["shop.example.net", "www.example.net", "api.example.net"]),
            status: random.pick(&["200", "200", "200", "200", "206", "301", "304", "404", "500"]),
            bytes: random.steep(1_000_000),
            took: 100 + random.steep(5_000_000),
            referer: random.pick(&["-", "https://www.example.net/", "https://search.example.org/?q=shoes"]),
            agent: random.pick(&AGENTS),
        }
    }

    /// The time of day, `10:00:00`. No log of a bench reaches the next day.
    fn clock(&self) -> String {
        let of_day = self.micros / 1_000_000 % 86_400;
        format!("{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
    }

    fn fraction(&self) -> u64 {
        self.micros % 1_000_000
    }

    fn iso8601(&self, zone: &str) -> String {
        format!("2026-11-28T{}.{:06}{zone}", self.clock(), self.fraction())
    }

    fn millis(&self) -> u64 {
        self.took / 1000
    }

    fn seconds(&self) -> String {
        format!("{}.{:03}", self.millis() / 1000, self.millis() % 1000)
    }

    fn request(&self) -> String {
        format!("{} {} HTTP/1.1", self.method, self.target)
    }

    fn common(&self, out: &mut String) {
        let (Self { addr, status, bytes, .. }, clock, request) = (self, self.clock(), self.request());
        put(out, format_args!("{addr} - - [28/Nov/2026:{clock} +0000] \"{request}\" {status} {bytes}"));
    }

    fn combined(&self, out: &mut String) {
        self.common(out);
        put(out, format_args!(" \"{}\" \"{}\"", self.referer, self.agent));
    }

    fn to_combined(&self) -> String {
        let mut line = String::new();
        self.combined(&mut line);
        line
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a String takes any text");
}

fn vhost(request: &Request, out: &mut String) {
    put(out, format_args!("{}:443 ", request.host));
    request.combined(out);
}

fn lighttpd(request: &Request, out: &mut String) {
    let line = request.to_combined().replacen(" - - ", &format!(" {} - ", request.host), 1);
    out.push_str(&line);
}

fn varnish(request: &Request, out: &mut String) {
    out.push_str(&request.to_combined().replacen(" /", &format!(" http://{}/", request.host), 1));
}

fn ingress_nginx(request: &Request, out: &mut String) {
    request.combined(out);
    let (Request { bytes, status, number, .. }, seconds) = (request, request.seconds());
    let upstream = format!("10.0.0.{}:8080 {bytes} {seconds} {status}", 1 + number % 9);
    put(out, format_args!(" 498 {seconds} [default-web-80] [] {upstream} {:032x}", number * 0x9E37_79B9));
}

fn traefik(request: &Request, out: &mut String) {
    request.combined(out);
    let (number, millis) = (request.number, request.millis());
    put(out, format_args!(" {number} \"web@docker\" \"http://10.0.0.{}:80\" {millis}ms", 1 + number % 9));
}

fn envoy(request: &Request, out: &mut String) {
    let Request { addr, status, bytes, agent, host, number, .. } = request;
    let millis = request.millis();
    let time = &request.iso8601("Z")[..23];
    put(out, format_args!("[{time}Z] \"{}\" {status} - 154 {bytes} {millis} ", request.request()));
    put(out, format_args!("{millis} \"{addr}\" \"{agent}\" \"{:032x}\" ", number * 0x9E37_79B9));
    put(out, format_args!("\"{host}\" \"tcp://10.0.0.{}:80\"", 1 + number % 9));
}

fn haproxy_http(request: &Request, out: &mut String) {
    let Request { addr, port, status, bytes, host, .. } = request;
    let (clock, millis) = (request.clock(), request.millis());
    put(out, format_args!("Nov 28 {clock} lb1 haproxy[838]: {addr}:{port} [28/Nov/2026:{clock}."));
    put(out, format_args!("{:03}] public~ app/web{} ", request.fraction() / 1000, 1 + request.number % 9));
    put(
        out,
        format_args!("0/0/1/{millis}/{millis} {status} {bytes} - - ---- 120/118/40/5/0 0/0 {{{host}|}} "),
    );
    put(out, format_args!("\"{}\"", request.request()));
}

fn aws_alb(request: &Request, out: &mut String) {
    let Request { addr, port, method, target, status, bytes, agent, host, number, .. } = request;
    let (time, seconds) = (request.iso8601("Z"), request.seconds());
    let upstream = format!("10.0.0.{}:80", 1 + number % 9);
    put(out, format_args!("h2 {time} app/web/cb87d24460bf11ec {addr}:{port} {upstream} 0.000 {seconds} "));
    put(
        out,
        format_args!("0.000 {status} {status} 498 {bytes} \"{method} https://{host}:443{target} HTTP/2.0\" "),
    );
    put(out, format_args!("\"{agent}\" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:"));
    put(out, format_args!("eu-west-1:123456789012:targetgroup/web/73e2d6bc24d8a067 \"Root=1-{number:08x}-"));
    put(
        out,
        format_args!("07d638\" \"{host}\" \"arn:aws:acm:eu-west-1:123456789012:certificate/12345678\" "),
    );
    put(out, format_args!("1 {time} \"forward\" \"-\" \"-\" \"{upstream}\" \"{status}\" \"-\" \"-\""));
}

const IIS_HEADER: &str = "#Software: Microsoft Internet Information Services 10.0
#Version: 1.0
#Date: 2026-11-28 10:00:00
#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status sc-bytes time-taken
";

fn iis(request: &Request, out: &mut String) {
    let Request { addr, method, status, bytes, referer, agent, .. } = request;
    let (clock, target, millis) = (request.clock(), request.target.replace('?', " "), request.millis());
    put(out, format_args!("2026-11-28 {clock} 10.0.0.1 {method} {target} 443 - {addr} "));
    put(out, format_args!("{} {referer} {status} 0 0 {bytes} {millis}", agent.replace(' ', "+")));
}

const CLOUDFRONT_HEADER: &str = "#Version: 1.0
#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken
";

fn cloudfront(request: &Request, out: &mut String) {
    let Request { addr, method, status, bytes, referer, agent, host, number, .. } = request;
    let (path, query) = request.target.split_once('?').expect("a query");
    put(out, format_args!("2026-11-28\t{}\tFRA50-P3\t{bytes}\t{addr}\t{method}\t", request.clock()));
    put(out, format_args!("d111111abcdef8.cloudfront.net\t{path}\t{status}\t{referer}\t"));
    put(out, format_args!("{}\t{query}\t-\tHit\t{number:056x}\t", agent.replace(' ', "%20")));
    put(out, format_args!("{host}\thttps\t498\t{}", request.seconds()));
}

fn json(request: &Request, out: &mut String) {
    let Request { addr, status, bytes, referer, agent, .. } = request;
    put(out, format_args!("{{\"time_iso8601\":\"2026-11-28T{}+00:00\",", request.clock()));
    put(out, format_args!("\"remote_addr\":\"{addr}\",\"request\":\"{}\",", request.request()));
    put(
        out,
        format_args!(
            "\"status\":{status},\"body_bytes_sent\":{bytes},\"request_time\":{},",
            request.seconds()
        ),
    );
    put(out, format_args!("\"http_referer\":\"{referer}\",\"http_user_agent\":\"{agent}\"}}"));
}

fn ltsv(request: &Request, out: &mut String) {
    let Request { addr, status, bytes, referer, agent, .. } = request;
    put(
        out,
        format_args!("time:28/Nov/2026:{} +0000\thost:{addr}\treq:{}\t", request.clock(), request.request()),
    );
    put(out, format_args!("status:{status}\tbody_bytes_sent:{bytes}\trequest_time:{}\t", request.seconds()));
    put(out, format_args!("referer:{referer}\tua:{agent}"));
}

fn caddy(request: &Request, out: &mut String) {
    let Request { addr, port, method, target, host, agent, bytes, status, .. } = request;
    let (seconds, fraction) = (request.micros / 1_000_000, request.fraction());
    put(
        out,
        format_args!("{{\"level\":\"info\",\"ts\":{seconds}.{fraction:06}1,\"logger\":\"http.log.access\","),
    );
    put(
        out,
        format_args!("\"msg\":\"handled request\",\"request\":{{\"remote_ip\":\"{addr}\",\"remote_port\":"),
    );
    put(
        out,
        format_args!("\"{port}\",\"client_ip\":\"{addr}\",\"proto\":\"HTTP/2.0\",\"method\":\"{method}\","),
    );
    put(
        out,
        format_args!("\"host\":\"{host}\",\"uri\":\"{target}\",\"headers\":{{\"User-Agent\":[\"{agent}\"],"),
    );
    put(
        out,
        format_args!(
            "\"Accept\":[\"*/*\"],\"Accept-Encoding\":[\"gzip, br\"]}},\"tls\":{{\"resumed\":false,"
        ),
    );
    put(
        out,
        format_args!(
            "\"version\":772,\"cipher_suite\":4865,\"proto\":\"h2\",\"server_name\":\"{host}\"}}}},"
        ),
    );
    put(out, format_args!("\"bytes_read\":0,\"user_id\":\"\",\"duration\":{}.", request.took / 1_000_000));
    put(out, format_args!("{:06}{:03},\"size\":{bytes},", request.took % 1_000_000, request.number % 1000));
    put(out, format_args!("\"status\":{status},\"resp_headers\":{{\"Server\":[\"Caddy\"],"));
    put(out, format_args!("\"Content-Type\":[\"text/html; charset=utf-8\"]}}}}"));
}

fn traefik_json(request: &Request, out: &mut String) {
    let Request { addr, port, method, target, host, bytes, status, number, .. } = request;
    let (time, nanos) = (request.iso8601(""), request.took * 1000 + number % 1000);
    put(
        out,
        format_args!(
            "{{\"ClientAddr\":\"{addr}:{port}\",\"ClientHost\":\"{addr}\",\"ClientPort\":\"{port}\","
        ),
    );
    put(
        out,
        format_args!(
            "\"ClientUsername\":\"-\",\"DownstreamContentSize\":{bytes},\"DownstreamStatus\":{status},"
        ),
    );
    put(
        out,
        format_args!(
            "\"Duration\":{nanos},\"OriginContentSize\":{bytes},\"OriginDuration\":{},",
            nanos - 50_000
        ),
    );
    put(out, format_args!("\"OriginStatus\":{status},\"Overhead\":50000,\"RequestAddr\":\"{host}\","));
    put(out, format_args!("\"RequestContentSize\":0,\"RequestCount\":{number},\"RequestHost\":\"{host}\","));
    put(
        out,
        format_args!("\"RequestMethod\":\"{method}\",\"RequestPath\":\"{target}\",\"RequestPort\":\"-\","),
    );
    put(
        out,
        format_args!("\"RequestProtocol\":\"HTTP/2.0\",\"RequestScheme\":\"https\",\"RetryAttempts\":0,"),
    );
    put(out, format_args!("\"RouterName\":\"web@docker\",\"ServiceAddr\":\"10.0.0.1:80\","));
    put(out, format_args!("\"StartLocal\":\"{time}123Z\",\"StartUTC\":\"{time}123Z\",\"entryPointName\":"));
    put(out, format_args!("\"websecure\",\"level\":\"info\",\"msg\":\"\",\"time\":\"{}Z\"}}", &time[..19]));
}

fn docker(request: &Request, out: &mut String) {
    let line = request.to_combined().replace('"', "\\\"");
    put(
        out,
        format_args!(
            "{{\"log\":\"{line}\\n\",\"stream\":\"stdout\",\"time\":\"{}\"}}",
            request.iso8601("123Z")
        ),
    );
}

fn cri(request: &Request, out: &mut String) {
    put(out, format_args!("{} stdout F {}", request.iso8601("123Z"), request.to_combined()));
}

fn syslog(request: &Request, out: &mut String) {
    put(out, format_args!("<190>Nov 28 {} web1 nginx: {}", request.clock(), request.to_combined()));
}

fn journald(request: &Request, out: &mut String) {
    let (number, micros) = (request.number, request.micros);
    let line = request.to_combined().replace('"', "\\\"");
    put(
        out,
        format_args!("{{\"__CURSOR\":\"s=5f2b;i={number:x};b=1c0e\",\"__REALTIME_TIMESTAMP\":\"{micros}\","),
    );
    put(
        out,
        format_args!("\"_TRANSPORT\":\"stdout\",\"PRIORITY\":\"6\",\"_HOSTNAME\":\"web1\",\"_PID\":\"838\","),
    );
    put(out, format_args!("\"_COMM\":\"nginx\",\"_SYSTEMD_UNIT\":\"nginx.service\",\"_STREAM_ID\":"));
    put(out, format_args!("\"b3f1c2d4e5f60718293a4b5c6d7e8f90\",\"MESSAGE\":\"{line}\"}}"));
}
