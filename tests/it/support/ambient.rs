//! Time and randomness that say the same at every run.

use ips_bridge::domain::ambient::{Clock, Entropy, from_micros, micros};
use jiff::Timestamp;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// A clock that stands still until a test moves it.
pub struct SetClock {
    at: AtomicI64,
    /// How far it was set without any time going by.
    stepped: AtomicI64,
}

impl SetClock {
    /// Standing at an instant written as RFC 3339: `SetClock::at("2026-03-02T09:30:00Z")`.
    pub fn at(instant: &str) -> Self {
        let at = AtomicI64::new(micros(instant.parse().expect("an instant in RFC 3339")));
        Self { at, stepped: AtomicI64::new(0) }
    }

    /// Backwards is allowed: real clocks do that too.
    pub fn set(&self, now: Timestamp) {
        self.at.store(micros(now), Ordering::SeqCst);
    }

    /// Somebody sets the clock on the wall: nothing lasts longer for it.
    pub fn step(&self, micros: i64) {
        self.stepped.fetch_add(micros, Ordering::SeqCst);
    }

    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_micros()).expect("a test's step fits 292,000 years");
        self.at.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        from_micros(self.at.load(Ordering::SeqCst) + self.stepped.load(Ordering::SeqCst))
    }

    fn steady(&self) -> Timestamp {
        from_micros(self.at.load(Ordering::SeqCst))
    }
}

/// Randomness that follows from its seed alone, the same for ever (splitmix64, so no crate's next version changes a snapshot).
pub struct Seeded(AtomicU64);

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::SeqCst).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl Entropy for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let fresh = self.next().to_le_bytes();
            chunk.copy_from_slice(&fresh[..chunk.len()]);
        }
    }
}
