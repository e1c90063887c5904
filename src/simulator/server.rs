//! The record behind an MLLP listener, and the EPR's own messages to its partner.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::faults::{Fault, Faults, Plan, Struck};
use super::keep::{self, Keeper};
use super::late;
use super::listening::{Listening, bind};
use super::record::{Became, Record, RecordSettings};
use crate::adapter::hl7::{Envelope, NotAReply, Reply};
use crate::transport::mllp::{ClientSettings, ListenerSettings, Pool};
use crate::transport::{NotSent, Sent, Unsure};

/// Tells the time.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Messages seen but not yet looked at by a slow [`Simulator::watch`]er; the oldest go first.
const SEEN_KEPT: usize = 1024;

/// How a pretend EPR is set up.
#[derive(Clone)]
pub struct Settings {
    /// Port 0 takes a free one; see [`Simulator::addr`].
    pub listen: SocketAddr,
    /// Limits of the listener, and TLS.
    pub listener: ListenerSettings,
    /// The partner's listener, for the EPR's own messages and late acknowledgements.
    pub partner: Option<ClientSettings>,
    pub record: RecordSettings,
    /// Where the record is kept between runs: read at the start if it is there, written before a message is answered.
    pub record_file: Option<PathBuf>,
    pub faults: Faults,
    /// When a message asks for enhanced mode: how long after CA the application acknowledgement goes out.
    pub application_ack_after: Duration,
    /// What its control ids begin with; a number of 16 digits follows. At most 4 characters.
    pub control_id_prefix: String,
    /// Of the times it writes.
    pub time_zone: TimeZone,
    pub now: Now,
}

impl Settings {
    /// A free port on loopback, no partner, no file, no faults; ids beginning EPR; UTC.
    pub fn new(now: Now) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            listener: ListenerSettings::default(),
            partner: None,
            record: RecordSettings::default(),
            record_file: None,
            faults: Faults::none(),
            application_ack_after: Duration::ZERO,
            control_id_prefix: "EPR".to_owned(),
            time_zone: TimeZone::UTC,
            now,
        }
    }
}

/// Why a pretend EPR cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    #[error("cannot listen at {address}: {source}; choose a free port")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("cannot use the record file {file}: {source}")]
    RecordFile {
        file: String,
        #[source]
        source: io::Error,
    },
    #[error("{file} holds no record of a pretend EPR (line {line}); move it away to start with an empty record")]
    NotARecord { file: String, line: usize },
}

/// Why a message of the EPR's own was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum SendFailure {
    #[error("this pretend EPR was given no partner to send to")]
    NoPartner,
    #[error("the bytes have no MSH with a control id")]
    NotAMessage,
    #[error("not sent: {0}")]
    NotSent(#[source] NotSent),
    #[error("sent, with no answer: {0}")]
    Unsure(#[source] Unsure),
    #[error("answered with something else: {0}")]
    NotAReply(#[source] NotAReply),
}

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Received,
    Sent,
}

/// One message and its answer, for those who watch.
#[derive(Clone)]
pub struct Seen {
    pub at: Timestamp,
    pub direction: Direction,
    pub message: Vec<u8>,
    /// The frames that went or came back.
    pub answers: Vec<Vec<u8>>,
    /// What became of a message received.
    pub became: Option<Became>,
    pub fault: Option<Fault>,
}

/// Shows sizes only.
impl std::fmt::Debug for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seen")
            .field("direction", &self.direction)
            .field("bytes", &self.message.len())
            .field("answers", &self.answers.len())
            .field("became", &self.became)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

/// A pretend EPR that runs. Dropped without [`Simulator::shutdown`], it stops on its own soon after.
pub struct Simulator {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) settings: Settings,
    pub(super) address: SocketAddr,
    pub(super) state: Mutex<State>,
    changed: watch::Sender<u64>,
    pub(super) keeper: Option<Keeper>,
    pub(super) seen: broadcast::Sender<Arc<Seen>>,
    pub(super) listening: tokio::sync::Mutex<Option<Listening>>,
    pub(super) partner: Option<Partner>,
    pub(super) running: TaskTracker,
    pub(super) stop: CancellationToken,
}

/// Connections to the partner's listener.
pub(super) struct Partner {
    messages: Pool,
    pub(super) late: Pool,
}

pub(super) struct State {
    pub(super) record: Record,
    pub(super) plan: Plan,
    /// The control ids of messages that are being answered.
    pub(super) in_hand: Vec<String>,
    pub(super) last_answered: Option<String>,
    last_number: i64,
    version: u64,
}

impl Simulator {
    /// Listens and answers until stopped.
    ///
    /// # Errors
    /// The address cannot be had, or the record file cannot be read and written.
    pub async fn start(settings: Settings) -> Result<Self, SimulatorError> {
        let record = load(&settings)?;
        let no_listen = |source| SimulatorError::Listen { address: settings.listen, source };
        let tcp = bind(settings.listen).await.map_err(no_listen)?;
        let address = tcp.local_addr().map_err(no_listen)?;
        let partner = settings
            .partner
            .as_ref()
            .map(|p| Partner { messages: late::pool(p.clone()), late: late::pool(late::settings(p)) });
        let plan = Plan::new(settings.faults.clone());
        let state = State { record, plan, in_hand: Vec::new(), last_answered: None, last_number: 0, version: 0 };
        let (changed, changes) = watch::channel(0);
        let inner = Arc::new_cyclic(|weak: &std::sync::Weak<Inner>| {
            let weak = weak.clone();
            let snapshot = move || {
                let inner = weak.upgrade()?;
                let state = inner.state();
                Some((state.version, state.record.to_json()))
            };
            let keeper = settings.record_file.clone().map(|file| Keeper::start(file, changes, snapshot));
            Inner {
                settings,
                address,
                state: Mutex::new(state),
                changed,
                keeper,
                seen: broadcast::channel(SEEN_KEPT).0,
                listening: tokio::sync::Mutex::default(),
                partner,
                running: TaskTracker::new(),
                stop: CancellationToken::new(),
            }
        });
        *inner.listening.lock().await = Some(Listening::start(&inner, tcp));
        Ok(Self { inner })
    }

    /// Where it listens, also while it is away.
    pub fn addr(&self) -> SocketAddr {
        self.inner.address
    }

    /// The record as it is now.
    pub fn record(&self) -> Record {
        self.inner.state().record.clone()
    }

    /// Asks the record something without copying it.
    pub fn ask<T>(&self, question: impl FnOnce(&Record) -> T) -> T {
        question(&self.inner.state().record)
    }

    /// Waits until the record is as wanted; `false` when it is not within `limit`.
    pub async fn wait_for(&self, limit: Duration, mut wanted: impl FnMut(&Record) -> bool) -> bool {
        let mut changes = self.inner.changed.subscribe();
        let reached = changes.wait_for(|_| wanted(&self.inner.state().record));
        matches!(tokio::time::timeout(limit, reached).await, Ok(Ok(_)))
    }

    /// A new plan from the next message on, which counts as its first.
    pub fn set_faults(&self, faults: Faults) {
        self.inner.state().plan = Plan::new(faults);
    }

    /// Every message and its answer from now on.
    pub fn watch(&self) -> broadcast::Receiver<Arc<Seen>> {
        self.inner.seen.subscribe()
    }

    /// The EPR goes away: connections close and new ones are refused. The record stays.
    pub async fn stop_listening(&self) {
        self.inner.go_away().await;
    }

    /// The EPR is there again, at the same address.
    ///
    /// # Errors
    /// Something else has taken the port.
    pub async fn resume_listening(&self) -> Result<(), SimulatorError> {
        let no_listen = |source| SimulatorError::Listen { address: self.inner.address, source };
        self.inner.come_back().await.map_err(no_listen)
    }

    /// A control id (MSH-10) that this EPR has not used, for a message of its own.
    pub fn next_control_id(&self) -> String {
        self.inner.next_control_id()
    }

    /// Sends a message of the EPR's own to the partner's listener and waits for its acknowledgement. A REF is kept as a
    /// referral sent.
    ///
    /// # Errors
    /// Nothing came back that acknowledges it; see [`SendFailure`].
    pub async fn send(&self, message: &[u8]) -> Result<Reply, SendFailure> {
        let inner = &self.inner;
        let partner = inner.partner.as_ref().ok_or(SendFailure::NoPartner)?;
        let control_id = Envelope::peek(message).map(|e| e.control_id().into_owned()).filter(|id| !id.is_empty());
        let control_id = control_id.ok_or(SendFailure::NotAMessage)?;
        let at = inner.now();
        let referral = inner.change(|state| state.record.note_sent(message, at));
        let sent = partner.messages.send(message, &late::answers(&control_id)).await.sent;
        let answers = match &sent {
            Sent::Reply(bytes) => vec![bytes.clone()],
            Sent::NotSent(_) | Sent::Unsure(_) => Vec::new(),
        };
        inner.show(Seen {
            at,
            direction: Direction::Sent,
            message: message.to_vec(),
            answers,
            became: None,
            fault: None,
        });
        let reply = match sent {
            Sent::Reply(bytes) => Reply::read(&bytes).map_err(SendFailure::NotAReply)?,
            Sent::NotSent(why) => return Err(SendFailure::NotSent(why)),
            Sent::Unsure(why) => return Err(SendFailure::Unsure(why)),
        };
        if let Some(id) = referral {
            inner.change(|state| state.record.note_acknowledged(&id, &control_id, reply.code.as_str()));
        }
        Ok(reply)
    }

    /// Stops: messages in hand end within half a second, late acknowledgements not yet sent are not sent.
    pub async fn shutdown(self) {
        let inner = &self.inner;
        inner.stop.cancel();
        inner.go_away().await;
        inner.running.close();
        inner.running.wait().await;
        let version = inner.state().version;
        if let Some(keeper) = inner.keeper.as_ref().filter(|_| version > 0) {
            keeper.has_kept(version).await;
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.inner.stop.cancel();
    }
}

impl std::fmt::Debug for Simulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulator").field("address", &self.inner.address).finish_non_exhaustive()
    }
}

impl Inner {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Timestamp {
        (self.settings.now)()
    }

    /// Changes the state, and tells those who wait.
    pub(super) fn change<T>(&self, how: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state();
        let result = how(&mut state);
        state.version += 1;
        let version = state.version;
        drop(state);
        self.changed.send_modify(|v| *v = version.max(*v));
        result
    }

    pub(super) fn version(&self) -> u64 {
        self.state().version
    }

    /// The fault that a message meets; it is in hand from here on.
    pub(super) fn take_in_hand(&self, message: Struck<'_>) -> Option<Fault> {
        let mut state = self.state();
        state.in_hand.push(message.control_id.to_owned());
        state.plan.next(message)
    }

    /// Numbers follow the clock, so that an EPR that is started anew uses none again.
    pub(super) fn next_control_id(&self) -> String {
        let now = self.now().as_microsecond();
        let mut state = self.state();
        state.last_number = now.max(state.last_number + 1);
        format!("{}{:016}", self.settings.control_id_prefix, state.last_number)
    }

    pub(super) fn show(&self, seen: Seen) {
        // Nobody may be watching.
        let _ = self.seen.send(Arc::new(seen));
    }
}

/// The record of an earlier run, or an empty one; in both cases the file can be written.
fn load(settings: &Settings) -> Result<Record, SimulatorError> {
    let Some(path) = &settings.record_file else { return Ok(Record::new(settings.record.clone())) };
    let file = path.display().to_string();
    let record = match std::fs::read_to_string(path) {
        Ok(json) => Record::from_json(&json, settings.record.clone())
            .map_err(|e| SimulatorError::NotARecord { file: file.clone(), line: e.line() })?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => Record::new(settings.record.clone()),
        Err(source) => return Err(SimulatorError::RecordFile { file, source }),
    };
    keep::write(path, &record.to_json()).map_err(|source| SimulatorError::RecordFile { file, source })?;
    Ok(record)
}
