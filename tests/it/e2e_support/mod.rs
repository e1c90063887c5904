//! The whole bridge, as its callers and its EPRs see it: configured by TOML, called by gRPC, with EPRs behind real sockets. In this process, or as a
//! process of its own that can be killed.

mod client;

use crate::support::{free_addr, stores, temp_dir};
use ips_bridge::app::{self, Running, SystemClock, SystemEntropy};
use ips_bridge::config::Config;
use ips_bridge::domain::ambient::{Clock, Entropy};
use ips_bridge::simulator::{Faults, Settings, Simulator};
use ips_bridge::wire::{self, v1};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Code, Status};
use v1::DeliveryState as State;

/// For anything that must happen by itself; generous, for debug builds on a machine that does other things too.
pub const PATIENCE: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The trust of every test.
pub const TRUST: &str = "RZ9";

/// An endpoint in TOML: what every test wants, with `own` laid over it.
pub fn endpoint(id: &str, address: SocketAddr, own: &str) -> toml::Table {
    let prefix: String = id.to_uppercase().chars().take(4).collect();
    let text = format!(
        r#"
id = "{id}"
trust = "{TRUST}"
name = "EPR {id}"
adapter = "hl7v2-uk"
transport = "mllp"
environment = "test"
filed_by = "application_ack"
acknowledged_by = "record"
control_id_prefix = "{prefix}"
after_unknown = "resend"
max_unknown_resends = 5
max_refused_retries = 2
back_off = {{ first = "20ms", cap = "100ms" }}
probe = {{ first = "20ms", cap = "100ms" }}
require_verified_nhs_number = true
[mllp]
address = "{address}"
connect_timeout = "2s"
send_timeout = "2s"
reply_timeout = "5s"
[settings]
sending_facility = "{TRUST}"
receiving_application = "EPR"
receiving_facility = "{TRUST}"
withdraw_as = "T11"
"#
    );
    let mut table: toml::Table = text.parse().expect("TOML");
    lay_over(&mut table, own.parse().expect("TOML"));
    table
}

fn lay_over(below: &mut toml::Table, above: toml::Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => lay_over(below, above),
            (_, value) => drop(below.insert(key, value)),
        }
    }
}

/// A store and a config of a test's own. Each endpoint has a team and a route of its own, both named after it.
pub struct Stage {
    folder: TempDir,
    store: crate::support::TestStore,
    endpoints: Vec<toml::Table>,
    trust: String,
    packs: PathBuf,
    live: bool,
    teams: Vec<String>,
    retired: Vec<String>,
    /// Another ODS code than the first.
    ods: Option<&'static str>,
    retired_trusts: Vec<&'static str>,
}

impl Stage {
    pub fn sqlite(endpoints: impl IntoIterator<Item = toml::Table>) -> Self {
        Self::on(stores().next().expect("SQLite"), endpoints)
    }

    pub fn postgres(endpoints: impl IntoIterator<Item = toml::Table>) -> Self {
        Self::on(stores().nth(1).expect("PostgreSQL"), endpoints)
    }

    pub fn on(store: crate::support::TestStore, endpoints: impl IntoIterator<Item = toml::Table>) -> Self {
        let packs = Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters");
        Self {
            folder: temp_dir(),
            store,
            endpoints: endpoints.into_iter().collect(),
            trust: String::new(),
            packs,
            live: false,
            teams: Vec::new(),
            retired: Vec::new(),
            ods: None,
            retired_trusts: Vec::new(),
        }
    }

    /// Lays something over an endpoint, for the next start.
    pub fn change(&mut self, endpoint: &str, own: &str) {
        let found =
            self.endpoints.iter_mut().find(|e| e["id"].as_str() == Some(endpoint)).expect("an endpoint of the stage");
        lay_over(found, own.parse().expect("TOML"));
    }

    /// Further keys of the trust, for the next start.
    pub fn trust(&mut self, own: &str) {
        self.trust = own.into();
    }

    /// Packs of the test's own, which it may change.
    pub fn packs(&mut self, folder: PathBuf) {
        self.packs = folder;
    }

    /// Nobody may call: a live endpoint and the development principal exclude each other.
    pub fn live(&mut self) {
        self.live = true;
    }

    /// Nobody sends there any more, from the next start on.
    pub fn retire(&mut self, endpoint: &str) {
        self.endpoints.retain(|e| e["id"].as_str() != Some(endpoint));
        self.retired.push(endpoint.into());
        self.team(endpoint);
    }

    /// The trust has another ODS code, from the next start on.
    pub fn call_trust(&mut self, ods: &'static str) {
        self.ods = Some(ods);
    }

    /// The trust's first ODS code is listed as retired.
    pub fn forget_trust(&mut self) {
        self.retired_trusts = vec![TRUST];
    }

    pub fn store_url(&self) -> &str {
        &self.store.url
    }

    /// One more team, which no route leads from, for the next start.
    pub fn team(&mut self, id: &str) {
        self.teams.push(id.into());
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn toml(&self) -> String {
        let ids: Vec<&str> = self.endpoints.iter().filter_map(|e| e["id"].as_str()).collect();
        let of_teams = ids.iter().copied().chain(self.teams.iter().map(String::as_str));
        let teams: Vec<String> = of_teams.map(|id| format!("{{ id = \"{id}\", name = \"Team {id}\" }}")).collect();
        let routes: String = ids
            .iter()
            .map(|id| format!("[[route]]\ntrust = \"{TRUST}\"\nentries = [\"note\", \"outcome\"]\nteams = [\"{id}\"]\nendpoint = \"{id}\"\n"))
            .collect();
        let endpoints: String = self
            .endpoints
            .iter()
            .map(|e| {
                toml::to_string(&toml::Table::from_iter([(
                    "endpoint".to_owned(),
                    toml::Value::Array(vec![e.clone().into()]),
                )]))
                .expect("TOML")
            })
            .collect();
        let store = toml::Value::String(self.store.url.clone());
        let packs = toml::Value::String(self.packs.display().to_string());
        let whole = format!(
            "retired_endpoints = {:?}\n[server]\nlisten = \"127.0.0.1:0\"\ndevelopment_principal = {}\n[store]\nurl = {store}\n[packs]\nfolder = {packs}\nlook_every = \"100ms\"\n\
             [limits]\nmin_free_disk_bytes = 1_048_576\nshutdown_grace = \"20s\"\n\
             [[trust]]\nods = \"{TRUST}\"\nname = \"Riverside\"\nteams = [{}]\n{}\n{routes}{endpoints}",
            self.retired,
            !self.live,
            teams.join(", "),
            self.trust,
        );
        let whole = whole.replace(&format!("\"{TRUST}\""), &format!("\"{}\"", self.ods.unwrap_or(TRUST)));
        format!("retired_trusts = {:?}\n{whole}", self.retired_trusts)
    }

    /// Written anew for each start.
    fn file(&self) -> PathBuf {
        let file = self.folder.path().join("bridge.toml");
        std::fs::write(&file, self.toml()).expect("the config can be written");
        file
    }

    /// What a bridge says that refuses to start.
    pub async fn does_not_start(&self) -> String {
        let stop = CancellationToken::new();
        let starting = Box::pin(app::start(self.config(), Arc::new(SystemClock), Arc::new(SystemEntropy), stop));
        match starting.await {
            Ok(_) => panic!("the bridge starts"),
            Err(e) => e.to_string(),
        }
    }

    pub fn config(&self) -> Config {
        match Config::load(&self.file(), []) {
            Ok(config) => config,
            Err(faults) => panic!("the test's config: {}", faults.iter().map(ToString::to_string).collect::<String>()),
        }
    }
}

/// A bridge in this process.
pub struct Bridge {
    running: Running,
    pub client: Client,
}

impl Bridge {
    pub async fn start(stage: &Stage) -> Self {
        Self::start_at(stage, Arc::new(SystemClock)).await
    }

    pub async fn start_at(stage: &Stage, clock: Arc<dyn Clock>) -> Self {
        let starting =
            Box::pin(app::start(stage.config(), clock.clone(), Arc::new(SystemEntropy), CancellationToken::new()));
        let running = starting.await.expect("the bridge starts");
        let client = Client::new(running.grpc, clock);
        Self { running, client }
    }

    /// As `serve --restored` does.
    pub async fn start_restored(stage: &Stage) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy = Arc::new(SystemEntropy);
        let starting = Box::pin(app::start_restored(stage.config(), clock.clone(), entropy, CancellationToken::new()));
        let running = starting.await.expect("the bridge starts");
        let client = Client::new(running.grpc, clock);
        Self { running, client }
    }

    /// Where it is called.
    pub fn grpc(&self) -> SocketAddr {
        self.running.grpc
    }

    /// What it has on record.
    pub fn store(&self) -> &ips_bridge::store::Store {
        &self.running.store
    }

    pub async fn stop(self) {
        self.running.stop().await;
    }
}

/// A bridge as a process of its own.
pub struct Process {
    child: Child,
    pub grpc: SocketAddr,
    /// From being started to saying so.
    pub ready_after: Duration,
}

impl Process {
    pub async fn start(stage: &Stage) -> Self {
        let began = Instant::now();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(stage.folder().join("bridge.log"))
            .expect("a log file");
        let mut child = Command::new(env!("CARGO_BIN_EXE_ips-bridge"))
            .args(["serve", "--until-stdin-ends", "--config"])
            .arg(stage.file())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the bridge can be started");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let mut grpc = None;
        let said = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = lines.next_line().await.expect("stdout") {
                if let Some(address) = line.strip_prefix("gRPC at ") {
                    grpc = address.trim().parse().ok();
                }
                if line == "ready" {
                    return true;
                }
            }
            false
        });
        let ready = matches!(said.await, Ok(true));
        assert!(
            ready,
            "the bridge did not become ready:\n{}",
            std::fs::read_to_string(stage.folder().join("bridge.log")).unwrap_or_default()
        );
        Self { child, grpc: grpc.expect("it says where gRPC is"), ready_after: began.elapsed() }
    }

    /// SIGKILL: no last words, no flushing, nothing.
    pub async fn kill(mut self) {
        use std::os::unix::process::ExitStatusExt;
        self.child.start_kill().expect("it can be killed");
        let status = self.child.wait().await.expect("it ends");
        assert_eq!(status.signal(), Some(9), "it had ended before it was killed: {status}");
    }

    pub async fn stop(mut self) {
        drop(self.child.stdin.take());
        let status =
            tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it stops when told to").expect("it ends");
        assert!(status.success(), "{status}");
    }
}

/// A pretend EPR that tells the real time.
pub async fn epr(change: impl FnOnce(&mut Settings)) -> Simulator {
    let mut settings = Settings::new(Arc::new(|| SystemClock.now()));
    change(&mut settings);
    Simulator::start(settings).await.expect("the pretend EPR starts")
}

pub fn faults(written: &[&str]) -> Faults {
    Faults::parse(written, 1).expect("faults")
}

/// Where nothing listens.
pub fn nobody() -> SocketAddr {
    free_addr()
}

/// A made-up person with a referral to an endpoint's team.
#[derive(Clone)]
pub struct Person {
    pub patient_id: String,
    pub referral_id: String,
    pub details: v1::PatientDetails,
}

impl Person {
    pub fn expected(&self) -> v1::ExpectedPatient {
        v1::ExpectedPatient {
            nhs_number: self.details.nhs_number.clone().unwrap_or_default(),
            date_of_birth: self.details.date_of_birth.clone(),
            family_name: self.details.name.clone().unwrap_or_default().family,
        }
    }

    pub fn nhs_number(&self) -> &str {
        self.details.nhs_number.as_deref().expect("every person here has one")
    }
}

/// The nth number of the test range 999 with a right check digit (NHS Data Dictionary, NHS NUMBER: modulus 11).
pub fn nhs_number(nth: usize) -> String {
    let with_check = |n: u32| {
        let digits = format!("{n:09}");
        let sum: u32 = digits.bytes().zip((2..=10u32).rev()).map(|(d, weight)| u32::from(d - b'0') * weight).sum();
        match 11 - sum % 11 {
            10 => None,
            11 => Some(format!("{digits}0")),
            check => Some(format!("{digits}{check}")),
        }
    };
    (999_000_100..).filter_map(with_check).nth(nth).expect("there are many")
}

pub fn author() -> v1::Author {
    v1::Author {
        staff_id: "S1".into(),
        display_name: "Alex Morgan".into(),
        role_title: "Employment Specialist".into(),
        organisation_ods: TRUST.into(),
    }
}

pub fn details(nth: usize) -> v1::PatientDetails {
    v1::PatientDetails {
        nhs_number: Some(nhs_number(nth)),
        nhs_number_status: v1::NhsNumberStatus::Verified.into(),
        local_identifiers: vec![v1::LocalIdentifier {
            assigning_authority: TRUST.into(),
            value: format!("H{nth:05}"),
            r#type: "MRN".into(),
        }],
        name: Some(v1::PersonName { family: format!("Testfamily{}", letters(nth)), given: "Sam".into(), prefix: None }),
        date_of_birth: "1990-05-17".into(),
        gender: v1::Gender::NotKnown.into(),
        address: None,
        phone: None,
    }
}

fn letters(nth: usize) -> String {
    nth.to_string().bytes().map(|d| (b'a' + (d - b'0')) as char).collect()
}

/// A caller.
#[derive(Clone)]
pub struct Client {
    pub channel: Channel,
    clock: Arc<dyn Clock>,
}

pub fn request_id() -> String {
    let mut random = [0; 16];
    SystemEntropy.fill(&mut random);
    uuid::Builder::from_random_bytes(random).into_uuid().to_string()
}

/// What a write said.
#[derive(Clone)]
pub struct Written {
    pub note: v1::ProgressNote,
    /// Its own, the newest.
    pub delivery: v1::Delivery,
}

impl Written {
    fn of(note: Option<v1::ProgressNote>, deliveries: Vec<v1::Delivery>) -> Self {
        let note = note.expect("the note");
        let delivery =
            deliveries.into_iter().find(|d| d.subject_version == note.version).expect("a delivery of this version");
        Self { note, delivery }
    }

    pub fn id(&self) -> &str {
        &self.delivery.id
    }

    /// TXA-12.
    pub fn document(&self) -> String {
        document_id(&self.delivery)
    }
}

/// TXA-12 of what a delivery brings: our id of the document, and the pack's namespace.
pub fn document_id(delivery: &v1::Delivery) -> String {
    format!("{}^IPS", delivery.document_id)
}

/// A delivery in a line, for when it is not as it should be.
pub fn shown(d: &v1::Delivery) -> String {
    let steps: Vec<&str> = d.timeline.iter().map(|s| s.what.as_str()).collect();
    format!(
        "{} {} attempts {} ({}): {}",
        d.state().as_str_name(),
        d.park_reason().as_str_name(),
        d.attempts,
        d.author_sentence,
        steps.join(" | ")
    )
}

/// Whether a call may be tried again as it is: nobody answered, or somebody who was about to be killed.
pub fn is_connection_fault(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded | Code::Internal
    )
}
