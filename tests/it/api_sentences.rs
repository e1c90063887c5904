//! The author's sentence for every state and every reason: what is known, who has it, and that nobody writes it twice.

use ips_bridge::domain::ask::{Asking, Because};
use ips_bridge::domain::delivery::{Cancelled, Delivery, Evidence, EvidenceKind, Park, ParkReason, Since, State};
use ips_bridge::domain::entry::{EntryAction, Subject};
use ips_bridge::domain::ids::{DeliveryId, EntryId, NoteId, PatientId, ReferralId};
use ips_bridge::domain::organisation::{EndpointId, OdsCode};
use ips_bridge::domain::policy::AcknowledgedBy;
use ips_bridge::status::{Epr, sentence};
use jiff::Timestamp;
use uuid::Uuid;

const REASONS: [ParkReason; 22] = [
    ParkReason::IdentityChanged,
    ParkReason::IdentityChangedAfterSend,
    ParkReason::EndpointChangedAfterSend,
    ParkReason::NhsNumberUnverified,
    ParkReason::ReferralClosed,
    ParkReason::TextNotCarriable,
    ParkReason::TextTooLong,
    ParkReason::NoMappedStaffId,
    ParkReason::PredecessorUnresolved,
    ParkReason::Refused,
    ParkReason::RetriesExhausted,
    ParkReason::OutcomeUnknown,
    ParkReason::MayAlreadyBeFiled,
    ParkReason::FilingContradicted,
    ParkReason::NotRenderable,
    ParkReason::ByPerson,
    ParkReason::WithdrawalCannotNameDocument,
    ParkReason::Deceased,
    ParkReason::Merged,
    ParkReason::LookupUnclear,
    ParkReason::Misfiled,
    ParkReason::EndpointRetired,
];

fn delivery(state: State) -> Delivery {
    Delivery {
        id: DeliveryId(Uuid::nil()),
        entry_id: EntryId(Uuid::nil()),
        subject: Subject::Note(NoteId(Uuid::nil())),
        subject_version: 1,
        action: EntryAction::Create,
        trust: OdsCode::parse("RXX").unwrap(),
        patient_id: PatientId(Uuid::nil()),
        referral_id: ReferralId(Uuid::nil()),
        endpoint: EndpointId::parse("rio").unwrap(),
        lane_seq: 1,
        state,
        version: 1,
        predecessor: None,
        park: None,
        evidence: vec![],
        rendering: None,
        begun: false,
        unresolved: 0,
        attempts: 0,
        refused_retries: 0,
        unknown_resends: 0,
        not_now: 0,
        asking: None,
        not_there: None,
        may_go_again: false,
        overridden: vec![],
        approved: None,
        sent_for_others: false,
        record_id: None,
        record_place: None,
        sent_to: None,
        release_at: None,
        was_ahead: false,
        next_attempt_at: None,
        created_at: Timestamp::UNIX_EPOCH,
        accepted_at: None,
        filed_at: None,
        cancelled: None,
        since: None,
        trace: None,
    }
}

fn parked(reason: ParkReason) -> Delivery {
    let sent = matches!(
        reason,
        ParkReason::IdentityChangedAfterSend
            | ParkReason::EndpointChangedAfterSend
            | ParkReason::OutcomeUnknown
            | ParkReason::MayAlreadyBeFiled
            | ParkReason::Misfiled
    );
    let detail = match reason {
        ParkReason::Refused | ParkReason::FilingContradicted => "AE 204",
        ParkReason::RetriesExhausted => "AE 207",
        ParkReason::MayAlreadyBeFiled => "AE 205",
        ParkReason::ByPerson => "asked to wait by the ward",
        ParkReason::TextNotCarriable => "in the text, U+1F600 at character 12",
        ParkReason::TextTooLong => "the endpoint takes 4000 characters or bytes at most",
        _ => "",
    };
    let action =
        if reason == ParkReason::WithdrawalCannotNameDocument { EntryAction::Withdraw } else { EntryAction::Create };
    Delivery {
        park: Some(Park::new(reason, detail)),
        unresolved: u32::from(sent),
        attempts: u32::from(sent),
        action,
        ..delivery(State::Parked)
    }
}

fn filed(kind: EvidenceKind) -> Delivery {
    let evidence = Evidence { kind, at: Timestamp::UNIX_EPOCH, reply_id: None, record_id: None };
    Delivery { evidence: vec![evidence], ..delivery(State::Filed) }
}

fn cancelled(by: &str, why: &str, sent: bool) -> Delivery {
    let cancelled = Cancelled { at: Timestamp::UNIX_EPOCH, by: by.into(), why: why.into() };
    Delivery { cancelled: Some(cancelled), unresolved: u32::from(sent), ..delivery(State::Cancelled) }
}

fn every_case() -> Vec<(String, Delivery, AcknowledgedBy)> {
    let mut cases: Vec<(String, Delivery, AcknowledgedBy)> = Vec::new();
    let mut add = |name: &str, d: Delivery| cases.push((name.to_owned(), d, AcknowledgedBy::Record));
    for state in [State::Queued, State::Sending, State::BackingOff, State::Accepted] {
        add(state.word(), delivery(state));
        add(&format!("{} after an unknown outcome", state.word()), Delivery { unresolved: 1, ..delivery(state) });
        add(&format!("{} withdrawal", state.word()), Delivery { action: EntryAction::Withdraw, ..delivery(state) });
    }
    for state in [State::Queued, State::Sending, State::BackingOff] {
        let asking = Some(Asking::new(Because::OutcomeUnknown));
        add(&format!("{} asking", state.word()), Delivery { unresolved: 1, asking, ..delivery(state) });
    }
    use EvidenceKind::*;
    for kind in [TransportAck, ApplicationAck, ReadBack, VendorReport, Reconciled] {
        add(&format!("FILED by {kind:?}"), filed(kind));
    }
    add("FILED withdrawal", Delivery { action: EntryAction::Withdraw, ..filed(ApplicationAck) });
    add("FILED withdrawal on trust", Delivery { action: EntryAction::Withdraw, ..filed(TransportAck) });
    add(
        "FILED after it was cancelled",
        Delivery { cancelled: cancelled("integrator", "x", true).cancelled, ..filed(ApplicationAck) },
    );
    add("FILED and replaced", Delivery { since: Some(Since::Replaced), ..filed(ApplicationAck) });
    add("FILED and withdrawn", Delivery { since: Some(Since::Withdrawn), ..filed(ApplicationAck) });
    for reason in REASONS {
        add(&format!("PARKED {}", reason.code()), parked(reason));
    }
    add("PARKED withdrawal, unknown", Delivery { action: EntryAction::Withdraw, ..parked(ParkReason::OutcomeUnknown) });
    add("PARKED after a restore", Delivery { attempts: 0, ..parked(ParkReason::OutcomeUnknown) });
    add("CANCELLED by a person", cancelled("integrator", "the ward asked for it", false));
    add("CANCELLED by a person, perhaps there", cancelled("integrator", "the ward asked for it", true));
    add("CANCELLED by the bridge", cancelled("bridge", "replaced by a newer version", false));
    add("CANCELLED by the bridge, perhaps there", cancelled("bridge", "withdrawn", true));
    add(
        "CANCELLED withdrawal",
        Delivery {
            action: EntryAction::Withdraw,
            ..cancelled("bridge", "what it withdraws never reached the record", false)
        },
    );
    cases.push(("FILED by an engine's word".into(), filed(TransportAck), AcknowledgedBy::Engine));
    cases
}

fn told(d: &Delivery, by: AcknowledgedBy) -> String {
    sentence(d, Epr { name: "RiO", acknowledged_by: Some(by), place: None })
}

#[test]
fn every_state_and_reason_has_its_sentence() {
    let text: String = every_case().iter().map(|(name, d, by)| format!("{name}\n  {}\n", told(d, *by))).collect();
    insta::assert_snapshot!(text);
}

#[test]
fn nobody_is_led_to_write_it_twice() {
    let open = |d: &Delivery| d.state.is_open() && d.action != EntryAction::Withdraw;
    for (name, d, by) in every_case().iter().filter(|(_, d, _)| open(d)) {
        let text = told(d, *by);
        assert!(
            text.contains("Do not write it again.")
                || text.contains("do not write a second one")
                || text.contains("another entry"),
            "{name}: {text}"
        );
    }
}

#[test]
fn what_only_the_transport_or_an_engine_said_is_never_shown_as_in_the_record() {
    for by in [AcknowledgedBy::Engine, AcknowledgedBy::Record] {
        let text = told(&filed(EvidenceKind::TransportAck), by);
        assert!(text.starts_with("Filed on the trust's word") && !text.contains("In RiO"), "{text}");
    }
    assert!(told(&delivery(State::Accepted), AcknowledgedBy::Record).contains("not yet confirmed"));
}

#[test]
fn an_endpoint_that_config_no_longer_has_is_named_by_its_id() {
    for state in [State::Queued, State::Sending, State::BackingOff] {
        let d = delivery(state);
        let said = sentence(&d, Epr::of(None, &d.endpoint));
        let is = "in rio: the bridge no longer sends to rio. The integration team has it. Do not write it again.";
        assert!(said.ends_with(is), "{said}");
    }
}
