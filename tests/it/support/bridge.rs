//! A bridge in miniature: a store, one trust (RZ9), one endpoint and its outbox worker, for tests that go end to end.
//!
//! ```text
//! let far_end = FarEnd::start(|_, message| ack(message, "AA", "")).await;
//! let bridge = Bridge::start(&store.url, far_end.addr(), Tweaks::default()).await;
//! let note = bridge.write_note("Met at the library.").await;
//! bridge.wait_filed(note.delivery).await;
//! ```

use super::wait_until;
use futures::future::BoxFuture;
use ips_bridge::adapter::compose::Site;
use ips_bridge::adapter::{Fault, Fitted, InUse, Pack, Packs, RenderOptions};
use ips_bridge::api;
use ips_bridge::app::gates;
use ips_bridge::domain::accept::Accept;
use ips_bridge::domain::ambient::{Clock, Entropy};
use ips_bridge::domain::ask::AskRules;
use ips_bridge::domain::delivery::{Delivery, State};
use ips_bridge::domain::ids::{DeliveryId, NoteId, OutcomeId, ReferralId};
use ips_bridge::domain::nhs_number::NhsNumber;
use ips_bridge::domain::note::{
    Attendance, Contact, ContactMechanism, ContactMode, NoteContent, NoteKind, Sensitivity,
};
use ips_bridge::domain::organisation::{EndpointId, OdsCode, StaffId, TeamId};
use ips_bridge::domain::outcome::OutcomeContent;
use ips_bridge::domain::person::{Author, ExpectedPatient, Gender, NhsNumberStatus, PatientDetails, PersonName};
use ips_bridge::domain::policy::{
    AckMode, AcknowledgedBy, AfterUnknown, BackOff, EndpointPolicy, Environment, FiledBy, Names,
};
use ips_bridge::domain::referral::{ReferralDetails, ReferralPriority, SourceCode};
use ips_bridge::domain::route::{RouteRule, RoutedKind, Routes};
use ips_bridge::domain::text::Private;
use ips_bridge::inbound::Source;
use ips_bridge::inbound::receive::WayIn;
use ips_bridge::outbox::{self, Watch};
use ips_bridge::store::record::{Actor, Answered, PackKept, RequestKey};
use ips_bridge::store::write::{
    AnswerReferral, Call, CreateReferral, Operate, Operation, PatientIs, RecordOutcome, ReferralAnswer, WriteNote,
};
use ips_bridge::store::{Limits, Rulebook, Scope, Settings, Store, TrustRules, WriteError, WriterEnd};
use ips_bridge::transport::Sender;
use ips_bridge::transport::feed::Feed;
use ips_bridge::transport::mllp::{ClientSettings, Pool};
use ips_bridge::wire::v1;
use jiff::{Timestamp, tz::TimeZone};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The trust, its endpoint and its team.
pub const TRUST: &str = "RZ9";
pub const ENDPOINT: &str = "rz9-epr";
pub const TEAM: &str = "IPS-NORTH";

/// No wait for a delivery is longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a test wants otherwise. Change single fields: `Tweaks { watch, ..Tweaks::default() }`.
pub struct Tweaks {
    /// The endpoint files by an application acknowledgement of the record itself, resends after an unknown outcome, and backs off for 20 ms.
    pub policy: EndpointPolicy,
    /// Two connections, 2 s for a reply. The address is set by [`Bridge::start`].
    pub client: ClientSettings,
    /// Over the pack's defaults and the keys that have none.
    pub settings: toml::Table,
    pub probe: BackOff,
    pub lease: Duration,
    pub max_in_flight: u32,
    pub max_per_minute: Option<u32>,
    pub limits: Limits,
    pub watch: Arc<dyn Watch>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    /// Who the first referral is for, what it says, and who writes.
    pub patient: PatientDetails,
    pub referral: ReferralDetails,
    pub author: Author,
    /// The traceparent of every call.
    pub trace: Option<String>,
    /// How the record is asked.
    pub read_back: Option<Arc<dyn outbox::ReadBack>>,
    /// The far end pulls, instead of being sent to.
    pub feed: Option<Feed>,
    /// No worker: what is written stays queued.
    pub without_outbox: bool,
}

impl Default for Tweaks {
    fn default() -> Self {
        let back_off = BackOff { first: Duration::from_millis(20), cap: Duration::from_millis(200) };
        let policy = EndpointPolicy {
            id: endpoint_id(),
            trust: trust(),
            name: "RiO".into(),
            environment: Environment::Test,
            filed_by: FiledBy::ApplicationAck,
            acknowledged_by: AcknowledgedBy::Record,
            after_unknown: AfterUnknown::Resend,
            max_unknown_resends: 100,
            max_refused_retries: 100,
            ack_mode: AckMode::Original,
            evidence_overdue_after: Duration::from_secs(3600),
            back_off,
            asks: AskRules::default(),
            tracks_after: None,
            require_verified_nhs_number: false,
            require_mapped_staff: false,
            max_text_chars: 60_000,
            names: Names::OwnId,
            replies_are_documents: false,
            place: "epr.example:2575".into(),
            same_record_as: Vec::new(),
            fingerprint: "hl7v2-uk@test".into(),
        };
        let mut client = ClientSettings::new("");
        client.max_connections = 2;
        client.reply_timeout = Duration::from_secs(2);
        Self {
            policy,
            client,
            settings: toml::Table::new(),
            probe: back_off,
            lease: Duration::from_secs(60),
            max_in_flight: 8,
            max_per_minute: None,
            limits: Limits::default(),
            watch: Arc::new(Unwatched),
            clock: Arc::new(WallClock),
            entropy: Arc::new(Fresh),
            patient: patient(),
            referral: referral(),
            author: author(),
            trace: None,
            read_back: None,
            feed: None,
            without_outbox: false,
        }
    }
}

/// A note, as its author's system knows it.
#[derive(Debug, Clone, Copy)]
pub struct Written {
    pub note: NoteId,
    pub version: i64,
    pub delivery: DeliveryId,
}

pub struct Bridge {
    pub store: Store,
    pub rules: Arc<Rulebook>,
    /// The first patient's.
    pub referral: ReferralId,
    pub patient: PatientDetails,
    pub author: Author,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    pack: Arc<Pack>,
    settings: toml::Table,
    trace: Option<String>,
    feed: Option<Feed>,
    requests: AtomicU64,
    stop: CancellationToken,
    worker: Option<JoinHandle<()>>,
    served: Mutex<Vec<JoinHandle<()>>>,
    writer: WriterEnd,
}

impl Bridge {
    /// Opens the store (new, or one that an earlier bridge left), makes the first referral if there is none yet, accepts it, and starts the
    /// endpoint's worker.
    pub async fn start(url: &str, far_end: SocketAddr, tweaks: Tweaks) -> Self {
        let rules = Arc::new(rulebook(&tweaks));
        let store_settings = Settings {
            url: url.to_owned(),
            read_connections: 4,
            group_commit_max: 256,
            restored: false,
            answer_within: ips_bridge::store::ANSWER_WITHIN,
        };
        let (store, writer) = Store::open(&store_settings, rules.clone(), tweaks.clock.clone(), tweaks.entropy.clone())
            .await
            .expect("the test's store opens");
        let pack = Pack::load(&packs().join("hl7v2-uk")).expect("our own pack has no fault");
        let mut settings: toml::Table = "sending_facility = 'RZ9'\nreceiving_application = 'EPR'\nreceiving_facility = 'RZ9'\nwithdraw_as = 'T11'\n\
             default_team = 'IPS-NORTH'"
            .parse()
            .expect("TOML");
        settings.extend(tweaks.settings.clone());
        let mut bridge = Self {
            store,
            rules,
            referral: ReferralId(uuid::Uuid::nil()),
            patient: tweaks.patient.clone(),
            author: tweaks.author.clone(),
            clock: tweaks.clock.clone(),
            entropy: tweaks.entropy.clone(),
            pack: Arc::new(pack),
            settings,
            trace: tweaks.trace.clone(),
            feed: tweaks.feed.clone(),
            requests: AtomicU64::new(0),
            stop: CancellationToken::new(),
            worker: None,
            served: Mutex::default(),
            writer,
        };
        bridge.referral = match bridge.first_referral().await {
            Some(known) => known,
            None => {
                let made = bridge
                    .create_referral(tweaks.patient.clone(), tweaks.referral.clone())
                    .await
                    .expect("the first referral breaks no rule");
                bridge.accept_referral(made).await.expect("a new referral can be accepted");
                made
            }
        };
        if !tweaks.without_outbox {
            bridge.worker = Some(bridge.start_worker(far_end, tweaks));
        }
        bridge
    }

    /// The gRPC edge on a free port, open to everybody on this machine in every role; it ends with the bridge.
    pub async fn serve_api(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback gives a port");
        let addr = listener.local_addr().expect("a bound socket has an address");
        let policy = &self.rules.policies[&endpoint_id()];
        let endpoint = api::EndpointFacts {
            id: endpoint_id(),
            trust: trust(),
            name: policy.name.clone(),
            environment: policy.environment,
            filed_by: "application_ack from the record".into(),
            evidence_overdue_after: policy.evidence_overdue_after,
            in_maintenance: Arc::new(|_| false),
            rendering: api::Rendering {
                in_use: self.in_use(policy),
                options: options(policy),
                staff: Arc::new(|_| None),
            },
            packs: Arc::new(NoFolder),
            way_in: Some(Arc::new(self.way_in())),
            feed: self.feed.as_ref().and_then(|feed| gates::feed(&Sender::Feed(feed.clone()))),
        };
        let parts = api::ApiParts {
            store: self.store.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            principals: api::Principals::development([trust()], [endpoint_id()]),
            endpoints: vec![endpoint],
            retired: Default::default(),
            packs: Arc::new(|| Packs::load_folder(&packs()).expect("our own packs have no fault")),
            settings: api::Settings::default(),
            tls: None,
            shutdown: self.stop.clone(),
        };
        let served = tokio::spawn(async move { api::serve(parts, listener).await.expect("the edge serves") });
        self.served.lock().unwrap_or_else(PoisonError::into_inner).push(served);
        addr
    }

    /// Its one pack, which no test here changes.
    fn in_use(&self, policy: &EndpointPolicy) -> InUse {
        InUse::new(Fitted {
            activation: 0,
            pack: self.pack.clone(),
            settings: self.pack.settings(&self.settings).expect("the test's settings fit the pack"),
            reply_rules: self.pack.reply_rules(&toml::Table::new()).expect("the pack's own rules"),
            site: self.site(policy),
            policy: Arc::new(policy.clone()),
        })
    }

    fn site(&self, policy: &EndpointPolicy) -> Site {
        Site {
            trust: v1::Trust { ods: TRUST.into(), name: "Test Trust".into(), time_zone: "Europe/London".into() },
            time_zone: london(),
            environment: policy.environment,
            late_after: Duration::from_secs(86_400),
            in_place: policy.names == Names::FirstId,
        }
    }

    fn start_worker(&self, far_end: SocketAddr, tweaks: Tweaks) -> JoinHandle<()> {
        let (strays_out, strays) = tokio::sync::mpsc::channel(64);
        let client = ClientSettings { address: far_end.to_string(), ..tweaks.client };
        let read_back = tweaks.read_back;
        let endpoint = outbox::Endpoint {
            id: endpoint_id(),
            in_use: self.in_use(&tweaks.policy),
            config: Arc::default(),
            options: options(&tweaks.policy),
            late_replies_on_connection: client.late_replies_on_connection,
            answered: Default::default(),
            sender: match &tweaks.feed {
                Some(feed) => Sender::Feed(feed.clone()),
                None => Sender::Mllp(Pool::new(client, strays_out)),
            },
            read_back: Box::new(move |_| read_back.clone()),
            strays,
            lease: tweaks.lease,
            probe: tweaks.probe,
            max_in_flight: tweaks.max_in_flight,
            max_per_minute: tweaks.max_per_minute,
            maintenance: Box::new(|_| None),
            control_id_prefix: "T".into(),
            staff: Box::new(|_| None),
        };
        let shared = outbox::Shared {
            store: self.store.clone(),
            scope: Scope::system(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            watch: tweaks.watch,
        };
        tokio::spawn(outbox::run(shared, endpoint, self.stop.clone()))
    }

    /// Ends the worker after what it has in hand, then the writer after what waits; then another bridge can open the store.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(worker) = self.worker.take() {
            worker.await.expect("the worker ends without a panic");
        }
        let served = std::mem::take(&mut *self.served.lock().unwrap_or_else(PoisonError::into_inner));
        for served in served {
            served.await.expect("the edge ends without a panic");
        }
        drop(self.store);
        self.writer.await.expect("the writer ends without a panic");
    }

    /// The endpoint's listener, for `inbound::receive`.
    pub fn source(&self) -> Source {
        Source {
            store: self.store.clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            endpoint: endpoint_id(),
            trust: trust(),
            in_use: self.in_use(&self.rules.policies[&endpoint_id()]),
            time_zone: london(),
            time_zone_name: "Europe/London".into(),
            ack_mode: AckMode::Original,
            control_id_prefix: "T".into(),
            teams: Vec::new(),
            team_names: Vec::new(),
            default_team: None,
            is_live: false,
            allowed: Vec::new(),
            accept: Accept::default(),
            keeps_ignored: false,
            batches: Default::default(),
            repeats: Default::default(),
        }
    }

    /// The same, as the API has it.
    pub fn way_in(&self) -> WayIn {
        WayIn::new(self.source(), self.pack.format())
    }

    /// A new call of an employment specialist's system. Each has a request id of its own.
    pub fn call(&self) -> Call {
        let mut request = RequestKey { key: [0; 32], content: [0; 32] };
        self.entropy.fill(&mut request.key);
        request.content[..8].copy_from_slice(&self.requests.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        Call {
            actor: Actor { principal: "ips-system".into(), role: "ips_worker".into() },
            scope: Scope::trusts([trust()]),
            request: Some(request),
            trace: self.trace.clone(),
        }
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// # Errors
    /// What the store says.
    pub async fn create_referral(
        &self,
        patient: PatientDetails,
        details: ReferralDetails,
    ) -> Result<ReferralId, WriteError> {
        let write = CreateReferral {
            call: self.call(),
            trust: trust(),
            patient: PatientIs::Described(Box::new(patient)),
            other_families: Vec::new(),
            location_shielded: false,
            details,
            received_at: self.now(),
            received_from: None,
        };
        Ok(ReferralId(self.store.create_referral(write).await?.answer().subject))
    }

    /// # Errors
    /// What the store says.
    pub async fn accept_referral(&self, referral_id: ReferralId) -> Result<Answered, WriteError> {
        let answer = ReferralAnswer::Accept { assigned_to: self.author.clone() };
        let author = self.author.clone();
        self.store.answer_referral(AnswerReferral { call: self.call(), referral_id, author, answer }).await
    }

    /// A note of the first patient.
    pub async fn write_note(&self, text: &str) -> Written {
        let answered = self.try_write(self.note(text)).await.expect("the note breaks no rule");
        written(&answered)
    }

    /// # Errors
    /// What the store says.
    pub async fn try_write(&self, write: WriteNote) -> Result<Answered, WriteError> {
        self.store.write_note(write).await
    }

    /// The call behind [`Bridge::write_note`], to be changed.
    pub fn note(&self, text: &str) -> WriteNote {
        WriteNote {
            call: self.call(),
            rules: self.rules.clone(),
            referral_id: self.referral,
            expected: expected(&self.patient),
            author: self.author.clone(),
            content: self.content(text),
            release_after: None,
        }
    }

    /// A general contact just now.
    pub fn content(&self, text: &str) -> NoteContent {
        NoteContent {
            occurred_at: self.now(),
            text: Private(text.into()),
            contact: Some(Contact {
                mechanism: ContactMechanism::FaceToFace,
                attendance: Attendance::AttendedOnTime,
                mode: ContactMode::Individual,
                duration_minutes: Some(45),
                location: None,
                others_present: None,
            }),
            sensitivity: Sensitivity::default(),
            risk_disclosed: None,
            kind: NoteKind::GeneralContact,
        }
    }

    /// # Errors
    /// What the store says.
    pub async fn record_outcome(&self, content: OutcomeContent) -> Result<(OutcomeId, DeliveryId), WriteError> {
        let write = RecordOutcome {
            call: self.call(),
            rules: self.rules.clone(),
            referral_id: self.referral,
            expected: expected(&self.patient),
            author: self.author.clone(),
            content,
            occurred_at: self.now(),
        };
        let answered = self.store.record_outcome(write).await?;
        Ok((OutcomeId(answered.answer().subject), answered.answer().deliveries[0]))
    }

    /// An integrator does this to one delivery.
    pub async fn operate(&self, id: DeliveryId, operation: Operation) -> Result<Answered, WriteError> {
        let reason = "as the test says".to_owned();
        self.store.operate(Operate { call: self.call(), deliveries: vec![id], operation, reason, single: true }).await
    }

    pub async fn delivery(&self, id: DeliveryId) -> Delivery {
        self.store.delivery(&Scope::system(), id).await.expect("the store can be read").expect("the delivery is there")
    }

    /// The delivery, once it is in this state.
    #[track_caller]
    pub fn wait_state(&self, id: DeliveryId, state: State) -> impl Future<Output = Delivery> {
        let come = wait_until(PATIENCE, state.word(), async move || self.delivery(id).await.state == state);
        async move {
            come.await;
            self.delivery(id).await
        }
    }

    #[track_caller]
    pub fn wait_filed(&self, id: DeliveryId) -> impl Future<Output = Delivery> {
        self.wait_state(id, State::Filed)
    }

    async fn first_referral(&self) -> Option<ReferralId> {
        let filter = ips_bridge::store::read::ReferralFilter { trust: Some(trust()), ..Default::default() };
        let page = ips_bridge::store::read::Page { size: 1000, after: None };
        let all = self.store.referrals(&Scope::system(), &filter, page).await.expect("the store can be read");
        // Newest first.
        all.last().map(|r| r.id)
    }
}

fn written(answered: &Answered) -> Written {
    let answer = answered.answer();
    Written { note: NoteId(answer.subject), version: answer.version, delivery: answer.deliveries[0] }
}

fn rulebook(tweaks: &Tweaks) -> Rulebook {
    let route = RouteRule {
        trust: trust(),
        kinds: vec![RoutedKind::Note, RoutedKind::Outcome],
        teams: Vec::new(),
        sites: Vec::new(),
        referral_sources: Vec::new(),
        endpoint: endpoint_id(),
        copies_to: Vec::new(),
    };
    let rules = TrustRules {
        name: "Test Trust".into(),
        release_after: Duration::ZERO,
        untouched_after: Duration::from_secs(7 * 86_400),
        time_zone: london(),
        teams: vec![],
    };
    Rulebook {
        policies: HashMap::from([(endpoint_id(), Arc::new(tweaks.policy.clone()))]),
        routes: Routes::new(vec![route]).expect("one route clashes with none"),
        trusts: HashMap::from([(trust(), rules)]),
        limits: tweaks.limits.clone(),
    }
}

fn packs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters")
}

fn options(policy: &EndpointPolicy) -> RenderOptions {
    RenderOptions {
        max_text_chars: Some(policy.max_text_chars),
        require_mapped_staff: policy.require_mapped_staff,
        max_message_bytes: None,
    }
}

pub fn trust() -> OdsCode {
    OdsCode::parse(TRUST).expect("an ODS code")
}

pub fn endpoint_id() -> EndpointId {
    EndpointId::parse(ENDPOINT).expect("an endpoint's id")
}

fn london() -> TimeZone {
    TimeZone::get("Europe/London").expect("a zone of the bundled database")
}

/// The first patient unless a test wants another.
pub fn patient() -> PatientDetails {
    PatientDetails {
        nhs_number: Some(NhsNumber::parse("9990000018").expect("a test number")),
        nhs_number_status: NhsNumberStatus::Verified,
        local_identifiers: Vec::new(),
        name: PersonName { family: Private("Testpatient".into()), given: Private("Alex".into()), prefix: None },
        date_of_birth: Private("1985-04-12".parse().expect("a date")),
        gender: Gender::NotKnown,
        address: None,
        phone: None,
    }
}

pub fn expected(patient: &PatientDetails) -> ExpectedPatient {
    ExpectedPatient {
        nhs_number: patient.nhs_number,
        date_of_birth: patient.date_of_birth,
        family: patient.name.family.clone(),
    }
}

pub fn referral() -> ReferralDetails {
    ReferralDetails {
        external_ids: Vec::new(),
        source: SourceCode::parse("P1").expect("a source"),
        priority: ReferralPriority::Routine,
        referrer_name: Private("Dr Test".into()),
        referrer_role: None,
        referrer_ods: None,
        referring_team: None,
        team: TeamId::parse(TEAM).expect("a team"),
        site: None,
        reason: None,
        employment_status: None,
        job_retention: false,
        months_out_of_work: None,
    }
}

pub fn author() -> Author {
    Author {
        staff_id: StaffId::parse("es1").expect("a staff id"),
        display_name: Private("Sam Specialist".into()),
        role_title: Private("Employment specialist".into()),
        organisation: trust(),
    }
}

/// Packs that stay as they are.
pub struct NoFolder;

impl api::EndpointPacks for NoFolder {
    fn standing(&self) -> api::PackStanding {
        api::PackStanding::default()
    }

    fn in_folder(&self, _version: Option<String>) -> BoxFuture<'_, Result<api::Candidate, Vec<Fault>>> {
        Box::pin(async { Err(vec![Fault::new("adapter.toml", 3, "cannot be changed here", "use a whole bridge")]) })
    }

    fn fits(&self, _pack: PackKept, _bytes: Vec<u8>) -> BoxFuture<'_, Result<(), Vec<Fault>>> {
        Box::pin(async { Ok(()) })
    }

    fn tried(&self, _bytes: Vec<u8>, _settings: toml::Table) -> BoxFuture<'_, Result<api::Tried, Vec<Fault>>> {
        Box::pin(async { Err(vec![Fault::new("adapter.toml", 3, "cannot be tried here", "use a whole bridge")]) })
    }

    fn take_up(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// The machine's clock: leases and waiting times pass.
pub struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "an end-to-end test lives in real time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Real randomness: bridges on the same store must not repeat each other's ids.
pub struct Fresh;

impl Entropy for Fresh {
    #[expect(clippy::disallowed_methods, reason = "two bridges on one store must not repeat each other's ids")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::RngCore::fill_bytes(&mut rand::rng(), bytes);
    }
}

/// Counts nothing.
pub struct Unwatched;

impl Watch for Unwatched {
    fn attempt(&self, _: &str, _: &'static str, _: Duration) {}
    fn asked(&self, _: &str, _: &'static str) {}
    fn filed(&self, _: &str, _: Duration) {}
}
