//! The author's sentence: what is known, who has it now, and whether to do anything. Written for an employment specialist, not for us.

use crate::domain::delivery::{Cancelled, Delivery, EvidenceKind, Park, ParkReason, Since, State};
use crate::domain::entry::EntryAction;
use crate::domain::organisation::EndpointId;
use crate::domain::policy::{AcknowledgedBy, EndpointPolicy};

/// The record at the other end, as its authors know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epr<'a> {
    /// E.g. "RiO".
    pub name: &'a str,
    /// Who acknowledges there; `None` for an endpoint that config no longer has.
    pub acknowledged_by: Option<AcknowledgedBy>,
    /// Where its endpoint leads now.
    pub place: Option<&'a EndpointPolicy>,
}

impl<'a> Epr<'a> {
    /// By its policy, or by its id alone once config no longer has it.
    pub fn of(policy: Option<&'a EndpointPolicy>, id: &'a EndpointId) -> Self {
        match policy {
            Some(policy) => {
                Self { name: &policy.name, acknowledged_by: Some(policy.acknowledged_by), place: Some(policy) }
            }
            None => Self { name: id.as_str(), acknowledged_by: None, place: None },
        }
    }
}

/// Said wherever a second copy could arise.
const ONCE: &str = "Do not write it again.";

/// One delivery in words for its author. Holds no patient data; what a person gave as a reason for cancelling or parking is repeated.
pub fn sentence(delivery: &Delivery, epr: Epr<'_>) -> String {
    let before = format!("the EPR that was reached before {}", epr.name);
    let is_sent = !matches!(delivery.state, State::Queued | State::Sending | State::BackingOff);
    let is_elsewhere = is_sent && epr.place.is_some_and(|policy| delivery.was_sent_elsewhere(policy));
    let name = if is_elsewhere { before.as_str() } else { epr.name };
    let told = Told { d: delivery, name, withdraws: delivery.action == EntryAction::Withdraw };
    match delivery.state {
        State::Queued | State::Sending | State::BackingOff if epr.acknowledged_by.is_none() => told.unserved(),
        State::Queued => told.queued(),
        State::Sending => told.sending(),
        State::BackingOff => told.backing_off(),
        State::Accepted => told.accepted(),
        State::Filed => told.filed(epr.acknowledged_by),
        State::Parked => told.parked(delivery.park.as_ref()),
        State::Cancelled => told.cancelled(delivery.cancelled.as_ref()),
    }
}

struct Told<'a> {
    d: &'a Delivery,
    name: &'a str,
    withdraws: bool,
}

impl Told<'_> {
    /// Nobody sends to that endpoint any more.
    fn unserved(&self) -> String {
        let name = self.name;
        let so_far = match (self.withdraws, self.d.may_have_been_received()) {
            (true, _) => format!("Not yet withdrawn in {name}"),
            (false, true) => format!("Perhaps in {name}"),
            (false, false) => format!("Not in {name}"),
        };
        format!("{so_far}: the bridge no longer sends to {name}. The integration team has it.{}", self.once())
    }

    fn queued(&self) -> String {
        let name = self.name;
        if self.d.action == EntryAction::Replace && self.d.predecessor.is_some() {
            return format!(
                "Waiting until {name} has confirmed the version before it; then it goes by itself. If that version waits for somebody, so does this one. {ONCE}"
            );
        }
        if self.d.asking.is_some() {
            return self.backing_off();
        }
        match (self.withdraws, self.d.may_have_been_received()) {
            (false, false) => format!("Waiting to be sent to {name}; it goes by itself. Nothing for you to do. {ONCE}"),
            (false, true) => {
                format!("Sent to {name} before without a clear answer; it is sent again by itself. {ONCE}")
            }
            (true, _) => format!(
                "The withdrawal is waiting to be sent to {name}; it goes by itself. Until it has arrived, what it withdraws may still be seen there."
            ),
        }
    }

    fn sending(&self) -> String {
        let name = self.name;
        if self.d.asking.is_some() {
            return self.backing_off();
        }
        if self.withdraws {
            return format!("The withdrawal is on its way to {name}. Nothing for you to do.");
        }
        format!("On its way to {name} this moment. Nothing for you to do. {ONCE}")
    }

    fn backing_off(&self) -> String {
        let name = self.name;
        let what = if self.withdraws { "the withdrawal" } else { "it" };
        let known = if self.d.may_have_been_received() {
            format!("{name} gave no clear answer to {what}")
        } else {
            format!("{name} could not take {what} yet")
        };
        let then = match &self.d.asking {
            Some(_) => "the bridge asks whether it is there before it sends anything again",
            None => "the bridge tries again by itself",
        };
        format!("{known}; {then}. Nothing for you to do.{}", self.once())
    }

    fn accepted(&self) -> String {
        let name = self.name;
        if self.withdraws {
            return format!(
                "The withdrawal was received by the trust, not yet confirmed in {name}. Nothing for you to do."
            );
        }
        format!("Received by the trust, not yet confirmed in {name}. Nothing for you to do. {ONCE}")
    }

    fn filed(&self, acknowledged_by: Option<AcknowledgedBy>) -> String {
        let name = self.name;
        let (there, there_on_trust) = if self.withdraws { ("Withdrawn in", "Withdrawn") } else { ("In", "Filed") };
        let strongest = self.d.evidence.iter().map(|e| e.kind).max();
        let mut text = match strongest {
            Some(EvidenceKind::Reconciled) => format!("{there} {name}: it stands in the record's own list."),
            Some(EvidenceKind::VendorReport) => format!("{there} {name}: its supplier reported it filed."),
            Some(EvidenceKind::ReadBack) => format!("{there} {name}: the bridge read it back from the record."),
            Some(EvidenceKind::ApplicationAck) => format!("{there} {name}: the record itself acknowledged it."),
            Some(EvidenceKind::TransportAck) | None => {
                let by = match acknowledged_by {
                    Some(AcknowledgedBy::Engine) => "received by its integration engine",
                    Some(AcknowledgedBy::Record) | None => "received on its way in",
                };
                format!("{there_on_trust} on the trust's word ({by}); {name} itself has not confirmed it.")
            }
        };
        match self.d.since {
            Some(Since::Replaced) => return format!("Was in {name}, and a newer version took its place there."),
            Some(Since::Withdrawn) => return format!("Was in {name}, and was withdrawn there."),
            None => {}
        }
        if let Some(cancelled) = &self.d.cancelled {
            text.push_str(&format!(" It had been cancelled by {} and reached the record all the same.", cancelled.by));
        }
        text
    }

    fn cancelled(&self, cancelled: Option<&Cancelled>) -> String {
        let name = self.name;
        let what = if self.withdraws { "The withdrawal will not be sent" } else { "Will not be sent" };
        let (by, why) = cancelled.map_or(("", "cancelled"), |c| (c.by.as_str(), c.why.0.as_str()));
        let by_a_person = cancelled.is_some_and(Cancelled::by_a_person);
        let who = if !by_a_person {
            format!("{what} to {name}: {why}.")
        } else {
            format!("{what} to {name}: cancelled by {by}, who says: {why}.")
        };
        match (self.d.may_have_been_received(), by_a_person) {
            (true, true) => {
                format!("{who} It may stand in {name} all the same: look there before you write anything again.")
            }
            (true, false) => format!(
                "{who} It may stand in {name} already; the newer version deals with that where it went, otherwise the integration team has it."
            ),
            (false, false) => format!("{who} Nothing for you to do."),
            (false, true) => {
                format!("{who} The bridge has not put it into {name}; if it is missing there, write it again.")
            }
        }
    }

    fn parked(&self, park: Option<&Park>) -> String {
        let Some(park) = park else { return format!("Stopped. The integration team has it.{}", self.once()) };
        let name = self.name;
        let (mut why, then) = reason(park, name);
        if park.reason == ParkReason::OutcomeUnknown && self.d.attempts == 0 {
            // Of an older record that was put back: who sent it is not in there.
            why = "it may have been sent, and nobody knows what came of it".to_owned();
        }
        format!("{}: {why}. {then}{}", self.so_far(park.reason), self.once())
    }

    /// What can be said about the record before the reason is.
    fn so_far(&self, reason: ParkReason) -> String {
        let name = self.name;
        let may = self.d.may_have_been_received();
        match (self.withdraws, reason) {
            (false, ParkReason::MayAlreadyBeFiled) => format!("Probably in {name}"),
            (false, ParkReason::Misfiled) => format!("In somebody else's record in {name}"),
            (false, ParkReason::FilingContradicted) => format!("Uncertain whether it is in {name}"),
            (false, _) if may => format!("Perhaps in {name}"),
            (false, _) => format!("Not in {name}"),
            (true, _) if may => format!("Perhaps withdrawn in {name}"),
            (true, _) => format!("Not yet withdrawn in {name}"),
        }
    }

    fn once(&self) -> String {
        let author_acts = self
            .d
            .park
            .as_ref()
            .is_some_and(|p| matches!(p.reason, ParkReason::TextNotCarriable | ParkReason::TextTooLong));
        if self.withdraws || author_acts { String::new() } else { format!(" {ONCE}") }
    }
}

/// Why it waits, and who does what now.
fn reason(park: &Park, name: &str) -> (String, String) {
    let detail = if park.detail.0.is_empty() { String::new() } else { format!(" ({})", park.detail.0) };
    let lead = |what: &str| format!("Your team lead {what}.");
    let team = |what: &str| format!("The integration team has it{what}.");
    match park.reason {
        ParkReason::IdentityChanged => (
            "the patient's NHS number, date of birth or family name changed after it was written".to_owned(),
            lead("checks that it is still about the right person, and then has it sent again"),
        ),
        ParkReason::IdentityChangedAfterSend => (
            "the patient's NHS number, date of birth or family name changed after it had been sent".to_owned(),
            lead("checks in which record it stands"),
        ),
        ParkReason::EndpointChangedAfterSend => (
            format!(
                "how {name} is reached, or what is said there of its author, was changed after it, or the version before it, had been sent"
            ),
            team(" and finds out what stands in the record"),
        ),
        ParkReason::NhsNumberUnverified => (
            format!("{name} takes verified NHS numbers only, and this patient's is not verified yet"),
            lead("has the number traced, and then has it sent again"),
        ),
        ParkReason::ReferralClosed => (
            "the contact took place after the referral was closed".to_owned(),
            lead("decides whether it belongs to this referral"),
        ),
        ParkReason::TextNotCarriable => (
            format!("the text holds something that {name} cannot carry{detail}"),
            "Please replace it with a text that says the same without; do not write a second one.".to_owned(),
        ),
        ParkReason::TextTooLong => (
            format!("it is longer than {name} takes whole{detail}"),
            "Please replace it with a shorter one and put the rest into another entry; nothing of it was cut off."
                .to_owned(),
        ),
        ParkReason::NoMappedStaffId => (
            format!("the trust's staff table has no {name} id for its author"),
            team(", adds the id and then sends it again"),
        ),
        ParkReason::PredecessorUnresolved if !park.detail.0.is_empty() => {
            (park.detail.0.clone(), team(" and looks in the record"))
        }
        ParkReason::PredecessorUnresolved => (
            "nobody knows yet whether the version before it arrived".to_owned(),
            team(", finds out and then sends it again"),
        ),
        ParkReason::Refused => (format!("{name} refused it{detail}"), team("")),
        ParkReason::RetriesExhausted => {
            (format!("{name} answered again and again that it cannot take it now{detail}"), team(""))
        }
        ParkReason::OutcomeUnknown => {
            ("it was sent, and no answer came that can be relied on".to_owned(), team(" and looks whether it arrived"))
        }
        ParkReason::MayAlreadyBeFiled => {
            (format!("{name} says that it has it already{detail}"), team(" and looks whether it does"))
        }
        ParkReason::FilingContradicted => {
            (format!("what {name} said of it does not agree{detail}"), team(" and looks in the record"))
        }
        ParkReason::NotRenderable => (
            format!("the bridge cannot make a message for {name} from it"),
            team(", mends that and then sends it again"),
        ),
        ParkReason::LookupUnclear => (
            format!("{name} was asked for this patient first, and does not show exactly this one{detail}"),
            team(", puts that in order and then sends it again"),
        ),
        ParkReason::Misfiled => (
            format!("{name} answered that it put it there{detail}"),
            team(", was alerted at once, has it taken out there and then sends it again"),
        ),
        ParkReason::EndpointRetired => (
            format!("the bridge sends nothing to {name} any more"),
            team(" and finds out what is to be done about it there"),
        ),
        ParkReason::ByPerson => (format!("somebody stopped it{detail}"), team("")),
        ParkReason::WithdrawalCannotNameDocument => (
            format!("nobody knows yet under which document {name} holds what is being withdrawn"),
            team(", was alerted at once, and takes it out"),
        ),
        ParkReason::Deceased => {
            ("the patient has died".to_owned(), lead("decides whether it still goes into the record"))
        }
        ParkReason::Merged => (
            "the patient's record was joined with another one or taken out, and whose it is now is not certain"
                .to_owned(),
            lead("finds out to which person it belongs, and then has it sent again"),
        ),
    }
}
