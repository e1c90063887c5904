//! Asking the record whether it holds an entry: why, how often, and what an answer is. What follows from an answer is `decide`'s.

use super::policy::BackOff;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Why a delivery asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Because {
    /// Bytes left and nobody knows what became of them: nothing goes again before the record was asked.
    OutcomeUnknown,
    /// The far end says that it has the document already. Sending again would only be told the same.
    SaidDuplicate,
    /// It was received; the record itself has not confirmed it yet.
    Accepted,
}

/// A delivery that asks, and what it was answered so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asking {
    pub because: Because,
    /// "Not there", in a row.
    pub not_found: u32,
    /// The first of these.
    pub not_found_since: Option<Timestamp>,
    /// Answers that said nothing either way, in all.
    pub unclear: u32,
    /// One of these showed it more than once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub several: bool,
    /// Asks that nobody answered, in a row.
    pub unheard: u32,
    /// The first of the answers, in a row, by which the record did not let itself be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unread_since: Option<Timestamp>,
}

impl Asking {
    pub fn new(because: Because) -> Self {
        Self {
            because,
            not_found: 0,
            not_found_since: None,
            unclear: 0,
            several: false,
            unheard: 0,
            unread_since: None,
        }
    }
}

/// The record said often and long enough that it does not have it: from when on, and when last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotThere {
    pub since: Timestamp,
    pub at: Timestamp,
}

/// What the record said. Made by the pack's rules, from one reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It holds the document, under the id we gave it.
    Found {
        /// Its own id of the document, at most 100 characters.
        record_id: Option<String>,
    },
    /// Whoever carries it has it: the transport's word, as good as its receipt would have been.
    Received {
        /// Codes only.
        code: String,
    },
    /// Whoever carries it had it, and has given up: it did not arrive and will not.
    NotDelivered {
        /// Codes only.
        code: String,
    },
    /// It holds the document, in the record of somebody else.
    Misfiled {
        /// Its own id of the document.
        record_id: String,
    },
    /// It says clearly that it does not. A record that indexes late says so too.
    NotFound,
    /// It shows the document more than once, and not which of them holds.
    Several,
    /// It answered, and the answer says neither.
    CannotSay {
        /// Codes only, never text that could name a patient.
        code: String,
    },
    /// It did not let itself be read: a gateway's page, or our credentials. Nothing of the record's own was said.
    NotRead {
        /// Codes only.
        code: String,
        /// The questions of others were answered meanwhile, so that it is known to be this one.
        others_pass: bool,
    },
    /// It did not answer.
    NotHeard { why: String },
}

impl Answer {
    /// Whether it says something of the message that was not known before, whoever hears it.
    pub fn is_news(&self) -> bool {
        match self {
            Self::Found { .. } | Self::Received { .. } | Self::NotDelivered { .. } | Self::Misfiled { .. } => true,
            Self::NotFound | Self::Several | Self::CannotSay { .. } | Self::NotRead { .. } | Self::NotHeard { .. } => {
                false
            }
        }
    }
}

/// How often an endpoint is asked, and what it takes to believe "not there".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskRules {
    /// From the reply, or the lack of one, to the first ask.
    pub first_after: Duration,
    /// From one "not there" to the next ask.
    pub again_after: Duration,
    /// So many in a row, 2 to 100, before the same bytes may go again.
    pub not_found_times: u32,
    /// And at least so long from the first of them to the last: longer than the record may take to list a new document.
    pub not_found_over: Duration,
    /// Answers that say nothing before a person looks, 1 to 1000.
    pub max_unclear: u32,
}

/// The longest time between asks for an entry that was received.
const AGAIN_CAP: Duration = Duration::from_secs(3600);

impl AskRules {
    /// Whether the record has said "not there" often and long enough.
    pub fn believes(&self, asking: &Asking, now: Timestamp) -> bool {
        let over = asking
            .not_found_since
            .map_or(Duration::ZERO, |since| Duration::try_from(now.duration_since(since)).unwrap_or(Duration::ZERO));
        asking.not_found >= self.not_found_times && over >= self.not_found_over
    }

    /// How long to wait after "not there": evenly while something is unknown, ever longer where it only wants confirming.
    pub fn wait(&self, asking: &Asking) -> Duration {
        match asking.because {
            Because::OutcomeUnknown | Because::SaidDuplicate => self.again_after,
            Because::Accepted => {
                let waits = BackOff { first: self.again_after, cap: AGAIN_CAP.max(self.again_after) };
                waits.full(asking.not_found)
            }
        }
    }
}

impl Default for AskRules {
    /// As config documents them.
    fn default() -> Self {
        Self {
            first_after: Duration::from_secs(5),
            again_after: Duration::from_secs(60),
            not_found_times: 3,
            not_found_over: Duration::from_secs(600),
            max_unclear: 50,
        }
    }
}
