//! How a patient's record stands with its trust: joined with another one, in doubt, ended by death, shielded; and how far what the EPR
//! told of them was taken in.

use super::ids::PatientId;
use super::nhs_number::NhsNumber;
use super::person::{LocalIdentifier, Patient};
use super::text::Private;
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Former identifiers one patient may have; a merge that would bring more is held.
pub const FORMER_MAX: usize = 500;
/// Senders whose newest message is remembered for one patient; the oldest is forgotten first.
const SOURCES_MAX: usize = 20;

/// What a patient is recognised by in a message.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PatientKey {
    NhsNumber(NhsNumber),
    Local(LocalIdentifier),
}

/// What may be a patient's, though the message does not call it so: a reason to have a person look, never to change anybody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Near {
    /// An identifier of whatever kind that has the ten digits of an NHS number, check digit and all.
    Number(NhsNumber),
    /// The value, under whatever type.
    Value { authority: String, value: Private<String> },
}

/// Types of identifiers that are a visit's or an account's, not a person's (HL7 table 0203).
const OF_VISITS: &[&str] = &["AN", "ANC", "VN"];

impl Near {
    /// What an identifier may be beside what it is called, whether or not it keeps our rules.
    pub fn of(authority: &str, kind: &str, value: &str) -> Vec<Self> {
        let (authority, value) = (authority.trim(), value.trim());
        let number = NhsNumber::parse(value).ok().map(Self::Number);
        let its_value = !authority.is_empty() && !value.is_empty() && !OF_VISITS.contains(&kind.trim());
        let value = || Self::Value { authority: authority.to_owned(), value: Private(value.to_owned()) };
        number.into_iter().chain(its_value.then(value)).collect()
    }
}

/// An identifier that leads to a patient and is never sent for them any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former {
    pub key: PatientKey,
    /// Since the merge that retired it took place in the EPR.
    pub since: Timestamp,
}

/// What was last said of a patient's death.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    pub deceased: bool,
    pub died_on: Option<Private<Date>>,
    /// When it was said, by the EPR's clock.
    pub told_at: Timestamp,
}

/// Why nothing goes to a patient's record until a person has looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Doubt {
    /// The EPR told of a merge that could not be followed safely.
    MergeUnclear,
    /// The EPR took the record out (A29).
    RecordRemoved,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// The patient whose record theirs was joined with: what was theirs belongs there now. Always the last of a chain of merges.
    pub merged_into: Option<PatientId>,
    /// Whose records were joined with theirs, directly or by way of others.
    pub absorbed: Vec<PatientId>,
    pub former: Vec<Former>,
    pub doubt: Option<Doubt>,
    pub death: Option<Death>,
    /// The EPR asks that nobody learns where they live: neither address nor phone is kept.
    pub location_shielded: bool,
    /// When a message last said in so many words whether it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shielding_told_at: Option<Timestamp>,
    /// The time of the newest message taken in, by sender.
    pub told: BTreeMap<String, Timestamp>,
}

impl Standing {
    pub fn deceased(&self) -> bool {
        self.death.as_ref().is_some_and(|d| d.deceased)
    }

    /// Since when `key` is a former identifier.
    pub fn former_since(&self, key: &PatientKey) -> Option<Timestamp> {
        self.former.iter().find(|f| f.key == *key).map(|f| f.since)
    }

    /// One more former identifier; one already there stays as it is.
    pub fn retire(&mut self, key: PatientKey, since: Timestamp) {
        if self.former_since(&key).is_none() {
            self.former.push(Former { key, since });
        }
    }

    pub fn is_older(&self, source: &str, at: Timestamp) -> bool {
        self.told.get(source).is_some_and(|newest| at < *newest)
    }

    pub fn heard(&mut self, source: &str, at: Timestamp) {
        let newest = self.told.entry(source.to_owned()).or_insert(at);
        *newest = at.max(*newest);
        while self.told.len() > SOURCES_MAX {
            let oldest = self.told.iter().min_by_key(|(_, at)| **at).map(|(source, _)| source.clone());
            oldest.map(|source| self.told.remove(&source));
        }
    }
}

impl Patient {
    /// Whether `key` is theirs now, not only formerly.
    pub fn holds(&self, key: &PatientKey) -> bool {
        match key {
            PatientKey::NhsNumber(number) => self.details.nhs_number == Some(*number),
            PatientKey::Local(id) => self.details.local_identifiers.contains(id),
        }
    }

    /// Everything they are recognised by now.
    pub fn keys(&self) -> Vec<PatientKey> {
        let number = self.details.nhs_number.map(PatientKey::NhsNumber);
        number.into_iter().chain(self.details.local_identifiers.iter().cloned().map(PatientKey::Local)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_message_of_each_sender_is_remembered_and_no_more_than_twenty_senders() {
        let at = |s: i64| Timestamp::from_second(s).expect("a time");
        let mut standing = Standing::default();
        standing.heard("A|1", at(10));
        standing.heard("A|1", at(5));
        assert!(standing.is_older("A|1", at(9)) && !standing.is_older("A|1", at(10)));
        assert!(!standing.is_older("B|1", at(1)), "another sender has a clock of its own");
        for n in 0..40 {
            standing.heard(&format!("S{n}|1"), at(100 + n));
        }
        assert!(standing.told.len() == SOURCES_MAX && standing.told.contains_key("S39|1"));
    }
}
