//! Everything the IPS measures of one trust are computed from.

use super::super::dialect::{on, statement};
use super::super::error::StoreError;
use super::super::{Scope, Store};
use super::all;
use crate::domain::entry::Entry;
use crate::domain::organisation::OdsCode;
use crate::domain::outcome::Outcome;
use crate::domain::referral::Referral;

/// One trust's referrals, the newest version of each note, and its outcomes.
#[derive(Debug, Clone)]
pub struct TrustFacts {
    pub referrals: Vec<Referral>,
    /// Withdrawn ones too: their newest version is the withdrawal.
    pub notes: Vec<Entry>,
    pub outcomes: Vec<Outcome>,
}

statement!(REFERRALS, "SELECT payload FROM referral WHERE trust = $1 ORDER BY id");
statement!(
    NOTES,
    "SELECT payload FROM entry e WHERE trust = $1 AND kind = 'Note' \
       AND NOT EXISTS (SELECT 1 FROM entry n WHERE n.subject_id = e.subject_id AND n.version > e.version) ORDER BY e.id"
);
statement!(OUTCOMES, "SELECT payload FROM outcome WHERE trust = $1 ORDER BY id");

impl Store {
    pub async fn trust_facts(&self, scope: &Scope, trust: &OdsCode) -> Result<Option<TrustFacts>, StoreError> {
        if !scope.has_trust(trust) {
            return Ok(None);
        }
        let pool = &self.readers;
        let (r, n, o) = (REFERRALS.for_pool(pool), NOTES.for_pool(pool), OUTCOMES.for_pool(pool));
        let referrals: Vec<(String,)> =
            on!(Pool, pool, p => sqlx::query_as(r).bind(trust.as_str()).fetch_all(p).await)?;
        let notes: Vec<(String,)> = on!(Pool, pool, p => sqlx::query_as(n).bind(trust.as_str()).fetch_all(p).await)?;
        let outcomes: Vec<(String,)> = on!(Pool, pool, p => sqlx::query_as(o).bind(trust.as_str()).fetch_all(p).await)?;
        Ok(Some(TrustFacts {
            referrals: all(referrals, "referral")?,
            notes: all(notes, "entry")?,
            outcomes: all(outcomes, "outcome")?,
        }))
    }
}
