//! What protects the routes: headers for browsers, the names by which they may be asked, and a token.

use std::{net::IpAddr, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header, uri::Authority},
    middleware::{self, Next},
    response::Response,
};
use subtle::ConstantTimeEq;

use super::{page, problem};

/// Adds the headers that keep a browser from running what a client has put into the log, or showing the page inside another
/// site's.
pub(super) fn with_headers<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes.layer(middleware::map_response(async |mut response: Response| {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, page::POLICY.clone());
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }))
}

/// Who may ask a server that stands alone.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    /// Names in `Host` besides addresses and `localhost`. A page of another site can point a name of its own at this machine
    /// and then read what it likes, unless the name is looked at (DNS rebinding).
    pub(super) hosts: Vec<String>,
    /// The token that a request must bring, except for the page, which has no data.
    pub(super) token: Option<String>,
}

impl Guard {
    /// Answers a request that may not be asked; `None` lets it pass.
    fn refuse(&self, request: &Request) -> Option<Response> {
        let headers = request.headers();
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if !self.knows(host) {
            let error = "this name is not one of the server's: name it with Options::host";
            return Some(problem(StatusCode::MISDIRECTED_REQUEST, error));
        }
        if let Some(origin) = headers.get(header::ORIGIN) {
            let origin = origin.to_str().unwrap_or_default();
            if origin.split_once("://").is_none_or(|(_, of)| of != host) {
                return Some(problem(StatusCode::FORBIDDEN, "the request comes from another site"));
            }
        }
        let Some(token) = &self.token else { return None };
        let given = headers.get(header::AUTHORIZATION).and_then(|given| given.to_str().ok());
        let given = given.and_then(|given| given.strip_prefix("Bearer ")).unwrap_or_default();
        let is_right = bool::from(given.as_bytes().ct_eq(token.as_bytes()));
        if is_right || request.uri().path() == "/" {
            return None;
        }
        let mut refused = problem(StatusCode::UNAUTHORIZED, "a token is needed: Authorization: Bearer …");
        refused.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        Some(refused)
    }

    fn knows(&self, host: &str) -> bool {
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = authority.host();
        let is_address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
        is_address
            || name.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Lets only those requests pass that the guard allows.
pub(super) fn guarded(routes: Router, guard: Guard) -> Router {
    routes.layer(middleware::from_fn_with_state(Arc::new(guard), check))
}

async fn check(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    match guard.refuse(&request) {
        Some(refused) => refused,
        None => next.run(request).await,
    }
}
