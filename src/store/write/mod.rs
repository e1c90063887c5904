//! Every kind of change, one file each. A write looks at everything before it changes its first row.

mod accept;
mod ahead;
mod audit;
mod death;
mod forget;
mod gate;
mod in_force;
mod inbound;
mod merge;
mod names;
mod note;
mod operate;
mod outbox;
mod outcome;
mod packs;
mod patient;
mod referral;
mod report;
mod said;
mod told;
mod unserved;

pub(super) use ahead::PutRight;
pub use audit::ReadAudit;
pub use death::HeardOfDeath;
pub(super) use forget::Forget;
pub use gate::{Feeling, Knock};
pub use in_force::PutInForce;
pub use inbound::{MakeReply, Receive, Received, ReceivedReferral, Reprocess, TakenForNew};
pub use note::{ReplaceNote, WithdrawNote, WriteNote, WrittenNote};
pub use operate::{Backfill, NotDone, NotDoneKind, Operate, Operation, SetPaused, unserved};
pub use outbox::{Begin, BeginWith, Begun, Claim, Claimed, Late, Seen, Settle};
pub use outcome::{CorrectOutcome, RecordOutcome, WithdrawOutcome};
pub use packs::{ChangePack, PackChange};
pub use patient::UpdatePatient;
pub use referral::{AnswerReferral, ChangeReferral, CreateReferral, PatientIs, ReferralAnswer, ReferralChange};
pub use report::{InList, Reconcile, Report, Reported};
pub use said::Said;
pub use told::{AboutReferral, Became, Because, ReceivedTold, ReplyTo, Told};
pub(super) use unserved::ParkUnserved;

use super::error::{Refusal, WriteError};
use super::record::{Actor, Answer, Answered, Audit, RequestKey};
use super::rows::{Keys, View};
use super::scope::Scope;
use crate::domain::ids::PatientId;
use crate::domain::organisation::OdsCode;
use crate::domain::text::Private;
use jiff::Timestamp;
use uuid::Uuid;

/// Who calls, with which request id, within which trusts.
#[derive(Debug, Clone)]
pub struct Call {
    pub actor: Actor,
    pub scope: Scope,
    /// `None`: what it carries out says itself whether it came before, and nothing is remembered of it.
    pub request: Option<RequestKey>,
    /// W3C traceparent, so that the delivery's spans hang under the call's.
    pub trace: Option<String>,
}

impl Call {
    /// Its row, where there is to be one, tells whether this is a repeat.
    pub(super) fn needs(&self, keys: &mut Keys) {
        keys.requests.extend(self.request.as_ref().map(|r| r.key));
    }

    /// The same request again gets the same answer; the same id with other content is refused.
    pub(super) fn repeated(&self, view: &View) -> Result<Option<Answered>, WriteError> {
        let Some(request) = &self.request else { return Ok(None) };
        match view.requests.get(&request.key) {
            Some((content, answer)) if *content == request.content => Ok(Some(Answered::Repeated(answer.clone()))),
            Some(_) => Err(Refusal::RequestIdReused.into()),
            None => Ok(None),
        }
    }

    /// Remembers the answer. Errors are not remembered.
    pub(super) fn answer(&self, view: &mut View, answer: Answer) -> Answered {
        if let Some(request) = &self.request {
            view.requests.put(request.key, (request.content, answer.clone()));
        }
        Answered::Fresh(answer)
    }
}

/// What an audit row is about.
pub(super) struct About<'a> {
    pub trust: &'a OdsCode,
    pub action: &'static str,
    pub kind: &'static str,
    pub id: Uuid,
    pub patient: Option<PatientId>,
    pub why: &'a str,
}

pub(super) fn audit(view: &mut View, actor: &Actor, now: Timestamp, about: &About<'_>) {
    view.audits.push(Audit {
        at: now,
        trust: about.trust.clone(),
        actor: actor.clone(),
        action: about.action,
        subject_kind: about.kind,
        subject_id: Some(about.id),
        patient_id: about.patient,
        why: Private(about.why.to_owned()),
        outcome: "done",
    });
}
