//! What a pack's map read of a message about patients or referrals we may know, as the domain's types: the rules of the API's fields.

use super::codes::Code;
use super::field::{Fields, given};
use super::person::{draft_address, draft_external_id, not_blank, read_local_identifier};
use super::urgent;
use crate::domain::change::{ChangeKind, PatientChange, Sent};
use crate::domain::merge::{Merge, MergeKind};
use crate::domain::nhs_number::NhsNumber;
use crate::domain::organisation::{OdsCode, TeamId};
use crate::domain::person::{Gender, LocalIdentifier, NhsNumberStatus};
use crate::domain::referral::{CloseReason, ExternalId, ReferralPriority, ReferralTold};
use crate::domain::rule::Violations;
use crate::domain::standing::{Near, PatientKey};
use crate::domain::text::{self, Private};
use crate::wire::v1;
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Identifiers looked at in one message, and merges in one.
const KEYS_MAX: usize = 300;
const MERGES_MAX: usize = 100;

/// A message, read as far as it goes.
pub struct Read<T> {
    /// Who it is about: those of its identifiers that keep the rules. What breaks them can be nobody's here.
    pub keys: Vec<PatientKey>,
    /// Whom they may mean beside that, those that break the rules included.
    pub near: Vec<Near>,
    /// It names somebody, readable or not.
    pub names_somebody: bool,
    pub message: Result<T, NotRead>,
    /// What is urgent in it, should the rest not be taken in: to be looked at for that alone.
    pub urgent: Option<Box<PatientChange>>,
    /// Should it not be taken in, nobody knows whose record is whose: who has one of `keys` is in doubt.
    pub doubts: bool,
}

/// Why it cannot be taken in.
#[derive(Debug)]
pub enum NotRead {
    /// The map gives something else: a fault of the pack.
    Shape,
    Broken(Violations),
}

/// A referral's change, and who the message says it is about.
pub struct ReferralMessageChange {
    pub external_ids: Vec<ExternalId>,
    pub patient: Vec<PatientKey>,
    pub family: Option<String>,
    pub told: ReferralTold,
    /// What is urgent of the patient.
    pub urgent: Option<Box<PatientChange>>,
    /// Identifiers that break our rules, and how.
    pub left_out: Vec<String>,
}

impl<T> Read<T> {
    fn shapeless() -> Self {
        finished(Vec::new(), Vec::new(), true, Err(NotRead::Shape))
    }
}

fn wire<M: DeserializeOwned>(value: &Value) -> Option<M> {
    serde_json::from_value(value.clone()).ok()
}

/// Clocks and zones differ by less.
const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(24);

/// A time that lies a little ahead is now: else nothing told later would count. One of another day is nobody's clock, and what it dates cannot be put in
/// order with anything.
fn told_at(f: &mut Fields<'_>, name: &str, at: Option<&crate::wire::Timestamp>, now: Timestamp) -> Timestamp {
    let at = f.time(name, at);
    if at.is_some_and(|at| at.duration_since(now) > AHEAD_MAX) {
        f.add(name, "lies more than a day ahead");
    }
    at.map_or(now, |at| at.min(now))
}

/// An identifier that breaks our rules stops nothing where another says who is meant. `ids`: how their fields' names begin.
pub(super) fn leave_out(
    of_ids: Violations,
    ids: &str,
    another_says: bool,
    left_out: &mut Vec<String>,
    broken: &mut Violations,
) {
    for wrong in of_ids.0 {
        match wrong.field.starts_with(ids) && another_says {
            true => left_out.push(format!("{} was left out: {}", wrong.field, wrong.rule)),
            false => broken.0.push(wrong),
        }
    }
}

/// Those that keep the rules as keys; the broken rules of the others go to `broken`.
pub(super) fn keys(
    number: Option<&str>,
    ids: &[v1::LocalIdentifier],
    at: (&str, &str),
    broken: &mut Violations,
) -> (Vec<PatientKey>, Option<NhsNumber>, Vec<LocalIdentifier>) {
    let number = given(number).and_then(|n| broken.check(at.0, NhsNumber::parse(n)));
    if ids.len() > KEYS_MAX {
        broken.add(at.1, format!("at most {KEYS_MAX}"));
    }
    let read = |(i, id): (usize, &v1::LocalIdentifier)| read_local_identifier(id, &format!("{}[{i}]", at.1), broken);
    let local: Vec<LocalIdentifier> = ids.iter().take(KEYS_MAX).enumerate().filter_map(read).collect();
    let keys = number.map(PatientKey::NhsNumber).into_iter();
    (keys.chain(local.iter().cloned().map(PatientKey::Local)).collect(), number, local)
}

/// To compare with: at most 20, blank ones left out.
fn families(f: &mut Fields<'_>, name: &str, all: &[String]) -> Vec<Private<String>> {
    let all: Vec<(usize, &String)> = not_blank(all).collect();
    if all.len() > 20 {
        f.add(name, "at most 20");
    }
    all.iter().take(20).map(|(i, one)| f.line(&format!("{name}[{i}]"), one, 80)).collect()
}

/// Other family names of somebody who is referred.
pub fn other_families(all: &[String], broken: &mut Violations) -> Vec<Private<String>> {
    families(&mut Fields::new("", broken), "other_family_names", all)
}

fn year(f: &mut Fields<'_>, name: &str, value: Option<&str>) -> Option<i16> {
    let text = given(value)?;
    let year = text.parse().ok().filter(|y| text.len() == 4 && (1000..=9999).contains(y));
    if year.is_none() {
        f.add(name, "must be a year of four digits");
    }
    year
}

/// A field that can be cleared.
fn sent<T>(value: Option<T>, name: &str, cleared: &[String]) -> Sent<T> {
    match value {
        Some(value) => Sent::Value(value),
        None if cleared.iter().any(|c| c == name) => Sent::Null,
        None => Sent::Absent,
    }
}

/// What no record can be without is not cleared: null says no more than absent there, and stops nothing else of the message.
fn kept(names: &[&'static str], cleared: &[String]) -> Vec<&'static str> {
    names.iter().copied().filter(|n| cleared.iter().any(|c| c == n)).collect()
}

/// Whom identifiers may mean, whatever they are called and whether or not they keep the rules.
pub(super) fn near(number: Option<&str>, ids: &[v1::LocalIdentifier]) -> Vec<Near> {
    let local = ids.iter().take(KEYS_MAX).flat_map(|id| Near::of(&id.assigning_authority, &id.r#type, &id.value));
    number.and_then(|n| NhsNumber::parse(n).ok()).map(Near::Number).into_iter().chain(local).collect()
}

fn finished<T>(keys: Vec<PatientKey>, near: Vec<Near>, names_somebody: bool, message: Result<T, NotRead>) -> Read<T> {
    Read { keys, near, names_somebody, message, urgent: None, doubts: false }
}

fn whole<T>(message: Option<T>, broken: Violations) -> Result<T, NotRead> {
    message.filter(|_| broken.is_empty()).ok_or(NotRead::Broken(broken))
}

/// `cleared`: the fields sent as null.
pub fn patient(value: &Value, cleared: &[String], now: Timestamp) -> Read<PatientChange> {
    let Some(mut m) = wire::<v1::PatientChange>(value) else { return Read::shapeless() };
    m.cleared.extend_from_slice(cleared);
    let cleared = m.cleared;
    let mut broken = Violations::default();
    let (mut of_ids, mut left_out) = (Violations::default(), Vec::new());
    let at = ("nhs_number", "local_identifiers");
    let (keys, number, local_identifiers) = keys(m.nhs_number.as_deref(), &m.local_identifiers, at, &mut of_ids);
    leave_out(of_ids, "local_identifiers[", !keys.is_empty(), &mut left_out, &mut broken);
    let near = near(m.nhs_number.as_deref(), &m.local_identifiers);
    let names_somebody = m.nhs_number.is_some() || !m.local_identifiers.is_empty();
    let replaced = replaced(&m.replaces, &mut broken);
    if !names_somebody {
        broken.add("local_identifiers", "one is required, or nhs_number: nothing says who it is about");
    }
    let mut f = Fields::new("", &mut broken);
    let kind = f.code::<ChangeKind>("kind", m.kind);
    let changed_at = told_at(&mut f, "changed_at", m.changed_at.as_ref(), now);
    let family = f.optional_line("family_name", m.family_name.as_deref(), 80);
    let given_names = f.optional_line("given_names", m.given_names.as_deref(), 80);
    let prefix = f.optional_line("name_prefix", m.name_prefix.as_deref(), 20);
    let date_of_birth = f.optional_day("date_of_birth", m.date_of_birth.as_deref()).map(Private);
    let other_families = families(&mut f, "other_family_names", &m.other_family_names);
    let birth_year = year(&mut f, "birth_year", m.birth_year.as_deref());
    let address = f.optional_part("address", m.address.as_ref(), draft_address);
    let phone = f.optional_line("phone", m.phone.as_deref(), 40);
    let died_on = f.optional_day("died_on", m.died_on.as_deref()).map(Private);
    // Tomorrow, for a sender's clock and zone.
    let tomorrow = now.to_zoned(jiff::tz::TimeZone::UTC).date().tomorrow().unwrap_or(jiff::civil::Date::MAX);
    let lies_ahead = died_on.is_some_and(|d| d.0 > tomorrow);
    if lies_ahead {
        f.add("died_on", "must not lie in the future");
    }
    let status = f.keep("nhs_number_status", NhsNumberStatus::from_wire(m.nhs_number_status)).flatten();
    let gender = f.keep("gender", Gender::from_wire(m.gender)).flatten();
    let no_gender = cleared.iter().any(|c| c == "gender").then_some(Gender::NotKnown);
    let mut change = kind.map(|kind| PatientChange {
        kind,
        at: changed_at,
        nhs_number: sent(number, "nhs_number", &cleared),
        nhs_number_status: status,
        local_identifiers,
        family,
        given: given_names,
        prefix: sent(prefix, "name_prefix", &cleared),
        date_of_birth,
        gender: gender.or(no_gender),
        address: sent(address, "address.lines", &cleared),
        phone: sent(phone, "phone", &cleared),
        location_shielded: m.location_shielded,
        deceased: m.deceased,
        died_on: sent(died_on, "died_on", &cleared),
        other_families,
        birth_year,
        replaces: Vec::new(),
        near: near.clone(),
        kept: kept(&["family_name", "given_names", "date_of_birth", "deceased"], &cleared),
        left_out,
    });
    // A day that cannot be is no day; that somebody has died it says all the same.
    let urgent = change.as_ref().filter(|c| c.is_urgent() && broken.0.iter().all(|b| urgent::is_beside(&b.field)));
    let urgent = urgent.cloned().map(|c| match lies_ahead {
        true => PatientChange { deceased: Some(true), died_on: Sent::Absent, ..c },
        false => c,
    });
    let all = keys.iter().chain(replaced.iter().flat_map(|(keys, _)| keys)).cloned().collect();
    let all_near = near.iter().chain(replaced.iter().flat_map(|(_, near)| near)).cloned().collect();
    if let Some(change) = &mut change {
        // Called by nothing else than this one is, it is the same record here.
        let others = replaced.into_iter().filter(|(losing, _)| losing.iter().any(|key| !keys.contains(key)));
        change.replaces = others.map(|(losing, near)| into(change, losing, near)).collect();
    }
    Read { urgent: urgent.map(Box::new), ..finished(all, all_near, names_somebody, whole(change, broken)) }
}

/// What each record that was replaced is called, and may be meant by it.
fn replaced(all: &[v1::ReplacedRecord], broken: &mut Violations) -> Vec<(Vec<PatientKey>, Vec<Near>)> {
    if all.len() > MERGES_MAX {
        broken.add("replaces", format!("at most {MERGES_MAX}"));
    }
    let mut read = |(i, one): (usize, &v1::ReplacedRecord)| {
        let (number, ids) = (format!("replaces[{i}].nhs_number"), format!("replaces[{i}].local_identifiers"));
        if one.nhs_number.is_none() && one.local_identifiers.is_empty() {
            broken.add(&ids, "one is required, or nhs_number: nothing says which record was replaced");
        }
        let (keys, ..) = keys(one.nhs_number.as_deref(), &one.local_identifiers, (&number, &ids), broken);
        (keys, near(one.nhs_number.as_deref(), &one.local_identifiers))
    };
    all.iter().take(MERGES_MAX).enumerate().map(&mut read).collect()
}

/// The merge of a record into the one that a change is about. What is urgent in the change holds whether or not the merge can be followed.
fn into(change: &PatientChange, losing: Vec<PatientKey>, losing_near: Vec<Near>) -> Merge {
    Merge {
        kind: MergeKind::Merge,
        surviving: change.keys(),
        losing,
        family: change.family.clone(),
        date_of_birth: change.date_of_birth,
        other_families: change.other_families.clone(),
        birth_year: change.birth_year,
        surviving_near: change.near.clone(),
        losing_near,
        at: change.at,
        urgent: change.is_urgent().then(|| Box::new(change.clone())),
    }
}

pub fn merges(value: &Value, now: Timestamp) -> Read<Vec<Merge>> {
    let Some(m) = wire::<v1::PatientMerge>(value) else { return Read::shapeless() };
    let mut broken = Violations::default();
    let mut f = Fields::new("", &mut broken);
    let kind = f.code::<MergeKind>("kind", m.kind);
    let merged_at = told_at(&mut f, "merged_at", m.merged_at.as_ref(), now);
    match m.merges.len() {
        0 => broken.add("merges", "at least one is required"),
        n if n > MERGES_MAX => broken.add("merges", format!("at most {MERGES_MAX}")),
        _ => {}
    }
    let (mut all, mut all_near, mut list, mut names_somebody) = (Vec::new(), Vec::new(), Vec::new(), false);
    for (i, one) in m.merges.iter().take(MERGES_MAX).enumerate() {
        let at = |field: &str| format!("merges[{i}].{field}");
        let mut side = |number: &Option<String>, ids: &[v1::LocalIdentifier], names: (&str, &str)| {
            let (number_at, ids_at) = (at(names.0), at(names.1));
            names_somebody |= number.is_some() || !ids.is_empty();
            let (keys, ..) = keys(number.as_deref(), ids, (&number_at, &ids_at), &mut broken);
            if number.is_none() && ids.is_empty() {
                broken.add(ids_at, "one is required, or an NHS number");
            }
            all.extend_from_slice(&keys);
            keys
        };
        let surviving = side(
            &one.surviving_nhs_number,
            &one.surviving_identifiers,
            ("surviving_nhs_number", "surviving_identifiers"),
        );
        let losing = side(&one.losing_nhs_number, &one.losing_identifiers, ("losing_nhs_number", "losing_identifiers"));
        let surviving_near = near(one.surviving_nhs_number.as_deref(), &one.surviving_identifiers);
        let losing_near = near(one.losing_nhs_number.as_deref(), &one.losing_identifiers);
        all_near.extend(surviving_near.iter().chain(&losing_near).cloned());
        let place = format!("merges[{i}]");
        let mut f = Fields::new(&place, &mut broken);
        let family = f.optional_line("surviving_family_name", one.surviving_family_name.as_deref(), 80);
        let born = f.optional_day("surviving_date_of_birth", one.surviving_date_of_birth.as_deref()).map(Private);
        let other_families = families(&mut f, "surviving_other_family_names", &one.surviving_other_family_names);
        let birth_year = year(&mut f, "surviving_birth_year", one.surviving_birth_year.as_deref());
        let person = urgent::Person {
            nhs_number: one.surviving_nhs_number.as_deref(),
            identifiers: &one.surviving_identifiers,
            family: one.surviving_family_name.as_deref(),
            other_families: &one.surviving_other_family_names,
            date_of_birth: one.surviving_date_of_birth.as_deref(),
            deceased: [one.surviving_deceased, one.losing_deceased].contains(&Some(true)),
            shielded: one.location_shielded == Some(true),
        };
        list.extend(kind.map(|kind| Merge {
            kind,
            surviving,
            losing,
            family,
            date_of_birth: born,
            other_families,
            birth_year,
            surviving_near,
            losing_near,
            at: merged_at,
            urgent: person.urgent(merged_at),
        }));
    }
    let readable = broken.0.iter().all(|b| urgent::is_beside(&b.field));
    let urgent = list.iter().find_map(|m| m.urgent.clone()).filter(|_| readable);
    Read { urgent, doubts: true, ..finished(all, all_near, names_somebody, whole(Some(list), broken)) }
}

/// `cleared`: the fields sent as null.
pub fn referral(value: &Value, cleared: &[String], now: Timestamp) -> Read<ReferralMessageChange> {
    let Some(mut m) = wire::<v1::ReferralChange>(value) else { return Read::shapeless() };
    m.cleared.extend_from_slice(cleared);
    let cleared = m.cleared;
    let mut broken = Violations::default();
    let at = ("patient_nhs_number", "patient_identifiers");
    let (mut of_ids, mut left_out) = (Violations::default(), Vec::new());
    let (patient, ..) = keys(m.patient_nhs_number.as_deref(), &m.patient_identifiers, at, &mut of_ids);
    leave_out(of_ids, "patient_identifiers[", !patient.is_empty(), &mut left_out, &mut broken);
    let names_somebody = m.patient_nhs_number.is_some() || !m.patient_identifiers.is_empty();
    // Without a team it may be ours no more: a person looks.
    if cleared.iter().any(|c| c == "team") {
        broken.add("team", "cannot be cleared");
    }
    if m.external_ids.is_empty() {
        broken.add("external_ids", "one is required: nothing says which referral it is about");
    }
    let mut f = Fields::new("", &mut broken);
    // 11: no referral has more than 10.
    let external_ids: Vec<ExternalId> = (m.external_ids.iter().take(11).enumerate())
        .filter_map(|(i, id)| f.optional_part(&format!("external_ids[{i}]"), Some(id), draft_external_id))
        .collect();
    let kind = f.code::<ReferralChangeKind>("kind", m.kind);
    let at = told_at(&mut f, "changed_at", m.changed_at.as_ref(), now);
    let told = kind.and_then(|kind| match kind {
        ReferralChangeKind::Modified => Some(ReferralTold::Modified {
            at,
            priority: f.keep("priority", ReferralPriority::from_wire(m.priority)).flatten(),
            referrer_name: f.optional_line("referrer_name", m.referrer_name.as_deref(), 100),
            referrer_role: sent(
                f.optional_line("referrer_role", m.referrer_role.as_deref(), 100),
                "referrer_role",
                &cleared,
            ),
            referrer_ods: sent::<OdsCode>(
                f.optional_ods("referrer_ods", m.referrer_ods.as_deref()),
                "referrer_ods",
                &cleared,
            ),
            team: given(m.team.as_deref()).and_then(|t| f.parsed("team", t, TeamId::parse)),
            reason: sent(
                f.optional_paragraphs("reason", m.reason.as_deref(), super::referral::REASON_MAX),
                "reason",
                &cleared,
            ),
        }),
        ReferralChangeKind::Cancelled => {
            let reason = f.code::<CloseReason>("close_reason", m.close_reason)?;
            let text = f.optional_paragraphs("close_text", m.close_text.as_deref(), super::referral::REASON_MAX);
            Some(ReferralTold::Cancelled { at, reason, text })
        }
    });
    if m.patient_deceased && kind == Some(ReferralChangeKind::Modified) {
        broken.add("patient_deceased", super::referral::HAS_DIED);
    }
    let family = request_family(m.patient_family_name.as_deref());
    let person = urgent::Person {
        nhs_number: m.patient_nhs_number.as_deref(),
        identifiers: &m.patient_identifiers,
        family: m.patient_family_name.as_deref(),
        other_families: &[],
        date_of_birth: None,
        deceased: m.patient_deceased,
        shielded: m.patient_location_shielded,
    };
    let urgent = person.urgent(at);
    let keys = patient.clone();
    let near = near(m.patient_nhs_number.as_deref(), &m.patient_identifiers);
    let change = told.map(|told| ReferralMessageChange {
        external_ids,
        patient,
        family,
        told,
        urgent: urgent.clone(),
        left_out,
    });
    let urgent = urgent.filter(|_| broken.0.iter().all(|b| urgent::is_beside(&b.field)));
    Read { urgent, ..finished(keys, near, names_somebody, whole(change, broken)) }
}

/// To compare with only: one that breaks the rule of a name agrees with nobody's.
fn request_family(value: Option<&str>) -> Option<String> {
    given(value).map(|v| text::line(v, 80).map_or_else(|_| String::new(), |family| family.0))
}

/// MODIFIED or CANCELLED.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferralChangeKind {
    Modified,
    Cancelled,
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
