//! Logs and traces: what this process says of itself, and what it never says.
//!
//! * Lines on stderr, as text or JSON, from the level in config; `RUST_LOG` overrides it. Nobody waits for whoever reads them ([`queue`]).
//! * Crates that are not ours speak from WARN upwards, and sqlx not at all, *whatever* is asked for: below that they may quote what they carry.
//! * With an `otlp_endpoint`, spans go to a collector in batches. A collector that is away costs spans and nothing else.
//! * A panic is logged by its place only; its message could hold what it was working on.

mod queue;

pub use queue::Queue;

use crate::config::{LogFormat, LogLevel, Telemetry};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanExporter};
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tonic::transport::{Channel, ClientTlsConfig};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Context, Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// For one batch of spans on its way to the collector.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// For the last spans at the end of the process.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);
/// For the last lines of all, whoever reads them.
pub const LAST_LINES: Duration = Duration::from_secs(1);
/// A collector that is away is said once in this time.
const EXPORTER_REST: Duration = Duration::from_secs(60);

/// Why nothing can be seen.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("RUST_LOG cannot be read: {0}; write e.g. RUST_LOG=debug, or unset it")]
    RustLog(#[source] tracing_subscriber::filter::ParseError),
    #[error("[telemetry] otlp_endpoint cannot be used: {0}; write e.g. \"http://127.0.0.1:4317\"")]
    Endpoint(String),
    #[error("spans cannot be exported: {0}; check [telemetry] otlp_endpoint and the OTEL_ variables")]
    Exporter(#[from] ExporterBuildError),
    #[error("log lines cannot be written: {0}; the machine gives no thread, see its limits")]
    Lines(#[source] std::io::Error),
    #[error("logging was started before: {0}; call telemetry::start once, first thing in main")]
    Started(#[source] tracing_subscriber::util::TryInitError),
}

/// Where this process's log lines go.
static LINES: OnceLock<Arc<Queue>> = OnceLock::new();

/// Log lines that nobody took in time, since the start.
pub fn lines_lost() -> u64 {
    LINES.get().map_or(0, |lines| lines.lost())
}

fn say_lost(lines: u64) {
    tracing::warn!(lines, "log lines were lost: whoever reads them did not for a while");
}

/// Holds the way to the collector, and that of the log lines. Dropping it sends what is left, for at most 3 s, and writes what is left, for at most 1 s.
#[must_use = "dropping it ends the export of traces"]
#[derive(Debug)]
pub struct Guard {
    traces: Option<SdkTracerProvider>,
    lines: Option<Arc<Queue>>,
}

impl Guard {
    /// Spans go to a collector over OTLP/gRPC. The connection is made when there is something to send, and made again when it was lost.
    ///
    /// # Errors
    /// `endpoint` cannot be used.
    pub fn collector(config: &Telemetry, endpoint: &str) -> Result<Self, TelemetryError> {
        let unusable = |e: &dyn std::error::Error| TelemetryError::Endpoint(e.to_string());
        let channel = Channel::from_shared(endpoint.to_owned()).map_err(|e| unusable(&e))?;
        let mut channel = channel.connect_timeout(EXPORT_TIMEOUT).timeout(EXPORT_TIMEOUT);
        if endpoint.starts_with("https://") {
            channel = channel.tls_config(ClientTlsConfig::new().with_native_roots()).map_err(|e| unusable(&e))?;
        }
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_channel(channel.connect_lazy())
            .with_timeout(EXPORT_TIMEOUT);
        Ok(Self::exporting(config, exporter.build()?))
    }

    /// Spans go to this exporter in batches, on a thread of its own; above 2048 waiting spans, new ones are dropped.
    pub fn exporting(config: &Telemetry, exporter: impl SpanExporter + 'static) -> Self {
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource =
            Resource::builder().with_service_name(config.service_name.clone()).with_attribute(version).build();
        Self {
            traces: Some(SdkTracerProvider::builder().with_resource(resource).with_batch_exporter(exporter).build()),
            lines: None,
        }
    }

    /// Sends what is left, for at most 3 s. Better than dropping inside a runtime, of which it stops no thread.
    pub async fn shutdown(mut self) {
        if let Some(traces) = self.traces.take() {
            // What could not be sent is lost; the process ends all the same.
            let _ = tokio::task::spawn_blocking(move || traces.shutdown_with_timeout(FLUSH_TIMEOUT)).await;
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(traces) = self.traces.take() {
            let _ = traces.shutdown_with_timeout(FLUSH_TIMEOUT);
        }
        if let Some(lines) = &self.lines {
            lines.flush_within(LAST_LINES);
        }
    }
}

/// Starts logs and traces for the whole process. Must be called inside a tokio runtime when `otlp_endpoint` is set.
///
/// # Errors
/// `RUST_LOG` or `otlp_endpoint` cannot be used, or it was started before.
pub fn start(config: &Telemetry) -> Result<Guard, TelemetryError> {
    let wanted = std::env::var("RUST_LOG").ok().filter(|w| !w.trim().is_empty());
    let mut guard = match &config.otlp_endpoint {
        Some(endpoint) => Guard::collector(config, endpoint)?,
        None => Guard { traces: None, lines: None },
    };
    let queue = Queue::start(std::io::stderr(), say_lost).map_err(TelemetryError::Lines)?;
    guard.lines = Some(queue.clone());
    let lines = lines(config, wanted.as_deref(), LINES.get_or_init(|| queue).clone())?;
    Registry::default().with(lines).with(spans(config, &guard)).try_init().map_err(TelemetryError::Started)?;
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    log_panics();
    Ok(guard)
}

/// From now on a panic is an error line with its place, and never its message: that could hold what it was working on.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let thread = std::thread::current().name().map(ToOwned::to_owned);
        tracing::error!(place, thread, "a fault of ours stopped a piece of work; please report the place");
    }));
}

/// A layer on any registry.
pub type Boxed<S> = Box<dyn Layer<S> + Send + Sync>;

/// Log lines. `wanted` is what `RUST_LOG` says.
///
/// # Errors
/// `wanted` cannot be read.
pub fn lines<S, W>(config: &Telemetry, wanted: Option<&str>, writer: W) -> Result<Boxed<S>, TelemetryError>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let wanted = wanted.unwrap_or(config.log_level.as_str());
    let filter = EnvFilter::builder().parse(wanted).map_err(TelemetryError::RustLog)?.and(Cap::default());
    let lines = fmt::layer().with_writer(writer);
    Ok(match config.log_format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).with_filter(filter).boxed(),
    })
}

/// Spans of ours, for the guard's exporter if it has one: from INFO at least, whatever is logged.
pub fn spans<S>(config: &Telemetry, guard: &Guard) -> Option<Boxed<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let tracer = guard.traces.as_ref()?.tracer("ips-bridge");
    let level = match config.log_level {
        LogLevel::Error | LogLevel::Warn | LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let ours = filter_fn(move |m| is_ours(m) && *m.level() <= level).with_max_level_hint(level);
    Some(tracing_opentelemetry::layer().with_tracer(tracer).with_threads(false).with_filter(ours).boxed())
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    target.strip_prefix("ips_bridge").is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn is_exporter(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("opentelemetry")
}

/// What nobody may say, whatever `RUST_LOG` asks for.
#[derive(Default)]
struct Cap {
    /// When the exporter last complained.
    complained: Mutex<Option<Instant>>,
}

impl Cap {
    fn allows(metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        // Its errors come back to us as values; its own lines show statements, and PostgreSQL's notices what was in them.
        is_ours(metadata) || (*metadata.level() <= Level::WARN && !target.starts_with("sqlx"))
    }

    /// A collector that is away must not fill the log.
    fn rested(&self) -> bool {
        let mut complained = self.complained.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let rested = complained.is_none_or(|at| at.elapsed() >= EXPORTER_REST);
        if rested {
            *complained = Some(Instant::now());
        }
        rested
    }
}

impl<S: Subscriber> Filter<S> for Cap {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        Self::allows(metadata) && (!is_exporter(metadata) || self.rested())
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        match Self::allows(metadata) {
            false => Interest::never(),
            // Asked each time.
            true if is_exporter(metadata) => Interest::sometimes(),
            true => Interest::always(),
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }
}
