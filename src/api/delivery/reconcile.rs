//! A list of what the record holds, against what was sent.

use super::super::audit::Read;
use super::super::edge::{Caller, whole};
use super::super::error::Error;
use super::super::request::part;
use super::endpoint_id;
use crate::adapter::form::request;
use crate::domain::reconcile::{Finding, LISTED_MAX, Listed, Standing};
use crate::domain::record_id;
use crate::domain::rule::Violations;
use crate::domain::text;
use crate::inbound::reconcile::{ReconcileError, Reconciling, reconcile};
use crate::wire::{count, v1};
use jiff::civil::Date;

/// Longest id in a list, in characters.
const ID_CHARS_MAX: usize = record_id::CHARS_MAX;

pub async fn reconcile_documents(
    c: Caller,
    m: v1::ReconcileDocumentsRequest,
) -> Result<v1::ReconcileDocumentsResponse, Error> {
    let mut broken = Violations::default();
    let key = c.key(&m, &mut broken);
    let endpoint = endpoint_id(&m.endpoint_id, &mut broken);
    let source = request::origin(&m.source, "source", &mut broken);
    let listed = listed(&m.documents, &mut broken);
    let day: Option<Option<Date>> = match m.day.as_str() {
        "" => Some(None),
        day => request::day(day, "day", &mut broken).map(Some),
    };
    whole!(broken; key, endpoint, source, listed, day);
    let facts = c.endpoint(&endpoint)?;
    let reconciling = Reconciling {
        store: c.store(),
        scope: &c.scope,
        trust: &facts.trust,
        endpoint: &endpoint,
        name: &facts.name,
        time_zone: c.time_zone(&facts.trust),
        now: c.now,
        replies_are_documents: facts.rendering.in_use.now().policy.replies_are_documents,
        list: &source.0,
    };
    let call = |number: u32| c.write(part(&key, number));
    let done = reconcile(&reconciling, &listed, day, &source.0, m.dry_run, &call).await.map_err(|e| match e {
        ReconcileError::Write(e) => Error::from(e),
        ReconcileError::NoSuchDay | ReconcileError::NotYet | ReconcileError::TooMany => {
            let mut broken = Violations::default();
            broken.add("day", e.to_string());
            Error::Broken(broken)
        }
    })?;
    let unexplained = count(done.sheet.unexplained());
    // Findings name patients by id: their reading is written down as any other.
    let trust = &facts.trust;
    let reads = done.sheet.found.iter().filter(|f| f.patient.is_some()).map(|f| Read {
        trust,
        kind: "delivery",
        id: f.delivery.map(|d| d.0),
        patient: f.patient,
    });
    c.audit("delivery.reconcile_read", reads).await?;
    let of = |standing| count(done.sheet.count(standing));
    Ok(v1::ReconcileDocumentsResponse {
        day: done.sheet.day.to_string(),
        written: count(done.sheet.written),
        in_record: of(Standing::InRecord),
        waiting: of(Standing::Waiting),
        missing: of(Standing::Missing),
        superseded: of(Standing::Superseded),
        cancelled: of(Standing::Cancelled),
        withdrawals: of(Standing::Withdrawal),
        listed: count(done.sheet.listed),
        distinct: count(done.sheet.distinct),
        other_days: count(done.sheet.other_days),
        newly_filed: count(done.newly_filed),
        adds_up: done.sheet.adds_up(),
        findings: done.sheet.found.iter().map(show).collect(),
        sheet: done.paper,
        unexplained,
    })
}

fn show(found: &crate::domain::reconcile::Found) -> v1::DocumentFinding {
    use v1::DocumentFindingKind as Kind;
    let kind = match found.finding {
        Finding::Missing => Kind::Missing,
        Finding::Waiting => Kind::Waiting,
        Finding::Renamed => Kind::Renamed,
        Finding::SharedId => Kind::SharedId,
        Finding::Doubled => Kind::Doubled,
        Finding::Unknown => Kind::Unknown,
        Finding::CancelledHere => Kind::CancelledHere,
        Finding::WithdrawnHere => Kind::WithdrawnHere,
    };
    v1::DocumentFinding {
        kind: kind.into(),
        document_id: found.document_id.clone(),
        delivery_id: found.delivery.map(|d| d.to_string()).unwrap_or_default(),
        patient_id: found.patient.map(|p| p.to_string()).unwrap_or_default(),
        why: found.why.clone(),
    }
}

fn listed(documents: &[v1::ListedDocument], broken: &mut Violations) -> Option<Vec<Listed>> {
    if documents.len() > LISTED_MAX {
        broken.add("documents", "at most 20000");
        return None;
    }
    let mut listed = Vec::with_capacity(documents.len());
    for (i, document) in documents.iter().enumerate() {
        let id = text::line(&document.document_id, ID_CHARS_MAX);
        let id = broken.check(&format!("documents[{i}].document_id"), id);
        let record_id = match document.record_id.trim() {
            "" => Some(None),
            id => request::record_id(id, &format!("documents[{i}].record_id"), broken).map(Some),
        };
        let line =
            usize::try_from(document.line).map_err(|_| "must not be less than 0: leave it out for its place here");
        let line = broken.check(&format!("documents[{i}].line"), line);
        if let (Some(id), Some(record_id), Some(line)) = (id, record_id, line) {
            let line = if line == 0 { i + 1 } else { line };
            listed.push(Listed { document_id: id.0, record_id, line });
        }
    }
    (listed.len() == documents.len()).then_some(listed)
}
