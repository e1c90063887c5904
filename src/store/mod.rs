//! The record: one [`Store`] over SQLite and PostgreSQL, the same promises on both.
//!
//! * Everything that changes goes through one writer ([`writer`]): taken together, decided against current rows, committed once, then answered.
//! * Everything that reads takes a [`Scope`]; a foreign id does not exist.
//! * `write/` holds one file for each kind of change, `read/` one for each kind of question.

mod ahead;
mod batch;
mod carried;
mod checkpoint;
mod commit;
mod dialect;
mod error;
mod flush;
mod forget;
mod late;
mod lock;
mod news;
mod open;
pub mod passing;
pub mod peek;
mod puts;
pub mod read;
mod reached;
mod recent;
pub mod record;
mod refold;
mod restored;
mod rows;
mod rowset;
mod rulebook;
mod scope;
mod sources;
mod unserved;
pub mod write;
mod writer;
mod writing;

pub use error::{OpenError, Refusal, StoreError, WriteError};
pub use rulebook::{Full, Limits, NOT_A_TEAM, Rulebook, TrustRules};
pub use scope::Scope;
pub use writing::{Trouble, Writing};

use crate::domain::ambient::{Clock, Entropy, micros};
use crate::domain::organisation::EndpointId;
use crate::domain::policy::EndpointPolicy;
use dialect::Pool;
use lock::Held;
pub use news::ALARMS;
use news::Alarms;
use reached::Reached;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;
use writer::{Priority, Signals, Surroundings, Writer};

/// Where the record is and how it is written.
#[derive(Clone)]
pub struct Settings {
    /// `sqlite://…` or `postgres://…`, with the password if it needs one. Never printed.
    pub url: String,
    /// 1 to 64.
    pub read_connections: u32,
    /// Writes taken into one transaction at most, 1 to 10,000.
    pub group_commit_max: usize,
    /// The database came back from a backup, and whoever starts the bridge knows: it is opened also where it is older than what was done, and
    /// [`Store::park_restored`] is to be called before anything is sent.
    pub restored: bool,
    /// How long the writer waits for each answer of PostgreSQL: [`ANSWER_WITHIN`].
    pub answer_within: Duration,
}

/// Longer than a batch may wait for those of other bridges (`lock_timeout`, 30 s): whoever says nothing for so long says nothing any more.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(45);

/// The record. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    writer: Writer,
    readers: Pool,
    signals: Arc<Signals>,
    /// On SQLite: how far the record has come, in a file beside it.
    reached: Option<Arc<Reached>>,
    /// Held while the process lives, so that no second bridge opens the same file.
    _lock: Option<Arc<Held>>,
}

/// Ends when every [`Store`] is dropped and everything queued is on disk; before, if the writer dies.
pub type WriterEnd = tokio::task::JoinHandle<Ended>;

/// How the writer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Everything queued is on disk.
    Done,
    /// By a panic: nothing is written any more. What was answered is on disk.
    Died,
}

impl Store {
    /// Opens the record, brings its tables up to date and starts its writer.
    pub async fn open(
        settings: &Settings,
        rules: Arc<Rulebook>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<(Self, WriterEnd), OpenError> {
        let opened = open::open(&settings.url, settings.read_connections).await?;
        let (reached, commits) = match (&opened.file, &opened.writer) {
            (Some(file), Pool::Sqlite(pool)) => {
                let (reached, commits) = Reached::open(file, pool, settings.restored, clock.now()).await?;
                (Some(Arc::new(reached)), commits)
            }
            _ => (None, 0),
        };
        if settings.restored {
            // Whoever watches may have come further than this record: a position from before must not be one that it comes to, or changes are passed over.
            let now = micros(clock.now());
            // On PostgreSQL the writer's connection is made by the writer, on its own thread; on SQLite readers may not write.
            let pool = if opened.file.is_some() { &opened.writer } else { &opened.readers };
            dialect::on!(Pool, pool, p => sqlx::query("UPDATE feed SET position = $1 WHERE position < $1").bind(now).execute(p).await.map(drop))?;
        }
        let (position, open_deliveries) = read::feed(&opened.readers).await?;
        let lock = opened.lock.map(Arc::new);
        let signals = Arc::new(Signals {
            bells: Mutex::default(),
            position: watch::channel(position).0,
            open_deliveries: AtomicI64::new(open_deliveries),
            commits: AtomicI64::new(commits),
            full: Mutex::default(),
            alarms: Alarms::default(),
            writing: Arc::default(),
            rules: RwLock::new(rules),
        });
        let around = Surroundings {
            pool: opened.writer.clone(),
            ending: opened.ending,
            copier: opened.copier,
            clock,
            entropy,
            signals: signals.clone(),
            max_batch: settings.group_commit_max.max(1),
            reached: reached.clone(),
            patience: settings.answer_within,
            _lock: lock.clone(),
        };
        let (writer, end) = Writer::start(around)?;
        let store = Self { writer, readers: opened.readers, signals, reached, _lock: lock };
        Ok((store, end))
    }

    /// As they are now. Whoever asks several things of them keeps hold of one.
    pub fn rules(&self) -> Arc<Rulebook> {
        self.signals.rules()
    }

    /// An endpoint works by this policy from the next write on: its pack has changed.
    pub fn set_policy(&self, policy: Arc<EndpointPolicy>) {
        let mut rules = self.signals.rules.write().unwrap_or_else(PoisonError::into_inner);
        let mut changed = rules.as_ref().clone();
        changed.policies.insert(policy.id.clone(), policy);
        *rules = Arc::new(changed);
    }

    /// Rings after commits that may have given this endpoint's worker something to do. One ring is kept for a worker that is not waiting yet, so
    /// none is missed between looking and waiting.
    pub fn lanes_changed(&self, endpoint: &EndpointId) -> impl Future<Output = ()> + Send + use<> {
        let bell = self.signals.bell(endpoint);
        async move { bell.notified().await }
    }

    /// The newest feed position this process has committed.
    pub fn position(&self) -> watch::Receiver<i64> {
        self.signals.position.subscribe()
    }

    /// Deliveries neither filed nor cancelled, over all bridges, as of this process's last write.
    pub fn open_deliveries(&self) -> i64 {
        self.signals.open_deliveries.load(Ordering::Relaxed)
    }

    /// What a person had to be called for since the start, by endpoint and kind.
    pub fn alarms(&self) -> Vec<(EndpointId, &'static str, u64)> {
        self.signals.alarms.counted()
    }

    /// How writing goes, kept up to date.
    pub fn writing(&self) -> Arc<Writing> {
        self.signals.writing.clone()
    }

    /// Where there was no more room when it was last looked.
    pub fn full(&self) -> Arc<Full> {
        self.signals.full()
    }

    /// As many deliveries are open, over all endpoints, as there may be: new work is refused.
    pub fn is_queue_full(&self) -> bool {
        self.open_deliveries() >= self.rules().limits.max_open_deliveries
    }

    /// From now on new work is refused there; what was accepted goes on.
    pub fn set_full(&self, full: Full) {
        *self.signals.full.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(full);
    }
}

macro_rules! writes {
    ($($(#[$doc:meta])* $name:ident($write:ident) -> $answer:ty, $priority:ident;)+) => {
        impl Store {$(
            $(#[$doc])*
            pub async fn $name(&self, write: write::$write) -> Result<$answer, WriteError> {
                self.writer.write(write, Priority::$priority).await
            }
        )+}
    };
}

writes! {
    /// With what was written, to be shown without being read.
    write_and_show_note(WriteNote) -> write::WrittenNote, Accept;
    replace_note(ReplaceNote) -> record::Answered, Accept;
    withdraw_note(WithdrawNote) -> record::Answered, Accept;
    record_outcome(RecordOutcome) -> record::Answered, Accept;
    correct_outcome(CorrectOutcome) -> record::Answered, Accept;
    withdraw_outcome(WithdrawOutcome) -> record::Answered, Accept;
    create_referral(CreateReferral) -> record::Answered, Accept;
    answer_referral(AnswerReferral) -> record::Answered, Accept;
    change_referral(ChangeReferral) -> record::Answered, Accept;
    update_patient(UpdatePatient) -> record::Answered, Accept;
    /// Before the data leaves the bridge.
    audit_reads(ReadAudit) -> (), Accept;
    /// The acknowledgement to send.
    receive(Receive) -> Vec<u8>, Accept;
    /// The acknowledgement to send.
    take_in(Received) -> Vec<u8>, Accept;
    /// The acknowledgement to send; `None`: something came under its id before, and nothing was written.
    take_in_new(TakenForNew) -> Option<Vec<u8>>, Accept;
    reprocess(Reprocess) -> record::Answered, Accept;
    operate(Operate) -> record::Answered, Accept;
    set_paused(SetPaused) -> record::Answered, Accept;
    backfill(Backfill) -> record::Answered, Accept;
    change_pack(ChangePack) -> record::Answered, Settle;
    /// What is in force from then on.
    put_in_force(PutInForce) -> record::ActiveConfig, Settle;
    claim(Claim) -> Vec<write::Claimed>, Settle;
    begin(Begin) -> write::Begun, Settle;
    /// The delivery as it is now.
    settle(Settle) -> crate::domain::delivery::Delivery, Settle;
    /// The delivery it was credited to.
    take_late(Late) -> Option<crate::domain::ids::DeliveryId>, Settle;
    /// The delivery it was about.
    report(Report) -> write::Reported, Settle;
    said(Said) -> record::Answered, Settle;
    knock(Knock) -> (), Settle;
    hear_of_death(HeardOfDeath) -> (), Settle;
    reconcile(Reconcile) -> record::Answered, Settle;
}

impl Store {
    pub async fn write_note(&self, write: write::WriteNote) -> Result<record::Answered, WriteError> {
        Ok(self.write_and_show_note(write).await?.answered)
    }
}

#[cfg(test)]
mod plans_tests;
