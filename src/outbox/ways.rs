//! How many deliveries of one endpoint are in hand: as many on their way as it has connections, and, while those come free quickly, others that are
//! made ready meanwhile or are being settled. An endpoint that is slow gains nothing by it, so there only as many are taken up as can be sent at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The longest a delivery waits for its turn on a connection. With looking up, less than what every lease leaves beside the longest send: `app` holds
/// them against each other.
pub const WAIT_MAX: Duration = Duration::from_secs(3);
/// A connection that is held longer than this makes the endpoint a slow one.
const SLOW: Duration = Duration::from_millis(500);
/// Deliveries in hand for each connection, whatever they are at.
const IN_HAND_PER_WAY: u32 = 7;
/// Of those: made ready while the connections are in use. Taken up together they cost the record one look.
const AHEAD_PER_WAY: u32 = 3;

/// One endpoint's turns.
pub struct Ways {
    count: u32,
    turns: Arc<Semaphore>,
    /// Taken up, and without a turn yet.
    ahead: AtomicU32,
    is_slow: AtomicBool,
    freed: Mutex<Instant>,
    moved: Notify,
}

/// A delivery that has no turn yet.
pub struct Ahead(Arc<Ways>);

/// The right to one connection.
pub struct Turn {
    ways: Arc<Ways>,
    since: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Ways {
    /// `count`: messages on their way at once, 1 to 1000.
    pub fn new(count: u32) -> Arc<Self> {
        Arc::new(Self {
            count,
            turns: Arc::new(Semaphore::new(count as usize)),
            ahead: AtomicU32::new(0),
            is_slow: AtomicBool::new(false),
            freed: Mutex::new(Instant::now()),
            moved: Notify::new(),
        })
    }

    /// How many more may be taken up beside so many in hand.
    pub fn room(&self, in_hand: u32) -> u32 {
        let unused = u32::try_from(self.turns.available_permits()).unwrap_or(u32::MAX);
        let freed = *self.freed.lock().unwrap_or_else(PoisonError::into_inner);
        let is_stuck = unused == 0 && freed.elapsed() > SLOW;
        let is_slow = self.is_slow.load(Ordering::Relaxed) || is_stuck;
        let may_wait = if is_slow { unused } else { self.count * AHEAD_PER_WAY };
        let ahead = self.ahead.load(Ordering::Relaxed);
        let room = (self.count * IN_HAND_PER_WAY).saturating_sub(in_hand).min(may_wait.saturating_sub(ahead));
        // Taking up costs the record a look each time: not for every one that goes, while others are ready.
        if !is_slow && ahead > 0 && room < self.count * AHEAD_PER_WAY / 2 { 0 } else { room }
    }

    /// One is taken up.
    pub fn ahead(self: &Arc<Self>) -> Ahead {
        self.ahead.fetch_add(1, Ordering::Relaxed);
        Ahead(self.clone())
    }

    /// Waits until there may be more room.
    pub async fn moved(&self) {
        self.moved.notified().await;
    }
}

impl Ahead {
    /// A turn; `None`: none came in time.
    pub async fn turn(self) -> Option<Turn> {
        let Ok(permit) = tokio::time::timeout(WAIT_MAX, self.0.turns.clone().acquire_owned()).await else {
            self.0.is_slow.store(true, Ordering::Relaxed);
            return None;
        };
        let permit = permit.ok()?;
        Some(Turn { ways: self.0.clone(), since: Instant::now(), _permit: permit })
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.ahead.fetch_sub(1, Ordering::Relaxed);
        self.0.moved.notify_one();
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.ways.is_slow.store(self.since.elapsed() > SLOW, Ordering::Relaxed);
        *self.ways.freed.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn while_connections_come_free_quickly_more_are_made_ready_than_are_on_their_way() {
        let ways = Ways::new(2);
        assert_eq!(ways.room(0), 6);
        let mut ready: Vec<Ahead> = (0..6).map(|_| ways.ahead()).collect();
        assert_eq!(ways.room(6), 0, "six wait for a turn");
        let turns = [ready.remove(0).turn().await, ready.remove(0).turn().await];
        assert_eq!(ways.room(6), 0, "two are on their way, and two more are not worth a look");
        ready.truncate(3);
        assert_eq!(ways.room(5), 3);
        ready.clear();
        assert_eq!((ways.room(8), ways.room(12), ways.room(14)), (6, 2, 0), "what is being settled counts");
        drop(turns);
        assert_eq!(ways.room(0), 6);
    }

    #[test]
    fn while_some_are_ready_others_are_taken_up_several_at_a_time() {
        let ways = Ways::new(4);
        let mut ready: Vec<Ahead> = (0..12).map(|_| ways.ahead()).collect();
        assert_eq!(ways.room(12), 0);
        ready.truncate(7);
        assert_eq!(ways.room(7), 0, "five for seven that are ready are not worth a look");
        ready.truncate(6);
        assert_eq!(ways.room(6), 6);
        ready.clear();
        assert_eq!(ways.room(27), 1, "with nothing ready, for every one");
    }

    #[test]
    fn a_slow_endpoint_takes_up_only_what_it_can_send_at_once() {
        let ways = Ways::new(2);
        let turn = |ago| Turn {
            ways: ways.clone(),
            since: Instant::now().checked_sub(ago).expect("a machine that runs for a while"),
            _permit: ways.turns.clone().try_acquire_owned().expect("free"),
        };
        let kept = turn(Duration::ZERO);
        drop(turn(SLOW * 2));
        assert_eq!(ways.room(1), 1, "one connection is unused");
        drop(kept);
        drop(turn(SLOW * 2));
        let ready = ways.ahead();
        assert_eq!(ways.room(1), 1, "two are, and one that is being made ready holds up nobody");
        drop(ready);
        let kept = turn(Duration::ZERO);
        drop(turn(Duration::ZERO));
        assert_eq!(ways.room(1), 6, "quick again");
        drop(kept);
    }
}
