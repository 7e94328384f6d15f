//! The routes that change something.

use axum::{
    Json, Router,
    extract::{Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use evs_core::{Error, describe};
use serde::{Deserialize, Serialize};

use super::{guard, problem};
use crate::cockpit::Cockpit;

/// Returns the routes that change something, for a host that wants them, behind its own authentication:
///
/// | path | does |
/// | --- | --- |
/// | `POST /pause?reason=` | pauses reading |
/// | `POST /resume` | ends such a pause |
/// | `POST /retry?sink=` | tries again what a sink has refused; `&statistic=` for one statistic |
/// | `POST /discard?sink=&statistic=&sequence=` | gives up the batch that a sink has refused, after its rows were exported |
///
/// Each takes `source=` if there are several. The methods of [`StatusHandle`](evs_core::StatusHandle) say what they do.
///
/// ```
/// use axum::Router;
/// use evs_admin::{Cockpit, http};
///
/// let cockpit = Cockpit::new();
/// let host: Router = Router::new().nest_service("/evs/do", http::changes(&cockpit));
/// ```
pub fn changes<S: Clone + Send + Sync + 'static>(cockpit: &Cockpit) -> Router<S> {
    let routes = Router::new()
        .route("/pause", post(pause))
        .route("/resume", post(resume))
        .route("/retry", post(retry))
        .route("/discard", post(discard));
    guard::with_headers(routes.with_state(cockpit.clone()))
}

#[derive(Debug, Deserialize)]
struct Pause {
    source: Option<String>,
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resume {
    source: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Retry {
    source: Option<String>,
    sink: String,
    statistic: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Discard {
    source: Option<String>,
    sink: String,
    statistic: String,
    sequence: u64,
}

async fn pause(State(cockpit): State<Cockpit>, Query(pause): Query<Pause>) -> Response {
    match cockpit.built(pause.source.as_deref()) {
        Ok(built) => {
            built.handle().pause(pause.reason.unwrap_or_else(|| "an operator asked for it".to_owned()));
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => problem(StatusCode::NOT_FOUND, error),
    }
}

async fn resume(State(cockpit): State<Cockpit>, Query(resume): Query<Resume>) -> Response {
    match cockpit.built(resume.source.as_deref()) {
        Ok(built) => {
            built.handle().resume();
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => problem(StatusCode::NOT_FOUND, error),
    }
}

async fn retry(State(cockpit): State<Cockpit>, Query(retry): Query<Retry>) -> Response {
    #[derive(Serialize)]
    struct Retried {
        /// Whether something was stopped there.
        was_stopped: bool,
    }
    let built = match cockpit.built(retry.source.as_deref()) {
        Ok(built) => built,
        Err(error) => return problem(StatusCode::NOT_FOUND, error),
    };
    let retried = match &retry.statistic {
        Some(statistic) => built.handle().retry(&retry.sink, statistic),
        None => built.handle().retry_sink(&retry.sink),
    };
    match retried {
        Ok(was_stopped) => Json(Retried { was_stopped }).into_response(),
        Err(error) => refused(&error),
    }
}

async fn discard(State(cockpit): State<Cockpit>, Query(discard): Query<Discard>) -> Response {
    #[derive(Serialize)]
    struct Discarded {
        /// The path of the file with the rows.
        path: String,
    }
    let built = match cockpit.built(discard.source.as_deref()) {
        Ok(built) => built,
        Err(error) => return problem(StatusCode::NOT_FOUND, error),
    };
    match built.handle().discard(&discard.sink, &discard.statistic, discard.sequence).await {
        Ok(path) => Json(Discarded { path: path.display().to_string() }).into_response(),
        Err(error) => refused(&error),
    }
}

/// The answer to a request that the pipeline refuses.
fn refused(error: &Error) -> Response {
    let status = match error {
        Error::UnknownSink { .. } => StatusCode::NOT_FOUND,
        Error::NotRefused { .. } | Error::NotRunning => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    problem(status, describe(error))
}
