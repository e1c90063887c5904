//! `[server]`: the gRPC edge, who may reach it and how much they may ask for.

use super::section::Section;
use super::tls::{ServerTls, server_tls};
use super::values::{boolean, duration, int, minutes, secs, socket};
use std::net::SocketAddr;
use std::time::Duration;

/// `[server]`.
#[derive(Debug, Clone)]
pub struct Server {
    pub listen: SocketAddr,
    /// With `client_ca_file` always set: without client certificates nobody is authenticated.
    pub tls: Option<ServerTls>,
    /// Every caller is an all-powerful development principal. Only on loopback without TLS.
    pub development_principal: bool,
    pub max_request_bytes: usize,
    pub max_concurrent_calls: usize,
    pub request_timeout: Duration,
    pub health: bool,
    pub reflection: bool,
    pub grpc_web: bool,
    /// Where Prometheus reads; `None` = nowhere.
    pub metrics_listen: Option<SocketAddr>,
}

pub(super) fn read(s: &mut Section<'_>) -> Server {
    let listen = s.or("listen", "\"127.0.0.1:50051\"", socket);
    let tls_given = s.has("tls");
    let tls = s.table("tls").and_then(server_tls);
    let development_principal = s.or("development_principal", "false", boolean);
    let metrics_listen = s.optional("metrics_listen", socket);
    let metrics_beyond_loopback = s.or("metrics_beyond_loopback", "false", boolean);
    let server = Server {
        listen,
        tls,
        development_principal,
        max_request_bytes: s.or("max_request_bytes", "1_048_576", int(524_288..=16_777_216)),
        max_concurrent_calls: s.or("max_concurrent_calls", "1024", int(1..=100_000)),
        request_timeout: s.or("request_timeout", "\"30s\"", duration(secs(1)..=minutes(10))),
        health: s.or("health", "true", boolean),
        reflection: s.or("reflection", "true", boolean),
        grpc_web: s.or("grpc_web", "true", boolean),
        metrics_listen,
    };
    let loopback = listen.ip().is_loopback();
    if !loopback && !tls_given {
        let hint = "add [server.tls] with cert_file, key_file and client_ca_file, or listen on 127.0.0.1";
        s.fault(
            "listen",
            format!("is {listen}, which other machines can reach, but there is no TLS and nobody is authenticated"),
            hint,
        );
    }
    if development_principal && tls_given {
        let what = "lets in everyone without asking who they are, which TLS is there to prevent";
        s.fault(
            "development_principal",
            what,
            "remove it and give each caller a [[principal]], or remove [server.tls]",
        );
    }
    if development_principal && !loopback {
        let what = format!("lets in everyone, and {listen} can be reached from other machines");
        s.fault("development_principal", what, "use it on 127.0.0.1 only");
    }
    if let Some(metrics) = metrics_listen.filter(|m| !m.ip().is_loopback() && !metrics_beyond_loopback) {
        let what = format!("is {metrics}, which other machines can reach without authentication");
        s.fault(
            "metrics_listen",
            what,
            "listen on 127.0.0.1, or say metrics_beyond_loopback = true if your network keeps strangers out",
        );
    }
    server
}
