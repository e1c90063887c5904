//! `[store]`, `[telemetry]`, `[limits]` and `[packs]`: the process as a whole.

use super::secret::Secret;
use super::section::Section;
use super::tree::Node;
use super::values::{Parsed, choice, days, duration, int, minutes, secs, text, wrong};
use std::path::PathBuf;
use std::time::Duration;

/// `[store]`.
#[derive(Debug, Clone)]
pub struct Store {
    pub url: StoreUrl,
    /// For PostgreSQL only.
    pub password: Option<Secret>,
    pub read_connections: u32,
    /// Most writes that share one commit.
    pub group_commit_max: usize,
}

/// Where the record is kept. Holds no password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// The path of the database file, from the folder the bridge is started in.
    Sqlite(PathBuf),
    /// As written, without a password.
    Postgres(String),
}

/// `[telemetry]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    pub log_format: LogFormat,
    pub log_level: LogLevel,
    /// Where traces go over gRPC; `None` = nowhere.
    pub otlp_endpoint: Option<String>,
    pub service_name: String,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// The least severe line that is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    pub fn as_str(self) -> &'static str {
        LEVELS.iter().find(|(_, level)| *level == self).map_or("info", |(word, _)| word)
    }
}

const LEVELS: &[(&str, LogLevel)] = &[
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

/// `[limits]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// New work is refused when so many deliveries are neither filed nor cancelled.
    pub max_open_deliveries: u64,
    pub max_open_deliveries_per_endpoint: u64,
    /// New work is refused when the store's disk has less room than this.
    pub min_free_disk_bytes: u64,
    /// How long a repeated request id gets the first answer again.
    pub request_id_retention: Duration,
    /// How long a stopping process waits for calls and sends under way.
    pub shutdown_grace: Duration,
}

/// `[packs]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packs {
    /// From the folder the bridge is started in.
    pub folder: PathBuf,
    /// How often the folder is looked at for saves.
    pub look_every: Duration,
}

pub(super) fn store(mut s: Section<'_>) -> Store {
    let url = s.or("url", "\"sqlite://ips-bridge.db\"", store_url);
    let password = s.secret("password");
    if password.is_some() && matches!(url, StoreUrl::Sqlite(_)) {
        s.warn(
            "password",
            "has no effect: SQLite files have none",
            "remove it, and protect the file with its permissions",
        );
    }
    Store {
        url,
        password,
        read_connections: s.or("read_connections", "4", int(1..=256)),
        group_commit_max: s.or("group_commit_max", "256", int(1..=4096)),
    }
}

/// Faults here never repeat the value: it may hold a password.
fn store_url(node: &Node) -> Parsed<StoreUrl> {
    let hint = "write \"sqlite://path/to/file.db\" or \"postgres://user@host:5432/database\"";
    let url = text(1000)(node)?;
    if let Some(path) = url.strip_prefix("sqlite://").filter(|p| !p.is_empty() && !p.contains('?')) {
        return Ok(StoreUrl::Sqlite(PathBuf::from(path)));
    }
    let Some(rest) = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://")) else {
        return wrong("must be a store's address", hint);
    };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    if user.contains(':') || rest.contains("password=") || rest.contains('@') && !authority.contains('@') {
        return wrong(
            "holds a password, and secrets never stand here",
            "take it out of the address and set store.password = { file = \"…\" } or { env = \"…\" }",
        );
    }
    if host.is_empty() {
        return wrong("names no host", hint);
    }
    Ok(StoreUrl::Postgres(url))
}

pub(super) fn telemetry(mut s: Section<'_>) -> Telemetry {
    Telemetry {
        log_format: s.or("log_format", "\"text\"", choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)])),
        log_level: s.or("log_level", "\"info\"", choice(LEVELS)),
        otlp_endpoint: s.optional("otlp_endpoint", |node| {
            let url = text(500)(node)?;
            let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
            match host {
                Some(host) if host.contains('@') => wrong("holds a user or password", "leave them out"),
                Some(host) if !host.is_empty() => Ok(url),
                _ => wrong("must be an http address", "write e.g. \"http://127.0.0.1:4317\""),
            }
        }),
        service_name: s.or("service_name", "\"ips-bridge\"", text(100)),
    }
}

pub(super) fn limits(mut s: Section<'_>) -> Limits {
    let limits = Limits {
        max_open_deliveries: s.or("max_open_deliveries", "1_000_000", int(1..=100_000_000)),
        max_open_deliveries_per_endpoint: s.or("max_open_deliveries_per_endpoint", "500_000", int(1..=100_000_000)),
        min_free_disk_bytes: s.or("min_free_disk_bytes", "1_073_741_824", int(0..=1_000_000_000_000_000)),
        request_id_retention: s.or("request_id_retention", "\"90d\"", duration(days(1)..=days(3660))),
        shutdown_grace: s.or("shutdown_grace", "\"60s\"", duration(secs(0)..=minutes(60))),
    };
    if limits.max_open_deliveries_per_endpoint > limits.max_open_deliveries {
        let what = "is more than max_open_deliveries: one endpoint that is away could stop all others";
        s.fault("max_open_deliveries_per_endpoint", what, "lower it, or raise max_open_deliveries");
    }
    limits
}

pub(super) fn packs(mut s: Section<'_>) -> Packs {
    Packs {
        folder: s.or("folder", "\"adapters\"", |node| text(500)(node).map(PathBuf::from)),
        look_every: s.or("look_every", "\"2s\"", duration(Duration::from_millis(100)..=minutes(60))),
    }
}
