//! What the bridge said when it said no: its sentence, the reason's name, what to do, and every field at fault.

use super::failure::Failure;
use crate::wire::DESCRIPTORS;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use std::error::Error as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let reason = details.error_info().map(|info| info.reason.clone());
        let nobody = matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) || status.source().is_some();
        let mut text = match status.message() {
            "" => format!("refused with {:?}", status.code()),
            sentence => sentence.to_owned(),
        };
        if let Some(reason) = &reason {
            text.push_str(&format!("\n  reason  {reason}"));
            if let Some(advice) = advice(reason) {
                text.push_str(&format!("\n  do      {advice}"));
            }
        }
        for field in details.bad_request().map(|b| b.field_violations.as_slice()).unwrap_or_default() {
            text.push_str(&format!("\n  field   {}: {}", field.field, field.description));
        }
        if let Some(delay) = details.retry_info().and_then(|r| r.retry_delay) {
            text.push_str(&format!("\n  again   in {delay:?}"));
        }
        let text = as_flags(&text);
        // A reason is the bridge's own word; without one, something between us and it spoke.
        if reason.is_none() && nobody {
            Self::Unreachable(format!("the bridge did not answer: {text}"))
        } else {
            Self::Refused(text)
        }
    }
}

/// What calls name as a field, a command has as a flag.
pub fn as_flags(text: &str) -> String {
    text.replace("acknowledge_may_be_in_record", "--acknowledge-may-be-in-record")
}

/// What the caller should do, as error_reason.proto says it behind the status code.
fn advice(reason: &str) -> Option<String> {
    let files = FileDescriptorSet::decode(DESCRIPTORS).ok()?;
    let file = files.file.iter().find(|f| f.name().ends_with("error_reason.proto"))?;
    let wanted = format!("ERROR_REASON_{reason}");
    let index = file.enum_type.first()?.value.iter().position(|v| v.name() == wanted)?;
    // 5: enums of the file; 2: values of an enum (descriptor.proto).
    let path = [5, 0, 2, i32::try_from(index).ok()?];
    let location = file.source_code_info.as_ref()?.location.iter().find(|l| l.path == path)?;
    let words = location.leading_comments().split_whitespace().collect::<Vec<_>>().join(" ");
    words.split_once(". ").map(|(_, advice)| advice.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::v1::ErrorReason;
    use tonic_types::{ErrorDetails, FieldViolation};

    #[test]
    fn a_refusal_says_what_why_what_to_do_and_every_field() {
        let mut details = ErrorDetails::new();
        details.set_error_info("FIELD_VIOLATIONS", "ips-bridge", std::collections::HashMap::new());
        details.set_bad_request(vec![
            FieldViolation::new("content.text", "must not be empty"),
            FieldViolation::new("author.staff_id", "is required"),
        ]);
        let status = Status::with_error_details(Code::InvalidArgument, "two fields are wrong", details);
        let failure = Failure::from(status);
        assert_eq!(failure.code(), 1);
        insta::assert_snapshot!(failure, @r"
        two fields are wrong
          reason  FIELD_VIOLATIONS
          do      Mend the fields named in google.rpc.BadRequest, all of them, and send again. Nothing was stored.
          field   content.text: must not be empty
          field   author.staff_id: is required
        ");
    }

    #[test]
    fn what_to_repeat_with_is_named_as_the_flag_that_it_is_here() {
        let mut details = ErrorDetails::new();
        details.set_error_info("MAY_BE_IN_RECORD", "ips-bridge", std::collections::HashMap::new());
        let text = crate::domain::decide::CannotHappen::MayBeInRecord.to_string();
        let failure = Failure::from(Status::with_error_details(Code::FailedPrecondition, text, details)).to_string();
        assert!(
            !failure.contains("acknowledge_may") && failure.contains("--acknowledge-may-be-in-record"),
            "{failure}"
        );
    }

    #[test]
    fn every_reason_has_advice() {
        for n in 1..64 {
            let Ok(reason) = ErrorReason::try_from(n) else { continue };
            let name = reason.as_str_name().trim_start_matches("ERROR_REASON_");
            assert!(advice(name).is_some_and(|a| !a.is_empty()), "{name}");
        }
        assert_eq!(advice("NO_SUCH_REASON"), None);
    }

    #[test]
    fn silence_and_a_refusal_differ_in_their_exit_code() {
        assert_eq!(Failure::from(Status::unavailable("connection refused")).code(), 3);
        let mut details = ErrorDetails::new();
        details.set_error_info("COMMIT_UNKNOWN", "ips-bridge", std::collections::HashMap::new());
        assert_eq!(Failure::from(Status::with_error_details(Code::Unavailable, "unknown", details)).code(), 1);
    }
}
