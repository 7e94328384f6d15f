//! The names that nginx has for the keys of other servers' JSON logs.

use crate::format::reference::{AccessKeys, Keys};

/// A server whose keys also have nginx's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum KeyNames {
    /// Fields are keys.
    #[default]
    None,
    Caddy,
    Traefik,
}

/// <https://caddyserver.com/docs/logging>
const CADDY: [(&str, &str); 10] = [
    ("body_bytes_sent", "size"),
    ("host", "request.host"),
    ("remote_addr", "request.remote_ip"),
    ("remote_port", "request.remote_port"),
    ("remote_user", "user_id"),
    ("request_length", "bytes_read"),
    ("request_method", "request.method"),
    ("request_time", "duration"),
    ("request_uri", "request.uri"),
    ("server_protocol", "request.proto"),
];

/// <https://doc.traefik.io/traefik/observe/logs-and-access-logs>. Its durations are in nanoseconds, so they are not nginx's.
const TRAEFIK: [(&str, &str); 10] = [
    ("body_bytes_sent", "DownstreamContentSize"),
    ("host", "RequestHost"),
    ("remote_addr", "ClientHost"),
    ("remote_port", "ClientPort"),
    ("remote_user", "ClientUsername"),
    ("request_method", "RequestMethod"),
    ("request_uri", "RequestPath"),
    ("scheme", "RequestScheme"),
    ("server_protocol", "RequestProtocol"),
    ("status", "DownstreamStatus"),
];

impl KeyNames {
    fn table(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::None => &[],
            Self::Caddy => &CADDY,
            Self::Traefik => &TRAEFIK,
        }
    }

    /// The keys that tell lines of requests from others.
    pub(super) fn access(self, keys: &mut Keys) -> Option<AccessKeys> {
        (self == Self::Caddy).then(|| AccessKeys {
            logger: keys.slot("logger"),
            request: ["request.method", "request.host", "request.uri"].map(|key| keys.slot(key)).to_vec(),
        })
    }

    /// The key of the field of that name.
    pub(super) fn key_of(self, name: &str) -> &str {
        self.table().iter().find(|(known, _)| *known == name).map_or(name, |(_, key)| key)
    }

    /// The name that nginx has for a key, if it is another.
    pub(super) fn of_key(self, key: &str) -> Option<&'static str> {
        self.table().iter().find(|(_, known)| *known == key).map(|(name, _)| *name)
    }
}
