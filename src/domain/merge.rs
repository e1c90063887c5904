//! Merges that an EPR tells of: what they mean for the patients we know. The record of the losing patient becomes the surviving one's.
//!
//! Patients form stars, never chains or circles: who was merged leads straight to the last surviving patient, and identifiers lead only to
//! surviving ones. A merge that does not fit is never guessed at. It is held, and those it may concern are put in doubt: nothing is
//! sent for them until a person has said who they are.

use super::change::{NEARLY_KNOWN, PatientChange};
use super::ids::PatientId;
use super::likeness::Likeness;
use super::person::{LocalIdentifier, Patient};
use super::standing::{Doubt, Near, PatientKey};
use super::text::{Private, folded_name};
use jiff::{Timestamp, civil::Date};
use std::collections::BTreeSet;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeKind {
    /// A34, A40: two records become one.
    Merge,
    /// A47: one record gets another identifier.
    ChangeIdentifier,
}

/// One merge, as a message tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    pub kind: MergeKind,
    pub surviving: Vec<PatientKey>,
    pub losing: Vec<PatientKey>,
    /// Of the surviving patient, to compare with: a merge changes no demographics.
    pub family: Option<Private<String>>,
    pub date_of_birth: Option<Private<Date>>,
    pub other_families: Vec<Private<String>>,
    pub birth_year: Option<i16>,
    /// What their identifiers may be beside what it calls them.
    pub surviving_near: Vec<Near>,
    pub losing_near: Vec<Near>,
    /// When it took place in the EPR.
    pub at: Timestamp,
    /// What of the surviving patient is urgent: taken in whatever becomes of the merge.
    pub urgent: Option<Box<PatientChange>>,
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MergePlan {
    /// None of its patients is ours.
    NotOurs,
    /// It is so already.
    Already,
    /// Older than a merge that says otherwise.
    Older,
    /// The record is to be joined with itself: no change.
    WithItself,
    /// `joined` become `survivor`; `retired` lead to `survivor` and are no longer theirs, `adopted` are from now on.
    Join { survivor: PatientId, joined: Vec<PatientId>, retired: Vec<PatientKey>, adopted: Vec<LocalIdentifier> },
    /// We know the losing patient only: that record goes on under the surviving identifiers.
    Rename { patient: PatientId, retired: Vec<PatientKey> },
    /// Not safe to follow. `doubt`: whose deliveries wait for a person.
    Hold { why: &'static str, doubt: Vec<PatientId> },
}

/// `found`: the surviving patient a key leads to, now or formerly; `near`: one that it may lead to.
pub fn plan<'p>(
    merge: &Merge,
    found: impl Fn(&PatientKey) -> Option<&'p Patient>,
    near: impl Fn(&Near) -> Vec<&'p Patient>,
) -> MergePlan {
    // What both sides have (an NHS number, usually) says nothing about which record goes.
    let losing: Vec<&PatientKey> = merge.losing.iter().filter(|k| !merge.surviving.contains(k)).collect();
    let surviving: Vec<&PatientKey> = merge.surviving.iter().collect();
    let patients = |keys: &[&PatientKey]| -> Vec<&'p Patient> {
        let mut seen = BTreeSet::new();
        keys.iter().filter_map(|k| found(k)).filter(|p| seen.insert(p.id)).collect()
    };
    let (survivors, losers) = (patients(&surviving), patients(&losing));
    let ids = |patients: &[&Patient]| patients.iter().map(|p| p.id).collect::<Vec<_>>();
    let holds = |p: &Patient, keys: &[&PatientKey]| keys.iter().any(|k| p.holds(k));
    // Known here, but not by what the message calls them: a side that nobody is found for is not taken as unknown.
    let sides = [(&survivors, &merge.surviving_near), (&losers, &merge.losing_near)];
    let unfound = sides.into_iter().filter(|(known, _)| known.is_empty()).flat_map(|(_, near)| near);
    let others = |p: &&'p Patient| !survivors.iter().chain(&losers).any(|known| known.id == p.id);
    // Both sides are one person: what it says of the survivor tells whether a value is somebody's we know.
    let told = likeness(merge);
    let may_be = |n: &Near, p: &Patient| matches!(n, Near::Number(_)) || !told.is_clearly_another(&p.details);
    let meant = unfound.flat_map(|n| near(n).into_iter().filter(others).filter(move |p| may_be(n, p)));
    let maybe: BTreeSet<PatientId> = meant.map(|p| p.id).collect();
    if !maybe.is_empty() {
        return MergePlan::Hold { why: NEARLY_KNOWN, doubt: maybe.into_iter().collect() };
    }
    if losing.is_empty() {
        return if survivors.is_empty() { MergePlan::NotOurs } else { MergePlan::WithItself };
    }
    match (survivors.as_slice(), losers.as_slice()) {
        ([], []) => MergePlan::NotOurs,
        ([], [loser]) => rename(merge, loser, &losing),
        ([], _) => MergePlan::Hold { why: "its losing identifiers are of several patients", doubt: ids(&losers) },
        ([survivor], _) => {
            let named_now = holds(survivor, &surviving);
            let mut joined = Vec::new();
            for loser in &losers {
                if loser.id == survivor.id {
                    // The record that was joined with this one is now to be the one that survives.
                    if !named_now && holds(survivor, &losing) {
                        let since = merge.surviving.iter().filter_map(|k| survivor.standing.former_since(k)).max();
                        if since.is_some_and(|since| merge.at < since) {
                            return MergePlan::Older;
                        }
                        return MergePlan::Hold {
                            why: "it reverses a merge, or closes a circle of merges",
                            doubt: vec![survivor.id],
                        };
                    }
                } else if merge.kind == MergeKind::ChangeIdentifier {
                    return MergePlan::Hold {
                        why: "the new identifier is another patient's already",
                        doubt: vec![loser.id],
                    };
                } else if holds(loser, &losing) {
                    joined.push(loser.id);
                } else {
                    return MergePlan::Hold {
                        why: "the losing record was joined with yet another patient before",
                        doubt: vec![loser.id],
                    };
                }
            }
            // The record we know under both, by its NHS number: its own identifier goes, the new one comes.
            let renamed = holds(survivor, &losing);
            let new = surviving.iter().filter(|k| renamed && found(k).is_none()).filter_map(|k| local(k)).collect();
            // Whoever it gives another number than ours: one of the two is wrong, and what is sent goes under ours.
            let was_theirs = |n| survivor.standing.former_since(&PatientKey::NhsNumber(n)).is_some();
            let is_numbered_otherwise = told
                .number
                .zip(survivor.details.nhs_number)
                .is_some_and(|(said, ours)| said != ours && !was_theirs(said));
            if is_numbered_otherwise {
                let doubt = [survivor.id].into_iter().chain(joined).collect();
                return MergePlan::Hold {
                    why: "it gives the surviving patient another NHS number than we have",
                    doubt,
                };
            }
            if told.is_of_somebody_else(&survivor.details) {
                let doubt = [survivor.id].into_iter().chain(joined).collect();
                return MergePlan::Hold {
                    why: "what it says of the surviving patient's family name and date of birth is of somebody else",
                    doubt,
                };
            }
            join(survivor, joined, &losing, new)
        }
        _ => MergePlan::Hold { why: "its surviving identifiers are of several patients", doubt: ids(&losers) },
    }
}

fn local(key: &PatientKey) -> Option<LocalIdentifier> {
    match key {
        PatientKey::Local(id) => Some(id.clone()),
        PatientKey::NhsNumber(_) => None,
    }
}

/// What it says of the surviving patient.
fn likeness(merge: &Merge) -> Likeness<'_> {
    let number = merge.surviving.iter().find_map(|k| match k {
        PatientKey::NhsNumber(number) => Some(*number),
        PatientKey::Local(_) => None,
    });
    let families = merge.family.iter().chain(&merge.other_families).collect();
    Likeness { families, born: merge.date_of_birth, birth_year: merge.birth_year, number }
}

fn join(
    survivor: &Patient,
    joined: Vec<PatientId>,
    losing: &[&PatientKey],
    adopted: Vec<LocalIdentifier>,
) -> MergePlan {
    // A merge within one record takes no NHS number away: that is no record's identifier.
    let retired: Vec<PatientKey> = losing
        .iter()
        .filter(|k| survivor.standing.former_since(k).is_none())
        .filter(|k| !(matches!(k, PatientKey::NhsNumber(_)) && survivor.holds(k)))
        .map(|k| (*k).clone())
        .collect();
    if joined.is_empty() && retired.is_empty() {
        return MergePlan::Already;
    }
    MergePlan::Join { survivor: survivor.id, joined, retired, adopted }
}

/// The surviving identifiers are nobody's yet. The person stays the same one only if what the message says of them agrees.
fn rename(merge: &Merge, loser: &Patient, losing: &[&PatientKey]) -> MergePlan {
    let hold = |why| MergePlan::Hold { why, doubt: vec![loser.id] };
    if !losing.iter().any(|k| loser.holds(k)) {
        return hold("the losing record was joined with another patient before, and the surviving one is not known");
    }
    let known = &loser.details;
    let number = merge.surviving.iter().find_map(|k| match k {
        PatientKey::NhsNumber(number) => Some(*number),
        PatientKey::Local(_) => None,
    });
    let other_number = number.is_some_and(|n| known.nhs_number.is_some_and(|k| k != n));
    let other_birth = merge.date_of_birth.is_some_and(|b| b != known.date_of_birth);
    let same_name = merge.family.as_ref().is_some_and(|f| folded_name(&f.0) == folded_name(&known.name.family.0));
    if other_number || other_birth || !same_name {
        return hold(
            "the surviving record is not known, and its NHS number, date of birth and family name do not agree with the losing one's",
        );
    }
    if !merge.surviving.iter().any(|k| matches!(k, PatientKey::Local(_))) {
        return hold("the surviving record is not known, and the message gives it no identifier of the trust");
    }
    let retired = losing.iter().filter(|k| matches!(k, PatientKey::Local(_))).map(|k| (*k).clone()).collect();
    MergePlan::Rename { patient: loser.id, retired }
}

impl Patient {
    /// The surviving patient after a merge, one version on. `losers`: who they absorb.
    pub fn absorbs(&self, losers: &[Patient], retired: &[PatientKey], at: Timestamp, now: Timestamp) -> Self {
        let mut patient = self.clone();
        patient.details.local_identifiers.retain(|id| !retired.contains(&PatientKey::Local(id.clone())));
        for key in retired {
            patient.standing.retire(key.clone(), at);
        }
        for loser in losers {
            for key in loser.keys() {
                if !patient.holds(&key) {
                    patient.standing.retire(key, at);
                }
            }
            for former in &loser.standing.former {
                patient.standing.retire(former.key.clone(), former.since);
            }
            patient.standing.absorbed.push(loser.id);
            patient.standing.absorbed.extend(&loser.standing.absorbed);
            // A death told of either record is the person's.
            let death = &loser.standing.death;
            if death.as_ref().is_some_and(|d| d.deceased) && !patient.standing.deceased() {
                patient.standing.death.clone_from(death);
            }
            if loser.standing.location_shielded {
                patient.shield();
            }
            // Only a person ends this doubt, whoever it is of by now.
            if loser.standing.doubt == Some(Doubt::MergeUnclear) {
                patient.standing.doubt = loser.standing.doubt;
            }
        }
        patient.version += 1;
        patient.updated_at = now;
        patient
    }

    /// The losing patient after a merge, one version on: its identifiers lead elsewhere now.
    pub fn absorbed_by(&self, survivor: PatientId, now: Timestamp) -> Self {
        let mut patient = self.clone();
        patient.standing.merged_into = Some(survivor);
        patient.standing.former.clear();
        patient.standing.absorbed.clear();
        patient.standing.doubt = None;
        patient.version += 1;
        patient.updated_at = now;
        patient
    }

    /// The same patient under other identifiers of the trust, one version on.
    pub fn renamed(&self, merge: &Merge, retired: &[PatientKey], now: Timestamp) -> Self {
        let mut patient = self.absorbs(&[], retired, merge.at, now);
        patient.adopts(merge.surviving.iter().filter_map(local));
        patient
    }

    /// One of an authority and type at a time.
    pub fn adopts(&mut self, new: impl IntoIterator<Item = LocalIdentifier>) {
        for id in new {
            let ids = &mut self.details.local_identifiers;
            ids.retain(|known| known.assigning_authority != id.assigning_authority || known.kind != id.kind);
            ids.push(id);
        }
    }

    /// Neither address nor phone is kept from now on.
    pub fn shield(&mut self) {
        self.standing.location_shielded = true;
        self.details.address = None;
        self.details.phone = None;
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
pub(super) mod tests;
