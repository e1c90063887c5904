//! 7 reply + pack rules -> verdict. Anything the rules do not list is unknown: never filed, never refused for good.

mod folder;
mod hl7;
mod http;
mod mesh;
mod xml;
mod xml_asked;

pub use folder::of_result;
pub use http::{ReadBack, read_back};
pub use mesh::{acknowledgement, of_report, tracked};
pub use xml_asked::read_back_xml;

use crate::adapter::ReplyRules;
use crate::domain::verdict::{Meaning, Verdict};
use crate::transport::file_set::Receipt;
use crate::transport::http_message;
use crate::transport::mesh::Receipt as MeshReceipt;

/// Longest code text, in characters.
const CODE_CHARS_MAX: usize = 60;
/// Longest record id, in characters.
const RECORD_ID_CHARS_MAX: usize = 100;

/// What a reply to the message with this control id means. `sent` are that message's bytes, as they were stored: an HTTP reply is held against
/// what was asked for. A late HL7 acknowledgement is judged by the same rules; there they may be empty.
pub fn verdict(reply: &[u8], rules: &ReplyRules, control_id: &str, sent: &[u8]) -> Verdict {
    if let Some(receipt) = Receipt::decode(reply) {
        return folder::of_receipt(&receipt, control_id);
    }
    match rules {
        ReplyRules::Hl7(rules) => hl7::verdict(reply, rules, control_id),
        ReplyRules::Http(rules) => match MeshReceipt::decode(reply) {
            Some(receipt) => mesh::of_receipt(&receipt, rules),
            None => match mesh::acknowledgement(reply, rules) {
                Some((answered, verdict)) if answered == control_id => verdict,
                Some((_, verdict)) => Verdict {
                    meaning: Meaning::Unknown,
                    code: "ack for another message".into(),
                    duplicate: false,
                    ..verdict
                },
                None => http::verdict(reply, rules, sent),
            },
        },
        ReplyRules::Xml(rules) => xml::verdict(reply, rules, sent),
    }
}

/// Whether these bytes are a reply to the message with this control id: MSA-2 = MSH-10, exactly. HTTP answers on the request's own stream, so
/// there any whole reply is.
pub fn correlates(reply: &[u8], rules: &ReplyRules, control_id: &str) -> bool {
    match rules {
        ReplyRules::Hl7(_) => hl7::correlates(reply, control_id),
        ReplyRules::Http(_) => http_message::Reply::parse(reply).is_ok() || MeshReceipt::decode(reply).is_some(),
        ReplyRules::Xml(_) => http_message::Reply::parse(reply).is_ok(),
    }
}

/// Whether a reply shows, beside whatever else it says, that the message was acted upon: then it never goes a second time on the ground that only its
/// credentials were refused.
pub fn shows_filing(reply: &[u8], rules: &ReplyRules, control_id: &str, sent: &[u8]) -> bool {
    match rules {
        ReplyRules::Xml(rules) => xml::shows_filing(reply, rules),
        ReplyRules::Hl7(_) | ReplyRules::Http(_) => {
            verdict(reply, rules, control_id, sent).meaning == Meaning::Positive
        }
    }
}

/// What an HTTP reply says of the endpoint itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outage {
    /// A gateway's word on what stands behind it. Several in a row, and the endpoint is in trouble.
    Silent(String),
    /// Nobody gets in: our credentials are not taken, it is asked too much, or a gateway has nothing to pass anything to.
    ShutOut(String),
}

/// Whether a reply speaks of the endpoint and not of the message: for its credentials, for the load, or because nothing of the record's own can be read in it. Where
/// it says that nothing was taken (`verdict`), nobody gets in.
pub fn outage(reply: &[u8], rules: &ReplyRules, verdict: &Verdict) -> Option<Outage> {
    let reply = http_message::Reply::parse(reply).ok()?;
    let status = reply.status;
    let why = match status {
        401 | 407 => format!("it answers {status}: it does not take our credentials; see the endpoint's auth"),
        429 => format!("it answers {status}: it is asked too much"),
        403 | 404 | 405 | 410 | 500.. if !is_its_own(&reply, rules) => {
            format!("it answers {status} with nothing of its own: a gateway's page, or none")
        }
        _ => return None,
    };
    // 503 is a gateway's own word that nobody is there now; other 5xx may be this one message's doing.
    match status {
        503 => Some(Outage::ShutOut(why)),
        500.. => Some(Outage::Silent(why)),
        _ => verdict.is_not_taken().then_some(Outage::ShutOut(why)),
    }
}

/// 429.
pub fn is_asked_too_much(reply: &[u8]) -> bool {
    http_message::Reply::parse(reply).is_ok_and(|r| r.status == 429)
}

/// Whether the reply to a question is no answer of the record's: in words that are safe to show.
pub fn unread(reply: &[u8]) -> Option<String> {
    let reply = http_message::Reply::parse(reply).ok()?;
    matches!(reply.status, 401 | 403 | 407 | 408 | 425 | 429 | 500..).then(|| format!("it answers {}", reply.status))
}

fn is_its_own(reply: &http_message::Reply, rules: &ReplyRules) -> bool {
    match rules {
        ReplyRules::Hl7(_) => true,
        ReplyRules::Http(_) => http::is_its_own(reply),
        ReplyRules::Xml(_) => xml::is_its_own(reply),
    }
}

/// The control id that an HL7 acknowledgement answers, if it is one: for late ones, which come on their own. HTTP has none.
pub fn answers(reply: &[u8]) -> Option<String> {
    hl7::answers(reply)
}

/// What bytes are that came back and are not the answer: credited to nothing, and told apart for whoever looks.
pub fn stray(bytes: &[u8], is_whole: bool) -> Verdict {
    let code = match (hl7::code(bytes), is_whole) {
        (_, false) => "cut off".to_owned(),
        (Some(code), true) => format!("{code} to another message"),
        (None, true) => "not an answer that can be read".to_owned(),
    };
    Verdict { code, ..Verdict::unreadable() }
}

/// Adds a code to those that are shown, once, where there is room.
fn shorten(code: &mut String, more: &str) {
    if code.len() + 1 + more.len() <= CODE_CHARS_MAX && !code.split(' ').any(|c| c == more) {
        code.push(' ');
        code.push_str(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::verdict::Level;
    use crate::transport::file_set::Outcome;

    fn judge(msa: &str) -> Verdict {
        judge_by(msa, &ReplyRules::default())
    }

    fn judge_by(msa: &str, rules: &ReplyRules) -> Verdict {
        let bytes = format!("MSH|^~\\&|EPR|RZZ|IPS|RZZ|20260302101530||ACK^T02^ACK|A1|T|2.4\r{msa}\r");
        verdict(bytes.as_bytes(), rules, "C1", b"")
    }

    /// It may be an error that was written in other letters, or torn from its segment.
    #[test]
    fn a_yes_beside_a_line_that_is_no_segment_is_not_believed() {
        for torn in ["err|||204", "but the patient is not known here"] {
            assert_eq!(judge(&format!("MSA|AA|C1\r{torn}")).meaning, Meaning::Unknown, "{torn}");
        }
        assert_eq!(judge("MSA|AE|C1\rerr|||204").meaning, judge("MSA|AE|C1").meaning);
    }

    /// Some engines say AA to the transport and what the application thinks of it in a segment of their own.
    #[test]
    fn a_yes_beside_an_error_in_the_receivers_own_place_is_not_believed() {
        let with = |rows: &str| {
            let rows: toml::Table = rows.parse().expect("TOML");
            ReplyRules::default().with(&rows).unwrap_or_else(|f| panic!("{f:?}"))
        };
        let rules = with("error_at = 'ZER[1!=OK]-2'\nNOPAT = 'refused'\nI001 = 'positive'");
        for (reply, meaning, code) in [
            ("MSA|AA|C1", Meaning::Positive, "AA"),
            ("MSA|AA|C1\rZER|OK|done", Meaning::Positive, "AA"),
            ("MSA|AA|C1\rZER|ERROR|NOPAT", Meaning::Unknown, "AA NOPAT"),
            ("MSA|AA|C1\rZER|OK|done\rZER|ERROR|Sam Testpatient is not known here", Meaning::Unknown, "AA other"),
            ("MSA|AA|C1\rZER|ERROR|0", Meaning::Positive, "AA other"),
            ("MSA|AA|C1\rZER|NOTE|I001", Meaning::Positive, "AA I001"),
            ("MSA|AA|C1\rZER|ERROR", Meaning::Unknown, "AA other"),
            ("MSA|AA|C1\rZER|ERROR||not known here", Meaning::Unknown, "AA other"),
            ("MSA|AE|C1\rZER|ERROR|NOPAT^not known here", Meaning::Refused, "AE NOPAT"),
            ("MSA|AE|C1\rZER|ERROR|NOPAT", Meaning::Refused, "AE NOPAT"),
        ] {
            let verdict = judge_by(reply, &rules);
            assert_eq!((verdict.meaning, verdict.code.as_str()), (meaning, code), "{reply}");
        }
        assert_eq!(judge("MSA|AA|C1\rZER|ERROR|NOPAT").meaning, Meaning::Positive, "a pack that names no such place");
        for wrong in ["MSA-1", "MSA-3", "ERR-3", "MSH-10", "ZER", "zer-2"] {
            let rows = toml::Table::from_iter([("error_at".to_owned(), wrong.into())]);
            assert!(ReplyRules::default().with(&rows).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_acknowledgement_code_has_a_meaning_and_a_level() {
        for (msa, meaning, level) in [
            ("MSA|AA|C1", Meaning::Positive, Level::Application),
            ("MSA|CA|C1", Meaning::Positive, Level::Transport),
            // Stored for later processing: received, and not yet in the record. F: after processing.
            ("MSA|AA|C1|||D", Meaning::Positive, Level::Transport),
            ("MSA|AA|C1|||F", Meaning::Positive, Level::Application),
            ("MSA|AR|C1|||D", Meaning::Refused, Level::Application),
            ("MSA|AR|C1|no", Meaning::Refused, Level::Application),
            ("MSA|CE|C1", Meaning::Refused, Level::Transport),
            ("MSA|CR|C1", Meaning::Refused, Level::Transport),
            ("MSA|AE|C1|patient not found", Meaning::Retry, Level::Application),
        ] {
            let v = judge(msa);
            assert_eq!((v.meaning, v.level), (meaning, level), "{msa}");
        }
    }

    #[test]
    fn error_codes_decide_in_both_shapes_of_err_and_in_msa_6() {
        for (code, meaning, duplicate) in [
            ("204", Meaning::Refused, false),
            ("101", Meaning::Refused, false),
            ("207", Meaning::Retry, false),
            ("205", Meaning::Refused, true),
        ] {
            for msa in [
                format!("MSA|AE|C1|text|||{code}^words^HL70357"),
                format!("MSA|AE|C1\rERR|PID^1^3^{code}&words&HL70357"),
                format!("MSA|AE|C1\rERR||PID^1^3|{code}^words^HL70357|E||||text"),
                format!("MSA|CE|C1\rERR|PID^1^3^{code}&words&HL70357"),
            ] {
                let v = judge(&msa);
                assert_eq!((v.meaning, v.duplicate), (meaning, duplicate), "{msa}");
                assert!(v.code.ends_with(code), "{}", v.code);
            }
        }
    }

    #[test]
    fn an_unlisted_reply_is_never_positive() {
        for msa in [
            "MSA|AA|other",
            "MSA|XX|C1",
            "MSA|AA|",
            "MSA||C1",
            "NTE|1",
            "MSA|AA|C1\rMSA|AA|C1",
            "MSA|AA|C1\rERR||PID^1^3|204^x|E",
            "MSA|AA|C1\rERR||PID^1^3|Patient not known|E||||rejected",
            "MSA|AA|C1\rERR||PID^1^3||E",
            "MSA|CA|C1\rERR||||F",
        ] {
            assert_eq!(judge(msa).meaning, Meaning::Unknown, "{msa}");
        }
        assert_eq!(verdict(b"", &ReplyRules::default(), "C1", b""), Verdict::unreadable());
        assert_eq!(verdict(b"HTTP/1.1 200 OK", &ReplyRules::default(), "C1", b""), Verdict::unreadable());
    }

    #[test]
    fn a_warning_beside_aa_is_still_positive() {
        assert_eq!(judge("MSA|AA|C1\rERR|||0^Message accepted|I").meaning, Meaning::Positive);
        assert_eq!(judge("MSA|AA|C1\rERR||PID^1^8|103^x|W").meaning, Meaning::Positive);
    }

    /// Some say in words alone what is wrong, and some call less than an error what they say.
    #[test]
    fn words_of_an_error_beside_aa_are_not_believed() {
        assert_eq!(judge("MSA|AA|C1\rERR||||||||Patient not found").meaning, Meaning::Unknown);
        assert_eq!(judge("MSA|AA|C1\rERR|||||||Patient not found").meaning, Meaning::Unknown);
        assert_eq!(judge("MSA|AA|C1\rERR||||I||||Filed as read only").meaning, Meaning::Positive);
    }

    #[test]
    fn not_now_beside_a_document_of_the_records_is_unknown() {
        let own: toml::Table = "record_id = \"MSA-3\"".parse().expect("TOML");
        let own = ReplyRules::default().with(&own).expect("good rows");
        assert_eq!(judge_by("MSA|AE|C1\rERR|||207", &own).meaning, Meaning::Retry);
        assert_eq!(judge_by("MSA|AE|C1|DOC-7\rERR|||207", &own).meaning, Meaning::Unknown);
    }

    #[test]
    fn what_could_be_a_name_or_number_of_a_person_is_not_shown() {
        for code in ["SMITH", "9990000018", "Testpatient"] {
            let v = judge(&format!("MSA|AE|C1\rERR|||{code}^x|E"));
            assert_eq!((v.code.as_str(), v.meaning), ("AE other", Meaning::Refused));
        }
    }

    #[test]
    fn an_endpoint_changes_single_rows() {
        let rules = ReplyRules::default();
        let own: toml::Table =
            "204 = \"retry\"\nae_without_code = \"refused\"\nrecord_id = \"MSA-3\"".parse().expect("TOML");
        let own = rules.with(&own).expect("good rows");
        assert_eq!(
            judge_by("MSA|AE|C1|||204^x", &own).meaning,
            Meaning::Refused,
            "MSA-6 is empty: 204 stands in MSA-5"
        );
        assert_eq!(judge_by("MSA|AE|C1||||204^x", &own).meaning, Meaning::Retry);
        assert_eq!(judge_by("MSA|AE|C1|text", &own).meaning, Meaning::Refused);
        assert_eq!(judge_by("MSA|AA|C1|DOC-7", &own).record_id.as_deref(), Some("DOC-7"));
        for bad in ["AA = \"yes\"", "AE = \"positive\"", "positiv = \"AA\"", "204 = 1", "record_id = \"MSA(1)\""] {
            let table: toml::Table = bad.parse().expect("TOML");
            assert!(rules.with(&table).is_err(), "{bad}");
        }
    }

    #[test]
    fn files_in_a_folder_are_the_transports_word_and_no_more() {
        for (outcome, meaning) in [
            (Outcome::Written, Meaning::Positive),
            (Outcome::AlreadyThere, Meaning::Positive),
            (Outcome::Confirmed, Meaning::Positive),
            (Outcome::NameTaken, Meaning::Refused),
        ] {
            let receipt = Receipt { id: "C1".into(), outcome }.encode();
            let v = verdict(&receipt, &ReplyRules::default(), "C1", b"");
            assert_eq!((v.meaning, v.level), (meaning, Level::Transport));
            assert_eq!(verdict(&receipt, &ReplyRules::default(), "C2", b"").meaning, Meaning::Unknown);
        }
    }

    #[test]
    fn a_reply_that_speaks_of_the_endpoint_is_told_from_one_that_speaks_of_the_message() {
        let rules = ReplyRules::Http(crate::adapter::fhir::HttpRules::default());
        let own = "{\"resourceType\":\"OperationOutcome\"}";
        let of = |status: u16, body: &str| format!("HTTP {status}\n\n{body}").into_bytes();
        let outage = |status, body: &str| {
            let reply = of(status, body);
            outage(&reply, &rules, &verdict(&reply, &rules, "", b""))
        };
        for (status, body, shut_out) in [
            (401, own, Some(true)),
            (401, "", Some(true)),
            (407, "", Some(true)),
            (429, own, Some(true)),
            (403, "<html/>", Some(true)),
            (404, "", Some(true)),
            (503, "<html/>", Some(true)),
            (500, "<html/>", Some(false)),
            (502, "", Some(false)),
            (403, own, None),
            (404, own, None),
            (422, "<html/>", None),
            (500, own, None),
            (503, own, None),
            (201, "", None),
        ] {
            let said = outage(status, body).map(|o| matches!(o, Outage::ShutOut(_)));
            assert_eq!(said, shut_out, "{status} {body}");
        }
        for (status, body, away) in [
            (503, "<html/>", true),
            (500, own, true),
            (401, "", true),
            (403, own, true),
            (404, "<html/>", false),
            (200, "<html/>", false),
            (200, own, false),
        ] {
            assert_eq!(unread(&of(status, body)).is_some(), away, "{status} {body}");
        }
    }

    #[test]
    fn what_is_not_the_answer_is_told_apart() {
        let ack = |id: &str| format!("MSH|^~\\&|E|R|I|R|20260302||ACK|A1|T|2.4\rMSA|AA|{id}\r");
        for (bytes, is_whole, code) in [
            (ack("NOSUCH1"), true, "AA to another message"),
            (ack(""), true, "not an answer that can be read"),
            ("who are you?".into(), true, "not an answer that can be read"),
            (ack("C1"), false, "cut off"),
        ] {
            let verdict = stray(bytes.as_bytes(), is_whole);
            assert_eq!((verdict.meaning, verdict.code.as_str()), (Meaning::Unknown, code), "{bytes}");
        }
    }

    #[test]
    fn correlation_is_exact() {
        let bytes = b"MSH|^~\\&|E|R|I|R|20260302||ACK|A1|T|2.4\rMSA|AA|C1\r";
        let correlates = |bytes: &[u8], id: &str| super::correlates(bytes, &ReplyRules::default(), id);
        assert!(
            correlates(bytes, "C1") && !correlates(bytes, "C") && !correlates(bytes, "c1") && !correlates(b"", "C1")
        );
        assert_eq!(answers(bytes).as_deref(), Some("C1"));
    }
}
