//! What is read is shown again as it was; what is shown hides what its view hides.

use super::{View, note, outcome, patient, person, referral, samples::*};
use crate::domain::ids::{EntryId, NoteId, OutcomeId, PatientId, ReferralId};
use crate::domain::note::{Action, Note, Version, WithdrawReason};
use crate::domain::organisation::OdsCode;
use crate::domain::outcome::Outcome;
use crate::domain::person::Patient;
use crate::domain::referral::{EmployerApproach, Referral, ReferralState};
use crate::domain::rule::Violations;
use crate::domain::standing::Standing;
use crate::domain::text::Private;
use crate::wire::{
    Timestamp,
    v1::{self, note_content::Kind as NoteKind, outcome_content::Kind as OutcomeKind},
};
use proptest::prelude::*;
use uuid::Uuid;

fn fine<T>(read: impl FnOnce(&mut Violations) -> Option<T>) -> T {
    let mut broken = Violations::default();
    let value = read(&mut broken);
    assert!(broken.is_empty(), "{broken:?}");
    value.expect("nothing was broken")
}

fn assert_same<M: PartialEq + serde::Serialize>(a: &M, b: &M) {
    let json = |m: &M| serde_json::to_string_pretty(m).expect("proto JSON");
    assert!(a == b, "{}\nbecame\n{}", json(a), json(b));
}

#[test]
fn every_kind_of_note_reads_and_shows_the_same() {
    for (_, kind) in note_kinds() {
        let m = v1::NoteContent { risk_disclosed: Some(risk()), ..note(kind) };
        assert_same(&m, &note::show_content(&fine(|b| note::read_and_check(&m, "content", now(), b))));
    }
}

#[test]
fn every_kind_of_outcome_reads_and_shows_the_same() {
    for (_, kind) in outcome_kinds() {
        let m = outcome(kind);
        assert_same(&m, &outcome::show_content(&fine(|b| outcome::read_and_check(&m, "content", today(), b))));
    }
}

#[test]
fn an_empty_optional_text_counts_as_unset() {
    let mut m = patient_details();
    m.phone = Some(String::new());
    m.address.as_mut().expect("there").county = Some("  ".into());
    m.local_identifiers[0].r#type.clear();
    let shown = patient::show_details(&fine(|b| patient::read_and_check(&m, "details", today(), b)));
    assert_eq!(shown.phone, None);
    assert_eq!(shown.address.expect("there").county, None);
    assert_eq!(shown.local_identifiers[0].r#type, "MR");
}

/// A line as people write one, trimmed. The two separators are line breaks to us.
fn line(max: usize) -> BoxedStrategy<String> {
    proptest::string::string_regex(&format!("[\\PC&&[^\u{2028}\u{2029}]]{{1,{max}}}"))
        .expect("a pattern")
        .prop_map(|t| t.trim().to_owned())
        .prop_filter("something to be seen", move |t| crate::domain::text::line(t, max).is_ok())
        .boxed()
}

fn family() -> BoxedStrategy<String> {
    line(80).prop_filter("a name", |t| crate::domain::text::family_name(t, 80).is_ok()).boxed()
}

fn maybe(max: usize) -> BoxedStrategy<Option<String>> {
    prop::option::of(line(max)).boxed()
}

fn day() -> BoxedStrategy<String> {
    (1930i16..2025, 1i8..13, 1i8..29).prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}")).boxed()
}

/// Microseconds before `now()`, up to four years.
fn time() -> BoxedStrategy<Option<Timestamp>> {
    (0i64..4 * 365 * 86_400_000_000)
        .prop_map(|us| Some(crate::domain::ambient::from_micros(now().as_microsecond() - us).into()))
        .boxed()
}

fn any_patient() -> impl Strategy<Value = v1::PatientDetails> {
    let identifiers = prop::collection::btree_map("[A-Za-z0-9._-]{1,40}", "[!-~]{1,40}", 1..20);
    let name = (family(), line(80), maybe(20));
    let address = prop::option::of((prop::collection::vec(line(100), 0..5), maybe(100), maybe(100), maybe(10)));
    let number = prop::sample::select(vec!["9990000018", "9990000026", "9990000034", "9990000042", "9990000050"]);
    (prop::option::of((number, 1i32..7)), identifiers, name, day(), 1i32..5, address, maybe(40)).prop_map(
        |(number, ids, (family, given, prefix), date_of_birth, gender, address, phone)| v1::PatientDetails {
            nhs_number: number.map(|(n, _)| n.into()),
            nhs_number_status: number.map_or(7, |(_, status)| status),
            local_identifiers: (ids.into_iter())
                .map(|(authority, value)| v1::LocalIdentifier {
                    assigning_authority: authority,
                    value,
                    r#type: "PI".into(),
                })
                .collect(),
            name: Some(v1::PersonName { family, given, prefix }),
            date_of_birth,
            gender,
            address: address.map(|(lines, city, county, postcode)| v1::Address { lines, city, county, postcode }),
            phone,
        },
    )
}

fn any_contact() -> impl Strategy<Value = v1::Contact> {
    (1i32..11, 1i32..7, 1i32..4, 0i32..1441, prop::option::of("[A-Z][0-9]{2}"), maybe(200)).prop_map(
        |(mechanism, attendance, mode, minutes, location_code, others_present)| v1::Contact {
            mechanism,
            attendance,
            mode,
            duration_minutes: Some(minutes),
            location_code,
            others_present,
        },
    )
}

/// A note of any kind, the rest of it as in the samples. (A kind by itself has no `Debug`.)
fn any_kind_of_note() -> impl Strategy<Value = v1::NoteContent> {
    let flags = any::<(bool, bool, bool, bool)>();
    let benefits = (any::<Option<bool>>(), any::<bool>(), maybe(200));
    let disclosure = (1i32..5, 1i32..5, line(500), day());
    let samples: Vec<_> = note_kinds().into_iter().map(|(_, k)| note(k)).collect();
    prop_oneof![
        prop::sample::select(samples),
        (1i32..4, any::<bool>()).prop_map(|(stage, client_committed)| {
            note(NoteKind::VocationalProfile(v1::VocationalProfile { stage, client_committed }))
        }),
        (any::<bool>(), prop::option::of(day())).prop_map(|(client_engaged, review_on)| {
            note(NoteKind::ActionPlan(v1::ActionPlan { client_engaged, review_on }))
        }),
        benefits.prop_map(|(receives_benefits, calculation_made, benefits)| {
            note(NoteKind::BenefitsAdvice(v1::BenefitsAdvice { receives_benefits, calculation_made, benefits }))
        }),
        disclosure.prop_map(|(choice, employer_approach, scope, decided_on)| {
            let scope = Some(scope);
            note(NoteKind::DisclosureDecision(v1::DisclosureDecision { choice, employer_approach, scope, decided_on }))
        }),
        (1i32..7, line(200), flags).prop_map(|(purpose, employer_name, (a, b, c, d))| {
            note(NoteKind::EmployerContact(v1::EmployerContact {
                purpose,
                employer_name,
                share_in_record: a,
                face_to_face: b,
                in_clients_name: c,
                client_present: d,
            }))
        }),
        maybe(100).prop_map(|team| note(NoteKind::TeamDiscussion(v1::TeamDiscussion { team }))),
        line(100)
            .prop_map(|with_whom| { note(NoteKind::SupportNetworkContact(v1::SupportNetworkContact { with_whom })) }),
    ]
}

fn any_note() -> impl Strategy<Value = v1::NoteContent> {
    let text = "[\\PC\t\n]{0,300}[a-z]";
    let risk = prop::option::of((line(200), time()));
    (any_kind_of_note(), any_contact(), text, time(), any::<(bool, bool, bool)>(), risk).prop_map(
        |(plain, contact, text, when, (third_party, serious_harm, not_for_patient), risk)| {
            let told = |(told_whom, told_at): (String, Option<Timestamp>)| {
                let latest = told_at.or_later(when);
                v1::RiskDisclosed { told_whom, told_at: latest }
            };
            v1::NoteContent {
                occurred_at: when,
                text,
                contact: plain.contact.as_ref().map(|_| contact),
                sensitivity: Some(v1::Sensitivity { third_party, serious_harm, not_for_patient }),
                risk_disclosed: risk.map(told),
                kind: plain.kind,
            }
        },
    )
}

trait Later {
    fn or_later(self, other: Self) -> Self;
}

impl Later for Option<Timestamp> {
    /// The later of two times.
    fn or_later(self, other: Self) -> Self {
        std::cmp::max_by_key(self, other, |t| t.map(|t| (t.seconds, t.nanos)))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_valid_patient_reads_and_shows_the_same(m in any_patient()) {
        assert_same(&m, &patient::show_details(&fine(|b| patient::read_and_check(&m, "details", today(), b))));
    }

    #[test]
    fn any_valid_note_reads_and_shows_the_same(m in any_note()) {
        assert_same(&m, &note::show_content(&fine(|b| note::read_and_check(&m, "content", now(), b))));
    }

    #[test]
    fn any_valid_referral_reads_and_shows_the_same(
        name in line(100), role in maybe(100), reason in prop::option::of("[\\PC\t\n]{0,300}[a-z]"),
        employment in 0i32..10, retention in any::<bool>(), months in prop::option::of(0i32..721), priority in 1i32..5,
    ) {
        let employed = employment == 1;
        let m = v1::ReferralDetails {
            referrer_name: name, referrer_role: role, reason, priority, employment_status: employment,
            job_retention: employed && retention, months_out_of_work: months.filter(|_| !employed), ..referral_details()
        };
        assert_same(&m, &referral::show_details(&fine(|b| referral::read_and_check(&m, "details", b))));
    }

    /// Whatever a caller sends is answered, and a value comes back only where nothing was broken.
    #[test]
    fn no_message_whatever_makes_reading_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        use prost::Message;
        let given = |some: bool, b: &Violations| assert_eq!(some, b.is_empty());
        if let Ok(m) = v1::NoteContent::decode(&bytes[..]) {
            let mut b = Violations::default();
            given(note::read_and_check(&m, "content", now(), &mut b).is_some(), &b);
        }
        if let Ok(m) = v1::OutcomeContent::decode(&bytes[..]) {
            let mut b = Violations::default();
            given(outcome::read_and_check(&m, "content", today(), &mut b).is_some(), &b);
        }
        if let Ok(m) = v1::PatientDetails::decode(&bytes[..]) {
            let mut b = Violations::default();
            given(patient::read_and_check(&m, "details", today(), &mut b).is_some(), &b);
        }
    }
}

fn ods() -> OdsCode {
    OdsCode::parse("RXX").expect("an ODS code")
}

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn version<C>(number: i64, action: Action<C>) -> Version<C> {
    Version {
        number,
        action,
        author: fine(|b| person::read_author(&author(), "author", b)),
        submitted_by: "ips-app".into(),
        recorded_at: now(),
        entry_id: EntryId(id(9)),
    }
}

fn withdrawal<C>() -> Action<C> {
    Action::Withdraw { reason: WithdrawReason::WrongPatient, explanation: Some(Private("picked the wrong Sam".into())) }
}

#[test]
fn a_basic_view_of_a_note_holds_no_text_that_a_person_wrote_about_the_client() {
    let content = fine(|b| note::read(&note(NoteKind::JobClub(v1::JobClub {})), "content", b));
    let head = Note {
        id: NoteId(id(1)),
        trust: ods(),
        patient_id: PatientId(id(2)),
        referral_id: ReferralId(id(3)),
        version: 3,
        withdrawn: true,
        occurred_at: content.occurred_at,
    };
    let versions = [
        version(1, Action::Create(content.clone())),
        version(2, Action::Replace { content, reason: Private("typing mistake".into()) }),
        version(3, withdrawal()),
    ];
    let basic = note::show(&head, &versions, View::Basic);
    for v in &basic.versions {
        assert!(v.content.is_none() && v.reason.is_empty());
    }
    let actions: Vec<i32> = basic.versions.iter().map(|v| v.action).collect();
    assert_eq!(actions, [1, 2, 3]);
    let counted_as: Vec<i32> = basic.versions.iter().map(|v| v.activity_type).collect();
    assert_eq!(counted_as, [1, 1, 0], "direct contact, and nothing once withdrawn");
    assert_eq!(basic.versions[2].withdraw_reason, i32::from(v1::WithdrawReason::WrongPatient));

    let full = note::show(&head, &versions, View::Full);
    assert_eq!(full.versions[1].reason, "typing mistake");
    assert_eq!(full.versions[2].reason, "picked the wrong Sam");
    assert!(full.versions[0].content.is_some() && full.versions[2].content.is_none());
}

#[test]
fn an_outcome_shows_its_hours_band_in_every_view() {
    let content = fine(|b| outcome::read(&outcome(OutcomeKind::JobStart(job_start(true))), "content", b));
    let head = Outcome {
        id: OutcomeId(id(1)),
        trust: ods(),
        patient_id: PatientId(id(2)),
        referral_id: ReferralId(id(3)),
        version: 2,
        withdrawn: true,
        current: None,
    };
    let versions = [version(1, Action::Create(content)), version(2, withdrawal())];
    let basic = outcome::show(&head, &versions, View::Basic);
    assert!(basic.versions.iter().all(|v| v.content.is_none()));
    assert_eq!(basic.versions[0].hours_band, i32::from(v1::HoursBand::HoursBand16To29));
    assert_eq!(basic.versions[1].hours_band, 0);
}

#[test]
fn a_list_of_referrals_leaves_the_reason_out() {
    let details = fine(|b| referral::read_and_check(&referral_details(), "details", b));
    let shown = Referral {
        id: ReferralId(id(1)),
        trust: ods(),
        version: 2,
        patient_id: PatientId(id(2)),
        state: ReferralState::Accepted,
        details,
        received_at: now(),
        accepted_at: Some(now()),
        declined_at: None,
        closed_at: None,
        decline_reason: None,
        decline_text: None,
        close_reason: None,
        assigned_to: Some(fine(|b| person::read_author(&author(), "author", b))),
        received_from: None,
        received_control_id: None,
        touched_at: now(),
        employer_approach: Some(EmployerApproach { decided_on: today(), consented: true }),
        approach_decisions: Vec::new(),
        close_text: None,
        told_at: None,
        as_received: false,
    };
    let full = referral::show(&shown);
    assert!(full.details.as_ref().is_some_and(|d| d.reason.is_some()));
    assert!(full.employer_approach_consented);
    let mut listed = referral::show_in_list(&shown);
    assert_eq!(listed.details.as_ref().and_then(|d| d.reason.clone()), None);
    listed.details.as_mut().expect("there").reason = full.details.as_ref().and_then(|d| d.reason.clone());
    assert_same(&full, &listed);
    let reply = referral::show_reply(&shown).expect("it is answered");
    assert!(reply.accepted && reply.assigned_to.is_some());
}

#[test]
fn a_patient_shows_with_who_owns_the_record() {
    let details = fine(|b| patient::read_and_check(&patient_details(), "details", today(), b));
    let standing = Standing::default();
    let shown = Patient {
        id: PatientId(id(2)),
        trust: ods(),
        version: 4,
        details,
        created_at: now(),
        updated_at: now(),
        standing,
    };
    let shown = patient::show(&shown);
    assert_eq!((shown.trust_ods.as_str(), shown.version, shown.id.len()), ("RXX", 4, 26));
    assert_same(&shown.details, &Some(patient_details()));
}

#[test]
fn a_patient_shows_that_they_were_merged_died_or_are_in_doubt() {
    use crate::domain::standing::{Death, Doubt};
    let details = fine(|b| patient::read_and_check(&patient_details(), "details", today(), b));
    let standing = Standing {
        merged_into: Some(PatientId(id(9))),
        absorbed: vec![PatientId(id(8))],
        doubt: Some(Doubt::MergeUnclear),
        death: Some(Death { deceased: true, died_on: Some(crate::domain::text::Private(today())), told_at: now() }),
        location_shielded: true,
        ..Standing::default()
    };
    let patient_now = Patient {
        id: PatientId(id(2)),
        trust: ods(),
        version: 4,
        details,
        created_at: now(),
        updated_at: now(),
        standing,
    };
    let shown = patient::show(&patient_now);
    assert_eq!((shown.merged_into, shown.absorbed.len()), (Some(PatientId(id(9)).to_string()), 1));
    assert!(shown.identity_in_doubt && shown.deceased && shown.location_shielded);
    assert_eq!(shown.died_on, Some(today().to_string()));
}
