use super::*;
use proptest::prelude::*;

fn elements(text: &str) -> Vec<Element> {
    let element = |kind, text: &str| Element { kind, text: text.into() };
    vec![
        element(Kind::Title, "Employment support note"),
        element(Kind::Patient, "TESTPATIENT, Sam Alex; born 12 April 1985; NHS number 999 000 0018"),
        element(Kind::Heading, "Details"),
        element(Kind::Line, "Contact: face to face, 45 minutes"),
        element(Kind::Text, text),
        element(Kind::Foot, "Document 01JNBRZC5M8Q4T7V9XA2E3F4G1"),
    ]
}

const WELSH: &str =
    "Cyfarfu â’r cleient yn y ganolfan waith.\n\n\t• Ŵyl ŷd: £12.50 – “iawn”\n  indented   three spaces  ";

#[test]
fn the_same_elements_give_the_same_bytes_and_no_clock_is_in_them() {
    let bytes = make(DocumentKind::Pdf, &elements(WELSH)).expect("makes");
    assert_eq!(bytes, make(DocumentKind::Pdf, &elements(WELSH)).expect("makes"));
    assert!(bytes.starts_with(b"%PDF-1."));
    assert!(!bytes.windows(12).any(|w| w == b"CreationDate"));
    assert!(bytes.len() < 25_000, "{} bytes: the font is cut down to what is used", bytes.len());
}

#[test]
fn what_was_accepted_is_read_back_exactly_whatever_the_layout_does() {
    let words = "word ".repeat(2_000);
    let unbroken = "x".repeat(5_000);
    let many = "line\n".repeat(300);
    for text in [WELSH, &words, &unbroken, &many, "", " ", "\n\n", "w\u{302} ŵ", "a\\nb (c) <d>"] {
        let bytes = make(DocumentKind::Pdf, &elements(text)).expect("makes");
        assert_eq!(read::text(&bytes).expect("reads"), text);
    }
}

#[test]
fn every_page_says_whom_it_is_about_and_which_it_is() {
    let mut glyphs = Glyphs::default();
    let pages = layout::pages(&elements(&"line\n".repeat(200)), &mut glyphs).expect("sets");
    assert!(pages.len() > 3);
    for (number, page) in pages.iter().enumerate() {
        let shown: Vec<String> =
            page.iter().map(|l| l.shapes.iter().map(|s| glyphs.shape(*s).text.as_str()).collect()).collect();
        assert!(shown.iter().any(|l| l.starts_with("TESTPATIENT")), "page {number}");
        assert!(shown.contains(&format!("Page {} of {}", number + 1, pages.len())));
        for line in page {
            let width: u32 = line.shapes.iter().map(|s| glyphs.shape(*s).advance * line.style.size).sum();
            assert!(line.at.0 + width < layout::WIDTH && line.at.1 > 0, "nothing leaves the paper");
        }
    }
}

#[test]
fn a_character_the_font_lacks_is_refused_and_named_by_number_only() {
    let e = make(DocumentKind::Pdf, &elements("line one\nfine 😀")).expect_err("no glyph");
    assert_eq!(e.to_string(), "in the text, at character 15: U+1F600, which the document's font cannot show");
    let mut named = elements("fine");
    named[1].text = "名".into();
    let e = make(DocumentKind::Pdf, &named).expect_err("no glyph").to_string();
    assert!(e.starts_with("outside the text") && e.contains("U+540D"), "{e}");
}

#[test]
fn more_pages_than_anybody_reads_are_refused() {
    let e = make(DocumentKind::Pdf, &elements(&"\n".repeat(60_000))).expect_err("too many");
    assert!(e.to_string().contains("500 pages"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_text_comes_back_whole_or_is_refused(text in "[ -~\\t\\n£€ŵŷÂâ‘’“”–•…Ωж\u{302}\u{200B}😀م]{0,400}") {
        match pdf(&elements(&text)) {
            Ok(bytes) => prop_assert_eq!(read::text(&bytes).expect("reads"), text),
            Err(Stop::NotCarriable(_)) => {
                let refusable = text.contains(['\u{302}', '😀', 'م']);
                prop_assert!(refusable);
            }
            Err(_) => prop_assert!(false, "another refusal"),
        }
    }
}
