use proptest::prelude::*;

use super::*;

const LIMIT: usize = 4096;

/// Every frame of `bytes` fed in the given pieces, then settled as at the stream's end; `false` when the limit was hit.
fn frames_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limit: usize) -> (Vec<Vec<u8>>, bool) {
    let mut decoder = Decoder::new(limit);
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(_) => return (frames, false),
            }
        }
    }
    // Settling may free a frame begun right behind the undecided FS, so look again.
    while let Some(frame) = decoder.settle() {
        frames.push(frame);
        while let Ok(Some(frame)) = decoder.next_frame() {
            frames.push(frame);
        }
    }
    (frames, true)
}

fn texts(bytes: &[u8]) -> Vec<String> {
    let (frames, within_limit) = frames_of([bytes], LIMIT);
    assert!(within_limit);
    frames.into_iter().map(|f| String::from_utf8(f).expect("test payloads are UTF-8")).collect()
}

#[test]
fn a_frame_comes_out_as_it_went_in() {
    let frame = encode(b"MSH|one\r", LIMIT).unwrap();
    assert_eq!(frame, b"\x0bMSH|one\r\x1c\r");
    assert_eq!(texts(&frame), ["MSH|one\r"]);
}

#[test]
fn a_payload_that_would_break_the_frame_is_refused() {
    assert_eq!(encode(b"a\x0bb", LIMIT), Err(FrameError::FramingByte));
    assert_eq!(encode(b"a\x1cb", LIMIT), Err(FrameError::FramingByte));
    assert_eq!(encode(b"", LIMIT), Err(FrameError::Empty));
    assert_eq!(encode(&[b'a'; 11], 10), Err(FrameError::TooLarge { bytes: 11, limit: 10 }));
}

#[test]
fn two_frames_in_one_read_are_both_there() {
    assert_eq!(texts(b"\x0bMSH|a\x1c\r\x0bMSH|b\x1c\r"), ["MSH|a", "MSH|b"]);
}

#[test]
fn stray_bytes_before_and_between_frames_are_dropped() {
    assert_eq!(texts(b"\r\n\r\nhello\x0bMSH|a\x1c\r\n \x00junk\x0bMSH|b\x1c\r\n"), ["MSH|a", "MSH|b"]);
}

#[test]
fn line_ends_between_frames_are_not_counted_as_stray() {
    let mut decoder = Decoder::new(LIMIT);
    decoder.feed(b"\x0bMSH|a\x1c\r\n\r\nxy");
    assert_eq!(decoder.next_frame(), Ok(Some(b"MSH|a".to_vec())));
    assert_eq!(decoder.next_frame(), Ok(None));
    assert_eq!(decoder.stray_bytes(), 2);
}

#[test]
fn fs_without_cr_ends_a_frame_when_a_new_one_starts() {
    assert_eq!(texts(b"\x0bMSH|a\x1c\x0bMSH|b\x1c\r"), ["MSH|a", "MSH|b"]);
}

#[test]
fn fs_and_lf_end_a_frame() {
    assert_eq!(texts(b"\x0bMSH|a\x1c\n\x0bMSH|b\x1c\n"), ["MSH|a", "MSH|b"]);
}

#[test]
fn fs_at_the_end_of_the_stream_ends_the_frame() {
    assert_eq!(texts(b"\x0bMSH|a\x1c"), ["MSH|a"]);
}

#[test]
fn a_frame_without_fs_is_given_up_when_the_next_one_starts() {
    assert_eq!(texts(b"\x0bMSH|a\r\x0bMSH|b\r\x0bMSH|c\r\x1c\r"), ["MSH|c\r"]);
    assert_eq!(texts(b"\x0b\x0bMSH|a\x1c\r"), ["MSH|a"]);
    assert_eq!(texts(b"\x0bMS\x0bMSH|a\x1c\r"), ["MSH|a"]);
}

#[test]
fn what_was_given_up_is_kept_as_debris() {
    let mut decoder = Decoder::new(LIMIT);
    decoder.feed(b"??\x0bMSH|a\r\x0bMSH|b");
    assert_eq!(decoder.next_frame(), Ok(None));
    assert_eq!(decoder.take_debris(), b"??\x0bMSH|a\r\x0bMSH|b");
    assert!(!decoder.mid_frame());
}

#[test]
fn a_vt_or_fs_in_a_field_never_cuts_the_message() {
    assert_eq!(texts(b"\x0bMSH|Sm\x0bi\x1cth|end\r\x1c\r"), ["MSH|Sm\x0bi\x1cth|end\r"]);
    assert_eq!(texts(b"\x0bMSH|Sm\x1c\x0bith|end\r\x1c\r"), ["MSH|Sm\x1c\x0bith|end\r"]);
}

#[test]
fn an_empty_frame_is_dropped() {
    assert_eq!(texts(b"\x0b\x1c\r\x0bMSH|a\x1c\r"), ["MSH|a"]);
    assert_eq!(texts(b"\x0b\x1c\x0bMSH|a\x1c\r"), ["MSH|a"]);
}

#[test]
fn bytes_of_another_protocol_are_no_frame() {
    assert!(texts(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").is_empty());
}

#[test]
fn a_frame_above_the_limit_is_refused_however_it_comes() {
    let frame = [b"\x0bMSH|".as_slice(), &[b'x'; 20], b"\x1c\r"].concat();
    assert_eq!(frames_of([frame.as_slice()], 24).0.len(), 1);
    assert!(!frames_of([frame.as_slice()], 23).1);
    assert!(!frames_of(frame.chunks(1), 23).1);
}

#[test]
fn an_endless_frame_holds_no_more_memory_than_the_limit_and_one_read() {
    let mut decoder = Decoder::new(LIMIT);
    decoder.feed(b"\x0b");
    let mut refused = false;
    for _ in 0..100 {
        decoder.feed(&[b'x'; 1024]);
        refused |= decoder.next_frame().is_err();
        assert!(decoder.buffer.len() <= LIMIT + 1024);
    }
    assert!(refused);
    assert_eq!(decoder.buffer.len(), 0);
}

#[test]
fn endless_garbage_holds_four_kib() {
    let mut decoder = Decoder::new(LIMIT);
    for _ in 0..100 {
        decoder.feed(&[b'x'; 1024]);
        assert_eq!(decoder.next_frame(), Ok(None));
        assert!(decoder.buffer.is_empty());
    }
    assert_eq!(decoder.stray_bytes(), 102_400);
    assert_eq!(decoder.take_debris().len(), DEBRIS_BYTES_MAX);
}

#[test]
fn debug_shows_no_message_bytes() {
    let mut decoder = Decoder::new(LIMIT);
    decoder.feed(b"\x0bCANARY");
    assert!(!format!("{decoder:?}").contains("CANARY"));
}

/// Bytes that are mostly framing, so that the awkward neighbourhoods are common.
fn wire_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => Just(vec![VT]),
        3 => Just(vec![FS]),
        3 => Just(vec![FS, CR]),
        1 => Just(vec![LF]),
        1 => Just(vec![CR]),
        3 => Just(b"MSH|".to_vec()),
        1 => Just(b"MS".to_vec()),
        2 => proptest::collection::vec(any::<u8>(), 0..8),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|p| p.concat())
}

proptest! {
    #[test]
    fn any_split_of_a_stream_gives_the_same_frames(
        bytes in wire_bytes(),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
        limit in 1usize..40,
    ) {
        let mut places: Vec<usize> = cuts.iter().map(|c| c.index(bytes.len() + 1)).collect();
        places.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for place in places {
            pieces.push(&bytes[from..place]);
            from = place;
        }
        pieces.push(&bytes[from..]);
        let whole = frames_of([bytes.as_slice()], limit);
        prop_assert_eq!(&frames_of(pieces, limit), &whole);
        prop_assert_eq!(&frames_of(bytes.chunks(1), limit), &whole);
    }

    #[test]
    fn every_payload_that_can_be_framed_comes_back_whole(
        payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..200), 1..8),
        chunk in 1usize..64,
    ) {
        let payloads: Vec<Vec<u8>> = payloads.into_iter()
            .map(|p| p.into_iter().filter(|b| *b != VT && *b != FS).collect::<Vec<u8>>())
            .filter(|p| !p.is_empty())
            .collect();
        let wire: Vec<u8> = payloads.iter().flat_map(|p| encode(p, LIMIT).unwrap()).collect();
        prop_assert_eq!(frames_of(wire.chunks(chunk), LIMIT).0, payloads);
    }

    #[test]
    fn no_bytes_make_the_decoder_panic_or_outgrow_its_limit(
        bytes in proptest::collection::vec(any::<u8>(), 0..4096),
        chunk in 1usize..512,
        limit in 0usize..600,
    ) {
        let mut decoder = Decoder::new(limit);
        for piece in bytes.chunks(chunk) {
            decoder.feed(piece);
            while let Ok(Some(frame)) = decoder.next_frame() {
                prop_assert!(frame.len() <= limit);
            }
            prop_assert!(decoder.buffer.len() <= limit + chunk + LEAD);
            prop_assert!(decoder.debris.len() <= DEBRIS_BYTES_MAX);
        }
    }
}
