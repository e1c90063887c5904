//! Batches under way. A large one takes longer than a call or a sender waits: it goes on without them, and the same bytes again join it instead
//! of beginning anew, so that it is taken once, in its order, and answered whole.

use crate::domain::ambient::Clock;
use crate::store::{StoreError, WriteError};
use jiff::{SignedDuration, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// So many of one endpoint are in memory at once; further ones wait before anything of them is taken.
const AT_ONCE: usize = 4;
/// How long the answers of one that nobody waits for any more are kept for the next who asks.
const KEPT_FOR: SignedDuration = SignedDuration::from_mins(10);

/// The answers of all its messages.
pub(super) type Outcome = Result<Vec<Vec<u8>>, WriteError>;

/// SHA-256 of its bytes.
pub(super) type Key = [u8; 32];

/// What came of one, and when; nothing yet: it is under way.
type Ended = Option<(Timestamp, Outcome)>;

/// One endpoint's.
pub struct Batches {
    known: Mutex<HashMap<Key, watch::Receiver<Ended>>>,
    room: Arc<Semaphore>,
    /// One after the other, in the order they came.
    turn: Arc<tokio::sync::Mutex<()>>,
    stop: CancellationToken,
}

impl Default for Batches {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
            turn: Arc::default(),
            stop: CancellationToken::new(),
        }
    }
}

impl Batches {
    /// Those under way end after the message in hand. Whoever waits is not answered, and sends again.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Key, watch::Receiver<Ended>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `take` is called once, however many ask; it is to end early when what it is given is cancelled.
    pub(super) async fn taken<F>(
        self: &Arc<Self>,
        key: Key,
        clock: Arc<dyn Clock>,
        take: impl FnOnce(CancellationToken) -> F + Send,
    ) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let broken_off = || Err(StoreError::CommitUnknown("taking the batch in broke off".into()).into());
        let joined = {
            let mut known = self.known();
            forget_old(&mut known, clock.now());
            known.get(&key).cloned()
        };
        let mut ended = match joined {
            Some(ended) => ended,
            None => {
                // Who gives up here has begun nothing.
                let Ok(place) = self.room.clone().acquire_owned().await else { return broken_off() };
                let (tell, ended) = watch::channel(None);
                let mut known = self.known();
                // Somebody else may have begun it while we waited.
                if let Some(first) = known.get(&key).cloned() {
                    first
                } else {
                    forget_old(&mut known, clock.now());
                    known.insert(key, ended.clone());
                    let (batches, work) = (self.clone(), take(self.stop.clone()));
                    let whole = async move {
                        let turn = batches.turn.clone().lock_owned().await;
                        let outcome = work.await;
                        drop((turn, place));
                        // What failed begins anew with the next who asks.
                        if outcome.is_err() {
                            batches.known().remove(&key);
                        }
                        tell.send_replace(Some((clock.now(), outcome)));
                    };
                    tokio::spawn(whole.in_current_span());
                    ended
                }
            }
        };
        let outcome = match ended.wait_for(Option::is_some).await.as_deref() {
            Ok(Some((_, outcome))) => outcome.clone(),
            Ok(None) | Err(_) => broken_off(),
        };
        // It has been told: sent once more, what was refused is looked at anew.
        let mut known = self.known();
        if known.get(&key).is_some_and(|present| present.same_channel(&ended)) {
            known.remove(&key);
        }
        outcome
    }
}

fn forget_old(known: &mut HashMap<Key, watch::Receiver<Ended>>, now: Timestamp) {
    let old = |at: &Timestamp| now.duration_since(*at) >= KEPT_FOR;
    known.retain(|_, ended| !ended.borrow().as_ref().is_some_and(|(at, _)| old(at)));
    let newest_first = |known: &HashMap<Key, watch::Receiver<Ended>>| {
        let mut all: Vec<_> = known.iter().filter_map(|(key, e)| Some((e.borrow().as_ref()?.0, *key))).collect();
        all.sort_by(|a, b| b.cmp(a));
        all
    };
    for (_, key) in newest_first(known).into_iter().skip(AT_ONCE - 1) {
        known.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Fixed;

    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    fn key(n: u8) -> Key {
        [n; 32]
    }

    /// One that counts how often it was begun, and ends when it is let go.
    struct Slow {
        begun: Arc<AtomicUsize>,
        go: Arc<Semaphore>,
    }

    impl Slow {
        fn new() -> Self {
            Self { begun: Arc::default(), go: Arc::new(Semaphore::new(0)) }
        }

        async fn ask(&self, batches: &Arc<Batches>, n: u8) -> Outcome {
            let (begun, go) = (self.begun.clone(), self.go.clone());
            let take = move |_| async move {
                begun.fetch_add(1, Ordering::SeqCst);
                go.acquire().await.expect("open").forget();
                Ok(vec![vec![n]])
            };
            batches.taken(key(n), Arc::new(Fixed), take).await
        }
    }

    #[tokio::test]
    async fn a_batch_goes_on_without_who_sent_it_and_the_same_bytes_join_it() {
        let (batches, slow) = (Arc::new(Batches::default()), Slow::new());
        assert!(slow.ask(&batches, 1).now_or_never().is_none(), "its sender gives up");
        let mut again = Box::pin(slow.ask(&batches, 1));
        assert!((&mut again).now_or_never().is_none());
        slow.go.add_permits(1);
        assert_eq!(again.await, Ok(vec![vec![1]]));
        assert_eq!(slow.begun.load(Ordering::SeqCst), 1);
        // It was told: the same once more is looked at anew.
        slow.go.add_permits(1);
        assert_eq!(slow.ask(&batches, 1).await, Ok(vec![vec![1]]));
        assert_eq!((slow.begun.load(Ordering::SeqCst), batches.known().len()), (2, 0));
    }

    #[tokio::test]
    async fn batches_of_one_endpoint_are_taken_one_after_the_other_and_few_wait_in_memory() {
        let (batches, slow) = (Arc::new(Batches::default()), Slow::new());
        for n in 1..=9 {
            assert!(slow.ask(&batches, n).now_or_never().is_none());
        }
        tokio::task::yield_now().await;
        assert_eq!((slow.begun.load(Ordering::SeqCst), batches.known().len()), (1, AT_ONCE));
    }

    #[tokio::test]
    async fn what_failed_begins_anew_and_what_broke_off_says_so() {
        let batches = Arc::new(Batches::default());
        let fails = |_| async { Err(StoreError::Unavailable("full".into()).into()) };
        assert!(batches.taken(key(1), Arc::new(Fixed), fails).await.is_err());
        let works = |_| async { Ok(vec![b"AA".to_vec()]) };
        assert_eq!(batches.taken(key(1), Arc::new(Fixed), works).await, Ok(vec![b"AA".to_vec()]));
        batches.stop();
        let looks = |stop: CancellationToken| async move {
            if stop.is_cancelled() { Err(StoreError::CommitUnknown("stop".into()).into()) } else { Ok(Vec::new()) }
        };
        assert!(matches!(
            batches.taken(key(2), Arc::new(Fixed), looks).await,
            Err(WriteError::Store(StoreError::CommitUnknown(_)))
        ));
    }
}
