//! What can go wrong in the store, as its callers need to know it.

use super::passing;
use crate::domain::decide::CannotHappen;
use crate::domain::ids::ReferralId;
use crate::domain::organisation::EndpointId;
use crate::domain::rule::Violations;

/// Absence is `Ok(None)`; these are the rest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing was written.
    #[error("the store cannot be reached: {0}; nothing was stored, try again")]
    Unavailable(String),
    /// It may or may not have been written: only the same request id can tell, which is the principal's own.
    #[error("the commit's outcome is not known ({0}); repeat the call as the same principal, with the same request id")]
    CommitUnknown(String),
    /// A row does not say what it must. A fault of ours.
    #[error("the store holds something it should not: {what} in {table}")]
    Inconsistent { table: &'static str, what: String },
    /// Somebody else's write came first; only this write failed.
    #[error("a concurrent change won: {0}; read again and repeat")]
    Conflict(String),
}

/// Why the rules do not allow a write. Nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It does not exist, or belongs to another trust: the same answer.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error(
        "NHS number, date of birth and family name do not all agree with the record; check that the right client was picked"
    )]
    PatientMismatch,
    #[error("this request id was used for other content; use a new one for a new request")]
    RequestIdReused,
    #[error("it is at version {now}, the call saw version {seen}; read it again, look, and repeat")]
    VersionConflict { seen: i64, now: i64 },
    #[error(
        "another pack was activated for {endpoint} meanwhile: since activation {now}, by {by}, it works with {works}, and the call saw activation {seen}; nothing was changed. See what the endpoint works with (ListAdapters, `ips-bridge status`), and repeat the call if yours is still to go live"
    )]
    PackChanged { endpoint: EndpointId, seen: i64, now: i64, works: String, by: String },
    #[error("{0}")]
    WrongState(String),
    #[error("no route leads to an endpoint for {0}; ask the trust's integration team to add one")]
    NoEndpoint(String),
    #[error(
        "the referral's latest disclosure decision does not allow employers to be approached in the client's name; record the client's decision first"
    )]
    ConsentMissing,
    #[error(
        "the bridge holds {open} open deliveries and its limit is {limit}; try again later with the same request id"
    )]
    QueueFull { open: i64, limit: i64 },
    #[error(
        "endpoint {endpoint} has {open} open deliveries and its limit is {limit}; try again later with the same request id"
    )]
    EndpointFull { endpoint: EndpointId, open: i64, limit: i64 },
    #[error("the bridge's disk has less room than its limit leaves; try again later with the same request id")]
    DiskFull,
    #[error("the trust already has a referral with this external id")]
    ExternalIdTaken(ReferralId),
    #[error(
        "another patient of the trust has this NHS number or local identifier; find out whose it is, and leave it out of the other's details"
    )]
    IdentifierTaken,
    #[error("the record may hold it already; look there first, then repeat with acknowledge_may_be_in_record")]
    MayBeInRecord,
    #[error("some fields break their rules")]
    Broken(Violations),
}

/// A write that was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<CannotHappen> for Refusal {
    fn from(cannot: CannotHappen) -> Self {
        match cannot {
            CannotHappen::MayBeInRecord => Self::MayBeInRecord,
            CannotHappen::WrongState { .. } => Self::WrongState(cannot.to_string()),
        }
    }
}

/// Why a store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("store url `{0}` is neither sqlite:// nor postgres://; mend [store] url")]
    UnknownScheme(String),
    #[error("another bridge is running on {0}; stop it first, or give this one a store of its own")]
    InUse(String),
    #[error(
        "the database {path} {}: it has come to {commits} commits, and the bridge that worked here had come to {reached} ({file} says so). It was put back from a backup, or another copy stands in its place. Deliveries that are open in it may have reached the records since, and notes written since are not in it. Put the newer database back, with its -wal beside it; or go on with this one, without any -wal or -shm that is not its own, by starting once with `ips-bridge serve --restored`: everything that would be sent is parked first, so that somebody looks before it goes again",
        if *is_another { "is not the one that was last worked on here" } else { "is older than what was done" }
    )]
    Older { path: String, file: String, is_another: bool, commits: i64, reached: i64 },
    #[error("PostgreSQL setting {setting} is {value}; a commit would not be safe on disk. Set it to {wanted}")]
    Unsafe { setting: &'static str, value: String, wanted: &'static str },
    #[error("the store at {place} cannot be reached: {why}; see whether it runs, or mend [store] url")]
    Away { place: String, why: String },
    #[error("cannot open the store: {0}")]
    Database(#[from] sqlx::Error),
    #[error("cannot bring the store's tables up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("cannot use the store's file, or its folder: {0}")]
    File(#[from] std::io::Error),
}

impl OpenError {
    /// Nothing is wrong with what was asked: the same may go well later.
    pub fn may_pass(&self) -> bool {
        use sqlx::migrate::MigrateError::{Execute, ExecuteMigration};
        match self {
            Self::InUse(_) | Self::Away { .. } => true,
            Self::Database(e) | Self::Migration(Execute(e) | ExecuteMigration(e, _)) => passing::database(e),
            Self::File(e) => passing::io(e),
            Self::UnknownScheme(_) | Self::Unsafe { .. } | Self::Migration(_) | Self::Older { .. } => false,
        }
    }
}

impl StoreError {
    /// Nothing is wrong with what was asked: the same may go well later.
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Inconsistent { .. })
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(e: sqlx::Error) -> Self {
        match &e {
            sqlx::Error::Database(d) if d.is_unique_violation() => {
                Self::Conflict(d.constraint().unwrap_or("a unique key").to_owned())
            }
            // Serialisation failure and deadlock: PostgreSQL chose the other one.
            sqlx::Error::Database(d) if matches!(d.code().as_deref(), Some("40001" | "40P01")) => {
                Self::Conflict("a concurrent transaction".into())
            }
            sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::TypeNotFound { .. } => {
                Self::Inconsistent { table: "a query", what: "a value of the wrong type".into() }
            }
            _ => Self::Unavailable(reason(&e)),
        }
    }
}

/// Only its kind: driver texts can quote values.
pub(super) fn reason(e: &sqlx::Error) -> String {
    match e {
        sqlx::Error::Database(d) => format!("database error {}", d.code().unwrap_or_default()),
        sqlx::Error::Io(io) => io.kind().to_string(),
        sqlx::Error::PoolTimedOut => "no connection came free in time".into(),
        _ => "the connection failed".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_of_a_commit_is_not_said_to_be_known() {
        let said = StoreError::CommitUnknown(reason(&sqlx::Error::PoolTimedOut)).to_string();
        assert!(!said.contains("nothing was stored") && said.contains("the same request id"), "{said}");
    }
}
