//! The only place where an error becomes a gRPC status: its code, ErrorInfo with the reason of `error_reason.proto`, every broken field, and when
//! to try again. What went wrong inside stays inside; the caller gets an id for support.

use super::principal::Role;
use crate::domain::rule::{Violation, Violations};
use crate::store::{Refusal, StoreError, WriteError};
use crate::wire::v1::ErrorReason;
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

/// ErrorInfo.domain.
pub const DOMAIN: &str = "ips-bridge";

/// When a full queue is worth another try.
const AFTER_QUEUE_FULL: Duration = Duration::from_secs(30);
/// When a store or a busy bridge is.
const AFTER_UNAVAILABLE: Duration = Duration::from_secs(1);
/// Details travel in a header, and clients take 8 KiB of it: longer lists of violations are cut there, and say so.
const DETAILS_BYTES_MAX: usize = 5 * 1024;

/// Everything that can go wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("some fields break their rules; see the field violations")]
    Broken(Violations),
    #[error(transparent)]
    Refused(Refusal),
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is wrong with a pack, place by place.
    #[error("the pack cannot be taken: {} of its places, or of what the endpoint needs of it, are at fault; nothing was changed", .0.0.len())]
    PackRefused(Violations),
    #[error("no principal is known for this connection; call with a client certificate that the bridge knows")]
    NotAuthenticated,
    #[error("this needs the role {}", roles(.0))]
    RoleMissing(&'static [Role]),
    #[error("the token is not one of ours for this call; start again without it")]
    BadToken,
    /// To go on without it could hand out again what was received, or hide that another record is behind this bridge.
    #[error(
        "the resume token is not of this endpoint, this caller and this bridge's record; find out whether the client has mixed up endpoints, or the record was restored from an older backup, before you go on without it"
    )]
    BadFeedToken,
    /// In bytes.
    #[error(
        "the request {}, and at most {limit} are taken ([server] max_request_bytes); nothing was stored: send less, in several calls where the call allows it",
        found.map_or_else(|| "unpacked has more bytes than that".to_owned(), |n| format!("has {n} bytes"))
    )]
    TooLarge { found: Option<usize>, limit: usize },
    #[error("{0} calls are under way and the limit is reached; try again in a moment")]
    Busy(usize),
    #[error("the call took longer than {} s; it may have been carried out: repeat it as it was, as the same principal, with the same request id where it has one", .0.as_secs())]
    TooSlowToWrite(Duration),
    #[error("the call took longer than {} s; nothing was changed, try again", .0.as_secs())]
    TooSlowToRead(Duration),
    /// What is said of ourselves: never a patient's data.
    #[error("{0}")]
    Internal(String),
}

fn roles(roles: &[Role]) -> String {
    roles.iter().map(|r| r.word()).collect::<Vec<_>>().join(" or ")
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Broken(broken) => Self::Broken(broken),
            other => Self::Refused(other),
        }
    }
}

impl From<WriteError> for Error {
    fn from(e: WriteError) -> Self {
        match e {
            WriteError::Refused(refusal) => refusal.into(),
            WriteError::Store(store) => store.into(),
        }
    }
}

impl Error {
    pub fn not_found(what: &'static str) -> Self {
        Self::Refused(Refusal::NotFound(what))
    }

    /// Whether an id is needed, by which support finds the log line.
    pub fn is_ours(&self) -> bool {
        matches!(self.told().0, Code::Internal)
    }

    /// For the caller. `id`: for errors that [are ours](Self::is_ours).
    pub fn status(&self, id: &str) -> Status {
        let (code, reason) = self.told();
        let mut metadata: HashMap<String, String> = HashMap::new();
        let mut put = |key: &str, value: String| drop(metadata.insert(key.to_owned(), value));
        match self {
            Self::Refused(Refusal::ExternalIdTaken(referral)) => put("referral_id", referral.to_string()),
            Self::Refused(Refusal::VersionConflict { seen, now } | Refusal::PackChanged { seen, now, .. }) => {
                put("version_seen", seen.to_string());
                put("version", now.to_string());
            }
            Self::TooLarge { limit, .. } => put("max_request_bytes", limit.to_string()),
            Self::RoleMissing(needed) => put("roles", needed.iter().map(|r| r.word()).collect::<Vec<_>>().join(",")),
            _ if code == Code::Internal => put("error_id", id.to_owned()),
            _ => {}
        }
        let name = reason.as_str_name().strip_prefix("ERROR_REASON_").unwrap_or_default();
        let mut details = ErrorDetails::with_error_info(name, DOMAIN, metadata);
        if let Self::Broken(broken) | Self::PackRefused(broken) = self {
            details.set_bad_request(violations(&broken.0));
        }
        if let Self::TooLarge { .. } = self {
            details.set_bad_request(vec![FieldViolation::new("", self.to_string())]);
        }
        match code {
            Code::ResourceExhausted => {
                details.set_retry_info(Some(AFTER_QUEUE_FULL));
            }
            Code::Unavailable => {
                details.set_retry_info(Some(AFTER_UNAVAILABLE));
            }
            _ => {}
        }
        let message = if code == Code::Internal {
            format!("a fault of the bridge; give this id to its support: {id}")
        } else {
            self.to_string()
        };
        Status::with_error_details(code, message, details)
    }

    /// Exhaustive on purpose: a new way to fail does not compile until somebody has said what the caller should do.
    fn told(&self) -> (Code, ErrorReason) {
        match self {
            // To send the same again would never help, so it is not RESOURCE_EXHAUSTED.
            Self::Broken(_) | Self::TooLarge { .. } => (Code::InvalidArgument, ErrorReason::FieldViolations),
            Self::Refused(refusal) => match refusal {
                Refusal::NotFound(_) => (Code::NotFound, ErrorReason::NotFound),
                Refusal::PatientMismatch => (Code::FailedPrecondition, ErrorReason::PatientMismatch),
                Refusal::RequestIdReused => (Code::AlreadyExists, ErrorReason::RequestIdReused),
                Refusal::VersionConflict { .. } | Refusal::PackChanged { .. } => {
                    (Code::Aborted, ErrorReason::VersionConflict)
                }
                Refusal::WrongState(_) => (Code::FailedPrecondition, ErrorReason::WrongState),
                Refusal::NoEndpoint(_) => (Code::FailedPrecondition, ErrorReason::NoEndpoint),
                Refusal::ConsentMissing => (Code::FailedPrecondition, ErrorReason::ConsentMissing),
                Refusal::QueueFull { .. } | Refusal::EndpointFull { .. } | Refusal::DiskFull => {
                    (Code::ResourceExhausted, ErrorReason::QueueFull)
                }
                Refusal::ExternalIdTaken(_) => (Code::AlreadyExists, ErrorReason::ExternalIdTaken),
                Refusal::IdentifierTaken => (Code::AlreadyExists, ErrorReason::IdentifierTaken),
                Refusal::MayBeInRecord => (Code::FailedPrecondition, ErrorReason::MayBeInRecord),
                Refusal::Broken(_) => (Code::InvalidArgument, ErrorReason::FieldViolations),
            },
            Self::Store(store) => match store {
                StoreError::Unavailable(_) => (Code::Unavailable, ErrorReason::StoreUnavailable),
                StoreError::CommitUnknown(_) => (Code::Unavailable, ErrorReason::CommitUnknown),
                StoreError::Conflict(_) => (Code::Aborted, ErrorReason::VersionConflict),
                StoreError::Inconsistent { .. } => (Code::Internal, ErrorReason::Internal),
            },
            Self::PackRefused(_) => (Code::FailedPrecondition, ErrorReason::PackRefused),
            Self::NotAuthenticated => (Code::Unauthenticated, ErrorReason::NotAuthenticated),
            Self::RoleMissing(_) => (Code::PermissionDenied, ErrorReason::RoleMissing),
            Self::BadToken | Self::BadFeedToken => (Code::InvalidArgument, ErrorReason::BadToken),
            Self::Busy(_) => (Code::ResourceExhausted, ErrorReason::QueueFull),
            Self::TooSlowToWrite(_) => (Code::Unavailable, ErrorReason::CommitUnknown),
            Self::TooSlowToRead(_) => (Code::Unavailable, ErrorReason::StoreUnavailable),
            Self::Internal(_) => (Code::Internal, ErrorReason::Internal),
        }
    }
}

/// All of them, as far as a client takes them.
fn violations(broken: &[Violation]) -> Vec<FieldViolation> {
    let mut bytes = 0;
    let mut shown: Vec<FieldViolation> = broken
        .iter()
        .take_while(|v| {
            bytes += v.field.len() + v.rule.len() + 8;
            bytes <= DETAILS_BYTES_MAX
        })
        .map(|v| FieldViolation::new(&v.field, &v.rule))
        .collect();
    if shown.len() < broken.len() {
        shown.push(FieldViolation::new("", format!("and {} more", broken.len() - shown.len())));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_ours_shows_the_caller_its_id_and_nothing_else() {
        let ours = Error::from(StoreError::Inconsistent { table: "patient", what: "secret".into() });
        assert!(ours.is_ours());
        let status = ours.status("01ABC");
        assert_eq!(status.code(), Code::Internal);
        assert!(status.message().contains("01ABC") && !status.message().contains("secret"));
        let details = status.get_error_details();
        let info = details.error_info().expect("always there");
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("INTERNAL", DOMAIN));
    }

    #[test]
    fn what_can_be_tried_again_says_when() {
        for error in [
            Error::from(Refusal::QueueFull { open: 2, limit: 1 }),
            StoreError::Unavailable("x".into()).into(),
            StoreError::CommitUnknown("x".into()).into(),
            Error::Busy(1),
            Error::TooSlowToWrite(Duration::from_secs(30)),
        ] {
            let details = error.status("").get_error_details();
            assert!(details.retry_info().is_some_and(|r| r.retry_delay.is_some()), "{error}");
        }
        assert!(Error::BadToken.status("").get_error_details().retry_info().is_none());
    }

    #[test]
    fn a_very_long_list_of_violations_still_fits_a_header() {
        let mut broken = Violations::default();
        for i in 0..1000 {
            broken.add(
                format!("selection.delivery_ids[{i}]"),
                "must be 26 characters of Crockford base32, as the bridge shows its ids",
            );
        }
        let status = Error::Broken(broken).status("");
        assert!(status.details().len() < 8 * 1024);
        let details = status.get_error_details();
        let shown = &details.bad_request().expect("violations").field_violations;
        assert!(shown.last().is_some_and(|v| v.description.starts_with("and ")));
    }
}
