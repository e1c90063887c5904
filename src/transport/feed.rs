//! The far end pulls: one line at a time takes messages away, and the far end says of each that it has it.
//!
//! ```text
//! send: onto the line -> handed out -> confirmed            a receipt
//!       |               \-> no word in time, or the line ends   unsure
//!       \-> never handed out: no line, or it takes nothing       not sent
//! ```
//!
//! Nothing is sent over a socket from here: whoever serves the far end takes a [`Line`] and carries what it gives. What a line has given may
//! have been received; what it has not given was not.

use super::file_set::{Outcome, Receipt};
use super::{Exchange, NotSent, Redacted, Sent, Unsure};
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;

/// How long to wait for whom.
#[derive(Debug, Clone)]
pub struct FeedSettings {
    /// For a message to be taken by the line, and again for the far end's word that it has it.
    pub confirm_timeout: Duration,
    /// Messages that may be without that word at a time.
    pub max_unconfirmed: usize,
}

/// One endpoint's feed; clones share it.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

struct Inner {
    settings: FeedSettings,
    room: Arc<Semaphore>,
    state: Mutex<State>,
    /// A line has come.
    arrived: Notify,
    /// Rung for the line in hand.
    ready: Notify,
}

#[derive(Default)]
struct State {
    line: Option<Current>,
    lines: u64,
    closed: bool,
}

/// The line that takes messages now.
struct Current {
    number: u64,
    waiting: VecDeque<Offered>,
    open: HashMap<String, Waiting>,
}

struct Waiting {
    handed: Option<Instant>,
    told: oneshot::Sender<Word>,
}

enum Word {
    Confirmed,
    /// The line ended; whether the message had been handed out.
    LineEnded {
        handed: bool,
    },
}

/// A message for the far end. Its `Debug` shows no byte of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Offered {
    /// Names the message.
    pub id: String,
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offered").field("id", &self.id).field("bytes", &Redacted(self.bytes.len())).finish()
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed").field("settings", &self.0.settings).finish_non_exhaustive()
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    /// Everybody who waits for a word of this line gets the last one.
    fn end(self) {
        for waiting in self.open.into_values() {
            let _ = waiting.told.send(Word::LineEnded { handed: waiting.handed.is_some() });
        }
    }
}

impl Feed {
    pub fn new(settings: FeedSettings) -> Self {
        let room = Arc::new(Semaphore::new(settings.max_unconfirmed));
        Self(Arc::new(Inner { settings, room, state: Mutex::default(), arrived: Notify::new(), ready: Notify::new() }))
    }

    /// Takes the line over: a line before this one ends.
    pub fn attach(&self) -> Line {
        let mut state = self.0.state();
        state.lines += 1;
        let number = state.lines;
        let before = state.line.replace(Current { number, waiting: VecDeque::new(), open: HashMap::new() });
        drop(state);
        if let Some(before) = before {
            before.end();
        }
        // The one that ends and the one that begins may both be asleep.
        self.0.ready.notify_waiters();
        self.0.arrived.notify_waiters();
        Line { feed: self.0.clone(), number }
    }

    /// Whether there is a line to take messages.
    pub fn is_attached(&self) -> bool {
        self.0.state().line.is_some()
    }

    /// When the next line comes.
    pub fn arrival(&self) -> impl Future<Output = ()> + Send + '_ {
        self.0.arrived.notified()
    }

    /// The far end has this message. `false`: it is not one of those handed out that wait for this.
    pub fn confirm(&self, id: &str) -> bool {
        let mut state = self.0.state();
        let Some(line) = &mut state.line else { return false };
        if line.open.get(id).is_none_or(|w| w.handed.is_none()) {
            return false;
        }
        let told = line.open.remove(id).map(|w| w.told);
        drop(state);
        told.is_some_and(|told| told.send(Word::Confirmed).is_ok())
    }

    /// # Errors
    /// Nobody takes messages just now, or it is closed.
    pub async fn open(&self) -> Result<OpenFeed, NotSent> {
        if self.0.state().closed {
            return Err(NotSent::PoolClosed);
        }
        let room = self.0.room.clone().acquire_owned().await.map_err(|_| NotSent::PoolClosed)?;
        if self.is_attached() { Ok(OpenFeed { feed: self.0.clone(), _room: room }) } else { Err(NotSent::NobodyPulls) }
    }

    pub fn close(&self) {
        self.0.state().closed = true;
    }
}

/// Room for one message on the way.
pub struct OpenFeed {
    feed: Arc<Inner>,
    _room: OwnedSemaphorePermit,
}

impl fmt::Debug for OpenFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenFeed")
    }
}

impl OpenFeed {
    /// Offers one message. Its reply is a [`Receipt`].
    pub async fn send(&self, bytes: &[u8], id: &str) -> Exchange {
        let sent = match self.offer(bytes, id) {
            Some((number, told)) => self.wait(number, id, told).await,
            None => Sent::NotSent(NotSent::NobodyPulls),
        };
        Exchange { sent, strays: Vec::new() }
    }

    fn offer(&self, bytes: &[u8], id: &str) -> Option<(u64, oneshot::Receiver<Word>)> {
        let (told, word) = oneshot::channel();
        let mut state = self.feed.state();
        let line = state.line.as_mut()?;
        line.open.insert(id.to_owned(), Waiting { handed: None, told });
        line.waiting.push_back(Offered { id: id.to_owned(), bytes: bytes.to_vec() });
        let number = line.number;
        drop(state);
        self.feed.ready.notify_waiters();
        Some((number, word))
    }

    async fn wait(&self, number: u64, id: &str, mut told: oneshot::Receiver<Word>) -> Sent {
        let given_up = GivenUp { feed: &self.feed, number, id };
        let patience = self.feed.settings.confirm_timeout;
        let mut until = Instant::now() + patience;
        loop {
            match tokio::time::timeout_at(until, &mut told).await {
                Ok(Ok(Word::Confirmed)) => {
                    return Sent::Reply(Receipt { id: id.to_owned(), outcome: Outcome::Confirmed }.encode());
                }
                Ok(Ok(Word::LineEnded { handed: false })) => return Sent::NotSent(NotSent::NobodyPulls),
                // A word that never comes is treated as the worse of two.
                Ok(Ok(Word::LineEnded { handed: true }) | Err(_)) => return Sent::Unsure(Unsure::ClosedBeforeReply),
                Err(_) => match given_up.take_back() {
                    Some(None) => return Sent::NotSent(NotSent::NotPulled(patience)),
                    // Handed out while we waited: from then on the far end has its own time.
                    Some(Some(handed)) if Instant::now() < handed + patience => until = handed + patience,
                    Some(Some(_)) => return Sent::Unsure(Unsure::ReplyTimeout(patience)),
                    // It was told this moment.
                    None => until = Instant::now() + patience,
                },
            }
        }
    }
}

/// Whoever waits no longer takes the message off the line: what was not handed out by then never is.
struct GivenUp<'a> {
    feed: &'a Inner,
    number: u64,
    id: &'a str,
}

impl GivenUp<'_> {
    /// When it was handed out, `Some(None)`: it was not, and is off the line now. `None`: the line knows it no more.
    fn take_back(&self) -> Option<Option<Instant>> {
        let mut state = self.feed.state();
        let line = state.line.as_mut().filter(|l| l.number == self.number)?;
        let handed = line.open.get(self.id)?.handed;
        if handed.is_none() {
            line.waiting.retain(|o| o.id != self.id);
            line.open.remove(self.id);
        }
        Some(handed)
    }
}

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        let mut state = self.feed.state();
        if let Some(line) = state.line.as_mut().filter(|l| l.number == self.number) {
            line.waiting.retain(|o| o.id != self.id);
            line.open.remove(self.id);
        }
    }
}

/// The far end's side: gives one message after the other. Dropped, the line ends, and what it gave counts as possibly received.
pub struct Line {
    feed: Arc<Inner>,
    number: u64,
}

impl Line {
    /// The next message. From this moment on it may have been received. `None`: another line has taken over.
    pub async fn next(&mut self) -> Option<Offered> {
        loop {
            let mut ready = std::pin::pin!(self.feed.ready.notified());
            // Listening before looking: what comes in between is not missed.
            ready.as_mut().enable();
            {
                let mut state = self.feed.state();
                let line = state.line.as_mut().filter(|l| l.number == self.number)?;
                if let Some(offered) = line.waiting.pop_front() {
                    if let Some(waiting) = line.open.get_mut(&offered.id) {
                        waiting.handed = Some(Instant::now());
                    }
                    return Some(offered);
                }
            }
            ready.await;
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut state = self.feed.state();
        let ours = state.line.as_ref().is_some_and(|l| l.number == self.number);
        let line = if ours { state.line.take() } else { None };
        drop(state);
        if let Some(line) = line {
            line.end();
        }
    }
}

#[cfg(test)]
#[path = "feed_tests.rs"]
mod tests;
