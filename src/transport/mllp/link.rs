//! One connection that yields frames: a stream and a decoder.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::frame::Decoder;
use crate::transport::net::Stream;
use crate::transport::{Stray, StrayKind};

/// Bytes outside frames after which the far end is taken to speak no MLLP.
const STRAY_BYTES_MAX: usize = 4096;
/// An FS with nothing after it ends its frame when this long nothing came: some senders leave the CR out.
const END_GRACE: Duration = Duration::from_millis(50);
const READ_BYTES: usize = 8 * 1024;
/// Turns given to the runtime to notice what the kernel already holds.
const GLANCES_MAX: usize = 100;
/// At close, how long and how much we read on, so that what we wrote last is not lost to a reset.
const LINGER: Duration = Duration::from_millis(250);
const LINGER_READS: usize = 64;

pub(super) struct Link {
    pub(super) stream: Stream,
    decoder: Decoder,
}

/// What was heard next.
pub(super) enum Heard {
    Frame(Vec<u8>),
    /// The far end closed; `mid_frame`: with a frame begun.
    Closed {
        mid_frame: bool,
    },
    TooLarge {
        limit: usize,
    },
    /// More bytes outside frames than a stray few.
    NotFramed,
    Failed(io::Error),
}

impl Link {
    pub(super) fn new(stream: Stream, frame_bytes_max: usize) -> Self {
        Self { stream, decoder: Decoder::new(frame_bytes_max) }
    }

    /// The next frame or the end. Cancel safe: what was read stays in the decoder.
    pub(super) async fn hear(&mut self) -> Heard {
        loop {
            if let Some(heard) = self.hear_some().await {
                return heard;
            }
        }
    }

    /// As [`Link::hear`], but returns after one read, with `None` where that made nothing whole. Cancel safe.
    pub(super) async fn hear_some(&mut self) -> Option<Heard> {
        if let Some(heard) = self.decoded() {
            return Some(heard);
        }
        self.decoder.buffer().reserve(READ_BYTES);
        let awaits_end = self.decoder.awaits_end();
        let read = self.stream.read_buf(self.decoder.buffer());
        let read = if awaits_end {
            match tokio::time::timeout(END_GRACE, read).await {
                Ok(read) => read,
                Err(_) => return self.decoder.settle().map(Heard::Frame),
            }
        } else {
            read.await
        };
        match read {
            Ok(0) => Some(self.closed()),
            Ok(_) => self.decoded(),
            // TLS without a goodbye: an end like any other, since frames mark their own ends.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Some(self.closed()),
            Err(error) => Some(Heard::Failed(error)),
        }
    }

    /// What the bytes read so far already say.
    pub(super) fn decoded(&mut self) -> Option<Heard> {
        match self.decoder.next_frame() {
            Ok(Some(frame)) => Some(Heard::Frame(frame)),
            Err(too_large) => Some(Heard::TooLarge { limit: too_large.limit }),
            Ok(None) if self.decoder.stray_bytes() > STRAY_BYTES_MAX => Some(Heard::NotFramed),
            Ok(None) => None,
        }
    }

    /// Looks at what has arrived without waiting for more: a frame, the end, or `None` when the line is quiet.
    pub(super) async fn glance(&mut self) -> Option<Heard> {
        for _ in 0..GLANCES_MAX {
            // Unconstrained: a used-up budget of the runtime must not look like a quiet line.
            let heard = tokio::task::unconstrained(async {
                tokio::select! {
                    biased;
                    heard = self.hear() => Some(heard),
                    () = std::future::ready(()) => None,
                }
            })
            .await;
            if heard.is_some() || !self.stream.has_arrivals() {
                return heard;
            }
            // The kernel has something the runtime has not noticed yet.
            tokio::task::yield_now().await;
        }
        Some(Heard::Failed(io::ErrorKind::WouldBlock.into()))
    }

    fn closed(&mut self) -> Heard {
        match self.decoder.settle() {
            Some(frame) => Heard::Frame(frame),
            None => Heard::Closed { mid_frame: self.decoder.mid_frame() },
        }
    }

    pub(super) fn mid_frame(&self) -> bool {
        self.decoder.mid_frame()
    }

    pub(super) fn stray_bytes(&self) -> usize {
        self.decoder.stray_bytes()
    }

    /// The beginning of a frame that was too large.
    pub(super) fn take_cut_off(&mut self) -> Vec<u8> {
        self.decoder.take_cut_off()
    }

    /// What came in and was no whole frame.
    pub(super) fn take_fragment(&mut self) -> Option<Stray> {
        let bytes = self.decoder.take_debris();
        (!bytes.is_empty()).then_some(Stray { bytes, kind: StrayKind::Fragment })
    }

    /// The other protocol that the far end seems to speak, from its first stray bytes.
    pub(super) fn foreign_protocol(&self) -> Option<&'static str> {
        const HTTP: [&[u8]; 5] = [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS "];
        // A TLS hello may by chance hold a VT; what came before it is what tells.
        let first = self.decoder.debris();
        if first.starts_with(&[0x16, 0x03]) {
            return Some("TLS");
        }
        HTTP.iter().any(|verb| first.starts_with(verb)).then_some("HTTP")
    }

    /// Says goodbye so that what was written last arrives.
    pub(super) async fn close(mut self) {
        let goodbye = async {
            if self.stream.shutdown().await.is_err() {
                return;
            }
            let mut sink = [0u8; 1024];
            for _ in 0..LINGER_READS {
                if !matches!(self.stream.read(&mut sink).await, Ok(n) if n > 0) {
                    return;
                }
            }
        };
        let _ = tokio::time::timeout(LINGER, goodbye).await;
    }
}
