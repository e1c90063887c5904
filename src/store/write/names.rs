//! Whose document the record means by an id of its own. The first document found under an id has it; where messages name documents by such ids,
//! another document that is answered with it is in doubt, and so is the first.

use super::super::error::Refusal;
use super::super::rows::{Keys, RecordName, View, record_name};
use super::super::writer::Ctx;
use super::accept::happen;
use crate::domain::ask::Answer;
use crate::domain::decide::Happened;
use crate::domain::delivery::{Delivery, EvidenceKind};
use crate::domain::ids::{DeliveryId, ReplyId};
use crate::domain::policy::{EndpointPolicy, Names};

/// What a write that may be told `record_id` of this delivery has to see.
pub(super) fn needs(view: &View, keys: &mut Keys, delivery: DeliveryId, record_id: Option<&str>) {
    let Some((d, record_id)) = view.deliveries.get(&delivery).zip(record_id) else { return };
    let name = record_name(d, record_id);
    if let Some(holder) = view.record_names.get(&name).filter(|h| **h != d.subject.uuid()) {
        keys.chains.insert(*holder);
        let theirs = view.chain(*holder, &d.endpoint);
        keys.lanes.extend(theirs.iter().map(|o| (o.endpoint.clone(), o.patient_id)));
        keys.patients.extend(theirs.iter().map(|o| o.patient_id));
    }
    keys.record_names.insert(name);
}

/// The id that this tells of the document, and how well it is known.
fn told<'h>(happened: &'h Happened, policy: &EndpointPolicy) -> Option<(&'h str, EvidenceKind, ReplyId)> {
    match happened {
        Happened::Replied { verdict, reply } => {
            Some((verdict.record_id.as_deref()?, EvidenceKind::of(verdict, policy.acknowledged_by), *reply))
        }
        Happened::Late { verdict, evidence, reply } => Some((verdict.record_id.as_deref()?, (*evidence)?, *reply)),
        Happened::Asked { answer: Answer::Found { record_id }, reply } => {
            Some((record_id.as_deref()?, EvidenceKind::ReadBack, (*reply)?))
        }
        _ => None,
    }
}

/// The same, unless it tells that the document bears another one's id.
pub(super) fn weighed(view: &View, d: &Delivery, happened: &Happened, policy: &EndpointPolicy) -> Option<Happened> {
    let (record_id, kind, reply) = told(happened, policy).filter(|_| policy.names == Names::RecordId)?;
    let holder = *view.record_names.get(&record_name(d, record_id))?;
    // In doubt itself, it has the name no more: a list or a report may say whose it is.
    let is_free = kind >= EvidenceKind::VendorReport
        && !view.chain(holder, &d.endpoint).iter().any(|o| o.record_id.as_deref() == Some(record_id));
    let of_another = holder != d.subject.uuid() && !is_free;
    of_another.then(|| Happened::NamedLikeAnother { kind, record_id: record_id.to_owned(), reply })
}

/// Whether the record's id that a list or a report tells of this document is that of a document of another patient. However the pack names documents, one
/// of the two would be shown as standing in a record where it does not stand. (Where messages name documents by such ids, [`weighed`] puts both in doubt.)
/// `bears`: whether what is in doubt itself counts. A list of all that the record holds settles such a doubt; a report of one document does not.
pub(super) fn is_another_patients(
    view: &View,
    policy: Option<&EndpointPolicy>,
    (d, record_id): (&Delivery, &str),
    bears: fn(&Delivery, &str) -> bool,
) -> bool {
    let holder = view.record_names.get(&record_name(d, record_id)).filter(|h| **h != d.subject.uuid());
    let theirs = holder.map(|h| view.chain(*h, &d.endpoint)).unwrap_or_default();
    policy.is_none_or(|p| p.names != Names::RecordId)
        && theirs.iter().any(|o| o.patient_id != d.patient_id && bears(o, record_id))
}

/// After the decision: an id that it was found under is this document's; one that was another's names nothing any more.
pub(super) fn keep(
    view: &mut View,
    ctx: &Ctx<'_>,
    d: &Delivery,
    happened: &Happened,
    policy: &EndpointPolicy,
) -> Result<(), Refusal> {
    let (record_id, was_for_others) = match happened {
        Happened::NamedLikeAnother { record_id, .. } => (Some(record_id), false),
        // It is no name of what the delivery is now. Whose document it was told of matters all the same: that one may be written over.
        Happened::EarlierConfirmed { verdict } if policy.names == Names::RecordId => (verdict.record_id.as_ref(), true),
        Happened::EarlierConfirmed { .. } => return Ok(()),
        _ => (d.record_id.as_ref(), false),
    };
    let Some(record_id) = record_id else { return Ok(()) };
    let name: RecordName = record_name(d, record_id);
    let holder = view.record_names.get(&name).copied();
    let is_of_another = holder.is_some_and(|h| h != d.subject.uuid());
    if matches!(happened, Happened::NamedLikeAnother { .. }) || was_for_others && is_of_another {
        let theirs = holder.map(|h| view.chain(h, &d.endpoint)).unwrap_or_default();
        for other in theirs.iter().filter(|o| o.record_id.as_ref() == Some(record_id)) {
            happen(view, ctx, other, &Happened::NameInDoubt, "bridge")?;
        }
    } else if view.record_names.is_loaded(&name) && holder != Some(d.subject.uuid()) {
        // Told by an answer of this very write, so it was looked for.
        view.record_names.put(name, d.subject.uuid());
    }
    Ok(())
}
