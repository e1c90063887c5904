//! A merge, in one commit: what was the losing patient's is the surviving one's. Identifiers lead there, referrals, notes and outcomes
//! belong there, and deliveries go on in that patient's lanes, in the order they had.
//!
//! A lane that is leased is in somebody's hands: it moves when the lease has ended ([`lead_on`]), and its numbers are kept free until then.

use super::super::record::{Lane, Step};
use super::super::rows::{Keys, LaneKey, NUMBERS, View, local_key};
use super::super::rulebook::Rulebook;
use super::super::writer::Ctx;
use super::referral::put_patient;
use super::told::{Became, Because};
use super::{About, audit};
use crate::domain::ambient::micros;
use crate::domain::delivery::{Delivery, State};
use crate::domain::ids::PatientId;
use crate::domain::merge::{Merge, MergePlan, plan};
use crate::domain::organisation::OdsCode;
use crate::domain::person::Patient;
use crate::domain::standing::{Doubt, FORMER_MAX, Near, PatientKey};
use crate::store::record::Actor;
use jiff::Timestamp;

/// The rows by which a key's patient is found.
pub(super) fn key_needs(view: &View, keys: &mut Keys, trust: &OdsCode, of: &[PatientKey]) {
    for key in of {
        keys.patients.extend(found(view, trust, key));
        match key {
            PatientKey::NhsNumber(n) => drop(keys.patients_by_nhs.insert((trust.clone(), n.as_str().to_owned()))),
            PatientKey::Local(id) => drop(keys.patients_by_local.insert(local_key(trust, id))),
        }
    }
}

/// The rows by which it is found whether somebody may be meant.
pub(super) fn near_needs(view: &View, keys: &mut Keys, trust: &OdsCode, near: &[Near]) {
    for near in near {
        keys.patients.extend(near_ids(view, trust, near));
        match near {
            Near::Number(n) => {
                keys.patients_by_nhs.insert((trust.clone(), n.as_str().to_owned()));
                keys.patients_by_value.insert((trust.clone(), NUMBERS.to_owned(), n.as_str().to_owned()));
            }
            Near::Value { authority, value } => {
                keys.patients_by_value.insert((trust.clone(), authority.clone(), value.0.clone()));
            }
        }
    }
}

fn near_ids(view: &View, trust: &OdsCode, near: &Near) -> Vec<PatientId> {
    let with_value = |authority: &str, value: &str| {
        let key = (trust.clone(), authority.to_owned(), value.to_owned());
        view.patients_by_value.get(&key).into_iter().flatten().copied()
    };
    match near {
        Near::Number(n) => {
            let number = view.patients_by_nhs.get(&(trust.clone(), n.as_str().to_owned()));
            number.copied().into_iter().chain(with_value(NUMBERS, n.as_str())).collect()
        }
        Near::Value { authority, value } => with_value(authority, &value.0).collect(),
    }
}

/// All who may be meant. Who was merged into another is led to by nothing.
pub(super) fn nearly<'v>(view: &'v View, trust: &OdsCode, near: &Near) -> Vec<&'v Patient> {
    let ids = near_ids(view, trust, near);
    ids.iter().filter_map(|id| view.patients.get(id)).filter(|p| p.standing.merged_into.is_none()).collect()
}

fn found(view: &View, trust: &OdsCode, key: &PatientKey) -> Option<PatientId> {
    match key {
        PatientKey::NhsNumber(n) => view.patients_by_nhs.get(&(trust.clone(), n.as_str().to_owned())).copied(),
        PatientKey::Local(id) => view.patients_by_local.get(&local_key(trust, id)).copied(),
    }
}

/// The surviving patient a key leads to, now or formerly.
pub(super) fn patient<'v>(view: &'v View, trust: &OdsCode, key: &PatientKey) -> Option<&'v Patient> {
    found(view, trust, key).and_then(|id| view.patients.get(&id))
}

pub(super) fn needs(view: &View, keys: &mut Keys, rules: &Rulebook, trust: &OdsCode, merges: &[Merge]) {
    for merge in merges {
        key_needs(view, keys, trust, &merge.surviving);
        key_needs(view, keys, trust, &merge.losing);
        for near in [&merge.surviving_near, &merge.losing_near] {
            near_needs(view, keys, trust, near);
        }
        let survivors: Vec<PatientId> = merge.surviving.iter().filter_map(|k| found(view, trust, k)).collect();
        let losers: Vec<PatientId> = merge.losing.iter().filter_map(|k| found(view, trust, k)).collect();
        // Others of this batch may come to write into the survivor's lanes, whichever these are.
        let absorbed = losers.iter().filter_map(|l| view.patients.get(l)).flat_map(|p| &p.standing.absorbed);
        let everybody: Vec<PatientId> = survivors.iter().chain(&losers).chain(absorbed).copied().collect();
        for endpoint in rules.policies.values().filter(|p| p.trust == *trust).map(|p| &p.id) {
            keys.lanes.extend(everybody.iter().map(|p| (endpoint.clone(), *p)));
        }
        for loser in losers.iter().filter(|l| !survivors.contains(l)) {
            keys.of_patients.insert(*loser);
            keys.patients.extend(view.patients.get(loser).map(|p| &p.standing.absorbed).into_iter().flatten());
            for d in view.deliveries.all().filter(|d| d.patient_id == *loser) {
                keys.chains.insert(d.subject.uuid());
                keys.lanes.insert((d.endpoint.clone(), *loser));
                keys.lanes.extend(survivors.iter().map(|s| (d.endpoint.clone(), *s)));
            }
        }
    }
}

/// One merge; a plan that cannot be carried out changes nothing but who is in doubt.
pub(super) fn decide(view: &mut View, ctx: &Ctx<'_>, actor: &Actor, trust: &OdsCode, merge: &Merge) -> Became {
    match plan(merge, |key| patient(view, trust, key), |near| nearly(view, trust, near)) {
        MergePlan::NotOurs => Became::Ignored(Because::NotOurs, "none of its patients is known here".into()),
        MergePlan::Older => Became::Ignored(Because::Older, "older than a merge that says otherwise".into()),
        MergePlan::Already => Became::Applied("the records were one already".into()),
        MergePlan::WithItself => Became::Refused { code: 205, what: "a record cannot be merged with itself".into() },
        MergePlan::Hold { why, doubt } => hold(view, ctx, actor, why, &doubt),
        MergePlan::Rename { patient, retired } => {
            let Some(known) = view.patients.get(&patient).cloned() else { return lost() };
            let renamed = known.renamed(merge, &retired, ctx.now);
            put_patient(view, Some(&known), &renamed);
            tell(view, ctx, actor, &renamed, "patient.change_identifier", "the EPR gave the record other identifiers");
            Became::Applied(String::new())
        }
        MergePlan::Join { survivor, joined, retired, adopted } => {
            let losers: Option<Vec<Patient>> = joined.iter().map(|id| view.patients.get(id).cloned()).collect();
            let (Some(known), Some(losers)) = (view.patients.get(&survivor).cloned(), losers) else { return lost() };
            let mut survives = known.absorbs(&losers, &retired, merge.at, ctx.now);
            survives.adopts(adopted);
            if survives.standing.former.len() > FORMER_MAX {
                return hold(view, ctx, actor, "the surviving record has too many former identifiers", &joined);
            }
            for loser in &losers {
                let before = loser;
                let after = loser.absorbed_by(survivor, ctx.now);
                put_patient(view, Some(before), &after);
                tell(view, ctx, actor, &after, "patient.merge", &format!("merged into {survivor}"));
                hand_over(view, ctx, loser, survivor);
                for id in &loser.standing.absorbed {
                    let Some(mut earlier) = view.patients.get(id).cloned() else { continue };
                    earlier.standing.merged_into = Some(survivor);
                    earlier.version += 1;
                    earlier.updated_at = ctx.now;
                    view.put_patient(earlier);
                }
            }
            put_patient(view, Some(&known), &survives);
            if losers.is_empty() {
                tell(view, ctx, actor, &survives, "patient.merge", "absorbed a record that is not known here");
                return Became::Applied(
                    "the losing record is not known here; its identifiers lead to the surviving one from now on".into(),
                );
            }
            tell(view, ctx, actor, &survives, "patient.merge", "absorbed another record");
            Became::Applied(String::new())
        }
    }
}

fn lost() -> Became {
    Became::Refused { code: 207, what: "a patient of the merge could not be read".into() }
}

/// What cannot be followed waits for a person, and so does all that would go to those it may concern.
fn hold(view: &mut View, ctx: &Ctx<'_>, actor: &Actor, why: &str, whose: &[PatientId]) -> Became {
    doubt(view, ctx, actor, why, whose);
    Became::Held { code: 204, what: why.to_owned() }
}

/// Nothing is sent for them until a person has said who they are.
pub(super) fn doubt<'p>(
    view: &mut View,
    ctx: &Ctx<'_>,
    actor: &Actor,
    why: &str,
    whose: impl IntoIterator<Item = &'p PatientId>,
) {
    for id in whose {
        let Some(known) = view.patients.get(id).cloned() else { continue };
        if known.standing.doubt == Some(Doubt::MergeUnclear) {
            continue;
        }
        let mut doubted = known.clone();
        doubted.standing.doubt = Some(Doubt::MergeUnclear);
        doubted.version += 1;
        doubted.updated_at = ctx.now;
        put_patient(view, Some(&known), &doubted);
        tell(view, ctx, actor, &doubted, "patient.doubt", why);
    }
}

fn tell(view: &mut View, ctx: &Ctx<'_>, actor: &Actor, patient: &Patient, action: &'static str, why: &str) {
    let about =
        About { trust: &patient.trust, action, kind: "patient", id: patient.id.0, patient: Some(patient.id), why };
    audit(view, actor, ctx.now, &about);
}

/// Everything that is the loser's becomes the survivor's. Entries keep the identity they were written for.
fn hand_over(view: &mut View, ctx: &Ctx<'_>, lost: &Patient, survivor: PatientId) {
    let loser = lost.id;
    let referrals: Vec<_> = view.referrals.all().filter(|r| r.patient_id == loser).cloned().collect();
    for mut referral in referrals {
        referral.patient_id = survivor;
        referral.version += 1;
        view.put_referral(referral);
    }
    let notes: Vec<_> = view.notes.all().filter(|n| n.patient_id == loser).cloned().collect();
    for mut note in notes {
        note.patient_id = survivor;
        view.notes.put(note.id, note);
    }
    let outcomes: Vec<_> = view.outcomes.all().filter(|o| o.patient_id == loser).cloned().collect();
    for mut outcome in outcomes {
        outcome.patient_id = survivor;
        view.outcomes.put(outcome.id, outcome);
    }
    let lanes: Vec<Lane> = view.lanes.all().filter(|l| l.patient_id == loser).cloned().collect();
    for lane in lanes {
        let to = (lane.endpoint.clone(), survivor);
        let Some(there) = view.lanes.get(&to).cloned() else { continue };
        let by = there.next_seq - 1;
        view.lanes.put(to, Lane { next_seq: there.next_seq + lane.next_seq, ..there });
        // What still waits for a lease to end, and would have come here, goes straight on.
        for earlier in &lost.standing.absorbed {
            let key = (lane.endpoint.clone(), *earlier);
            let waiting = view.lanes.get(&key).filter(|l| l.moves_to.is_some_and(|(to, _)| to == loser)).cloned();
            if let Some(waiting) = waiting {
                let moves_to = waiting.moves_to.map(|(_, first)| (survivor, first + by));
                view.lanes.put(key, Lane { moves_to, ..waiting });
            }
        }
        let key = (lane.endpoint.clone(), loser);
        view.lanes.put(key.clone(), Lane { moves_to: Some((survivor, by)), ..lane });
        lead_on(view, ctx, &key);
    }
}

/// The rows [`lead_on`] needs for a lane.
pub(super) fn lead_on_needs(view: &View, keys: &mut Keys, lane: &LaneKey) {
    let Some((to, _)) = view.lanes.get(lane).and_then(|l| l.moves_to) else { return };
    keys.lanes.insert((lane.0.clone(), to));
    keys.of_lanes.insert(lane.clone());
    keys.chains.extend(in_lane(view, lane).map(|d| d.subject.uuid()));
}

fn in_lane<'v>(view: &'v View, lane: &'v LaneKey) -> impl Iterator<Item = &'v Delivery> {
    view.deliveries.all().filter(|d| d.endpoint == lane.0 && d.patient_id == lane.1)
}

/// Brings the deliveries of a merged patient's lane to where it leads, when nobody holds it. `true`: the lane leads elsewhere.
pub(super) fn lead_on(view: &mut View, ctx: &Ctx<'_>, key: &LaneKey) -> bool {
    let Some(lane) = view.lanes.get(key).cloned() else { return false };
    let Some((to, by)) = lane.moves_to else { return false };
    let leased = lane.lease.as_ref().is_some_and(|l| micros(l.until) > view.lease_clock);
    let mut deliveries: Vec<Delivery> = in_lane(view, key).cloned().collect();
    if leased || deliveries.iter().any(|d| d.state == State::Sending) {
        return true;
    }
    deliveries.sort_by_key(|d| d.lane_seq);
    for mut delivery in deliveries {
        delivery.patient_id = to;
        delivery.lane_seq += by;
        if delivery.state.is_open() {
            delivery.version += 1;
            view.steps.push(readdressed(&delivery, ctx.now));
        }
        view.put_delivery(delivery);
    }
    view.lanes.put(key.clone(), lane);
    true
}

fn readdressed(delivery: &Delivery, now: Timestamp) -> Step {
    Step {
        delivery_id: delivery.id,
        version: delivery.version,
        at: now,
        state: delivery.state,
        what: "re-addressed: the patient's record was merged into another one".into(),
        by: "bridge".into(),
    }
}
