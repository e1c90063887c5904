//! How writing goes, for whoever watches the bridge: a record that can be read and takes nothing in looks well to everybody but its callers.

use jiff::{SignedDuration, Timestamp};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is written is on disk in milliseconds; behind other bridges, or on a slow disk, in some seconds.
const HANGS_AFTER: SignedDuration = SignedDuration::from_secs(15);
/// For so long a failure counts when nothing was written since. Then nobody knows, and whoever keeps callers away from a bridge that is not ready has to
/// let one try.
const FAILED_LATELY: SignedDuration = SignedDuration::from_secs(60);

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// What is in hand has been for too long.
    Hangs,
    /// The last that was to be written could not be.
    Fails,
}

impl Trouble {
    /// In words, for an operator.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Hangs => "the store does not answer the writer; see whether its disk or its database hangs",
            Self::Fails => "the store could not be written lately; the log says why, see its disk or its database",
        }
    }
}

/// Kept by the writer, read by anybody.
#[derive(Debug, Default)]
pub struct Writing(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Since when what is in hand now has been.
    since: Option<Timestamp>,
    /// When something could last not be written, unless something was since.
    failed_at: Option<Timestamp>,
    failures: u64,
}

impl Writing {
    /// How often something could not be written, since the start.
    pub fn failures(&self) -> u64 {
        self.state().failures
    }

    /// How long what is being written has been in hand; `None`: nothing is.
    pub fn in_hand(&self, now: Timestamp) -> Option<SignedDuration> {
        self.state().since.map(|since| now.duration_since(since))
    }

    /// `None`: writing goes well, or nobody has tried.
    pub fn trouble(&self, now: Timestamp) -> Option<Trouble> {
        if self.in_hand(now).is_some_and(|age| age > HANGS_AFTER) {
            return Some(Trouble::Hangs);
        }
        let failed_at = self.state().failed_at?;
        (now.duration_since(failed_at) <= FAILED_LATELY).then_some(Trouble::Fails)
    }

    pub(super) fn began(&self, now: Timestamp) {
        self.state().since = Some(now);
    }

    /// However it ended.
    pub(super) fn ended(&self) {
        self.state().since = None;
    }

    /// It is on disk.
    pub(super) fn committed(&self) {
        self.state().failed_at = None;
    }

    pub(super) fn failed(&self, now: Timestamp) {
        let mut state = self.state();
        state.failed_at = Some(now);
        state.failures += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_or_failed_last_is_trouble_and_what_was_written_since_is_none() {
        let writing = Writing::default();
        let now: Timestamp = "2026-03-02T09:00:00Z".parse().expect("a time");
        let later = |seconds: i64| now.checked_add(SignedDuration::from_secs(seconds)).expect("a time");
        assert_eq!(writing.trouble(now), None);
        writing.began(now);
        assert_eq!((writing.trouble(later(15)), writing.trouble(later(16))), (None, Some(Trouble::Hangs)));
        writing.ended();
        writing.failed(later(20));
        assert_eq!(writing.trouble(later(80)), Some(Trouble::Fails));
        assert_eq!(writing.trouble(later(81)), None, "somebody may try again");
        writing.failed(later(90));
        writing.began(later(91));
        writing.committed();
        writing.ended();
        assert_eq!((writing.trouble(later(92)), writing.failures(), writing.in_hand(later(92))), (None, 2, None));
    }
}
