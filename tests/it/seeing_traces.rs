//! Logs and traces: what is said, by whom, and where a trace goes.

use super::support::bridge::{Bridge, Tweaks};
use super::support::far_end::{FarEnd, ack};
use super::support::heard::{Lines, Spans, telemetry};
use super::support::{free_addr, stores};
use ips_bridge::app::telemetry::{Guard, TelemetryError, lines, log_panics, spans};
use ips_bridge::config::{LogFormat, LogLevel, Telemetry};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn caller_is_traced() -> Option<String> {
    Some(format!("00-{TRACE}-{PARENT}-01"))
}

#[tokio::test]
async fn a_trace_goes_on_from_the_callers_metadata_through_the_queue_and_a_restart() {
    for store in stores() {
        let config = telemetry(LogFormat::Json);
        let (lines_kept, spans_kept) = (Lines::default(), Spans::default());
        let guard = Guard::exporting(&config, spans_kept.clone());
        let subscriber =
            Registry::default().with(lines(&config, None, lines_kept.clone()).unwrap()).with(spans(&config, &guard));
        // This test's own runtime has one thread, so this hears all that the bridge does.
        let hears = tracing::subscriber::set_default(subscriber);

        let before = Bridge::start(
            &store.url,
            free_addr(),
            Tweaks { without_outbox: true, trace: caller_is_traced(), ..Tweaks::default() },
        )
        .await;
        let note = before.write_note("Met at the library.").await;
        before.stop().await;
        let far_end = FarEnd::start(|_, message| ack(message, "AA", "")).await;
        let after = Bridge::start(&store.url, far_end.addr(), Tweaks::default()).await;
        after.wait_filed(note.delivery).await;
        after.stop().await;
        guard.shutdown().await;
        drop(hears);

        let all = spans_kept.all();
        let deliver: Vec<_> = all.iter().filter(|s| s.name == "deliver").collect();
        assert_eq!(deliver.len(), 1);
        assert_eq!(deliver[0].span_context.trace_id().to_string(), TRACE);
        assert_eq!(deliver[0].parent_span_id.to_string(), PARENT);
        assert!(
            deliver[0]
                .attributes
                .iter()
                .any(|a| a.key.as_str() == "delivery" && a.value.to_string() == note.delivery.to_string())
        );

        // The log line of the same delivery is JSON, with the span's names beside it.
        let text = lines_kept.text();
        let settled = text
            .lines()
            .filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok())
            .find(|l| l["message"] == "settled")
            .unwrap();
        assert_eq!(settled["state"], "FILED");
        assert_eq!(settled["span"]["delivery"], note.delivery.to_string());
    }
}

#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        got: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(got.into_inner());
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn spans_reach_a_collector_over_otlp_with_the_service_name_and_version_before_the_process_ends() {
    let collector = Collector::default();
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", tcp.local_addr().unwrap());
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(tcp);
    tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(collector.clone()))
            .serve_with_incoming(incoming),
    );

    let config =
        Telemetry { service_name: "ips-bridge-north".into(), log_level: LogLevel::Error, ..telemetry(LogFormat::Text) };
    let guard = Guard::collector(&config, &endpoint).unwrap();
    let subscriber = Registry::default().with(spans(&config, &guard));
    tracing::subscriber::with_default(subscriber, || {
        drop(tracing::info_span!(target: "ips_bridge::outbox", "ours").entered());
        drop(tracing::info_span!(target: "ips_bridge_of_somebody", "theirs").entered());
        drop(tracing::error_span!(target: "h2", "theirs").entered());
    });
    guard.shutdown().await;

    let got = collector.0.lock().unwrap_or_else(PoisonError::into_inner);
    let resources: Vec<_> = got.iter().flat_map(|g| &g.resource_spans).collect();
    let names: Vec<_> =
        resources.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans).map(|s| s.name.as_str()).collect();
    assert_eq!(names, ["ours"], "spans are exported whatever is logged, and only ours");
    let said = format!("{:?}", resources[0].resource);
    for part in ["service.name", "ips-bridge-north", "service.version", env!("CARGO_PKG_VERSION")] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_keeps_nobody_waiting() {
    let config = telemetry(LogFormat::Text);
    let guard = Guard::collector(&config, &format!("http://{}", free_addr())).unwrap();
    let subscriber = Registry::default().with(spans(&config, &guard));
    let began = Instant::now();
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..10_000 {
            drop(tracing::info_span!(target: "ips_bridge", "ours").entered());
        }
    });
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let began = Instant::now();
    guard.shutdown().await;
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_at_the_start() {
    let config = telemetry(LogFormat::Text);
    let refused = lines::<Registry, _>(&config, Some("ips_bridge=loud"), Lines::default()).err();
    assert!(matches!(refused, Some(TelemetryError::RustLog(_))));
    for endpoint in ["", "not a uri", "http://"] {
        assert!(matches!(Guard::collector(&config, endpoint), Err(TelemetryError::Endpoint(_))), "{endpoint}");
    }
}

/// What is logged of `say` under this `RUST_LOG`.
fn logged(rust_log: Option<&str>, log_level: LogLevel, say: impl FnOnce()) -> String {
    let config = Telemetry { log_level, ..telemetry(LogFormat::Text) };
    let kept = Lines::default();
    let subscriber = Registry::default().with(lines(&config, rust_log, kept.clone()).unwrap());
    tracing::subscriber::with_default(subscriber, say);
    kept.text()
}

#[test]
fn crates_that_are_not_ours_speak_from_warn_upwards_whatever_is_asked_for() {
    for rust_log in [None, Some("trace"), Some("h2=trace,hyper=debug,sqlx=trace,ips_bridge=trace")] {
        let text = logged(rust_log, LogLevel::Trace, || {
            tracing::trace!(target: "h2::codec", "trace of theirs");
            tracing::debug!(target: "hyper", "debug of theirs");
            tracing::info!(target: "tonic", "info of theirs");
            tracing::warn!(target: "h2", "warning of theirs");
            tracing::error!(target: "sqlx::query", "a statement");
            tracing::warn!(target: "sqlx::postgres::notice", "a notice");
            tracing::trace!(target: "ips_bridge::store", "trace of ours");
        });
        for absent in ["trace of theirs", "debug of theirs", "info of theirs", "a statement", "a notice"] {
            assert!(!text.contains(absent), "{rust_log:?}: {text}");
        }
        assert!(text.contains("trace of ours"), "{rust_log:?}: {text}");
        assert!(text.contains("warning of theirs"), "{rust_log:?}: {text}");
    }
}

#[test]
fn the_level_is_configs_unless_rust_log_says_otherwise() {
    let say = || {
        tracing::warn!(target: "ips_bridge", "a warning");
        tracing::info!(target: "ips_bridge", "an event");
        tracing::debug!(target: "ips_bridge", "a detail");
    };
    for (rust_log, level, lines) in [
        (None, LogLevel::Warn, 1),
        (None, LogLevel::Info, 2),
        (Some("debug"), LogLevel::Warn, 3),
        (Some("ips_bridge=warn"), LogLevel::Trace, 1),
    ] {
        assert_eq!(logged(rust_log, level, say).lines().count(), lines, "{rust_log:?} {level:?}");
    }
}

#[test]
fn an_exporter_that_cannot_reach_its_collector_says_so_once_a_minute() {
    let text = logged(None, LogLevel::Info, || {
        for _ in 0..5 {
            tracing::error!(target: "opentelemetry_sdk", "export failed");
        }
        tracing::error!(target: "ips_bridge", "ours");
        tracing::error!(target: "ips_bridge", "ours");
    });
    assert_eq!(text.matches("export failed").count(), 1);
    assert_eq!(text.matches("ours").count(), 2);
}

#[test]
fn a_panic_is_a_line_with_its_place_and_without_its_message() {
    let before = std::panic::take_hook();
    let text = logged(None, LogLevel::Error, || {
        log_panics();
        let _ = std::panic::catch_unwind(|| panic!("a name that nobody may read"));
    });
    std::panic::set_hook(before);
    assert!(text.contains("seeing_traces.rs:"), "{text}");
    assert!(!text.contains("nobody may read"), "{text}");
}
