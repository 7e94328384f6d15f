//! The formats that have a name: the defaults of common web servers, proxies and load balancers.

use super::{Container, FormatError, KeyNames, Language, LogFormat};

/// A format string, and its language.
type Text = (Language, &'static str);

/// The name of the Application Load Balancer's format.
pub(super) const ALB: &str = "aws_alb";
/// The name of HAProxy's format.
pub(super) const HAPROXY: &str = "haproxy_http";

/// HAProxy's `option httplog` (<https://docs.haproxy.org/3.0/configuration.html#8.2.3>). Captured headers, which stand in
/// braces, may be missing.
const HAPROXY_TEXT: &str = r#"$remote_addr:$remote_port [$time_local] $frontend $backend/$server $request_wait_time/$queue_time/$connect_time/$response_time/$total_time $status $bytes_sent $request_cookie $response_cookie $termination_state $actconn/$feconn/$beconn/$srv_conn/$retries $srv_queue/$backend_queue $captured"$request""#;

/// The formats of other servers, as strings, with the names that nginx has for the same values.
const TEXTS: [(&str, Text); 6] = [
    // https://kubernetes.github.io/ingress-nginx/user-guide/nginx-configuration/log-format/
    (
        "ingress_nginx",
        (
            Language::Nginx,
            r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id"#,
        ),
    ),
    // https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html. More fields
    // are added to the end from time to time.
    (
        ALB,
        (
            Language::Alb,
            r#"$type $time_iso8601 $elb $remote_addr:$remote_port $target $request_processing_time $target_processing_time $response_processing_time $status $target_status $request_length $bytes_sent "$request" "$http_user_agent" $ssl_cipher $ssl_protocol $target_group_arn "$trace_id" "$host" $rest"#,
        ),
    ),
    // https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage. Envoy writes quotes as
    // they come.
    (
        "envoy",
        (
            Language::Nginx,
            r#"escape=none [$time_iso8601] "$request" $status $response_flags $request_length $bytes_sent $request_time_ms $upstream_service_time "$http_x_forwarded_for" "$http_user_agent" "$http_x_request_id" "$host" "$upstream_host""#,
        ),
    ),
    // https://doc.traefik.io/traefik/observe/logs-and-access-logs. Traefik writes quotes as they come.
    (
        "traefik",
        (
            Language::Nginx,
            r#"escape=none $remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $requests "$router" "$server_url" ${request_time_ms}ms"#,
        ),
    ),
    // https://redmine.lighttpd.net/projects/lighttpd/wiki/Docs_ModAccessLog
    ("lighttpd", (Language::Apache, r#"%h %V %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#)),
    // https://varnish-cache.org/docs/trunk/reference/varnishncsa.html
    ("varnish", (Language::Apache, r#"%h %l %u %t "%r" %s %b "%{Referer}i" "%{User-agent}i""#)),
];

impl LogFormat {
    /// The format of that name.
    ///
    /// | name | the log is written by |
    /// | --- | --- |
    /// | `combined`, `common` | nginx, or Apache without `identd` |
    /// | `apache_combined`, `apache_common`, `apache_vhost` | Apache |
    /// | `json`, `ltsv` | anything that writes JSON lines or LTSV |
    /// | `w3c`, or `iis_w3c` or `cloudfront` for the same | IIS, CloudFront, anything that writes a `#Fields:` line |
    /// | `caddy` | Caddy; the time is in the key `ts` |
    /// | `traefik` | Traefik with its default format, which a client can [forge](Self::is_forgeable) |
    /// | `traefik_json` | Traefik, as JSON; the time is in the key `StartUTC` |
    /// | `ingress_nginx` | the Ingress NGINX Controller, whose lists of upstream servers a client can [forge](Self::is_forgeable) |
    /// | `aws_alb` | AWS's Application Load Balancer |
    /// | `haproxy_http` | HAProxy with `option httplog`, with or without a header of syslog |
    /// | `envoy` | Envoy with its default format, which a client can [forge](Self::is_forgeable) |
    /// | `lighttpd`, `varnish` | lighttpd, and varnishncsa |
    ///
    /// Fields have nginx's names where nginx has the value. In `caddy` and `traefik_json`, fields are keys, such as
    /// `request.host` and `DownstreamStatus`, and nginx's names are read as well: `host`, `status`, `request_uri`,
    /// `body_bytes_sent` and others. Lines of Caddy's other logs are rejected as [`OtherLog`](crate::Reason::OtherLog). A text parses as such a name, too.
    ///
    /// HAProxy and AWS write `-1` for what they do not know, such as the time of a response that never came: a measure takes that
    /// for no value, as it does `-`. HAProxy's `#HH` is undone, and a request that it has cut counts. It writes captured cookies as they come, so a client can forge what is
    /// between such a cookie and the request: `$termination_state` and the numbers of connections.
    ///
    /// # Errors
    ///
    /// Returns [`FormatError::Unknown`] for any other name.
    ///
    /// ```
    /// # extern crate evs_core as evs;
    /// use evs::LogFormat;
    ///
    /// let mut parser = LogFormat::named("lighttpd")?.parser(&["host", "status"])?;
    /// let mut record = Default::default();
    /// let line = br#"::1 www.example.net - [21/Nov/2026:13:25:22 +0545] "GET / HTTP/1.1" 200 3 "-" "-""#;
    /// parser.parse(line, &mut record)?;
    /// assert_eq!(record.field(0, line), b"www.example.net");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn named(name: &str) -> Result<Self, FormatError> {
        Ok(match name {
            "combined" => Self::combined(),
            "common" => Self::common(),
            "apache_combined" => Self::apache_combined(),
            "apache_common" => Self::apache_common(),
            "apache_vhost" => Self::apache_vhost(),
            "json" => Self::json(),
            "ltsv" => Self::ltsv(),
            "w3c" | "iis_w3c" | "cloudfront" => Self::w3c(),
            "caddy" => Self { names: KeyNames::Caddy, ..Self::json().time_key("ts") },
            HAPROXY => {
                Self::text(HAPROXY_TEXT, Language::Haproxy)?.within(Container::Syslog { is_optional: true })
            }
            "traefik_json" => Self { names: KeyNames::Traefik, ..Self::json().time_key("StartUTC") },
            _ => match TEXTS.iter().find(|(known, _)| *known == name) {
                Some((_, (language, text))) => Self::text(text, *language)?,
                None => return Err(FormatError::Unknown { name: name.to_owned() }),
            },
        })
    }
}
