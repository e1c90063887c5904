//! `[endpoint.mllp]` (out) and `[endpoint.listen]` (in).

use super::endpoint::ACK_MODES;
use super::section::Section;
use super::tls::{ClientTls, ServerTls, client_tls, listener_tls};
use super::trust::Trust;
use super::values::{Address, address, boolean, choice, days, duration, int, minutes, named, secs, socket, text};
use crate::domain::accept::Accept;
use crate::domain::organisation::TeamId;
use crate::domain::policy::AckMode;
use std::net::SocketAddr;
use std::time::Duration;

/// How we call the endpoint.
#[derive(Debug, Clone)]
pub struct Mllp {
    pub address: Address,
    pub max_connections: u32,
    pub connect_timeout: Duration,
    pub send_timeout: Duration,
    pub reply_timeout: Duration,
    pub max_frame_bytes: usize,
    pub tls: Option<ClientTls>,
    /// Enhanced mode: the application acknowledgement comes on the connection that carried the message.
    pub late_replies_on_connection: bool,
}

/// Where the endpoint calls us.
#[derive(Debug, Clone)]
pub struct Listen {
    pub address: SocketAddr,
    pub tls: Option<ServerTls>,
    pub ack_mode: AckMode,
    pub max_connections: u32,
    pub idle_timeout: Duration,
    pub max_frame_bytes: usize,
    /// Who may send (MSH-3, MSH-4); empty = anyone who can connect.
    pub sources: Vec<MessageSource>,
    /// The team a referral goes to that names none of ours.
    pub default_team: Option<TeamId>,
    /// Which messages are for us.
    pub accept: Accept,
    /// How long the bytes of what is not for us are kept; nothing: not at all.
    pub ignored_raw_retention: Duration,
}

/// A sender as it names itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageSource {
    /// MSH-3.
    pub application: String,
    /// MSH-4.
    pub facility: String,
}

const MAX_FRAME: std::ops::RangeInclusive<i64> = 65_536..=16_777_216;

/// An acknowledgement that is on its way when we stop waiting makes an unknown outcome out of a good one.
const SHORT_REPLY_TIMEOUT: Duration = secs(10);

pub(super) fn read(mut s: Section<'_>) -> Option<Mllp> {
    let address = s.required("address", "write address = \"host:port\" of the EPR or its integration engine", address);
    let tls_given = s.has("tls");
    let tls = s.table("tls").and_then(client_tls);
    let mllp = Mllp {
        max_connections: s.or("max_connections", "4", int(1..=256)),
        connect_timeout: s.or("connect_timeout", "\"5s\"", duration(Duration::from_millis(100)..=minutes(5))),
        send_timeout: s.or("send_timeout", "\"10s\"", duration(Duration::from_millis(100)..=minutes(5))),
        reply_timeout: s.or("reply_timeout", "\"30s\"", duration(Duration::from_millis(100)..=minutes(15))),
        max_frame_bytes: s.or("max_frame_bytes", "4_194_304", int(MAX_FRAME)),
        late_replies_on_connection: s.or("late_replies_on_connection", "false", boolean),
        tls,
        address: address?,
    };
    if mllp.reply_timeout < SHORT_REPLY_TIMEOUT {
        s.warn(
            "reply_timeout",
            "is short: a slow acknowledgement becomes an unknown outcome",
            "30s suits most engines",
        );
    }
    if !tls_given && !mllp.address.is_loopback() {
        s.warn(
            "address",
            format!("{} is reached without TLS, so patient data crosses the network in the clear", mllp.address),
            "add [endpoint.mllp.tls]",
        );
    }
    Some(mllp)
}

pub(super) fn read_listen(mut s: Section<'_>, owner: Option<&Trust>) -> Option<Listen> {
    let address = s.required("address", "write the address and port to listen on, e.g. \"127.0.0.1:2576\"", socket);
    let tls_given = s.has("tls");
    let tls = s.table("tls").and_then(listener_tls);
    let default_team = s.optional("default_team", named(TeamId::parse));
    known_team(&s, default_team.as_ref(), owner);
    let sources: Vec<MessageSource> = s.tables("sources").into_iter().filter_map(source).collect();
    let accept = super::accept::read(&mut s, owner, super::accept::Types::Hl7);
    let listen = Listen {
        accept,
        ignored_raw_retention: s.or("ignored_raw_retention", "\"0s\"", duration(Duration::ZERO..=days(365))),
        ack_mode: s.or("ack_mode", "\"original\"", choice(ACK_MODES)),
        max_connections: s.or("max_connections", "8", int(1..=256)),
        idle_timeout: s.or("idle_timeout", "\"1h\"", duration(secs(1)..=days(7))),
        max_frame_bytes: s.or("max_frame_bytes", "4_194_304", int(MAX_FRAME)),
        sources,
        default_team,
        tls,
        address: address?,
    };
    let beyond_loopback = !listen.address.ip().is_loopback();
    if beyond_loopback && !tls_given {
        s.warn(
            "address",
            format!("{} takes messages without TLS from whoever can reach it", listen.address),
            "add [endpoint.listen.tls] with client_ca_file",
        );
    } else if beyond_loopback && listen.tls.as_ref().is_some_and(|tls| tls.client_ca_file.is_none()) {
        s.warn(
            "tls",
            "asks callers for no certificate, so whoever can reach the address can send",
            "add client_ca_file",
        );
    }
    Some(listen)
}

/// The team must be one of the trust's.
pub(super) fn known_team(s: &Section<'_>, team: Option<&TeamId>, owner: Option<&Trust>) {
    if let (Some(team), Some(owner)) = (team, owner)
        && !owner.teams.iter().any(|t| t.id == *team)
    {
        s.fault(
            "default_team",
            format!("is \"{team}\", which is no team of {}", owner.ods),
            "use the id of one of the trust's teams",
        );
    }
}

fn source(mut s: Section<'_>) -> Option<MessageSource> {
    let application = s.required("application", "write what the sender puts in MSH-3", text(180));
    let facility = s.required("facility", "write what the sender puts in MSH-4", text(180));
    Some(MessageSource { application: application?, facility: facility? })
}
