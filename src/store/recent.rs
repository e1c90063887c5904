//! What the last batches read and wrote, so that the next one need not read it again: a note is accepted, claimed, begun and settled within
//! milliseconds, and each of the four wants the same rows.
//!
//! It holds what the database holds, or nothing. On SQLite no other process writes; on PostgreSQL every batch counts itself in the feed's row,
//! and when another bridge counted since, all is forgotten. A batch of which it is not known that it left the record as it was empties it.

use super::carried::Carried;
use super::dialect::Kept;
use super::record::{Attempt, EndpointState, Lane, Rendering};
use super::rows::{Keys, LaneKey, LocalKey, NUMBERS, ValueKey, View, leads_to};
use crate::domain::delivery::Delivery;
use crate::domain::entry::{Body, Entry};
use crate::domain::ids::{AttemptId, DeliveryId, EntryId, PatientId, ReferralId, RenderingId};
use crate::domain::nhs_number::NhsNumber;
use crate::domain::note::Action;
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::person::Patient;
use crate::domain::referral::Referral;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;
use uuid::Uuid;

/// Rows of one table that one generation holds; there are two.
const ROWS: usize = 1024;
/// A text or a message with more bytes is read again instead. With [`ROWS`] this bounds the memory.
const LARGEST: usize = 8 * 1024;

/// The feed's row: the last position handed out, open deliveries, and batches committed by whichever bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Feed {
    pub position: i64,
    pub open: i64,
    pub commits: i64,
}

/// The newest rows, and those before them that were not wanted since.
pub(super) struct Newest<K, V> {
    now: HashMap<K, V>,
    before: HashMap<K, V>,
}

impl<K, V> Default for Newest<K, V> {
    fn default() -> Self {
        Self { now: HashMap::new(), before: HashMap::new() }
    }
}

impl<K: Eq + Hash + Clone, V: Clone> Newest<K, V> {
    pub fn get(&mut self, key: &K) -> Option<V> {
        if let Some(value) = self.now.get(key) {
            return Some(value.clone());
        }
        let value = self.before.remove(key)?;
        self.put(key.clone(), value.clone());
        Some(value)
    }

    pub fn put(&mut self, key: K, value: V) {
        if self.now.len() >= ROWS {
            self.before = std::mem::take(&mut self.now);
        }
        self.before.remove(&key);
        self.now.insert(key, value);
    }
}

#[derive(Default)]
pub(super) struct Recent {
    /// As of the last batch. `None`: to be read.
    pub feed: Option<Feed>,
    /// What the last batches did and did not write yet.
    pub carried: Option<Carried>,
    pub connection: Option<Kept>,
    /// So many batches look for what is mostly new: lately it was not.
    pub look_first: u8,
    pub patients: Newest<PatientId, Arc<Patient>>,
    pub referrals: Newest<ReferralId, Arc<Referral>>,
    pub entries: Newest<EntryId, Arc<Entry>>,
    pub deliveries: Newest<DeliveryId, Arc<Delivery>>,
    /// All deliveries of a subject.
    pub chains: Newest<Uuid, Vec<DeliveryId>>,
    pub lanes: Newest<LaneKey, Arc<Lane>>,
    pub renderings: Newest<RenderingId, Arc<Rendering>>,
    pub attempts: Newest<AttemptId, Arc<Attempt>>,
    pub endpoints: Newest<EndpointId, Arc<EndpointState>>,
    /// Whom an identifier leads to, if anybody, as long as no patient's identifiers change.
    pub patients_by_nhs: Newest<(OdsCode, String), Option<PatientId>>,
    pub patients_by_local: Newest<LocalKey, Option<PatientId>>,
    pub patients_by_value: Newest<ValueKey, BTreeSet<PatientId>>,
}

/// Everything by which somebody is found.
fn led_to_by(patient: &Patient) -> (Option<NhsNumber>, BTreeSet<LocalKey>) {
    // As in the column: who was merged into another is found by nothing.
    let number = patient.details.nhs_number.filter(|_| patient.standing.merged_into.is_none());
    (number, leads_to(patient))
}

impl Recent {
    pub fn forget_all(&mut self) {
        // Nobody else writes where something is carried.
        *self = Self {
            carried: self.carried.take(),
            connection: self.connection.take(),
            look_first: self.look_first,
            ..Self::default()
        };
    }

    pub fn keep_entry(&mut self, entry: Arc<Entry>) {
        match &entry.body {
            Body::Note(Action::Create(content) | Action::Replace { content, .. }) if content.text.0.len() > LARGEST => {
            }
            _ => self.entries.put(entry.id, entry),
        }
    }

    /// Never changed once it is made.
    pub fn keep_rendering(&mut self, rendering: Arc<Rendering>) {
        if rendering.bytes.0.len() <= LARGEST {
            self.renderings.put(rendering.id, rendering);
        }
    }

    /// What was just read of whom identifiers lead to.
    pub fn keep_led_to(&mut self, view: &View, keys: &Keys) {
        for key in &keys.patients_by_nhs {
            self.patients_by_nhs.put(key.clone(), view.patients_by_nhs.get(key).copied());
        }
        for key in &keys.patients_by_local {
            self.patients_by_local.put(key.clone(), view.patients_by_local.get(key).copied());
        }
        for key in &keys.patients_by_value {
            self.patients_by_value.put(key.clone(), view.patients_by_value.get(key).cloned().unwrap_or_default());
        }
    }

    /// What a batch changed, once it is committed.
    pub fn learn(&mut self, mut view: View, feed: Feed) {
        self.feed = Some(feed);
        self.carried = None;
        for patient in view.patients.into_changed() {
            // Where what leads to them is another now, or may be, it is so in both ways: to whom it led before as well.
            if self.patients.get(&patient.id).is_none_or(|before| led_to_by(&before) != led_to_by(&patient)) {
                self.patients_by_nhs = Newest::default();
                self.patients_by_local = Newest::default();
                self.patients_by_value = Newest::default();
            } else if leads_to(&patient).iter().any(|(_, authority, ..)| authority == NUMBERS) {
                // A release that wrote no rows for what may be an NHS number may have written this patient last.
                self.patients_by_value = Newest::default();
            }
            self.patients.put(patient.id, patient);
        }
        view.referrals.into_changed().for_each(|r| self.referrals.put(r.id, r));
        view.entries.into_changed().for_each(|e| self.keep_entry(e));
        view.deliveries.into_changed().for_each(|d| self.deliveries.put(d.id, d));
        view.lanes.into_changed().for_each(|l| self.lanes.put((l.endpoint.clone(), l.patient_id), l));
        view.renderings.into_changed().for_each(|r| self.keep_rendering(r));
        view.attempts.into_changed().for_each(|a| self.attempts.put(a.id, a));
        view.endpoints.into_changed().for_each(|e| self.endpoints.put(e.id.clone(), e));
        for subject in view.whole_chains {
            self.chains.put(subject, view.chains.remove(&subject).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_two_generations_are_held_and_what_is_wanted_stays() {
        let mut newest: Newest<usize, usize> = Newest::default();
        for n in 0..10 * ROWS {
            newest.put(n, n);
            assert_eq!(newest.get(&0), Some(0), "it is asked for again and again");
            assert!(newest.now.len() <= ROWS && newest.before.len() <= ROWS);
        }
        assert_eq!(newest.get(&1), None, "nobody asked for it since");
        newest.put(0, 7);
        assert_eq!(newest.get(&0), Some(7));
    }
}
