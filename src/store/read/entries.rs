//! Notes and outcomes with their versions, and entries by themselves.

use super::super::dialect::{on, statement};
use super::super::error::StoreError;
use super::super::{Scope, Store};
use super::{Page, all, micros, one, uuids};
use crate::domain::entry::Entry;
use crate::domain::ids::{EntryId, NoteId, OutcomeId, PatientId, ReferralId};
use crate::domain::note::Note;
use crate::domain::organisation::{EndpointId, OdsCode};
use crate::domain::outcome::Outcome;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

/// Whose notes or outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SubjectFilter {
    Referral(ReferralId),
    Patient(PatientId),
}

statement!(NOTE, "SELECT payload FROM note WHERE id = $1");
statement!(OUTCOME, "SELECT payload FROM outcome WHERE id = $1");
statement!(ENTRY, "SELECT payload FROM entry WHERE id = $1");
statement!(VERSIONS, "SELECT payload FROM entry WHERE subject_id IN {uuids} ORDER BY subject_id, version");
statement!(
    NOTES_OF_REFERRAL,
    "SELECT payload FROM note WHERE referral_id = $1 AND id < $2 AND occurred_at >= $3 ORDER BY id DESC LIMIT $4"
);
statement!(
    NOTES_OF_PATIENT,
    "SELECT payload FROM note WHERE referral_id IN (SELECT id FROM referral WHERE patient_id = $1) AND id < $2 AND occurred_at >= $3 ORDER BY id DESC LIMIT $4"
);
statement!(
    OUTCOMES_OF_REFERRAL,
    "SELECT payload FROM outcome WHERE referral_id = $1 AND id < $2 AND $3 <> -1 ORDER BY id DESC LIMIT $4"
);
statement!(
    OUTCOMES_OF_PATIENT,
    "SELECT payload FROM outcome WHERE referral_id IN (SELECT id FROM referral WHERE patient_id = $1) AND id < $2 AND $3 <> -1 ORDER BY id DESC LIMIT $4"
);
statement!(
    TO_BACKFILL,
    "SELECT payload FROM entry e WHERE trust = $1 AND recorded_at >= $2 AND kind <> 'ReferralReply' AND action <> 'Withdraw' AND e.id > $3 \
       AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.subject_id = e.subject_id AND d.endpoint_id = $4) \
       AND NOT EXISTS (SELECT 1 FROM entry n WHERE n.subject_id = e.subject_id AND n.version > e.version) \
     ORDER BY e.id LIMIT $5"
);

impl Store {
    pub async fn note(&self, scope: &Scope, id: NoteId) -> Result<Option<Note>, StoreError> {
        Ok(scope.see(one(&self.readers, &NOTE, id.0, "note").await?, |n: &Note| &n.trust))
    }

    pub async fn outcome(&self, scope: &Scope, id: OutcomeId) -> Result<Option<Outcome>, StoreError> {
        Ok(scope.see(one(&self.readers, &OUTCOME, id.0, "outcome").await?, |o: &Outcome| &o.trust))
    }

    pub async fn entry(&self, scope: &Scope, id: EntryId) -> Result<Option<Entry>, StoreError> {
        Ok(scope.see(one(&self.readers, &ENTRY, id.0, "entry").await?, |e: &Entry| &e.trust))
    }

    /// Every version of some subjects, oldest first.
    pub async fn versions(
        &self,
        scope: &Scope,
        subjects: impl IntoIterator<Item = uuid::Uuid>,
    ) -> Result<Vec<Entry>, StoreError> {
        let sql = VERSIONS.for_pool(&self.readers);
        let ids = uuids(subjects);
        let rows: Vec<(String,)> = on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(ids).fetch_all(p).await)?;
        let mut entries: Vec<Entry> = all(rows, "entry")?;
        entries.retain(|e| scope.has_trust(&e.trust));
        Ok(entries)
    }

    /// Newest first.
    pub async fn notes(
        &self,
        scope: &Scope,
        of: SubjectFilter,
        occurred_from: Option<Timestamp>,
        page: Page,
    ) -> Result<Vec<Note>, StoreError> {
        let from = occurred_from.map_or(i64::MIN, micros);
        let statements = (&NOTES_OF_REFERRAL, &NOTES_OF_PATIENT);
        let mut notes: Vec<Note> = self.of(statements, of, from, page, "note").await?;
        notes.retain(|n| scope.has_trust(&n.trust));
        Ok(notes)
    }

    /// Newest first.
    pub async fn outcomes(&self, scope: &Scope, of: SubjectFilter, page: Page) -> Result<Vec<Outcome>, StoreError> {
        let statements = (&OUTCOMES_OF_REFERRAL, &OUTCOMES_OF_PATIENT);
        let mut outcomes: Vec<Outcome> = self.of(statements, of, 0, page, "outcome").await?;
        outcomes.retain(|o| scope.has_trust(&o.trust));
        Ok(outcomes)
    }

    async fn of<T: DeserializeOwned>(
        &self,
        (referral, patient): (&'static super::Statement, &'static super::Statement),
        of: SubjectFilter,
        from: i64,
        page: Page,
        table: &'static str,
    ) -> Result<Vec<T>, StoreError> {
        let (statement, id) = match of {
            SubjectFilter::Referral(id) => (referral, id.0),
            SubjectFilter::Patient(id) => (patient, id.0),
        };
        let sql = statement.for_pool(&self.readers);
        let rows: Vec<(String,)> = on!(Pool, &self.readers, p => sqlx::query_as(sql)
            .bind(id)
            .bind(page.below())
            .bind(from)
            .bind(i64::from(page.size))
            .fetch_all(p)
            .await)?;
        all(rows, table)
    }

    /// The newest versions, recorded from a time on, of what was never sent to the endpoint; oldest first, after `after`.
    pub async fn to_backfill(
        &self,
        scope: &Scope,
        trust: &OdsCode,
        endpoint: &EndpointId,
        from: Timestamp,
        after: Option<EntryId>,
        limit: u32,
    ) -> Result<Vec<Entry>, StoreError> {
        if !scope.has_endpoint(trust, endpoint) {
            return Ok(Vec::new());
        }
        let sql = TO_BACKFILL.for_pool(&self.readers);
        let rows: Vec<(String,)> = on!(Pool, &self.readers, p => sqlx::query_as(sql)
            .bind(trust.as_str())
            .bind(micros(from))
            .bind(after.map_or(uuid::Uuid::nil(), |a| a.0))
            .bind(endpoint.as_str())
            .bind(i64::from(limit))
            .fetch_all(p)
            .await)?;
        all(rows, "entry")
    }
}
