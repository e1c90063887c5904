//! Each defect of hl7-parser 0.3 that was found by running it, and the proof that none of them reaches a caller.

use super::escape::unescape;
use super::*;

const HEAD: &str = "MSH|^~\\&|EPR|RZZ|IPS|RZZ|20260301||REF^I12^REF_I12|7|P|2.4";

fn message(rest: &str) -> Message {
    Message::read(format!("{HEAD}\r{rest}").as_bytes(), Charset::Utf8).expect("readable")
}

fn ids(message: &Message) -> Vec<&str> {
    message.segments().map(|segment| segment.id()).collect()
}

fn text(raw: &str) -> String {
    unescape(raw, &Delimiters::STANDARD, Charset::Utf8).text.into_owned()
}

#[test]
fn a_bad_segment_in_the_middle_does_not_swallow_the_rest() {
    for (bad, aside) in [
        ("PI|1", 1),
        ("pid|1", 1),
        ("torn text", 1),
        ("P", 1),
        ("|x", 1),
        ("PIDX|1", 1),
        ("日本語|1", 1),
        ("", 0),
        ("  ", 0),
    ] {
        let message = message(&format!("EVN|1\r{bad}\rPV1|1\rNTE|1\r"));
        assert_eq!(ids(&message), ["MSH", "EVN", "PV1", "NTE"], "{bad:?}");
        assert_eq!(message.set_aside().len(), aside, "{bad:?}");
    }
    let bare = message("EVN\rPID\rPV1|1|O");
    assert_eq!(ids(&bare), ["MSH", "EVN", "PID", "PV1"]);
    assert_eq!(bare.notes().bare_segments, 2);
}

#[test]
fn line_feeds_end_segments_too() {
    for end in ["\n", "\r\n", "\r\r\n"] {
        let message =
            Message::read(format!("{HEAD}{end}PID|1{end}PV1|1{end}").as_bytes(), Charset::Utf8).expect("readable");
        assert_eq!(ids(&message), ["MSH", "PID", "PV1"], "{end:?}");
    }
}

#[test]
fn an_mllp_wrapping_is_removed_and_garbage_behind_is_not_ignored() {
    let wrapped = Message::read(format!("\u{b}{HEAD}\rPID|1\r\u{1c}\r").as_bytes(), Charset::Utf8).expect("readable");
    assert_eq!(ids(&wrapped), ["MSH", "PID"]);
    assert_eq!(message("PID|1\rgarbage").set_aside().len(), 1);
    assert!(Message::read(format!("{HEAD}\rPID|1\r\u{1c}\rgarbage").as_bytes(), Charset::Utf8).is_err());
}

#[test]
fn decoding_counts_bytes_and_characters_rightly() {
    assert_eq!(text(r"日本\T\x"), "日本&x", "hl7-parser panics");
    assert_eq!(text(r"client’s \T\ goal"), "client’s & goal", "hl7-parser loses the &");
}

#[test]
fn a_lone_escape_character_loses_nothing() {
    assert_eq!(text(r"C:\path and more"), r"C:\path and more", "hl7-parser ends after C:");
}

#[test]
fn hex_spacing_and_highlighting_are_not_printed() {
    assert_eq!(unescape(r"\XE9\", &Delimiters::STANDARD, Charset::Iso8859_1).text, "é");
    assert_eq!(text(r"a\X0D0A\b\.sp\c"), "a\nb\nc");
    assert_eq!(text(r"\H\plain\N\"), "plain");
}

#[test]
fn a_repetition_keeps_its_component_separators() {
    let message = message("PID|1||a^b~c^d");
    let pid = message.segments().nth(1).expect("PID");
    assert_eq!(pid.field(3).repeats().map(|r| r.raw()).collect::<Vec<_>>(), ["a^b", "c^d"], "hl7-parser prints a~b");
}

#[test]
fn a_wild_path_is_refused_and_does_not_panic() {
    for path in ["PID-99999999999999999999999", "PID-0", "PID-3.1 and more", "PID.0"] {
        assert!(Path::parse(path).is_err(), "{path}");
    }
}

#[test]
fn framing_bytes_are_never_written() {
    for c in ["\u{b}", "\u{1c}"] {
        assert!(escape::escape(c, &Delimiters::STANDARD, escape::LineFeeds::Break).is_err());
    }
}

#[test]
fn a_fifth_encoding_character_moves_no_field() {
    for (encoding, text) in [("^~\\&#", "RZZ"), ("^~\\&", "RZZ"), ("^~\\", "RZZ")] {
        let bytes = format!("{}\rPID|1||a&b", HEAD.replace("^~\\&", encoding));
        let message = Message::read(bytes.as_bytes(), Charset::Utf8).expect("readable");
        assert_eq!((message.msh().field(2).raw(), message.msh().field(4).raw()), (encoding, text));
        assert_eq!(message.msh().field(12).raw(), "2.4");
    }
}

#[test]
fn the_parsers_own_error_is_never_passed_on() {
    // It quotes the message. Nothing but static texts can be in ours.
    let error = Message::read(b"MSH|^~\\&|Secret", Charset::Utf8).expect_err("cut short");
    assert!(!error.to_string().contains("Secret") && !format!("{error:?}").contains("Secret"));
}

#[test]
fn only_one_file_names_the_parser_and_takes_only_ranges_and_raw_text() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/adapter/hl7");
    let name = ["hl7", "parser::"].join("_");
    let mut named = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the module's folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() && std::fs::read_to_string(&path).expect("source text").contains(&name) {
            named.push(path.file_name().expect("a name").to_string_lossy().into_owned());
        }
    }
    assert_eq!(named, ["message.rs"]);
    let source = include_str!("message.rs");
    assert_eq!(source.matches(&name).count(), 1);
    assert!(source.contains(&format!("{name}Message::parse(")));
}
