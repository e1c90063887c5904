//! Invariant 13: nothing of a patient in logs, traces, metrics, errors or panics, at any level.
//!
//! Canaries, words that stand nowhere else, go through the whole machinery: accepted, refused, delivered, refused by the EPR, garbled and echoed by
//! it, received well and badly. Then all that was said is searched for every canary, in every form in which a careless line would print it.

use super::support::bridge::{Bridge, Fresh, Tweaks, endpoint_id, patient, referral, trust};
use super::support::far_end::{FarEnd, ack_text, control_id};
use super::support::heard::{Lines, Spans, telemetry};
use super::support::stores;
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
use ips_bridge::wire::v1::outcome_service_client::OutcomeServiceClient;
use ips_bridge::wire::v1::patient_service_client::PatientServiceClient;
use ips_bridge::wire::v1::progress_note_service_client::ProgressNoteServiceClient;
use ips_bridge::wire::v1::referral_service_client::ReferralServiceClient;
use std::fmt::{Debug, Display};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

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
        let watched =
            WatchedEndpoint { id: endpoint_id(), evidence_overdue_after: Duration::from_secs(3600), listens: true };
        let metrics = Arc::new(Metrics::new(
            Watched { endpoints: vec![watched], certificates: Vec::new() },
            tweaks.clock.clone(),
        ));
        let far_end = FarEnd::start(unhelpful).await;
        let bridge = Bridge::start(&store.url, far_end.addr(), Tweaks { watch: metrics.clone(), ..tweaks }).await;

        exercise_forms(&heard);
        exercise_writes(&bridge, &heard).await;
        exercise_outbox(&bridge, &far_end, &heard).await;
        exercise_inbound(&bridge, &heard).await;
        exercise_api(&bridge, &heard).await;
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
    assert!(heard.text.text().contains("settled") && heard.text.text().contains("seeing_canary.rs:"));
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

/// Fields that break their rules, as a caller of the API would send them.
fn exercise_forms(heard: &Heard) {
    let today = "2026-03-02".parse().unwrap();
    let name = |family: &str| v1::PersonName {
        family: family.into(),
        given: format!("{GIVEN}\u{7}"),
        prefix: Some("x".repeat(200) + PREFIX),
    };
    let details = v1::PatientDetails {
        nhs_number: Some(WRONG_NHS.into()),
        name: Some(name(&FAMILY.repeat(50))),
        date_of_birth: format!("{BORN} or so"),
        gender: 99,
        address: Some(v1::Address {
            lines: vec![STREET.repeat(100)],
            postcode: Some(format!("{POSTCODE}\n")),
            ..Default::default()
        }),
        phone: Some(PHONE.repeat(30)),
        local_identifiers: vec![v1::LocalIdentifier { value: format!("{LOCAL} {LOCAL}"), ..Default::default() }],
        ..Default::default()
    };
    let mut broken = Violations::default();
    assert!(form::patient::read_and_check(&details, "details", today, &mut broken).is_none());
    let author = v1::Author {
        staff_id: format!("{AUTHOR} with a space"),
        display_name: AUTHOR.repeat(50),
        organisation_ods: AUTHOR.into(),
        ..Default::default()
    };
    assert!(form::person::read_author(&author, "author", &mut broken).is_none());
    let expected = v1::ExpectedPatient {
        nhs_number: WRONG_NHS.into(),
        date_of_birth: BORN.replace('-', "/"),
        family_name: FAMILY.repeat(50),
    };
    assert!(form::person::read_expected_patient(&expected, "expected_patient", &mut broken).is_none());
    let content = v1::NoteContent { text: format!("{TEXT}\u{b}"), ..Default::default() };
    assert!(form::note::read(&content, "content", &mut broken).is_none());
    assert!(
        form::referral::read(
            &v1::ReferralDetails { team: REFERRER.repeat(9), referrer_name: REFERRER.repeat(99), ..Default::default() },
            "details",
            &mut broken
        )
        .is_none()
    );
    assert!(form::request::request_id(TEXT, &mut broken).is_none());
    assert!(form::request::day(BORN, "from", &mut Violations::default()).is_some());
    assert!(form::request::id::<PatientId>(LOCAL, "patient_id", &mut broken).is_none());
    heard.broken(&broken);
    heard.refused(NhsNumber::parse(WRONG_NHS));
    heard.refused(serde_json::from_str::<NhsNumber>(&format!("\"{WRONG_NHS}\"")));
}

/// Writes of every kind that the rules do not allow.
async fn exercise_writes(bridge: &Bridge, heard: &Heard) {
    let mut wrong = bridge.note(TEXT);
    wrong.expected.nhs_number = Some(NhsNumber::parse(OTHER_NHS).unwrap());
    heard.refused(bridge.try_write(wrong).await);
    let mut unapproached = bridge.note(TEXT);
    unapproached.content.kind = employer_contact();
    heard.refused(bridge.try_write(unapproached).await);

    let note = bridge.note(TEXT);
    let again = bridge.note(&format!("{TEXT}, again"));
    let (request, other) = (note.call.request.clone(), again.call.request.clone());
    let written = bridge.try_write(note).await.unwrap();
    let mut reused = again;
    reused.call.request.key = request.key;
    reused.call.request.content = other.content;
    heard.refused(bridge.try_write(reused).await);

    // The same external id; the same numbers under another name; a number that another patient has.
    let mut unlike = canary_patient(NHS);
    unlike.name.family = Private(format!("{FAMILY}son"));
    heard.refused(bridge.create_referral(unlike, referral()).await);
    heard.refused(bridge.create_referral(canary_patient(NHS), canary_referral()).await);
    let other = bridge.create_referral(canary_patient_with(OTHER_NHS, "CNRY4712"), referral()).await.unwrap();
    let other = bridge.store.referral(&Scope::system(), other).await.unwrap().unwrap();
    let taken = UpdatePatient {
        call: bridge.call(),
        patient_id: other.patient_id,
        version_seen: 1,
        details: canary_patient(NHS),
        reason: WHY.into(),
    };
    heard.refused(bridge.store.update_patient(taken).await);
    let mut stale = bridge.call();
    stale.request.key[0] ^= 1;
    let stale = UpdatePatient {
        call: stale,
        patient_id: other.patient_id,
        version_seen: 7,
        details: canary_patient(OTHER_NHS),
        reason: WHY.into(),
    };
    heard.refused(bridge.store.update_patient(stale).await);

    let declined = ReferralAnswer::Decline { reason: DeclineReason::Incomplete, text: Some(Private(WHY.into())) };
    let decline =
        AnswerReferral { call: bridge.call(), referral_id: other.id, author: canary_author(), answer: declined };
    heard.debug(&bridge.store.answer_referral(decline).await.unwrap());
    heard.refused(bridge.accept_referral(other.id).await);
    let mut late = bridge.note(TEXT);
    late.referral_id = other.id;
    late.expected.nhs_number = Some(NhsNumber::parse(OTHER_NHS).unwrap());
    heard.refused(bridge.try_write(late).await);
    heard.debug(&written);
}

/// The EPR's answers, by the order of the messages it gets. What can be echoed is echoed.
fn unhelpful(number: usize, message: &str) -> Answer {
    let id = control_id(message);
    let spoken = format!("{FAMILY} {NHS} {TEXT}");
    let frame = |code: &str, more: String| Answer::frame(ack_text(&id, code, &spoken, &more).into_bytes());
    match number {
        // Not now, with every field of ERR in use.
        0 => frame(
            "AE",
            format!("ERR|PID^1^5^207&{FAMILY}|PID^1^{FAMILY}|207^{FAMILY}^{TEXT}|E|{LOCAL}|{GIVEN}|{TEXT}|{spoken}\r"),
        ),
        1 => frame("AE", String::new()),
        // To somebody else's message, named after the patient.
        2 => Answer::frame(ack_text(FAMILY, "AA", &spoken, "").into_bytes()),
        // No reply at all: the message itself, plain words, bytes outside any frame, half a frame.
        3 => Answer::frame(message.as_bytes().to_vec()),
        4 => Answer::frame(spoken.into_bytes()),
        5 => Answer { raw: Some(spoken.into_bytes()), then: Then::Close, ..Answer::default() },
        6 => Answer {
            raw: Some(format!("\u{b}MSH|^~\\&|{spoken}").into_bytes()),
            then: Then::Close,
            ..Answer::default()
        },
        // Yes and no at once.
        7 => frame("AA", format!("ERR||PID^1^5|{FAMILY}^{TEXT}|E||||{spoken}\r")),
        // Yes, and something behind it.
        8 => {
            let yes = ack_text(&id, "AA", &spoken, &format!("NTE|1||{TEXT}\r"));
            Answer {
                frames: vec![yes.into_bytes(), format!("MSH|^~\\&|{spoken}\rMSA|AA|{LOCAL}\r").into_bytes()],
                ..Answer::default()
            }
        }
        // From here on by what it is: an outcome or a withdrawal is taken, the rest refused with a code that is a name.
        _ if message.contains("IPS-OUTCOME") || message.contains("MDM^T11") => frame("AA", String::new()),
        _ => frame("AE", format!("ERR||PID^1^3|{FAMILY}^{TEXT}|E||||{spoken}\rERR||PID^1^3|204^{NHS}|E\r")),
    }
}

async fn exercise_outbox(bridge: &Bridge, far_end: &FarEnd, heard: &Heard) {
    // The note accepted before goes through the EPR's first nine answers and is filed.
    let first = newest(bridge).await;
    let filed = bridge.wait_filed(first).await;
    heard.debug(&filed);
    assert!(far_end.got().len() >= 9, "each answer was given");

    // Everything a note can hold.
    let mut full = bridge.note(TEXT);
    full.content.kind = NoteKind::SupportNetworkContact { with_whom: Private(PRESENT.into()) };
    full.content.contact = None;
    full.content.risk_disclosed = Some(RiskDisclosed { told_whom: Private(TOLD.into()), told_at: bridge.now() });
    let refused = bridge.try_write(full).await.unwrap().answer().deliveries[0];
    heard.debug(&bridge.wait_state(refused, State::Parked).await);
    let held = bridge.write_note(&format!("{TEXT} \u{1f426}")).await;
    heard.debug(&bridge.wait_state(held.delivery, State::Parked).await);
    let long = bridge.write_note(&TEXT.repeat(4000)).await;
    heard.debug(&bridge.wait_state(long.delivery, State::Parked).await);
    let parked = Operate {
        call: bridge.call(),
        deliveries: vec![held.delivery],
        operation: Operation::Park,
        reason: "looked at".into(),
        single: true,
    };
    heard.refused(bridge.store.operate(parked).await);
    let replaced = ReplaceNote {
        call: bridge.call(),
        note_id: held.note,
        version_seen: held.version,
        expected: super::support::bridge::expected(&bridge.patient),
        author: canary_author(),
        content: bridge.content(TEXT),
        reason: Private(WHY.into()),
        release_after: None,
    };
    heard.debug(&bridge.store.replace_note(replaced).await.unwrap());
    let withdrawn = WithdrawNote {
        call: bridge.call(),
        note_id: long.note,
        version_seen: long.version,
        author: canary_author(),
        reason: WithdrawReason::WrongPatient,
        explanation: Some(Private(EXPLAINED.into())),
    };
    heard.debug(&bridge.store.withdraw_note(withdrawn).await.unwrap());

    let (job, delivery) = bridge.record_outcome(canary_job(bridge)).await.unwrap();
    heard.debug(&bridge.wait_filed(delivery).await);
    let correct = |version_seen| CorrectOutcome {
        call: bridge.call(),
        outcome_id: job,
        version_seen,
        expected: super::support::bridge::expected(&bridge.patient),
        author: canary_author(),
        content: canary_job(bridge),
        occurred_at: bridge.now(),
        reason: Private(WHY.into()),
    };
    heard.refused(bridge.store.correct_outcome(correct(9)).await);
    let corrected = bridge.store.correct_outcome(correct(1)).await.unwrap();
    heard.debug(&bridge.wait_filed(corrected.answer().deliveries[0]).await);
    let withdraw = WithdrawOutcome {
        call: bridge.call(),
        outcome_id: job,
        version_seen: 2,
        author: canary_author(),
        reason: WithdrawReason::Incorrect,
        explanation: Some(Private(EXPLAINED.into())),
    };
    let gone = bridge.store.withdraw_outcome(withdraw).await.unwrap();
    heard.debug(&bridge.wait_filed(gone.answer().deliveries[0]).await);
    let sent = far_end.got().concat();
    for carried in [FAMILY, NHS, STREET, TEXT, PRESENT, TOLD, EMPLOYER, POST, WHY, AUTHOR] {
        assert!(sent.contains(carried), "{carried} was never sent, so nothing could have leaked it");
    }
}

/// Messages of the EPR: one good, the rest wrong in every way that has an error of its own.
async fn exercise_inbound(bridge: &Bridge, heard: &Heard) {
    let source = bridge.source();
    let fitted = source.in_use.now();
    heard.debug(&fitted.pack.parse(&good("I1", "").into_bytes(), &fitted.settings, "Europe/London").unwrap());
    let good_answer = receive(&source, good("I1", "").into_bytes()).await;
    assert!(String::from_utf8_lossy(&good_answer.concat()).contains("MSA|AA|I1"), "the good one is taken");
    receive(&source, good("I1", "").into_bytes()).await;
    let born = BORN.replace('-', "");
    let wrong = [
        format!("{FAMILY} {TEXT}"),
        good("", ""),
        good("I2", &format!("{TEXT} on a line of its own\r")),
        good("I3", &format!("PID|2||{NHS}^^^NHS^NH||{FAMILY}\r")),
        good("I4", "").replace(OTHER_NHS, WRONG_NHS),
        good("I5", "").replace(&born, &format!("{FAMILY}{born}")),
        good("I6", "").replace("|F|", &format!("|{FAMILY}|")),
        good("I7", "").replace("PRD|RP", &format!("PRD|{FAMILY}")),
        good("I8", "").replace(FAMILY, &format!("{FAMILY}son")).replace(EXTERNAL, "CNRYREF8"),
        good("I9", "").replace("|R|", &format!("|{TEXT}|")),
        good("I10", "").replace("REF^I12", &format!("{FAMILY}^{GIVEN}")),
        good("I11", "").replace("|T|2.4", &format!("|{FAMILY}|2.4")),
        good("I12", "").replace("|T|2.4", &format!("|T|{NHS}")),
        good("I13", "").replace("MSH|^~\\&|EPR|", &format!("MSH|^~\\&|{FAMILY}|")).replace(&born, "x"),
        good(FAMILY, "").replace(&born, "x"),
        good("I14", "").replace(FAMILY, &format!("\\{FAMILY}\\")),
        good("I15", "").replace(FAMILY, &FAMILY.repeat(60)).replace(STREET, &STREET.repeat(60)),
        good("I1", &format!("NTE|2||{TEXT}\r")),
        ack_text(FAMILY, "AE", TEXT, &format!("ERR|||{FAMILY}^{TEXT}|E\r")),
    ];
    for message in wrong {
        // Our answer is an error message too; where the sender named itself or its message after a patient, it gets its own words back.
        for answer in receive(&source, message.into_bytes()).await {
            let answer = String::from_utf8_lossy(&answer).into_owned();
            heard.debug(&answer.split('\r').filter(|s| s.starts_with("ERR")).collect::<String>());
            heard.debug(
                &answer
                    .split('\r')
                    .filter(|s| s.starts_with("MSA"))
                    .filter_map(|s| s.split('|').nth(3))
                    .collect::<String>(),
            );
        }
    }
    receive(&source, [good("I16", "").as_bytes(), b"NTE|1||\xff\xfe\r"].concat()).await;
    let kept =
        bridge.store.inbound_messages(&Scope::trusts([trust()]), None, Page { size: 1000, after: None }).await.unwrap();
    assert!(
        kept.iter().any(|k| k.state == InboundState::Applied)
            && kept.iter().filter(|k| k.state == InboundState::Parked).count() > 10
    );
    for inbound in kept {
        heard.debug(&inbound);
    }
}

/// A referral that can be taken. `more` are whole segments.
fn good(control_id: &str, more: &str) -> String {
    let born = BORN.replace('-', "");
    format!(
        "MSH|^~\\&|EPR|RZ9|IPSBRIDGE|RZ9|20260302093000||REF^I12|{control_id}|T|2.4\rRF1||R||||{EXTERNAL}1^EPR||||{WHY}\r\
         PRD|RP|{REFERRER}^Ann^^^Dr\rPID|1||{OTHER_NHS}^^^NHS^NH~{LOCAL}^^^RZ9^MR||{FAMILY}^{GIVEN}^^^{PREFIX}||{born}|2|||\
         {STREET}^^{CITY}^{COUNTY}^{POSTCODE}||{PHONE}\rNTE|1||{TEXT}\r{more}"
    )
    .replace(&format!("{LOCAL}^^^"), "CNRY4712^^^")
}

/// The same words over the network: calls that are taken, calls that are refused for each reason, and bytes that are no call.
async fn exercise_api(bridge: &Bridge, heard: &Heard) {
    let addr = bridge.serve_api().await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap();
    let mut patients = PatientServiceClient::new(channel.clone());
    let mut referrals = ReferralServiceClient::new(channel.clone());
    let mut notes = ProgressNoteServiceClient::new(channel.clone());
    let mut outcomes = OutcomeServiceClient::new(channel.clone());
    let mut deliveries = DeliveryServiceClient::new(channel.clone());
    let mut adapters = AdapterServiceClient::new(channel);
    let id = || new_uuid(bridge.now(), &Fresh).to_string();
    let details = form::patient::show_details(&bridge.patient);
    let expected =
        v1::ExpectedPatient { nhs_number: NHS.into(), date_of_birth: BORN.into(), family_name: FAMILY.into() };
    let author = Some(form::person::show_author(&canary_author()));

    let write = v1::WriteProgressNoteRequest {
        request_id: id(),
        referral_id: bridge.referral.to_string(),
        expected_patient: Some(expected.clone()),
        author: author.clone(),
        content: Some(form::note::show_content(&bridge.content(TEXT))),
        release_after: None,
    };
    heard.debug(&write);
    // A caller's own headers may hold anything.
    let mut call = tonic::Request::new(write.clone());
    for name in ["traceparent", "user", "x-patient"] {
        call.metadata_mut().insert(name, FAMILY.parse().unwrap());
    }
    heard.debug(&notes.write_progress_note(call).await.unwrap().into_inner());
    let other_content = Some(form::note::show_content(&bridge.content(&format!("{TEXT}, changed"))));
    heard.refused(
        notes.write_progress_note(v1::WriteProgressNoteRequest { content: other_content, ..write.clone() }).await,
    );
    let wrong = Some(v1::ExpectedPatient { nhs_number: OTHER_NHS.into(), ..expected.clone() });
    heard.refused(
        notes
            .write_progress_note(v1::WriteProgressNoteRequest {
                request_id: id(),
                expected_patient: wrong,
                ..write.clone()
            })
            .await,
    );
    let broken = v1::WriteProgressNoteRequest {
        request_id: TEXT.into(),
        referral_id: LOCAL.into(),
        expected_patient: Some(v1::ExpectedPatient {
            nhs_number: WRONG_NHS.into(),
            date_of_birth: format!("{BORN}T"),
            family_name: FAMILY.repeat(50),
        }),
        author: Some(v1::Author {
            staff_id: format!("{AUTHOR} {AUTHOR}"),
            organisation_ods: AUTHOR.into(),
            ..Default::default()
        }),
        content: Some(v1::NoteContent { text: format!("{TEXT}\u{1c}"), ..Default::default() }),
        release_after: None,
    };
    heard.refused(notes.write_progress_note(broken).await);
    heard.refused(notes.get_progress_note(v1::GetProgressNoteRequest { note_id: FAMILY.into() }).await);

    let find = |by| v1::FindPatientsRequest { trust_ods: "RZ9".into(), by: Some(by), ..Default::default() };
    let found =
        patients.find_patients(find(v1::find_patients_request::By::NhsNumber(NHS.into()))).await.unwrap().into_inner();
    assert_eq!(found.patients.len(), 1, "the patient is found");
    heard.debug(&found);
    heard.refused(patients.find_patients(find(v1::find_patients_request::By::NhsNumber(WRONG_NHS.into()))).await);
    let by_name = v1::NameAndBirth { family_name: FAMILY.into(), date_of_birth: format!("{BORN}!") };
    heard.refused(patients.find_patients(find(v1::find_patients_request::By::NameAndBirth(by_name))).await);
    heard.refused(
        patients
            .find_patients(v1::FindPatientsRequest {
                page_token: FAMILY.into(),
                ..find(v1::find_patients_request::By::NhsNumber(NHS.into()))
            })
            .await,
    );
    let stale = v1::UpdatePatientRequest {
        request_id: id(),
        patient_id: found.patients[0].id.clone(),
        version_seen: 99,
        details: Some(details.clone()),
        reason: WHY.into(),
    };
    heard.refused(patients.update_patient(stale).await);

    let create = v1::CreateReferralRequest {
        request_id: id(),
        trust_ods: "RZ9".into(),
        patient: Some(v1::create_referral_request::Patient::PatientDetails(details)),
        details: Some(form::referral::show_details(&canary_referral())),
        received_at: None,
    };
    heard.refused(referrals.create_referral(create.clone()).await);
    heard.refused(referrals.create_referral(v1::CreateReferralRequest { trust_ods: FAMILY.into(), ..create }).await);
    let external = v1::ExternalReferral {
        trust_ods: "RZ9".into(),
        external_id: Some(v1::ExternalId { system: FAMILY.into(), value: LOCAL.into() }),
    };
    heard.refused(
        referrals
            .get_referral(v1::GetReferralRequest { by: Some(v1::get_referral_request::By::External(external)) })
            .await,
    );

    let outcome = v1::RecordOutcomeRequest {
        request_id: id(),
        referral_id: bridge.referral.to_string(),
        expected_patient: Some(expected),
        author,
        content: Some(form::outcome::show_content(&canary_job(bridge))),
    };
    heard.debug(&outcomes.record_outcome(outcome.clone()).await.unwrap().into_inner());
    let mut unfit = outcome;
    unfit.request_id = id();
    unfit.content = Some(v1::OutcomeContent { remark: Some(format!("{REMARK}\u{7}")), ..Default::default() });
    heard.refused(outcomes.record_outcome(unfit).await);

    heard.debug(&deliveries.list_deliveries(v1::ListDeliveriesRequest::default()).await.unwrap().into_inner());
    heard.refused(
        deliveries
            .list_deliveries(v1::ListDeliveriesRequest {
                endpoint_id: FAMILY.into(),
                patient_id: NHS.into(),
                ..Default::default()
            })
            .await,
    );
    let preview = |message: String| v1::PreviewMessageRequest {
        endpoint_id: endpoint_id().to_string(),
        message: message.into_bytes(),
    };
    heard.debug(&adapters.preview_message(preview(good("P1", ""))).await.unwrap().into_inner());
    for wrong in [TEXT.to_owned(), good("P2", "").replace(OTHER_NHS, WRONG_NHS), good("P3", &format!("{TEXT}\r"))] {
        // Told as faults or as an error: both are said.
        match adapters.preview_message(preview(wrong)).await {
            Ok(shown) => {
                assert!(!shown.get_ref().faults.is_empty(), "a message that is wrong has faults");
                heard.debug(
                    &shown.get_ref().faults.iter().map(|f| serde_json::to_string(f).unwrap()).collect::<Vec<_>>(),
                );
            }
            Err(e) => heard.refused::<(), _>(Err(e)),
        }
    }

    // What is no call at all.
    for bytes in [
        format!("GET /{FAMILY} HTTP/1.1\r\nHost: {NHS}\r\n\r\n"),
        format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{TEXT}"),
        TEXT.to_owned(),
    ] {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // However it ends, the far side has read it by then.
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    }
}

/// A fault of ours, with the patient's name in its message.
fn exercise_panics() {
    let before = std::panic::take_hook();
    log_panics();
    let ended = std::thread::spawn(|| {
        let nobody: Result<(), String> = Err(format!("{FAMILY} {NHS}"));
        if let Err(who) = nobody {
            panic!("{who} {TEXT}");
        }
    })
    .join();
    std::panic::set_hook(before);
    assert!(ended.is_err());
}

/// Whatever the store gives back could end in a line by its `Debug`.
async fn exercise_reads(bridge: &Bridge, heard: &Heard) {
    let (scope, page) = (Scope::trusts([trust()]), Page { size: 1000, after: None });
    let store = &bridge.store;
    let referral = store.referral(&scope, bridge.referral).await.unwrap().unwrap();
    heard.debug(&referral);
    heard.debug(&store.patient(&scope, referral.patient_id).await.unwrap());
    let by = PatientBy::NhsNumber(NhsNumber::parse(NHS).unwrap());
    heard.debug(&by);
    heard.debug(&store.find_patients(&scope, &trust(), &by, page).await.unwrap());
    heard.debug(&PatientBy::NameAndBirth { family: FAMILY.into(), born: BORN.parse().unwrap() });
    let of = SubjectFilter::Referral(bridge.referral);
    for note in store.notes(&scope, of, None, page).await.unwrap() {
        heard.debug(&note);
        heard.debug(&store.versions(&scope, [note.id.0]).await.unwrap());
    }
    for outcome in store.outcomes(&scope, of, page).await.unwrap() {
        heard.debug(&outcome);
        heard.debug(&store.versions(&scope, [outcome.id.0]).await.unwrap());
    }
    for delivery in store.deliveries(&scope, &DeliveryFilter::default(), page).await.unwrap() {
        heard.debug(&delivery);
        heard.debug(&store.steps(&delivery).await.unwrap());
        heard.debug(&store.attempts(&delivery).await.unwrap());
        heard.debug(&store.rendering_of(&delivery).await.unwrap());
    }
    heard.debug(&store.endpoint_states(&[endpoint_id()]).await.unwrap());
    heard.debug(&store.trust_facts(&scope, &trust()).await.unwrap());
}

/// No room for more.
async fn exercise_full(url: &str, heard: &Heard) {
    let limits = Limits { max_open_deliveries: 0, ..Limits::default() };
    let tweaks = Tweaks {
        patient: canary_patient(NHS),
        author: canary_author(),
        limits,
        without_outbox: true,
        ..Tweaks::default()
    };
    let bridge = Bridge::start(url, super::support::free_addr(), tweaks).await;
    heard.refused(bridge.try_write(bridge.note(TEXT)).await);
    bridge.stop().await;
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
    Author { display_name: Private(AUTHOR.into()), ..super::support::bridge::author() }
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
