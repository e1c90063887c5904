//! The frames of a stream depend on its bytes and never on how they were split into reads; nothing outgrows the limit.

use ips_bridge::transport::mllp::frame::{Decoder, encode};

/// The first byte says how large the reads are, the second how large a frame may be; the rest is the stream.
pub fn hold(bytes: &[u8]) {
    let [step, limit, stream @ ..] = bytes else { return };
    let (step, limit) = (usize::from(*step).max(1), usize::from(*limit) * 4 + 1);
    let whole = frames([stream], limit);
    assert_eq!(frames(stream.chunks(step), limit), whole, "reads of {step} bytes");
    assert_eq!(frames(stream.chunks(1), limit), whole, "reads of one byte");
    assert!(whole.0.iter().all(|frame| !frame.is_empty() && frame.len() <= limit));

    // What can be framed comes back as it went in, whatever stood before it.
    if let Ok(framed) = encode(stream, stream.len()) {
        assert_eq!(frames([framed.as_slice(), framed.as_slice()], stream.len()).0, [stream, stream]);
    }
}

/// Every frame, settled as at the stream's end; `false` when the limit was hit.
fn frames<'a>(reads: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> (Vec<Vec<u8>>, bool) {
    let mut decoder = Decoder::new(limit);
    let mut frames = Vec::new();
    for read in reads {
        decoder.feed(read);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, false),
            }
        }
    }
    while let Some(frame) = decoder.settle() {
        frames.push(frame);
        while let Ok(Some(frame)) = decoder.next_frame() {
            frames.push(frame);
        }
    }
    assert!(decoder.take_debris().len() <= 4096);
    (frames, true)
}
