//! Replace and withdraw (invariant 7): what a newer version does to the ones before it at one endpoint.

use super::delivery::{Delivery, ParkReason, State};
use super::entry::EntryAction;
use super::ids::DeliveryId;

/// What becomes of the chain when a new version is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Deliveries that can no longer go: cancelled in the same commit.
    pub cancel: Vec<DeliveryId>,
    /// The new version's own delivery; `None` when there is nothing to take back.
    pub send: Option<Successor>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Successor {
    /// What must be settled before it, or what it speaks of.
    pub predecessor: Option<DeliveryId>,
    /// Parked from the start: nobody can say yet which document the withdrawal names. An alarm.
    pub cannot_name: bool,
}

/// `chain`: the deliveries of the subject at this endpoint, oldest first. `in_place`: replacements keep the first document's id there
/// (HL7 v2 T08), so that a withdrawal can always name it.
pub fn plan(chain: &[Delivery], action: EntryAction, in_place: bool) -> Plan {
    let mut cancel = Vec::new();
    let mut live: Vec<&Delivery> =
        chain.iter().filter(|d| d.state != State::Cancelled || d.may_have_been_received()).collect();
    // Whatever cannot have been received is taken off its way.
    while let Some(last) = live.last() {
        let on_its_way = matches!(last.state, State::Queued | State::BackingOff | State::Parked);
        if on_its_way && !last.may_have_been_received() {
            cancel.push(last.id);
            live.pop();
        } else if last.state == State::Cancelled {
            // Given up by a person although it may be in the record: a withdrawal must still speak of it, a replacement need not wait.
            if action == EntryAction::Withdraw {
                break;
            }
            live.pop();
        } else {
            break;
        }
    }
    let Some(last) = live.last() else {
        let send = (action != EntryAction::Withdraw).then_some(Successor { predecessor: None, cannot_name: false });
        return Plan { cancel, send };
    };
    let mut cannot_name = false;
    if action == EntryAction::Withdraw {
        // Nothing more may be sent for it once it is withdrawn; that it may have arrived is why the withdrawal goes at all.
        if matches!(last.state, State::Queued | State::BackingOff | State::Parked) {
            cancel.push(last.id);
        }
        // Two documents may be the current one, under two ids: only the answer can tell.
        let earlier_filed = live.iter().rev().skip(1).any(|d| d.state == State::Filed);
        cannot_name = !in_place && earlier_filed && unresolved(last);
    }
    Plan { cancel, send: Some(Successor { predecessor: Some(last.id), cannot_name }) }
}

/// Received or not: nobody knows yet.
fn unresolved(d: &Delivery) -> bool {
    !matches!(d.state, State::Filed) && d.may_have_been_received()
}

/// Whether a queued successor must still wait for its predecessor. A withdrawal is never blocked by an unknown outcome, only by bytes that
/// are leaving this very moment.
pub fn blocked(action: EntryAction, predecessor: Option<&Delivery>) -> bool {
    let Some(p) = predecessor else { return false };
    match (action, p.state) {
        (_, State::Filed | State::Cancelled) => false,
        (EntryAction::Withdraw, State::Accepted | State::Parked) => false,
        _ => true,
    }
}

/// The earlier delivery that a successor speaks of when it is rendered. `before`: the chain's deliveries older than it, oldest first.
/// A replacement takes the place of the last one *filed* (none: it goes as a create); a withdrawal names the last that may have been received.
pub fn speaks_of(before: &[Delivery], action: EntryAction) -> Option<&Delivery> {
    before.iter().rev().filter(|d| d.action != EntryAction::Withdraw).find(|d| match action {
        EntryAction::Create => false,
        EntryAction::Replace => d.state == State::Filed,
        EntryAction::Withdraw => d.may_have_been_received(),
    })
}

/// The document under which the chain began in the record: where replacements keep it, its id is the only one.
pub fn first_document(before: &[Delivery]) -> Option<&Delivery> {
    before.iter().find(|d| d.action != EntryAction::Withdraw && d.may_have_been_received())
}

/// What happens to a delivery and its waiting successor once the delivery is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterSettling {
    Nothing,
    /// Definitely not received, and something newer waits: it gives way.
    GivesWay,
    /// As above, and the newer one is a withdrawal of what never arrived: both end.
    BothEnd,
    /// The withdrawal can name its document now.
    SuccessorNameable,
}

/// `settled` has just changed; `successor` speaks of it; `base_filed`: an earlier version stands in the record.
pub fn after_settling(settled: &Delivery, successor: &Delivery, base_filed: bool) -> AfterSettling {
    let waits_unnamed = successor.state == State::Parked
        && successor.park.as_ref().is_some_and(|p| p.reason == ParkReason::WithdrawalCannotNameDocument);
    if successor.state != State::Queued && !waits_unnamed {
        return AfterSettling::Nothing;
    }
    let withdraws = successor.action == EntryAction::Withdraw;
    match settled.state {
        State::Filed if waits_unnamed => AfterSettling::SuccessorNameable,
        State::Queued | State::BackingOff | State::Parked if !settled.may_have_been_received() => {
            if withdraws && !base_filed { AfterSettling::BothEnd } else { AfterSettling::GivesWay }
        }
        // A withdrawal waits behind it: nothing more is sent of what is being withdrawn.
        State::Queued | State::BackingOff if withdraws => AfterSettling::GivesWay,
        _ => AfterSettling::Nothing,
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
