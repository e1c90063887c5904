//! Lines on their way to somebody who may not be taking them. Whoever empties a pipe of ours can be slow, stuck or gone; what a bridge does must not
//! hang on that, so its lines are written by a thread of their own, and those for which there is no room are lost and counted.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Waiting at most: some thousand lines.
const ROOM_BYTES: usize = 1_048_576;

/// Written to like any other place, through a shared reference; it takes each piece at once and never fails.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    /// One is being written.
    is_busy: bool,
    lost: u64,
}

impl Queue {
    /// Its thread lives as long as the process. `on_loss` is told, when there is room again, how many were lost since it was told last.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(to: impl Write + Send + 'static, on_loss: fn(u64)) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Self::default());
        let shared = queue.clone();
        std::thread::Builder::new().name("lines".into()).spawn(move || shared.run(to, on_loss))?;
        Ok(queue)
    }

    /// Pieces that nobody took, since the start.
    pub fn lost(&self) -> u64 {
        self.state().lost
    }

    /// Waits until all is written, for so long at most.
    pub fn flush_within(&self, limit: Duration) {
        let is_left = |state: &mut State| state.is_busy || !state.waiting.is_empty();
        // Whether it was in time or not: there is nothing else to be done.
        drop(self.changed.wait_timeout_while(self.state(), limit, is_left));
    }

    fn run(&self, mut to: impl Write, on_loss: fn(u64)) {
        let mut told = 0;
        loop {
            let mut state = self.state();
            state.is_busy = false;
            self.changed.notify_all();
            if state.waiting.is_empty() && state.lost > told {
                let since = state.lost - told;
                told = state.lost;
                drop(state);
                on_loss(since);
                continue;
            }
            let is_idle = |state: &mut State| state.waiting.is_empty();
            let mut state = self.changed.wait_while(state, is_idle).unwrap_or_else(PoisonError::into_inner);
            let Some(piece) = state.waiting.pop_front() else { continue };
            state.bytes -= piece.len();
            state.is_busy = true;
            drop(state);
            if to.write_all(&piece).and_then(|()| to.flush()).is_err() {
                // Nobody is there any more. Said to nobody.
                self.state().lost += 1;
                told += 1;
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for &Queue {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        if state.bytes + piece.len() > ROOM_BYTES {
            state.lost += 1;
        } else {
            state.bytes += piece.len();
            state.waiting.push_back(piece.to_owned());
            self.changed.notify_all();
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    /// Hands over each piece, and waits until it is taken.
    struct Slow(SyncSender<Vec<u8>>);

    impl Write for Slow {
        fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
            self.0.send(piece.to_owned()).map(|()| piece.len()).map_err(|_| io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn slow() -> (Arc<Queue>, Receiver<Vec<u8>>) {
        let (to, taken) = sync_channel(0);
        (Queue::start(Slow(to), |_| {}).expect("a thread"), taken)
    }

    #[test]
    fn whoever_speaks_waits_for_nobody_and_what_finds_no_room_is_lost_and_counted() {
        let (queue, taken) = slow();
        let piece = [b'x'; 1024];
        // One is in hand, and may have been taken out already.
        let all = 1024 + 1 + 10;
        for _ in 0..all {
            (&*queue).write_all(&piece).expect("it never fails");
        }
        let lost = queue.lost();
        assert!((10..=11).contains(&lost), "{lost}");
        queue.flush_within(Duration::from_millis(10));
        assert_eq!(taken.recv().expect("the first").len(), 1024);
        let kept = all - usize::try_from(lost).expect("a few") - 1;
        assert_eq!(taken.iter().take(kept).count(), kept, "what found room is written when it can be");
    }

    #[test]
    fn flushing_waits_for_the_last_piece_in_hand() {
        let (queue, taken) = slow();
        let reader = std::thread::spawn(move || taken.iter().take(3).collect::<Vec<_>>());
        for line in ["one\n", "two\n", "three\n"] {
            (&*queue).write_all(line.as_bytes()).expect("it never fails");
        }
        queue.flush_within(Duration::from_secs(20));
        assert_eq!(reader.join().expect("read").concat(), b"one\ntwo\nthree\n");
        assert_eq!(queue.lost(), 0);
    }
}
