//! What must hold between sections.

use super::Config;
use super::endpoint::Endpoint;
use super::fault::{Fault, Place};
use super::principal::{Principal, Role};
use super::process::Limits;
use super::section::Section;
use super::server::Server;
use super::transport::Transport;
use super::trust::Trust;
use super::values::{same_place, show_duration};
use crate::domain::accept::{AcceptRule, Judged};
use crate::domain::organisation::{EndpointId, TeamId};
use crate::domain::policy::{Environment, FiledBy};
use std::net::{IpAddr, SocketAddr};

/// What stands between a note and the wrong record. A live endpoint needs every one of them.
pub const HOLDS_FOR_LIVE: [&str; 8] = [
    "identity_changed",
    "nhs_number_unverified",
    "deceased",
    "merged",
    "referral_closed",
    "text_not_carriable",
    "staff_not_mapped",
    "predecessor_unresolved",
];

/// The safety holds that are not among `implemented`.
pub fn missing_for_live(implemented: &[&str]) -> Vec<&'static str> {
    HOLDS_FOR_LIVE.into_iter().filter(|hold| !implemented.contains(hold)).collect()
}

impl Config {
    pub fn live_endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.iter().filter(|e| e.environment == Environment::Live)
    }

    /// One fault for every live endpoint while a safety hold is missing: starting is then refused.
    pub fn check_live(&self, implemented: &[&str]) -> Vec<Fault> {
        let missing = missing_for_live(implemented);
        if missing.is_empty() {
            return Vec::new();
        }
        let what = |e: &Endpoint| {
            format!("endpoint \"{}\" is live, but this release lacks safety holds: {}", e.id, missing.join(", "))
        };
        let hint = "set environment = \"test\" until a release has them all";
        self.live_endpoints().map(|e| e.places.environment.fault(what(e), hint)).collect()
    }
}

/// Endpoints among themselves.
pub(super) fn endpoints(all: &[Endpoint], retired: &[EndpointId], root: &Section<'_>) {
    let findings = &root.reading.findings;
    for (i, e) in all.iter().enumerate() {
        if retired.contains(&e.id) {
            findings.fault(
                &e.places.id,
                format!("endpoint \"{}\" is also in retired_endpoints", e.id),
                "remove it from one of them",
            );
        }
        for first in &all[..i] {
            if first.id == e.id {
                let what = format!("endpoint.id \"{}\" is already used in {}", e.id, first.places.id.shown());
                findings.fault(&e.places.id, what, "give each endpoint its own id, for ever");
            } else if first.control_id_prefix == e.control_id_prefix {
                let what = format!(
                    "endpoint.control_id_prefix of \"{}\" is \"{}\", as of \"{}\" in {}",
                    e.id,
                    e.control_id_prefix,
                    first.id,
                    first.places.id.shown()
                );
                findings.fault(&e.places.id, what, "give each endpoint its own, 0 to 4 characters of A-Z and 0-9");
            }
        }
    }
}

/// What makes a referral, as rules name it.
const REFERRALS: [&str; 2] = ["REF^I12", "ServiceRequest"];

/// A referral to a team of the trust's whose referrals no listener takes is answered as taken, and ignored.
pub(super) fn teams_left_out(all: &[Endpoint], trusts: &[Trust], root: &Section<'_>) {
    for trust in trusts {
        let of_trust = all.iter().filter(|e| e.trust == trust.ods);
        // Each listener's word on each message that makes one: the rule, or nothing where it has no rules and takes all.
        let judging: Vec<(&Endpoint, Option<&AcceptRule>)> = of_trust
            .flat_map(|e| {
                let accepts = e.listen.iter().map(|l| &l.accept).chain(e.listen_https.iter().map(|l| &l.accept));
                let rules = accepts.flat_map(|accept| REFERRALS.iter().map(|message| accept.judge(message)));
                rules.filter_map(move |judged| match judged {
                    Judged::Taken(rule) => Some((e, rule)),
                    Judged::Unlisted => None,
                })
            })
            .collect();
        let takes =
            |team: &TeamId| judging.iter().any(|(_, rule)| rule.is_none_or(|r| r.takes_team(Some(team.as_str()))));
        let out: Vec<&str> = trust.teams.iter().map(|t| &t.id).filter(|t| !takes(t)).map(TeamId::as_str).collect();
        if let Some((endpoint, Some(rule))) = judging.first().filter(|_| !out.is_empty()) {
            let what = format!(
                "the accept rule \"{}\" takes referrals by team, and no listener of {} takes one for {}: it would be answered as taken, and ignored",
                rule.name,
                trust.ods,
                out.join(", ")
            );
            root.reading.findings.warn(&endpoint.places.id, what, "list every team whose referrals come this way");
        }
    }
}

/// What one endpoint takes out of a mailbox or a folder no other ever sees.
pub(super) fn boxes(all: &[Endpoint], root: &Section<'_>) {
    let taken = |e: &Endpoint| -> Vec<(String, &'static str)> {
        match &e.transport {
            Transport::Mesh(mesh) => {
                let name = mesh.mailbox.to_ascii_uppercase();
                vec![(format!("{}\n{name}", mesh.url.0), "mailbox")]
            }
            Transport::Folder(folder) => {
                let of = [("results", &folder.inbox.results), ("lists", &folder.inbox.lists)];
                of.into_iter().filter_map(|(key, path)| Some((same_place(path.as_ref()?), key))).collect()
            }
            Transport::Mllp(_) | Transport::Https(_) | Transport::Feed(_) => Vec::new(),
        }
    };
    let given = |e: &Endpoint| match &e.transport {
        Transport::Folder(folder) => Some(same_place(&folder.path)),
        _ => None,
    };
    for (i, e) in all.iter().enumerate() {
        for (name, key) in taken(e) {
            let others = || all.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, other)| other);
            let shared = all[..i].iter().find(|o| taken(o).iter().any(|(theirs, _)| *theirs == name));
            let shared = shared.or_else(|| others().find(|o| given(o).as_ref() == Some(&name)));
            if let Some(other) = shared {
                let what = format!(
                    "endpoint \"{}\" has the {key} of \"{}\": each would take away what is the other's",
                    e.id, other.id
                );
                root.reading.findings.fault(&e.places.id, what, "give each endpoint its own");
            }
        }
    }
}

/// No two listeners on one address.
pub(super) fn listeners(server: &Server, table: &Section<'_>, all: &[Endpoint]) {
    let mut taken: Vec<(SocketAddr, String, Place)> =
        vec![(server.listen, "server.listen".to_owned(), table.place_of("listen"))];
    taken.extend(
        server.metrics_listen.map(|a| (a, "server.metrics_listen".to_owned(), table.place_of("metrics_listen"))),
    );
    let listens = all.iter().filter_map(|e| {
        e.listen.as_ref().map(|l| (l.address, format!("endpoint.listen of \"{}\"", e.id), e.places.id.clone()))
    });
    taken.extend(listens);
    let listens = all.iter().filter_map(|e| {
        let listen = e.listen_https.as_ref()?;
        Some((listen.address, format!("endpoint.listen_https of \"{}\"", e.id), e.places.id.clone()))
    });
    taken.extend(listens);
    circles(&taken, all, table);
    for (i, (address, name, place)) in taken.iter().enumerate().filter(|(_, (address, ..))| address.port() != 0) {
        let meets = |other: &SocketAddr| {
            other.port() == address.port()
                && (other.ip() == address.ip() || other.ip().is_unspecified() || address.ip().is_unspecified())
        };
        if let Some((_, first, at)) = taken[..i].iter().find(|(other, ..)| meets(other)) {
            let what = format!("{name} is {address}, which {first} in {} already takes", at.shown());
            table.reading.findings.fault(place, what, "give each its own port");
        }
    }
}

/// Nothing is sent to where this bridge itself listens: its own acknowledgement would pass for the record's.
fn circles(taken: &[(SocketAddr, String, Place)], all: &[Endpoint], table: &Section<'_>) {
    for e in all {
        let (host, port) = match &e.transport {
            Transport::Mllp(mllp) => (mllp.address.host.clone(), mllp.address.port),
            Transport::Https(https) => match host_and_port(&https.base_url.0) {
                Some(found) => found,
                None => continue,
            },
            Transport::Folder(_) | Transport::Feed(_) | Transport::Mesh(_) => continue,
        };
        let ip = if host == "localhost" { Some(IpAddr::from([127, 0, 0, 1])) } else { host.parse().ok() };
        let Some(ip) = ip.filter(|_| port != 0) else { continue };
        let meets = |other: &SocketAddr| {
            other.port() == port
                && (other.ip() == ip || other.ip().is_unspecified() && ip.is_loopback() || ip.is_unspecified())
        };
        if let Some((address, name, at)) = taken.iter().find(|(other, ..)| meets(other)) {
            let what = format!(
                "endpoint \"{}\" would send to {host}:{port}, where this bridge itself listens ({name} is {address}, in {})",
                e.id,
                at.shown()
            );
            table.reading.findings.fault(&e.places.id, what, "write the address of the EPR or its integration engine");
        }
    }
}

fn host_and_port(url: &str) -> Option<(String, u16)> {
    let uri: http::Uri = url.parse().ok()?;
    let standard = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some((host, uri.port_u16().unwrap_or(standard)))
}

/// What is allowed but probably not meant.
pub(super) fn doubts(
    server: &Server,
    limits: &Limits,
    trusts: &[Trust],
    all: &[Endpoint],
    principals: &[Principal],
    root: &Section<'_>,
) {
    let findings = &root.reading.findings;
    let live = all.iter().find(|e| e.environment == Environment::Live);
    if let Some(live) = live.filter(|_| server.development_principal) {
        let what = format!(
            "endpoint \"{}\" is live, but server.development_principal lets in anyone on this machine",
            live.id
        );
        findings.fault(&live.places.environment, what, "remove development_principal and set up [server.tls]");
    }
    if trusts.is_empty() {
        findings.warn(
            &root.place,
            "no trust is configured",
            "add [[trust]], [[endpoint]] and [[route]], here or in a file that include names",
        );
    }
    if server.tls.is_none() && !server.development_principal {
        findings.warn(
            &root.place_of("server"),
            "nobody can call: there is no TLS and no development principal",
            "set up [server.tls] and [[principal]]",
        );
    }
    if server.tls.is_some() && principals.is_empty() {
        findings.warn(
            &root.place_of("server"),
            "nobody can call: there is no [[principal]]",
            "add one for each calling system",
        );
    }
    for e in all {
        if e.longest_send() > limits.shutdown_grace {
            let what = format!(
                "endpoint \"{}\" may need {} for one message, longer than limits.shutdown_grace ({})",
                e.id,
                show_duration(e.longest_send()),
                show_duration(limits.shutdown_grace)
            );
            findings.warn(
                &e.places.id,
                what,
                "raise shutdown_grace, or a restart can leave a message's outcome unknown",
            );
        }
        let reports = |p: &&Principal| p.roles.contains(&Role::EprSystem) && p.endpoints.contains(&e.id);
        let pulls = matches!(e.transport, Transport::Feed(_));
        if pulls && !server.development_principal && !principals.iter().any(|p| reports(&p)) {
            let what = format!("endpoint \"{}\" is a feed, but no principal may pull it", e.id);
            findings.warn(&e.places.id, what, "add a [[principal]] with role epr_system and this endpoint");
        } else if e.filed_by == FiledBy::VendorReport
            && !server.development_principal
            && !principals.iter().any(|p| reports(&p))
        {
            let what = format!("endpoint \"{}\" waits for the vendor's reports, but no principal may send them", e.id);
            findings.warn(&e.places.id, what, "add a [[principal]] with role epr_system and this endpoint");
        }
    }
}
