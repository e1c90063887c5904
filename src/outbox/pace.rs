//! How fast an endpoint may be sent to: no more than so many a minute, so that a re-drive after weeks does not drown it.

use jiff::Timestamp;

/// A bucket that fills evenly and holds at most a second's worth (at least one).
#[derive(Debug)]
pub struct Pace {
    per_minute: Option<u32>,
    /// In sixty-thousandths of a message, so that whole milliseconds fill it exactly.
    level: u64,
    filled_at: Timestamp,
}

const ONE: u64 = 60_000;

impl Pace {
    pub fn new(per_minute: Option<u32>, now: Timestamp) -> Self {
        Self { per_minute, level: ONE, filled_at: now }
    }

    /// How many may go now, at most `wanted`.
    pub fn allowance(&mut self, wanted: u32, now: Timestamp) -> u32 {
        let Some(rate) = self.per_minute else { return wanted };
        let passed = u64::try_from(now.as_millisecond() - self.filled_at.as_millisecond()).unwrap_or(0);
        let cap = (u64::from(rate) * 1000).max(ONE);
        self.level = (self.level + passed.saturating_mul(u64::from(rate))).min(cap);
        self.filled_at = now;
        wanted.min(u32::try_from(self.level / ONE).unwrap_or(u32::MAX))
    }

    /// So many went.
    pub fn spend(&mut self, sent: u32) {
        if self.per_minute.is_some() {
            self.level = self.level.saturating_sub(u64::from(sent) * ONE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan;

    #[test]
    fn no_more_than_so_many_a_minute_go_whatever_waits() {
        let mut now = Timestamp::UNIX_EPOCH;
        let mut pace = Pace::new(Some(30), now);
        let mut sent = 0;
        for _ in 0..600 {
            let n = pace.allowance(50, now);
            pace.spend(n);
            sent += n;
            now += 100.milliseconds();
        }
        assert!((30..=31).contains(&sent), "{sent} in a minute");
    }

    #[test]
    fn without_a_limit_everything_may_go() {
        assert_eq!(Pace::new(None, Timestamp::UNIX_EPOCH).allowance(7, Timestamp::UNIX_EPOCH), 7);
    }
}
