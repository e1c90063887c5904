//! What Prometheus reads: names of endpoints and numbers, never a person.
//!
//! What the outbox does is counted as it happens. What the store knows is read every few seconds by [`keep_fresh`], never by a scrape: a
//! store that is slow, or away, cannot hold one up. Ages are reckoned at the scrape from what was read last, so that they go on growing
//! meanwhile, and `ips_bridge_store_stale` says that they do. How writing goes the writer itself keeps.

mod instruments;
mod readings;
mod serve;

pub use readings::keep_fresh;
pub use serve::serve;

use super::telemetry;
use crate::domain::ambient::Clock;
use crate::domain::organisation::EndpointId;
use crate::outbox;
use crate::store::Trouble;
use crate::store::record::{EndpointState, Gate, InboundState};
use crate::transport::tls::{CertificateFacts, CertificateRole};
use instruments::Instruments;
use jiff::Timestamp;
use prometheus::IntCounter;
use readings::{Reading, Readings};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Readings older than this are stale: five rounds have failed.
pub const STALE_AFTER: Duration = Duration::from_secs(60);

/// What is watched, from config.
#[derive(Default)]
pub struct Watched {
    pub endpoints: Vec<WatchedEndpoint>,
    /// What still is for them may call for a person.
    pub retired: Vec<EndpointId>,
    pub certificates: Vec<WatchedCertificate>,
}

/// One endpoint.
pub struct WatchedEndpoint {
    pub id: EndpointId,
    pub evidence_overdue_after: Duration,
    /// It sends to us: its silence is counted.
    pub listens: bool,
    /// It pulls from us, and has no stream open now: nothing goes, as if it were closed.
    pub is_alone: Box<dyn Fn() -> bool + Send + Sync>,
}

/// The certificates of one section of config.
pub struct WatchedCertificate {
    /// The section, e.g. `server.tls` or `endpoint.rz9-rio.mllp.tls`: what an operator looks for to renew it.
    pub name: String,
    /// As they are now: they can be reloaded.
    pub facts: Box<dyn Fn() -> Vec<CertificateFacts> + Send + Sync>,
}

/// Every measure of the process. Share it in an [`Arc`].
pub struct Metrics {
    instruments: Instruments,
    watched: Watched,
    clock: Arc<dyn Clock>,
    started_at: Timestamp,
    readings: Mutex<Readings>,
}

impl Metrics {
    /// Nothing is read from a store yet.
    pub fn new(watched: Watched, clock: Arc<dyn Clock>) -> Self {
        let instruments = Instruments::new();
        for endpoint in &watched.endpoints {
            instruments.know(endpoint);
        }
        watched.retired.iter().for_each(|id| instruments.know_retired(id));
        let started_at = clock.now();
        Self { instruments, watched, clock, started_at, readings: Mutex::new(Readings::none(started_at)) }
    }

    /// The text a scrape gets. Asks nobody and waits for nobody.
    pub fn text(&self) -> String {
        let now = self.clock.now();
        {
            let readings = self.readings();
            let i = &self.instruments;
            i.store_read_age.set(seconds(readings.read_at.unwrap_or(self.started_at), now));
            i.store_stale.set(i64::from(readings.is_stale(now)));
            i.open_deliveries.set(readings.open_deliveries);
            if let Some(writing) = &readings.writing {
                raise(&i.store_write_failures, writing.failures());
                i.store_write_age
                    .set(writing.in_hand(self.clock.steady()).map_or(0.0, |age| age.as_secs_f64().max(0.0)));
            }
            raise(&i.log_lines_lost, telemetry::lines_lost());
            for endpoint in &self.watched.endpoints {
                if let Some(reading) = readings.endpoints.get(&endpoint.id) {
                    self.show(endpoint, reading, now);
                }
            }
        }
        self.show_certificates(now);
        self.instruments.text()
    }

    /// Whether what is shown of the store was read lately.
    pub fn is_fresh(&self) -> bool {
        !self.readings().is_stale(self.clock.now())
    }

    /// Why the bridge cannot do its work now, in words; `None`: it can, as far as it knows.
    pub fn trouble(&self) -> Option<&'static str> {
        let now = self.clock.now();
        let readings = self.readings();
        if readings.is_stale(now) {
            return Some("the store could not be read lately");
        }
        readings.writing.as_ref()?.trouble(self.clock.steady()).map(Trouble::sentence)
    }

    fn show(&self, endpoint: &WatchedEndpoint, reading: &Reading, now: Timestamp) {
        let i = &self.instruments;
        let id = endpoint.id.as_str();
        let counts = &reading.counts;
        i.oldest_unfiled_age
            .with_label_values(&[id])
            .set(counts.oldest_unfiled.map_or(0.0, |oldest| seconds(oldest, now)));
        for (state, count) in [
            ("queued", counts.queued),
            ("sending", counts.sending),
            ("backing_off", counts.backing_off),
            ("accepted", counts.accepted),
            ("parked", counts.parked),
        ] {
            i.deliveries.with_label_values(&[id, state]).set(count);
        }
        i.evidence_overdue.with_label_values(&[id]).set(counts.overdue);
        let EndpointState { gate, paused, .. } = &reading.state;
        let gate = if (endpoint.is_alone)() { &Gate::Closed } else { gate };
        for (word, is) in [("open", Gate::Open), ("probing", Gate::Probing), ("closed", Gate::Closed)] {
            i.gate.with_label_values(&[id, word]).set(i64::from(*gate == is));
        }
        i.paused.with_label_values(&[id]).set(i64::from(paused.is_some()));
        if endpoint.listens {
            // Before the first message: since we began to listen.
            let heard = reading.last_inbound.unwrap_or(self.started_at);
            i.inbound_silence.with_label_values(&[id]).set(seconds(heard, now));
        }
    }

    /// The first to expire of each role in each section.
    fn show_certificates(&self, now: Timestamp) {
        for certificate in &self.watched.certificates {
            let mut first: BTreeMap<&'static str, Timestamp> = BTreeMap::new();
            for facts in (certificate.facts)() {
                let until = first.entry(role(facts.role)).or_insert(facts.not_after);
                *until = facts.not_after.min(*until);
            }
            for (role, until) in first {
                self.instruments
                    .certificate_days_left
                    .with_label_values(&[role, &certificate.name])
                    .set(days(now, until));
            }
        }
    }

    fn readings(&self) -> MutexGuard<'_, Readings> {
        self.readings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl outbox::Watch for Metrics {
    fn asked(&self, endpoint: &str, answer: &'static str) {
        self.instruments.asks.with_label_values(&[endpoint, answer]).inc();
    }

    fn attempt(&self, endpoint: &str, verdict: &'static str, took: Duration) {
        self.instruments.attempts.with_label_values(&[endpoint, verdict]).inc();
        self.instruments.attempt_seconds.with_label_values(&[endpoint]).observe(took.as_secs_f64());
    }

    fn filed(&self, endpoint: &str, after: Duration) {
        self.instruments.accepted_to_filed.with_label_values(&[endpoint]).observe(after.as_secs_f64());
    }
}

/// To what somebody else has counted.
fn raise(counter: &IntCounter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}

/// Lower case, as labels are.
fn inbound_word(state: InboundState) -> &'static str {
    match state {
        InboundState::Received => "received",
        InboundState::Applied => "applied",
        InboundState::Ignored => "ignored",
        InboundState::Parked => "parked",
    }
}

fn role(role: CertificateRole) -> &'static str {
    match role {
        CertificateRole::Own => "own",
        CertificateRole::Intermediate => "intermediate",
        CertificateRole::Root => "root",
        CertificateRole::Peer => "peer",
    }
}

/// From one instant to a later one; a clock that was set back gives 0.
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

/// Negative once it is over.
fn days(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64() / 86_400.0
}
