//! Time and randomness come in as arguments; these are the shapes they come in.
//! The real ones are made in `app`, seeded ones in tests.

use jiff::Timestamp;

/// Tells the time. Only `app` and tests implement it.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;

    /// The same, but for how long something took or may last: it goes on evenly while the machine's clock is set. Comparable within one process.
    fn steady(&self) -> Timestamp {
        self.now()
    }
}

/// Gives random bytes. Only `app` and tests implement it.
pub trait Entropy: Send + Sync + 'static {
    fn fill(&self, bytes: &mut [u8]);
}

/// Whole microseconds since 1970: how every time is stored and compared.
pub fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The inverse of [`micros`]; a number no clock can show becomes the nearest one it can.
pub fn from_micros(us: i64) -> Timestamp {
    Timestamp::from_microsecond(us).unwrap_or(if us < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
