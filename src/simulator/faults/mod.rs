//! What goes wrong between a pretend EPR and its partner: by script, by chance from a seed, or both.

mod spec;

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::adapter::hl7::AckCode;

pub use spec::BadFault;

/// One thing that goes wrong with one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Not filed; answered with this code and, if given, this error of HL7 table 0357.
    Refuse { code: AckCode, error: Option<u16> },
    /// Looked at, filed and answered only after this time.
    Delay(Duration),
    /// Filed at once, answered after this time.
    LateAck(Duration),
    /// Filed, never answered.
    DropAck,
    /// Neither filed nor answered.
    Silence,
    /// Neither filed nor answered, and the connection closes.
    Close,
    /// Filed, and the connection closes without an answer.
    FileAndClose,
    /// Filed, and the connection closes in the middle of the answer.
    CloseMidFrame,
    /// Filed, and the answer comes twice.
    AckTwice,
    /// Filed, and answered with an MSA-2 that names no message.
    WrongId,
    /// Filed, and answered with the MSA-2 of another message in hand; of the one before where there is no other.
    ForeignId,
    /// Filed, and answered with a frame that is no HL7.
    Garbage,
    /// Filed, and answered with bytes that are no frame.
    Noise,
    /// Filed; CA at once, and AA or AE after this time, over another connection to the partner's listener.
    LateApplicationAck(Duration),
    /// Filed; CA at once and nothing more.
    CommitOnly,
    /// Neither filed nor answered: the EPR goes away, refuses connections, and comes back after this time if one is given.
    GoAway(Option<Duration>),
}

/// Which messages a scripted fault strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    All,
    /// The nth since the faults were set, counted from 1.
    Nth(u64),
    /// Each nth.
    Every(u64),
    /// MSH-9, such as `MDM^T11`.
    Kind(String),
    /// MSH-10 or TXA-12.
    Id(String),
}

/// A fault and the messages it strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scripted {
    pub when: When,
    pub fault: Fault,
    /// It strikes this often and no more. `None`: each time.
    pub at_most: Option<u32>,
}

/// A fault and how likely it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Chance {
    pub fault: Fault,
    /// From 0 to 1. Those of one plan add up to 1 at most.
    pub probability: f64,
}

/// The plan. Each message meets the first scripted fault that strikes it, else one by chance, else none. The same plan
/// and the same order of messages bring the same faults.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Faults {
    pub script: Vec<Scripted>,
    pub chances: Vec<Chance>,
    pub seed: u64,
}

/// What a plan looks at.
#[derive(Debug, Clone, Copy)]
pub struct Struck<'a> {
    pub kind: &'a str,
    pub control_id: &'a str,
    pub document_id: Option<&'a str>,
}

/// A plan and how far it has come.
#[derive(Debug, Default)]
pub struct Plan {
    faults: Faults,
    messages: u64,
}

impl Faults {
    /// None.
    pub fn none() -> Self {
        Self::default()
    }

    /// One fault for every message.
    pub fn always(fault: Fault) -> Self {
        Self::scripted(When::All, fault, None)
    }

    /// One fault for the nth message only.
    pub fn nth(n: u64, fault: Fault) -> Self {
        Self::scripted(When::Nth(n), fault, Some(1))
    }

    fn scripted(when: When, fault: Fault, at_most: Option<u32>) -> Self {
        Self { script: vec![Scripted { when, fault, at_most }], ..Self::default() }
    }
}

impl Plan {
    pub fn new(faults: Faults) -> Self {
        Self { faults, messages: 0 }
    }

    /// The fault that the next message meets.
    pub fn next(&mut self, message: Struck<'_>) -> Option<Fault> {
        self.messages += 1;
        let nth = self.messages;
        for scripted in &mut self.faults.script {
            if !scripted.when.strikes(nth, message) || scripted.at_most == Some(0) {
                continue;
            }
            scripted.at_most = scripted.at_most.map(|left| left - 1);
            return Some(scripted.fault.clone());
        }
        let mut draw = fraction(self.faults.seed, nth);
        for chance in &self.faults.chances {
            if draw < chance.probability {
                return Some(chance.fault.clone());
            }
            draw -= chance.probability;
        }
        None
    }
}

impl When {
    fn strikes(&self, nth: u64, message: Struck<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Nth(n) => nth == *n,
            Self::Every(n) => *n > 0 && nth.is_multiple_of(*n),
            Self::Kind(kind) => message.kind == kind,
            Self::Id(id) => message.control_id == id || message.document_id == Some(id),
        }
    }
}

/// The nth draw from a seed, at least 0 and below 1 (splitmix64, so that a seed means the same for ever).
fn fraction(seed: u64, nth: u64) -> f64 {
    let mut z = seed.wrapping_add(nth.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let bits = (z ^ (z >> 31)) >> 11;
    // 53 bits: exact in an f64.
    bits as f64 / (1u64 << 53) as f64
}
