//! The answer to a FHIR message that could not be taken: an OperationOutcome. Names fields and rules, never values.

use super::super::pack::ParseError;
use serde_json::{Value, json};

/// Issues one answer tells at most.
const ISSUES_MAX: usize = 50;

/// One thing wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Of the value set issue-type, e.g. `required`, `invalid`, `not-supported`.
    pub code: &'static str,
    pub what: String,
    /// Where, in the sender's words: `$.subject -> $.birthDate`.
    pub place: Option<String>,
}

/// The resource, `severity = error`.
pub fn operation_outcome(wrong: &[Wrong]) -> Value {
    let issues = wrong.iter().take(ISSUES_MAX).map(|w| {
        let mut issue = json!({ "severity": "error", "code": w.code, "details": { "text": w.what } });
        if let Some(place) = &w.place {
            issue["diagnostics"] = json!(place);
        }
        issue
    });
    json!({ "resourceType": "OperationOutcome", "issue": issues.collect::<Vec<_>>() })
}

/// HTTP status and what to say for a message that was not parsed. FHIR R4, RESTful API: 400 cannot be read, 422 breaks a rule, and 404 where
/// resources of this type are not taken at all.
pub fn refusal(e: &ParseError) -> (u16, Vec<Wrong>) {
    let one = |code, what: String| vec![Wrong { code, what, place: None }];
    match e {
        ParseError::Unreadable(_) => (400, one("structure", e.to_string())),
        ParseError::NoMap(_) => (404, one("not-supported", e.to_string())),
        ParseError::Settings(_) => (500, one("exception", "the endpoint's settings do not fit its pack".into())),
        ParseError::Fields(faults) => {
            let wrong = faults.iter().map(|f| {
                let code = if f.what.starts_with("is required") { "required" } else { "value" };
                Wrong { code, what: format!("{}: {}", f.field, f.what), place: Some(f.from.clone()) }
            });
            (422, wrong.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::FieldFault;

    #[test]
    fn every_fault_is_an_issue_and_names_its_place() {
        let fault =
            |what: &str| FieldFault { field: "received_at".into(), from: "$.authoredOn".into(), what: what.into() };
        let (status, wrong) =
            refusal(&ParseError::Fields(vec![fault("is required, and was not sent"), fault("is not an instant")]));
        let outcome = operation_outcome(&wrong);
        assert_eq!(status, 422);
        assert_eq!(outcome["issue"][0]["code"], "required");
        assert_eq!(outcome["issue"][1]["code"], "value");
        assert_eq!(outcome["issue"][1]["diagnostics"], "$.authoredOn");
        assert_eq!(outcome["issue"].as_array().map(Vec::len), Some(2));
        assert!(wrong.iter().all(|w| super::super::ISSUE_TYPES.contains(&w.code)));
    }
}
