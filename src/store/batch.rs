//! Reads what a batch of writes needs, whatever it is, in one statement a round; what the last batches had in hand is not read again.

use super::dialect::{Statement, Tx};
use super::error::StoreError;
use super::recent::{Feed, Recent};
use super::record::{Answer, Attempt, EndpointState, Inbound, Lane, Lease, Raw, Rendering};
use super::rows::{Claimable, Keys, LaneKey, TakenForNew, View};
use super::rowset::{Argument, Cell, RowSet, fetch};
use super::sources::{self, Found, Of};
use crate::domain::ambient::from_micros;
use crate::domain::delivery::Delivery;
use crate::domain::entry::Entry;
use crate::domain::ids::{DeliveryId, LeaseToken, PatientId, ReferralId, RenderingId};
use crate::domain::note::Note;
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::outcome::Outcome;
use crate::domain::person::Patient;
use crate::domain::referral::Referral;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Notify;
use uuid::Uuid;

/// Lanes looked at together for what workers that are gone left behind.
const LEFT_BEHIND_MAX: u32 = 50;

/// What a round of reading came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// Nothing was missing.
    Complete,
    /// Rows came; they may lead to others.
    More,
    /// Another bridge has written since our last batch: what was remembered may be old, and what was read beside it is no use.
    Outdated,
}

/// Reads what `keys` asks for and `view` does not have.
pub(super) async fn load(
    tx: &mut Tx,
    view: &mut View,
    recent: &mut Recent,
    mut keys: Keys,
    ending: &Notify,
) -> Result<Round, StoreError> {
    let asked_for = cfg!(debug_assertions).then(|| keys.clone());
    let remembered = recall(view, recent, &mut keys) | take_for_new(view, &mut keys);
    let mut asked = Question { postgres: matches!(tx, Tx::Postgres(_)), ..Question::default() };
    if view.feed.is_none() {
        asked.ask(&sources::FEED, Vec::new());
    }
    asked.keys(&keys, view.now);
    if asked.texts.is_empty() {
        if let Some(all) = asked_for.filter(|_| !remembered) {
            doubt(tx, view, &all, ending).await?;
        }
        return Ok(if remembered { Round::More } else { Round::Complete });
    }
    let found = asked.answered(tx, ending).await?;
    view.outcomes_of.extend(keys.outcomes_of.iter().map(|r| (*r, BTreeSet::new())));
    view.patients_by_value.extend(keys.patients_by_value.iter().map(|v| (v.clone(), BTreeSet::new())));
    keys.chains.iter().for_each(|subject| view.new_chain(*subject));
    view.claimable.extend(keys.claims.iter().map(|(endpoint, _)| (endpoint.clone(), Vec::new())));
    for row in found {
        take(view, recent, &keys, row)?;
    }
    recent.keep_led_to(view, &keys);
    match (view.feed, recent.feed) {
        (Some(read), Some(known)) if read.commits != known.commits => return Ok(Round::Outdated),
        // From here on it can be told how old what is remembered is, also when this batch writes nothing.
        (Some(read), None) => recent.feed = Some(read),
        _ => {}
    }
    absent(view, keys);
    Ok(Round::More)
}

/// In debug builds, so in every test: all that the batch stands on is read again, and must be what the database holds.
async fn doubt(tx: &mut Tx, view: &View, keys: &Keys, ending: &Notify) -> Result<(), StoreError> {
    let mut asked = Question { postgres: matches!(tx, Tx::Postgres(_)), ..Question::default() };
    asked.keys(&Keys { claims: BTreeSet::new(), ..keys.clone() }, view.now);
    if asked.texts.is_empty() {
        return Ok(());
    }
    let (mut read, mut recent) = (View::default(), Recent::default());
    for row in asked.answered(tx, ending).await? {
        take(&mut read, &mut recent, keys, row)?;
    }
    absent(&mut read, keys.clone());
    macro_rules! same {
        ($($table:ident),+) => {$(
            for key in keys.$table.iter().filter(|key| !view.$table.changed_keys().contains(key)) {
                assert!(view.$table.get(key) == read.$table.get(key), "a row of {} is not what was remembered of it", stringify!($table));
            }
        )+};
    }
    same!(patients, referrals, entries, deliveries, lanes, renderings, attempts, endpoints);
    same!(patients_by_nhs, patients_by_local);
    for value in &keys.patients_by_value {
        let who = |view: &View| view.patients_by_value.get(value).cloned().unwrap_or_default();
        assert!(who(view) == who(&read), "who has a value is not what was remembered of it");
    }
    for subject in &keys.chains {
        let chain = |view: &View| view.chains.get(subject).map(|ids| ids.iter().copied().collect::<BTreeSet<_>>());
        assert!(
            chain(view).unwrap_or_default() == chain(&read).unwrap_or_default(),
            "a chain is not what was remembered of it"
        );
    }
    Ok(())
}

/// Leaves in `keys` what is neither in the view nor remembered; brings into the view what is remembered. `true`: something was.
fn recall(view: &mut View, recent: &mut Recent, keys: &mut Keys) -> bool {
    let mut remembered = false;
    macro_rules! unread {
        ($($table:ident),+) => {$(
            keys.$table.retain(|key| !view.$table.is_loaded(key));
        )+};
    }
    macro_rules! known {
        ($($table:ident),+) => {$(
            keys.$table.retain(|key| {
                if view.$table.is_loaded(key) {
                    return false;
                }
                let Some(row) = recent.$table.get(key) else { return true };
                remembered = true;
                view.$table.recall(key.clone(), row);
                false
            });
        )+};
    }
    unread!(
        requests,
        patients_by_nhs,
        patients_by_local,
        referrals_by_external,
        renderings_by_control,
        notes,
        outcomes,
        inbound,
        inbound_by_control,
        record_names
    );
    known!(patients, referrals, entries, deliveries, lanes, renderings, attempts, endpoints);
    macro_rules! led_to {
        ($($table:ident),+) => {$(
            keys.$table.retain(|key| {
                let Some(found) = recent.$table.get(key) else { return true };
                remembered = true;
                view.$table.load(key.clone(), found);
                false
            });
        )+};
    }
    led_to!(patients_by_nhs, patients_by_local);
    keys.patients_by_value.retain(|key| {
        if view.patients_by_value.contains_key(key) {
            return false;
        }
        let Some(found) = recent.patients_by_value.get(key) else { return true };
        remembered = true;
        view.patients_by_value.insert(key.clone(), found);
        false
    });
    keys.chains.retain(|subject| {
        if view.whole_chains.contains(subject) {
            return false;
        }
        // Whole, or not at all.
        let chain = recent.chains.get(subject);
        let deliveries: Option<Vec<Arc<Delivery>>> =
            chain.and_then(|ids| ids.iter().map(|id| recent.deliveries.get(id)).collect());
        let Some(deliveries) = deliveries else { return true };
        remembered = true;
        view.new_chain(*subject);
        for delivery in deliveries {
            view.take_into_chain(delivery.subject.uuid(), delivery.id);
            view.deliveries.recall(delivery.id, delivery);
        }
        false
    });
    keys.of_patients.retain(|p| !view.of_patients.contains(p));
    keys.of_lanes.retain(|l| !view.of_lanes.contains(l));
    keys.outcomes_of.retain(|r| !view.outcomes_of.contains_key(r));
    keys.claims.retain(|(endpoint, _)| !view.claimable.contains_key(endpoint));
    remembered
}

/// Where a round would read nothing but what is mostly new, it is taken for that: a call, a message or a referral rarely comes twice, and the record takes
/// none of them twice. `true`: something was.
fn take_for_new(view: &mut View, keys: &mut Keys) -> bool {
    if !view.may_take_for_new || view.feed.is_none() || !keys.referrals_by_external.is_subset(&keys.to_be_made) {
        return false;
    }
    let new = TakenForNew {
        requests: std::mem::take(&mut keys.requests),
        external_ids: std::mem::take(&mut keys.referrals_by_external),
        control_ids: std::mem::take(&mut keys.inbound_by_control),
    };
    keys.to_be_made.clear();
    if *keys != Keys::default() {
        keys.requests = new.requests;
        keys.referrals_by_external = new.external_ids;
        keys.inbound_by_control = new.control_ids;
        return false;
    }
    let some = !new.is_empty();
    new.requests.iter().for_each(|key| view.requests.load(*key, None));
    new.external_ids.iter().for_each(|key| view.referrals_by_external.load(key.clone(), None));
    new.control_ids.iter().for_each(|key| view.inbound_by_control.load(key.clone(), None));
    view.taken_for_new.extend(new);
    some
}

/// One statement in the making.
#[derive(Default)]
struct Question {
    postgres: bool,
    texts: Vec<String>,
    arguments: Vec<Argument>,
}

impl Question {
    fn ask(&mut self, source: &Statement, arguments: Vec<Argument>) {
        self.texts.push(source.part(self.postgres, self.arguments.len()));
        self.arguments.extend(arguments);
    }

    async fn answered(self, tx: &mut Tx, ending: &Notify) -> Result<Vec<Found>, StoreError> {
        let mut found: Vec<Found> = fetch(tx, self.texts.join(" UNION ALL "), self.arguments, ending).await?;
        // Whose number it is comes before whose it was.
        found.sort_by_key(|row| row.0 == Of::PatientByFormerNhs as i32);
        Ok(found)
    }

    fn of<K>(&mut self, source: &Statement, keys: impl IntoIterator<Item = K>, mut add: impl FnMut(&mut RowSet, K)) {
        let mut set = RowSet::default();
        keys.into_iter().for_each(|key| add(&mut set, key));
        if !set.is_empty() {
            self.ask(source, set.arguments());
        }
    }

    fn ids(&mut self, source: &Statement, ids: impl IntoIterator<Item = Uuid>) {
        self.of(source, ids, |set, id| set.key(Cell::Uuid(id)));
    }

    fn keys(&mut self, keys: &Keys, now: i64) {
        self.of(&sources::REQUESTS, &keys.requests, |set, key| set.row(&[Cell::Hash(key)]));
        for source in [&sources::PATIENTS_BY_NHS, &sources::PATIENTS_BY_FORMER_NHS] {
            self.of(source, &keys.patients_by_nhs, |set, (trust, number)| {
                set.row(&[trust.as_str().into(), number.as_str().into()])
            });
        }
        self.of(&sources::PATIENTS_BY_LOCAL, &keys.patients_by_local, |set, (trust, authority, kind, value)| {
            set.row(&[trust.as_str().into(), authority.as_str().into(), kind.as_str().into(), value.as_str().into()]);
        });
        self.of(&sources::PATIENTS_BY_VALUE, &keys.patients_by_value, |set, (trust, authority, value)| {
            set.row(&[trust.as_str().into(), authority.as_str().into(), value.as_str().into()]);
        });
        self.of(&sources::REFERRALS_BY_EXTERNAL, &keys.referrals_by_external, |set, (trust, system, value)| {
            set.row(&[trust.as_str().into(), system.as_str().into(), value.as_str().into()]);
        });
        self.ids(&sources::PATIENTS, keys.patients.iter().map(|id| id.0));
        self.ids(&sources::REFERRALS, keys.referrals.iter().map(|id| id.0));
        self.ids(&sources::NOTES, keys.notes.iter().map(|id| id.0));
        self.ids(&sources::OUTCOMES, keys.outcomes.iter().map(|id| id.0));
        self.ids(&sources::OUTCOMES_OF_REFERRAL, keys.outcomes_of.iter().map(|id| id.0));
        self.ids(&sources::ENTRIES, keys.entries.iter().map(|id| id.0));
        self.ids(&sources::DELIVERIES, keys.deliveries.iter().map(|id| id.0));
        self.ids(&sources::CHAINS, keys.chains.iter().copied());
        self.ids(&sources::ATTEMPTS, keys.attempts.iter().map(|id| id.0));
        self.ids(&sources::INBOUND, keys.inbound.iter().map(|id| id.0));
        self.ids(&sources::RENDERINGS, keys.renderings.iter().map(|id| id.0));
        // What is somebody's, whole: a merge moves all of it.
        for source in [&sources::REFERRALS_OF, &sources::NOTES_OF, &sources::OUTCOMES_OF, &sources::DELIVERIES_OF] {
            self.ids(source, keys.of_patients.iter().map(|id| id.0));
        }
        let lane =
            |set: &mut RowSet, (endpoint, patient): &LaneKey| set.row(&[endpoint.as_str().into(), patient.0.into()]);
        self.of(&sources::DELIVERIES_OF_LANES, &keys.of_lanes, lane);
        self.of(&sources::LANES, &keys.lanes, lane);
        self.of(&sources::RENDERINGS_BY_CONTROL, &keys.renderings_by_control, |set, (endpoint, control_id)| {
            set.row(&[endpoint.as_str().into(), control_id.as_str().into()]);
        });
        self.of(&sources::INBOUND_BY_CONTROL, &keys.inbound_by_control, |set, (endpoint, source, control_id)| {
            set.row(&[endpoint.as_str().into(), source.as_str().into(), control_id.as_str().into()]);
        });
        self.of(&sources::RECORD_NAMES, &keys.record_names, |set, (endpoint, kind, record_id)| {
            set.row(&[endpoint.as_str().into(), kind.as_str().into(), record_id.as_str().into()]);
        });
        self.of(&sources::ENDPOINTS, &keys.endpoints, |set, endpoint| set.key(endpoint.as_str().into()));
        for (endpoint, limit) in &keys.claims {
            let left_behind = *limit == 0;
            let (sources, limit): (&[&Statement], u32) = match left_behind {
                true => (&[&sources::LEFT_BEHIND], LEFT_BEHIND_MAX),
                false => (&[&sources::CLAIMABLE, &sources::DUE_LANES, &sources::DUE_CHAINS], *limit),
            };
            for source in sources {
                let mut arguments = vec![Argument::Text(endpoint.as_str().to_owned()), Argument::Int(i64::from(limit))];
                // PostgreSQL takes no parameter that a statement does not use, and judges leases by its own clock alone.
                if !(self.postgres && left_behind) {
                    arguments.push(Argument::Int(now));
                }
                self.ask(source, arguments);
            }
        }
    }
}

/// One row into the view, and into what is remembered.
fn take(view: &mut View, recent: &mut Recent, keys: &Keys, row: Found) -> Result<(), StoreError> {
    let (of, t1, t2, t3, t4, t5, u1, u2, u3, u4, n1, n2, n3, n4, b1, b2) = row;
    let text = |text: Option<String>| text.ok_or_else(|| wrong("no text where one must be"));
    let id = |id: Option<Uuid>| id.ok_or_else(|| wrong("no id where one must be"));
    let number = |n: Option<i64>| n.ok_or_else(|| wrong("no number where one must be"));
    match Of::number(of).ok_or_else(|| wrong("a row of no source"))? {
        Of::Feed => {
            let feed = Feed { position: number(n1)?, open: number(n2)?, commits: number(n3)? };
            view.feed = Some(feed);
            view.lease_clock = n4.unwrap_or(view.lease_clock);
        }
        Of::Request => {
            let hash = |bytes: Option<Vec<u8>>| {
                bytes.and_then(|b| b.try_into().ok()).ok_or_else(|| wrong("a key that is no hash"))
            };
            let answer: Answer = parse(&text(t1)?, "request")?;
            view.requests.load(hash(b1)?, Some((hash(b2)?, answer)));
        }
        Of::PatientByNhs | Of::PatientByFormerNhs => {
            view.patients_by_nhs.load((ods(&text(t1)?)?, text(t2)?), Some(PatientId(id(u1)?)));
        }
        Of::PatientByLocal => {
            view.patients_by_local.load((ods(&text(t1)?)?, text(t2)?, text(t3)?, text(t4)?), Some(PatientId(id(u1)?)));
        }
        Of::PatientByValue => {
            let key = (ods(&text(t1)?)?, text(t2)?, text(t3)?);
            view.patients_by_value.entry(key).or_default().insert(PatientId(id(u1)?));
        }
        Of::ReferralByExternal => {
            view.referrals_by_external.load((ods(&text(t1)?)?, text(t2)?, text(t3)?), Some(ReferralId(id(u1)?)));
        }
        Of::RenderingByControl => {
            view.renderings_by_control.load((endpoint_id(&text(t1)?)?, text(t2)?), Some(RenderingId(id(u1)?)));
        }
        Of::InboundByControl => {
            let key = (endpoint_id(&text(t1)?)?, text(t2)?, text(t3)?);
            view.inbound_by_control.load(key, Some(()));
        }
        Of::RecordName => {
            view.record_names.load((endpoint_id(&text(t1)?)?, text(t2)?, text(t3)?), Some(id(u1)?));
        }
        Of::Claimable => {
            let due = Claimable { patient_id: PatientId(id(u1)?), head: u2.map(DeliveryId) };
            view.claimable.entry(endpoint_id(&text(t1)?)?).or_default().push(due);
            if let Some(payload) = t2 {
                take_delivery(view, recent, parse(&payload, "delivery")?);
            }
            if let Some(payload) = t3 {
                take_entry(view, recent, parse(&payload, "entry")?);
            }
            // Of several notes of theirs, and remembered for long: mostly known.
            if let Some(payload) = t4 {
                let id = PatientId(id(u3)?);
                match recent.patients.get(&id) {
                    Some(known) => view.patients.recall(id, known),
                    None => take_patient(view, recent, parse(&payload, "patient")?),
                }
            }
            if let Some(payload) = t5 {
                let id = ReferralId(id(u4)?);
                match recent.referrals.get(&id) {
                    Some(known) => view.referrals.recall(id, known),
                    None => take_referral(view, recent, parse(&payload, "referral")?),
                }
            }
        }
        Of::ChainOfDue => {
            // The head of a lane is among them, and was read with its lane.
            let id = DeliveryId(id(u1)?);
            if !view.deliveries.is_loaded(&id) {
                take_delivery(view, recent, parse(&text(t1)?, "delivery")?);
            }
            if let Some(subject) = view.deliveries.get(&id).map(|d| d.subject.uuid()) {
                view.new_chain(subject);
                view.take_into_chain(subject, id);
            }
        }
        Of::Patient => {
            take_patient(view, recent, parse(&text(t1)?, "patient")?);
        }
        Of::Referral => {
            take_referral(view, recent, parse(&text(t1)?, "referral")?);
        }
        Of::Entry => {
            take_entry(view, recent, parse(&text(t1)?, "entry")?);
        }
        Of::Delivery => {
            let delivery: Delivery = parse(&text(t1)?, "delivery")?;
            if keys.chains.contains(&delivery.subject.uuid()) {
                view.take_into_chain(delivery.subject.uuid(), delivery.id);
            }
            take_delivery(view, recent, delivery);
        }
        Of::Outcome => {
            let outcome: Outcome = parse(&text(t1)?, "outcome")?;
            if keys.outcomes_of.contains(&outcome.referral_id) {
                view.outcomes_of.entry(outcome.referral_id).or_default().insert(outcome.id);
            }
            view.outcomes.load(outcome.id, Some(outcome));
        }
        Of::Rendering => {
            let mut rendering: Rendering = parse(&text(t1)?, "rendering")?;
            rendering.bytes = Raw(b1.ok_or_else(|| wrong("a rendering without bytes"))?);
            let rendering = Arc::new(rendering);
            recent.keep_rendering(rendering.clone());
            view.renderings.recall(rendering.id, rendering);
        }
        Of::Note => {
            let note: Note = parse(&text(t1)?, "note")?;
            view.notes.load(note.id, Some(note));
        }
        Of::Inbound => {
            let inbound: Inbound = parse(&text(t1)?, "inbound")?;
            view.inbound.load(inbound.id, Some(inbound));
        }
        Of::Attempt => {
            let attempt: Arc<Attempt> = Arc::new(parse(&text(t1)?, "attempt")?);
            recent.attempts.put(attempt.id, attempt.clone());
            view.attempts.recall(attempt.id, attempt);
        }
        Of::Endpoint => {
            let endpoint: Arc<EndpointState> = Arc::new(parse(&text(t1)?, "endpoint")?);
            recent.endpoints.put(endpoint.id.clone(), endpoint.clone());
            view.endpoints.recall(endpoint.id.clone(), endpoint);
        }
        Of::Lane => {
            let lease = u2.zip(n2).zip(u3).map(|((token, until), delivery)| Lease {
                token: LeaseToken(token),
                until: from_micros(until),
                delivery_id: DeliveryId(delivery),
            });
            let lane = Arc::new(Lane {
                endpoint: endpoint_id(&text(t1)?)?,
                patient_id: PatientId(id(u1)?),
                next_seq: number(n1)?,
                lease,
                moves_to: u4.map(PatientId).zip(n3),
            });
            recent.lanes.put((lane.endpoint.clone(), lane.patient_id), lane.clone());
            view.lanes.recall((lane.endpoint.clone(), lane.patient_id), lane);
        }
    }
    Ok(())
}

fn take_patient(view: &mut View, recent: &mut Recent, patient: Patient) {
    let patient = Arc::new(patient);
    recent.patients.put(patient.id, patient.clone());
    view.patients.recall(patient.id, patient);
}

fn take_referral(view: &mut View, recent: &mut Recent, referral: Referral) {
    let referral = Arc::new(referral);
    recent.referrals.put(referral.id, referral.clone());
    view.referrals.recall(referral.id, referral);
}

fn take_entry(view: &mut View, recent: &mut Recent, entry: Entry) {
    let entry = Arc::new(entry);
    recent.keep_entry(entry.clone());
    view.entries.recall(entry.id, entry);
}

fn take_delivery(view: &mut View, recent: &mut Recent, delivery: Delivery) {
    let delivery = Arc::new(delivery);
    recent.deliveries.put(delivery.id, delivery.clone());
    view.deliveries.recall(delivery.id, delivery);
}

/// What was asked for and did not come is not there, and stands in the view as that. A lane that was never written to begins at one.
fn absent(view: &mut View, keys: Keys) {
    macro_rules! none {
        ($($table:ident),+) => {$(
            keys.$table.into_iter().for_each(|key| view.$table.load(key, None));
        )+};
    }
    for (endpoint, patient_id) in keys.lanes {
        let lane = Lane { endpoint: endpoint.clone(), patient_id, next_seq: 1, lease: None, moves_to: None };
        view.lanes.load((endpoint, patient_id), Some(lane));
    }
    view.of_patients.extend(keys.of_patients);
    view.of_lanes.extend(keys.of_lanes);
    none!(
        requests,
        patients,
        patients_by_nhs,
        patients_by_local,
        referrals,
        referrals_by_external,
        notes,
        outcomes,
        entries,
        deliveries,
        renderings,
        renderings_by_control,
        attempts,
        endpoints,
        inbound,
        inbound_by_control,
        record_names
    );
}

pub(super) fn wrong(what: &str) -> StoreError {
    StoreError::Inconsistent { table: "a query", what: what.into() }
}

/// A payload as the domain's type. The error names the place in the JSON, never what stands there.
pub(super) fn parse<T: DeserializeOwned>(payload: &str, table: &'static str) -> Result<T, StoreError> {
    serde_json::from_str(payload).map_err(|e| StoreError::Inconsistent {
        table,
        what: format!("a payload that cannot be read (line {}, column {})", e.line(), e.column()),
    })
}

fn ods(text: &str) -> Result<OdsCode, StoreError> {
    OdsCode::parse(text).map_err(|_| StoreError::Inconsistent { table: "a trust column", what: "no ODS code".into() })
}

pub(super) fn endpoint_id(text: &str) -> Result<EndpointId, StoreError> {
    EndpointId::parse(text)
        .map_err(|_| StoreError::Inconsistent { table: "an endpoint column", what: "no endpoint id".into() })
}
