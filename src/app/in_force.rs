//! Which config of an endpoint is in force. Bridges over one PostgreSQL may read different ones, while a change is rolled out or because it never was
//! everywhere: then only those send that read what the last start brought.

use super::packs::{Keeper, Slot};
use super::serve::StartError;
use crate::config::{Endpoint, Transport, Trust};
use crate::domain::organisation::EndpointId;
use crate::domain::policy::Environment;
use crate::store::WriteError;
use crate::store::record::EndpointState;
use crate::store::write::PutInForce;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// A digest of all in config that decides where an endpoint's messages go, what they say, when they go again and what counts as filed. Not in it: the
/// pack, which the record holds itself; how fast and over which certificates; what comes in; and no secret, so that one may be renewed.
pub fn digest(endpoint: &Endpoint, trust: &Trust) -> String {
    let e = endpoint;
    let table = |table: &toml::Table| {
        let sorted: BTreeMap<&String, String> = table.iter().map(|(key, value)| (key, value.to_string())).collect();
        format!("{sorted:?}")
    };
    let headers: Vec<_> = match &e.transport {
        Transport::Https(https) => https.headers.iter().filter(|h| !h.is_secret).collect(),
        Transport::Mllp(_) | Transport::Mesh(_) | Transport::Folder(_) | Transport::Feed(_) => Vec::new(),
    };
    let headers: Vec<_> = headers.into_iter().map(|h| (h.name.to_ascii_lowercase(), h.value.expose())).collect();
    let staff: Vec<_> = trust.staff.at(&e.id).map(|(id, row)| (id.as_str(), &row.epr_id, &row.epr_name)).collect();
    let parts = [
        e.adapter.to_string(),
        format!("{} {}", trust.ods, trust.name),
        format!("{staff:?}"),
        e.transport.place(),
        format!("{headers:?} {:?}", e.same_record_as),
        format!("{:?} {:?} {:?} {:?}", e.environment, e.filed_by, e.acknowledged_by, e.ack_mode),
        format!("{:?} {} {} {:?}", e.after_unknown, e.max_unknown_resends, e.max_refused_retries, e.asks),
        format!("{} {} {}", e.require_verified_nhs_number, e.require_mapped_staff, e.max_text_chars),
        format!("{} {:?}", e.time_zone.iana_name().unwrap_or("UTC"), e.late_banner_after),
        e.control_id_prefix.clone(),
        table(&e.settings),
        table(&e.reply),
    ];
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    format!("{:x}", hash.finalize())
}

/// Endpoints that config calls live and the record knows as for tests, or the other way round: a sentence each.
pub fn other_environments<'a>(
    endpoints: impl Iterator<Item = &'a Endpoint>,
    states: &[EndpointState],
) -> Vec<(EndpointId, String)> {
    let other = |endpoint: &'a Endpoint| {
        let state = states.iter().find(|s| s.id == endpoint.id)?;
        let was = state.config.as_ref()?.environment.filter(|was| *was != endpoint.environment)?;
        let what = match was {
            Environment::Test => {
                "was for tests and config calls it live: what was written for tests and waits would go into the live record, and what the test record filed would be read as filed there"
            }
            Environment::Live => {
                "was live and config says that it is for tests: what was written for care would go into the test record, and be read as filed"
            }
        };
        let id = &endpoint.id;
        Some((
            id.clone(),
            format!(
                "endpoint {id} {what}. Put environment back; the other record needs an endpoint with an id of its own (list the one that ends in retired_endpoints), or a bridge with a store of its own"
            ),
        ))
    };
    endpoints.filter_map(other).collect()
}

impl Keeper {
    /// Before anything of this start is recorded: no endpoint that was used has become one of the other environment.
    pub async fn keeps_environments(&self) -> Result<(), StartError> {
        let ids: Vec<EndpointId> = self.slots.iter().map(|s| s.endpoint.id.clone()).collect();
        let states = self.store.endpoint_states(&ids).await?;
        let mut refused = Vec::new();
        for (id, why) in other_environments(self.slots.iter().map(|s| &s.endpoint), &states) {
            if self.store.has_deliveries(&id).await? {
                refused.push(why);
            }
        }
        if refused.is_empty() { Ok(()) } else { Err(StartError::all(refused)) }
    }

    /// What this start reads is in force from now on. Where it was before, nothing is written.
    pub async fn put_in_force(&self) -> Result<(), StartError> {
        let ids: Vec<EndpointId> = self.slots.iter().map(|s| s.endpoint.id.clone()).collect();
        let states = self.store.endpoint_states(&ids).await?;
        for slot in &self.slots {
            let before = states.iter().find(|s| s.id == slot.endpoint.id).and_then(|s| s.config.as_ref());
            if before.is_some_and(|config| config.digest == *slot.config) {
                continue;
            }
            let (trust, endpoint) = (slot.endpoint.trust.clone(), slot.endpoint.id.clone());
            let id = &slot.endpoint.id;
            let put =
                PutInForce { trust, endpoint, digest: slot.config.to_string(), environment: slot.endpoint.environment };
            let said = |e: WriteError| {
                let may_pass = matches!(&e, WriteError::Store(e) if e.may_pass());
                let what = format!("endpoint {id}: that its config is in force could not be recorded: {e}");
                StartError { may_pass, ..StartError::one(what) }
            };
            let now = self.store.put_in_force(put).await.map_err(said)?;
            if before.is_some() {
                tracing::warn!(endpoint = %id, number = now.number, "its config is another one than at the last start; bridges on this record that read the former one send nothing there before they are restarted with this one");
            }
        }
        Ok(())
    }
}

/// Whether this bridge may send, by what the record says; told once.
pub fn look(slot: &Slot, state: &EndpointState) {
    let other = state.config.as_ref().filter(|config| config.digest != *slot.config);
    slot.in_use.set_outdated(other.is_some());
    let why = other.map(|config| {
        format!(
            "a bridge on this record has started with another config of this endpoint (number {} here, since {}); restart this one with the same config",
            config.number, config.at
        )
    });
    if slot.outdated(why.clone()) {
        match why {
            Some(why) => tracing::error!(endpoint = %slot.endpoint.id, reason = %why, "nothing is sent by this bridge"),
            None => {
                tracing::info!(endpoint = %slot.endpoint.id, "its config is in force again; it is sent by this bridge, too")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Header, Https, HttpsAuth, Secret, Url};
    use crate::domain::policy::{AfterUnknown, FiledBy};
    use std::path::Path;
    use std::time::Duration;

    fn of(change: impl FnOnce(&mut Endpoint, &mut Trust)) -> String {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/example.toml");
        let config = Config::load(&example, []).expect("the example has no fault");
        let mut endpoint = config.endpoints.iter().find(|e| e.id.as_str() == "rz9-rio").expect("there").clone();
        let mut trust = config.trust(&endpoint.trust).expect("there").clone();
        change(&mut endpoint, &mut trust);
        digest(&endpoint, &trust)
    }

    fn https(e: &mut Endpoint, tenant: &str, key: &str) {
        let header = |name: &str, value: &str, is_secret| Header {
            name: name.into(),
            value: Secret::from(value.to_owned()),
            is_secret,
        };
        e.transport = Transport::Https(Https {
            base_url: Url("https://epr.example/fhir".into()),
            max_connections: 1,
            connect_timeout: Duration::from_secs(1),
            send_timeout: Duration::from_secs(1),
            reply_timeout: Duration::from_secs(1),
            max_body_bytes: 65_536,
            headers: vec![header("X-Tenant", tenant, false), header("X-Api-Key", key, true)],
            tls: None,
            auth: HttpsAuth::Nothing,
        });
    }

    #[test]
    fn whatever_decides_where_and_how_is_sent_makes_another_config() {
        let one = of(|_, _| {});
        let others = [
            of(|e, _| e.after_unknown = AfterUnknown::Park),
            of(|e, _| e.max_unknown_resends += 1),
            of(|e, _| e.filed_by = FiledBy::VendorReport),
            of(|e, _| e.require_mapped_staff = !e.require_mapped_staff),
            of(|e, _| e.control_id_prefix = "OTHR".into()),
            of(|e, _| drop(e.settings.insert("receiving_facility".into(), "ELSE".into()))),
            of(|e, _| drop(e.reply.insert("AE".into(), "retry".into()))),
            of(|e, _| e.same_record_as.push("elsewhere:2575".into())),
            of(|e, _| https(e, "north", "a key")),
            of(|e, _| https(e, "south", "a key")),
            of(|_, t| t.name.push_str(" NHS")),
            of(|_, t| t.staff = Default::default()),
        ];
        for (n, other) in others.iter().enumerate() {
            assert!(*other != one && !others[..n].contains(other), "change {n}");
        }
    }

    #[test]
    fn a_renewed_secret_or_another_pace_or_listener_is_the_same_config() {
        let one = of(|_, _| {});
        assert_eq!(of(|e, _| e.max_per_minute = Some(7)), one);
        assert_eq!(of(|e, _| (e.listen, e.lease) = (None, Duration::from_secs(999))), one);
        assert_eq!(of(|e, _| https(e, "north", "a key")), of(|e, _| https(e, "north", "a new key")));
    }
}
