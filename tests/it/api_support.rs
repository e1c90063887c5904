//! A bridge's edge on a real socket, with TLS and a certificate for each caller; and requests to change.

use crate::support::bridge::NoFolder;
use crate::support::{Seeded, SetClock, stores};
use ips_bridge::adapter::compose::Site;
use ips_bridge::adapter::{Fitted, InUse, Packs, RenderOptions};
use ips_bridge::api::{
    ApiParts, EndpointFacts, Principal, Principals, Rendering, Role, San, ServerTls, Settings, serve,
};
use ips_bridge::domain::accept::Accept;
use ips_bridge::domain::ambient::Clock;
use ips_bridge::domain::ask::AskRules;
use ips_bridge::domain::organisation::{EndpointId, OdsCode, TeamId};
use ips_bridge::domain::policy::{
    AckMode, AcknowledgedBy, AfterUnknown, BackOff, EndpointPolicy, Environment, FiledBy, Names,
};
use ips_bridge::domain::route::{RouteRule, RoutedKind, Routes};
use ips_bridge::inbound::Source;
use ips_bridge::inbound::receive::WayIn;
use ips_bridge::store::{Limits, Rulebook, Store, TrustRules, WriterEnd};
use ips_bridge::wire::v1;
use jiff::tz::TimeZone;
use prost::Message;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

pub const NOW: &str = "2026-03-03T15:00:00Z";

pub fn ods(code: &str) -> OdsCode {
    OdsCode::parse(code).expect("an ODS code")
}

pub fn endpoint(id: &str) -> EndpointId {
    EndpointId::parse(id).expect("an endpoint id")
}

/// RXX has RiO for its north team and a second endpoint that no route leads to; RYY has an EPR of its own.
pub const RIO: &str = "rio-rxx";
pub const SPARE: &str = "spare-rxx";
pub const PARIS: &str = "paris-ryy";

fn policy(id: &str, trust: &str, name: &str) -> EndpointPolicy {
    EndpointPolicy {
        id: endpoint(id),
        trust: ods(trust),
        name: name.to_owned(),
        environment: Environment::Test,
        filed_by: FiledBy::ApplicationAck,
        acknowledged_by: AcknowledgedBy::Record,
        after_unknown: AfterUnknown::Park,
        max_unknown_resends: 0,
        max_refused_retries: 3,
        ack_mode: AckMode::Original,
        evidence_overdue_after: Duration::from_secs(3600),
        back_off: BackOff { first: Duration::from_secs(1), cap: Duration::from_secs(60) },
        asks: AskRules::default(),
        tracks_after: None,
        require_verified_nhs_number: false,
        require_mapped_staff: false,
        max_text_chars: 100_000,
        names: Names::OwnId,
        replies_are_documents: false,
        place: "epr.example:2575".into(),
        same_record_as: Vec::new(),
        fingerprint: "test".to_owned(),
    }
}

fn policies() -> Vec<EndpointPolicy> {
    vec![policy(RIO, "RXX", "RiO"), policy(SPARE, "RXX", "Spare"), policy(PARIS, "RYY", "Paris")]
}

/// `north`: where the north team's entries go.
pub fn rulebook(limits: Limits, north: &str) -> Arc<Rulebook> {
    let rule = |trust: &str, teams: &[&str], to: &str| RouteRule {
        trust: ods(trust),
        kinds: vec![RoutedKind::Note, RoutedKind::Outcome],
        teams: teams.iter().map(|t| TeamId::parse(t).expect("a team")).collect(),
        sites: vec![],
        referral_sources: vec![],
        endpoint: endpoint(to),
        copies_to: vec![],
    };
    let routes = Routes::new(vec![
        rule("RXX", &["ips-north"], north),
        rule("RXX", &["ips-east"], SPARE),
        rule("RYY", &[], PARIS),
    ]);
    let trust = |name: &str, teams: &[&str]| TrustRules {
        name: name.to_owned(),
        release_after: Duration::ZERO,
        untouched_after: Duration::from_secs(28 * 24 * 3600),
        time_zone: TimeZone::get("Europe/London").expect("a zone"),
        teams: teams.iter().map(|t| TeamId::parse(t).expect("a team")).collect(),
    };
    Arc::new(Rulebook {
        policies: policies().into_iter().map(|p| (p.id.clone(), Arc::new(p))).collect(),
        routes: routes.expect("no two rules claim the same"),
        trusts: HashMap::from([
            (ods("RXX"), trust("Test Trust", &[])),
            (ods("RYY"), trust("Other Trust", &["ips-north"])),
        ]),
        limits,
    })
}

pub fn packs() -> Packs {
    Packs::load_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters")).expect("the packs load")
}

fn facts(packs: &Packs, store: &Store, clock: &Arc<SetClock>) -> Vec<EndpointFacts> {
    let pack = packs.get("hl7v2-uk").expect("the first pack").clone();
    let given: toml::Table = toml::from_str(
        "sending_facility = 'RXX'\nreceiving_application = 'EPR'\nreceiving_facility = 'RXX'\nwithdraw_as = 'T11'\ndefault_team = 'ips-north'",
    )
    .expect("TOML");
    let settings = pack.settings(&given).expect("the pack's settings");
    let reply_rules = pack.reply_rules(&toml::Table::new()).expect("the pack's own rules");
    let entropy = Arc::new(Seeded::new(13));
    policies()
        .into_iter()
        .map(|p| {
            let in_use = InUse::new(Fitted {
                activation: 0,
                pack: pack.clone(),
                settings: settings.clone(),
                reply_rules: reply_rules.clone(),
                policy: Arc::new(p.clone()),
                site: Site {
                    trust: v1::Trust {
                        ods: p.trust.to_string(),
                        name: "Test Trust".into(),
                        time_zone: "Europe/London".into(),
                    },
                    time_zone: TimeZone::get("Europe/London").expect("a zone"),
                    environment: p.environment,
                    late_after: Duration::from_secs(86_400),
                    in_place: false,
                },
            });
            (p, in_use)
        })
        .map(|(p, in_use)| EndpointFacts {
            way_in: Some(Arc::new(way_in(&p, &in_use, store, clock, &entropy))),
            rendering: Rendering { options: RenderOptions::default(), in_use, staff: Arc::new(|_| None) },
            packs: Arc::new(NoFolder),
            feed: None,
            id: p.id,
            trust: p.trust,
            name: p.name,
            environment: p.environment,
            filed_by: "application_ack from the record".into(),
            evidence_overdue_after: p.evidence_overdue_after,
            in_maintenance: Arc::new(|now| now.to_string() == "2026-03-03T02:00:00Z"),
        })
        .collect()
}

fn way_in(p: &EndpointPolicy, in_use: &InUse, store: &Store, clock: &Arc<SetClock>, entropy: &Arc<Seeded>) -> WayIn {
    let source = Source {
        store: store.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        endpoint: p.id.clone(),
        trust: p.trust.clone(),
        in_use: in_use.clone(),
        time_zone: TimeZone::get("Europe/London").expect("a zone"),
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
    };
    let of = in_use.now();
    let format = of.pack.format();
    WayIn::new(source, format)
}

/// Callers by name. `worker`, `integrator`, `auditor` and `epr` (of RiO) are of RXX, `other` has every role at RYY; `stranger` has a good
/// certificate and is nobody.
const CALLERS: &[(&str, &[Role], &str, &[&str])] = &[
    ("worker", &[Role::IpsWorker], "RXX", &[]),
    ("worker2", &[Role::IpsWorker], "RXX", &[]),
    ("integrator", &[Role::Integrator], "RXX", &[]),
    ("auditor", &[Role::Auditor], "RXX", &[]),
    ("epr", &[Role::EprSystem], "RXX", &[RIO]),
    ("epr-spare", &[Role::EprSystem], "RXX", &[SPARE]),
    ("other", &[Role::IpsWorker, Role::Auditor, Role::Integrator, Role::EprSystem], "RYY", &[PARIS]),
];

fn principals() -> Principals {
    Principals::new(CALLERS.iter().map(|(name, roles, trust, endpoints)| {
        let principal = Principal {
            name: (*name).to_owned(),
            roles: roles.iter().copied().collect(),
            trusts: [ods(trust)].into(),
            endpoints: endpoints.iter().map(|e| endpoint(e)).collect(),
        };
        (San::Dns(format!("{name}.example")), principal)
    }))
}

/// Signs for the server and every caller.
pub struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pub pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = rcgen::CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: rcgen::Issuer::new(params, key), pem }
    }

    /// Certificate and key, in PEM.
    pub fn sign(&self, name: &str) -> (String, String) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
        (params.signed_by(&key, &self.issuer).expect("a certificate").pem(), key.serialize_pem())
    }
}

/// The edge under test, over a store of its own.
pub struct Bridge {
    pub store: Store,
    pub clock: Arc<SetClock>,
    pub address: SocketAddr,
    pub authority: Authority,
    pub stop: CancellationToken,
    pub served: JoinHandle<Result<(), ips_bridge::api::ServeError>>,
    writer: WriterEnd,
    /// Held open: a pool of connections is not made for each call.
    channels: tokio::sync::Mutex<BTreeMap<String, Channel>>,
}

pub async fn open_store(url: &str, clock: &Arc<SetClock>, rules: Arc<Rulebook>) -> (Store, WriterEnd) {
    let settings = ips_bridge::store::Settings {
        url: url.to_owned(),
        read_connections: 4,
        group_commit_max: 100,
        restored: false,
        answer_within: ips_bridge::store::ANSWER_WITHIN,
    };
    Store::open(&settings, rules, clock.clone(), Arc::new(Seeded::new(7))).await.expect("the store opens")
}

pub fn parts(
    store: Store,
    clock: Arc<SetClock>,
    principals: Principals,
    tls: Option<ServerTls>,
    stop: CancellationToken,
) -> ApiParts {
    let packs = packs();
    let endpoints = facts(&packs, &store, &clock);
    ApiParts {
        store,
        clock,
        entropy: Arc::new(Seeded::new(11)),
        principals,
        endpoints,
        retired: Default::default(),
        packs: Arc::new(move || packs.clone()),
        settings: Settings::default(),
        tls,
        shutdown: stop,
    }
}

impl Bridge {
    /// On an SQLite of its own, which lives as long as the process.
    pub async fn start() -> Self {
        let store = stores().next().expect("SQLite is the first");
        let bridge = Self::start_on(&store.url).await;
        std::mem::forget(store);
        bridge
    }

    pub async fn start_on(url: &str) -> Self {
        Self::start_with(url, Limits::default(), |_| {}).await
    }

    /// With the north team's entries going elsewhere.
    pub async fn start_routed(url: &str, north: &str) -> Self {
        Self::start_under(url, rulebook(Limits::default(), north), |_| {}).await
    }

    pub async fn start_with(url: &str, limits: Limits, change: impl FnOnce(&mut ApiParts)) -> Self {
        Self::start_under(url, rulebook(limits, RIO), change).await
    }

    async fn start_under(url: &str, rules: Arc<Rulebook>, change: impl FnOnce(&mut ApiParts)) -> Self {
        let clock = Arc::new(SetClock::at(NOW));
        let (store, writer) = open_store(url, &clock, rules).await;
        let authority = Authority::new();
        let (certificates, key) = authority.sign("localhost");
        let tls = ServerTls {
            certificates: certificates.into_bytes(),
            key: key.into_bytes(),
            client_ca: authority.pem.clone().into_bytes(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a port");
        let address = listener.local_addr().expect("bound");
        let stop = CancellationToken::new();
        let mut parts = parts(store.clone(), clock.clone(), principals(), Some(tls), stop.clone());
        change(&mut parts);
        let served = tokio::spawn(serve(parts, listener));
        Self { store, clock, address, authority, stop, served, writer, channels: Default::default() }
    }

    /// A connection with this caller's certificate.
    pub async fn channel(&self, who: &str) -> Channel {
        let mut channels = self.channels.lock().await;
        if let Some(channel) = channels.get(who) {
            return channel.clone();
        }
        let (certificate, key) = self.authority.sign(&format!("{who}.example"));
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.authority.pem))
            .domain_name("localhost")
            .identity(Identity::from_pem(certificate, key));
        let endpoint = Endpoint::from_shared(format!("https://{}", self.address)).expect("a URI");
        let channel = endpoint.tls_config(tls).expect("TLS").connect().await.expect("connected");
        channels.insert(who.to_owned(), channel.clone());
        channel
    }

    /// A call with one answer, in raw bytes.
    pub async fn bytes(&self, who: &str, rpc: &str, request: &impl Message) -> Result<Vec<u8>, Status> {
        self.call_bytes(who, rpc, request.encode_to_vec()).await
    }

    pub async fn call_bytes(&self, who: &str, rpc: &str, request: Vec<u8>) -> Result<Vec<u8>, Status> {
        let mut grpc = tonic::client::Grpc::new(self.channel(who).await);
        grpc.ready().await.expect("connected");
        let path = format!("/ips.v1.{rpc}").parse().expect("a path");
        let answer = grpc.server_streaming(Request::new(request), path, Raw).await?;
        let first = answer.into_inner().message().await?;
        Ok(first.unwrap_or_default())
    }

    pub async fn ask<A: Message + Default>(&self, who: &str, rpc: &str, request: &impl Message) -> Result<A, Status> {
        let bytes = self.bytes(who, rpc, request).await?;
        Ok(A::decode(&bytes[..]).expect("the answer's own type"))
    }

    /// A call that must succeed.
    #[track_caller]
    pub fn done<'a, A: Message + Default>(
        &'a self,
        who: &'a str,
        rpc: &'a str,
        request: &'a impl Message,
    ) -> impl Future<Output = A> + 'a {
        let at = std::panic::Location::caller();
        async move { self.ask(who, rpc, request).await.unwrap_or_else(|s| panic!("{at}: {rpc} by {who}: {}", told(&s))) }
    }

    /// A call that must fail; the reason.
    #[track_caller]
    pub fn reason<'a>(
        &'a self,
        who: &'a str,
        rpc: &'a str,
        request: &'a impl Message,
    ) -> impl Future<Output = String> + 'a {
        let at = std::panic::Location::caller();
        async move {
            match self.bytes(who, rpc, request).await {
                Ok(_) => panic!("{at}: {rpc} by {who} was allowed"),
                Err(status) => reason_of(&status),
            }
        }
    }

    pub fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    /// Stops, and waits for the end.
    pub async fn end(self) {
        self.stop.cancel();
        drop(self.channels);
        self.served.await.expect("it did not panic").expect("it served");
        drop(self.store);
        self.writer.await.expect("everything is written");
    }
}

pub fn told(status: &Status) -> String {
    let details = status.get_error_details();
    let fields = details
        .bad_request()
        .map(|b| b.field_violations.iter().map(|v| format!("\n  {}: {}", v.field, v.description)).collect::<String>());
    format!("{:?} {}{}", status.code(), status.message(), fields.unwrap_or_default())
}

/// The reason in ErrorInfo; whatever the edge refuses has one.
pub fn reason_of(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo: {}", told(status)));
    assert_eq!(info.domain, "ips-bridge");
    info.reason.clone()
}

/// The fields that break a rule, in order.
pub fn fields_of(status: &Status) -> Vec<String> {
    assert_eq!(status.code(), Code::InvalidArgument, "{}", told(status));
    let details = status.get_error_details();
    details.bad_request().expect("field violations").field_violations.iter().map(|v| v.field.clone()).collect()
}

/// Messages as the bytes they are.
#[derive(Clone, Default)]
pub struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;
    fn encoder(&mut self) -> Self {
        Self
    }
    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;
    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(into, &item);
        Ok(())
    }
    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut item = vec![0; bytes::Buf::remaining(from)];
        bytes::Buf::copy_to_slice(from, &mut item);
        Ok(Some(item))
    }
    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::default()
    }
}
