//! Acknowledgements we get. Only MSA-1 and MSA-2 are needed: real senders swap MSH-3 to MSH-6, or leave out the event.

use super::charset::Charset;
use super::message::{Message, Origin, Segment};
use super::path::Path;
use super::reading::Reading;
use super::scan::{Unreadable, scan};
use super::write::{AckCode, Location};

/// Longest error code kept as one, in characters; longer ones are text.
const CODE_CHARS_MAX: usize = 20;

/// What a reply says. It judges nothing: what a code means for a delivery is the pack's rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub code: AckCode,
    /// MSA-2: the MSH-10 of the message it answers.
    pub control_id: String,
    /// MSH-9.1: `ACK`, or the code of a message that carries its own answer, such as RRI. May be empty.
    pub message_code: String,
    /// From ERR in either shape (ERR-5 too), from MSA-6 and from the receiver's own place.
    pub errors: Vec<ReplyError>,
    /// Lines that are no segment stand in it: perhaps an error that was torn, or written in other letters.
    pub is_torn: bool,
    /// MSA-5 is D (HL7 table 0102): received, and stored for later processing.
    pub is_delayed: bool,
    /// All free text of MSA and ERR. It may name the patient: for authorised eyes, never for logs.
    pub text: Withheld,
}

/// One error of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyError {
    /// HL7 table 0357 or the supplier's own. Empty: an ERR that says in words only, or by its severity, that something is wrong.
    pub code: String,
    /// ERR-4: E, W, I or F, where the sender says.
    pub severity: Option<char>,
    pub location: Option<Location>,
    /// It stands in ERR-5 or in a place of the receiver's own, where an application writes what it likes: shown only if the pack lists it.
    pub is_own: bool,
}

/// Text that may hold patient data. `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Withheld(String);

impl Withheld {
    /// The text, for a caller that may show it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Withheld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Withheld({} bytes)", self.0.len())
    }
}

/// Bytes that are no reply: what they answer, if anything, is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAReply {
    #[error("the reply is no HL7 message: {0}")]
    Unreadable(#[from] Unreadable),
    #[error("the reply has no MSA segment; the receiver may have sent a message of its own")]
    NoMsa,
    #[error("the reply has more than one MSA segment; it cannot be credited to one message")]
    SeveralMsa,
    #[error("MSA-1 is none of AA, AE, AR, CA, CE, CR; ask the receiver's supplier what it means")]
    UnknownCode,
    #[error("MSA-2 is empty; the reply cannot be credited to a message")]
    NoControlId,
}

impl Reply {
    /// Reads one reply.
    pub fn read(bytes: &[u8]) -> Result<Self, NotAReply> {
        Self::read_at(bytes, None)
    }

    /// As [`Reply::read`]; whatever stands at `error_at` is an error too.
    pub fn read_at(bytes: &[u8], error_at: Option<&Path>) -> Result<Self, NotAReply> {
        let message = Self::message(bytes)?;
        let mut msas = message.segments_named("MSA");
        let msa = msas.next().ok_or(NotAReply::NoMsa)?;
        if msas.next().is_some() {
            return Err(NotAReply::SeveralMsa);
        }
        let code = AckCode::parse(msa.field(1).raw().trim()).ok_or(NotAReply::UnknownCode)?;
        let control_id = said(msa.field(2).reading()).ok_or(NotAReply::NoControlId)?;

        let mut found = Found::default();
        found.text(msa.field(3).reading());
        for err in message.segments_named("ERR") {
            found.err(err);
        }
        for repeat in msa.field(6).repeats() {
            let before = found.errors.len();
            found.error(repeat.component(1).reading(), None, None);
            found.text(repeat.component(2).reading());
            if found.errors.len() == before && said(repeat.component(2).reading()).is_some() {
                found.errors.push(ReplyError { code: String::new(), severity: None, location: None, is_own: false });
            }
        }
        let own = found.errors.len();
        if let Some(path) = error_at {
            found.told(&message, path);
        }
        found.errors[own..].iter_mut().for_each(|e| e.is_own = true);
        let message_code = message.msh().field(9).repeats().next().and_then(|r| said(r.component(1).reading()));
        Ok(Self {
            code,
            control_id,
            message_code: message_code.unwrap_or_default(),
            errors: found.errors,
            is_torn: !message.set_aside().is_empty(),
            is_delayed: msa.field(5).raw().trim().eq_ignore_ascii_case("D"),
            text: Withheld(found.text.join("; ")),
        })
    }

    /// The control id these bytes answer, whatever they answer: the only MSA's MSA-2.
    pub fn answers(bytes: &[u8]) -> Option<String> {
        let message = Self::message(bytes).ok()?;
        let mut msas = message.segments_named("MSA");
        let (msa, none) = (msas.next()?, msas.next());
        said(msa.field(2).reading()).filter(|_| none.is_none())
    }

    fn message(bytes: &[u8]) -> Result<Message, Unreadable> {
        let mut scan = scan(bytes)?;
        // Codes and ids are ASCII, and the text is for people: Latin text that is declared as something else must not turn
        // a clear answer into an unknown one. Text that was read wrongly could only fail to match an id, never match one.
        if std::str::from_utf8(&scan.normal).is_err() {
            let (text, _) = encoding_rs::WINDOWS_1252.decode_without_bom_handling(&scan.normal);
            scan.normal = text.into_owned().into_bytes();
        }
        Message::parse_as(scan, Charset::Utf8, Origin::Theirs)
    }

    /// Whether any error has this code.
    pub fn has_error(&self, code: &str) -> bool {
        self.errors.iter().any(|error| error.code == code)
    }
}

fn said(reading: Reading<'_>) -> Option<String> {
    reading.value().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[derive(Default)]
struct Found {
    errors: Vec<ReplyError>,
    text: Vec<String>,
}

impl Found {
    fn text(&mut self, reading: Reading<'_>) {
        self.text.extend(said(reading).filter(|text| !self.text.contains(text)));
    }

    /// What stands for a code, if it looks like one; else it is text.
    fn error(&mut self, code: Reading<'_>, severity: Option<char>, location: Option<Location>) {
        let is_code = |text: &str| {
            text.chars().count() <= CODE_CHARS_MAX
                && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        };
        match said(code) {
            Some(code) if is_code(&code) => self.errors.push(ReplyError { code, severity, location, is_own: false }),
            Some(text) => self.text(Reading::Value(text.into())),
            None => {}
        }
    }

    /// An ERR segment's code. Words in its place are an error too: an AA beside them is not to be believed.
    fn err_code(&mut self, code: Reading<'_>, severity: Option<char>, location: Option<Location>) {
        let (before, worded) = (self.errors.len(), said(code.clone()).is_some());
        self.error(code, severity, location.clone());
        if worded && self.errors.len() == before {
            self.errors.push(ReplyError { code: String::new(), severity, location, is_own: false });
        }
    }

    /// What stands in the receiver's own place. Where the pack says which segments tell of errors, each is one, code or not.
    fn told(&mut self, message: &Message, path: &Path) {
        for repeat in path.repeats(message.segments()) {
            let before = self.errors.len();
            match path.is_of_repetitions() {
                true => self.err_code(repeat.component(1).reading(), None, None),
                false => self.err_code(path.reading_of(repeat), None, None),
            }
            if self.errors.len() == before && (path.chooses_segments() || said(repeat.reading()).is_some()) {
                self.errors.push(ReplyError { code: String::new(), severity: None, location: None, is_own: true });
            }
        }
    }

    fn err(&mut self, err: Segment<'_>) {
        let before = self.errors.len();
        // Before 2.5: ERR-1 repeats segment^sequence^field^code&text&table.
        for repeat in err.field(1).repeats() {
            self.err_code(
                repeat.component(4).subcomponent(1),
                None,
                location(repeat.component(1).raw(), repeat.component(2).raw(), repeat.component(3).raw()),
            );
            self.text(repeat.component(4).subcomponent(2));
        }
        // From 2.5: ERR-2 segment^sequence^field, ERR-3 code^text^table, ERR-4 severity, ERR-7 and ERR-8 texts.
        let place = err.field(2).repeats().next();
        let place = place.and_then(|r| location(r.component(1).raw(), r.component(2).raw(), r.component(3).raw()));
        let severity = err.field(4).raw().trim().chars().next().map(|c| c.to_ascii_uppercase());
        let severity = severity.filter(|c| matches!(c, 'E' | 'W' | 'I' | 'F'));
        for repeat in err.field(3).repeats() {
            self.err_code(repeat.component(1).reading(), severity, place.clone());
            self.text(repeat.component(2).reading());
        }
        // ERR-5: the application's own code.
        let own = self.errors.len();
        for repeat in err.field(5).repeats() {
            self.error(repeat.component(1).reading(), severity, place.clone());
            self.text(repeat.component(2).reading());
        }
        self.errors[own..].iter_mut().for_each(|e| e.is_own = true);
        // Words alone are an error too, wherever they stand, unless the sender calls them less.
        let beside_codes = err.field(1).repeats().map(|r| r.component(4).subcomponent(2));
        let beside_codes = beside_codes
            .chain([3, 5].into_iter().flat_map(|n| err.field(n).repeats().map(|r| r.component(2).reading())));
        let worded = beside_codes.chain([7, 8].map(|n| err.field(n).reading())).any(|words| said(words).is_some());
        // So is a place where something is wrong, and not a word of what.
        let placed = [1, 2].into_iter().flat_map(|n| err.field(n).repeats());
        let placed =
            placed.flat_map(|r| [1, 2, 3].map(|n| r.component(n).reading())).any(|place| said(place).is_some());
        let told = worded || placed;
        if self.errors.len() == before && (matches!(severity, Some('E' | 'F')) || told && severity.is_none()) {
            self.errors.push(ReplyError { code: String::new(), severity, location: place, is_own: false });
        }
        self.text(err.field(7).reading());
        self.text(err.field(8).reading());
    }
}

fn location(segment: &str, sequence: &str, field: &str) -> Option<Location> {
    let is_id = segment.len() == 3 && segment.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    is_id.then(|| Location { segment: segment.to_owned(), sequence: sequence.parse().ok(), field: field.parse().ok() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reply(rest: &str) -> Result<Reply, NotAReply> {
        Reply::read(format!("MSH|^~\\&|EPR|RZZ|IPS|RZZ|2026||ACK^T02^ACK|9|P|2.4\r{rest}").as_bytes())
    }

    #[test]
    fn only_msa_1_and_msa_2_are_needed() {
        for text in [
            "MSH|^~\\&\rMSA|AA|42",
            "MSH|^~\\&|||||||ACK\nMSA|AA|42\n",
            "\u{b}MSH|^~\\&|A|B|wrong|wrong|||ACK\rMSA| AA |42|\r\u{1c}\r",
        ] {
            let reply = Reply::read(text.as_bytes()).expect("a reply");
            assert_eq!((reply.code, &*reply.control_id), (AckCode::AA, "42"), "{text:?}");
        }
        let latin = Reply::read(b"MSH|^~\\&|||||||ACK||||||||UNICODE UTF-8\rMSA|AA|42|M\xFCller").expect("a reply");
        assert_eq!(latin.text.reveal(), "Müller");
        for latin in [&b"MSA|AA|42|M\xFCller"[..], b"MSA|AE|42\rERR||||E||||M\xFCller", b"NTE|1||\xA3\rMSA|AA|42"] {
            let latin = [b"MSH|^~\\&|||||||ACK||||||||8859/1\r", latin].concat();
            assert_eq!(Reply::answers(&latin).as_deref(), Some("42"), "what it answers is as clear");
        }
    }

    #[test]
    fn both_shapes_of_err_and_msa_6_give_their_codes() {
        let old = reply(
            "MSA|AE|42|Patient not found|||204^Unknown key^HL70357\rERR|PID^1^3^204&Unknown key identifier&HL70357~OBX^2^5^102\r",
        )
        .expect("a reply");
        assert_eq!(old.errors.iter().map(|e| &*e.code).collect::<Vec<_>>(), ["204", "102", "204"]);
        let place = Location { segment: "PID".into(), sequence: Some(1), field: Some(3) };
        assert_eq!(old.errors[0].location.as_ref(), Some(&place));
        let new =
            reply("MSA|CE|42\rERR||PID^1^3^1^1|206^Locked^HL70357|E||||Try later\rERR|||207|W\r").expect("a reply");
        assert!(new.has_error("206") && new.has_error("207") && !new.has_error("20"));
        assert_eq!((new.errors[0].severity, new.errors[0].location.as_ref()), (Some('E'), Some(&place)));
        assert_eq!(new.text.reveal(), "Locked; Try later");
    }

    #[test]
    fn text_that_may_name_the_patient_is_not_shown() {
        let reply =
            reply("MSA|AE|42|Sam Testpatient unknown\rERR|||no such person Sam Testpatient\r").expect("a reply");
        assert!(reply.errors.iter().all(|e| e.code.is_empty()) && reply.text.reveal().contains("no such person"));
        assert!(!format!("{reply:?}").contains("Sam"));
    }

    #[test]
    fn what_is_stored_for_later_is_so_in_small_letters_too() {
        for (msa_5, is_delayed) in [("D", true), ("d", true), ("F", false), ("", false)] {
            let reply = reply(&format!("MSA|AA|42|||{msa_5}\r"));
            assert_eq!(reply.map(|r| r.is_delayed), Ok(is_delayed), "{msa_5}");
        }
    }

    #[test]
    fn an_error_without_a_code_is_an_error() {
        for (err, errors) in [
            ("ERR||PID^1^3|Patient not known in this EPR|E||||rejected", 1),
            ("ERR||PID^1^3||E", 1),
            ("ERR||PID^1^3||F", 1),
            ("ERR|PID^1^3^Not known here&Not known here", 1),
            ("ERR|||^Patient not found^HL70357", 1),
            ("ERR||PID^1^3|^Patient not found^HL70357", 1),
            ("ERR|PID^1^3^&Patient not found", 1),
            ("ERR|||||^Rejected by application", 1),
            ("ERR||PID^1^3||e", 1),
            ("ERR|PID^1^3", 1),
            ("ERR|PID^1^3^\"\"", 1),
            ("ERR||PID^1^3", 1),
            ("ERR||PID^1^3||I", 0),
            ("ERR", 0),
            ("ERR|^^^", 0),
            ("ERR|||^Message accepted|I", 0),
            ("ERR||||I||||all well", 0),
        ] {
            let reply = reply(&format!("MSA|AA|42\r{err}\r")).expect("a reply");
            assert_eq!(reply.errors.len(), errors, "{err}");
        }
    }

    #[test]
    fn garbage_is_never_a_reply() {
        assert_eq!(reply("PID|1\r"), Err(NotAReply::NoMsa));
        assert_eq!(reply("MSA|AA|\r"), Err(NotAReply::NoControlId));
        assert_eq!(reply("MSA|AA|\"\"\r"), Err(NotAReply::NoControlId));
        assert_eq!(reply("MSA|OK|42\r"), Err(NotAReply::UnknownCode));
        assert_eq!(reply("MSA|aa|42\r"), Err(NotAReply::UnknownCode));
        assert_eq!(reply("MSA|A"), Err(NotAReply::UnknownCode));
        assert_eq!(reply("MSA|AA|42\rMSA|AE|42\r"), Err(NotAReply::SeveralMsa));
        for bytes in [&b""[..], b"OK", b"\x06", b"MSA|AA|42", b"HTTP/1.1 200 OK\r\n\r\n", b"MSH|^~\\&|\rmsa|AA|42"] {
            assert!(Reply::read(bytes).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_reply_cut_anywhere_never_answers_another_message(cut in 0..120usize) {
            let whole = "MSH|^~\\&|EPR|RZZ|IPS|RZZ|2026||ACK^T02^ACK|9|P|2.4\rMSA|AE|ABCD1234|text\rERR|||204\r";
            if let Ok(reply) = Reply::read(&whole.as_bytes()[..cut.min(whole.len())]) {
                prop_assert!("ABCD1234".starts_with(&reply.control_id));
                prop_assert_eq!(reply.code, AckCode::AE);
            }
        }

        #[test]
        fn reading_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = Reply::read(&bytes);
            let _ = Reply::read(&[b"MSH|^~\\&|\rMSA|", &bytes[..]].concat());
        }
    }
}
