//! Replace and withdraw (invariant 7): what a newer version does to the ones before it at one endpoint.

use super::delivery::{Cancelled, Delivery, ParkReason, State};
use super::entry::EntryAction;
use super::ids::DeliveryId;
use super::policy::Names;

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

/// `chain`: the deliveries of the subject at this endpoint, oldest first.
pub fn plan(chain: &[Delivery], action: EntryAction, names: Names) -> Plan {
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
        cannot_name = !can_name(chain, names);
    }
    Plan { cancel, send: Some(Successor { predecessor: Some(last.id), cannot_name }) }
}

/// Whether a queued successor must still wait for its predecessor. A withdrawal is never blocked by an unknown outcome, only by bytes that
/// are leaving this very moment.
pub fn blocked(action: EntryAction, predecessor: Option<&Delivery>) -> bool {
    let Some(p) = predecessor else { return false };
    let settled = matches!(p.state, State::Filed | State::Cancelled);
    let answer_open = matches!(p.state, State::Accepted | State::Parked);
    !(settled || action == EntryAction::Withdraw && answer_open)
}

/// The earlier delivery that a successor speaks of when it is rendered. `before`: the chain's deliveries older than it, oldest first.
/// A replacement takes the place of the last one *filed* (none: it goes as a create); a withdrawal names the last that may have been received.
/// None for a withdrawal that was claimed already: what it names was refused since. It goes back as not sent, and [`after_settling`] ends it.
pub fn speaks_of(before: &[Delivery], action: EntryAction) -> Option<&Delivery> {
    before.iter().rev().filter(|d| d.action != EntryAction::Withdraw).find(|d| match action {
        EntryAction::Create => false,
        // Contradicted since: the successor is held, and never taken for a create.
        EntryAction::Replace => was_filed(d),
        EntryAction::Withdraw => d.may_have_been_received(),
    })
}

/// The document that replacements edit, where they keep its id: the first version that was filed and not given up since. A create always
/// goes under its own id, so while nothing was filed it is the last that may have been received.
pub fn first_document(before: &[Delivery]) -> Option<&Delivery> {
    let mut documents = before.iter().filter(|d| d.action != EntryAction::Withdraw);
    documents.clone().find(|d| was_filed(d)).or_else(|| documents.rfind(|d| d.may_have_been_received()))
}

/// The document, as the record knows it, that a successor takes the place of or takes back: its delivery's `document_id`. The one that
/// [`speaks_of`] gives is the version it speaks of; where replacements keep the first document's id, that version never had one of its own.
pub fn document_of(before: &[Delivery], action: EntryAction, in_place: bool) -> Option<&Delivery> {
    let spoken_of = speaks_of(before, action)?;
    if in_place { first_document(before) } else { Some(spoken_of) }
}

/// Whether a version of `before` (older than the one in question) may stand in the record.
pub fn base_stands(before: &[Delivery]) -> bool {
    before.iter().any(|d| d.action != EntryAction::Withdraw && d.may_have_been_received())
}

/// Whether a withdrawal can say which document it takes back; `before`: the chain's deliveries older than it. It cannot while two documents
/// under two ids may be the current one, nor while the record has not told the id by which alone it can be named: then only an answer can
/// tell. Bytes about to leave count as left.
pub fn can_name(before: &[Delivery], names: Names) -> bool {
    let Some(at) = before.iter().rposition(|d| d.action != EntryAction::Withdraw && gone(d)) else { return true };
    match names {
        Names::RecordId => before[at].record_id.is_some(),
        Names::FirstId if before[..at].iter().any(was_filed) => true,
        Names::FirstId | Names::OwnId => before[at].state == State::Filed || !base_stands(&before[..at]),
    }
}

/// Its document stands in the record, as far as the record has said and no person knows better.
fn was_filed(d: &Delivery) -> bool {
    let given_up = d.state == State::Cancelled && d.cancelled.as_ref().is_some_and(Cancelled::by_a_person);
    d.filed_at.is_some() && !given_up
}

/// Whether a delivery must not be sent any more, whoever asks for it: a newer version has gone, or withdraws it. `later`: the chain's
/// deliveries newer than it. To be asked at each claim; a delivery that was overtaken is superseded instead.
pub fn overtaken(later: &[Delivery]) -> bool {
    let withdraws = |l: &Delivery| l.action == EntryAction::Withdraw && l.state != State::Cancelled;
    later.iter().any(|l| l.may_have_been_received() || withdraws(l))
}

/// It is filed, as is only known now that a newer version has gone: that one was made without it, so both stand in the record. `later`: the chain's
/// deliveries newer than it. A withdrawal takes back what may have arrived as well as what has.
pub fn stands_beside(filed: &Delivery, later: &[Delivery]) -> bool {
    let is_document = |d: &Delivery| d.action != EntryAction::Withdraw;
    is_document(filed) && later.iter().any(|l| is_document(l) && gone(l))
}

/// It was given up by the bridge because a newer version came, as never received, and has reached the record all the same: nothing of `later`, the
/// chain's deliveries newer than it, is left that takes it back or takes its place.
pub fn stands_alone(before: &Delivery, later: &[Delivery]) -> bool {
    let given_up = before.cancelled.as_ref().is_some_and(|c| !c.by_a_person());
    before.state == State::Cancelled && given_up && later.iter().all(|l| l.state == State::Cancelled)
}

/// Its bytes may have reached the endpoint, or are about to.
fn gone(d: &Delivery) -> bool {
    d.state == State::Sending || d.may_have_been_received()
}

/// What happens to a delivery and its successor once one of the two has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterSettling {
    Nothing,
    /// Overtaken: it is superseded, and the newer one goes on.
    GivesWay,
    /// The newer one is a withdrawal of what never arrived: both are superseded, as far as they are not cancelled yet.
    BothEnd,
    /// The withdrawal can name its document now.
    SuccessorNameable,
}

/// `successor` speaks of `settled`; `before`: the chain's deliveries older than `settled`. Asked after each change of either (a
/// person's retry included), in the same commit, and again until it says [`AfterSettling::Nothing`]: at most three times.
pub fn after_settling(settled: &Delivery, successor: &Delivery, before: &[Delivery], names: Names) -> AfterSettling {
    let on_its_way = matches!(settled.state, State::Queued | State::BackingOff);
    if successor.state == State::Cancelled {
        // Given up unsent, it leaves the field to the older one. Given up although it may be there, it has passed it all the same.
        return if on_its_way && successor.may_have_been_received() {
            AfterSettling::GivesWay
        } else {
            AfterSettling::Nothing
        };
    }
    let withdraws = successor.action == EntryAction::Withdraw;
    let waits_unnamed = withdraws && successor.waits_for_a_name();
    let never_arrived = !settled.may_have_been_received();
    // A withdrawal of nothing, that has not gone itself.
    let pointless = withdraws && never_arrived && !base_stands(before) && !gone(successor);
    match settled.state {
        State::Filed | State::Accepted if waits_unnamed && names == Names::RecordId && settled.record_id.is_some() => {
            AfterSettling::SuccessorNameable
        }
        State::Filed if waits_unnamed && names != Names::RecordId => AfterSettling::SuccessorNameable,
        State::Queued | State::BackingOff | State::Parked | State::Cancelled if pointless => AfterSettling::BothEnd,
        State::Cancelled if waits_unnamed && never_arrived && can_name(before, by_each_id(names)) => {
            AfterSettling::SuccessorNameable
        }
        State::Queued | State::BackingOff | State::Parked if never_arrived => AfterSettling::GivesWay,
        // Nothing more is sent of what is being withdrawn, nor of what a newer version has passed.
        _ if on_its_way && (withdraws || successor.may_have_been_received()) => AfterSettling::GivesWay,
        State::Parked if withdraws && !contradicted(settled) => AfterSettling::GivesWay,
        _ => AfterSettling::Nothing,
    }
}

/// Where all versions have one id a withdrawal never waits for a name because of it; what it waited for was something else.
fn by_each_id(names: Names) -> Names {
    if names == Names::FirstId { Names::OwnId } else { names }
}

/// A person has to see that the record's answers exclude each other, whatever was withdrawn since.
fn contradicted(d: &Delivery) -> bool {
    d.park.as_ref().is_some_and(|p| p.reason == ParkReason::FilingContradicted)
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
