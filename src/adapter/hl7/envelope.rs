//! What MSH says of a message, read from as much of it as there is: a broken message must still be answered to its sender.

use super::delimiters::Delimiters;
use super::scan::{leading, lines};
use std::borrow::Cow;

/// How many lines are looked through for MSH.
const LINES_SEARCHED_MAX: usize = 100;
/// Longest value kept of a field, in bytes; the rest is cut. Longer ones are damage, and would make acknowledgements huge.
const FIELD_BYTES_MAX: usize = 500;
/// The fields kept, by number.
const KEPT: [usize; 11] = [3, 4, 5, 6, 9, 10, 11, 12, 15, 16, 18];

/// The fields of MSH that say from whom, to whom, what and how to answer. Bytes as sent, so that an acknowledgement
/// echoes a control id exactly, whatever its character set.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    fields: [Vec<u8>; KEPT.len()],
    delimiters: Option<Delimiters>,
    field: u8,
}

/// MSH-15 or MSH-16: when a sender of enhanced mode wants an acknowledgement (HL7 table 0155).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckWhen {
    Always,
    Never,
    OnError,
    OnSuccess,
}

impl AckWhen {
    /// Whether one is wanted for an outcome.
    pub fn wants(self, success: bool) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::OnError => !success,
            Self::OnSuccess => success,
        }
    }

    fn parse(raw: &[u8]) -> Option<Self> {
        match raw.trim_ascii() {
            b"AL" => Some(Self::Always),
            b"NE" => Some(Self::Never),
            b"ER" => Some(Self::OnError),
            b"SU" => Some(Self::OnSuccess),
            _ => None,
        }
    }
}

/// How a sender wants to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckMode {
    /// One acknowledgement, AA, AE or AR, after the message was processed.
    Original,
    /// A commit acknowledgement (CA, CE, CR) at once and an application acknowledgement later, each when wanted. A field
    /// left empty beside a filled one means never.
    Enhanced { accept: AckWhen, application: AckWhen },
}

impl Envelope {
    /// Looks for MSH without judging the rest. `None`: there is no MSH to answer to.
    pub fn peek(bytes: &[u8]) -> Option<Self> {
        let body = &bytes[leading(bytes)..];
        let msh = lines(body)
            .take(LINES_SEARCHED_MAX)
            .map(|(_, line)| line)
            .find(|line| line.starts_with(b"MSH") && line.get(3).is_some_and(u8::is_ascii_punctuation))?;
        let field = msh[3];
        let mut parts = msh[4..].split(|b| *b == field);
        let delimiters = Delimiters::new(field, parts.next().unwrap_or_default()).ok();
        let mut fields: [Vec<u8>; KEPT.len()] = Default::default();
        for (number, part) in (3..=KEPT[KEPT.len() - 1]).zip(parts) {
            if let Some(slot) = KEPT.iter().position(|kept| *kept == number) {
                fields[slot] = part.iter().copied().filter(|b| !b.is_ascii_control()).take(FIELD_BYTES_MAX).collect();
            }
        }
        Some(Self { fields, delimiters, field })
    }

    /// The bytes of one of the kept fields, without control characters; empty for a field that is not kept.
    pub fn raw(&self, number: usize) -> &[u8] {
        KEPT.iter().position(|kept| *kept == number).map_or(&[], |slot| &self.fields[slot])
    }

    fn text(&self, number: usize) -> Cow<'_, str> {
        let raw = self.raw(number);
        // Only names and codes are kept: where they are not UTF-8 they are Latin text.
        std::str::from_utf8(raw)
            .map_or_else(|_| encoding_rs::WINDOWS_1252.decode_without_bom_handling(raw).0, Cow::Borrowed)
    }

    fn component(&self, number: usize, component: usize) -> Cow<'_, str> {
        let separator = char::from(self.delimiters().component);
        let nth = |text: &str| text.split(separator).nth(component - 1).unwrap_or_default().trim().to_owned();
        match self.text(number) {
            Cow::Borrowed(text) => Cow::Borrowed(text.split(separator).nth(component - 1).unwrap_or_default().trim()),
            Cow::Owned(text) => Cow::Owned(nth(&text)),
        }
    }

    /// The message's delimiters, or the standard ones where it has none that work.
    pub fn delimiters(&self) -> Delimiters {
        self.delimiters.unwrap_or(Delimiters::STANDARD)
    }

    /// Whether MSH-1 and MSH-2 can be used.
    pub fn has_delimiters(&self) -> bool {
        self.delimiters.is_some()
    }

    /// MSH-3.
    pub fn sending_application(&self) -> Cow<'_, str> {
        self.text(3)
    }

    /// MSH-4.
    pub fn sending_facility(&self) -> Cow<'_, str> {
        self.text(4)
    }

    /// MSH-5.
    pub fn receiving_application(&self) -> Cow<'_, str> {
        self.text(5)
    }

    /// MSH-6.
    pub fn receiving_facility(&self) -> Cow<'_, str> {
        self.text(6)
    }

    /// MSH-9.1, such as `REF`.
    pub fn message_code(&self) -> Cow<'_, str> {
        self.component(9, 1)
    }

    /// MSH-9.2, such as `I12`; empty where the sender leaves it out.
    pub fn trigger(&self) -> Cow<'_, str> {
        self.component(9, 2)
    }

    /// MSH-9.3, such as `REF_I12`.
    pub fn structure(&self) -> Cow<'_, str> {
        self.component(9, 3)
    }

    /// MSH-10.
    pub fn control_id(&self) -> Cow<'_, str> {
        self.text(10)
    }

    /// MSH-11.1: P live, T test, D debugging.
    pub fn processing_id(&self) -> Cow<'_, str> {
        self.component(11, 1)
    }

    /// MSH-12.1.
    pub fn version(&self) -> Cow<'_, str> {
        self.component(12, 1)
    }

    /// MSH-18.
    pub fn character_set(&self) -> Cow<'_, str> {
        self.text(18)
    }

    /// Original mode where both MSH-15 and MSH-16 are empty. An unknown code asks for an answer rather than for none.
    pub fn ack_mode(&self) -> AckMode {
        let (accept, application) = (self.raw(15), self.raw(16));
        if accept.trim_ascii().is_empty() && application.trim_ascii().is_empty() {
            return AckMode::Original;
        }
        let when = |raw: &[u8]| match raw.trim_ascii() {
            b"" => AckWhen::Never,
            _ => AckWhen::parse(raw).unwrap_or(AckWhen::Always),
        };
        AckMode::Enhanced { accept: when(accept), application: when(application) }
    }
}

/// Shows sizes only.
impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes: usize = self.fields.iter().map(Vec::len).sum();
        write!(f, "Envelope({bytes} bytes, separator {:?})", char::from(self.field))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REF: &[u8] =
        b"MSH|^~\\&|EPR|RZZ|IPSBRIDGE|RZZ|20260301090000||REF^I12^REF_I12|EPR000001200|P|2.4|||AL|NE||UNICODE UTF-8\rPID|1\r";

    #[test]
    fn a_whole_message_is_addressed() {
        let e = Envelope::peek(REF).expect("has MSH");
        assert_eq!((&*e.sending_application(), &*e.receiving_facility()), ("EPR", "RZZ"));
        assert_eq!((&*e.message_code(), &*e.trigger(), &*e.structure()), ("REF", "I12", "REF_I12"));
        assert_eq!((&*e.control_id(), &*e.processing_id(), &*e.version()), ("EPR000001200", "P", "2.4"));
        assert_eq!(e.ack_mode(), AckMode::Enhanced { accept: AckWhen::Always, application: AckWhen::Never });
        assert!(!format!("{e:?}").contains("EPR"));
    }

    #[test]
    fn broken_messages_are_addressed_as_far_as_they_go() {
        for cut in 9..REF.len() {
            let e = Envelope::peek(&REF[..cut]).expect("has MSH");
            assert!("EPR000001200".starts_with(&*e.control_id()));
        }
        let bad =
            Envelope::peek(b"\x0b\xef\xbb\xbf \r\nMSH|^^|A|B|C|D|1||ADT^A08|77\x07|T|2.4\r\x00\xff").expect("has MSH");
        assert!(!bad.has_delimiters());
        assert_eq!((&*bad.control_id(), &*bad.trigger()), ("77", "A08"));
        assert_eq!(bad.ack_mode(), AckMode::Original);
        for none in [&b""[..], b"MSH", b"MSHxyz", b"PID|1", b"\xff\xfeM\0S\0H\0|\0", b"{}"] {
            assert_eq!(Envelope::peek(none), None);
        }
    }

    #[test]
    fn an_unknown_wish_for_acknowledgement_is_answered() {
        let e = Envelope::peek(b"MSH|^~\\&|A|B|C|D|1||ADT^A08|7|P|2.4|||XX").expect("has MSH");
        assert_eq!(e.ack_mode(), AckMode::Enhanced { accept: AckWhen::Always, application: AckWhen::Never });
        assert!(AckWhen::OnError.wants(false) && !AckWhen::OnError.wants(true) && AckWhen::OnSuccess.wants(true));
    }
}
