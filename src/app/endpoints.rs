//! Config and pack of an endpoint, brought together and held against each other.

use super::senders::{self, WayOut};
use crate::adapter::compose::Site;
use crate::adapter::fhir;
use crate::adapter::{Fault, Fitted, Format, InUse, Pack, Packs, RenderOptions, ReplyRules, Status, suggest};
use crate::config::{Config, Endpoint, HalfRead, HttpsAuth, Transport, Trust};
use crate::domain::accept::{self, AcceptRule};
use crate::domain::ask::Answer;
use crate::domain::organisation::TeamId;
use crate::domain::policy::{AckMode, AfterUnknown, Environment, FiledBy, Names};
use crate::domain::route::RoutedKind;
use crate::inbound::{Batches, Repeats};
use crate::outbox::{Question, ReadBack};
use crate::transport::http_message::{Headers, Method, Request};
use crate::transport::https::Ambient;
use crate::transport::mesh::{MESSAGE, TRACKING};
use crate::transport::tls::CertificateFacts;
use crate::transport::{Sender, Stray};
use crate::verdict;
use crate::wire::v1;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use tokio::sync::mpsc;

/// An endpoint that can be served.
pub struct Ready {
    pub config: Endpoint,
    /// Its pack, and all that changes with it.
    pub in_use: InUse,
    /// The trust's teams.
    pub teams: Vec<TeamId>,
    pub team_names: Vec<(String, TeamId)>,
    pub options: RenderOptions,
    pub sender: Sender,
    pub strays: mpsc::Receiver<Stray>,
    pub certificates: Vec<CertificateFacts>,
    /// What comes in several messages at once, whichever way it comes.
    pub batches: Arc<Batches>,
    pub repeats: Arc<Repeats>,
}

/// Every endpoint of config with the pack of the packs' folder, or everything that is wrong with them, one sentence each.
pub fn ready(config: &Config, packs: &Packs, ambient: &Ambient) -> Result<Vec<Ready>, Vec<String>> {
    ready_with(config, &|endpoint| Ok((from_folder(endpoint, packs).map_err(|f| vec![f.to_string()])?, 0)), ambient)
}

/// The same with packs that were chosen, each under its activation.
pub fn ready_with(config: &Config, choose: Choose<'_>, ambient: &Ambient) -> Result<Vec<Ready>, Vec<String>> {
    let mut faults = Vec::new();
    let mut endpoints = Vec::new();
    for endpoint in &config.endpoints {
        let Some(trust) = config.trust(&endpoint.trust) else { continue };
        let chosen = choose(endpoint).map_err(|mut list| {
            // What it has to reach the far end with is looked at without a pack, too.
            list.extend(senders::way_out(endpoint, None, ambient).err());
            list
        });
        match chosen.and_then(|chosen| one(endpoint, trust, chosen, ambient)) {
            Ok(ready) => endpoints.push(ready),
            Err(list) => faults.extend(list.into_iter().map(|f| format!("endpoint {}: {f}", endpoint.id))),
        }
    }
    if faults.is_empty() { Ok(endpoints) } else { Err(faults) }
}

/// What config's routes lead to an endpoint whose pack cannot make it: each such entry would be accepted, and parked as NOT_RENDERABLE.
pub fn cannot_be_made(config: &Config, ready: &[Ready]) -> Vec<String> {
    let mut found = Vec::new();
    for rule in config.routes.rules() {
        let to = [&rule.endpoint].into_iter().chain(&rule.copies_to);
        for ready in to.filter_map(|id| ready.iter().find(|r| r.config.id == *id)) {
            let now = ready.in_use.now();
            for kind in &rule.kinds {
                let (entry, word) = match kind {
                    RoutedKind::Note => ("note.create", "notes"),
                    RoutedKind::Outcome => ("outcome.create", "outcomes"),
                };
                let what = format!(
                    "a route leads {word} to endpoint {}, and its pack {} makes none: each would be parked; leave them out of the route, or add \
                     [[render]] entry = \"{entry}\" to the pack",
                    ready.config.id,
                    now.pack.pin()
                );
                if !now.pack.covers(entry, &now.settings) && !found.contains(&what) {
                    found.push(what);
                }
            }
        }
    }
    found
}

/// What the packs' folder says of an endpoint that cannot be brought together with its pack: for a fault of its own, or because there is no such pack.
/// Then its settings are held against the one that its name probably means.
pub fn beside_its_pack(half: &HalfRead, packs: &Packs) -> Vec<String> {
    let Some(adapter) = &half.adapter else { return Vec::new() };
    let mut faults = Vec::new();
    let pack = match packs.pinned(adapter.as_str()) {
        Ok(pack) => Some(pack),
        Err(fault) => {
            // `did you mean "x"?`
            let meant = fault.hint.strip_prefix("did you mean \"").and_then(|rest| rest.split('"').next());
            let meant = meant.and_then(|id| packs.get(id));
            faults.push(fault.to_string());
            meant
        }
    };
    if let Some(pack) = pack {
        let mut given = half.settings.clone();
        // These an endpoint's own keys may give, and those are not read.
        for name in [DEFAULT_TEAM, "own_mailbox", "their_mailbox"] {
            if pack.manifest.settings.get(name).is_some() {
                given.entry(name).or_insert_with(|| toml::Value::String("X".into()));
            }
        }
        let of = |fault: &Fault| match pack.manifest.id == adapter.as_str() {
            true => fault.to_string(),
            false => format!("held against {}: {fault}", pack.pin()),
        };
        faults.extend(pack.settings(&given).err().iter().flatten().map(of));
        faults.extend(pack.reply_rules(&half.reply).err().iter().flatten().map(of));
    }
    faults.into_iter().map(|fault| format!("endpoint {}: {fault}", half.id)).collect()
}

/// The pack an endpoint works with, and under which activation.
pub type Choose<'a> = &'a dyn Fn(&Endpoint) -> Result<(Arc<Pack>, i64), Vec<String>>;

/// What the packs' folder holds for an endpoint, at the version that config pins.
pub fn from_folder(endpoint: &Endpoint, packs: &Packs) -> Result<Arc<Pack>, Fault> {
    let pin = match &endpoint.pack_version {
        Some(version) => format!("{}@{version}", endpoint.adapter),
        None => endpoint.adapter.to_string(),
    };
    packs.pinned(&pin).cloned()
}

fn one(
    endpoint: &Endpoint,
    trust: &Trust,
    (pack, activation): (Arc<Pack>, i64),
    ambient: &Ambient,
) -> Result<Ready, Vec<String>> {
    let mut faults = Vec::new();
    let fitted = fit(endpoint, trust, &pack, activation).map_err(|list| faults.extend(list));
    let in_use = fitted.map(InUse::new);
    let way_out = senders::way_out(endpoint, in_use.as_ref().ok(), ambient).map_err(|e| faults.push(e));
    let (Ok(in_use), Ok(WayOut { sender, strays, certificates })) = (in_use, way_out) else { return Err(faults) };
    Ok(Ready {
        config: endpoint.clone(),
        in_use,
        teams: trust.teams.iter().map(|t| t.id.clone()).collect(),
        team_names: trust.teams.iter().map(|t| (t.name.clone(), t.id.clone())).collect(),
        options: RenderOptions {
            max_text_chars: Some(endpoint.max_text_chars),
            require_mapped_staff: endpoint.require_mapped_staff,
            max_message_bytes: Some(endpoint.transport.max_message_bytes()),
        },
        sender,
        strays,
        certificates,
        batches: Arc::default(),
        repeats: Arc::default(),
    })
}

/// What the HL7 listener's accept rules would throw away with AA: a misspelt type, and merges beside changes. Whose patients' changes are taken and whose merges
/// are not, their notes go on to a record that is no more.
fn unheard(endpoint: &Endpoint, pack: &Pack) -> Vec<String> {
    let rules = endpoint.listen.iter().flat_map(|l| &l.accept.rules);
    let judged: Vec<(&AcceptRule, &String)> = rules.flat_map(|r| r.messages.iter().map(move |m| (r, m))).collect();
    let (reads, merges) = (pack.parses(), pack.parses_merges());
    let unknown = judged.iter().filter(|(_, m)| !reads.iter().any(|read| accept::names(m, read)));
    let mut faults: Vec<String> = unknown
        .map(|(rule, m)| {
            let (pin, hint) = (pack.pin(), suggest(m, reads.iter().copied()));
            format!("the accept rule \"{}\" lists {m}, which the pack {pin} does not read; {hint}", rule.name)
        })
        .collect();
    let listed = |message: &str| judged.iter().any(|(_, m)| accept::names(m, message));
    let missing: Vec<&str> = merges.iter().copied().filter(|m| !listed(m)).collect();
    if judged.iter().any(|(_, m)| m.starts_with("ADT^")) && !missing.is_empty() {
        faults.push(format!(
            "the accept rules take changes of patients (ADT), and no rule lists {}: merges would be ignored, and notes go on to a record that is no more; list them too",
            missing.join(", ")
        ));
    }
    faults
}

/// A pack held against an endpoint's config: everything of the endpoint that changes with it, or all that does not fit.
pub fn fit(endpoint: &Endpoint, trust: &Trust, pack: &Arc<Pack>, activation: i64) -> Result<Fitted, Vec<String>> {
    let said = |faults: Vec<Fault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut faults = Vec::new();
    let mut given = endpoint.settings.clone();
    if let Some(team) = endpoint.default_team().filter(|_| pack.manifest.settings.get(DEFAULT_TEAM).is_some()) {
        let own = given.entry(DEFAULT_TEAM).or_insert_with(|| toml::Value::String(team.to_string()));
        if own.as_str() != Some(team.as_str()) {
            faults.push(format!(
                "settings.default_team is {own}, and where it listens default_team is \"{team}\": say it in one place"
            ));
        }
    }
    let team = given.get(DEFAULT_TEAM).and_then(toml::Value::as_str).unwrap_or_default();
    if !team.is_empty() && !trust.teams.is_empty() && !trust.teams.iter().any(|t| t.id.as_str() == team) {
        faults.push(format!(
            "settings.default_team names \"{team}\", which is no team of {}; use the id of one of the trust's teams",
            trust.ods
        ));
    }
    if let Transport::Mesh(mesh) = &endpoint.transport {
        for (name, value) in [("own_mailbox", &mesh.mailbox), ("their_mailbox", &mesh.to_mailbox)] {
            if pack.manifest.settings.get(name).is_some() {
                given.entry(name).or_insert_with(|| toml::Value::String(value.clone()));
            }
        }
    }
    let settings = pack.settings(&given).map_err(|f| faults.extend(said(f))).unwrap_or_default();
    let reply_rules = pack.reply_rules(&endpoint.reply).map_err(|f| faults.extend(said(f)));
    if pack.manifest.id != endpoint.adapter.as_str() {
        faults.push(format!("the pack is {}, and config names the adapter {}", pack.pin(), endpoint.adapter));
    }
    if endpoint.environment == Environment::Live && pack.manifest.status == Status::Draft {
        faults.push(format!("the pack {} is a draft; a live endpoint needs one that is tested or live", pack.pin()));
    }
    let carries = match &endpoint.transport {
        Transport::Mllp(_) => Format::Hl7v2,
        Transport::Https(_) if pack.format() == Format::Xml => Format::Xml,
        Transport::Https(_) | Transport::Mesh(_) => Format::Fhir,
        Transport::Folder(_) => Format::Document,
        // Messages of either kind; files are for folders.
        Transport::Feed(_) if pack.format().is_http() => pack.format(),
        Transport::Feed(_) => Format::Hl7v2,
    };
    let listens = [
        (endpoint.listen.is_some(), "listen", Format::Hl7v2),
        (
            endpoint.listen_https.is_some(),
            "listen_https",
            if pack.format() == Format::Xml { Format::Xml } else { Format::Fhir },
        ),
    ];
    let unfit = std::iter::once((true, "transport", carries)).chain(listens);
    for (_, what, format) in unfit.filter(|(there, _, format)| *there && pack.format() != *format) {
        let (is, can) = (pack.format().name(), format.name());
        faults.push(format!(
            "the pack {} is of format {is}, and the endpoint's {what} carries {can}; name another pack",
            pack.pin()
        ));
    }
    let judged =
        endpoint.listen_https.iter().flat_map(|l| &l.accept.rules).flat_map(|r| r.messages.iter().map(move |m| (r, m)));
    for (rule, message) in judged {
        // Nothing of that name comes: what the rule was meant for would be ignored by it.
        let known = match pack.format() {
            Format::Xml => pack.parses().contains(&message.as_str()),
            Format::Fhir | Format::Hl7v2 | Format::Document => fhir::resource::is_type(message),
        };
        if !known {
            faults.push(format!(
                "the accept rule \"{}\" judges {message}, which the pack {} does not read; it reads {}",
                rule.name,
                pack.pin(),
                pack.parses().join(", ")
            ));
        }
    }
    faults.extend(unheard(endpoint, pack));
    faults.extend(asked_otherwise(endpoint, &settings));
    if matches!(endpoint.transport, Transport::Mesh(_)) && !pack.makes_only(MESSAGE) {
        faults.push(format!(
            "MESH carries messages, and the pack {} makes requests to a FHIR server; name one that posts to {MESSAGE}, such as mesh-fhir",
            pack.pin()
        ));
    }
    if endpoint.filed_by == FiledBy::Reconciled && pack.keeps_document_id(&settings) {
        faults.push(
            "filed_by = \"reconciled\" compares document ids, and under these settings a replacement keeps the first one's (T08): no list could ever name it; choose replace_as = \"T10\", or another filed_by".into(),
        );
    }
    faults.extend(unasked(endpoint, pack));
    faults.extend(not_let_in(endpoint, pack));
    if !matches!(endpoint.transport, Transport::Https(_)) && pack.asks_first(&settings) {
        faults.push(format!("the pack {} asks the record before each message ([lookup]), and only over https can it be asked; choose other settings", pack.pin()));
    }
    let results = matches!(&endpoint.transport, Transport::Folder(f) if f.inbox.results.is_some());
    if results && pack.manifest.result.is_none() {
        faults
            .push(format!("folder.results is set, but the pack {} has no [result]: nothing would be read", pack.pin()));
    }
    let (Ok(reply_rules), true) = (reply_rules, faults.is_empty()) else { return Err(faults) };
    let zone = |tz: &jiff::tz::TimeZone| tz.iana_name().unwrap_or("UTC").to_owned();
    let site = Site {
        trust: v1::Trust { ods: trust.ods.to_string(), name: trust.name.clone(), time_zone: zone(&endpoint.time_zone) },
        time_zone: endpoint.time_zone.clone(),
        environment: endpoint.environment,
        late_after: endpoint.late_banner_after,
        in_place: pack.keeps_document_id(&settings),
    };
    let fingerprint = fingerprint(endpoint, pack, &settings);
    let replies_are_documents = pack.format() != Format::Hl7v2;
    let policy = Arc::new(endpoint.policy(fingerprint, names(pack, &settings), replies_are_documents));
    Ok(Fitted { activation, pack: pack.clone(), settings, reply_rules, site, policy })
}

/// MSH-15 and MSH-16 ask for what `ack_mode` says is answered. In original mode two answers to each message are one too many, and none of the
/// application one too few.
fn asked_otherwise(endpoint: &Endpoint, settings: &Map<String, Value>) -> Option<String> {
    let of = |name: &str| settings.get(name).and_then(Value::as_str).unwrap_or_default();
    let (accept, application) = (of("accept_ack"), of("application_ack"));
    match (endpoint.ack_mode, accept, application) {
        (AckMode::Original, "AL", "AL") => Some(
            "settings.accept_ack and application_ack ask for an acknowledgement now and one later, and ack_mode = \"original\" takes the first for the only one; write ack_mode = \"enhanced\" with a way in for the later one, or leave them empty".into(),
        ),
        (AckMode::Original, "AL" | "SU", "NE" | "ER") if endpoint.filed_by == FiledBy::ApplicationAck => Some(
            "filed_by = \"application_ack\" waits for the application's acknowledgement, and settings.application_ack asks for none where all is well (MSH-16); leave both settings empty, or write ack_mode = \"enhanced\" and application_ack = \"AL\"".into(),
        ),
        _ => None,
    }
}

/// Where config has the record asked, a pack that cannot is refused at start, not at the first note of unknown outcome.
fn unasked(endpoint: &Endpoint, pack: &Pack) -> Option<String> {
    let asks = endpoint.after_unknown == AfterUnknown::Query || endpoint.filed_by == FiledBy::ReadBack;
    let by_pack = !matches!(endpoint.transport, Transport::Mesh(_));
    (asks && by_pack && !pack.manifest.reads_back).then(|| {
        format!(
            "the pack {} has no [read_back], so the record cannot be asked; choose another filed_by and after_unknown, or a pack that can",
            pack.pin()
        )
    })
}

/// A log in needs both: the pack's words and our name.
fn not_let_in(endpoint: &Endpoint, pack: &Pack) -> Option<String> {
    let logs_in = matches!(&endpoint.transport, Transport::Https(h) if matches!(h.auth, HttpsAuth::Session { .. }));
    match (pack.manifest.session.is_some(), logs_in) {
        (true, false) => Some(format!(
            "the pack {} logs in ([session]), and the endpoint does not say as whom; use transport = \"https\" and https.auth with kind = \"session\", user and password",
            pack.pin()
        )),
        (false, true) => Some(format!(
            "https.auth is of kind \"session\", and the pack {} has no [session]; name another kind, or a pack that logs in",
            pack.pin()
        )),
        _ => None,
    }
}

/// How it is asked what became of a message: MESH itself, or the record by the pack, where the pack and the way can.
pub fn read_back(transport: &Transport, fitted: &Arc<Fitted>) -> Option<Arc<dyn ReadBack>> {
    if matches!(transport, Transport::Mesh(_)) {
        return Some(Arc::new(ByTracking));
    }
    if !transport.can_ask() {
        return None;
    }
    fitted.pack.manifest.reads_back.then(|| Arc::new(ByPack(fitted.clone())) as Arc<dyn ReadBack>)
}

/// A pack asks by the identifier in what was sent, and judges the answer against it.
struct ByPack(Arc<Fitted>);

impl ReadBack for ByPack {
    fn request(&self, question: Question<'_>) -> Option<Vec<u8>> {
        self.0.pack.read_back(question.rendering, &self.0.settings)
    }

    fn judge(&self, reply: &[u8], question: Question<'_>) -> Answer {
        let said = match &self.0.reply_rules {
            ReplyRules::Xml(rules) => {
                verdict::read_back_xml(reply, question.rendering, &self.0.pack.manifest.read_backs, rules)
            }
            ReplyRules::Hl7(_) | ReplyRules::Http(_) => verdict::read_back(reply, question.rendering),
        };
        match said {
            verdict::ReadBack::Found { record_id } => Answer::Found { record_id: Some(record_id) },
            verdict::ReadBack::Misfiled { record_id } => Answer::Misfiled { record_id },
            verdict::ReadBack::NotFound => Answer::NotFound,
            verdict::ReadBack::Several => Answer::Several,
            verdict::ReadBack::CannotSay { why } => Answer::CannotSay { code: why.to_owned() },
        }
    }
}

/// By what the pack's messages name a document that was sent before, under these (resolved) settings.
fn names(pack: &Pack, settings: &Map<String, Value>) -> Names {
    if pack.names_by_record_id("note.withdraw", settings) {
        Names::RecordId
    } else if pack.keeps_document_id(settings) {
        Names::FirstId
    } else {
        Names::OwnId
    }
}

/// MESH is asked whether it has the message; the record it is for cannot be.
struct ByTracking;

impl ReadBack for ByTracking {
    fn request(&self, question: Question<'_>) -> Option<Vec<u8>> {
        let mut headers = Headers::default();
        headers.add("Accept", "application/json").ok()?;
        let target = format!("{TRACKING}{}", question.control_id);
        Some(Request::new(Method::Get, target, headers, Vec::new()).ok()?.to_bytes())
    }

    fn judge(&self, reply: &[u8], question: Question<'_>) -> Answer {
        verdict::tracked(reply, question.control_id)
    }
}

/// The setting that an endpoint's own key gives.
const DEFAULT_TEAM: &str = "default_team";

/// Everything that shapes the bytes or decides who gets them. When it changes, what was not yet seen is made anew, and what may have been
/// seen waits for a person.
fn fingerprint(endpoint: &Endpoint, pack: &Pack, settings: &Map<String, Value>) -> String {
    let mut shaping = settings.clone();
    // Said where the endpoint listens: as long as only what comes in goes by it, what goes out is the same whichever team it names.
    if let (false, Some(team)) = (pack.makes_by(DEFAULT_TEAM), shaping.get_mut(DEFAULT_TEAM)) {
        *team = pack.manifest.settings.get(DEFAULT_TEAM).and_then(|s| s.default.clone()).unwrap_or_default();
    }
    let mut hash = Sha256::new();
    for part in [
        pack.fingerprint(),
        &Value::Object(shaping).to_string(),
        &endpoint.transport.place(),
        &endpoint.control_id_prefix,
        &format!("{:?}", endpoint.environment),
    ] {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    format!("{}:{:x}", pack.pin(), hash.finalize())
}
