//! Where Prometheus, and whoever starts and stops the process, ask.

use super::Metrics;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// For answers under way at a stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Answers until `stop`: `/metrics` for Prometheus; `/healthz`, 200 while the process lives; `/readyz`, 200 while `ready` holds, the store
/// was read lately, and what was written last was, else 503. No answer waits for the store.
///
/// # Errors
/// The listener failed.
pub async fn serve(
    listener: TcpListener,
    metrics: Arc<Metrics>,
    ready: watch::Receiver<bool>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let shown = metrics.clone();
    let routes = Router::new()
        .route("/metrics", get(async move || ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], shown.text())))
        .route("/healthz", get(async || "live\n"))
        .route("/readyz", get(async move || readiness(*ready.borrow(), metrics.trouble())));
    let server = axum::serve(listener, routes).with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        served = server => served,
        () = async { stop.cancelled().await; tokio::time::sleep(STOP_TIMEOUT).await } => Ok(()),
    }
}

fn readiness(ready: bool, trouble: Option<&str>) -> impl IntoResponse {
    match (ready, trouble) {
        (true, None) => (StatusCode::OK, "ready\n".to_owned()),
        (true, Some(trouble)) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {trouble}\n")),
        (false, _) => (StatusCode::SERVICE_UNAVAILABLE, "not ready: starting or stopping\n".to_owned()),
    }
}
