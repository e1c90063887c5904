//! Bytes that are no message of the call, or more than one may have, are the caller's fault, and said like every other one. tonic itself would
//! call them a fault of the server's, and its clients would try again; or it names neither reason nor setting.

use super::error::Error;
use crate::domain::rule::Violations;
use http::Response;
use tonic::{Code, Status};

/// How tonic and prost begin.
const UNDECODED: &str = "failed to decode Protobuf message: ";

/// How tonic says that a request is too large, before and after unpacking.
const TOO_LARGE: &str = "Error, decoded message length too large: found ";
const TOO_LARGE_UNPACKED: &str = "Error decompressing: size limit, of ";

/// The answer to leave: the one given, or a better one for a request that could not be read.
pub fn told<B: Default>(response: Response<B>) -> Response<B> {
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() == Code::Internal => match status.message().strip_prefix(UNDECODED) {
            Some(why) => Error::Broken(violation(why)).status("").into_http(),
            None => response,
        },
        Some(status) if matches!(status.code(), Code::OutOfRange | Code::ResourceExhausted) => {
            too_large(status.message()).map_or(response, |error| error.status("").into_http())
        }
        _ => response,
    }
}

fn too_large(said: &str) -> Option<Error> {
    let number = |text: &str| text.split(' ').next().and_then(|n| n.parse().ok());
    if let Some(rest) = said.strip_prefix(TOO_LARGE) {
        let (_, limit) = rest.split_once("the limit is: ")?;
        return Some(Error::TooLarge { found: number(rest), limit: number(limit)? });
    }
    Some(Error::TooLarge { found: None, limit: number(said.strip_prefix(TOO_LARGE_UNPACKED)?)? })
}

/// `Message.field: Message.field: what`, innermost first. Names of ours and no value of theirs.
fn violation(why: &str) -> Violations {
    let mut path: Vec<&str> = Vec::new();
    let mut rest = why;
    while let Some((step, after)) = rest.split_once(": ") {
        let Some((_, field)) =
            step.split_once('.').filter(|(message, _)| message.bytes().all(|b| b.is_ascii_alphanumeric()))
        else {
            break;
        };
        path.insert(0, field);
        rest = after;
    }
    let mut broken = Violations::default();
    broken.add(path.join("."), format!("cannot be decoded: {rest}"));
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_is_named_from_the_outside_in() {
        let why = "NoteContent.text: WriteProgressNoteRequest.content: invalid string value: data is not UTF-8 encoded";
        let broken = violation(why);
        assert_eq!(broken.0[0].field, "content.text");
        assert_eq!(broken.0[0].rule, "cannot be decoded: invalid string value: data is not UTF-8 encoded");
        assert_eq!(violation("unexpected end group tag").0[0].field, "");
    }

    #[test]
    fn of_a_request_too_large_the_limit_is_known() {
        let plain = "Error, decoded message length too large: found 2097161 bytes, the limit is: 1048576 bytes";
        assert_eq!(too_large(plain), Some(Error::TooLarge { found: Some(2_097_161), limit: 1_048_576 }));
        let packed = "Error decompressing: size limit, of 1048576 bytes, exceeded while decompressing message";
        assert_eq!(too_large(packed), Some(Error::TooLarge { found: None, limit: 1_048_576 }));
        assert_eq!(too_large("3 calls are under way"), None);
    }

    #[test]
    fn every_other_answer_stays_as_it_is() {
        let fault: Response<()> = Status::internal("a fault of the bridge").into_http();
        assert_eq!(Status::from_header_map(told(fault).headers()).expect("a status").code(), Code::Internal);
        let fine = told(Response::new(()));
        assert!(Status::from_header_map(fine.headers()).is_none());
    }
}
