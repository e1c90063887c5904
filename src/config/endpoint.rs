//! `[[endpoint]]`: one EPR of one trust, what counts as filed there, and how to treat it.

use super::ask;
use super::evidence::{self, Approval};
use super::fault::{Place, nearest};
use super::listen_https::{self, ListenHttps};
use super::maintenance::{self, Maintenance};
use super::mllp::{self, Listen};
use super::section::Section;
use super::transport::{self, Transport};
use super::tree::Node;
use super::trust::{Declared, Trust};
use super::values::{
    Parsed, boolean, choice, days, duration, int, minutes, named, secs, show_duration, text, time_zone, wrong,
};
use crate::domain::accept::Accept;
use crate::domain::ask::AskRules;
use crate::domain::organisation::{EndpointId, OdsCode, PackId, TeamId};
use crate::domain::policy::{
    AckMode, AcknowledgedBy, AfterUnknown, BackOff, EndpointPolicy, Environment, FiledBy, Names,
};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::time::Duration;

/// What a lease must leave after connecting, sending and waiting for the reply, for the disk and the database.
pub const LEASE_MARGIN: Duration = secs(15);

/// One `[[endpoint]]`.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub id: EndpointId,
    pub trust: OdsCode,
    /// As authors know it, e.g. "RiO".
    pub name: String,
    pub adapter: PackId,
    /// The pinned version; `None` (test endpoints only) = whichever is in the folder.
    pub pack_version: Option<String>,
    /// A save of the pack is taken by itself. Test endpoints only.
    pub reload_on_save: bool,
    pub transport: Transport,
    pub environment: Environment,
    pub filed_by: FiledBy,
    pub acknowledged_by: AcknowledgedBy,
    pub approval: Option<Approval>,
    pub after_unknown: AfterUnknown,
    pub max_unknown_resends: u32,
    pub max_refused_retries: u32,
    /// 0 to 4 of A-Z and 0-9, unlike any other endpoint's.
    pub control_id_prefix: String,
    pub ack_mode: AckMode,
    pub evidence_overdue_after: Duration,
    pub back_off: BackOff,
    pub asks: AskRules,
    /// Waiting times between probes while the endpoint is closed.
    pub probe: BackOff,
    pub max_per_minute: Option<u32>,
    pub max_in_flight_lanes: u32,
    /// Longer than any send can take by [`LEASE_MARGIN`] at least.
    pub lease: Duration,
    pub time_zone: TimeZone,
    pub maintenance: Maintenance,
    pub late_banner_after: Duration,
    pub require_verified_nhs_number: bool,
    pub require_mapped_staff: bool,
    pub max_text_chars: u32,
    /// Where the same record was reached before, as [`Transport::place`] writes it.
    pub same_record_as: Vec<String>,
    /// Handed to the pack's templates.
    pub settings: toml::Table,
    /// Laid over the pack's `[reply]`.
    pub reply: toml::Table,
    pub listen: Option<Listen>,
    pub listen_https: Option<ListenHttps>,
    pub(super) places: Places,
}

/// Where things stand that later checks speak about.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub id: Place,
    pub environment: Place,
}

impl Endpoint {
    /// What the domain needs to know. `fingerprint` covers everything that shapes the bytes, and `names` says by which id a later version speaks of an
    /// the first document's id: the pack's part of both is not known here.
    pub fn policy(&self, fingerprint: String, names: Names, replies_are_documents: bool) -> EndpointPolicy {
        EndpointPolicy {
            id: self.id.clone(),
            trust: self.trust.clone(),
            name: self.name.clone(),
            environment: self.environment,
            filed_by: self.filed_by,
            acknowledged_by: self.acknowledged_by,
            after_unknown: self.after_unknown,
            max_unknown_resends: self.max_unknown_resends,
            max_refused_retries: self.max_refused_retries,
            ack_mode: self.ack_mode,
            evidence_overdue_after: self.evidence_overdue_after,
            back_off: self.back_off,
            asks: self.asks,
            tracks_after: self.transport.tracks_after(),
            require_verified_nhs_number: self.require_verified_nhs_number,
            require_mapped_staff: self.require_mapped_staff,
            max_text_chars: self.max_text_chars,
            names,
            replies_are_documents,
            place: self.transport.place(),
            same_record_as: self.same_record_as.clone(),
            fingerprint,
        }
    }

    /// When the maintenance under way at `now` ends; `None` outside maintenance.
    pub fn in_maintenance(&self, now: Timestamp) -> Option<Timestamp> {
        self.maintenance.until(now)
    }

    /// The team a referral goes to that names none of ours, whichever way it comes in.
    pub fn default_team(&self) -> Option<&TeamId> {
        let over_https = || self.listen_https.as_ref().and_then(|l| l.default_team.as_ref());
        let by_mesh = || match &self.transport {
            Transport::Mesh(mesh) => mesh.default_team.as_ref(),
            Transport::Mllp(_) | Transport::Https(_) | Transport::Folder(_) | Transport::Feed(_) => None,
        };
        self.listen.as_ref().and_then(|l| l.default_team.as_ref()).or_else(over_https).or_else(by_mesh)
    }

    /// Which of its messages are for us, whichever listener takes them. By MESH everything of the agreed mailbox is.
    pub fn accept(&self) -> Accept {
        let over_https = || self.listen_https.as_ref().map(|l| &l.accept);
        self.listen.as_ref().map(|l| &l.accept).or_else(over_https).cloned().unwrap_or_default()
    }

    /// How long the bytes of what is not for us are kept.
    pub fn ignored_raw_retention(&self) -> Duration {
        let over_https = || self.listen_https.as_ref().map(|l| l.ignored_raw_retention);
        self.listen.as_ref().map(|l| l.ignored_raw_retention).or_else(over_https).unwrap_or_default()
    }

    /// Whether anything comes in from it.
    pub fn listens(&self) -> bool {
        self.listen.is_some() || self.listen_https.is_some() || matches!(self.transport, Transport::Mesh(_))
    }

    /// The longest one send can take from connecting to its reply.
    pub fn longest_send(&self) -> Duration {
        self.transport.longest_send()
    }
}

/// `None` when something required is missing or wrong; everything wrong has then been said.
///
/// # Errors
/// What can be held against the pack all the same, where the adapter is known.
pub(super) fn read(
    s: &mut Section<'_>,
    trusts: &[Trust],
    declared: &Declared,
) -> Result<Endpoint, Option<Box<HalfRead>>> {
    let half = HalfRead {
        id: s.peek("id").unwrap_or("(without an id)").to_owned(),
        adapter: s.peek("adapter").and_then(|text| PackId::parse(text).ok()),
        settings: s.look_at_table("settings"),
        reply: s.look_at_table("reply"),
    };
    whole(s, trusts, declared).ok_or_else(|| half.adapter.is_some().then(|| Box::new(half)))
}

fn whole(s: &mut Section<'_>, trusts: &[Trust], declared: &Declared) -> Option<Endpoint> {
    let id = s.required("id", "give it a short id that never changes, e.g. \"rz9-rio\"", named(EndpointId::parse));
    let trust = s.required("trust", "write the trust's ODS code", named(OdsCode::parse));
    let owner = trust.as_ref().and_then(|ods| trusts.iter().find(|t| t.ods == *ods));
    let name = s.required("name", "write the EPR's name as authors know it, e.g. \"RiO\"", text(60));
    let adapter = s.required("adapter", "name a folder under adapters/, e.g. \"hl7v2-uk\"", named(PackId::parse));
    let environment = s.required(
        "environment",
        "say environment = \"test\" or \"live\": it goes into every message (MSH-11), and only you know which it is",
        choice(&[("test", Environment::Test), ("live", Environment::Live)]),
    );
    let pack_version = pack(s, adapter.as_ref(), environment);
    let reload_on_save = s.optional("reload_on_save", boolean);
    if reload_on_save == Some(true) && environment == Some(Environment::Live) {
        let hint = "remove it; `ips-bridge adapter activate` changes the pack of a live endpoint";
        s.fault("reload_on_save", "is true, and a live endpoint never changes by a save", hint);
    }
    let transport = transport::read(s, owner);
    let ack_mode = s.or("ack_mode", "\"original\"", choice(ACK_MODES));
    // Over MESH the application's answer is always a message of its own, and comes later.
    let by_mesh = matches!(transport, Some(Transport::Mesh(_)));
    let ack_mode = if by_mesh { AckMode::Enhanced } else { ack_mode };
    let listen = s.table("listen").and_then(|section| mllp::read_listen(section, owner));
    let listen_https = s.table("listen_https").and_then(|section| listen_https::read(section, owner));
    if s.has("listen") && s.has("listen_https") {
        let what =
            "stands beside [endpoint.listen], and one pack reads either HL7 v2 or FHIR: one of them can read nothing";
        s.warn("listen_https", what, "remove one, or make it an endpoint of its own");
    }
    let asks = ask::read(s.table_or_empty("ask"));
    let evidence = evidence::read(s, ack_mode, transport.as_ref());
    let zone =
        s.optional("time_zone", time_zone).or_else(|| owner.map(|t| t.time_zone.clone())).unwrap_or(TimeZone::UTC);
    let maintenance = maintenance::read(s, zone.clone());
    let max_connections = transport.as_ref().map_or(u32::MAX, Transport::max_connections);
    let lanes = s.optional("max_in_flight_lanes", int(1..=256));
    if let Some(lanes) = lanes.filter(|lanes| *lanes > max_connections) {
        let what =
            format!("is {lanes}, but there are only {max_connections} connections, each with one message in flight");
        s.fault("max_in_flight_lanes", what, "lower it, or raise max_connections of the transport");
    }
    let endpoint = Endpoint {
        max_in_flight_lanes: lanes.unwrap_or(max_connections),
        lease: lease(s, transport.as_ref()),
        max_refused_retries: s.or("max_refused_retries", "10", int(1..=1000)),
        control_id_prefix: s.or("control_id_prefix", "\"\"", prefix),
        evidence_overdue_after: s.or("evidence_overdue_after", "\"24h\"", duration(minutes(1)..=days(90))),
        back_off: waits(s.table_or_empty("back_off"), "\"2s\"", "\"5m\""),
        asks,
        probe: waits(s.table_or_empty("probe"), "\"5s\"", "\"60s\""),
        max_per_minute: s.optional("max_per_minute", int(1..=100_000)),
        late_banner_after: s.or("late_banner_after", "\"24h\"", duration(minutes(1)..=days(90))),
        require_verified_nhs_number: s.or("require_verified_nhs_number", "true", boolean),
        require_mapped_staff: s.or("require_mapped_staff", "false", boolean),
        max_text_chars: s.or("max_text_chars", "100_000", int(100..=100_000)),
        same_record_as: s.list("same_record_as", "[]", text(500)),
        settings: s.free_table("settings"),
        reply: s.free_table("reply"),
        places: Places { id: s.place_of("id"), environment: s.place_of("environment") },
        id: id?,
        trust: trust?,
        name: name?,
        adapter: adapter?,
        pack_version,
        reload_on_save: reload_on_save.unwrap_or(environment == Some(Environment::Test)),
        transport: transport?,
        environment: environment?,
        filed_by: evidence.filed_by?,
        acknowledged_by: evidence.acknowledged_by?,
        approval: evidence.approval,
        after_unknown: evidence.after_unknown?,
        max_unknown_resends: evidence.max_unknown_resends?,
        ack_mode,
        time_zone: zone,
        maintenance,
        listen,
        listen_https,
    };
    check_trust(s, &endpoint, owner, declared);
    evidence::check_late_replies(s, &endpoint);
    Some(endpoint)
}

/// An endpoint with a fault of its own, as far as it can be held against its pack.
#[derive(Debug, Clone)]
pub struct HalfRead {
    pub id: String,
    pub adapter: Option<PackId>,
    pub settings: toml::Table,
    pub reply: toml::Table,
}

impl HalfRead {
    pub fn of(endpoint: &Endpoint) -> Self {
        Self {
            id: endpoint.id.to_string(),
            adapter: Some(endpoint.adapter.clone()),
            settings: endpoint.settings.clone(),
            reply: endpoint.reply.clone(),
        }
    }
}

pub(super) const ACK_MODES: &[(&str, AckMode)] = &[("original", AckMode::Original), ("enhanced", AckMode::Enhanced)];

fn check_trust(s: &Section<'_>, endpoint: &Endpoint, owner: Option<&Trust>, declared: &Declared) {
    let Some(owner) = owner else {
        if declared.may_have(&endpoint.trust) {
            return;
        }
        let near = nearest(endpoint.trust.as_str(), declared.trusts.iter().map(OdsCode::as_str));
        let hint = near.map_or_else(
            || format!("add [[trust]] with ods = \"{}\"", endpoint.trust),
            |n| format!("did you mean \"{n}\"?"),
        );
        return s.fault("trust", format!("is \"{}\", and there is no such [[trust]]", endpoint.trust), hint);
    };
    if endpoint.require_mapped_staff && owner.staff_sound && owner.staff.at(&endpoint.id).next().is_none() {
        let what = format!(
            "is true, but no staff file of {} has a row for \"{}\": every entry would be parked",
            owner.ods, endpoint.id
        );
        s.fault("require_mapped_staff", what, "add the people to the trust's staff_file, or set it to false");
    }
}

fn pack(s: &mut Section<'_>, adapter: Option<&PackId>, environment: Option<Environment>) -> Option<String> {
    let pin = s.optional("pack", pin);
    if let (Some((pack, _)), Some(adapter)) = (&pin, adapter)
        && pack != adapter
    {
        s.fault("pack", format!("pins \"{pack}\", but the adapter is \"{adapter}\""), "name the same pack in both");
    }
    if !s.has("pack") && environment == Some(Environment::Live) {
        s.fault(
            "pack",
            "is missing, and a live endpoint must pin the pack it was tested with",
            "write e.g. pack = \"hl7v2-uk@1.0.0\"",
        );
    }
    pin.map(|(_, version)| version)
}

/// `id@1.2.3`.
fn pin(node: &Node) -> Parsed<(PackId, String)> {
    let text = text(80)(node)?;
    let version = |v: &str| {
        v.split('.').count() == 3
            && v.split('.').all(|n| n.len() <= 5 && n.parse::<u32>().is_ok_and(|i| i.to_string() == n))
    };
    match text.split_once('@').map(|(id, v)| (PackId::parse(id), v)) {
        Some((Ok(id), v)) if version(v) => Ok((id, v.to_owned())),
        _ => wrong("must be a pack and its version", "write e.g. \"hl7v2-uk@1.0.0\""),
    }
}

fn lease(s: &mut Section<'_>, transport: Option<&Transport>) -> Duration {
    let given = s.optional("lease", duration(secs(1)..=minutes(60)));
    let Some(transport) = transport else { return given.unwrap_or(LEASE_MARGIN) };
    let least = transport.longest_send() + LEASE_MARGIN;
    if let Some(short) = given.filter(|given| *given < least) {
        let what = format!("is {}: it would run out while a message may still be answered", show_duration(short));
        let hint = format!(
            "leave it out, or make it at least {} (connect_timeout + send_timeout + reply_timeout + {})",
            show_duration(least),
            show_duration(LEASE_MARGIN)
        );
        s.fault("lease", what, hint);
    }
    given.unwrap_or(least)
}

fn prefix(node: &Node) -> Parsed<String> {
    match node.text() {
        Some(t) if t.len() <= 4 && t.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()) => Ok(t.to_owned()),
        _ => wrong(
            "must be 0 to 4 characters of A-Z and 0-9",
            "choose letters the trust can recognise in MSH-10, e.g. \"RZ9\"",
        ),
    }
}

fn waits(mut s: Section<'_>, first: &'static str, cap: &'static str) -> BackOff {
    let waits = BackOff {
        first: s.or("first", first, duration(Duration::from_millis(10)..=minutes(60))),
        cap: s.or("cap", cap, duration(Duration::from_millis(10)..=days(1))),
    };
    if waits.first > waits.cap {
        s.fault("first", "is longer than cap", "lower it, or raise cap");
    }
    waits
}
