//! `[endpoint.listen_https]`: where the EPR posts FHIR or XML to us.

use super::accept::{self, Types};
use super::mllp::known_team;
use super::secret::Secret;
use super::section::Section;
use super::tls::{ServerTls, listener_tls};
use super::trust::Trust;
use super::values::{days, duration, int, minutes, named, secs, socket};
use crate::domain::accept::Accept;
use crate::domain::organisation::TeamId;
use std::net::SocketAddr;
use std::time::Duration;

/// Where the endpoint posts to us.
#[derive(Debug, Clone)]
pub struct ListenHttps {
    pub address: SocketAddr,
    pub tls: Option<ServerTls>,
    /// What callers must show as `Authorization: Bearer …`.
    pub bearer: Option<Secret>,
    pub max_connections: u32,
    pub request_timeout: Duration,
    pub max_body_bytes: usize,
    /// The team a referral goes to that names none of ours.
    pub default_team: Option<TeamId>,
    /// Which resources are for us; no rule: everything the pack reads.
    pub accept: Accept,
    /// How long the bytes of what is not for us are kept; zero: not at all.
    pub ignored_raw_retention: Duration,
}

pub(super) fn read(mut s: Section<'_>, owner: Option<&Trust>) -> Option<ListenHttps> {
    let address = s.required("address", "write the address and port to listen on, e.g. \"127.0.0.1:8443\"", socket);
    let tls_given = s.has("tls");
    let tls = s.table("tls").and_then(listener_tls);
    let bearer_given = s.has("bearer");
    let bearer = s.secret("bearer");
    let default_team = s.optional("default_team", named(TeamId::parse));
    known_team(&s, default_team.as_ref(), owner);
    let accept = accept::read(&mut s, owner, Types::Http);
    let listen = ListenHttps {
        accept,
        ignored_raw_retention: s.or("ignored_raw_retention", "\"0s\"", duration(Duration::ZERO..=days(365))),
        max_connections: s.or("max_connections", "16", int(1..=256)),
        request_timeout: s.or("request_timeout", "\"30s\"", duration(secs(1)..=minutes(5))),
        max_body_bytes: s.or("max_body_bytes", "4_194_304", int(65_536..=16_777_216)),
        tls,
        bearer,
        default_team,
        address: address?,
    };
    let beyond_loopback = !listen.address.ip().is_loopback();
    let asks_certificate = listen.tls.as_ref().is_some_and(|tls| tls.client_ca_file.is_some());
    if beyond_loopback && !tls_given {
        let what = format!("{} takes patient data without TLS", listen.address);
        s.fault(
            "address",
            what,
            "add [endpoint.listen_https.tls], or listen on this machine only (127.0.0.1 or [::1])",
        );
    } else if beyond_loopback && !asks_certificate && !bearer_given {
        s.fault(
            "address",
            format!("{} asks callers for nothing, so anybody can post", listen.address),
            "add client_ca_file to its tls, or bearer = { file = \"path\" }",
        );
    }
    if let Some(short) = listen.bearer.as_ref().filter(|b| b.expose().len() < 16) {
        let what = format!("is a secret of {} characters, which can be guessed", short.expose().len());
        s.fault("bearer", what, "use 16 or more random ones");
    }
    Some(listen)
}
