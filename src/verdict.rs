//! 7 reply + pack rules -> verdict. Anything the rules do not list is unknown: never filed, never refused for good.

use crate::adapter::hl7::{AckCode, Charset, Message, Reply, ReplyError};
use crate::adapter::{ReplyRules, Row};
use crate::domain::verdict::{Level, Meaning, Verdict};

/// Longest code text, in characters.
const CODE_CHARS_MAX: usize = 60;
/// Longest record id, in characters.
const RECORD_ID_CHARS_MAX: usize = 100;

/// What a reply to the message with this control id means. Late application acknowledgements are judged by the same rules.
pub fn verdict(reply: &[u8], rules: &ReplyRules, control_id: &str) -> Verdict {
    let Ok(read) = Reply::read(reply) else { return Verdict::unreadable() };
    let level = if read.code.is_commit() { Level::Transport } else { Level::Application };
    let mut code = read.code.as_str().to_owned();
    if read.control_id != control_id {
        return Verdict {
            meaning: Meaning::Unknown,
            level,
            code: format!("{code} for another message"),
            duplicate: false,
            record_id: None,
        };
    }
    for error in &read.errors {
        let shown = shown(&error.code);
        if code.len() + 1 + shown.len() <= CODE_CHARS_MAX && !code.split(' ').any(|c| c == shown) {
            code.push(' ');
            code.push_str(shown);
        }
    }
    let row = if read.code.is_positive() { positive(&read, rules) } else { negative(&read, rules) };
    let meaning = match row {
        Row::Positive => Meaning::Positive,
        Row::Refused | Row::Duplicate => Meaning::Refused,
        Row::Retry => Meaning::Retry,
        Row::Unknown => Meaning::Unknown,
    };
    let record_id = if meaning == Meaning::Positive { record_id(reply, rules) } else { None };
    Verdict { meaning, level, code, duplicate: row == Row::Duplicate, record_id }
}

/// Whether these bytes are a reply to the message with this control id (MSA-2 = MSH-10, exactly).
pub fn correlates(reply: &[u8], control_id: &str) -> bool {
    Reply::answers(reply).is_some_and(|id| id == control_id)
}

/// The control id a reply answers, if it is a reply: for late acknowledgements, which come on their own.
pub fn answers(reply: &[u8]) -> Option<String> {
    Reply::answers(reply)
}

/// AA or CA. With an error beside it the sender contradicts itself, unless the error is none (0) or only a warning.
fn positive(reply: &Reply, rules: &ReplyRules) -> Row {
    let harmless = |e: &ReplyError| {
        e.code == "0" || matches!(e.severity, Some('W' | 'I')) || rules.errors.get(&e.code) == Some(&Row::Positive)
    };
    if reply.errors.iter().all(harmless) { of(reply.code, rules) } else { Row::Unknown }
}

/// AE, AR, CE or CR: the error codes decide where the rules list one, else the acknowledgement code does.
fn negative(reply: &Reply, rules: &ReplyRules) -> Row {
    let coded = |e: &&ReplyError| !e.code.is_empty() && e.code != "0" && !matches!(e.severity, Some('W' | 'I'));
    let errors = || reply.errors.iter().filter(coded);
    let listed = || errors().filter_map(|e| rules.errors.get(&e.code).copied()).filter(|r| *r != Row::Positive);
    // The worst wins: one fault that never mends itself outweighs any that may.
    for row in [Row::Refused, Row::Duplicate, Row::Unknown, Row::Retry] {
        if listed().any(|r| r == row) {
            return row;
        }
    }
    match reply.code {
        AckCode::AE if errors().next().is_none() => rules.ae_without_code,
        code => of(code, rules),
    }
}

fn of(code: AckCode, rules: &ReplyRules) -> Row {
    rules.acks.get(code.as_str()).copied().unwrap_or(Row::Unknown)
}

/// Codes hold a digit and are short; what does not look like one could be a name.
fn shown(code: &str) -> &str {
    if crate::adapter::is_error_code(code) { code } else { "other" }
}

fn record_id(reply: &[u8], rules: &ReplyRules) -> Option<String> {
    let path = rules.record_id.as_ref()?;
    let message = Message::read(reply, Charset::Utf8).ok()?;
    let id = path.read(&message).ok()?.into_value()?.trim().to_owned();
    let good = !id.is_empty() && id.chars().count() <= RECORD_ID_CHARS_MAX && !id.chars().any(char::is_control);
    good.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(msa: &str) -> Verdict {
        judge_by(msa, &ReplyRules::default())
    }

    fn judge_by(msa: &str, rules: &ReplyRules) -> Verdict {
        let bytes = format!("MSH|^~\\&|EPR|RZZ|IPS|RZZ|20260302101530||ACK^T02^ACK|A1|T|2.4\r{msa}\r");
        verdict(bytes.as_bytes(), rules, "C1")
    }

    #[test]
    fn each_acknowledgement_code_has_a_meaning_and_a_level() {
        for (msa, meaning, level) in [
            ("MSA|AA|C1", Meaning::Positive, Level::Application),
            ("MSA|CA|C1", Meaning::Positive, Level::Transport),
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
        assert_eq!(verdict(b"", &ReplyRules::default(), "C1"), Verdict::unreadable());
        assert_eq!(verdict(b"HTTP/1.1 200 OK", &ReplyRules::default(), "C1"), Verdict::unreadable());
    }

    #[test]
    fn a_warning_beside_aa_is_still_positive() {
        assert_eq!(judge("MSA|AA|C1\rERR|||0^Message accepted|I").meaning, Meaning::Positive);
        assert_eq!(judge("MSA|AA|C1\rERR||PID^1^8|103^x|W").meaning, Meaning::Positive);
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
    fn correlation_is_exact() {
        let bytes = b"MSH|^~\\&|E|R|I|R|20260302||ACK|A1|T|2.4\rMSA|AA|C1\r";
        assert!(
            correlates(bytes, "C1") && !correlates(bytes, "C") && !correlates(bytes, "c1") && !correlates(b"", "C1")
        );
        assert_eq!(answers(bytes).as_deref(), Some("C1"));
    }
}
