//! MLLP release 1 framing: `VT data FS CR`. Bytes in, frames out, no I/O.
//!
//! Rules, chosen so that the frames depend on the bytes and never on how they were split into reads:
//!
//! * bytes outside a frame are dropped (their first 4 KiB are kept for [`Decoder::take_debris`]);
//! * `FS` ends a frame when CR or LF follows, or a `VT` that starts a new frame; any other `FS` is payload, because
//!   ending there would pass a message cut in the middle of a field as a whole one;
//! * `VT` inside a frame starts a new one (the sender lost its `FS`) when the frame in hand holds fewer than four
//!   bytes or what follows begins with the same four bytes (`MSH|`); any other `VT` is payload;
//! * an empty frame is dropped.
//!
//! A frame may therefore hold `VT` or `FS`: what that means is for the reader of the message to decide.

use bytes::{Buf, BytesMut};
use memchr::{memchr, memchr2};

pub const VT: u8 = 0x0B;
pub const FS: u8 = 0x1C;
pub const CR: u8 = 0x0D;
const LF: u8 = 0x0A;

/// Bytes that come with a payload: VT before, FS CR after.
const OVERHEAD: usize = 3;
/// How much of a frame's beginning tells a new frame from a VT in a field.
const LEAD: usize = 4;
/// Most bytes kept of what was no frame.
const DEBRIS_BYTES_MAX: usize = 4096;
/// A buffer larger than this is given back once it is empty.
const BUFFER_BYTES_KEPT: usize = 64 * 1024;

/// Why a payload cannot be framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    #[error("the payload is empty")]
    Empty,
    #[error("the payload holds a framing byte (0x0B or 0x1C), which would break the frame; escape it")]
    FramingByte,
    #[error("the payload has {bytes} bytes, the frame limit is {limit}")]
    TooLarge { bytes: usize, limit: usize },
}

/// Puts `payload` into one frame.
///
/// # Errors
/// An empty payload, one with 0x0B or 0x1C in it, or one above `limit` bytes.
pub fn encode(payload: &[u8], limit: usize) -> Result<Vec<u8>, FrameError> {
    if payload.is_empty() {
        return Err(FrameError::Empty);
    }
    if payload.len() > limit {
        return Err(FrameError::TooLarge { bytes: payload.len(), limit });
    }
    if memchr2(VT, FS, payload).is_some() {
        return Err(FrameError::FramingByte);
    }
    let mut frame = Vec::with_capacity(payload.len() + OVERHEAD);
    frame.push(VT);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&[FS, CR]);
    Ok(frame)
}

/// A frame grew beyond the limit; the decoder yields nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame is larger than the limit of {limit} bytes")]
pub struct FrameTooLarge {
    pub limit: usize,
}

/// Turns a stream of bytes into frames. Holds at most one frame, the limit, and what one read brought.
pub struct Decoder {
    buffer: BytesMut,
    /// The buffer begins right after a frame's VT.
    inside: bool,
    /// Nothing before this place in the buffer needs another look.
    scanned: usize,
    limit: usize,
    dead: bool,
    /// The beginning of the frame that was too large.
    cut_off: Vec<u8>,
    debris: Vec<u8>,
    /// Bytes outside frames since the last frame, line ends not counted.
    stray_bytes: usize,
}

impl Decoder {
    /// `limit`: most payload bytes in a frame.
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            inside: false,
            scanned: 0,
            limit,
            dead: false,
            cut_off: Vec::new(),
            debris: Vec::new(),
            stray_bytes: 0,
        }
    }

    /// Takes bytes in. Call [`Decoder::next_frame`] until it has no more before feeding again: that keeps the buffer bounded.
    pub fn feed(&mut self, bytes: &[u8]) {
        if !self.dead {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The buffer to read into directly.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next whole frame's payload, if the bytes so far hold one.
    ///
    /// # Errors
    /// The frame in hand is above the limit; every later call says so too.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, FrameTooLarge> {
        if self.dead {
            return Err(FrameTooLarge { limit: self.limit });
        }
        loop {
            if !self.inside && !self.enter() {
                return Ok(None);
            }
            let Some(found) = memchr2(VT, FS, &self.buffer[self.scanned..]) else {
                self.scanned = self.buffer.len();
                self.check(self.scanned)?;
                return Ok(None);
            };
            let at = self.scanned + found;
            self.check(at)?;
            self.scanned = at;
            match self.marker(at) {
                Marker::Undecided => return Ok(None),
                Marker::Payload => self.scanned = at + 1,
                Marker::Restart => self.abandon(at),
                Marker::End { skip } => {
                    if let Some(frame) = self.take(at, skip) {
                        return Ok(Some(frame));
                    }
                }
            }
        }
    }

    /// Whether all but the last byte of a frame may be here: an FS came and nothing after it that decides.
    pub fn awaits_end(&self) -> bool {
        self.inside && self.buffer.get(self.scanned) == Some(&FS)
    }

    /// The sender has paused or closed: an FS that stands undecided ends its frame. Yields that frame.
    pub fn settle(&mut self) -> Option<Vec<u8>> {
        if self.dead || !self.awaits_end() {
            return None;
        }
        self.take(self.scanned, 1)
    }

    /// The beginning, as long as the limit, of the frame that was too large. Empties it.
    pub(super) fn take_cut_off(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.cut_off)
    }

    /// Whether a frame was begun and has not ended.
    pub fn mid_frame(&self) -> bool {
        self.inside
    }

    /// Bytes outside frames since the last frame; line ends are not counted.
    pub fn stray_bytes(&self) -> usize {
        self.stray_bytes
    }

    /// What came in and was no whole frame, at most 4 KiB of it: stray bytes, the beginning of a frame that was too large, and the
    /// frame in hand. Empties the decoder.
    pub fn take_debris(&mut self) -> Vec<u8> {
        let cut_off = std::mem::take(&mut self.cut_off);
        if !cut_off.is_empty() {
            keep_debris(&mut self.debris, &[VT]);
            keep_debris(&mut self.debris, &cut_off);
        }
        let rest = self.buffer.split();
        if self.inside {
            keep_debris(&mut self.debris, &[VT]);
        }
        keep_debris(&mut self.debris, &rest);
        self.inside = false;
        self.scanned = 0;
        std::mem::take(&mut self.debris)
    }

    /// The stray bytes seen so far, at most 4 KiB.
    pub(super) fn debris(&self) -> &[u8] {
        &self.debris
    }

    /// Goes to the next VT; what stands before it is stray.
    fn enter(&mut self) -> bool {
        let vt = memchr(VT, &self.buffer);
        let stray = self.buffer.split_to(vt.unwrap_or(self.buffer.len()));
        // Line ends between frames are habit, not news.
        let news = stray.iter().filter(|b| !matches!(**b, CR | LF)).count();
        if news > 0 {
            self.stray_bytes += news;
            keep_debris(&mut self.debris, &stray);
        }
        if vt.is_none() {
            if self.buffer.capacity() > BUFFER_BYTES_KEPT {
                self.buffer = BytesMut::new();
            }
            return false;
        }
        self.buffer.advance(1);
        self.inside = true;
        self.scanned = 0;
        true
    }

    fn check(&mut self, payload_bytes: usize) -> Result<(), FrameTooLarge> {
        if payload_bytes <= self.limit {
            return Ok(());
        }
        self.dead = true;
        self.cut_off = self.buffer[..self.limit.min(self.buffer.len())].to_vec();
        self.buffer = BytesMut::new();
        self.inside = false;
        Err(FrameTooLarge { limit: self.limit })
    }

    fn marker(&self, at: usize) -> Marker {
        if self.buffer[at] == VT {
            return match self.starts_frame(at) {
                Some(true) => Marker::Restart,
                Some(false) => Marker::Payload,
                None => Marker::Undecided,
            };
        }
        match self.buffer.get(at + 1) {
            None => Marker::Undecided,
            Some(&(CR | LF)) => Marker::End { skip: 2 },
            Some(&VT) => match self.starts_frame_after(at, at + 1) {
                Some(true) => Marker::End { skip: 1 },
                Some(false) => Marker::Payload,
                None => Marker::Undecided,
            },
            Some(_) => Marker::Payload,
        }
    }

    fn starts_frame(&self, vt: usize) -> Option<bool> {
        self.starts_frame_after(vt, vt)
    }

    /// Does the VT at `vt` start a new frame, the one in hand being `payload` bytes long? `None`: more bytes will tell.
    fn starts_frame_after(&self, payload: usize, vt: usize) -> Option<bool> {
        if payload < LEAD {
            return Some(true);
        }
        let lead = &self.buffer[..LEAD];
        let next = &self.buffer[vt + 1..];
        let next = &next[..next.len().min(LEAD)];
        if !lead.starts_with(next) {
            return Some(false);
        }
        (next.len() == LEAD).then_some(true)
    }

    fn abandon(&mut self, payload: usize) {
        let unfinished = self.buffer.split_to(payload);
        keep_debris(&mut self.debris, &[VT]);
        keep_debris(&mut self.debris, &unfinished);
        self.buffer.advance(1);
        self.scanned = 0;
    }

    fn take(&mut self, payload: usize, skip: usize) -> Option<Vec<u8>> {
        let frame = self.buffer[..payload].to_vec();
        self.buffer.advance(payload + skip);
        self.inside = false;
        self.scanned = 0;
        self.stray_bytes = 0;
        (!frame.is_empty()).then_some(frame)
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder")
            .field("buffered_bytes", &self.buffer.len())
            .field("mid_frame", &self.inside)
            .field("stray_bytes", &self.stray_bytes)
            .finish_non_exhaustive()
    }
}

enum Marker {
    Undecided,
    Payload,
    Restart,
    End { skip: usize },
}

fn keep_debris(debris: &mut Vec<u8>, bytes: &[u8]) {
    let room = DEBRIS_BYTES_MAX.saturating_sub(debris.len());
    debris.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
