//! What an EPR tells of a patient it knows, laid over what we know: three states a field, and the older never over the newer.

use super::ids::PatientId;
use super::likeness::Likeness;
use super::merge::Merge;
use super::nhs_number::NhsNumber;
use super::person::{Address, Gender, LocalIdentifier, NhsNumberStatus, Patient, PatientDetails};
use super::rule::Violations;
use super::standing::{Death, Doubt, Near, PatientKey, Standing};
use super::text::Private;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use std::collections::{BTreeMap, BTreeSet};

/// HL7's three states: leave what you have, delete it, or take this.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Sent<T> {
    #[default]
    Absent,
    Null,
    Value(T),
}

impl<T: Clone> Sent<T> {
    /// Laid over what is known.
    pub fn over(&self, known: &mut Option<T>) {
        match self {
            Self::Absent => {}
            Self::Null => *known = None,
            Self::Value(value) => *known = Some(value.clone()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// A01, A04, A08, A31.
    Updated,
    /// A28: the record was made, or made again.
    Added,
    /// A29: the record was taken out.
    Removed,
}

/// A message about one patient. What a record cannot be without cannot be deleted: those fields are absent or given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatientChange {
    pub kind: ChangeKind,
    /// When it took place in the EPR.
    pub at: Timestamp,
    pub nhs_number: Sent<NhsNumber>,
    pub nhs_number_status: Option<NhsNumberStatus>,
    /// Those it names; the patient's others stay.
    pub local_identifiers: Vec<LocalIdentifier>,
    pub family: Option<Private<String>>,
    pub given: Option<Private<String>>,
    pub prefix: Sent<Private<String>>,
    pub date_of_birth: Option<Private<Date>>,
    pub gender: Option<Gender>,
    /// Replaced whole.
    pub address: Sent<Address>,
    pub phone: Sent<Private<String>>,
    pub location_shielded: Option<bool>,
    pub deceased: Option<bool>,
    pub died_on: Sent<Private<Date>>,
    /// Compared only, never taken over.
    pub other_families: Vec<Private<String>>,
    pub birth_year: Option<i16>,
    /// Records that became this one, taken in before the change itself.
    pub replaces: Vec<Merge>,
    /// What its identifiers may be beside what it calls them.
    pub near: Vec<Near>,
    /// What it sends as null and no record can be without: it stays as it is.
    pub kept: Vec<&'static str>,
    /// What of it broke a rule and could be left out, and why.
    pub left_out: Vec<String>,
}

/// Why a message is held that names nobody known by what it calls its identifiers.
pub const NEARLY_KNOWN: &str = "one of its identifiers is a patient's here, but under another type or as NHS number; a person has to say whether it is them, and the pack's map how it is read";

/// What becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangePlan {
    /// Nobody of ours.
    NotOurs,
    /// Nothing to change, and why.
    Nothing(&'static str),
    /// The patient as they are now.
    Changed(Box<Patient>),
    /// The same, but that their sender was heard: not another version.
    Heard(Box<Patient>),
    /// A person has to look; nothing was changed.
    Hold(&'static str),
    Broken(Violations),
}

impl PatientChange {
    /// One that says nothing, of nobody.
    pub fn nothing(kind: ChangeKind, at: Timestamp) -> Self {
        Self {
            kind,
            at,
            nhs_number: Sent::Absent,
            nhs_number_status: None,
            local_identifiers: Vec::new(),
            family: None,
            given: None,
            prefix: Sent::Absent,
            date_of_birth: None,
            gender: None,
            address: Sent::Absent,
            phone: Sent::Absent,
            location_shielded: None,
            deceased: None,
            died_on: Sent::Absent,
            other_families: Vec::new(),
            birth_year: None,
            replaces: Vec::new(),
            near: Vec::new(),
            kept: Vec::new(),
            left_out: Vec::new(),
        }
    }

    /// What it says the patient is recognised by.
    pub fn keys(&self) -> Vec<PatientKey> {
        let number = match &self.nhs_number {
            Sent::Value(number) => Some(PatientKey::NhsNumber(*number)),
            Sent::Absent | Sent::Null => None,
        };
        number.into_iter().chain(self.local_identifiers.iter().cloned().map(PatientKey::Local)).collect()
    }

    /// `source` sent it; `today` in the trust's time zone; `found`: the patient a key leads to, now or formerly; `near`: one that it may lead to.
    pub fn plan<'p>(
        &self,
        source: &str,
        now: Timestamp,
        today: Date,
        found: impl Fn(&PatientKey) -> Option<&'p Patient>,
        near: impl Fn(&Near) -> Vec<&'p Patient>,
    ) -> ChangePlan {
        let known = match self.about(found, near) {
            Ok(known) => known,
            Err(plan) => return plan,
        };
        let mut patient = known.clone();
        let older = known.standing.is_older(source, self.at);
        self.tell_death(&mut patient);
        if older {
            self.tell_shielding(&mut patient);
            let s = &patient.standing;
            if (&s.death, s.location_shielded) == (&known.standing.death, known.standing.location_shielded) {
                return ChangePlan::Nothing("older than what its sender told before");
            }
        } else {
            if let Err(broken) = self.over(&mut patient, today) {
                return ChangePlan::Broken(broken);
            }
            patient.standing.heard(source, self.at);
        }
        // When something was told is no change.
        let untold = |patient: &Patient| {
            let standing = Standing { told: BTreeMap::new(), shielding_told_at: None, ..patient.standing.clone() };
            Patient { standing, ..patient.clone() }
        };
        if untold(&patient) == untold(known) {
            return ChangePlan::Heard(Box::new(patient));
        }
        patient.version += 1;
        patient.updated_at = now;
        ChangePlan::Changed(Box::new(patient))
    }

    /// Only what is urgent in it, where nothing else can be taken: whom it is about must be as certain. Its sender counts as not heard.
    pub fn plan_urgent<'p>(
        &self,
        now: Timestamp,
        found: impl Fn(&PatientKey) -> Option<&'p Patient>,
        near: impl Fn(&Near) -> Vec<&'p Patient>,
    ) -> ChangePlan {
        let known = match self.about(found, near) {
            Ok(known) => known,
            Err(plan) => return plan,
        };
        let mut patient = known.clone();
        self.tell_death(&mut patient);
        if self.location_shielded == Some(true) {
            patient.shield();
        }
        if patient == *known {
            return ChangePlan::Nothing("no news of a death or of a shielding");
        }
        patient.version += 1;
        patient.updated_at = now;
        ChangePlan::Changed(Box::new(patient))
    }

    /// It tells that the patient has died, or that nobody may learn where they live: that waits for nothing.
    pub fn is_urgent(&self) -> bool {
        self.deceased == Some(true) || matches!(self.died_on, Sent::Value(_)) || self.location_shielded == Some(true)
    }

    /// It tells that one of these has died: all of ours whom its identifiers lead to, an NHS number by whatever name, but for who is clearly another.
    /// One alone is in no doubt.
    pub fn one_has_died<'p>(
        &self,
        found: impl Fn(&PatientKey) -> Option<&'p Patient>,
        near: impl Fn(&Near) -> Vec<&'p Patient>,
    ) -> BTreeSet<PatientId> {
        if self.deceased != Some(true) && !matches!(self.died_on, Sent::Value(_)) {
            return BTreeSet::new();
        }
        let numbers = self.near.iter().filter(|n| matches!(n, Near::Number(_))).flat_map(near);
        let all: Vec<&Patient> = self.keys().iter().filter_map(found).chain(numbers).collect();
        if all.iter().all(|p| p.id == all[0].id) {
            return BTreeSet::new();
        }
        let likely = all.into_iter().filter(|p| !self.likeness().is_clearly_another(&p.details));
        likely.map(|p| p.id).collect()
    }

    /// The one patient whom it is about for certain, or what that makes of it.
    fn about<'p>(
        &self,
        found: impl Fn(&PatientKey) -> Option<&'p Patient>,
        near: impl Fn(&Near) -> Vec<&'p Patient>,
    ) -> Result<&'p Patient, ChangePlan> {
        let keys = self.keys();
        let patients: BTreeSet<PatientId> = keys.iter().filter_map(&found).map(|p| p.id).collect();
        let Some(known) = keys.iter().find_map(&found) else {
            let maybe = self.near.iter().any(|n| near(n).iter().any(|p| self.may_be(n, p)));
            return Err(if maybe { ChangePlan::Hold(NEARLY_KNOWN) } else { ChangePlan::NotOurs });
        };
        // A value may be somebody else's under another type; ten digits with the right check digit are nobody else's by chance.
        let numbers = self.near.iter().filter(|n| matches!(n, Near::Number(_)));
        if patients.len() > 1 || numbers.flat_map(near).any(|p| p.id != known.id) {
            return Err(ChangePlan::Hold("its identifiers are of several patients"));
        }
        if !keys.iter().any(|k| known.holds(k)) {
            let since = keys.iter().filter_map(|k| known.standing.former_since(k)).max();
            return Err(if since.is_some_and(|since| self.at < since) {
                ChangePlan::Nothing("about a record that was joined with another one since")
            } else {
                ChangePlan::Hold("about a record that was joined with another one before")
            });
        }
        if self.is_somebody_else(known) {
            return Err(ChangePlan::Hold(
                "known by this identifier is somebody whose family name or date of birth is another, and nothing else says that it is the same person",
            ));
        }
        Ok(known)
    }

    /// A value under another type may be another kind of number, if name and birth say so.
    fn may_be(&self, near: &Near, patient: &Patient) -> bool {
        matches!(near, Near::Number(_)) || !self.likeness().is_clearly_another(&patient.details)
    }

    fn is_somebody_else(&self, known: &Patient) -> bool {
        self.likeness().is_of_somebody_else(&known.details)
    }

    fn likeness(&self) -> Likeness<'_> {
        let number = match &self.nhs_number {
            Sent::Value(number) => Some(*number),
            Sent::Absent | Sent::Null => None,
        };
        let families = self.family.iter().chain(&self.other_families).collect();
        Likeness { families, born: self.date_of_birth, birth_year: self.birth_year, number }
    }

    fn tell_death(&self, patient: &mut Patient) {
        let born = self.date_of_birth.unwrap_or(patient.details.date_of_birth);
        patient.told_of_death(self.deceased, &self.died_on, born, self.at);
    }

    /// Of an older message: that nobody may learn where they live is taken all the same, unless a newer one spoke of it.
    fn tell_shielding(&self, patient: &mut Patient) {
        let is_spoken_of = patient.standing.shielding_told_at.is_some_and(|told| self.at < told);
        if self.location_shielded == Some(true) && !is_spoken_of {
            patient.standing.shielding_told_at = Some(self.at);
            patient.shield();
        }
    }

    fn over(&self, patient: &mut Patient, today: Date) -> Result<(), Violations> {
        let mut broken = Violations::default();
        match self.kind {
            ChangeKind::Removed if !patient.standing.deceased() => {
                patient.standing.doubt = patient.standing.doubt.or(Some(Doubt::RecordRemoved));
            }
            ChangeKind::Added if patient.standing.doubt == Some(Doubt::RecordRemoved) => patient.standing.doubt = None,
            _ => {}
        }
        if self.location_shielded.is_some() {
            patient.standing.shielding_told_at = Some(self.at);
        }
        if self.kind == ChangeKind::Removed {
            if self.location_shielded == Some(true) {
                patient.shield();
            }
            return Ok(());
        }
        self.numbers_over(&mut patient.details);
        self.identifiers_over(patient, &mut broken);
        let d = &mut patient.details;
        d.name.family = self.family.clone().unwrap_or_else(|| d.name.family.clone());
        d.name.given = self.given.clone().unwrap_or_else(|| d.name.given.clone());
        self.prefix.over(&mut d.name.prefix);
        d.date_of_birth = self.date_of_birth.unwrap_or(d.date_of_birth);
        d.gender = self.gender.unwrap_or(d.gender);
        self.address.over(&mut d.address);
        self.phone.over(&mut d.phone);
        patient.standing.location_shielded = self.location_shielded.unwrap_or(patient.standing.location_shielded);
        if patient.standing.location_shielded {
            patient.shield();
        }
        patient.details.check("patient", today, &mut broken);
        if broken.is_empty() { Ok(()) } else { Err(broken) }
    }

    fn numbers_over(&self, d: &mut PatientDetails) {
        let before = d.nhs_number;
        self.nhs_number.over(&mut d.nhs_number);
        d.nhs_number_status = match (d.nhs_number, self.nhs_number_status) {
            (None, _) => NhsNumberStatus::NotPresent,
            (Some(_), Some(status)) if status != NhsNumberStatus::NotPresent => status,
            // Beside a number it contradicts itself, and the number counts as verified by nobody.
            (Some(_), Some(_)) if matches!(self.nhs_number, Sent::Value(_)) => NhsNumberStatus::NotTraced,
            (now, _) if now == before => d.nhs_number_status,
            _ => NhsNumberStatus::NotTraced,
        };
    }

    /// The trust's own identifiers: one an authority and type. Senders list retired ones beside the present one.
    fn identifiers_over(&self, patient: &mut Patient, broken: &mut Violations) {
        let same = |a: &LocalIdentifier, b: &LocalIdentifier| {
            a.assigning_authority == b.assigning_authority && a.kind == b.kind
        };
        let known = patient.details.local_identifiers.clone();
        let sent: Vec<&LocalIdentifier> = self
            .local_identifiers
            .iter()
            .filter(|id| patient.standing.former_since(&PatientKey::Local((*id).clone())).is_none())
            .collect();
        for (i, id) in sent.iter().enumerate() {
            if known.iter().any(|k| same(k, id) && sent.contains(&k)) {
                continue;
            }
            if sent[..i].iter().any(|other| same(other, id) && other != id) {
                broken.add("local_identifiers", "several of one authority and type, none of them known");
                continue;
            }
            patient.details.local_identifiers.retain(|k| !same(k, id));
            patient.details.local_identifiers.push((*id).clone());
        }
    }
}

impl Patient {
    /// A death is taken from an older message too, unless a newer one spoke of it: others that say nothing do not bring anybody back.
    fn told_of_death(
        &mut self,
        deceased: Option<bool>,
        sent: &Sent<Private<Date>>,
        born: Private<Date>,
        at: Timestamp,
    ) {
        let told = &mut self.standing.death;
        if told.as_ref().is_some_and(|d| at < d.told_at) {
            return;
        }
        let mut died_on = told.as_ref().and_then(|d| d.died_on);
        sent.over(&mut died_on);
        // One of the two dates is wrong; the death is told all the same.
        let died_on = died_on.filter(|died| *died >= born);
        let dated = matches!(sent, Sent::Value(_));
        // A date of death beside "not dead" contradicts itself: holding back what may be wrong harms nobody.
        match deceased {
            Some(false) if !dated => {
                // Said of somebody nobody called dead, it is no news.
                if told.as_ref().is_some_and(|d| d.deceased) {
                    *told = Some(Death { deceased: false, died_on: None, told_at: at });
                }
            }
            None if !dated => {}
            _ => *told = Some(Death { deceased: true, died_on, told_at: at }),
        }
    }

    /// The record said `now`, when it was asked, that they have died: one version on, unless that was known.
    pub fn found_dead(&self, died_on: Option<Private<Date>>, now: Timestamp) -> Self {
        let mut patient = self.clone();
        let tomorrow = now.to_zoned(TimeZone::UTC).date().tomorrow().unwrap_or(Date::MAX);
        let dated = died_on.filter(|d| d.0 <= tomorrow).map_or(Sent::Absent, Sent::Value);
        patient.told_of_death(Some(true), &dated, self.details.date_of_birth, now);
        let what = |p: &Self| p.standing.death.as_ref().map(|d| (d.deceased, d.died_on));
        if what(&patient) != what(self) {
            patient.version += 1;
            patient.updated_at = now;
        }
        patient
    }
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
