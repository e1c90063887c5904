//! The safety holds, each by its rule, and what they do with bytes that may have been seen.

use super::*;
use crate::domain::decide::Happened;
use crate::domain::decide::tests::{
    aa, ae207, after, at, begun, delivery, no_answer, policy, replied, rerendered, retried,
};
use crate::domain::entry::{Body, EntryAction, ReferralReply, Subject};
use crate::domain::ids::EntryId;
use crate::domain::note::{Action, WithdrawReason};
use crate::domain::organisation::{OdsCode, StaffId, TeamId};
use crate::domain::person::{Author, LocalIdentifier};
use crate::domain::policy::AfterUnknown;
use crate::domain::referral::{ReferralDetails, ReferralPriority, ReferralState, SourceCode};
use crate::domain::text::Private;

fn text(value: &str) -> Private<String> {
    Private(value.to_owned())
}

fn identity(nhs_number: &str, family: &str) -> Identity {
    Identity {
        nhs_number: crate::domain::nhs_number::NhsNumber::parse(nhs_number).ok(),
        nhs_number_status: NhsNumberStatus::Verified,
        local_identifiers: vec![],
        date_of_birth: Private(jiff::civil::date(1985, 4, 12)),
        family: text(family),
    }
}

/// Everything a hold looks at; a test changes one thing.
#[derive(Clone)]
struct Case {
    delivery: Delivery,
    entry: Entry,
    policy: EndpointPolicy,
    identity_now: Identity,
    standing: Standing,
    referral: Referral,
    predecessor: Option<Delivery>,
    author_mapped: bool,
    from_config: &'static str,
    late_now: bool,
    names: Option<Option<&'static str>>,
    named_elsewhere: bool,
    sent_elsewhere: bool,
    speaks_of: SpeaksOf,
    made_from: Option<MadeFrom>,
}

impl Case {
    fn new() -> Self {
        let delivery = delivery(1, EntryAction::Create);
        let identity = identity("9990000018", "Test");
        let trust = OdsCode::parse("RW1").expect("valid");
        let author = Author {
            staff_id: StaffId::parse("S1").expect("valid"),
            display_name: text("A Specialist"),
            role_title: text("Employment specialist"),
            organisation: trust.clone(),
        };
        let referral = Referral {
            id: delivery.referral_id,
            trust: trust.clone(),
            version: 1,
            patient_id: delivery.patient_id,
            state: ReferralState::Accepted,
            details: ReferralDetails {
                external_ids: vec![],
                source: SourceCode::parse("P1").expect("valid"),
                priority: ReferralPriority::Routine,
                referrer_name: text("A Referrer"),
                referrer_role: None,
                referrer_ods: None,
                referring_team: None,
                team: TeamId::parse("north").expect("valid"),
                site: None,
                reason: None,
                employment_status: None,
                job_retention: false,
                months_out_of_work: None,
            },
            received_at: at(0),
            accepted_at: Some(at(0)),
            declined_at: None,
            closed_at: None,
            decline_reason: None,
            decline_text: None,
            close_reason: None,
            assigned_to: None,
            received_from: None,
            received_control_id: None,
            touched_at: at(0),
            employer_approach: None,
            approach_decisions: Vec::new(),
            close_text: None,
            told_at: None,
            as_received: false,
        };
        let entry = Entry {
            id: EntryId(uuid::Uuid::from_u128(1)),
            trust,
            patient_id: delivery.patient_id,
            referral_id: delivery.referral_id,
            subject: delivery.subject,
            version: 1,
            body: Body::Note(Action::Withdraw { reason: WithdrawReason::WrittenInError, explanation: None }),
            occurred_at: at(100),
            recorded_at: at(100),
            author,
            submitted_by: "a system".into(),
            identity: identity.clone(),
        };
        Self {
            delivery,
            entry,
            policy: policy(),
            identity_now: identity,
            standing: Standing::default(),
            referral,
            predecessor: None,
            author_mapped: true,
            from_config: "as the staff table says",
            late_now: false,
            names: None,
            named_elsewhere: false,
            sent_elsewhere: false,
            speaks_of: SpeaksOf::Nothing,
            made_from: None,
        }
    }

    fn clearance(&self) -> Clearance {
        clearance(&Facts {
            delivery: &self.delivery,
            entry: &self.entry,
            policy: &self.policy,
            identity_now: &self.identity_now,
            standing: &self.standing,
            referral: &self.referral,
            predecessor: self.predecessor.as_ref(),
            author_mapped: self.author_mapped,
            from_config: self.from_config,
            late_now: self.late_now,
            names: self.names,
            named_elsewhere: self.named_elsewhere,
            sent_elsewhere: self.sent_elsewhere,
            speaks_of: self.speaks_of,
            made_from: self.made_from.as_ref(),
        })
    }

    /// A rendering was made, and no byte of it has left.
    fn rendered(mut self) -> Self {
        self.made_from = Some(MadeFrom {
            identity: self.identity_now.clone(),
            endpoint: self.policy.fingerprint.clone(),
            from_config: Some(self.from_config.to_owned()),
            late: false,
            names: self.names.flatten().map(str::to_owned),
            speaks_of: Some(self.speaks_of),
        });
        self
    }

    /// It was sent, and nobody knows what became of it.
    fn sent(mut self) -> Self {
        self = self.rendered();
        self.delivery = after(&self.delivery, &self.policy, &[Happened::Claimed, begun(), no_answer()]);
        self
    }

    /// A person has looked at this hold and has it made anew.
    fn looked_at(mut self, reason: ParkReason) -> Self {
        let held = Happened::Held { reason, detail: String::new() };
        let anew = Happened::Rerendered {
            may_be_in_record_acknowledged: true,
            identity_now: Some(Box::new(self.identity_now.clone())),
            for_others: false,
        };
        self.delivery = after(&self.delivery, &self.policy, &[Happened::Claimed, held, anew]);
        self.made_from = None;
        self
    }
}

#[test]
fn what_nothing_speaks_against_goes() {
    assert_eq!(Case::new().clearance(), Clearance::Go);
    assert_eq!(Case::new().rendered().clearance(), Clearance::Go);
    assert_eq!(Case::new().sent().clearance(), Clearance::Go, "a resend of the same bytes");
}

#[test]
fn identity_changed_since_authoring_is_held() {
    for now in [identity("9990000026", "Test"), identity("9990000018", "Other"), identity("", "Test")] {
        let changed = Case { identity_now: now.clone(), ..Case::new() };
        assert_eq!(changed.clearance(), Clearance::Hold(ParkReason::IdentityChanged));
        let after_send = Case { identity_now: now, ..Case::new().sent() };
        assert_eq!(after_send.clearance(), Clearance::Hold(ParkReason::IdentityChangedAfterSend));
    }
}

#[test]
fn who_looked_at_a_changed_identity_approved_that_one_and_no_later_one() {
    let married = identity("9990000018", "Other");
    let case = Case { identity_now: married, ..Case::new() }.looked_at(ParkReason::IdentityChanged);
    assert_eq!(case.clearance(), Clearance::Go);
    // Before the first rendering, and after it.
    let later = identity("9990000026", "Another");
    let not_yet_made = Case { identity_now: later.clone(), ..case.clone() };
    assert_eq!(not_yet_made.clearance(), Clearance::Hold(ParkReason::IdentityChanged));
    let case = case.rendered();
    assert_eq!(case.clearance(), Clearance::Go);
    let merged = Case { identity_now: later, ..case };
    assert_eq!(merged.clearance(), Clearance::Hold(ParkReason::IdentityChanged));
}

#[test]
fn an_unverified_nhs_number_is_held_where_the_endpoint_demands_one() {
    let mut case = Case::new();
    case.identity_now.nhs_number_status = NhsNumberStatus::TraceRequired;
    assert_eq!(case.clearance(), Clearance::Go);
    case.policy.require_verified_nhs_number = true;
    assert_eq!(case.clearance(), Clearance::Hold(ParkReason::NhsNumberUnverified));
    assert_eq!(case.looked_at(ParkReason::NhsNumberUnverified).clearance(), Clearance::Go);
}

#[test]
fn a_referral_closed_before_the_contact_is_held() {
    let mut case = Case::new();
    case.referral.closed_at = Some(at(100));
    assert_eq!(case.clearance(), Clearance::Go, "the contact was before the close");
    case.referral.closed_at = Some(at(99));
    assert_eq!(case.clearance(), Clearance::Hold(ParkReason::ReferralClosed));
    // How long a job lasted is asked weeks after the support has ended; and what is taken back belongs into no referral.
    let mut later = outcome();
    later.referral.closed_at = Some(at(99));
    assert_eq!(later.clearance(), Clearance::Go);
    let mut back = Case::new();
    back.delivery.action = EntryAction::Withdraw;
    back.referral.closed_at = Some(at(99));
    back.policy.require_verified_nhs_number = true;
    back.identity_now.nhs_number_status = NhsNumberStatus::NotTraced;
    assert_eq!(back.clearance(), Clearance::Go);
    // The reply that ends a referral is never held by its end.
    case.entry.subject = Subject::Referral(case.referral.id);
    case.entry.body = Body::ReferralReply(ReferralReply {
        accepted: false,
        decline_reason: None,
        reason_text: None,
        assigned_to: None,
        answered_at: at(100),
        in_reply_to: None,
    });
    assert_eq!(case.clearance(), Clearance::Go);
}

#[test]
fn an_author_without_a_staff_id_is_held_where_the_endpoint_demands_one_and_nobody_overrides_it() {
    let mut case = Case::new();
    case.author_mapped = false;
    assert_eq!(case.clearance(), Clearance::Go);
    case.policy.require_mapped_staff = true;
    assert_eq!(case.clearance(), Clearance::Hold(ParkReason::NoMappedStaffId));
    assert_eq!(case.looked_at(ParkReason::NoMappedStaffId).clearance(), Clearance::Hold(ParkReason::NoMappedStaffId));
}

#[test]
fn a_replacement_is_held_while_its_predecessor_is_unresolved() {
    let before = delivery(1, EntryAction::Create);
    let unknown = after(&before, &policy(), &[Happened::Claimed, begun(), no_answer()]);
    let sending = after(&before, &policy(), &[Happened::Claimed]);
    let filed = after(&before, &policy(), &[Happened::Claimed, begun(), replied(aa())]);
    let held = Clearance::Hold(ParkReason::PredecessorUnresolved);
    for (predecessor, expected) in [(unknown, held), (sending, held), (filed, Clearance::Go)] {
        let mut case = Case { predecessor: Some(predecessor), ..Case::new() };
        case.delivery = delivery(2, EntryAction::Replace);
        assert_eq!(case.clearance(), expected);
    }
}

#[test]
fn what_no_byte_of_was_seen_is_made_anew_when_identity_or_endpoint_change() {
    let mut case = Case::new().rendered();
    let id = LocalIdentifier { assigning_authority: "RW1".into(), value: text("123"), kind: "MR".into() };
    case.identity_now.local_identifiers.push(id);
    assert_eq!(case.clearance(), Clearance::RenderAnew);
    let mut case = Case::new().rendered();
    case.policy.fingerprint = "pack@2".into();
    assert_eq!(case.clearance(), Clearance::RenderAnew);
}

#[test]
fn what_waited_unsent_until_it_was_late_is_made_anew_to_say_so() {
    let late = Case { late_now: true, ..Case::new().rendered() };
    assert_eq!(late.clearance(), Clearance::RenderAnew);
    let seen = Case { late_now: true, ..Case::new().sent() };
    assert_eq!(seen.clearance(), Clearance::Go, "a resend is of the same bytes");
}

#[test]
fn what_may_have_been_seen_is_held_when_identity_or_endpoint_change() {
    let mut case = Case::new().sent();
    case.identity_now.nhs_number_status = NhsNumberStatus::TraceRequired;
    assert_eq!(case.clearance(), Clearance::Hold(ParkReason::IdentityChangedAfterSend));
    let mut case = Case::new().sent();
    case.policy.fingerprint = "pack@2".into();
    assert_eq!(case.clearance(), Clearance::Hold(ParkReason::EndpointChangedAfterSend));
    // A person decides: made anew under what holds now.
    assert_eq!(case.looked_at(ParkReason::EndpointChangedAfterSend).clearance(), Clearance::Go);
}

#[test]
fn what_says_otherwise_of_its_author_than_config_does_now_is_made_anew_or_held_if_it_may_have_been_seen() {
    let mended = |case: Case| Case { from_config: "as it was mended", ..case };
    assert_eq!(mended(Case::new()).clearance(), Clearance::Go, "nothing was made yet");
    assert_eq!(mended(Case::new().rendered()).clearance(), Clearance::RenderAnew);
    let mut refused = Case::new().rendered();
    refused.delivery = after(&refused.delivery, &refused.policy, &[Happened::Claimed, begun(), replied(ae207())]);
    assert_eq!(refused.clearance(), Clearance::Go, "the same bytes, as long as nothing changed");
    assert_eq!(mended(refused).clearance(), Clearance::RenderAnew, "it is not there, for certain");
    let sent = mended(Case::new().sent());
    assert_eq!(sent.clearance(), Clearance::Hold(ParkReason::EndpointChangedAfterSend));
    assert_eq!(sent.clone().looked_at(ParkReason::EndpointChangedAfterSend).rendered().clearance(), Clearance::Go);
    // Made by a release that did not keep it.
    let mut old = sent;
    old.made_from.as_mut().expect("it was made").from_config = None;
    assert_eq!(old.clearance(), Clearance::Go);
}

#[test]
fn what_waits_to_go_again_by_itself_goes_only_if_that_is_allowed_now() {
    let as_config_says = |after_unknown, max_unknown_resends| {
        let mut case = Case::new().sent();
        case.policy = EndpointPolicy { after_unknown, max_unknown_resends, ..policy() };
        case.delivery = after(&case.delivery, &case.policy, &[Happened::Claimed]);
        case.clearance()
    };
    assert_eq!(as_config_says(AfterUnknown::Resend, 1), Clearance::Go, "its first resend");
    for (after_unknown, max) in [(AfterUnknown::Resend, 0), (AfterUnknown::Park, 0), (AfterUnknown::Park, 9)] {
        assert_eq!(as_config_says(after_unknown, max), Clearance::Hold(ParkReason::OutcomeUnknown), "{max}");
    }
    // What is certainly not there may go as often as it is refused.
    let mut refused = Case::new().rendered();
    refused.policy = EndpointPolicy { after_unknown: AfterUnknown::Park, max_unknown_resends: 0, ..policy() };
    refused.delivery = after(&refused.delivery, &refused.policy, &[Happened::Claimed, begun(), replied(ae207())]);
    assert_eq!(refused.clearance(), Clearance::Go);
}

#[test]
fn what_a_person_lets_go_again_goes_until_nobody_knows_what_became_of_that() {
    let mut case = Case::new().sent();
    case.policy = EndpointPolicy { after_unknown: AfterUnknown::Park, max_unknown_resends: 0, ..policy() };
    let clearance = |case: &Case, happened: &[Happened]| {
        let delivery = after(&case.delivery, &case.policy, happened);
        (Case { delivery: delivery.clone(), ..case.clone() }.clearance(), delivery)
    };
    let held = Happened::Held { reason: ParkReason::OutcomeUnknown, detail: String::new() };
    let parked = [Happened::Claimed, held];
    let (goes, delivery) = clearance(&case, &[&parked[..], &[retried(), Happened::Claimed]].concat());
    assert_eq!(goes, Clearance::Go);
    let not_now = [begun(), replied(ae207()), Happened::Claimed, Happened::NotSent, Happened::Claimed];
    let (goes, delivery) = clearance(&Case { delivery, ..case.clone() }, &not_now);
    assert_eq!(goes, Clearance::Go, "refused, and not reached: they have looked");
    let later = after(&delivery, &policy(), &[begun(), no_answer(), Happened::Claimed]);
    assert_eq!(Case { delivery: later, ..case.clone() }.clearance(), Clearance::Hold(ParkReason::OutcomeUnknown));
    // They knew that the record would recognise a repeat, which it does not.
    let unlooked = Happened::Retried { may_be_in_record_acknowledged: false };
    let delivery = after(&case.delivery, &policy(), &[&parked[..], &[unlooked, Happened::Claimed]].concat());
    assert_eq!(Case { delivery, ..case.clone() }.clearance(), Clearance::Hold(ParkReason::OutcomeUnknown));
    let (goes, _) = clearance(&case, &[&parked[..], &[rerendered(true), Happened::Claimed]].concat());
    assert_eq!(goes, Clearance::Go);
}

/// The same, for an entry that says something of the patient's care.
fn outcome() -> Case {
    use crate::domain::outcome::{OutcomeContent, OutcomeKind};
    let content = OutcomeContent {
        kind: OutcomeKind::StatusRecorded {
            status: crate::domain::referral::EmploymentStatus::SeekingWork,
            recorded_on: jiff::civil::date(2026, 3, 2),
            weekly_minutes: None,
        },
        remark: None,
    };
    let mut case = Case::new();
    case.entry.subject = Subject::Outcome(crate::domain::ids::OutcomeId(uuid::Uuid::from_u128(1)));
    case.entry.body = Body::Outcome(Action::Create(content));
    case
}

fn died() -> Standing {
    use crate::domain::standing::Death;
    Standing { death: Some(Death { deceased: true, died_on: None, told_at: at(50) }), ..Standing::default() }
}

#[test]
fn what_is_written_of_somebody_who_died_waits_for_a_person_and_goes_when_that_person_says_so() {
    assert_eq!(outcome().clearance(), Clearance::Go);
    let case = Case { standing: died(), ..outcome() };
    assert_eq!(case.clearance(), Clearance::Hold(ParkReason::Deceased));
    assert_eq!(case.looked_at(ParkReason::Deceased).clearance(), Clearance::Go);
    let resend = Case { standing: died(), ..outcome().sent() };
    assert_eq!(resend.clearance(), Clearance::Hold(ParkReason::Deceased), "before each resend, too");
    let back =
        Standing { death: died().death.map(|d| crate::domain::standing::Death { deceased: false, ..d }), ..died() };
    assert_eq!(Case { standing: back, ..outcome() }.clearance(), Clearance::Go, "it was a mistake, and taken back");
}

#[test]
fn taking_an_entry_back_and_declining_a_referral_are_not_held_by_a_death() {
    assert_eq!(Case { standing: died(), ..Case::new() }.clearance(), Clearance::Go, "a withdrawal");
    let mut case = Case { standing: died(), ..Case::new() };
    case.entry.subject = Subject::Referral(case.referral.id);
    for (accepted, expected) in [(false, Clearance::Go), (true, Clearance::Hold(ParkReason::Deceased))] {
        case.entry.body = Body::ReferralReply(ReferralReply {
            accepted,
            decline_reason: None,
            reason_text: None,
            assigned_to: None,
            answered_at: at(100),
            in_reply_to: None,
        });
        assert_eq!(case.clearance(), expected);
    }
}

#[test]
fn nothing_goes_to_an_identity_that_lost_or_may_have_lost_in_a_merge_and_nobody_overrules_that() {
    use crate::domain::ids::PatientId;
    use crate::domain::standing::Doubt;
    let merged = Standing { merged_into: Some(PatientId(uuid::Uuid::from_u128(9))), ..Standing::default() };
    for standing in [
        merged,
        Standing { doubt: Some(Doubt::MergeUnclear), ..Standing::default() },
        Standing { doubt: Some(Doubt::RecordRemoved), ..Standing::default() },
    ] {
        let case = Case { standing, ..Case::new() };
        assert_eq!(case.clearance(), Clearance::Hold(ParkReason::Merged), "a withdrawal, too");
        assert_eq!(case.looked_at(ParkReason::Merged).clearance(), Clearance::Hold(ParkReason::Merged));
    }
}

#[test]
fn what_was_readdressed_goes_to_the_same_person_and_is_held_for_another_one() {
    use crate::domain::ids::PatientId;
    let moved = |now: Identity| {
        let mut case = Case { identity_now: now, ..Case::new() };
        case.delivery.patient_id = PatientId(uuid::Uuid::from_u128(9));
        case
    };
    assert_eq!(moved(identity("9990000018", "Test")).clearance(), Clearance::Go);
    let other = moved(identity("9990000026", "Test"));
    assert_eq!(other.clearance(), Clearance::Hold(ParkReason::Merged));
    let looked_at = other.looked_at(ParkReason::Merged);
    assert_eq!(looked_at.clearance(), Clearance::Go);
    let later = Case { identity_now: identity("9990000034", "Another"), ..looked_at.rendered() };
    let later = Case {
        made_from: later.made_from.clone().map(|m| MadeFrom { identity: identity("9990000026", "Test"), ..m }),
        ..later
    };
    assert_eq!(later.clearance(), Clearance::Hold(ParkReason::Merged), "approved was that identity, and no later one");
    let mut seen = Case::new().sent();
    seen.delivery.patient_id = PatientId(uuid::Uuid::from_u128(9));
    seen.identity_now = identity("9990000026", "Test");
    assert_eq!(seen.clearance(), Clearance::Hold(ParkReason::IdentityChangedAfterSend));
}

#[test]
fn bytes_hold_only_for_the_person_the_identifiers_and_the_far_end_they_were_made_for() {
    let case = Case::new().rendered();
    let made = case.made_from.clone().expect("it was rendered");
    assert!(made.holds_now(&case.identity_now, &case.policy));
    let mut verified = case.identity_now.clone();
    verified.nhs_number_status = NhsNumberStatus::NotTraced;
    assert!(made.holds_now(&verified, &case.policy), "how sure the trust is of a number makes nobody another person");
    let mut renumbered = case.identity_now.clone();
    renumbered.local_identifiers.push(LocalIdentifier {
        assigning_authority: "RW1".into(),
        value: text("M2"),
        kind: "MR".into(),
    });
    assert!(!made.holds_now(&renumbered, &case.policy), "the message names the record by its local identifier");
    assert!(!made.holds_now(&identity("9990000026", "Test"), &case.policy), "another person");
    let mut moved = case.policy.clone();
    moved.fingerprint = "another far end".into();
    assert!(!made.holds_now(&case.identity_now, &moved));
}

#[test]
fn a_withdrawal_names_the_document_that_the_record_calls_so_now_or_is_held() {
    let takes_back = |id| {
        let mut case = Case { names: Some(id), ..Case::new() };
        case.delivery.action = EntryAction::Withdraw;
        case
    };
    assert_eq!(takes_back(Some("17")).clearance(), Clearance::Go);
    assert_eq!(takes_back(Some("17")).rendered().clearance(), Clearance::Go);
    assert_eq!(takes_back(None).clearance(), Clearance::Hold(ParkReason::WithdrawalCannotNameDocument));
    // It was made while the id still meant one document.
    let since = |case: Case, id| Case { names: Some(id), ..case };
    let (made, sent) = (takes_back(Some("17")).rendered(), takes_back(Some("17")).sent());
    assert_eq!(since(made.clone(), Some("18")).clearance(), Clearance::RenderAnew);
    assert_eq!(since(made, None).clearance(), Clearance::Hold(ParkReason::WithdrawalCannotNameDocument));
    assert_eq!(since(sent.clone(), Some("18")).clearance(), Clearance::Hold(ParkReason::PredecessorUnresolved));
    assert_eq!(since(sent, None).clearance(), Clearance::Hold(ParkReason::PredecessorUnresolved));
}

#[test]
fn what_was_made_before_another_version_proved_to_stand_there_never_goes_as_it_is() {
    let document = |n| SpeaksOf::Document(DeliveryId(uuid::Uuid::from_u128(n)));
    let made_when = |action, speaks_of| {
        let mut case = Case { speaks_of, ..Case::new() };
        case.delivery.action = action;
        case
    };
    let since = |case: Case, speaks_of| Case { speaks_of, ..case }.clearance();
    for (then, now) in [(SpeaksOf::Nothing, document(7)), (document(7), document(8)), (document(7), SpeaksOf::Nothing)]
    {
        let replaces = made_when(EntryAction::Replace, then);
        assert_eq!(since(replaces.clone().rendered(), now), Clearance::RenderAnew, "{then:?} {now:?}");
        let held = Clearance::Hold(ParkReason::PredecessorUnresolved);
        assert_eq!(since(replaces.clone().sent(), now), held, "{then:?} {now:?}");
        assert_eq!(since(replaces.sent(), then), Clearance::Go);
    }
    // A withdrawal is never held up by it: before it went it names the other one, and after that the same again.
    let withdraws = made_when(EntryAction::Withdraw, document(7));
    assert_eq!(since(withdraws.clone().rendered(), document(8)), Clearance::RenderAnew);
    assert_eq!(since(withdraws.clone().sent(), document(8)), Clearance::Go);
    assert_eq!(since(withdraws.rendered(), SpeaksOf::Nothing), Clearance::Go);
    // Made by a release that did not keep it.
    let mut old = made_when(EntryAction::Replace, SpeaksOf::Nothing).sent();
    old.made_from.as_mut().expect("it was made").speaks_of = None;
    assert_eq!(since(old, document(7)), Clearance::Go);
}

#[test]
fn a_replacement_that_was_made_for_another_id_never_goes_as_it_is() {
    let replaces = |id| {
        let mut case = Case { names: Some(id), ..Case::new() };
        case.delivery.action = EntryAction::Replace;
        case
    };
    let since = |case: Case, id| Case { names: Some(id), ..case };
    let (made, sent) = (replaces(Some("17")).rendered(), replaces(Some("17")).sent());
    for now in [Some("18"), None] {
        assert_eq!(since(made.clone(), now).clearance(), Clearance::RenderAnew, "{now:?}");
        assert_eq!(since(sent.clone(), now).clearance(), Clearance::Hold(ParkReason::PredecessorUnresolved), "{now:?}");
    }
    // What names it by our own id needs none of the record's.
    assert_eq!(replaces(None).clearance(), Clearance::Go);
    assert_eq!(replaces(None).rendered().clearance(), Clearance::Go);
    assert_eq!(replaces(Some("17")).sent().clearance(), Clearance::Go);
}

#[test]
fn what_was_sent_to_another_record_is_replaced_or_taken_back_here_only_by_a_person_who_has_looked() {
    let mut case = Case::new();
    case.sent_elsewhere = true;
    for action in [EntryAction::Replace, EntryAction::Withdraw] {
        case.delivery.action = action;
        assert_eq!(case.clearance(), Clearance::Hold(ParkReason::EndpointChangedAfterSend));
        assert_eq!(case.clone().looked_at(ParkReason::EndpointChangedAfterSend).clearance(), Clearance::Go);
    }
}

#[test]
fn an_id_of_a_record_that_was_reached_elsewhere_names_nothing_here() {
    let mut case = Case::new();
    case.names = Some(Some("17"));
    case.named_elsewhere = true;
    for action in [EntryAction::Replace, EntryAction::Withdraw] {
        case.delivery.action = action;
        assert_eq!(case.clearance(), Clearance::Hold(ParkReason::EndpointChangedAfterSend));
    }

    let policy = EndpointPolicy { place: "b:1".into(), same_record_as: vec!["a:1".into()], ..policy() };
    for (place, known) in
        [(None, true), (Some("b:1"), true), (Some("a:1"), true), (Some("b:1/"), true), (Some("c:1"), false)]
    {
        assert_eq!(policy.knows_ids_of(place), known, "{place:?}");
    }
}
