//! Status page, JSON, metrics and health over HTTP.
//!
//! | path | answers |
//! | --- | --- |
//! | `/` | the page, for a browser |
//! | `/status` | everything as JSON; `?source=` for one source |
//! | `/metrics` | the numbers for Prometheus |
//! | `/health/live` | 200, or 503 if the process should be restarted |
//! | `/health/ready` | 200, or 503 while a pipeline does not read its log |
//! | `/statistics` | the statistics, their columns and sinks |
//! | `/statistics/{name}` | the numbers themselves, from a sink, as JSON or CSV |
//! | `/openapi.json` | the description of all this |
//!
//! `openapi.json` in the crate describes the answers. [`router`] has these routes, which only read. What changes something is
//! a router of its own: [`changes`]. A host nests them in its own router, behind its own authentication; [`serve`] is for a
//! host that has no HTTP server.

mod changes;
mod guard;
mod page;
mod server;
mod statistics;

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};

pub use self::{
    changes::changes,
    server::{Options, ServeError, serve, serve_on},
};
use crate::{
    cockpit::{Cockpit, SourceStatus},
    health::Health,
    metrics,
};

/// The description of the answers.
const OPENAPI: &str = include_str!("openapi.json");

/// Returns the routes that read. Nest them with `nest_service`, under which both `/evs` and `/evs/` are the page:
///
/// ```
/// use axum::{Router, routing::get};
/// use evs_admin::{Cockpit, http};
///
/// let cockpit = Cockpit::new();
/// let host: Router = Router::new()
///     .route("/", get(async || "the host's own page"))
///     .nest_service("/evs", http::router(&cockpit));
/// ```
///
/// The routes have no authentication of their own. Put them behind the host's.
pub fn router<S: Clone + Send + Sync + 'static>(cockpit: &Cockpit) -> Router<S> {
    let routes = Router::new()
        .route("/", get(page::page))
        .route("/status", get(status))
        .route("/metrics", get(prometheus))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/openapi.json", get(openapi))
        .merge(statistics::routes());
    guard::with_headers(routes.with_state(cockpit.clone()))
}

/// The answer of `/status`.
#[derive(Debug, Serialize)]
struct StatusAnswer {
    /// The version of evs.
    version: &'static str,
    /// The time of the answer, in seconds since 1970.
    time: f64,
    /// The time after which a thread without a step counts as stuck, in seconds.
    stuck_after: f64,
    sources: Vec<SourceStatus>,
}

#[derive(Debug, Deserialize)]
struct StatusQuery {
    source: Option<String>,
}

async fn status(State(cockpit): State<Cockpit>, Query(query): Query<StatusQuery>) -> Response {
    let mut sources = cockpit.sources();
    if let Some(source) = query.source {
        sources.retain(|shown| shown.source == source);
        if sources.is_empty() {
            return problem(StatusCode::NOT_FOUND, "no source has this name");
        }
    }
    let time = std::time::UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64());
    let stuck_after = cockpit.limit().as_secs_f64();
    Json(StatusAnswer { version: env!("CARGO_PKG_VERSION"), time, stuck_after, sources }).into_response()
}

async fn prometheus(State(cockpit): State<Cockpit>) -> Response {
    let text = metrics::text(&cockpit.sources());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

async fn live(State(cockpit): State<Cockpit>) -> Response {
    health(cockpit.live())
}

async fn ready(State(cockpit): State<Cockpit>) -> Response {
    health(cockpit.ready())
}

fn health(health: Health) -> Response {
    let status = if health.is_ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(health)).into_response()
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// An answer that something is wrong with the request.
fn problem(status: StatusCode, error: impl std::fmt::Display) -> Response {
    #[derive(Serialize)]
    struct Problem {
        error: String,
    }
    (status, Json(Problem { error: error.to_string() })).into_response()
}
