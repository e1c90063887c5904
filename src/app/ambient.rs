//! The real clock and the real randomness. Everything below `app` gets them as arguments.

use crate::domain::ambient::{Clock, Entropy, from_micros, micros};
use jiff::Timestamp;
use std::sync::OnceLock;
use std::time::Instant;

/// The machine's clock, to the microsecond: times are kept and taken to that, and one that was answered must be as good when it comes back.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the bridge asks what time it is")]
    fn now(&self) -> Timestamp {
        from_micros(micros(Timestamp::now()))
    }

    /// From when the process first asked: a step of the machine's clock (NTP, a moved virtual machine) must not end a lease under an attempt that is on its way.
    #[expect(clippy::disallowed_methods, reason = "the one place where the bridge asks what time it is")]
    fn steady(&self) -> Timestamp {
        static FIRST: OnceLock<(Instant, Timestamp)> = OnceLock::new();
        let (began, at) = FIRST.get_or_init(|| (Instant::now(), Timestamp::now()));
        from_micros(micros(*at).saturating_add(i64::try_from(began.elapsed().as_micros()).unwrap_or(i64::MAX)))
    }
}

/// The operating system's randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place where the bridge draws randomness")]
    fn fill(&self, bytes: &mut [u8]) {
        use rand::RngCore;
        rand::rng().fill_bytes(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_clock_tells_is_the_same_when_it_comes_back() {
        // A finer clock would hit a whole microsecond once in a thousand times.
        for _ in 0..10 {
            let now = SystemClock.now();
            assert_eq!(from_micros(micros(now)), now);
        }
    }
}
