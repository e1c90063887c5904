//! What `Message::read` takes and refuses, and that it accounts for every line.

use super::*;
use proptest::prelude::*;

const HEAD: &str = "MSH|^~\\&|EPR|RZZ|IPS|RZZ|20260301||REF^I12^REF_I12|7|P|2.4||||||UNICODE UTF-8";

fn read(text: &str) -> Result<Message, Unreadable> {
    Message::read(text.as_bytes(), Charset::Utf8)
}

/// Lines that are not blank, counted without the code under test.
fn lines_sent(bytes: &[u8]) -> usize {
    bytes
        .split(|b| matches!(b, b'\r' | b'\n'))
        .filter(|l| l.iter().any(|b| !matches!(b, b' ' | b'\t' | 0x0B | 0x1C)))
        .count()
}

#[test]
fn what_can_be_neither_judged_nor_answered_is_refused() {
    for (text, what) in [
        (HEAD.replace("REF^I12^REF_I12", "") + "\rPID|1", "MSH-9"),
        (HEAD.replace("|7|", "||") + "\rPID|1", "MSH-10"),
        (HEAD.replace("|7|", "|\"\"|") + "\rPID|1", "MSH-10"),
        (HEAD.replace("|P|", "||") + "\rPID|1", "MSH-11"),
        (HEAD.replace("|2.4|", "||") + "\rPID|1", "MSH-12"),
        (HEAD.to_owned(), "no segment after MSH"),
        (format!("{HEAD}\rPID|1\r{HEAD}\rPID|2"), "a second message"),
        (format!("BHS|^~\\&\r{HEAD}\rPID|1\rBTS|1"), "a batch"),
        (format!("{HEAD}\rPID|1\rBTS|1"), "a batch envelope"),
        ("PID|1\rPV1|1".to_owned(), "not MSH"),
        (String::new(), "empty"),
        ("MSH".to_owned(), "not MSH"),
        ("MSH|".to_owned(), "MSH-2"),
        (format!("{HEAD}\rPID|a\0b"), "NUL"),
        (format!("{HEAD}\rPID|a\u{b}b"), "framing"),
        (HEAD.replace("UTF-8", "UTF-16") + "\rPID|1", "MSH-18"),
        (HEAD.replace("^~\\&", "^^\\&") + "\rPID|1", "twice"),
    ] {
        let error = read(&text).expect_err(what);
        assert!(error.what.contains(what), "{error} does not say {what}");
    }
    assert!(read(&(HEAD.replace("20260301", "") + "\rPID|1")).is_ok(), "MSH-7 is not needed to answer");
    let utf_16: Vec<u8> = format!("\u{feff}{HEAD}\rPID|1").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(Message::read(&utf_16, Charset::Utf8).is_err_and(|e| e.what.contains("UTF-16")));
}

#[test]
fn an_error_names_the_segment_and_the_byte_received() {
    let mut bytes = format!("\n{HEAD}\r\n\r\nEVN|1\r\nPID|1||Zo").into_bytes();
    let place = bytes.len();
    bytes.extend(b"\xEB\r\nPV1|1");
    let error = Message::read(&bytes, Charset::Iso8859_1).expect_err("MSH-18 says UTF-8");
    assert_eq!((error.segment, error.byte), (3, place));
}

#[test]
fn the_ladder_of_character_sets_is_msh_18_then_the_endpoints() {
    let sent =
        |msh_18: &str, byte: &[u8]| [HEAD.replace("UNICODE UTF-8", msh_18).as_bytes(), b"\rPID|1||", byte].concat();
    let field = |bytes: &[u8], default| {
        let message = Message::read(bytes, default).ok()?;
        let value = message.segments().nth(1)?.field(3).reading().into_value()?.into_owned();
        Some((value, message.notes()))
    };
    let (value, notes) = field(&sent("8859/1", b"it\x92s"), Charset::Utf8).expect("readable");
    assert_eq!((value.as_str(), notes.charset_assumed_windows_1252), ("it’s", true));
    assert_eq!(field(&sent("", b"\xE9"), Charset::Iso8859_1).expect("readable").0, "é");
    let (value, notes) = field(&sent("KLINGON", b"\xE9"), Charset::Windows1252).expect("readable");
    assert_eq!((value.as_str(), notes.charset_unknown), ("é", true));
    assert!(field(&sent("8859/1~UNICODE UTF-8", b"x"), Charset::Utf8).expect("readable").1.charset_several);
    assert!(field(&sent("", b"\xE9"), Charset::Utf8).is_none(), "never mangled");
}

#[test]
fn a_name_in_utf8_is_seen_beside_letters_of_one_byte_of_another_source() {
    let sent = |rest: &[&[u8]]| {
        let head = HEAD.replace("UNICODE UTF-8", "8859/1").into_bytes();
        [head, rest.iter().flat_map(|segment| [b"\r", *segment].concat()).collect()].concat()
    };
    for mixed in [
        sent(&["PID|1||7||SIÂN".as_bytes(), b"NTE|1|L|owes \xA320"]),
        sent(&["PID|1||7||SIÂN".as_bytes(), b"ZXX|\xE9"]),
        sent(&[b"PID|1||7||M\xFCLLER", "NTE|1|L|owes £20".as_bytes()]),
        sent(&[b"PID|1||7||SIAN", "ZXX|weight 80\u{a0}kg".as_bytes()]),
    ] {
        assert!(Message::read(&mixed, Charset::Utf8).is_err());
    }
    // A segment of the sender's own is no reason to refuse what is told beside it.
    let own = sent(&[b"PID|1||7||M\xFCLLER", "ZXX|weight 80\u{a0}kg".as_bytes()]);
    assert!(Message::read(&own, Charset::Utf8).is_ok());
    // What we made is in the set that it says, whatever it looks like.
    let ours = sent(&[b"PID|1||7||AND\xC4\xBD"]);
    assert!(Message::read(&ours, Charset::Utf8).is_err() && Message::read_back(&ours, Charset::Utf8).is_ok());
}

#[test]
fn custom_delimiters_and_three_states_are_read() {
    let message = read("MSH#*+\\$#A#B#C#D#1##REF*I12#7#P#2.4\rPID#1##a*b$c+d#\"\"#x\\F\\y|^~&\r").expect("readable");
    let pid = message.segments().nth(1).expect("PID");
    let ids: Vec<_> = pid.field(3).repeats().collect();
    assert_eq!((ids.len(), ids[0].component(2).subcomponent(2).value()), (2, Some("c")));
    assert_eq!((pid.field(2).reading(), pid.field(4).reading()), (Reading::Absent, Reading::Null));
    assert_eq!(pid.field(5).reading().value(), Some("x#y|^~&"));
    assert!(pid.field(0).raw().is_empty() && pid.field(99).raw().is_empty());
    assert!(pid.field(3).repeats().next().is_some_and(|r| r.component(0).raw().is_empty()));
}

#[test]
fn a_message_shows_sizes_only() {
    let message = read(&format!("{HEAD}\rPID|1||9990000018||Testpatient^Sam")).expect("readable");
    let pid = message.segments().nth(1).expect("PID");
    let field = pid.field(5);
    let repeat = field.repeats().next().expect("one");
    let shown = format!("{message:?} {pid:?} {field:?} {repeat:?} {:?} {:?}", repeat.component(1), field.reading());
    assert!(!shown.contains("Sam") && !shown.contains("Testp") && !shown.contains("999"), "{shown}");
}

#[test]
fn torn_text_is_set_aside_with_its_place() {
    let text = format!("{HEAD}\rNTE|1||first line\rsecond line\rPID|1\r");
    let message = read(&text).expect("readable");
    let [aside] = message.set_aside() else { panic!("one line") };
    assert_eq!(
        (aside.line, &text[aside.byte..aside.byte + aside.length], aside.why),
        (3, "second line", Odd::TornText)
    );
    assert!(read(&format!("{HEAD}\rPID|1\rDSC|x")).expect("readable").notes().continues);
}

/// Bytes that look like HL7 often enough to reach every branch.
fn near_hl7() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => prop::sample::select(vec![
            "PID|1", "PV1", "nte|x", "XX|", "torn", "|", "^", "~", "&", "\\", "\\F\\", "\r", "\n", "\r\n", " ", "\t", "\r\r", "日", "é", "\"\"", "MSH|",
            "BTS|", "ZZZ", "1", "Ab1|",
        ]).prop_map(|s| s.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    (any::<bool>(), prop::collection::vec(piece, 0..40)).prop_map(|(headed, pieces)| {
        let head = if headed { format!("{HEAD}\r").into_bytes() } else { Vec::new() };
        [head, pieces.concat()].concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn reading_never_panics_and_never_loses_a_line(bytes in near_hl7()) {
        for charset in [Charset::Utf8, Charset::Windows1252] {
            if let Ok(message) = Message::read(&bytes, charset) {
                prop_assert_eq!(message.segments().len() + message.set_aside().len(), lines_sent(&bytes));
                for segment in message.segments() {
                    let rejoined: Vec<&str> = (1..=segment.field_count()).map(|n| segment.field(n).raw()).collect();
                    prop_assert!(segment.index() == 0 || bytes_hold(&bytes, segment.id(), &rejoined.join("|"), message.charset()));
                }
            }
        }
        let _ = Envelope::peek(&bytes);
        let _ = Batch::split(&bytes);
        let _ = rules::check(&bytes, Charset::Utf8, rules::Limits::default());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Message::read(&bytes, Charset::Utf8);
        let _ = Message::read(&[HEAD.as_bytes(), &bytes[..]].concat(), Charset::Iso8859_1);
        let _ = Envelope::peek(&bytes);
        let _ = Batch::split(&bytes);
    }
}

/// Whether the segment stands in the input just as it was read.
fn bytes_hold(bytes: &[u8], id: &str, fields: &str, charset: Charset) -> bool {
    bytes.split(|b| matches!(b, b'\r' | b'\n')).any(|line| {
        let line = charset.decode(line).map(|d| d.text.into_owned()).unwrap_or_default();
        line == format!("{id}|{fields}") || (fields.is_empty() && line == id)
    })
}

#[test]
fn mutations_of_a_real_shape_are_read_or_refused_without_loss() {
    use rand::{Rng, SeedableRng, rngs::StdRng};
    let whole = format!(
        "{HEAD}\rRF1|P^Pending|R|Psy|||REF-1^EPR|20260301\rPRD|RP|TEST^ANN\rPID|1||1^^^RZZ^MR~9990000018^^^NHS^NH||TEST^SAM||19850412\rNTE|1|L|Wants \\T\\ needs\r"
    );
    let mut rng = StdRng::seed_from_u64(20_260_301);
    let mut read_whole = 0;
    for _ in 0..4000 {
        let mut bytes = whole.clone().into_bytes();
        for _ in 0..rng.random_range(1..6) {
            let at = rng.random_range(0..bytes.len().max(1));
            if bytes.len() < 2 {
                break;
            }
            match rng.random_range(0..5) {
                0 => bytes[at] = rng.random(),
                1 => bytes.insert(at, *b"|^~&\\\r\n\"PN1".get(rng.random_range(0..11)).unwrap_or(&b'|')),
                2 => drop(bytes.remove(at)),
                3 => bytes.truncate(at.max(1)),
                _ => bytes.swap(0, at),
            }
        }
        if let Ok(message) = Message::read(&bytes, Charset::Utf8) {
            read_whole += 1;
            assert_eq!(message.segments().len() + message.set_aside().len(), lines_sent(&bytes));
            for segment in message.segments() {
                for number in 0..=segment.field_count() {
                    let _ = segment.field(number).reading();
                }
            }
        }
    }
    assert!(read_whole > 500, "the run must reach the parser: {read_whole}");
}
