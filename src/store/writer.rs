//! One writer. Whatever waits is taken together, decided against current rows, written in one transaction and answered after its
//! commit: the fsync in flight is the batching window, there is no timer. Settles go before accepts. A write whose caller has gone away is
//! written all the same.

use super::dialect::{Pool, Tx, on};
use super::error::{StoreError, WriteError};
use super::rows::{Keys, View};
use super::rulebook::{Full, Rulebook};
use super::{batch, flush};
use crate::domain::ambient::{Clock, Entropy};
use crate::domain::organisation::EndpointId;
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// Something to write. `decide` must look at everything before it changes the view's first row: a write that fails leaves no trace.
pub(super) trait Write: Send + 'static {
    type Answer: Send + 'static;

    /// Which rows it must see, given those already there. Called until it asks for nothing new (at most [`MAX_ROUNDS`] times).
    fn needs(&self, view: &View, keys: &mut Keys);

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Self::Answer, WriteError>;
}

/// What every write may lean on.
pub(super) struct Ctx<'a> {
    pub now: Timestamp,
    pub entropy: &'a dyn Entropy,
    pub rules: &'a Rulebook,
    /// Open deliveries before this batch.
    pub open_deliveries: i64,
    /// Where there was no more room when it was last looked.
    pub full: &'a Full,
}

/// How far one row can lead to another (control id, rendering, delivery, chain, lane, and once more to see that nothing is missing),
/// with room to spare.
pub(super) const MAX_ROUNDS: usize = 8;

/// A write in the queue, its types forgotten.
trait Queued: Send {
    fn needs(&self, view: &View, keys: &mut Keys);
    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>);
    fn forget(&mut self);
    fn failed(&self) -> bool;
    fn answer(self: Box<Self>, commit: Result<(), StoreError>);
}

struct Waiting<W: Write> {
    write: W,
    decided: Option<Result<W::Answer, WriteError>>,
    reply: oneshot::Sender<Result<W::Answer, WriteError>>,
}

impl<W: Write> Queued for Waiting<W> {
    fn needs(&self, view: &View, keys: &mut Keys) {
        self.write.needs(view, keys);
    }
    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) {
        self.decided = Some(self.write.decide(view, ctx));
    }
    fn forget(&mut self) {
        self.decided = None;
    }
    fn failed(&self) -> bool {
        matches!(self.decided, Some(Err(_)))
    }
    fn answer(self: Box<Self>, commit: Result<(), StoreError>) {
        let Waiting { decided, reply, .. } = *self;
        let undecided =
            || StoreError::Inconsistent { table: "the writer", what: "a write that was never decided".into() };
        let answer = match commit {
            Ok(()) => decided.unwrap_or_else(|| Err(undecided().into())),
            // A refusal wrote nothing, whatever became of the others.
            Err(e) => Err(decided.and_then(Result::err).unwrap_or_else(|| e.into())),
        };
        // The caller may have gone away; what was committed stays committed.
        let _ = reply.send(answer);
    }
}

/// What waits outside for commits.
pub(super) struct Signals {
    /// One for each endpoint: rings after a commit that changed its lanes.
    pub bells: Mutex<HashMap<EndpointId, Arc<Notify>>>,
    /// The newest feed position committed by this process.
    pub position: watch::Sender<i64>,
    /// Open deliveries, as this process knows.
    pub open_deliveries: AtomicI64,
    /// Where there was no more room when it was last looked.
    pub full: Mutex<Arc<Full>>,
    /// What the trusts decided; an endpoint's part changes with its pack.
    pub rules: RwLock<Arc<Rulebook>>,
}

impl Signals {
    pub fn rules(&self) -> Arc<Rulebook> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn full(&self) -> Arc<Full> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn bell(&self, endpoint: &EndpointId) -> Arc<Notify> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        bells.entry(endpoint.clone()).or_default().clone()
    }
}

/// What the writer itself leans on.
pub(super) struct Surroundings {
    pub pool: Pool,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub signals: Arc<Signals>,
    /// Writes taken together at most.
    pub max_batch: usize,
    /// SQLite's lock file: nobody else opens the record before the last queued write is in it.
    pub _lock: Option<Arc<std::fs::File>>,
}

/// The way in.
#[derive(Clone)]
pub(super) struct Writer {
    settles: mpsc::Sender<Box<dyn Queued>>,
    accepts: mpsc::Sender<Box<dyn Queued>>,
}

/// Which queue a write stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Priority {
    /// Settling frees lanes and connections: first.
    Settle,
    Accept,
}

impl Writer {
    /// Starts the writer. It ends when the last [`Writer`] is dropped and everything queued is written.
    pub fn start(around: Surroundings) -> (Self, tokio::task::JoinHandle<()>) {
        let (settles, settles_in) = mpsc::channel(1024);
        let (accepts, accepts_in) = mpsc::channel(1024);
        (Self { settles, accepts }, tokio::spawn(run(around, settles_in, accepts_in)))
    }

    pub async fn write<W: Write>(&self, write: W, priority: Priority) -> Result<W::Answer, WriteError> {
        let (reply, answer) = oneshot::channel();
        let waiting: Box<dyn Queued> = Box::new(Waiting { write, decided: None, reply });
        let queue = if priority == Priority::Settle { &self.settles } else { &self.accepts };
        let stopped = || StoreError::Unavailable("the writer has stopped".into());
        queue.send(waiting).await.map_err(|_| stopped())?;
        // Without an answer nobody can say what became of it.
        answer.await.map_err(|_| WriteError::from(StoreError::CommitUnknown("the writer stopped".into())))?
    }
}

async fn run(
    around: Surroundings,
    mut settles: mpsc::Receiver<Box<dyn Queued>>,
    mut accepts: mpsc::Receiver<Box<dyn Queued>>,
) {
    let max_batch = around.max_batch;
    let mut batch: Vec<Box<dyn Queued>> = Vec::new();
    let (mut settles_open, mut accepts_open) = (true, true);
    while settles_open || accepts_open {
        tokio::select! {
            biased;
            write = settles.recv(), if settles_open => match write {
                Some(write) => batch.push(write),
                None => settles_open = false,
            },
            write = accepts.recv(), if accepts_open => match write {
                Some(write) => batch.push(write),
                None => accepts_open = false,
            },
        }
        // Whatever else waits by now, settles before accepts.
        for queue in [&mut settles, &mut accepts] {
            while batch.len() < max_batch {
                match queue.try_recv() {
                    Ok(write) => batch.push(write),
                    Err(_) => break,
                }
            }
        }
        if !batch.is_empty() {
            write_batch(&around, std::mem::take(&mut batch)).await;
        }
    }
}

/// Why a batch did not commit.
enum Failed {
    /// Nothing was written, and no write is to blame: the database cannot be reached.
    Away(StoreError),
    /// Nothing was written; one of the writes may be the cause.
    Before(StoreError),
    /// COMMIT itself failed: nobody knows.
    AtCommit(StoreError),
}

/// Tries of a single write that a concurrent change got in the way of.
const TRIES: usize = 4;

async fn write_batch(around: &Surroundings, mut batch: Vec<Box<dyn Queued>>) {
    match try_batch(around, &mut batch).await {
        Ok(()) => answer_all(batch, &Ok(())),
        Err(Failed::Away(e) | Failed::AtCommit(e)) => answer_all(batch, &Err(e)),
        // One bad write must fail its own caller only: each for itself.
        Err(Failed::Before(_)) => one_by_one(around, batch).await,
    }
}

async fn one_by_one(around: &Surroundings, batch: Vec<Box<dyn Queued>>) {
    let mut waiting = batch.into_iter();
    while let Some(write) = waiting.next() {
        let mut alone = [write];
        match alone_until_decided(around, &mut alone).await {
            Ok(()) => answer_all(alone, &Ok(())),
            Err(Failed::Before(e) | Failed::AtCommit(e)) => answer_all(alone, &Err(e)),
            // The others need not each find out for themselves that nobody is there.
            Err(Failed::Away(e)) => return answer_all(alone.into_iter().chain(waiting), &Err(e)),
        }
    }
}

/// A conflict says that somebody else's change is there now: looked at again, with it, there is an answer.
async fn alone_until_decided(around: &Surroundings, alone: &mut [Box<dyn Queued>; 1]) -> Result<(), Failed> {
    let mut tries = 1;
    loop {
        alone[0].forget();
        match try_batch(around, alone).await {
            Err(Failed::Before(StoreError::Conflict(_))) if tries < TRIES => tries += 1,
            result => return result,
        }
    }
}

fn answer_all(batch: impl IntoIterator<Item = Box<dyn Queued>>, result: &Result<(), StoreError>) {
    for write in batch {
        write.answer(result.clone());
    }
}

async fn try_batch(around: &Surroundings, batch: &mut [Box<dyn Queued>]) -> Result<(), Failed> {
    let mut tx = begin(&around.pool).await.map_err(|e| Failed::Away(e.into()))?;
    let (open, lease_clock) = batch::enter(&mut tx, around.clock.now()).await.map_err(Failed::Away)?;
    around.signals.open_deliveries.store(open, Ordering::Relaxed);
    let mut view = View { lease_clock, ..View::default() };
    read_needs(&mut tx, &mut view, batch).await.map_err(Failed::Before)?;
    let full = around.signals.full();
    let rules = around.signals.rules();
    let ctx = Ctx {
        now: around.clock.now(),
        entropy: around.entropy.as_ref(),
        rules: &rules,
        open_deliveries: open,
        full: &full,
    };
    let together = batch.len() > 1;
    for write in batch.iter_mut() {
        let mark = view.mark();
        write.decide(&mut view, &ctx);
        if together && write.failed() && view.mark() != mark {
            // Half a write in the view of the others: begin again, each for itself.
            return Err(Failed::Before(StoreError::Inconsistent {
                table: "the writer",
                what: "a write that failed half way".into(),
            }));
        }
    }
    if batch.iter().all(|w| w.failed()) {
        return on!(Tx, tx, t => t.rollback().await).map_err(|e| Failed::Before(e.into()));
    }
    let position = flush::flush(&mut tx, &view, ctx.now).await.map_err(Failed::Before)?;
    commit(tx).await?;
    let signals = &around.signals;
    signals.open_deliveries.store(open + view.opened, Ordering::Relaxed);
    if let Some(position) = position {
        signals.position.send_replace(position);
    }
    for d in view.deliveries.changed().filter(|d| d.version == 1 && d.waits_for_a_name()) {
        tracing::warn!(delivery = %d.id, endpoint = %d.endpoint, "ALARM: a withdrawal cannot name the document it takes back; a person must look in the record now");
    }
    let endpoints: BTreeSet<&EndpointId> =
        view.touched_lanes.iter().map(|(e, _)| e).chain(view.endpoints.changed_keys()).collect();
    for endpoint in endpoints {
        signals.bell(endpoint).notify_one();
    }
    Ok(())
}

/// In rounds, because one row tells which others are needed.
async fn read_needs(tx: &mut Tx, view: &mut View, batch: &mut [Box<dyn Queued>]) -> Result<(), StoreError> {
    for _ in 0..MAX_ROUNDS {
        let mut keys = Keys::default();
        for write in batch.iter() {
            write.needs(view, &mut keys);
        }
        if !batch::load(tx, view, keys).await? {
            return Ok(());
        }
    }
    // Deciding without rows that were asked for would be deciding as if they did not exist.
    Err(StoreError::Inconsistent {
        table: "the writer",
        what: format!("a write that still asks for rows after {MAX_ROUNDS} rounds"),
    })
}

async fn begin(pool: &Pool) -> Result<Tx, sqlx::Error> {
    Ok(match pool {
        // IMMEDIATE: the write lock at once, never an upgrade that could fail half way.
        Pool::Sqlite(p) => Tx::Sqlite(p.begin_with("BEGIN IMMEDIATE").await?),
        // READ COMMITTED, whatever the database's default: what is read after the wait for one's turn is read as of then.
        Pool::Postgres(p) => Tx::Postgres(p.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?),
    })
}

async fn commit(tx: Tx) -> Result<(), Failed> {
    on!(Tx, tx, t => t.commit().await).map_err(|e| {
        if is_fsync_error(&e) {
            // After a failed fsync the page cache may lie about what is on disk. Only a restart reads the truth again.
            tracing::error!("the disk refused to store the record (fsync failed); the bridge stops now so that nothing is lost: check the disk, then start it again");
            std::process::abort();
        }
        Failed::AtCommit(StoreError::CommitUnknown(StoreError::from(e).to_string()))
    })
}

/// SQLITE_IOERR and its kinds (low byte 10); PostgreSQL's own panics end its connection instead.
fn is_fsync_error(e: &sqlx::Error) -> bool {
    let sqlx::Error::Database(d) = e else { return false };
    d.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some_and(|s| {
        sqlx::error::DatabaseError::code(s).is_some_and(|c| c.parse::<i32>().is_ok_and(|n| n & 255 == 10))
    })
}
