//! Patients.

use super::super::dialect::{on, statement};
use super::super::error::StoreError;
use super::super::rows::NUMBERS;
use super::super::{Scope, Store};
use super::{Page, all, one, parse};
use crate::domain::ids::PatientId;
use crate::domain::nhs_number::NhsNumber;
use crate::domain::organisation::OdsCode;
use crate::domain::person::{LocalIdentifier, Patient};
use crate::domain::text::folded_name;
use jiff::civil::Date;

/// Ways to find a patient; exact, never fuzzy.
#[derive(Clone)]
pub enum PatientBy {
    NhsNumber(NhsNumber),
    Local(LocalIdentifier),
    /// By an NHS number, or by an identifier of whatever name that has its digits.
    Digits(NhsNumber),
    /// Under whatever type.
    Value {
        authority: String,
        value: String,
    },
    NameAndBirth {
        family: String,
        born: Date,
    },
}

impl std::fmt::Debug for PatientBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NhsNumber(_) => "NhsNumber(..)",
            Self::Local(_) => "Local(..)",
            Self::Digits(_) => "Digits(..)",
            Self::Value { .. } => "Value(..)",
            Self::NameAndBirth { .. } => "NameAndBirth(..)",
        })
    }
}

/// From one trust to the next in the index: read whole, it would be as long as the record.
pub(in crate::store) const TRUSTS: &str = "SELECT id FROM (WITH RECURSIVE of (id) AS (SELECT MIN(trust) FROM patient UNION ALL \
     SELECT (SELECT MIN(trust) FROM patient WHERE trust > of.id) FROM of WHERE of.id IS NOT NULL) SELECT id FROM of WHERE id IS NOT NULL) AS trusts";
statement!(TRUSTS_THERE, TRUSTS);
statement!(PATIENT, "SELECT payload FROM patient WHERE id = $1");
statement!(PATIENT_AT, "SELECT payload FROM patient_version WHERE id = $1 AND version = $2");
statement!(
    BY_NHS,
    "SELECT payload FROM patient WHERE trust = $1 AND nhs_number = $2 AND id < $3 ORDER BY id DESC LIMIT $4"
);
statement!(
    BY_FORMER_NHS,
    "SELECT p.payload FROM patient_identifier i JOIN patient p ON p.id = i.patient_id \
     WHERE i.trust = $1 AND i.authority = 'NHS' AND i.kind = 'NH' AND i.value = $2"
);
statement!(
    BY_LOCAL,
    "SELECT p.payload FROM patient p JOIN patient_identifier i ON i.patient_id = p.id \
     WHERE i.trust = $1 AND i.authority = $2 AND i.kind = $3 AND i.value = $4"
);
statement!(
    BY_VALUE,
    "SELECT p.payload FROM patient p JOIN patient_identifier i ON i.patient_id = p.id \
     WHERE i.trust = $1 AND i.authority = $2 AND i.value = $3 LIMIT $4"
);
statement!(
    BY_NAME,
    "SELECT payload FROM patient WHERE trust = $1 AND folded_family = $2 AND date_of_birth = $3 AND id < $4 ORDER BY id DESC LIMIT $5"
);

impl Store {
    /// Trusts whose patients are here: config must know them all. Not limited by a scope; codes only.
    pub async fn trusts_of_patients(&self) -> Result<Vec<String>, StoreError> {
        let sql = TRUSTS_THERE.for_pool(&self.readers);
        let rows: Vec<(String,)> = on!(Pool, &self.readers, p => sqlx::query_as(sql).fetch_all(p).await)?;
        Ok(rows.into_iter().map(|(trust,)| trust).collect())
    }

    pub async fn patient(&self, scope: &Scope, id: PatientId) -> Result<Option<Patient>, StoreError> {
        Ok(scope.see(one(&self.readers, &PATIENT, id.0, "patient").await?, |p: &Patient| &p.trust))
    }

    /// As it was at a version.
    pub async fn patient_at(&self, scope: &Scope, id: PatientId, version: i64) -> Result<Option<Patient>, StoreError> {
        let sql = PATIENT_AT.for_pool(&self.readers);
        let row: Option<(String,)> =
            on!(Pool, &self.readers, p => sqlx::query_as(sql).bind(id.0).bind(version).fetch_optional(p).await)?;
        let patient = row.map(|(payload,)| parse(&payload, "patient_version")).transpose()?;
        Ok(scope.see(patient, |p: &Patient| &p.trust))
    }

    pub async fn find_patients(
        &self,
        scope: &Scope,
        trust: &OdsCode,
        by: &PatientBy,
        page: Page,
    ) -> Result<Vec<Patient>, StoreError> {
        if !scope.has_trust(trust) {
            return Ok(Vec::new());
        }
        let (trust, size) = (trust.as_str(), i64::from(page.size));
        let pool = &self.readers;
        let rows: Vec<(String,)> = match by {
            PatientBy::NhsNumber(number) | PatientBy::Digits(number) => {
                let sql = BY_NHS.for_pool(pool);
                let number = number.as_str();
                let mut rows: Vec<(String,)> = on!(Pool, pool, p => sqlx::query_as(sql).bind(trust).bind(number).bind(page.below()).bind(size).fetch_all(p).await)?;
                if rows.is_empty() && page.after.is_none() {
                    // Somebody's whose record was merged: it leads to who they are now.
                    let sql = BY_FORMER_NHS.for_pool(pool);
                    rows = on!(Pool, pool, p => sqlx::query_as(sql).bind(trust).bind(number).fetch_all(p).await)?;
                }
                if rows.is_empty() && matches!(by, PatientBy::Digits(_)) {
                    let sql = BY_VALUE.for_pool(pool);
                    rows = on!(Pool, pool, p => sqlx::query_as(sql).bind(trust).bind(NUMBERS).bind(number).bind(size).fetch_all(p).await)?;
                }
                rows
            }
            // At most one patient has it, so there is no second page.
            PatientBy::Local(id) if page.after.is_none() => {
                let sql = BY_LOCAL.for_pool(pool);
                on!(Pool, pool, p => sqlx::query_as(sql).bind(trust).bind(&id.assigning_authority).bind(&id.kind).bind(&id.value.0).fetch_all(p).await)?
            }
            PatientBy::Local(_) => Vec::new(),
            PatientBy::Value { authority, value } => {
                let sql = BY_VALUE.for_pool(pool);
                on!(Pool, pool, p => sqlx::query_as(sql).bind(trust).bind(authority).bind(value).bind(size).fetch_all(p).await)?
            }
            PatientBy::NameAndBirth { family, born } => {
                let sql = BY_NAME.for_pool(pool);
                on!(Pool, pool, p => sqlx::query_as(sql)
                    .bind(trust)
                    .bind(folded_name(family))
                    .bind(born.to_string())
                    .bind(page.below())
                    .bind(size)
                    .fetch_all(p)
                    .await)?
            }
        };
        all(rows, "patient")
    }
}
