//! From a fault to a course of action, and from a judgement to the bytes that go back. Pure.

use std::time::Duration;

use super::faults::Fault;
use crate::adapter::hl7::{Ack, AckCode, AckError, AckMode, AckWhen, Envelope};
use crate::transport::mllp::{Answer, Then};

/// What is done with a message: a fault taken apart.
pub(super) struct Course {
    /// Waited before the message is looked at.
    pub(super) before: Duration,
    /// Whether the record gets to see it.
    pub(super) is_filed: bool,
    /// Waited between filing and answering.
    pub(super) after: Duration,
    pub(super) reply: Reply,
    pub(super) style: Option<Style>,
}

/// How the answer comes.
pub(super) enum Reply {
    Whole,
    Nothing,
    /// Nothing, and the connection closes.
    Close,
    CutShort,
    Twice,
    WrongId,
    ForeignId,
    Garbage,
    Noise,
    Refuse {
        code: AckCode,
        error: Option<u16>,
    },
    GoAway(Option<Duration>),
}

/// Which acknowledgements a message gets when nothing is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// AA, AE or AR at once.
    Original,
    /// CA or CR at once if wanted, AA or AE later if wanted.
    Enhanced { accept: AckWhen, application: AckWhen, after: Duration },
}

impl Style {
    /// What the message itself asks for.
    pub(super) fn asked_by(envelope: &Envelope, after: Duration) -> Self {
        match envelope.ack_mode() {
            AckMode::Original => Self::Original,
            AckMode::Enhanced { accept, application } => Self::Enhanced { accept, application, after },
        }
    }

    pub(super) fn always_enhanced(application: AckWhen, after: Duration) -> Self {
        Self::Enhanced { accept: AckWhen::Always, application, after }
    }
}

impl Course {
    pub(super) fn of(fault: Option<&Fault>) -> Self {
        let none = Duration::ZERO;
        let course = |is_filed, reply| Self { before: none, is_filed, after: none, reply, style: None };
        let Some(fault) = fault else { return course(true, Reply::Whole) };
        match fault {
            Fault::Refuse { code, error } => course(false, Reply::Refuse { code: *code, error: *error }),
            Fault::Delay(before) => Self { before: *before, ..course(true, Reply::Whole) },
            Fault::LateAck(after) => Self { after: *after, ..course(true, Reply::Whole) },
            Fault::DropAck => course(true, Reply::Nothing),
            Fault::Silence => course(false, Reply::Nothing),
            Fault::Close => course(false, Reply::Close),
            Fault::FileAndClose => course(true, Reply::Close),
            Fault::CloseMidFrame => course(true, Reply::CutShort),
            Fault::AckTwice => course(true, Reply::Twice),
            Fault::WrongId => course(true, Reply::WrongId),
            Fault::ForeignId => course(true, Reply::ForeignId),
            Fault::Garbage => course(true, Reply::Garbage),
            Fault::Noise => course(true, Reply::Noise),
            Fault::LateApplicationAck(after) => {
                let style = Some(Style::always_enhanced(AckWhen::Always, *after));
                Self { style, ..course(true, Reply::Whole) }
            }
            Fault::CommitOnly => {
                Self { style: Some(Style::always_enhanced(AckWhen::Never, none)), ..course(true, Reply::Whole) }
            }
            Fault::GoAway(back) => course(false, Reply::GoAway(*back)),
        }
    }
}

/// The MSA-2 of a wrong answer: no message has it.
pub(super) const NO_MESSAGE: &str = "NOSUCHMESSAGE";

impl Reply {
    /// The bytes of an acknowledgement on their way. `foreign` is the id of another message.
    pub(super) fn dress(&self, acknowledge: impl Fn(Option<&str>) -> Vec<u8>, foreign: Option<&str>) -> Answer {
        let framed = |frames| Answer { frames, ..Answer::default() };
        match self {
            Self::Whole | Self::Refuse { .. } => Answer::frame(acknowledge(None)),
            Self::Nothing => Answer::silence(),
            Self::Close | Self::GoAway(_) => Answer::silence().and_close(),
            Self::CutShort => {
                let ack = acknowledge(None);
                let begun = [b"\x0b", &ack[..ack.len() / 2]].concat();
                Answer { raw: Some(begun), then: Then::Close, ..Answer::default() }
            }
            Self::Twice => {
                let ack = acknowledge(None);
                framed(vec![ack.clone(), ack])
            }
            Self::WrongId => Answer::frame(acknowledge(Some(NO_MESSAGE))),
            Self::ForeignId => Answer::frame(acknowledge(Some(foreign.unwrap_or(NO_MESSAGE)))),
            Self::Garbage => Answer::frame(b"502 interface engine restarting; please hold \xff\xfe".to_vec()),
            Self::Noise => Answer { raw: Some(b"login: ".repeat(20)), ..Answer::default() },
        }
    }
}

/// An acknowledgement of the message `bytes` as `Ack` writes it; with `other_id`, as though its MSH-10 were that. `None`
/// where there is no MSH to answer to.
pub(super) fn acknowledgement(
    bytes: &[u8],
    other_id: Option<&str>,
    code: AckCode,
    errors: &[AckError<'_>],
    control_id: &str,
    time: &jiff::Zoned,
) -> Option<Vec<u8>> {
    let envelope = match other_id {
        None => Envelope::peek(bytes)?,
        Some(id) => Envelope::peek(&with_control_id(bytes, id))?,
    };
    Some(Ack { to: &envelope, code, control_id, time, errors }.to_bytes())
}

/// The MSH of a message with another MSH-10.
fn with_control_id(bytes: &[u8], id: &str) -> Vec<u8> {
    let from = bytes.windows(3).position(|w| w == b"MSH").unwrap_or(0);
    let msh = bytes[from..].split(|b| matches!(b, b'\r' | b'\n')).next().unwrap_or_default();
    let Some(separator) = msh.get(3).copied() else { return msh.to_vec() };
    let mut fields: Vec<&[u8]> = msh.split(|b| *b == separator).collect();
    if let Some(field) = fields.get_mut(9) {
        *field = id.as_bytes();
    }
    fields.join(&separator)
}

/// The commit acknowledgement of what the record judged: CR where messages of the sort are not taken, else CA.
pub(super) fn commit_code(judged: AckCode) -> AckCode {
    match judged {
        AckCode::AR => AckCode::CR,
        _ => AckCode::CA,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::hl7::Reply as Read;

    #[test]
    fn an_answer_can_be_made_to_name_another_message() {
        let message = b"MSH|^~\\&|A|B|C|D|20260302||MDM^T02^MDM_T02|C1|T|2.4\rPID|1\r";
        let time = jiff::civil::date(2026, 3, 2).at(9, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).expect("a time");
        let id = |other| {
            let ack = acknowledgement(message, other, AckCode::AA, &[], "E1", &time).expect("an answer");
            Read::read(&ack).expect("a reply").control_id
        };
        assert_eq!((id(None), id(Some("C2"))), ("C1".into(), "C2".into()));
        assert_eq!(acknowledgement(b"PID|1", None, AckCode::AA, &[], "E1", &time), None);
    }
}
