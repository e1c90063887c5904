//! The measures themselves: names, help and buckets.

use super::{WatchedEndpoint, inbound_word};
use crate::domain::organisation::EndpointId;
use crate::store::ALARMS;
use crate::store::record::InboundState;
use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// Everything `outbox::Watch::attempt` is told.
const VERDICTS: &[&str] = &["positive", "refused", "retry", "unknown", "not_sent", "held"];
/// Everything `outbox::Watch::asked` is told.
const ANSWERS: &[&str] = &["found", "received", "not_delivered", "not_found", "unclear", "unheard"];
pub const INBOUND_STATES: &[InboundState] =
    &[InboundState::Received, InboundState::Applied, InboundState::Ignored, InboundState::Parked];

/// From a local receiver to one that is slow to answer, in seconds.
const ATTEMPT_SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];
/// From at once to an EPR that was away for weeks, in seconds.
const FILED_SECONDS: &[f64] = &[
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    900.0,
    3_600.0,
    14_400.0,
    86_400.0,
    604_800.0,
    2_419_200.0,
];

pub struct Instruments {
    registry: Registry,
    pub attempts: IntCounterVec,
    pub asks: IntCounterVec,
    pub attempt_seconds: HistogramVec,
    pub accepted_to_filed: HistogramVec,
    pub oldest_unfiled_age: GaugeVec,
    pub deliveries: IntGaugeVec,
    pub open_deliveries: IntGauge,
    pub evidence_overdue: IntGaugeVec,
    pub alarms: IntCounterVec,
    pub gate: IntGaugeVec,
    pub paused: IntGaugeVec,
    pub inbound: IntCounterVec,
    pub inbound_silence: GaugeVec,
    pub certificate_days_left: GaugeVec,
    pub store_read_age: Gauge,
    pub store_stale: IntGauge,
    pub store_read_failures: IntCounter,
    pub store_write_failures: IntCounter,
    pub store_write_age: Gauge,
    pub refusing: IntGaugeVec,
    pub log_lines_lost: IntCounter,
}

/// A name and help of ours are fixed here, so none of them can be wrong or there twice.
const FIXED: &str = "names, help and labels are written here, each once";

impl Instruments {
    pub fn new() -> Self {
        let r = Registry::new();
        let build = int_gauges(&r, "build_info", "Always 1; the label says which version runs.", &["version"]);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Self {
            attempts: kept(
                &r,
                IntCounterVec::new(
                    opts("attempts_total", "Tries to deliver, by what came of them."),
                    &["endpoint", "verdict"],
                ),
            ),
            asks: kept(
                &r,
                IntCounterVec::new(
                    opts("asks_total", "Questions to the record whether it holds an entry, by its answer."),
                    &["endpoint", "answer"],
                ),
            ),
            attempt_seconds: histograms(
                &r,
                "attempt_seconds",
                "From taking a delivery up to knowing what came of it.",
                ATTEMPT_SECONDS,
            ),
            accepted_to_filed: histograms(
                &r,
                "accepted_to_filed_seconds",
                "From the caller's OK to the evidence that files.",
                FILED_SECONDS,
            ),
            oldest_unfiled_age: gauges(
                &r,
                "oldest_unfiled_age_seconds",
                "Age of the oldest delivery neither filed nor cancelled; 0 when there is none. The one to alert on.",
                &["endpoint"],
            ),
            deliveries: int_gauges(
                &r,
                "deliveries",
                "Deliveries neither filed nor cancelled, by state.",
                &["endpoint", "state"],
            ),
            open_deliveries: kept(
                &r,
                IntGauge::with_opts(opts(
                    "open_deliveries",
                    "Deliveries neither filed nor cancelled, over all endpoints.",
                )),
            ),
            evidence_overdue: int_gauges(
                &r,
                "evidence_overdue",
                "Deliveries received by the trust that wait too long for the evidence that files.",
                &["endpoint"],
            ),
            gate: int_gauges(
                &r,
                "endpoint_gate",
                "1 for the gate's state: open, probing or closed.",
                &["endpoint", "gate"],
            ),
            paused: int_gauges(&r, "endpoint_paused", "1 while a person has paused the endpoint.", &["endpoint"]),
            inbound: kept(
                &r,
                IntCounterVec::new(
                    opts("inbound_messages_total", "Messages from the EPR since the start, by what became of them."),
                    &["endpoint", "state"],
                ),
            ),
            alarms: kept(
                &r,
                IntCounterVec::new(
                    opts(
                        "alarms_total",
                        "What a person had to be called for since the start, by kind; the log names the delivery.",
                    ),
                    &["endpoint", "kind"],
                ),
            ),
            inbound_silence: gauges(
                &r,
                "inbound_silence_seconds",
                "Since the EPR's last message, or since the start if none ever came.",
                &["endpoint"],
            ),
            certificate_days_left: gauges(
                &r,
                "certificate_days_left",
                "Days until the first certificate of this role in this section of config expires.",
                &["role", "name"],
            ),
            store_read_age: kept(
                &r,
                Gauge::with_opts(opts("store_read_age_seconds", "Since the measures of the store were read last.")),
            ),
            store_stale: kept(
                &r,
                IntGauge::with_opts(opts(
                    "store_stale",
                    "1 when the measures of the store are too old to be relied on.",
                )),
            ),
            store_read_failures: kept(
                &r,
                IntCounter::with_opts(opts(
                    "store_read_failures_total",
                    "Times the store could not be read for its measures.",
                )),
            ),
            store_write_failures: kept(
                &r,
                IntCounter::with_opts(opts(
                    "store_write_failures_total",
                    "Times something could not be written to the store since the start.",
                )),
            ),
            store_write_age: kept(
                &r,
                Gauge::with_opts(opts(
                    "store_write_age_seconds",
                    "How long what is being written to the store has been in hand; 0 when nothing is.",
                )),
            ),
            refusing: int_gauges(
                &r,
                "refusing",
                "1 while new notes are refused for want of room, by where: the store's disk, all open deliveries (queue), or those of an endpoint.",
                &["why"],
            ),
            log_lines_lost: kept(
                &r,
                IntCounter::with_opts(opts(
                    "log_lines_lost_total",
                    "Log lines since the start that nobody took in time.",
                )),
            ),
            registry: r,
        }
    }

    /// Every series of an endpoint is there from the start: a rate over a series that appears with its first event misses that event.
    pub fn know(&self, endpoint: &WatchedEndpoint) {
        let id = endpoint.id.as_str();
        for verdict in VERDICTS {
            self.attempts.with_label_values(&[id, *verdict]);
        }
        for answer in ANSWERS {
            self.asks.with_label_values(&[id, *answer]);
        }
        self.know_retired(&endpoint.id);
        self.attempt_seconds.with_label_values(&[id]);
        self.accepted_to_filed.with_label_values(&[id]);
        if endpoint.listens {
            for state in INBOUND_STATES {
                self.inbound.with_label_values(&[id, inbound_word(*state)]);
            }
        }
    }

    /// Alarms alone.
    pub fn know_retired(&self, id: &EndpointId) {
        for kind in ALARMS {
            self.alarms.with_label_values(&[id.as_str(), *kind]);
        }
    }

    pub fn text(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("ips_bridge_{name}"), help)
}

fn kept<C: Collector + Clone + 'static>(registry: &Registry, made: prometheus::Result<C>) -> C {
    let made = made.expect(FIXED);
    registry.register(Box::new(made.clone())).expect(FIXED);
    made
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
    kept(registry, GaugeVec::new(opts(name, help), labels))
}

fn int_gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    kept(registry, IntGaugeVec::new(opts(name, help), labels))
}

fn histograms(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> HistogramVec {
    let opts = HistogramOpts::from(opts(name, help)).buckets(buckets.to_vec());
    kept(registry, HistogramVec::new(opts, &["endpoint"]))
}
