//! Acknowledgements we send. Everything else goes out through a pack's templates.

use super::delimiters::Delimiters;
use super::envelope::{AckMode, Envelope};
use super::escape::{LineFeeds, escape};

/// MSA-1 (HL7 table 0008).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AckCode {
    AA,
    AE,
    AR,
    CA,
    CE,
    CR,
}

impl AckCode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AA => "AA",
            Self::AE => "AE",
            Self::AR => "AR",
            Self::CA => "CA",
            Self::CE => "CE",
            Self::CR => "CR",
        }
    }

    /// Exactly as the table writes it; anything else is no code.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::AA, Self::AE, Self::AR, Self::CA, Self::CE, Self::CR].into_iter().find(|code| code.as_str() == text)
    }

    /// CA, CE, CR: the message was stored or not, nothing is said of its processing.
    pub fn is_commit(self) -> bool {
        matches!(self, Self::CA | Self::CE | Self::CR)
    }

    /// AA and CA.
    pub fn is_positive(self) -> bool {
        matches!(self, Self::AA | Self::CA)
    }
}

/// Where a fault lies: `PID`, first of its kind, field 3.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    pub segment: String,
    /// Which of the segments with this id, counted from 1.
    pub sequence: Option<u32>,
    pub field: Option<u32>,
}

/// One fault for an ERR segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckError<'a> {
    /// HL7 table 0357: 100 to 103 and 200 to 207.
    pub code: u16,
    pub location: Option<Location>,
    /// For the person at the other end. Must hold no patient data: acknowledgements are logged everywhere.
    pub text: Option<&'a str>,
}

/// An acknowledgement of the message that `to` was peeked from. Clock and id come from the caller.
#[derive(Debug, Clone)]
pub struct Ack<'a> {
    pub to: &'a Envelope,
    pub code: AckCode,
    /// Our own MSH-10, at most 20 characters.
    pub control_id: &'a str,
    /// Our own MSH-7, written with its offset.
    pub time: &'a jiff::Zoned,
    pub errors: &'a [AckError<'a>],
}

impl Ack<'_> {
    /// The message, each segment ended by CR.
    ///
    /// Sender and receiver change places, MSA-2 is MSH-10 byte for byte, delimiters, version and character set are the
    /// sender's, and ERR has the shape of its version (before 2.5 one segment whose field 1 repeats, then one segment a
    /// fault). Texts that are not plain ASCII of one line are left out: the code stands alone rather than altered.
    pub fn to_bytes(&self) -> Vec<u8> {
        let to = self.to;
        let version = Version::of(to);
        let mut out =
            Writer { bytes: Vec::with_capacity(256), delimiters: to.delimiters(), exact: to.has_delimiters() };

        out.bytes.extend_from_slice(b"MSH");
        out.bytes.extend(to.delimiters().all());
        for number in [5, 6, 3, 4] {
            out.separator();
            out.echo(to.raw(number));
        }
        out.separator();
        out.plain(&self.time.strftime("%Y%m%d%H%M%S%z").to_string());
        out.separator();
        out.separator();
        out.message_type(&to.trigger(), version);
        out.separator();
        out.plain(self.control_id);
        out.separator();
        out.echo_or(to.raw(11), b"P");
        out.separator();
        if version.known {
            out.echo(to.raw(12))
        } else {
            out.plain("2.4")
        }
        // An acknowledgement never asks for one.
        let never: &[u8] = if to.ack_mode() == AckMode::Original { b"" } else { b"NE" };
        for field in [&b""[..], b"", never, never, b"", to.raw(18)] {
            out.separator();
            out.echo(field);
        }
        out.end();

        out.bytes.extend_from_slice(b"MSA");
        out.separator();
        out.plain(self.code.as_str());
        out.separator();
        out.echo(to.raw(10));
        if !version.has_err_fields {
            out.separator();
            out.plain(self.errors.iter().find_map(|e| e.text).unwrap_or_default());
        }
        out.end();
        if version.has_err_fields {
            out.err_each(self.errors)
        } else {
            out.err_repeats(self.errors)
        }
        out.bytes
    }
}

#[derive(Clone, Copy)]
struct Version {
    /// 2.something.
    known: bool,
    /// MSH-9 has a third component (2.3.1 on).
    has_structure: bool,
    /// ERR has fields 2 to 12 (2.5 on).
    has_err_fields: bool,
}

impl Version {
    fn of(to: &Envelope) -> Self {
        let version = to.version();
        let minor =
            version.strip_prefix("2.").and_then(|rest| rest.split('.').next()).and_then(|n| n.parse::<u32>().ok());
        Self {
            known: minor.is_some(),
            has_structure: minor.is_none_or(|n| n > 3) || version == "2.3.1",
            has_err_fields: minor.is_some_and(|n| n >= 5),
        }
    }
}

/// The name of a code of HL7 table 0357.
fn error_name(code: u16) -> Option<&'static str> {
    Some(match code {
        100 => "Segment sequence error",
        101 => "Required field missing",
        102 => "Data type error",
        103 => "Table value not found",
        200 => "Unsupported message type",
        201 => "Unsupported event code",
        202 => "Unsupported processing id",
        203 => "Unsupported version id",
        204 => "Unknown key identifier",
        205 => "Duplicate key identifier",
        206 => "Application record locked",
        207 => "Application internal error",
        _ => return None,
    })
}

struct Writer {
    bytes: Vec<u8>,
    delimiters: Delimiters,
    /// The sender's delimiters are ours, so its fields can stand as they are.
    exact: bool,
}

impl Writer {
    fn separator(&mut self) {
        self.bytes.push(self.delimiters.field);
    }

    /// A field of the sender's, as it sent it.
    fn echo(&mut self, raw: &[u8]) {
        if self.exact {
            return self.bytes.extend_from_slice(raw);
        }
        for b in raw {
            match self.delimiters.escape_letter(*b).and_then(|letter| u8::try_from(letter).ok()) {
                Some(letter) => self.bytes.extend([self.delimiters.escape, letter, self.delimiters.escape]),
                None => self.bytes.push(*b),
            }
        }
    }

    fn echo_or(&mut self, raw: &[u8], otherwise: &[u8]) {
        self.echo(if raw.is_empty() { otherwise } else { raw });
    }

    /// A text of ours; left out where it is not plain ASCII of one line.
    fn plain(&mut self, text: &str) {
        if !text.is_ascii() {
            return;
        }
        if let Ok(escaped) = escape(text, &self.delimiters, LineFeeds::Refuse) {
            self.bytes.extend_from_slice(escaped.as_bytes());
        }
    }

    fn joined(&mut self, parts: &[&str], delimiter: u8) {
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.bytes.push(delimiter);
            }
            self.plain(part);
        }
    }

    fn message_type(&mut self, trigger: &str, version: Version) {
        let component = self.delimiters.component;
        let trigger =
            Some(trigger).filter(|t| (1..=10).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric()));
        match trigger {
            Some(trigger) if version.has_structure => self.joined(&["ACK", trigger, "ACK"], component),
            Some(trigger) => self.joined(&["ACK", trigger], component),
            None => self.plain("ACK"),
        }
    }

    /// Ends a segment without the empty fields at its end.
    fn end(&mut self) {
        while self.bytes.last() == Some(&self.delimiters.field) {
            self.bytes.pop();
        }
        self.bytes.push(b'\r');
    }

    fn location(&mut self, location: Option<&Location>, parts: usize) {
        let number = |n: Option<u32>| n.map(|n| n.to_string()).unwrap_or_default();
        let (segment, sequence, field) =
            location.map_or_else(Default::default, |l| (l.segment.clone(), number(l.sequence), number(l.field)));
        let mut all = vec![&*segment, &*sequence, &*field];
        while all.len() > parts && all.last() == Some(&"") {
            all.pop();
        }
        self.joined(&all, self.delimiters.component);
    }

    /// Before 2.5: `ERR|PID^1^3^204&Unknown key identifier&HL70357~…`.
    fn err_repeats(&mut self, errors: &[AckError<'_>]) {
        for (index, error) in errors.iter().enumerate() {
            match index {
                0 => self.bytes.extend([b'E', b'R', b'R', self.delimiters.field]),
                _ => self.bytes.push(self.delimiters.repetition),
            }
            self.location(error.location.as_ref(), 3);
            self.bytes.push(self.delimiters.component);
            self.code(error.code, self.delimiters.subcomponent);
        }
        if !errors.is_empty() {
            self.end();
        }
    }

    /// From 2.5: `ERR||PID^1^3|204^Unknown key identifier^HL70357|E||||text`.
    fn err_each(&mut self, errors: &[AckError<'_>]) {
        for error in errors {
            let field = self.delimiters.field;
            self.bytes.extend([b'E', b'R', b'R', field, field]);
            self.location(error.location.as_ref(), 0);
            self.separator();
            self.code(error.code, Some(self.delimiters.component));
            self.bytes.extend([field, b'E', field, field, field, field]);
            self.plain(error.text.unwrap_or_default());
            self.end();
        }
    }

    fn code(&mut self, code: u16, delimiter: Option<u8>) {
        let number = code.to_string();
        match (error_name(code), delimiter) {
            (Some(name), Some(delimiter)) => self.joined(&[&number, name, "HL70357"], delimiter),
            _ => self.plain(&number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::hl7::{Charset, Message, Reply};

    fn ack(to: &[u8], code: AckCode, errors: &[AckError<'_>]) -> Vec<u8> {
        let to = Envelope::peek(to).expect("has MSH");
        let time = jiff::civil::date(2026, 3, 1).at(9, 0, 2, 0).to_zoned(jiff::tz::TimeZone::UTC).expect("a time");
        Ack { to: &to, code, control_id: "IPSB0000000000000042", time: &time, errors }.to_bytes()
    }

    fn unknown_patient() -> AckError<'static> {
        let location = Location { segment: "PID".into(), sequence: Some(1), field: Some(3) };
        AckError { code: 204, location: Some(location), text: Some("Patient not found") }
    }

    #[test]
    fn an_acknowledgement_changes_places_and_echoes_the_control_id() {
        let to = b"MSH|^~\\&|EPR|RZZ|IPS|RYY|2026||REF^I12^REF_I12|E\xC3\xA9 7|T|2.4||||||UNICODE UTF-8\rPID|1\r";
        let bytes = ack(to, AckCode::AA, &[]);
        let expected = "MSH|^~\\&|IPS|RYY|EPR|RZZ|20260301090002+0000||ACK^I12^ACK|IPSB0000000000000042|T|2.4||||||UNICODE UTF-8\rMSA|AA|Eé 7\r";
        assert_eq!(String::from_utf8_lossy(&bytes), expected);
        assert!(Message::read(&bytes, Charset::Ascii).is_ok());
    }

    #[test]
    fn err_has_the_shape_of_the_senders_version() {
        let old = ack(
            b"MSH|^~\\&|E|R|I|R|2||REF^I12|7|P|2.4\r",
            AckCode::AE,
            &[unknown_patient(), AckError { code: 101, location: None, text: None }],
        );
        assert!(String::from_utf8_lossy(&old).ends_with(
            "MSA|AE|7|Patient not found\rERR|PID^1^3^204&Unknown key identifier&HL70357~^^^101&Required field missing&HL70357\r"
        ));
        let new = ack(b"MSH|^~\\&|E|R|I|R|2||REF^I12|7|P|2.5.1|||AL|AL\r", AckCode::AE, &[unknown_patient()]);
        let text = String::from_utf8_lossy(&new);
        assert!(
            text.contains(
                "|P|2.5.1|||NE|NE\rMSA|AE|7\rERR||PID^1^3|204^Unknown key identifier^HL70357|E||||Patient not found\r"
            ),
            "{text}"
        );
    }

    #[test]
    fn whatever_the_message_lacks_it_can_be_answered() {
        for to in [
            &b"MSH|^~\\&"[..],
            b"MSH|^^|A|B|C^D|E|1||ADT^A08|77|T|2.4",
            b"MSH#*+$%#A#B#C#D#1##ADT*A08#7%7#T#2.3#",
            b"MSH|^~\\|A|B|C|D|1||ADT|7\x1c|T|9.9",
            b"MSH|^~\\&|A|B|C|D|1||ADT^\xff\xff|\xff|T|2.4||||||8859/1",
        ] {
            let bytes = ack(to, AckCode::AR, &[unknown_patient()]);
            let reply = Reply::read(&bytes);
            assert!(bytes.is_ascii() || bytes.contains(&0xFF));
            assert!(!bytes.contains(&0x1C));
            let has_id = to.len() > 8;
            assert_eq!(reply.is_ok(), has_id, "{:?}", String::from_utf8_lossy(&bytes));
            assert!(
                reply.is_err()
                    || reply.is_ok_and(|r| r.code == AckCode::AR && r.errors.iter().any(|e| e.code == "204"))
            );
        }
        let custom = ack(b"MSH#*+$%#A#B#C#D#1##ADT*A08#7#T#2.3#", AckCode::AA, &[]);
        assert!(custom.starts_with(b"MSH#*+$%#C#D#A#B#") && custom.windows(9).any(|w| w == b"#ACK*A08#"));
    }

    #[test]
    fn a_text_that_is_not_plain_is_left_out_rather_than_altered() {
        let error = AckError { text: Some("no – not"), ..unknown_patient() };
        let bytes = ack(b"MSH|^~\\&|E|R|I|R|2||REF^I12|7|P|2.4\r", AckCode::AE, &[error]);
        assert!(String::from_utf8_lossy(&bytes).contains("MSA|AE|7\rERR|PID^1^3^204&"));
    }
}
