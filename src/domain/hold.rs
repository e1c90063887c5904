//! Safety holds: what must be true before *every* send, the first and each resend.

use super::delivery::{Delivery, ParkReason};
use super::entry::{Body, Entry, EntryAction, EntryKind};
use super::ids::DeliveryId;
use super::person::{Identity, NhsNumberStatus};
use super::policy::EndpointPolicy;
use super::referral::Referral;
use super::standing::Standing;

/// The holds this release has, by the names that config's relations know them by: all that `environment = "live"` needs.
pub const IMPLEMENTED: &[&str] = &[
    "identity_changed",
    "nhs_number_unverified",
    "deceased",
    "merged",
    "referral_closed",
    "text_not_carriable",
    "staff_not_mapped",
    "predecessor_unresolved",
];

/// What the rendering in hand was made from.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MadeFrom {
    pub identity: Identity,
    /// [`EndpointPolicy::fingerprint`] of then.
    pub endpoint: String,
    /// A digest of what it says that only config knows: as whom the EPR knows its author, what the trust is called, its time zone. None: made by a
    /// release that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_config: Option<String>,
    /// It says that it came late.
    #[serde(default)]
    pub late: bool,
    /// The record's own id by which it names the document it replaces or takes back, where messages name documents so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<String>,
    /// None: made by a release that did not keep it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaks_of: Option<SpeaksOf>,
}

/// The earlier document that a message takes the place of, or takes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum SpeaksOf {
    /// A first version, or a replacement of what never arrived: it goes as a create.
    Nothing,
    Document(DeliveryId),
}

impl SpeaksOf {
    pub fn of(document: Option<&Delivery>) -> Self {
        document.map_or(Self::Nothing, |d| Self::Document(d.id))
    }
}

impl MadeFrom {
    /// Whether it was made for the person the patient is now, and for the far end that the endpoint leads to now.
    pub fn holds_now(&self, identity_now: &Identity, policy: &EndpointPolicy) -> bool {
        self.identity.same_person(identity_now)
            && self.identity.local_identifiers == identity_now.local_identifiers
            && self.endpoint == policy.fingerprint
    }

    /// Config says otherwise now what it says in its own words: its author may be somebody else to the EPR.
    fn says_otherwise(&self, from_config: &str) -> bool {
        self.from_config.as_deref().is_some_and(|then| then != from_config)
    }
}

/// Everything the holds look at, as it is now.
pub struct Facts<'a> {
    pub delivery: &'a Delivery,
    pub entry: &'a Entry,
    pub policy: &'a EndpointPolicy,
    pub identity_now: &'a Identity,
    /// Of the patient the delivery is for now.
    pub standing: &'a Standing,
    pub referral: &'a Referral,
    pub predecessor: Option<&'a Delivery>,
    /// The author's id in the EPR, from the trust's staff table.
    pub author_mapped: bool,
    /// What a message made now would take from config ([`MadeFrom::from_config`]).
    pub from_config: &'a str,
    /// What goes out now must say that it came late.
    pub late_now: bool,
    /// What speaks of an earlier document, where documents are named by the record's own ids: the id it has to name now, if there is one.
    pub names: Option<Option<&'a str>>,
    /// That id is of a record that was reached at another place than the endpoint has now.
    pub named_elsewhere: bool,
    /// The document it replaces or takes back was sent to another record than the endpoint leads to now.
    pub sent_elsewhere: bool,
    /// By what is known now.
    pub speaks_of: SpeaksOf,
    /// Of the rendering that would be sent again, when there is one.
    pub made_from: Option<&'a MadeFrom>,
}

/// What to do with a delivery that is about to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clearance {
    /// Send the rendering in hand, or make the first one.
    Go,
    /// Identity, pack, endpoint or the document it speaks of changed and no byte can have been seen: make it anew.
    RenderAnew,
    Hold(ParkReason),
}

pub fn clearance(f: &Facts<'_>) -> Clearance {
    let overridden = |reason| f.delivery.overridden.contains(&reason);
    let seen = f.delivery.may_have_been_received();
    // An identity that lost, or may have lost, in a merge: nobody can overrule that, only say who the patient is.
    if f.standing.merged_into.is_some() || f.standing.doubt.is_some() {
        return Clearance::Hold(ParkReason::Merged);
    }
    // Who looked at a change of identity approved the identity of that moment, and no later one.
    let looked_at = [ParkReason::IdentityChanged, ParkReason::IdentityChangedAfterSend, ParkReason::Merged]
        .into_iter()
        .any(overridden);
    let approved = f.made_from.map(|made| &made.identity).or(f.delivery.approved.as_deref()).filter(|_| looked_at);
    if !approved.unwrap_or(&f.entry.identity).same_person(f.identity_now) {
        let readdressed = f.delivery.patient_id != f.entry.patient_id;
        return Clearance::Hold(match (seen, readdressed) {
            (true, _) => ParkReason::IdentityChangedAfterSend,
            (false, true) => ParkReason::Merged,
            (false, false) => ParkReason::IdentityChanged,
        });
    }
    if f.standing.deceased() && speaks_of_care(f.entry) && !overridden(ParkReason::Deceased) {
        return Clearance::Hold(ParkReason::Deceased);
    }
    let is_withdrawal = f.delivery.action == EntryAction::Withdraw;
    // To take a document back, by its own id, harms nobody; to leave it standing may.
    if f.policy.require_verified_nhs_number
        && !is_withdrawal
        && f.identity_now.nhs_number_status != NhsNumberStatus::Verified
        && !overridden(ParkReason::NhsNumberUnverified)
    {
        return Clearance::Hold(ParkReason::NhsNumberUnverified);
    }
    // A contact belongs to an open referral. A reply may be the end of one itself, and how long a job lasted is asked weeks after the support has ended.
    let is_contact = f.entry.subject.kind() == EntryKind::Note && !is_withdrawal;
    if is_contact && !f.referral.covers(f.entry.occurred_at) && !overridden(ParkReason::ReferralClosed) {
        return Clearance::Hold(ParkReason::ReferralClosed);
    }
    if f.policy.require_mapped_staff && !f.author_mapped {
        return Clearance::Hold(ParkReason::NoMappedStaffId);
    }
    if super::chain::blocked(f.delivery.action, f.predecessor) {
        return Clearance::Hold(ParkReason::PredecessorUnresolved);
    }
    // Under the same id another record may hold somebody else's document.
    if f.named_elsewhere {
        // Not WITHDRAWAL_CANNOT_NAME_DOCUMENT, which ends by itself once an id is known: here one is, and it is the wrong one.
        return Clearance::Hold(ParkReason::EndpointChangedAfterSend);
    }
    // A record that was never sent the document may well answer that it has taken it back, while it stands where it was sent.
    if f.sent_elsewhere && !overridden(ParkReason::EndpointChangedAfterSend) {
        return Clearance::Hold(ParkReason::EndpointChangedAfterSend);
    }
    if let Some(now) = f.names {
        let made_with = f.made_from.and_then(|made| made.names.as_deref());
        // Bytes that name it otherwise may take back, or write over, somebody else's document.
        let is_stale = made_with.is_some() && made_with != now;
        match now {
            None if (is_withdrawal || is_stale) && seen => return Clearance::Hold(ParkReason::PredecessorUnresolved),
            None if is_withdrawal => return Clearance::Hold(ParkReason::WithdrawalCannotNameDocument),
            _ if is_stale && seen => return Clearance::Hold(ParkReason::PredecessorUnresolved),
            _ if is_stale => return Clearance::RenderAnew,
            _ => {}
        }
    }
    if f.made_from.and_then(|made| made.speaks_of).is_some_and(|made| made != f.speaks_of) {
        match f.delivery.action {
            // The same bytes again would stand beside, or in the place of, another document than the one that stands there.
            EntryAction::Replace if seen => return Clearance::Hold(ParkReason::PredecessorUnresolved),
            EntryAction::Replace => return Clearance::RenderAnew,
            EntryAction::Withdraw if !seen && f.speaks_of != SpeaksOf::Nothing => return Clearance::RenderAnew,
            // What may have been taken back is taken back again: that harms nothing.
            EntryAction::Withdraw | EntryAction::Create => {}
        }
    }
    match f.made_from {
        Some(made) if made.identity != *f.identity_now => {
            if seen {
                Clearance::Hold(ParkReason::IdentityChangedAfterSend)
            } else {
                Clearance::RenderAnew
            }
        }
        Some(made) if made.endpoint != f.policy.fingerprint || made.says_otherwise(f.from_config) => {
            if seen {
                Clearance::Hold(ParkReason::EndpointChangedAfterSend)
            } else {
                Clearance::RenderAnew
            }
        }
        // Put back when `after_unknown` or `max_unknown_resends` let it go again by itself.
        _ if f.delivery.goes_again_by_itself() && !f.policy.sends_again(f.delivery.unknown_resends) => {
            Clearance::Hold(ParkReason::OutcomeUnknown)
        }
        // It waited longer than when it was made: the reader must be told.
        Some(made) if f.late_now && !made.late && !seen => Clearance::RenderAnew,
        _ => Clearance::Go,
    }
}

/// What a person must look at before it goes into the record of somebody who has died, also where the contact was before: it may belong there,
/// or be about somebody else. To take an entry back, or to decline a referral, does no harm there.
pub fn speaks_of_care(entry: &Entry) -> bool {
    match &entry.body {
        Body::ReferralReply(reply) => reply.accepted,
        Body::Note(_) | Body::Outcome(_) => entry.action() != EntryAction::Withdraw,
    }
}

#[cfg(test)]
#[path = "hold_tests.rs"]
mod tests;
