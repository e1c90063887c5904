//! The rows a batch of writes works on: read in bulk before, changed in memory by the writes in turn, written in bulk after.

use super::news::News;
use super::recent::Feed;
use super::record::{Answer, Attempt, Audit, EndpointState, Inbound, Lane, Raw, Rendering, Reply, Step};
use super::write::Forget;
use crate::domain::delivery::Delivery;
use crate::domain::entry::{Entry, EntryKind};
use crate::domain::ids::{
    AttemptId, DeliveryId, EntryId, InboundId, NoteId, OutcomeId, PatientId, ReferralId, RenderingId,
};
use crate::domain::nhs_number::NhsNumber;
use crate::domain::note::Note;
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::outcome::Outcome;
use crate::domain::person::{LocalIdentifier, Patient};
use crate::domain::referral::{ExternalId, Referral};
use crate::domain::standing::PatientKey;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;
use uuid::Uuid;

/// Rows of one table by key. A key that was looked for and not found stands there as `None`.
pub(super) struct Rows<K, V> {
    slots: HashMap<K, Option<Arc<V>>>,
    changed: Vec<K>,
    /// Those of them that were not there before.
    new: BTreeSet<K>,
}

impl<K, V> Default for Rows<K, V> {
    fn default() -> Self {
        Self { slots: HashMap::new(), changed: Vec::new(), new: BTreeSet::new() }
    }
}

impl<K: Eq + Hash + Clone + Ord, V> Rows<K, V> {
    pub fn get(&self, key: &K) -> Option<&V> {
        self.slots.get(key)?.as_deref()
    }

    /// As [`Rows::get`], to be kept.
    pub fn shared(&self, key: &K) -> Option<Arc<V>> {
        self.slots.get(key)?.clone()
    }

    pub fn is_loaded(&self, key: &K) -> bool {
        self.slots.contains_key(key)
    }

    /// As read from the database.
    pub fn load(&mut self, key: K, value: Option<V>) {
        self.slots.entry(key).or_insert_with(|| value.map(Arc::new));
    }

    /// As remembered.
    pub fn recall(&mut self, key: K, value: Arc<V>) {
        self.slots.entry(key).or_insert(Some(value));
    }

    /// To be written. A row that was not loaded is a new one: whatever changes a row has looked at it.
    pub fn put(&mut self, key: K, value: V) {
        self.changed.push(key.clone());
        if self.slots.insert(key.clone(), Some(Arc::new(value))).flatten().is_none() {
            self.new.insert(key);
        }
    }

    /// How often something was put.
    pub fn changes(&self) -> usize {
        self.changed.len()
    }

    /// The key leads nowhere any more. Only for rows that are found by what another table holds: nothing is written for it.
    pub fn unlink(&mut self, key: K) {
        self.slots.insert(key, None);
    }

    /// The key leads to this from now on. As for [`Rows::unlink`].
    pub fn found(&mut self, key: K, value: V) {
        self.slots.insert(key, Some(Arc::new(value)));
    }

    /// Every row that is there.
    pub fn all(&self) -> impl Iterator<Item = &V> {
        self.slots.values().flatten().map(Arc::as_ref)
    }

    /// What to write, in key order; each row once.
    pub fn changed(&self) -> impl Iterator<Item = &V> {
        let keys: BTreeSet<&K> = self.changed.iter().collect();
        keys.into_iter().filter_map(|k| self.get(k))
    }

    /// What was to be written, each row once.
    pub fn into_changed(self) -> impl Iterator<Item = Arc<V>> {
        let Self { mut slots, changed, .. } = self;
        changed.into_iter().filter_map(move |key| slots.remove(&key).flatten())
    }

    pub fn is_new(&self, key: &K) -> bool {
        self.new.contains(key)
    }

    /// Of what to write: rows that are new, ...
    pub fn added(&self) -> impl Iterator<Item = &V> {
        self.new.iter().filter_map(|k| self.get(k))
    }

    /// ... and those that are there already.
    pub fn replaced(&self) -> impl Iterator<Item = &V> {
        let keys: BTreeSet<&K> = self.changed.iter().filter(|k| !self.new.contains(k)).collect();
        keys.into_iter().filter_map(|k| self.get(k))
    }

    pub fn changed_keys(&self) -> BTreeSet<&K> {
        self.changed.iter().collect()
    }
}

pub(super) type LocalKey = (OdsCode, String, String, String);
/// Trust, authority and value, whatever the type.
pub(super) type ValueKey = (OdsCode, String, String);
pub(super) type ExternalKey = (OdsCode, String, String);
/// Endpoint, source and control id of a message that came in.
pub(super) type ControlKey = (EndpointId, String, String);
pub(super) type LaneKey = (EndpointId, PatientId);
/// Endpoint, the entry's kind, and the id that the record gave the document.
pub(super) type RecordName = (EndpointId, String, String);

pub(super) fn record_name(d: &Delivery, record_id: &str) -> RecordName {
    (d.endpoint.clone(), kind_word(d.kind()), record_id.to_owned())
}

/// As the column `kind` has it.
pub(super) fn kind_word(kind: EntryKind) -> String {
    format!("{kind:?}")
}

pub(super) fn local_key(trust: &OdsCode, id: &LocalIdentifier) -> LocalKey {
    (trust.clone(), id.assigning_authority.clone(), id.kind.clone(), id.value.0.clone())
}

/// Everything beside a present NHS number that leads to a patient: present and former identifiers of the trust, and former NHS numbers
/// under an authority that no trust's identifier has with this type; and what may be their NHS number, whatever it was called when it came. Who was
/// merged into another is led to by nothing.
pub(super) fn leads_to(patient: &Patient) -> BTreeSet<LocalKey> {
    if patient.standing.merged_into.is_some() {
        return BTreeSet::new();
    }
    let former = patient.standing.former.iter().map(|f| match &f.key {
        PatientKey::Local(id) => local_key(&patient.trust, id),
        PatientKey::NhsNumber(n) => (patient.trust.clone(), NUMBERS.into(), "NH".into(), n.as_str().to_owned()),
    });
    let local = || patient.details.local_identifiers.iter();
    let perhaps_numbers = local().filter_map(|id| {
        let number = NhsNumber::parse(&id.value.0).ok()?;
        // Two patients may have the same digits by different names: each has a row.
        let called = format!("{}\t{}\t{}", id.assigning_authority, id.kind, id.value.0);
        Some((patient.trust.clone(), NUMBERS.to_owned(), called, number.as_str().to_owned()))
    });
    local().map(|id| local_key(&patient.trust, id)).chain(former).chain(perhaps_numbers).collect()
}

/// The authority under which NHS numbers stand that are not a patient's present one.
pub(super) const NUMBERS: &str = "NHS";

pub(super) fn external_key(trust: &OdsCode, id: &ExternalId) -> ExternalKey {
    (trust.clone(), id.system.clone(), id.value.0.clone())
}

/// A lane whose head may be sent.
#[derive(Debug, Clone)]
pub(super) struct Claimable {
    pub patient_id: PatientId,
    pub head: Option<DeliveryId>,
}

/// What the writes of a batch need to see. Asked for in rounds, because one row tells which others are needed.
#[derive(Default, Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub patients: BTreeSet<PatientId>,
    pub patients_by_nhs: BTreeSet<(OdsCode, String)>,
    pub patients_by_local: BTreeSet<LocalKey>,
    /// All who have the value.
    pub patients_by_value: BTreeSet<ValueKey>,
    pub referrals: BTreeSet<ReferralId>,
    pub referrals_by_external: BTreeSet<ExternalKey>,
    /// Those of them that a referral is to be made with.
    pub to_be_made: BTreeSet<ExternalKey>,
    pub notes: BTreeSet<NoteId>,
    pub outcomes: BTreeSet<OutcomeId>,
    /// All outcomes of a referral.
    pub outcomes_of: BTreeSet<ReferralId>,
    pub entries: BTreeSet<EntryId>,
    pub deliveries: BTreeSet<DeliveryId>,
    /// All deliveries of a subject.
    pub chains: BTreeSet<Uuid>,
    pub lanes: BTreeSet<LaneKey>,
    /// All deliveries of a lane.
    pub of_lanes: BTreeSet<LaneKey>,
    /// Everything that is a patient's: referrals, notes, outcomes, deliveries.
    pub of_patients: BTreeSet<PatientId>,
    pub renderings: BTreeSet<RenderingId>,
    pub renderings_by_control: BTreeSet<(EndpointId, String)>,
    pub attempts: BTreeSet<AttemptId>,
    pub endpoints: BTreeSet<EndpointId>,
    pub requests: BTreeSet<[u8; 32]>,
    pub claims: BTreeSet<(EndpointId, u32)>,
    pub inbound: BTreeSet<InboundId>,
    /// Whether anything came under a control id.
    pub inbound_by_control: BTreeSet<ControlKey>,
    /// Whose document the record means by its own id.
    pub record_names: BTreeSet<RecordName>,
}

/// The current rows, and what the batch's writes make of them.
#[derive(Default)]
pub(super) struct View {
    pub patients: Rows<PatientId, Patient>,
    pub patients_by_nhs: Rows<(OdsCode, String), PatientId>,
    pub patients_by_local: Rows<LocalKey, PatientId>,
    /// Of each that was asked for: all who have it.
    pub patients_by_value: HashMap<ValueKey, BTreeSet<PatientId>>,
    pub referrals: Rows<ReferralId, Referral>,
    pub referrals_by_external: Rows<ExternalKey, ReferralId>,
    pub notes: Rows<NoteId, Note>,
    pub outcomes: Rows<OutcomeId, Outcome>,
    pub outcomes_of: HashMap<ReferralId, BTreeSet<OutcomeId>>,
    pub entries: Rows<EntryId, Entry>,
    pub deliveries: Rows<DeliveryId, Delivery>,
    pub chains: HashMap<Uuid, Vec<DeliveryId>>,
    /// Those of them that hold every delivery of their subject, and not only those made in this batch.
    pub whole_chains: BTreeSet<Uuid>,
    pub lanes: Rows<LaneKey, Lane>,
    pub of_lanes: BTreeSet<LaneKey>,
    pub of_patients: BTreeSet<PatientId>,
    pub renderings: Rows<RenderingId, Rendering>,
    pub renderings_by_control: Rows<(EndpointId, String), RenderingId>,
    pub attempts: Rows<AttemptId, Attempt>,
    pub endpoints: Rows<EndpointId, EndpointState>,
    pub requests: Rows<[u8; 32], ([u8; 32], Answer)>,
    /// Whether what is mostly new may be taken for new without being looked for, ...
    pub may_take_for_new: bool,
    /// ... and what was.
    pub taken_for_new: TakenForNew,
    pub claimable: HashMap<EndpointId, Vec<Claimable>>,
    pub inbound: Rows<InboundId, Inbound>,
    pub inbound_by_control: Rows<ControlKey, ()>,
    pub record_names: Rows<RecordName, Uuid>,
    /// Every version made, also where one batch makes two of the same record.
    pub patient_versions: Vec<Patient>,
    pub referral_versions: Vec<Referral>,
    pub replies: Vec<Reply>,
    pub steps: Vec<Step>,
    pub audits: Vec<Audit>,
    pub packs: Vec<PackRow>,
    pub forget: Vec<Forget>,
    /// Deliveries whose place in a lane is new to them.
    pub placed: BTreeSet<DeliveryId>,
    /// Lanes whose head may be another one now.
    pub touched_lanes: BTreeSet<LaneKey>,
    /// Told when it is on disk.
    pub news: Vec<News>,
    /// Open deliveries more (or fewer) than before the batch.
    pub opened: i64,
    /// As it was before the batch, once it is read.
    pub feed: Option<Feed>,
    /// The database's clock on PostgreSQL, on SQLite ours that goes on evenly: what leases and gates are judged by.
    pub lease_clock: i64,
    /// What the clock on the wall says: by which releases and back-offs are kept, and lanes are due.
    pub now: i64,
}

/// What is kept of an endpoint's packs from now on.
pub(super) struct PackRow {
    pub endpoint: EndpointId,
    /// A new one, with its bytes.
    pub new: Option<(String, Raw)>,
    /// Fingerprints of all that stay.
    pub kept: Vec<String>,
}

/// What nobody has looked for. The commit that makes it finds out whether it was there: it does not take any of it twice.
#[derive(Default, PartialEq, Eq)]
pub(super) struct TakenForNew {
    pub requests: BTreeSet<[u8; 32]>,
    pub external_ids: BTreeSet<ExternalKey>,
    pub control_ids: BTreeSet<ControlKey>,
}

impl TakenForNew {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub fn extend(&mut self, more: Self) {
        self.requests.extend(more.requests);
        self.external_ids.extend(more.external_ids);
        self.control_ids.extend(more.control_ids);
    }
}

/// How much a view was changed so far: what a write that fails must leave as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark(pub usize);

impl View {
    pub fn mark(&self) -> Mark {
        let rows = [
            self.patients.changed.len(),
            self.referrals.changed.len(),
            self.notes.changed.len(),
            self.outcomes.changed.len(),
            self.entries.changed.len(),
            self.deliveries.changed.len(),
            self.lanes.changed.len(),
            self.renderings.changed.len(),
            self.attempts.changed.len(),
            self.endpoints.changed.len(),
            self.requests.changed.len(),
            self.inbound.changed.len(),
            self.record_names.changed.len(),
            self.referrals_by_external.changed.len(),
            self.replies.len(),
            self.steps.len(),
            self.audits.len(),
            self.packs.len(),
            self.forget.len(),
        ];
        Mark(rows.iter().sum())
    }

    /// The commit makes all that was taken for new. A refusal, or an answer that nothing is written for, says nothing of whether it was there.
    pub fn makes_what_it_took_for_new(&self) -> bool {
        let TakenForNew { requests, external_ids, control_ids } = &self.taken_for_new;
        requests.iter().all(|key| self.requests.is_new(key))
            && external_ids.iter().all(|key| self.referrals_by_external.is_new(key))
            && control_ids.iter().all(|key| self.inbound_by_control.get(key).is_some())
    }

    pub fn put_patient(&mut self, patient: Patient) {
        self.patient_versions.push(patient.clone());
        self.patients.put(patient.id, patient);
    }

    pub fn put_outcome(&mut self, outcome: Outcome) {
        if let Some(of_referral) = self.outcomes_of.get_mut(&outcome.referral_id) {
            of_referral.insert(outcome.id);
        }
        self.outcomes.put(outcome.id, outcome);
    }

    pub fn put_referral(&mut self, referral: Referral) {
        self.referral_versions.push(referral.clone());
        self.referrals.put(referral.id, referral);
    }

    /// A subject's deliveries at one endpoint, oldest first.
    pub fn chain(&self, subject: Uuid, endpoint: &EndpointId) -> Vec<Delivery> {
        let ids = self.chains.get(&subject).map(Vec::as_slice).unwrap_or_default();
        let mut chain: Vec<Delivery> =
            ids.iter().filter_map(|id| self.deliveries.get(id)).filter(|d| d.endpoint == *endpoint).cloned().collect();
        chain.sort_by_key(|d| (d.subject_version, d.lane_seq));
        chain
    }

    /// A subject that nothing was ever sent of.
    pub fn new_chain(&mut self, subject: Uuid) {
        self.chains.entry(subject).or_default();
        self.whole_chains.insert(subject);
    }

    pub fn take_into_chain(&mut self, subject: Uuid, delivery: DeliveryId) {
        let chain = self.chains.entry(subject).or_default();
        if !chain.contains(&delivery) {
            chain.push(delivery);
        }
    }

    /// A new or changed delivery: its lane's head, its chain and the count of open ones follow.
    pub fn put_delivery(&mut self, delivery: Delivery) {
        let known = self.deliveries.get(&delivery.id);
        if known.is_none_or(|d| (d.patient_id, d.lane_seq) != (delivery.patient_id, delivery.lane_seq)) {
            self.placed.insert(delivery.id);
        }
        let before = known.map(|d| d.state.is_open());
        self.opened += i64::from(delivery.state.is_open()) - i64::from(before.unwrap_or(false));
        self.touched_lanes.insert((delivery.endpoint.clone(), delivery.patient_id));
        if before.is_none() {
            self.chains.entry(delivery.subject.uuid()).or_default().push(delivery.id);
        }
        self.deliveries.put(delivery.id, delivery);
    }
}
