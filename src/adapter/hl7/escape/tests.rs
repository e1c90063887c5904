use super::*;
use crate::adapter::hl7::charset::Charset;
use proptest::prelude::*;

const STANDARD: Delimiters = Delimiters::STANDARD;

fn read(raw: &str) -> String {
    unescape(raw, &STANDARD, Charset::Utf8).text.into_owned()
}

fn custom() -> Delimiters {
    Delimiters::new(b'#', b"*+\\$%").expect("distinct marks")
}

#[test]
fn every_standard_escape_is_undone() {
    for (raw, text) in [
        (r"a\F\b\S\c\T\d\R\e\E\f", r"a|b^c&d~e\f"),
        (r"one\.br\two\.BR\three", "one\ntwo\nthree"),
        (r"a\.sp\b\.sp3\c\.sp+2\d\.sp 1\e", "a\nb\n\n\nc\n\nd\ne"),
        (r"a\.sk3\b\.ce\c", "a   b\nc"),
        (r"Jo\X41\n", "JoAn"),
        (r"Zo\XC3AB\", "Zoë"),
        (r"Zo\XC3\\XAB\", "Zoë"),
        (r"a\X0D0A\b\X0A\c\X0d\d", "a\nb\nc\nd"),
        (r"\H\bold\N\ plain", "bold plain"),
        (r"\.in4\\.fi\text\.nf\", "text"),
    ] {
        assert_eq!(read(raw), text, "{raw}");
    }
    assert!(unescape(r"\H\x", &STANDARD, Charset::Utf8).formatting_dropped);
    assert_eq!(unescape(r"\XE9\", &STANDARD, Charset::Iso8859_1).text, "é");
}

#[test]
fn what_is_no_escape_stays_as_it_was_sent() {
    for raw in [
        r"C:\path and more",
        r"Smith\",
        r"\",
        r"\\",
        r"Smith\Q9\",
        r"John\Zabc\",
        r"\Zlocal\F and on",
        r"Smith\X4\",
        r"\XZZ\",
        r"\X\",
        r"\XE9\",
        r"\X00\ \X0B\ \X1C\",
        r"\.sp99999999999999999999\",
        r"\.sp101\",
        r"\P\",
        r"\C2842\",
        r"\日本\",
    ] {
        let unescaped = unescape(raw, &STANDARD, Charset::Utf8);
        assert_eq!(unescaped.text, raw);
        assert!(unescaped.kept_literally, "{raw}");
    }
}

#[test]
fn an_unknown_escape_closes_with_its_own_mark() {
    assert_eq!(read(r"\Q9\F\x"), r"\Q9\F\x");
    assert_eq!(read(r"not an escape\ and \F\"), r"not an escape\ and |");
}

#[test]
fn a_text_that_is_two_quotes_is_not_written_as_null() {
    let escaped = escape("\"\"", &STANDARD, LineFeeds::Break).expect("printable");
    assert_ne!(escaped, "\"\"");
    assert_eq!(read(&escaped), "\"\"");
}

#[test]
fn control_characters_never_reach_the_wire() {
    for c in ['\0', '\u{b}', '\u{1c}', '\r', '\u{7f}', '\u{85}', '\u{1b}'] {
        let error = escape(&format!("ab{c}"), &STANDARD, LineFeeds::Break).expect_err("a control character");
        assert_eq!((error.character_index, error.code_point), (2, u32::from(c)));
    }
    assert!(escape("a\nb", &STANDARD, LineFeeds::Refuse).is_err());
    assert_eq!(escape("a\tb", &STANDARD, LineFeeds::Refuse).expect("tab is allowed"), "a\tb");
}

#[test]
fn plain_text_is_not_copied() {
    assert!(matches!(escape("plain text, é 😀", &STANDARD, LineFeeds::Break), Ok(Cow::Borrowed(_))));
    assert!(matches!(unescape("plain text", &STANDARD, Charset::Utf8).text, Cow::Borrowed(_)));
}

#[test]
fn tx_lines_joined_by_line_feeds_are_the_text() {
    for text in ["", "one", "one\n\ntwo\n", "\n"] {
        assert_eq!(lines(text).collect::<Vec<_>>().join("\n"), text);
    }
}

#[test]
fn a_long_text_is_cut_outside_escapes_and_characters() {
    let text = "日本&\\😀\n|^~ \"\"".repeat(500);
    for max in [0, 16, 17, 18, 19, 33, 1000] {
        let pieces = split_ft(&text, max, &STANDARD).expect("printable");
        assert!(pieces.iter().all(|p| p.chars().count() <= max.max(SPLIT_CHARS_MIN) && p != "\"\""));
        assert_eq!(pieces.iter().map(|p| read(p)).collect::<String>(), text);
    }
    assert_eq!(split_ft("", 100, &STANDARD), Ok(vec![String::new()]));
    let ends_in_quotes = format!("{}\"\"", "x".repeat(16));
    let pieces = split_ft(&ends_in_quotes, 16, &STANDARD).expect("printable");
    assert_eq!(pieces.iter().map(|p| read(p)).collect::<String>(), ends_in_quotes);
    assert_ne!(pieces[1], "\"\"");
}

#[test]
fn a_cut_stands_within_a_word_and_not_beside_a_blank_or_in_a_number() {
    let text = "Met Sam at the job centre at 10:45,\nCV & letter  done. ".repeat(40);
    for max in 32..90 {
        let pieces = split_ft(&text, max, &STANDARD).expect("printable");
        assert_eq!(pieces.iter().map(|p| read(p)).collect::<String>(), text);
        let (last, others) = pieces.split_last().expect("some");
        assert!(others.iter().all(|p| p.ends_with(char::is_alphabetic) && p.starts_with(char::is_alphabetic)), "{max}");
        assert!(last.starts_with(char::is_alphabetic), "{max}");
    }
    let blank = " ".repeat(50);
    assert_eq!(split_ft(&blank, 20, &STANDARD).expect("printable").concat(), blank);
}

/// Text as the bridge accepts it, thick with everything that could go wrong.
fn accepted_text() -> impl Strategy<Value = String> {
    let tricky = prop::sample::select(vec![
        "\\.br\\",
        "\\",
        "\\\\",
        "\\F\\",
        "\\E",
        "\\X41\\",
        "\\X",
        "日本\\T\\x",
        "😀",
        "’",
        "\n",
        "\t",
        "|",
        "^",
        "~",
        "&",
        "#",
        "\"\"",
        "\"",
        "MSH|^~\\&|",
        "\u{2028}",
        "e\u{301}",
        ".br",
        "P",
        "Ŵ",
    ]);
    let any_char =
        any::<char>().prop_filter("controls are refused on accept", |c| !c.is_control()).prop_map(String::from);
    prop::collection::vec(prop_oneof![tricky.prop_map(str::to_owned), any_char], 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn what_is_escaped_reads_back_as_the_same_text(text in accepted_text()) {
        for delimiters in [STANDARD, custom(), Delimiters::new(b'|', b"^~\\").expect("three are allowed")] {
            let escaped = escape(&text, &delimiters, LineFeeds::Break).expect("no control characters");
            prop_assert!(!escaped.contains(['\n', '\r']));
            prop_assert!(delimiters.all().filter(|d| *d != delimiters.escape).all(|d| !escaped.contains(char::from(d))));
            for charset in [Charset::Utf8, Charset::Ascii, Charset::Iso8859_1] {
                prop_assert_eq!(&*unescape(&escaped, &delimiters, charset).text, text.as_str());
            }
        }
    }

    #[test]
    fn what_is_split_reads_back_as_the_same_text(text in accepted_text(), max in 0..60usize) {
        for delimiters in [STANDARD, custom()] {
            let pieces = split_ft(&text, max, &delimiters).expect("no control characters");
            let joined: String = pieces.iter().map(|p| unescape(p, &delimiters, Charset::Utf8).text.into_owned()).collect();
            prop_assert_eq!(joined, text.as_str());
            prop_assert!(pieces.iter().all(|p| p.chars().count() <= max.max(SPLIT_CHARS_MIN) && p != "\"\""));
        }
    }

    #[test]
    fn unescaping_any_text_neither_panics_nor_adds_control_characters(raw in "[\\\\FSTREHNX.brspk0-9+ é日|^&]{0,60}", any in any::<String>()) {
        prop_assert!(!read(&raw).contains(|c: char| c.is_control() && c != '\n'));
        let _ = read(&any);
    }
}
