//! Work on files that may hang: a share whose server is gone answers nothing, for ever. It is done on threads of its own, so that nobody else's work waits for
//! one, and while any of it hangs nothing more is begun.

use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicU8, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// One place where work can hang; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Beside {
    /// Below zero for a moment where one ends just as it is left alone.
    hanging: Arc<AtomicIsize>,
}

/// Not done within its time, or not begun because something else there still hangs. It may yet be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotDone {
    /// Certain: nothing of it was begun.
    NotBegun,
    Hangs,
}

const RUNS: u8 = 0;
const LEFT_ALONE: u8 = 1;
const ENDED: u8 = 2;

/// Whoever waits for it. Gone before it ended, it counts as hanging until it does.
struct Wait {
    state: Arc<AtomicU8>,
    hanging: Arc<AtomicIsize>,
}

impl Drop for Wait {
    fn drop(&mut self) {
        if self.state.compare_exchange(RUNS, LEFT_ALONE, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.hanging.fetch_add(1, Ordering::AcqRel);
        }
    }
}

/// The work itself. However it ends, it hangs no more.
struct End {
    state: Arc<AtomicU8>,
    hanging: Arc<AtomicIsize>,
}

impl Drop for End {
    fn drop(&mut self) {
        if self.state.swap(ENDED, Ordering::AcqRel) == LEFT_ALONE {
            self.hanging.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Beside {
    /// Whether something was begun here that has not ended although nobody waits for it any more.
    pub fn hangs(&self) -> bool {
        self.hanging.load(Ordering::Acquire) > 0
    }

    /// # Errors
    /// It was not begun, or has not ended within its time.
    pub async fn run<T: Send + 'static>(
        &self,
        within: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotDone> {
        if self.hangs() {
            return Err(NotDone::NotBegun);
        }
        let (tell, told) = oneshot::channel();
        let (state, hanging) = (Arc::new(AtomicU8::new(RUNS)), self.hanging.clone());
        let wait = Wait { state: state.clone(), hanging: hanging.clone() };
        let begun = std::thread::Builder::new().name("ips-files".into()).spawn(move || {
            let done = {
                let _end = End { state, hanging };
                work()
            };
            // Nobody may wait any more.
            let _ = tell.send(done);
        });
        if begun.is_err() {
            wait.state.store(ENDED, Ordering::Release);
            return Err(NotDone::NotBegun);
        }
        match tokio::time::timeout(within, told).await {
            Ok(Ok(done)) => Ok(done),
            // Out of time; or the thread ended without a word: what it did nobody knows.
            Ok(Err(_)) | Err(_) => Err(NotDone::Hangs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn while_something_hangs_nothing_more_is_begun_and_afterwards_it_goes_on() {
        let beside = Beside::default();
        let second = Duration::from_secs(20);
        assert_eq!(beside.run(second, || 7).await, Ok(7));
        let (go_on, waits) = mpsc::sync_channel::<()>(1);
        let hung = beside.run(Duration::from_millis(20), move || waits.recv().is_ok()).await;
        assert_eq!(hung, Err(NotDone::Hangs));
        for _ in 0..1000 {
            assert_eq!(beside.clone().run(second, || panic!("it is begun")).await, Err::<(), _>(NotDone::NotBegun));
        }
        go_on.send(()).expect("it waits");
        while beside.hangs() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(beside.run(second, || 8).await, Ok(8));
    }

    #[tokio::test]
    async fn whoever_goes_away_leaves_it_counted_until_it_ends() {
        let beside = Beside::default();
        let (go_on, waits) = mpsc::sync_channel::<()>(1);
        {
            let run = beside.run(Duration::from_secs(20), move || waits.recv().is_ok());
            assert!(tokio::time::timeout(Duration::from_millis(20), run).await.is_err());
        }
        assert!(beside.hangs());
        drop(go_on);
        while beside.hangs() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
