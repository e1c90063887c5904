//! Invariant 13: nothing of a patient in logs, traces, metrics, errors or panics, at any level.
//!
//! Canaries, words that stand nowhere else, go through the whole machinery: accepted, refused, delivered, refused by the EPR, garbled and echoed by
//! it, received well and badly. Then all that was said is searched for every canary, in every form in which a careless line would print it.

use crate::support::bridge::{Bridge, Fresh, Tweaks, endpoint_id, patient, referral, trust};
use crate::support::far_end::{FarEnd, ack_text, control_id};
use crate::support::heard::{Lines, Spans, telemetry};
use crate::support::stores;
use ips_bridge::adapter::form;
use ips_bridge::app::metrics::{Metrics, Watched, WatchedEndpoint};
use ips_bridge::app::telemetry::{Guard, lines, log_panics, spans};
use ips_bridge::config::LogFormat;
use ips_bridge::domain::delivery::State;
use ips_bridge::domain::ids::{DeliveryId, PatientId, new_uuid};
use ips_bridge::domain::nhs_number::NhsNumber;
use ips_bridge::domain::note::{EmployerContact, EmployerContactPurpose, NoteKind, RiskDisclosed, WithdrawReason};
use ips_bridge::domain::outcome::{Employer, JobStart, OutcomeContent, OutcomeKind};
use ips_bridge::domain::person::{Address, Author, LocalIdentifier, PatientDetails, PersonName};
use ips_bridge::domain::referral::{DeclineReason, ExternalId, ReferralDetails};
use ips_bridge::domain::rule::Violations;
use ips_bridge::domain::text::Private;
use ips_bridge::inbound::receive;
use ips_bridge::store::read::{DeliveryFilter, Page, PatientBy, SubjectFilter};
use ips_bridge::store::record::InboundState;
use ips_bridge::store::write::{
    AnswerReferral, CorrectOutcome, Operate, Operation, ReferralAnswer, ReplaceNote, UpdatePatient, WithdrawNote,
    WithdrawOutcome,
};
use ips_bridge::store::{Limits, Scope};
use ips_bridge::transport::mllp::{Answer, Then};
use ips_bridge::wire::v1;
use ips_bridge::wire::v1::adapter_service_client::AdapterServiceClient;
use ips_bridge::wire::v1::delivery_service_client::DeliveryServiceClient;
use ips_bridge::wire::v1::inbound_service_client::InboundServiceClient;
use ips_bridge::wire::v1::outcome_service_client::OutcomeServiceClient;
use ips_bridge::wire::v1::patient_service_client::PatientServiceClient;
use ips_bridge::wire::v1::progress_note_service_client::ProgressNoteServiceClient;
use ips_bridge::wire::v1::referral_service_client::ReferralServiceClient;
use std::fmt::{Debug, Display};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic_types::StatusExt as _;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

mod calls;
mod machinery;
mod ways_in;

use calls::{exercise_api, exercise_full, exercise_panics, exercise_reads, exercise_reasons};
use machinery::{exercise_forms, exercise_inbound, exercise_outbox, exercise_writes, good, unhelpful};
use ways_in::{exercise_fhir, exercise_lookups, exercise_messages};

// Words that stand nowhere else, in the shape of what they stand for.
const FAMILY: &str = "Canaryfamily";
const GIVEN: &str = "Canarygiven";
const PREFIX: &str = "Canaryprefix";
const NHS: &str = "9990000042";
const OTHER_NHS: &str = "9990000050";
const WRONG_NHS: &str = "9990000059";
const BORN: &str = "1961-03-17";
const LOCAL: &str = "CNRY4711";
const STREET: &str = "12 Canarystreet";
const CITY: &str = "Canarycity";
const COUNTY: &str = "Canarycounty";
const POSTCODE: &str = "CN1 7YX";
const PHONE: &str = "07700900461";
const TEXT: &str = "canarytext of a note";
const PRESENT: &str = "Canarycompanion";
const TOLD: &str = "Canaryworker";
const EMPLOYER: &str = "Canaryemployer";
const POST: &str = "Canarypost";
const REMARK: &str = "canaryremark";
const WHY: &str = "canaryreason";
const EXPLAINED: &str = "canaryexplanation";
const REFERRER: &str = "Canaryreferrer";
const EXTERNAL: &str = "CNRYREF9";
const AUTHOR: &str = "Canaryauthor";
const CANARIES: &[&str] = &[
    FAMILY, GIVEN, PREFIX, NHS, OTHER_NHS, WRONG_NHS, BORN, LOCAL, STREET, CITY, COUNTY, POSTCODE, PHONE, TEXT,
    PRESENT, TOLD, EMPLOYER, POST, REMARK, WHY, EXPLAINED, REFERRER, EXTERNAL, AUTHOR,
];

/// A canary as careless code would print it: as it is, without its spaces or hyphens, as a list of byte values, in hexadecimal. In lower case.
fn forms(canary: &str) -> Vec<String> {
    let bytes = canary.as_bytes();
    let list = bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", ");
    let hex = bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let bare: String = canary.chars().filter(|c| c.is_alphanumeric()).collect();
    let mut forms = vec![canary.to_lowercase(), bare.to_lowercase(), list, hex];
    if bare.len() == 10 && bare.bytes().all(|b| b.is_ascii_digit()) {
        forms.push(format!("{} {} {}", &bare[..3], &bare[3..6], &bare[6..]));
    }
    forms
}

/// Each canary found, with what stands around it.
fn found_in(name: &str, said: &str) -> Vec<String> {
    let said = said.to_lowercase();
    let found = |form: String| {
        let at = said.find(&form)?;
        let around: String = said.chars().skip(said[..at].chars().count().saturating_sub(300)).take(600).collect();
        Some(format!("{name} says {form:?}: …{around}…"))
    };
    CANARIES.iter().flat_map(|c| forms(c)).filter_map(found).collect()
}

/// All that was said, by where it would be read.
struct Heard {
    /// As `telemetry::start` would have it under `RUST_LOG=trace`.
    json: Lines,
    text: Lines,
    /// Every crate, every level, nothing held back.
    everything: Lines,
    spans: Spans,
    /// Errors, and whatever else has a `Debug` that a line could print.
    said: Mutex<String>,
}

impl Heard {
    /// For the whole process: drivers and pools have threads of their own.
    fn start() -> (Self, Guard) {
        let heard = Self {
            json: Lines::default(),
            text: Lines::default(),
            everything: Lines::default(),
            spans: Spans::default(),
            said: Mutex::default(),
        };
        let config = telemetry(LogFormat::Json);
        let guard = Guard::exporting(&config, heard.spans.clone());
        Registry::default()
            .with(lines(&config, Some("trace"), heard.json.clone()).unwrap())
            .with(lines(&telemetry(LogFormat::Text), Some("trace"), heard.text.clone()).unwrap())
            .with(fmt::layer().with_writer(heard.everything.clone()).with_ansi(false).boxed())
            .with(spans(&config, &guard))
            .try_init()
            .expect("one canary test a process");
        (heard, guard)
    }

    fn debug(&self, what: &impl Debug) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push_str(&format!("{what:?}\n{what:#?}\n"));
    }

    /// The call must fail; what it says is kept.
    #[track_caller]
    fn refused<T: Debug, E: Debug + Display>(&self, result: Result<T, E>) {
        let e = result.expect_err("this must be refused");
        self.debug(&e);
        self.debug(&e.to_string());
    }

    fn broken(&self, broken: &Violations) {
        assert!(!broken.is_empty(), "this must break a rule");
        self.debug(broken);
    }

    fn everywhere(&self) -> Vec<(&'static str, String)> {
        vec![
            ("the JSON log", self.json.text()),
            ("the text log", self.text.text()),
            ("some crate at some level", self.everything.text()),
            ("a span", format!("{:?}", self.spans.all())),
            ("an error or a Debug", self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        ]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_patient_is_in_anything_that_an_operator_reads() {
    let (heard, guard) = Heard::start();
    for store in stores() {
        let tweaks = Tweaks {
            patient: canary_patient(NHS),
            referral: canary_referral(),
            author: canary_author(),
            // Not everything can be carried: that has an error of its own.
            settings: "charset = '8859/1'\nsend_address = true".parse().unwrap(),
            ..Tweaks::default()
        };
        let watched = WatchedEndpoint {
            id: endpoint_id(),
            evidence_overdue_after: Duration::from_secs(3600),
            listens: true,
            is_alone: Box::new(|| false),
        };
        let metrics = Arc::new(Metrics::new(
            Watched { endpoints: vec![watched], retired: Vec::new(), certificates: Vec::new() },
            tweaks.clock.clone(),
        ));
        let far_end = FarEnd::start(unhelpful).await;
        let bridge = Bridge::start(&store.url, far_end.addr(), Tweaks { watch: metrics.clone(), ..tweaks }).await;

        exercise_forms(&heard);
        exercise_writes(&bridge, &heard).await;
        exercise_outbox(&bridge, &far_end, &heard).await;
        exercise_inbound(&bridge, &heard).await;
        exercise_api(&bridge, &heard).await;
        exercise_reasons(&bridge, &heard).await;
        exercise_messages(&bridge, &heard).await;
        exercise_fhir(&bridge, &heard).await;
        exercise_lookups(&heard);
        exercise_panics();
        exercise_reads(&bridge, &heard).await;
        metrics.read(&bridge.store).await.unwrap();
        heard.debug(&metrics.text());
        bridge.stop().await;
        exercise_full(&store.url, &heard).await;
    }
    guard.shutdown().await;

    // The search would find what is there: each log has the end of a delivery in it.
    assert!(heard.json.text().contains("\"message\":\"settled\""));
    assert!(heard.text.text().contains("settled") && heard.text.text().contains("seeing_canary/"));
    for heard_too in ["DEBUG sqlx::query", "TRACE h2::", "WriteProgressNote"] {
        assert!(heard.everything.text().contains(heard_too), "{heard_too} was not heard");
    }
    assert!(heard.spans.all().iter().any(|s| s.name == "deliver"));
    let found: Vec<String> = heard.everywhere().iter().flat_map(|(name, said)| found_in(name, said)).collect();
    assert!(
        found.is_empty(),
        "{} canaries, the first of them:\n{}",
        found.len(),
        found[..found.len().min(12)].join("\n\n")
    );
}

async fn newest(bridge: &Bridge) -> DeliveryId {
    let page = Page { size: 1, after: None };
    bridge.store.deliveries(&Scope::system(), &DeliveryFilter::default(), page).await.unwrap()[0].id
}

fn canary_patient(nhs_number: &str) -> PatientDetails {
    canary_patient_with(nhs_number, LOCAL)
}

fn canary_patient_with(nhs_number: &str, local: &str) -> PatientDetails {
    let private = |text: &str| Private(text.to_owned());
    PatientDetails {
        nhs_number: Some(NhsNumber::parse(nhs_number).unwrap()),
        local_identifiers: vec![LocalIdentifier {
            assigning_authority: "RZ9".into(),
            value: private(local),
            kind: "MR".into(),
        }],
        name: PersonName { family: private(FAMILY), given: private(GIVEN), prefix: Some(private(PREFIX)) },
        date_of_birth: Private(BORN.parse().unwrap()),
        address: Some(Address {
            lines: vec![private(STREET)],
            city: Some(private(CITY)),
            county: Some(private(COUNTY)),
            postcode: Some(private(POSTCODE)),
        }),
        phone: Some(private(PHONE)),
        ..patient()
    }
}

fn canary_referral() -> ReferralDetails {
    ReferralDetails {
        external_ids: vec![ExternalId { system: "EPR".into(), value: Private(EXTERNAL.into()) }],
        referrer_name: Private(REFERRER.into()),
        reason: Some(Private(WHY.into())),
        ..referral()
    }
}

fn canary_author() -> Author {
    Author { display_name: Private(AUTHOR.into()), ..crate::support::bridge::author() }
}

fn employer_contact() -> NoteKind {
    NoteKind::EmployerContact(EmployerContact {
        purpose: EmployerContactPurpose::JobDevelopment,
        employer_name: Private(EMPLOYER.into()),
        share_in_record: true,
        face_to_face: true,
        in_clients_name: true,
        client_present: true,
    })
}

fn canary_job(bridge: &Bridge) -> OutcomeContent {
    let employer = Employer { name: Private(EMPLOYER.into()), post: Private(POST.into()), share_in_record: true };
    let started_on = bridge.now().to_zoned(jiff::tz::TimeZone::UTC).date().yesterday().unwrap();
    let job = JobStart {
        employer,
        started_on,
        four_paid_hours_on: None,
        competitive: true,
        fixed_term_ends_on: None,
        weekly_minutes: 960,
        self_employed: false,
        variable_hours: false,
    };
    OutcomeContent { remark: Some(Private(REMARK.into())), kind: OutcomeKind::JobStart(job) }
}

/// The search itself can find: whatever is planted, wherever it is planted, in each form.
#[test]
fn a_canary_that_is_planted_is_found() {
    for canary in CANARIES {
        let kept = Lines::default();
        let config = telemetry(LogFormat::Json);
        let subscriber = Registry::default()
            .with(lines(&config, Some("trace"), kept.clone()).unwrap())
            .with(fmt::layer().with_writer(kept.clone()).with_ansi(false).boxed());
        let planted: [&dyn Fn(); 5] = [
            &|| tracing::trace!(target: "ips_bridge::store", "a row of {canary}"),
            &|| tracing::info!(target: "ips_bridge", patient = canary, "a field"),
            &|| tracing::trace!(target: "h2", bytes = ?canary.as_bytes(), "a frame"),
            &|| tracing::error!(target: "ips_bridge", error = %canary.to_uppercase(), "an error"),
            &|| {
                tracing::info_span!(target: "ips_bridge", "a span", patient = canary)
                    .in_scope(|| tracing::info!(target: "ips_bridge", "inside"))
            },
        ];
        tracing::subscriber::with_default(subscriber, || {
            for (n, plant) in planted.iter().enumerate() {
                let before = kept.text().len();
                plant();
                let said = kept.text().split_off(before);
                assert!(!found_in("a log", &said).is_empty(), "{canary} planted as number {n} was not found in {said}");
            }
        });
        assert!(!found_in("an error", &format!("{:?}", canary.as_bytes())).is_empty());
    }
    assert!(found_in("a log", "an ordinary line about endpoint rz9-epr").is_empty());
}
