//! `[reply]` of a pack that speaks HTTP: what a status, or an issue of an OperationOutcome, means.

use super::super::fault::suggest;
use std::collections::BTreeMap;

/// What a row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpRow {
    /// The record took it. Only where the reply also names the record's id, see `verdict`.
    Positive,
    /// Somebody on the way took it (202): transport evidence.
    Received,
    Refused,
    Retry,
    /// It may be there already: unknown, and to be asked for before anything else is done.
    Query,
    Unknown,
}

const ROWS: &[(&str, HttpRow)] = &[
    ("positive", HttpRow::Positive),
    ("received", HttpRow::Received),
    ("refused", HttpRow::Refused),
    ("retry", HttpRow::Retry),
    ("query", HttpRow::Query),
    ("unknown", HttpRow::Unknown),
];

impl HttpRow {
    pub fn parse(word: &str) -> Option<Self> {
        ROWS.iter().find(|(name, _)| *name == word).map(|(_, row)| *row)
    }
}

/// The meanings a row may have.
pub fn meanings() -> impl Iterator<Item = &'static str> {
    ROWS.iter().map(|(name, _)| *name)
}

/// FHIR R4, value set issue-type: every code there is, so any of them may be shown.
pub const ISSUE_TYPES: &[&str] = &[
    "business-rule",
    "code-invalid",
    "conflict",
    "deleted",
    "duplicate",
    "exception",
    "expired",
    "extension",
    "forbidden",
    "incomplete",
    "informational",
    "invalid",
    "invariant",
    "lock-error",
    "login",
    "multiple-matches",
    "no-store",
    "not-found",
    "not-supported",
    "processing",
    "required",
    "security",
    "structure",
    "suppressed",
    "throttled",
    "timeout",
    "too-costly",
    "too-long",
    "transient",
    "unknown",
    "value",
];

/// The rules for one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRules {
    /// By status (`409`) or class (`4xx`); the status goes first.
    pub(in crate::adapter) statuses: BTreeMap<String, HttpRow>,
    /// By `issue.code` or a code of `issue.details.coding`; these go before the status, except where the status is 2xx.
    issues: BTreeMap<String, HttpRow>,
    /// Of a message that answers ours: by a code of its OperationOutcome, or by `MessageHeader.response.code` where it has none.
    acks: BTreeMap<String, HttpRow>,
}

/// Statuses under which nobody can tell what became of a request: whoever calls such a note refused says that it is not in the record, and somebody writes
/// it again.
const UNTOLD: &[&str] = &["500", "502", "504", "408", "5xx", "3xx"];

/// What is said of a row that claims to know it, and what to do.
pub(in crate::adapter) fn untold(key: &str, value: &str) -> (String, String) {
    (
        format!("\"{key}\" can never be {value}: nobody can tell whether the note was filed before"),
        "leave it unknown; or name the code that the supplier promises to send before anything is filed".into(),
    )
}

pub(in crate::adapter) fn is_untold(status: &str) -> bool {
    UNTOLD.contains(&status)
}

impl Default for HttpRules {
    /// RFC 9110 and FHIR R4 (RESTful API). A gateway that got no answer (502, 504) cannot say what became of the request: unknown. 401 comes
    /// here only when a fresh token did not help; it is the endpoint's trouble, not the message's.
    fn default() -> Self {
        use HttpRow::{Positive, Received, Refused, Retry, Unknown};
        let rows = [
            ("200", Positive),
            ("201", Positive),
            ("202", Received),
            ("2xx", Unknown),
            ("3xx", Unknown),
            ("401", Retry),
            ("408", Retry),
            ("425", Retry),
            ("429", Retry),
            ("4xx", Refused),
            ("502", Unknown),
            ("504", Unknown),
            ("5xx", Retry),
        ];
        Self {
            statuses: rows.into_iter().map(|(k, r)| (k.to_owned(), r)).collect(),
            issues: BTreeMap::new(),
            acks: BTreeMap::new(),
        }
    }
}

impl HttpRules {
    pub fn status(&self, status: u16) -> HttpRow {
        self.of_status(status).map_or(HttpRow::Unknown, |(_, row)| *row)
    }

    fn of_status(&self, status: u16) -> Option<(&String, &HttpRow)> {
        let exact = self.statuses.get_key_value(&status.to_string());
        exact.or_else(|| self.statuses.get_key_value(&format!("{}xx", status / 100)))
    }

    /// The row by which this status is judged is one under which nobody can tell what became of the request.
    pub fn is_untold(&self, status: u16) -> bool {
        self.of_status(status).is_none_or(|(key, _)| is_untold(key))
    }

    pub fn issue(&self, code: &str) -> Option<HttpRow> {
        self.issues.get(code).copied()
    }

    /// What a code of an acknowledgement means that comes as a message.
    pub fn ack(&self, code: &str) -> Option<HttpRow> {
        self.acks.get(code).copied()
    }

    /// Changes one row, or says what is wrong with it: what and a hint.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), (String, String)> {
        let row = ROWS.iter().find(|(name, _)| *name == value).map(|(_, row)| *row).ok_or_else(|| {
            (
                format!("reply row \"{key}\" has the unknown meaning \"{value}\""),
                suggest(value, ROWS.iter().map(|(name, _)| *name)),
            )
        })?;
        if let Some(code) = key.strip_prefix("ack.") {
            if !is_code(code) {
                let hint = "write for example \"ack.30001\" = \"positive\"";
                return Err((format!("\"{key}\" is not a code of an acknowledgement"), hint.into()));
            }
            let failed = matches!(code, "transient-error" | "fatal-error");
            if failed && matches!(row, HttpRow::Positive | HttpRow::Received) {
                let hint = "an error is refused, retry, query or unknown";
                return Err((format!("\"{key}\" can never be {value}"), hint.into()));
            }
            self.acks.insert(code.to_owned(), row);
            return Ok(());
        }
        if let Some(code) = key.strip_prefix("issue.") {
            if !is_code(code) {
                return Err((
                    format!("\"{key}\" is not an issue's code"),
                    "write for example \"issue.duplicate\" = \"query\"".into(),
                ));
            }
            if matches!(row, HttpRow::Positive | HttpRow::Received) {
                return Err((
                    format!("\"{key}\" can never be {value}"),
                    "an issue is refused, retry, query or unknown".into(),
                ));
            }
            self.issues.insert(code.to_owned(), row);
            return Ok(());
        }
        let good = matches!(key.as_bytes(), [b'1'..=b'5', a, b] if (a.is_ascii_digit() && b.is_ascii_digit()) || (*a, *b) == (b'x', b'x'));
        if !good {
            return Err((
                format!("unknown key \"{key}\" in [reply]"),
                "write a status (409), a class (4xx), an issue's code (\"issue.duplicate\") or an acknowledgement's (\"ack.30001\")".into(),
            ));
        }
        let fits = match row {
            HttpRow::Unknown => true,
            HttpRow::Positive | HttpRow::Received => key.starts_with('2'),
            HttpRow::Refused | HttpRow::Retry | HttpRow::Query => !key.starts_with('2'),
        };
        if !fits {
            let hint = "2xx is positive, received or unknown; anything else is refused, retry, query or unknown";
            return Err((format!("\"{key}\" can never be {value}"), hint.into()));
        }
        if row == HttpRow::Refused && is_untold(key) {
            return Err(untold(key, value));
        }
        self.statuses.insert(key.to_owned(), row);
        Ok(())
    }
}

/// A code as code systems have them; what a pack names may be shown.
fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
