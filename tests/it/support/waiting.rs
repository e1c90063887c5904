//! Patience with an end.

use std::panic::Location;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Looks every 5 ms whether it has come true; fails the test, naming its line, when it has not within the time given.
/// `what` completes the sentence "waited 2s in vain for …".
#[track_caller]
pub fn wait_until(within: Duration, what: &str, mut has_come: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let asked_at = Location::caller();
    async move {
        let end = Instant::now() + within;
        while !has_come().await {
            assert!(Instant::now() < end, "{asked_at}: waited {within:?} in vain for {what}");
            sleep(Duration::from_millis(5)).await;
        }
    }
}
