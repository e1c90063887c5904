//! Everything the IPS measures of one trust are computed from.

use super::super::batch::parse;
use super::super::dialect::{Statement, on, statement};
use super::super::error::StoreError;
use super::super::{Scope, Store};
use crate::domain::entry::{Body, Entry};
use crate::domain::measure::{Gathering, ReferralFacts};
use crate::domain::note::NoteContent;
use crate::domain::organisation::OdsCode;
use crate::domain::outcome::Outcome;
use crate::domain::referral::Referral;
use futures::TryStreamExt;
use serde::de::DeserializeOwned;

/// Rows that are read before others who wait for the thread get it.
const IN_A_ROW: usize = 64;

// Each in the order of an index that leads to it: what has to be sorted has to be held whole, by SQLite in this process.
statement!(REFERRALS, "SELECT payload FROM referral WHERE trust = $1 ORDER BY id");
statement!(
    VERSIONS,
    "SELECT v.payload FROM referral r JOIN referral_version v ON v.id = r.id WHERE r.trust = $1 AND r.assigned_to IS NOT NULL ORDER BY r.id, v.version"
);
statement!(
    NOTES,
    "SELECT payload FROM entry e WHERE trust = $1 AND kind = 'Note' \
       AND NOT EXISTS (SELECT 1 FROM entry n WHERE n.subject_id = e.subject_id AND n.version > e.version) ORDER BY e.recorded_at, e.id"
);
statement!(OUTCOMES, "SELECT payload FROM outcome WHERE trust = $1 ORDER BY id");

impl Store {
    /// What the measures count, of each of a trust's referrals. A trust's notes may be years of them: each is read, counted and let go, and nothing that
    /// was written in one is kept. `None`: not a trust of this scope.
    pub async fn trust_facts(&self, scope: &Scope, trust: &OdsCode) -> Result<Option<Vec<ReferralFacts>>, StoreError> {
        if !scope.has_trust(trust) {
            return Ok(None);
        }
        let mut facts = Gathering::default();
        self.each(&REFERRALS, trust, "referral", |referral: Referral| facts.referral(&referral)).await?;
        self.each(&VERSIONS, trust, "referral_version", |version: Referral| facts.version(&version)).await?;
        let note = |entry: Entry| {
            if let Some(content) = content(&entry.body) {
                facts.note(entry.referral_id, content);
            }
        };
        self.each(&NOTES, trust, "entry", note).await?;
        self.each(&OUTCOMES, trust, "outcome", |outcome: Outcome| facts.outcome(&outcome)).await?;
        Ok(Some(facts.finish()))
    }

    /// Shows each row of a trust to `see`, one at a time.
    async fn each<T: DeserializeOwned>(
        &self,
        statement: &'static Statement,
        trust: &OdsCode,
        table: &'static str,
        mut see: impl FnMut(T) + Send,
    ) -> Result<(), StoreError> {
        let sql = statement.for_pool(&self.readers);
        let mut unread = None;
        let told: Result<(), sqlx::Error> = on!(Pool, &self.readers, p => {
            let mut rows = sqlx::query_as::<_, (String,)>(sql).bind(trust.as_str()).fetch(p);
            let mut read = 0;
            while let Some((payload,)) = rows.try_next().await? {
                match parse(&payload, table) {
                    Ok(row) => see(row),
                    Err(e) => {
                        unread = Some(e);
                        break;
                    }
                }
                read += 1;
                if read % IN_A_ROW == 0 {
                    tokio::task::yield_now().await;
                }
            }
            Ok(())
        });
        told?;
        unread.map_or(Ok(()), Err)
    }
}

/// A withdrawn note says nothing; its newest version is the withdrawal.
fn content(body: &Body) -> Option<&NoteContent> {
    match body {
        Body::Note(action) => action.content(),
        Body::Outcome(_) | Body::ReferralReply(_) => None,
    }
}
