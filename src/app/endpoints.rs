//! Config and pack of an endpoint, brought together and held against each other.

use super::tls;
use crate::adapter::compose::Site;
use crate::adapter::{Format, Pack, Packs, RenderOptions, ReplyRules, Status};
use crate::config::{Config, Endpoint, Transport, Trust};
use crate::domain::policy::{EndpointPolicy, Environment};
use crate::transport::Stray;
use crate::transport::mllp::{ClientSettings, Pool};
use crate::transport::tls::CertificateFacts;
use crate::wire::v1;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// An endpoint that can be served.
pub struct Ready {
    pub config: Endpoint,
    pub policy: Arc<EndpointPolicy>,
    pub pack: Arc<Pack>,
    /// The pack's settings, defaults filled in.
    pub settings: Map<String, Value>,
    pub reply_rules: ReplyRules,
    pub site: Site,
    pub options: RenderOptions,
    pub pool: Pool,
    pub strays: mpsc::Receiver<Stray>,
    pub has_tls: bool,
    pub certificates: Vec<CertificateFacts>,
}

/// Every endpoint of config, or everything that is wrong with them, one sentence each.
pub fn ready(config: &Config, packs: &Packs) -> Result<Vec<Ready>, Vec<String>> {
    let mut faults = Vec::new();
    let mut endpoints = Vec::new();
    for endpoint in &config.endpoints {
        let Some(trust) = config.trust(&endpoint.trust) else { continue };
        match one(endpoint, trust, packs) {
            Ok(ready) => endpoints.push(ready),
            Err(list) => faults.extend(list.into_iter().map(|f| format!("endpoint {}: {f}", endpoint.id))),
        }
    }
    if faults.is_empty() { Ok(endpoints) } else { Err(faults) }
}

fn one(endpoint: &Endpoint, trust: &Trust, packs: &Packs) -> Result<Ready, Vec<String>> {
    let pin = match &endpoint.pack_version {
        Some(version) => format!("{}@{version}", endpoint.adapter),
        None => endpoint.adapter.to_string(),
    };
    let pack = packs.pinned(&pin).map_err(|f| vec![f.to_string()])?.clone();
    let said = |faults: Vec<crate::adapter::Fault>| faults.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut faults = Vec::new();
    let mut given = endpoint.settings.clone();
    let default_team = endpoint.listen.as_ref().and_then(|l| l.default_team.as_ref());
    if let Some(team) = default_team.filter(|_| pack.manifest.settings.get("default_team").is_some()) {
        given.entry("default_team").or_insert_with(|| toml::Value::String(team.to_string()));
    }
    let settings = pack.settings(&given).map_err(|f| faults.extend(said(f))).unwrap_or_default();
    let reply_rules = pack.reply_rules(&endpoint.reply).map_err(|f| faults.extend(said(f)));
    if endpoint.environment == Environment::Live && pack.manifest.status == Status::Draft {
        faults.push(format!("the pack {} is a draft; a live endpoint needs one that is tested or live", pack.pin()));
    }
    let carries = match &endpoint.transport {
        Transport::Mllp(_) => Format::Hl7v2,
    };
    if pack.format() != carries {
        let (is, can) = (pack.format().name(), carries.name());
        faults.push(format!(
            "the pack {} is of format {is}, and the endpoint's transport carries {can}; name another pack",
            pack.pin()
        ));
    }
    let pool = pool(endpoint).map_err(|e| faults.push(e));
    let (Ok(reply_rules), Ok((pool, strays, certificates)), true) = (reply_rules, pool, faults.is_empty()) else {
        return Err(faults);
    };
    let zone = |tz: &jiff::tz::TimeZone| tz.iana_name().unwrap_or("UTC").to_owned();
    let site = Site {
        trust: v1::Trust { ods: trust.ods.to_string(), name: trust.name.clone(), time_zone: zone(&endpoint.time_zone) },
        time_zone: endpoint.time_zone.clone(),
        settings: settings.clone(),
        environment: endpoint.environment,
        late_after: endpoint.late_banner_after,
        in_place: pack.keeps_document_id(&settings),
    };
    let options = RenderOptions {
        max_text_chars: Some(endpoint.max_text_chars),
        require_mapped_staff: endpoint.require_mapped_staff,
        max_message_bytes: Some(frame_limit(endpoint)),
    };
    let fingerprint = fingerprint(endpoint, &pack, &settings);
    let policy = Arc::new(endpoint.policy(fingerprint, pack.keeps_document_id(&settings)));
    Ok(Ready {
        config: endpoint.clone(),
        policy,
        pack,
        settings,
        reply_rules,
        site,
        options,
        pool,
        strays,
        has_tls: has_tls(endpoint),
        certificates,
    })
}

/// Everything that shapes the bytes or decides who gets them. When it changes, what was not yet seen is made anew, and what may have been
/// seen waits for a person.
fn fingerprint(endpoint: &Endpoint, pack: &Pack, settings: &Map<String, Value>) -> String {
    let Transport::Mllp(mllp) = &endpoint.transport;
    let mut hash = Sha256::new();
    for part in [
        pack.fingerprint(),
        &Value::Object(settings.clone()).to_string(),
        &mllp.address.to_string(),
        &endpoint.control_id_prefix,
        &format!("{:?}", endpoint.environment),
    ] {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    format!("{}:{:x}", pack.pin(), hash.finalize())
}

fn has_tls(endpoint: &Endpoint) -> bool {
    let Transport::Mllp(mllp) = &endpoint.transport;
    mllp.tls.is_some()
}

fn frame_limit(endpoint: &Endpoint) -> usize {
    let Transport::Mllp(mllp) = &endpoint.transport;
    mllp.max_frame_bytes
}

/// Idle connections are closed after this; engines on the other side close theirs sooner or later anyway.
const IDLE: Duration = Duration::from_secs(300);

fn pool(endpoint: &Endpoint) -> Result<(Pool, mpsc::Receiver<Stray>, Vec<CertificateFacts>), String> {
    let Transport::Mllp(mllp) = &endpoint.transport;
    let tls = mllp.tls.as_ref().map(tls::client).transpose().map_err(|e| format!("TLS: {e}"))?;
    let certificates = tls.as_ref().map(|t| t.certificates()).unwrap_or_default();
    let settings = ClientSettings {
        address: mllp.address.to_string(),
        tls,
        max_connections: mllp.max_connections as usize,
        connect_timeout: mllp.connect_timeout,
        send_timeout: mllp.send_timeout,
        reply_timeout: mllp.reply_timeout,
        idle_timeout: IDLE,
        max_frame_bytes: mllp.max_frame_bytes,
        late_replies_on_connection: mllp.late_replies_on_connection,
    };
    let (strays, strays_in) = mpsc::channel(64);
    Ok((Pool::new(settings, strays), strays_in, certificates))
}
