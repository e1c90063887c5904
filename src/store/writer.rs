//! One writer. Whatever waits is taken together, decided against current rows, written in one transaction and answered after its
//! commit: the fsync in flight is the batching window, there is no timer. Settles go before accepts. A write whose caller has gone away is
//! written all the same.

use super::batch::Round;
use super::checkpoint::{self, Checkpoints};
use super::dialect::{Begun, Kept, Pool, Tx};
use super::error::{StoreError, WriteError};
use super::lock::Held;
use super::news::Alarms;
use super::reached::{Noting, Reached};
use super::recent::{Feed, Recent};
use super::rows::{Keys, View};
use super::rulebook::{Full, Rulebook};
use super::writing::Writing;
use super::{Ended, WriterEnd, batch, commit, flush};
use crate::domain::ambient::micros;
use crate::domain::ambient::{Clock, Entropy};
use crate::domain::delivery::State;
use crate::domain::organisation::EndpointId;
use jiff::Timestamp;
use sqlx::sqlite::SqliteConnectOptions;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};

/// Something to write. `decide` must look at everything before it changes the view's first row: a write that fails leaves no trace.
pub(super) trait Write: Send + 'static {
    type Answer: Send + 'static;

    /// Which rows it must see, given those already there. Called until it asks for nothing new (at most [`MAX_ROUNDS`] times).
    fn needs(&self, view: &View, keys: &mut Keys);

    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>) -> Result<Self::Answer, WriteError>;

    /// Its answer holds although it may be forgotten with the process.
    fn can_wait(&self) -> bool {
        false
    }
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
/// with room to spare; and all of it again when another bridge has written meanwhile.
pub(super) const MAX_ROUNDS: usize = 16;

/// Batches that look for what is mostly new once one has found that it was not: who sends something again often sends more of it.
const LOOK_FIRST: u8 = 32;

/// A write in the queue, its types forgotten.
trait Queued: Send {
    fn needs(&self, view: &View, keys: &mut Keys);
    fn decide(&mut self, view: &mut View, ctx: &Ctx<'_>);
    fn forget(&mut self);
    fn failed(&self) -> bool;
    fn can_wait(&self) -> bool;
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
    fn can_wait(&self) -> bool {
        self.write.can_wait()
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
    /// Batches that are on disk, as this process knows.
    pub commits: AtomicI64,
    /// Where there was no more room when it was last looked.
    pub full: Mutex<Arc<Full>>,
    /// Counted since the start.
    pub alarms: Alarms,
    /// How writing goes.
    pub writing: Arc<Writing>,
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
    /// SQLite's writing connection says that it has come to a COMMIT or a ROLLBACK.
    pub ending: Arc<Notify>,
    /// How SQLite's log is copied beside the writer.
    pub copier: Option<SqliteConnectOptions>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub signals: Arc<Signals>,
    /// Writes taken together at most.
    pub max_batch: usize,
    /// For each answer of PostgreSQL.
    pub patience: Duration,
    /// The file beside SQLite's that says how far it has come.
    pub reached: Option<Arc<Reached>>,
    /// SQLite's locks: nobody else opens the record before the last queued write is in it.
    pub _lock: Option<Arc<Held>>,
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
    /// Starts the writer, on a thread of its own: it waits for the disk several times a commit, and every time it would have to queue again
    /// behind whatever calls are being served. It ends when the last [`Writer`] is dropped and everything queued is written.
    ///
    /// # Errors
    /// The system gives no thread, or no way to wait.
    pub fn start(around: Surroundings) -> std::io::Result<(Self, WriterEnd)> {
        let (settles, settles_in) = mpsc::channel(1024);
        let (accepts, accepts_in) = mpsc::channel(1024);
        let (over, ended) = oneshot::channel();
        let mut own = tokio::runtime::Builder::new_current_thread();
        // PostgreSQL is waited for at a socket. SQLite is not, and to be woken costs less without one.
        let own = match around.pool {
            Pool::Sqlite(_) => own.enable_time().build()?,
            Pool::Postgres(_) => own.enable_all().build()?,
        };
        let spoken = tracing::dispatcher::get_default(Clone::clone);
        std::thread::Builder::new().name("store-writer".into()).spawn(move || {
            tracing::dispatcher::with_default(&spoken, || own.block_on(run(around, settles_in, accepts_in)));
            // Nobody may be waiting for it.
            let _ = over.send(Ended::Done);
        })?;
        // A panic takes the other end away unsaid.
        let end = tokio::spawn(async move { ended.await.unwrap_or(Ended::Died) });
        Ok((Self { settles, accepts }, end))
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
    let checkpoints = around.copier.clone().map(Checkpoints::start);
    let noting = around.reached.clone().map(|reached| Noting::start(reached, around.signals.clone()));
    let mut batch: Vec<Box<dyn Queued>> = Vec::new();
    let mut recent = Recent::default();
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
            write_batch(&around, &mut recent, std::mem::take(&mut batch)).await;
            if checkpoints.as_ref().is_some_and(Checkpoints::committed)
                && let Some(Kept::Sqlite(connection)) = &mut recent.connection
            {
                checkpoint::copy_what_is_left(connection).await;
            }
        }
    }
    if let Some(checkpoints) = checkpoints {
        checkpoints.end().await;
    }
    if let Some(connection) = recent.connection {
        connection.close().await;
    }
    if let Some(noting) = noting {
        noting.end().await;
    }
}

/// Why a batch did not commit.
pub(super) enum Failed {
    /// Nothing was written, and no write is to blame: the database cannot be reached.
    Away(StoreError),
    /// Nothing was written; one of the writes may be the cause.
    Before(StoreError),
    /// Nothing was written: what was decided stands on something being new, and it may not be.
    Repeated,
    /// COMMIT itself failed: nobody knows.
    AtCommit(StoreError),
}

/// Tries of a single write that a concurrent change got in the way of.
const TRIES: usize = 4;

async fn write_batch(around: &Surroundings, recent: &mut Recent, mut batch: Vec<Box<dyn Queued>>) {
    let take_for_new = recent.look_first == 0;
    recent.look_first = recent.look_first.saturating_sub(1);
    let mut result = try_batch(around, recent, &mut batch, take_for_new).await;
    if matches!(result, Err(Failed::Repeated)) {
        batch.iter_mut().for_each(|write| write.forget());
        result = try_batch(around, recent, &mut batch, false).await;
    }
    match result {
        Ok(()) => answer_all(batch, &Ok(())),
        Err(Failed::Away(e) | Failed::AtCommit(e)) => {
            around.signals.writing.failed(around.clock.steady());
            // Also a refusal may stand on something being new that nobody has looked for.
            batch.iter_mut().for_each(|write| write.forget());
            answer_all(batch, &Err(e));
        }
        // One bad write must fail its own caller only: each for itself.
        Err(Failed::Before(_) | Failed::Repeated) => one_by_one(around, recent, batch).await,
    }
}

async fn one_by_one(around: &Surroundings, recent: &mut Recent, mut batch: Vec<Box<dyn Queued>>) {
    // Nobody is answered by what was decided together.
    batch.iter_mut().for_each(|write| write.forget());
    let mut waiting = batch.into_iter();
    while let Some(write) = waiting.next() {
        let mut alone = [write];
        match alone_until_decided(around, recent, &mut alone).await {
            Ok(()) => answer_all(alone, &Ok(())),
            Err(Failed::Before(e) | Failed::AtCommit(e)) => {
                if matches!(e, StoreError::Unavailable(_) | StoreError::CommitUnknown(_)) {
                    around.signals.writing.failed(around.clock.steady());
                }
                answer_all(alone, &Err(e));
            }
            // Everything was read, so it cannot be.
            Err(Failed::Repeated) => answer_all(alone, &Err(StoreError::Conflict("what was taken for new".into()))),
            // The others need not each find out for themselves that nobody is there.
            Err(Failed::Away(e)) => {
                around.signals.writing.failed(around.clock.steady());
                return answer_all(alone.into_iter().chain(waiting), &Err(e));
            }
        }
    }
}

/// A conflict says that somebody else's change is there now: looked at again, with it, there is an answer.
async fn alone_until_decided(
    around: &Surroundings,
    recent: &mut Recent,
    alone: &mut [Box<dyn Queued>; 1],
) -> Result<(), Failed> {
    let mut tries = 1;
    loop {
        alone[0].forget();
        match try_batch(around, recent, alone, false).await {
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

/// Whatever ends otherwise than well leaves nothing remembered: what is in the database then is read again. `take_for_new`: what is mostly new, where
/// nothing else would be read beside it.
async fn try_batch(
    around: &Surroundings,
    recent: &mut Recent,
    batch: &mut [Box<dyn Queued>],
    take_for_new: bool,
) -> Result<(), Failed> {
    let writing = &around.signals.writing;
    writing.began(around.clock.steady());
    let result = decide_and_commit(around, recent, batch, take_for_new).await;
    writing.ended();
    // Where something was not new nothing was written: on SQLite what is remembered is so still.
    if matches!(&result, Err(e) if !matches!(e, Failed::Repeated)) {
        recent.forget_all();
    }
    result
}

async fn decide_and_commit(
    around: &Surroundings,
    recent: &mut Recent,
    batch: &mut [Box<dyn Queued>],
    take_for_new: bool,
) -> Result<(), Failed> {
    let mut tx = begin(around, recent).await.map_err(|e| Failed::Away(e.into()))?;
    let (mut view, feed) = match read_needs(&mut tx, around, recent, batch, take_for_new).await {
        Ok(read) => read,
        Err(e) => {
            // One that answers is kept: its place at the server may be taken meanwhile.
            if let Tx::Postgres(begun) = tx {
                recent.connection = begun.end("ROLLBACK").await.ok();
            }
            return Err(e);
        }
    };
    around.signals.open_deliveries.store(feed.open, Ordering::Relaxed);
    let full = around.signals.full();
    let rules = around.signals.rules();
    let ctx = Ctx {
        now: around.clock.now(),
        entropy: around.entropy.as_ref(),
        rules: &rules,
        open_deliveries: feed.open,
        full: &full,
    };
    let (together, before) = (batch.len() > 1, view.mark());
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
    if !view.makes_what_it_took_for_new() {
        recent.connection = Some(commit::leave(tx).await?);
        return Err(Failed::Repeated);
    }
    if batch.iter().all(|w| w.failed()) || view.mark() == before {
        recent.connection = Some(commit::leave(tx).await?);
        return Ok(());
    }
    if matches!(tx, Tx::Sqlite(_)) && batch.iter().all(|w| w.can_wait()) && view.has_only_taken_up() {
        recent.carried = Some(view.carried());
        recent.connection = Some(commit::leave(tx).await?);
        return Ok(());
    }
    let after = match flush::flush(tx, &view, feed, ctx.now, &around.ending).await {
        Ok((after, connection)) => {
            recent.connection = Some(connection);
            around.signals.writing.committed();
            after
        }
        Err(e) => {
            // A conflict took everything back, and what is carried is as good as before.
            if matches!(e, Failed::Before(StoreError::Conflict(_))) && !view.taken_for_new.is_empty() {
                recent.look_first = LOOK_FIRST;
                return Err(Failed::Repeated);
            }
            // Written or not, or what could not be: only the database knows. An alarm too many is better than one too few.
            recent.carried = None;
            if matches!(e, Failed::AtCommit(_)) {
                view.news.drain(..).for_each(|news| around.signals.alarms.tell(news));
            }
            return Err(e);
        }
    };
    let signals = &around.signals;
    signals.open_deliveries.store(after.open, Ordering::Relaxed);
    signals.commits.store(after.commits, Ordering::Relaxed);
    if after.position != feed.position {
        signals.position.send_replace(after.position);
    }

    for endpoint in with_work(&view) {
        signals.bell(endpoint).notify_one();
    }
    view.news.drain(..).for_each(|news| signals.alarms.tell(news));
    recent.learn(view, after);
    Ok(())
}

/// Endpoints whose workers may find something to do now: a lane that nobody holds, or another gate. What a claim or a begin did is in its
/// worker's hands already.
fn with_work(view: &View) -> BTreeSet<&EndpointId> {
    let waiting = view.deliveries.changed().filter(|d| d.state != State::Sending).map(|d| &d.endpoint);
    let free = view.lanes.changed().filter(|l| l.lease.is_none()).map(|l| &l.endpoint);
    waiting.chain(free).chain(view.endpoints.changed_keys()).collect()
}

/// In rounds, because one row tells which others are needed.
async fn read_needs(
    tx: &mut Tx,
    around: &Surroundings,
    recent: &mut Recent,
    batch: &mut [Box<dyn Queued>],
    take_for_new: bool,
) -> Result<(View, Feed), Failed> {
    let fresh = |recent: &Recent, alone: bool| {
        let mut view = View {
            // Nobody else writes there.
            feed: recent.feed.filter(|_| alone),
            lease_clock: micros(around.clock.steady()),
            now: micros(around.clock.now()),
            may_take_for_new: take_for_new,
            ..View::default()
        };
        recent.carried.iter().for_each(|carried| view.carry(carried));
        view
    };
    let alone = matches!(tx, Tx::Sqlite(_));
    let mut view = fresh(recent, alone);
    for _ in 0..MAX_ROUNDS {
        let mut keys = Keys::default();
        for write in batch.iter() {
            write.needs(&view, &mut keys);
        }
        match batch::load(tx, &mut view, recent, keys, &around.ending).await {
            Ok(Round::Complete) => {
                let feed = view.feed.ok_or_else(|| Failed::Before(batch::wrong("no row in the feed's table")))?;
                return Ok((view, feed));
            }
            Ok(Round::More) => {}
            Ok(Round::Outdated) => {
                recent.forget_all();
                view = fresh(recent, alone);
            }
            // What one of them asks for may be the cause. Where nobody is there, the first one alone finds that out for all.
            Err(e) => return Err(Failed::Before(e)),
        }
    }
    // Deciding without rows that were asked for would be deciding as if they did not exist.
    Err(Failed::Before(StoreError::Inconsistent {
        table: "the writer",
        what: format!("a write that still asks for rows after {MAX_ROUNDS} rounds"),
    }))
}

/// Waits until no other batch is being written. On SQLite there is none: nobody else writes. On PostgreSQL this makes the bridges' batches follow one another: each is decided
/// against everything the one before it committed, so there is no lock order to keep and no row that appears between two reads. Their commits
/// had to queue for the feed's row anyway.
async fn begin(around: &Surroundings, recent: &mut Recent) -> Result<Tx, sqlx::Error> {
    match begin_once(around, recent.connection.take()).await {
        Ok(tx) => Ok(tx),
        Err(e @ sqlx::Error::PoolTimedOut) => Err(e),
        // The connection was from before the database went away: the next one is new. Which record it finds there, and how much of it, nobody knows.
        Err(_) => {
            recent.forget_all();
            begin_once(around, None).await
        }
    }
}

/// READ COMMITTED, whatever the database's default: what is read after the wait for one's turn is read as of then.
const ONE_AFTER_ANOTHER: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT pg_advisory_xact_lock(7305172)";

async fn begin_once(around: &Surroundings, kept: Option<Kept>) -> Result<Tx, sqlx::Error> {
    let connection = match (&around.pool, kept) {
        (_, Some(Kept::Sqlite(connection))) => return Ok(Tx::Sqlite(connection)),
        (Pool::Sqlite(pool), None) => return Ok(Tx::Sqlite(pool.acquire().await?)),
        (_, Some(Kept::Postgres(connection))) => connection,
        (Pool::Postgres(pool), None) => pool.acquire().await?,
    };
    Ok(Tx::Postgres(Begun::begin(connection, ONE_AFTER_ANOTHER, around.patience).await?))
}
