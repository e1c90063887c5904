//! From stored rows to what a template sees: the last step before a pack renders, the same for a real send and for a preview.

use super::form::{self, entry::Replaced, entry::Setting};
use crate::domain::chain;
use crate::domain::delivery::Delivery;
use crate::domain::entry::{Body, Entry};
use crate::domain::note::Action;
use crate::domain::outcome::OutcomeContent;
use crate::domain::person::Patient;
use crate::domain::policy::Environment;
use crate::domain::referral::Referral;
use crate::wire::v1;
use jiff::{Timestamp, tz::TimeZone};

/// What a template sees, for those who do not know the wire's types.
pub type Input = v1::RenderInput;

/// Everything one message is made from.
pub struct Composition<'a> {
    pub entry: &'a Entry,
    /// For a withdrawal or replacement: the entry of the document it speaks of ([`chain::speaks_of`]).
    pub spoken_of: Option<&'a Entry>,
    /// For an outcome that speaks of a job: the job's present content.
    pub job: Option<&'a OutcomeContent>,
    /// As they are now.
    pub patient: &'a Patient,
    pub referral: &'a Referral,
    /// The older deliveries of the subject at this endpoint, oldest first.
    pub before: &'a [Delivery],
    /// The author's id and name in the EPR.
    pub epr_staff: Option<(String, String)>,
    pub site: &'a Site,
    pub control_id: &'a str,
    pub time: Timestamp,
}

/// What stays the same for every message of an endpoint.
#[derive(Debug, Clone)]
pub struct Site {
    pub trust: v1::Trust,
    pub time_zone: TimeZone,
    pub environment: Environment,
    pub late_after: std::time::Duration,
    /// Replacements keep the first document's id there ([`crate::domain::policy::Names::FirstId`]).
    pub in_place: bool,
}

impl Site {
    /// Whether an entry that leaves now must say that it came late: a new note from the contact on, all else from when it was written, for a correction comes
    /// late by its nature.
    pub fn is_late(&self, entry: &Entry, now: Timestamp) -> bool {
        let since = match &entry.body {
            Body::Note(Action::Create(content)) => content.occurred_at.min(entry.recorded_at),
            _ => entry.recorded_at,
        };
        now.duration_since(since).unsigned_abs() > self.late_after
    }
}

/// Without the endpoint's settings, which are the same for all. `None`: the rows do not fit together (a withdrawal of nothing); a fault of ours,
/// never of the author.
pub fn compose(c: &Composition<'_>) -> Option<v1::RenderInput> {
    let spoken_of = chain::speaks_of(c.before, c.entry.action());
    let document = chain::document_of(c.before, c.entry.action(), c.site.in_place);
    let replaces = c.spoken_of.filter(|_| spoken_of.is_some());
    let setting = Setting {
        tz: &c.site.time_zone,
        replaces: replaces.map(|e| Replaced { number: e.version, recorded_at: e.recorded_at }),
    };
    let document_id = c.entry.id.to_string();
    let first = chain::first_document(c.before).map_or_else(|| document_id.clone(), Delivery::document_id);
    let mut entry = entry(c, &setting)?;
    // A replacement of something that never reached the record is, to the record, a new document.
    if spoken_of.is_none() && entry.action == i32::from(v1::EntryAction::Replace) {
        entry.action = v1::EntryAction::Create.into();
    }
    Some(v1::RenderInput {
        entry: Some(entry),
        patient: Some(form::patient::show_details(&c.patient.details)),
        patient_id: c.patient.id.to_string(),
        referral: Some(form::referral::show(c.referral)),
        author: Some(v1::EntryAuthor {
            author: Some(form::person::show_author(&c.entry.author)),
            epr_id: c.epr_staff.as_ref().map(|s| s.0.clone()),
            epr_name: c.epr_staff.as_ref().map(|s| s.1.clone()),
        }),
        trust: Some(c.site.trust.clone()),
        settings: None,
        lookup: None,
        document: None,
        message: Some(v1::MessageFacts {
            control_id: c.control_id.to_owned(),
            document_id,
            first_document_id: first,
            replaces: document
                .map(|d| v1::ReplacedDocument { document_id: d.document_id(), record_id: d.record_id.clone() }),
            in_reply_to: match &c.entry.body {
                Body::ReferralReply(reply) => reply.in_reply_to.clone(),
                _ => None,
            },
            time: Some(c.time.into()),
            is_late: c.site.is_late(c.entry, c.time),
            processing_id: match c.site.environment {
                Environment::Live => "P".into(),
                Environment::Test => "T".into(),
            },
        }),
    })
}

fn entry(c: &Composition<'_>, setting: &Setting<'_>) -> Option<v1::Entry> {
    match &c.entry.body {
        Body::Note(action) => {
            let version = c.entry.note_version()?;
            let own = action.content();
            let withdrawn = c.spoken_of.and_then(Entry::note_version);
            let content = own.or_else(|| withdrawn.as_ref().and_then(|v| v.action.content()))?;
            Some(form::entry::note(&version, content, setting))
        }
        Body::Outcome(action) => {
            let version = c.entry.outcome_version()?;
            let own = action.content();
            let withdrawn = c.spoken_of.and_then(Entry::outcome_version);
            let content = own.or_else(|| withdrawn.as_ref().and_then(|v| v.action.content()))?;
            Some(form::entry::outcome(&version, content, c.job, setting))
        }
        Body::ReferralReply(_) => form::entry::referral_reply(c.entry.id, c.referral, &c.entry.author, setting),
    }
}

/// The job an outcome speaks of, when it does.
pub fn job_of(entry: &Entry) -> Option<crate::domain::ids::OutcomeId> {
    let Body::Outcome(Action::Create(content) | Action::Replace { content, .. }) = &entry.body else { return None };
    content.kind.job_id()
}
