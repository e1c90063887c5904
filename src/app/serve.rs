//! Start and stop.

use super::edge::{self, EdgeParts};
use super::endpoints::{self, Ready};
use super::in_force;
use super::metrics::{self, Metrics};
use super::packs::{self, Keeper, PackFolder, Slot};
use super::room::{self, Room};
use super::senders;
use super::tls;
use crate::adapter::Format;
use crate::config::{Config, Endpoint, StoreUrl, Transport};
use crate::domain::ambient::{Clock, Entropy};
use crate::domain::hold;
use crate::domain::organisation::EndpointId;
use crate::domain::policy::{AckMode, Environment};
use crate::inbound::folder::{self, FolderSource};
use crate::inbound::mesh::{self, MeshSource};
use crate::inbound::{Batches, Source, receive, receive_cut_off, receive_fhir, receive_xml, unheard, unheard_xml};
use crate::outbox;
use crate::store::{
    self, Ended, Limits, OpenError, Rulebook, Scope, Settings, Store, StoreError, TrustRules, WriterEnd, passing,
};
use crate::transport::mllp::{Answer, Listener, ListenerSettings, Received};
use crate::transport::{Sender, https};
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Why the bridge does not start: everything that is wrong, one sentence each.
#[derive(Debug, thiserror::Error)]
#[error("{}", .what.join("\n"))]
pub struct StartError {
    pub(super) what: Vec<String>,
    /// Nothing is wrong with the configuration: the same start may go well later.
    pub may_pass: bool,
}

impl StartError {
    pub(super) fn one(what: impl std::fmt::Display) -> Self {
        Self::all(vec![what.to_string()])
    }

    pub(super) fn all(what: Vec<String>) -> Self {
        Self { what, may_pass: false }
    }
}

impl From<OpenError> for StartError {
    fn from(e: OpenError) -> Self {
        Self { may_pass: e.may_pass(), ..Self::one(e) }
    }
}

impl From<StoreError> for StartError {
    fn from(e: StoreError) -> Self {
        Self { may_pass: e.may_pass(), ..Self::one(e) }
    }
}

/// A bridge that serves.
pub struct Running {
    pub grpc: SocketAddr,
    pub metrics: Option<SocketAddr>,
    /// Where EPRs send to, by endpoint.
    pub listeners: Vec<Listening>,
    pub store: Store,
    stop: CancellationToken,
    parts: JoinSet<()>,
    writer: WriterEnd,
    grace: Duration,
}

/// Where an endpoint's EPR may send to.
pub struct Listening {
    pub endpoint: EndpointId,
    pub address: SocketAddr,
    pub how: &'static str,
}

impl Running {
    /// Takes nothing new, finishes what is in hand, at most for the configured grace. How the record's writer ended, if it did.
    pub async fn stop(mut self) -> Option<Ended> {
        self.stop.cancel();
        let finish = async {
            while self.parts.join_next().await.is_some() {}
            drop(self.store);
            self.writer.await.ok()
        };
        let finished = tokio::time::timeout(self.grace, finish).await;
        if finished.is_err() {
            tracing::warn!("the bridge stopped before everything in hand was finished; it goes on at the next start");
        }
        finished.ok().flatten()
    }
}

/// Starts everything config asks for. `stop` ends it; [`Running::stop`] waits for the end. Where `stop` comes to be cancelled and nobody asked for it, a
/// part has ended that the bridge cannot do without, and has logged why.
pub async fn start(
    config: Config,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    stop: CancellationToken,
) -> Result<Running, StartError> {
    begin(config, clock, entropy, stop, false).await
}

/// The same, on a record that was put back from a backup: what is open in it is parked first ([`Store::park_restored`]).
pub async fn start_restored(
    config: Config,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    stop: CancellationToken,
) -> Result<Running, StartError> {
    begin(config, clock, entropy, stop, true).await
}

async fn begin(
    config: Config,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    stop: CancellationToken,
    restored: bool,
) -> Result<Running, StartError> {
    let not_live: Vec<String> = config.check_live(hold::IMPLEMENTED).iter().map(ToString::to_string).collect();
    if !not_live.is_empty() {
        return Err(StartError::all(not_live));
    }
    let settings = Settings {
        url: url(&config.store),
        read_connections: config.store.read_connections,
        group_commit_max: config.store.group_commit_max,
        restored,
        answer_within: store::ANSWER_WITHIN,
    };
    let rules = Arc::new(rulebook(&config));
    let (store, writer) = Store::open(&settings, rules, clock.clone(), entropy.clone()).await?;
    match Box::pin(wired(config, store, clock, entropy, stop, restored)).await {
        Ok(running) => Ok(running(writer)),
        Err(e) => {
            // The record is let go before this is told: whoever starts the next one must not find it in use.
            let _ = tokio::time::timeout(LET_GO, writer).await;
            Err(e)
        }
    }
}

/// How long a start that fails waits for the parts it had begun.
const LET_GO: Duration = Duration::from_secs(5);

/// Without its writer a bridge would answer everybody that it cannot, and send nothing, and look well: it stops, and whoever supervises it starts
/// another one. While it stops the writer ends when everything is written.
async fn watched(writer: WriterEnd, ready: watch::Sender<bool>, stop: CancellationToken) -> Ended {
    let ended = writer.await.unwrap_or(Ended::Died);
    ready.send_replace(false);
    if ended == Ended::Died || !stop.is_cancelled() {
        tracing::error!(
            "the record's writer ended by itself (what is logged just before this says where); nothing can be accepted or sent without it, and the bridge stops: nothing that was answered is lost; start it again, and report this with the log"
        );
        stop.cancel();
    }
    ended
}

async fn wired(
    config: Config,
    store: Store,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    stop: CancellationToken,
    restored: bool,
) -> Result<impl FnOnce(WriterEnd) -> Running, StartError> {
    let scope = Scope::system();
    let (endpoints, keeper, unrecorded) = with_packs(&config, &store, &senders::ambient(&clock, &entropy)).await?;
    known(&config, &store, &scope).await?;
    keeper.keeps_environments().await?;
    if restored {
        let parked = store.park_restored().await.map_err(|e| StartError { may_pass: true, ..StartError::one(e) })?;
        tracing::warn!(
            parked,
            "the record was put back from a backup: what was open in it is parked as OUTCOME_UNKNOWN; look in the records, then retry or cancel each (`ips-bridge outbox list --reason outcome-unknown`)"
        );
    }
    for what in endpoints::cannot_be_made(&config, &endpoints) {
        tracing::warn!("{what}");
    }

    let mut parts = JoinSet::new();
    let metrics = Arc::new(Metrics::new(edge::watched(&config, &endpoints), clock.clone()));
    let (ready, is_ready) = watch::channel(false);
    let metrics_page = edge::metrics_page(&config, &metrics, is_ready, &stop).await?;
    let edge_parts = EdgeParts {
        config: &config,
        keeper: &keeper,
        endpoints: &endpoints,
        store: &store,
        clock: &clock,
        entropy: &entropy,
        stop: &stop,
    };
    let (grpc, serve) = edge::bind(edge_parts).await?;
    let mut listeners = Vec::new();
    for endpoint in &endpoints {
        listeners.extend(listen(endpoint, &store, &clock, &entropy, &stop, &mut parts).await?);
        listeners.extend(listen_https(endpoint, &store, &clock, &entropy, &stop, &mut parts).await?);
        if let Some(source) = folders(endpoint, &store, &clock) {
            parts.spawn(folder::watch(source, stop.clone()));
        }
        if let Some(source) = mailbox(endpoint, &store, &clock, &entropy) {
            parts.spawn(mesh::watch(source, stop.clone()));
        }
    }
    // Everything is bound: from here on a start does not fail for what is ours, and nothing was sent yet.
    for (slot, why) in unrecorded {
        keeper.record(&slot, why).await?;
    }
    keeper.put_in_force().await?;
    let metrics_address = metrics_page.map(|(address, serve)| {
        parts.spawn(serve);
        address
    });
    parts.spawn(end_batches(endpoints.iter().map(|e| e.batches.clone()).collect(), stop.clone()));
    let shared = outbox::Shared { store: store.clone(), scope, clock: clock.clone(), entropy, watch: metrics.clone() };
    for endpoint in endpoints {
        parts.spawn(outbox::run(shared.clone(), outbox_endpoint(endpoint, &config), stop.clone()));
    }
    parts.spawn(outbox::settle_retired(store.clone(), config.retired_endpoints.clone(), stop.clone()));
    parts.spawn(serve);
    parts.spawn(keeper.watch(stop.clone()));
    parts.spawn(metrics::keep_fresh(metrics, store.clone(), stop.clone()));
    parts.spawn(room::keep(Room::new(&config), store.clone(), stop.clone()));
    let of = |e: &Endpoint| (e.id.clone(), e.ignored_raw_retention());
    let ignored: Vec<(EndpointId, Duration)> = config.endpoints.iter().filter(|e| e.listens()).map(of).collect();
    let retention = config.limits.request_id_retention;
    let all = config.endpoints.iter().map(|e| e.id.clone()).collect();
    parts.spawn(outbox::put_right(store.clone(), clock.clone(), all, stop.clone()));
    parts.spawn(housekeeping(store.clone(), clock, retention, ignored, stop.clone()));
    ready.send_replace(true);
    Ok(move |writer| Running {
        grpc,
        metrics: metrics_address,
        listeners,
        store,
        writer: tokio::spawn(watched(writer, ready, stop.clone())),
        stop,
        parts,
        grace: config.limits.shutdown_grace,
    })
}

/// Endpoints whose pack has yet to be recorded as the active one, and why.
type Unrecorded = Vec<(Arc<Slot>, &'static str)>;

/// Every endpoint with the pack that is active for it, and who keeps it so. Its policy is in the rulebook from then on.
async fn with_packs(
    config: &Config,
    store: &Store,
    ambient: &https::Ambient,
) -> Result<(Vec<Ready>, Arc<Keeper>, Unrecorded), StartError> {
    let used: BTreeSet<String> = config.endpoints.iter().map(|e| e.adapter.to_string()).collect();
    let folder = Arc::new(PackFolder::read_all(config.packs.folder.clone(), used));
    let (mut endpoints, mut slots, mut unrecorded) = (Vec::new(), Vec::new(), Vec::new());
    for packs::Begun { ready, refused, because } in packs::begin(config, &folder, store, ambient).await? {
        let Some(trust) = config.trust(&ready.config.trust) else { continue };
        store.set_policy(ready.in_use.now().policy.clone());
        let slot = Arc::new(Slot::new(ready.config.clone(), trust.clone(), ready.in_use.clone(), refused));
        unrecorded.extend(because.map(|why| (slot.clone(), why)));
        slots.push(slot);
        endpoints.push(ready);
    }
    let keeper = Keeper {
        folder,
        store: store.clone(),
        slots,
        look_every: config.packs.look_every,
        turn: tokio::sync::Mutex::default(),
    };
    Ok((endpoints, Arc::new(keeper), unrecorded))
}

/// Policies come with the packs.
fn rulebook(config: &Config) -> Rulebook {
    let trusts: HashMap<_, _> = config
        .trusts
        .iter()
        .map(|t| {
            let rules = TrustRules {
                name: t.name.clone(),
                release_after: t.release_after,
                untouched_after: t.untouched_after,
                time_zone: t.time_zone.clone(),
                teams: t.teams.iter().map(|team| team.id.clone()).collect(),
            };
            (t.ods.clone(), rules)
        })
        .collect();
    Rulebook { policies: HashMap::new(), routes: config.routes.clone(), trusts, limits: limits(&config.limits) }
}

fn limits(limits: &crate::config::Limits) -> Limits {
    let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    Limits {
        max_open_deliveries: count(limits.max_open_deliveries),
        max_open_deliveries_per_endpoint: count(limits.max_open_deliveries_per_endpoint),
    }
}

/// The store's URL, with the password where it needs one.
pub fn url(store: &crate::config::Store) -> String {
    match &store.url {
        StoreUrl::Sqlite(path) => format!("sqlite://{}", path.display()),
        StoreUrl::Postgres(url) => match (&store.password, url.split_once('@')) {
            (Some(password), Some((user, rest))) => format!("{user}:{}@{rest}", percent(password.expose())),
            _ => url.clone(),
        },
    }
}

/// Percent-encodes everything that has a meaning in a URL.
fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { (b as char).to_string() } else { format!("%{b:02X}") })
        .collect()
}

/// What waits at an endpoint that nobody serves would wait for ever, unseen; what is told of patients of a trust that nobody serves would find nobody.
async fn known(config: &Config, store: &Store, scope: &Scope) -> Result<(), StartError> {
    let open = store.endpoints_with_open_deliveries(scope).await?;
    let missing = unserved(config, &open, &store.trusts_of_patients().await?);
    if missing.is_empty() { Ok(()) } else { Err(StartError::all(missing)) }
}

/// A sentence for each endpoint at which something waits, and for each trust with patients, which config does not know.
pub fn unserved(config: &Config, open: &[String], trusts: &[String]) -> Vec<String> {
    let known = |id: &str| {
        config.endpoints.iter().any(|e| e.id.as_str() == id)
            || config.retired_endpoints.iter().any(|e| e.as_str() == id)
    };
    let known_trust = |ods: &str| {
        config.trusts.iter().any(|t| t.ods.as_str() == ods) || config.retired_trusts.iter().any(|t| t.as_str() == ods)
    };
    let endpoints = open.iter().filter(|id| !known(id)).map(|id| {
        format!("endpoint {id} has open deliveries or parked messages and config does not have it; put it back, or list it in retired_endpoints")
    });
    let trusts = trusts.iter().filter(|ods| !known_trust(ods)).map(|ods| {
        format!("trust {ods} has patients in the record and config does not have it: what an EPR tells of them would find nobody, and nobody could correct or withdraw what was written; put it back (a trust that was given a new ODS code goes on under the one it began with), or list it in retired_trusts")
    });
    endpoints.chain(trusts).collect()
}

fn outbox_endpoint(ready: Ready, config: &Config) -> outbox::Endpoint {
    let trust = config.trust(&ready.config.trust);
    let staff = trust.map(|t| t.staff.clone());
    let id = ready.config.id.clone();
    let maintenance = ready.config.maintenance.clone();
    let transport = ready.config.transport.clone();
    outbox::Endpoint {
        late_replies_on_connection: ready.config.transport.late_replies_on_connection(),
        answered: outbox::Answered::default(),
        lease: ready.config.lease,
        probe: ready.config.probe,
        max_in_flight: ready.config.max_in_flight_lanes,
        max_per_minute: ready.config.max_per_minute,
        maintenance: Box::new(move |now| maintenance.until(now)),
        control_id_prefix: ready.config.control_id_prefix.clone(),
        staff: Box::new(move |staff_id| {
            staff.as_ref().and_then(|t| t.find(staff_id, &id)).map(|s| (s.epr_id.clone(), s.epr_name.clone()))
        }),
        id: ready.config.id.clone(),
        config: trust.map(|t| in_force::digest(&ready.config, t)).unwrap_or_default().into(),
        in_use: ready.in_use,
        options: ready.options,
        sender: ready.sender,
        read_back: Box::new(move |fitted| endpoints::read_back(&transport, fitted)),
        strays: ready.strays,
    }
}

const _: () = assert!(
    outbox::LOOK_UP_TIME_MAX.as_millis() + outbox::TURN_WAIT_MAX.as_millis() < crate::config::LEASE_MARGIN.as_millis(),
    "a lease must outlive looking up, waiting for a turn and sending together"
);

/// The endpoint's own listener, where it has one.
async fn listen(
    ready: &Ready,
    store: &Store,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
    stop: &CancellationToken,
    parts: &mut JoinSet<()>,
) -> Result<Option<Listening>, StartError> {
    let Some(listen) = &ready.config.listen else { return Ok(None) };
    let what = |e: &dyn std::fmt::Display| {
        StartError::one(format!("endpoint {}: cannot listen on {}: {e}", ready.config.id, listen.address))
    };
    let taken = |e: std::io::Error| StartError { may_pass: passing::io(&e), ..what(&e) };
    let tcp = TcpListener::bind(listen.address).await.map_err(taken)?;
    let tls = listen.tls.as_ref().map(|t| tls::server(t, &[])).transpose().map_err(|e| what(&e))?;
    let settings = ListenerSettings {
        tls,
        max_connections: listen.max_connections as usize,
        idle_timeout: listen.idle_timeout,
        max_frame_bytes: listen.max_frame_bytes,
        ..ListenerSettings::default()
    };
    let listener = Listener::new(tcp, settings);
    let address = listener.local_addr().map_err(|e| what(&e))?;
    let allowed = listen.sources.iter().map(|s| (s.application.clone(), s.facility.clone())).collect();
    let source = Arc::new(source(ready, store, clock, entropy, listen.ack_mode, allowed));
    let answer = move |received: Received| {
        let source = source.clone();
        async move {
            let taken = if received.cut_off {
                receive_cut_off(&source, received.bytes).await
            } else {
                receive(&source, received.bytes).await
            };
            Answer { frames: taken, ..Answer::default() }
        }
    };
    let stop = stop.clone();
    parts.spawn(listener.run(stop, answer));
    Ok(Some(Listening { endpoint: ready.config.id.clone(), address, how: "HL7 v2 over MLLP" }))
}

/// Batches go on without their senders, but not without the bridge.
async fn end_batches(batches: Vec<Arc<Batches>>, stop: CancellationToken) {
    stop.cancelled().await;
    batches.iter().for_each(|b| b.stop());
}

/// What receiving needs to know of an endpoint.
pub(super) fn source(
    ready: &Ready,
    store: &Store,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
    ack_mode: AckMode,
    allowed: Vec<(String, String)>,
) -> Source {
    Source {
        store: store.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        endpoint: ready.config.id.clone(),
        trust: ready.config.trust.clone(),
        in_use: ready.in_use.clone(),
        time_zone: ready.config.time_zone.clone(),
        time_zone_name: ready.in_use.now().site.trust.time_zone.clone(),
        ack_mode,
        control_id_prefix: ready.config.control_id_prefix.clone(),
        teams: ready.teams.clone(),
        team_names: ready.team_names.clone(),
        default_team: ready.config.default_team().cloned(),
        is_live: ready.config.environment == Environment::Live,
        accept: ready.config.accept(),
        keeps_ignored: !ready.config.ignored_raw_retention().is_zero(),
        batches: ready.batches.clone(),
        repeats: ready.repeats.clone(),
        allowed,
    }
}

/// The endpoint's own listener for FHIR or XML, where it has one.
async fn listen_https(
    ready: &Ready,
    store: &Store,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
    stop: &CancellationToken,
    parts: &mut JoinSet<()>,
) -> Result<Option<Listening>, StartError> {
    let Some(listen) = &ready.config.listen_https else { return Ok(None) };
    let what = |e: &dyn std::fmt::Display| {
        StartError::one(format!("endpoint {}: cannot listen on {}: {e}", ready.config.id, listen.address))
    };
    let taken = |e: std::io::Error| StartError { may_pass: passing::io(&e), ..what(&e) };
    let tcp = TcpListener::bind(listen.address).await.map_err(taken)?;
    let tls = listen.tls.as_ref().map(|t| tls::server(t, &["http/1.1"])).transpose().map_err(|e| what(&e))?;
    let settings = https::ListenerSettings {
        tls,
        bearer: listen.bearer.as_ref().map(|b| b.expose().to_owned()),
        max_connections: listen.max_connections as usize,
        request_timeout: listen.request_timeout,
        max_body_bytes: listen.max_body_bytes,
    };
    let listener = https::Listener::new(tcp, settings);
    let address = listener.local_addr().map_err(|e| what(&e))?;
    let taken_in = Arc::new(http_source(ready, store, clock, entropy));
    let is_xml = ready.in_use.now().pack.format() == Format::Xml;
    let answer = move |arrived| {
        let source = taken_in.clone();
        async move {
            // By the pack that is in use now: another may be activated while we run.
            match source.in_use.now().pack.format() {
                Format::Xml => receive_xml(&source, arrived).await,
                Format::Fhir | Format::Hl7v2 | Format::Document => receive_fhir(&source, arrived).await,
            }
        }
    };
    parts.spawn(listener.run(stop.clone(), if is_xml { unheard_xml } else { unheard }, answer));
    let how = if is_xml { "XML over HTTPS" } else { "FHIR over HTTPS" };
    Ok(Some(Listening { endpoint: ready.config.id.clone(), address, how }))
}

/// What taking in a FHIR resource, or a message of XML, needs to know of an endpoint, whichever way it comes.
fn http_source(ready: &Ready, store: &Store, clock: &Arc<dyn Clock>, entropy: &Arc<dyn Entropy>) -> Source {
    source(ready, store, clock, entropy, ready.config.ack_mode, Vec::new())
}

/// Our mailbox, where the endpoint is one.
fn mailbox(ready: &Ready, store: &Store, clock: &Arc<dyn Clock>, entropy: &Arc<dyn Entropy>) -> Option<MeshSource> {
    let (Transport::Mesh(mesh), Sender::Mesh(client)) = (&ready.config.transport, &ready.sender) else { return None };
    Some(MeshSource {
        source: http_source(ready, store, clock, entropy),
        client: client.clone(),
        their_mailbox: mesh.to_mailbox.clone(),
        ack_workflow: mesh.ack_workflow.clone(),
        poll_interval: mesh.poll_interval,
    })
}

/// The folders that files come back into, where the endpoint has some.
fn folders(ready: &Ready, store: &Store, clock: &Arc<dyn Clock>) -> Option<FolderSource> {
    let Transport::Folder(folder) = &ready.config.transport else { return None };
    let inbox = &folder.inbox;
    (inbox.results.is_some() || inbox.lists.is_some()).then(|| FolderSource {
        store: store.clone(),
        scope: Scope::system(),
        clock: clock.clone(),
        endpoint: ready.config.id.clone(),
        trust: ready.config.trust.clone(),
        name: ready.config.name.clone(),
        time_zone: ready.config.time_zone.clone(),
        in_use: ready.in_use.clone(),
        results: inbox.results.clone(),
        lists: inbox.lists.clone(),
        poll_interval: inbox.poll_interval,
        settle_time: inbox.settle_time,
        max_file_bytes: inbox.max_file_bytes,
    })
}

/// Forgets what need not be remembered any longer, once an hour.
async fn housekeeping(
    store: Store,
    clock: Arc<dyn Clock>,
    retention: Duration,
    ignored: Vec<(EndpointId, Duration)>,
    stop: CancellationToken,
) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(Duration::from_secs(3600)) => {}
        }
        let ago = |retention: Duration| {
            clock.now().checked_sub(jiff::SignedDuration::try_from(retention).unwrap_or(jiff::SignedDuration::MAX))
        };
        for (endpoint, retention) in &ignored {
            if let Ok(before) = ago(*retention)
                && let Err(e) = store.forget_ignored(endpoint, before).await
            {
                tracing::warn!(%endpoint, reason = %e, "the bytes of ignored messages could not be forgotten; trying again in an hour");
            }
        }
        if let Ok(before) = ago(retention)
            && let Err(e) = store.forget_requests(before).await
        {
            tracing::warn!(reason = %e, "old request ids could not be forgotten; trying again in an hour");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_writer_that_ends_unasked_takes_readiness_away_and_stops_everything() {
        for ended in [Ended::Died, Ended::Done] {
            let ((ready, is_ready), stop) = (watch::channel(true), CancellationToken::new());
            assert_eq!(watched(tokio::spawn(async move { ended }), ready, stop.clone()).await, ended);
            assert!(!*is_ready.borrow() && stop.is_cancelled(), "{ended:?}");
        }
    }

    #[tokio::test]
    async fn a_bridge_is_ready_until_its_writer_has_ended() {
        let ((ready, is_ready), stop) = (watch::channel(true), CancellationToken::new());
        let (end, ended) = tokio::sync::oneshot::channel();
        let writer = tokio::spawn(async move { ended.await.expect("told") });
        let watching = tokio::spawn(watched(writer, ready, stop.clone()));
        tokio::task::yield_now().await;
        assert!(*is_ready.borrow() && !stop.is_cancelled());
        stop.cancel();
        end.send(Ended::Done).expect("it is waited for");
        assert_eq!(watching.await.expect("watched"), Ended::Done);
        assert!(!*is_ready.borrow());
    }
}
