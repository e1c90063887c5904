//! Acknowledgements of ours: original mode one, enhanced mode up to two, errors in the sender's HL7 version.

use super::Source;
use crate::adapter::hl7::{Ack, AckCode, AckError, AckMode as Asked, Envelope};
use crate::domain::ids::random_80_bits;
use crate::domain::policy::AckMode;
use jiff::Timestamp;

/// How a message was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Yes,
    /// Read, and not possible as it is: AE.
    No,
    /// Not a message for us at all: AR.
    Never,
}

/// One thing that is wrong: an HL7 table 0357 code and a sentence without patient data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    pub code: u16,
    pub what: String,
}

impl Wrong {
    pub fn new(code: u16, what: impl Into<String>) -> Self {
        Self { code, what: what.into() }
    }
}

/// The frames to send back, in order.
pub fn frames(source: &Source, envelope: &Envelope, taken: Taken, wrong: &[Wrong], now: Timestamp) -> Vec<Vec<u8>> {
    let one = |code| ack(source, envelope, code, wrong, now);
    match source.ack_mode {
        AckMode::Original => vec![one(application(taken))],
        AckMode::Enhanced => {
            let ok = taken == Taken::Yes;
            let (accept, applies) = match envelope.ack_mode() {
                Asked::Enhanced { accept, application } => (accept.wants(true), application.wants(ok)),
                // Configured as enhanced, and the message does not say: both.
                Asked::Original => (true, true),
            };
            // Whatever became of it, it is stored: that is what CA says.
            let commit = accept.then(|| ack(source, envelope, AckCode::CA, &[], now));
            commit.into_iter().chain(applies.then(|| one(application(taken)))).collect()
        }
    }
}

fn application(taken: Taken) -> AckCode {
    match taken {
        Taken::Yes => AckCode::AA,
        Taken::No => AckCode::AE,
        Taken::Never => AckCode::AR,
    }
}

fn ack(source: &Source, envelope: &Envelope, code: AckCode, wrong: &[Wrong], now: Timestamp) -> Vec<u8> {
    let control_id = format!("{}{}", source.control_id_prefix, random_80_bits(source.entropy.as_ref()));
    let time = now.to_zoned(source.time_zone.clone());
    let errors: Vec<AckError<'_>> =
        wrong.iter().map(|w| AckError { code: w.code, location: None, text: Some(&w.what) }).collect();
    Ack { to: envelope, code, control_id: &control_id, time: &time, errors: &errors }.to_bytes()
}

/// Several frames travel as one stored reply, each after its length, so that a repeat is answered with the same bytes.
pub fn pack_frames(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for frame in frames {
        out.extend_from_slice(&u32::try_from(frame.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(frame);
    }
    out
}

/// The inverse of [`pack_frames`]; bytes that are not whole give what could be read.
pub fn unpack_frames(mut packed: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = packed.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some((frame, rest)) = rest.split_at_checked(length) else { break };
        frames.push(frame.to_vec());
        packed = rest;
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_were_packed() {
        for frames in [vec![], vec![b"MSH|1".to_vec()], vec![b"CA".to_vec(), Vec::new(), b"AA\r".to_vec()]] {
            assert_eq!(unpack_frames(&pack_frames(&frames)), frames);
        }
        assert!(unpack_frames(b"\0\0\0\x09short").is_empty());
    }
}
