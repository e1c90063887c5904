//! Room for connections. When there is none, the one that has brought no whole message for longest gives way to a new one: connections that
//! begin a frame and stop, or say nothing, must not keep those out that have something to say.
//!
//! One that holds a message without an answer never gives way. One that does was read no further: a frame that becomes whole at that very
//! moment is not taken, so its sender, who sees the connection end without an answer, sends it again and it is taken once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// All connections of a listener.
pub(super) struct Room {
    connections_max: usize,
    give_way_after: Duration,
    seats: Mutex<BTreeMap<u64, Arc<Place>>>,
}

struct Place {
    state: Mutex<State>,
    given_up: CancellationToken,
}

struct State {
    is: Is,
    /// When it came, or when its last message was answered.
    since: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    Waiting,
    /// A whole message is in hand.
    Busy,
    GivenUp,
}

/// One connection's place; it is free again when this is dropped.
pub(super) struct Seat {
    room: Arc<Room>,
    number: u64,
    place: Arc<Place>,
}

/// Who got in.
pub(super) struct Entered {
    pub(super) seat: Seat,
    /// How long the connection that gave way had brought nothing whole.
    pub(super) instead_of: Option<Duration>,
}

impl Room {
    pub(super) fn new(connections_max: usize, give_way_after: Duration) -> Arc<Self> {
        Arc::new(Self { connections_max, give_way_after, seats: Mutex::default() })
    }

    /// A place for connection `number`; `None`: all are taken by those that work, or came only just now.
    pub(super) fn enter(self: &Arc<Self>, number: u64, now: Instant) -> Option<Entered> {
        let mut seats = held(&self.seats);
        let instead_of = if seats.len() < self.connections_max { None } else { Some(self.give_way(&mut seats, now)?) };
        let state = State { is: Is::Waiting, since: now };
        let place = Arc::new(Place { state: Mutex::new(state), given_up: CancellationToken::new() });
        seats.insert(number, place.clone());
        Some(Entered { seat: Seat { room: self.clone(), number, place }, instead_of })
    }

    fn give_way(&self, seats: &mut BTreeMap<u64, Arc<Place>>, now: Instant) -> Option<Duration> {
        let waits = |place: &Place| {
            let state = held(&place.state);
            (state.is == Is::Waiting && now.saturating_duration_since(state.since) >= self.give_way_after)
                .then_some(state.since)
        };
        let longest = seats.iter().filter_map(|(number, place)| Some((waits(place)?, *number))).min();
        let (since, number) = longest?;
        let place = seats.remove(&number)?;
        let mut state = held(&place.state);
        if state.is != Is::Waiting {
            // Its message became whole since we looked.
            drop(state);
            seats.insert(number, place);
            return None;
        }
        state.is = Is::GivenUp;
        place.given_up.cancel();
        Some(now.saturating_duration_since(since))
    }
}

impl Seat {
    /// A whole message is in hand. `false`: the connection has given way, and the message is not taken.
    pub(super) fn begins(&self) -> bool {
        let mut state = held(&self.place.state);
        if state.is == Is::GivenUp {
            return false;
        }
        state.is = Is::Busy;
        true
    }

    /// It is answered.
    pub(super) fn answered(&self, now: Instant) {
        *held(&self.place.state) = State { is: Is::Waiting, since: now };
    }

    pub(super) async fn given_up(&self) {
        self.place.given_up.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // Who gave way has no place any more.
        held(&self.room.seats).remove(&self.number);
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AFTER: Duration = Duration::from_secs(2);

    #[test]
    fn who_is_longest_without_a_whole_message_gives_way() {
        let room = Room::new(3, AFTER);
        let begin = Instant::now();
        let enter = |number, now| room.enter(number, now);
        let seat = |number| enter(number, begin).expect("there is room").seat;
        let (one, two, three) = (seat(1), seat(2), seat(3));
        assert!(enter(4, begin).is_none(), "none has waited long enough");
        let later = begin + AFTER;
        assert!(one.begins() && two.begins());
        one.answered(later);
        // The first has just been answered, the second has a message in hand.
        let fourth = enter(4, later).expect("the third gives way");
        assert_eq!(fourth.instead_of, Some(AFTER));
        assert!(three.place.given_up.is_cancelled() && !three.begins(), "what becomes whole now is not taken");
        assert!(enter(5, later).is_none());
        drop(three);
        assert!(enter(5, later).is_none(), "its place is the fourth's");
        let last = later + AFTER;
        let entered = [enter(5, last), enter(6, last)];
        assert!(entered.iter().all(Option::is_some), "the first and the fourth give way");
        assert!(enter(7, last).is_none() && two.begins(), "a message in hand never does, however long it takes");
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let (room, now) = (Room::new(1, AFTER), Instant::now());
        let one = room.enter(1, now).expect("there is room");
        assert!(room.enter(2, now).is_none());
        drop(one);
        assert!(room.enter(3, now).is_some_and(|e| e.instead_of.is_none()));
    }
}
