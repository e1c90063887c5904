//! What the bridge said when it said no: its sentence, the reason's name, what to do, and every field at fault.

use super::failure::Failure;
use crate::wire::DESCRIPTORS;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use std::error::Error as _;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// What the bridge said, in the words of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    what: String,
    /// As in error_reason.proto, without its prefix; empty: none was given.
    reason: String,
    advice: String,
    /// Which option or file, and what is wrong with it.
    fields: Vec<(String, String)>,
    again: Option<Duration>,
}

impl Refusal {
    /// The command line itself was at fault, and nothing was tried.
    pub fn is_usage(&self) -> bool {
        self.reason == "FIELD_VIOLATIONS"
    }

    pub fn of(mut self, what: &str) -> Self {
        self.what = format!("{what}: {}", self.what);
        self
    }

    pub fn is_not_found(&self) -> bool {
        self.reason == "NOT_FOUND"
    }

    /// For a script: what, and the reason's name.
    pub fn line(&self) -> (String, String) {
        let fields: String = self.fields.iter().map(|(field, what)| format!("; {field}: {what}")).collect();
        (format!("{}{fields}", self.what), self.reason.clone())
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        for (name, text) in [("reason", &self.reason), ("do", &self.advice)].into_iter().filter(|(_, t)| !t.is_empty())
        {
            write!(f, "\n  {name:<7} {text}")?;
        }
        self.fields.iter().try_for_each(|(field, what)| write!(f, "\n  field   {field}: {what}"))?;
        self.again.map_or(Ok(()), |delay| write!(f, "\n  again   in {delay:?}"))
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let reason = details.error_info().map(|info| info.reason.clone());
        let nobody = matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded) || status.source().is_some();
        let fields = details.bad_request().map(|b| b.field_violations.as_slice()).unwrap_or_default();
        let refusal = Refusal {
            what: match status.message() {
                "" => format!("refused with {:?}", status.code()),
                sentence => as_options(sentence),
            },
            advice: reason.as_deref().and_then(advice).unwrap_or_default(),
            fields: fields.iter().map(|v| (as_option(&v.field), as_options(&v.description))).collect(),
            again: details.retry_info().and_then(|r| r.retry_delay),
            reason: reason.unwrap_or_default(),
        };
        // A reason is the bridge's own word; without one, something between us and it spoke.
        if refusal.reason.is_empty() && nobody {
            let stranger = match refusal.what.as_str() {
                what if what.contains("protocol error") => NO_BRIDGE,
                what if what.contains("transport error") => PERHAPS_TLS,
                what if what.contains("operation was canceled") => PERHAPS_EITHER,
                _ => "",
            };
            Self::Unreachable(format!("the bridge did not answer: {refusal}{stranger}"))
        } else {
            Self::Said(Box::new(refusal))
        }
    }
}

const NO_BRIDGE: &str = "\n  try     what listens there speaks no gRPC and may be something else; --server or IPS_BRIDGE_SERVER names the bridge";

const PERHAPS_TLS: &str =
    "\n  try     with [server.tls] the bridge is at https://…, and wants --ca and our own certificate (--cert, --key)";

const PERHAPS_EITHER: &str = "\n  try     what listens there may be no bridge; or it has [server.tls], and is at https://… with --ca, --cert and --key";

/// What calls and what they take are named here, and in commands.
const NAMES: [(&str, &str); 2] = [
    ("acknowledge_may_be_in_record", "--acknowledge-may-be-in-record"),
    (" (ListAdapters, `ips-bridge status`)", " (`ips-bridge status`)"),
];

/// The bridge's sentence as somebody at a terminal can follow it.
pub fn as_options(text: &str) -> String {
    NAMES.iter().fold(text.to_owned(), |text, (call, command)| text.replace(call, command))
}

/// What a command has for a call's field; a field that it fills in by itself stays.
fn as_option(field: &str) -> String {
    let option = match field {
        "reason" => "--because",
        "recorded_from" | "received_from" => "--from",
        "received_before" => "--before",
        "message_type" => "--type",
        "patient_id" => "--patient",
        "subject_id" => "--subject",
        "message_id" => "--message-id",
        "day" => "--day",
        "source" => "--list",
        "version" => "--version",
        "endpoint_id" | "selection.endpoint_id" => "endpoint",
        "delivery_id" | "inbound_message_id" => "ID",
        _ if field.starts_with("selection.delivery_ids") => return nth_id(field),
        _ => field,
    };
    option.to_owned()
}

/// `selection.delivery_ids[3]`: the fourth that was named.
fn nth_id(field: &str) -> String {
    let number = field.split(['[', ']']).nth(1).and_then(|n| n.parse::<usize>().ok());
    number.map_or_else(|| "ID".to_owned(), |n| format!("ID {}", n + 1))
}

/// Where a command can do something else than a call could: its request id is new every time.
fn own_advice(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "FIELD_VIOLATIONS" => "Mend all that is named below. Nothing was done.",
        "COMMIT_UNKNOWN" => "Look whether it was done, then run the command again if it was not.",
        "STORE_UNAVAILABLE" => "Nothing was done. Run the command again when the store is back.",
        "QUEUE_FULL" => "Run the command again later.",
        "PACK_REFUSED" => {
            "Mend the pack, run `ips-bridge adapter check` until it is good, and run the command again. Nothing was changed."
        }
        "MAY_BE_IN_RECORD" => "Look in the record, then repeat with --acknowledge-may-be-in-record.",
        _ => return None,
    })
}

/// What the caller should do, as error_reason.proto says it behind the status code.
fn advice(reason: &str) -> Option<String> {
    if let Some(own) = own_advice(reason) {
        return Some(own.to_owned());
    }
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
            FieldViolation::new("reason", "must not be empty"),
            FieldViolation::new("selection.delivery_ids[3]", "is no id"),
        ]);
        let status = Status::with_error_details(Code::InvalidArgument, "two fields are wrong", details);
        let failure = Failure::from(status);
        assert_eq!(failure.code(), 2);
        insta::assert_snapshot!(failure, @r"
        two fields are wrong
          reason  FIELD_VIOLATIONS
          do      Mend all that is named below. Nothing was done.
          field   --because: must not be empty
          field   ID 4: is no id
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
