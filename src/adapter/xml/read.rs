//! Reading XML that others wrote, and our own before it leaves: well-formed, UTF-8, no DTD, so that there is nothing in it that is not written
//! out where it stands. Everything of ours that reads XML comes through here: the parser's time grows with the square of some things and the cube
//! of others, so they are counted first (`bounds.rs`).

use super::bounds;
use roxmltree::{Document, Node, ParsingOptions};

/// Largest document, in bytes.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Elements, texts and comments of one document.
const NODES_MAX: u32 = 200_000;

/// A document, or why it is none, without a word of what stands in it.
pub fn read(bytes: &[u8]) -> Result<Document<'_>, String> {
    if bytes.len() > BYTES_MAX {
        return Err(format!("it is longer than {BYTES_MAX} bytes"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(other) = other_encoding(text) {
        return Err(format!("it says that it is in {other}, and only UTF-8 is read"));
    }
    if text.contains("<!DOCTYPE") {
        return Err("it has a document type (DTD), which is not read".into());
    }
    parsed(text, ParsingOptions::default())
}

/// A page of XHTML that was made here: it may say which document type it is, and nothing of that is fetched.
pub fn read_page(text: &str) -> Result<Document<'_>, String> {
    parsed(text, ParsingOptions { allow_dtd: true, ..ParsingOptions::default() })
}

fn parsed<'t>(text: &'t str, options: ParsingOptions<'t>) -> Result<Document<'t>, String> {
    bounds::hold(text, options.allow_dtd)?;
    Document::parse_with_options(text, ParsingOptions { nodes_limit: NODES_MAX, ..options }).map_err(|e| {
        let at = e.pos();
        match e {
            roxmltree::Error::NodesLimitReached => format!("it has more than {NODES_MAX} elements and texts"),
            // Its own words may quote what stands there.
            _ => format!("no XML: line {}, column {}", at.row, at.col),
        }
    })
}

/// The encoding that the declaration names, if it is another than the one everything here is in.
fn other_encoding(text: &str) -> Option<&'static str> {
    let declaration = text.strip_prefix("<?xml")?.split("?>").next()?;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?.trim_start();
    let value = value.strip_prefix(['"', '\''])?.split(['"', '\'']).next()?;
    let known = ["utf-8", "us-ascii", "ascii"].iter().any(|k| value.eq_ignore_ascii_case(k));
    (!known).then_some("another encoding")
}

/// The text of an element that holds nothing but text; `None` where elements stand in it.
pub fn text_of(element: Node<'_, '_>) -> Option<String> {
    let mut text = String::new();
    for child in element.children() {
        if child.is_element() {
            return None;
        }
        if child.is_text() {
            text.push_str(child.text().unwrap_or_default());
        }
    }
    Some(text)
}

/// A name as XML has them, without a prefix.
pub fn is_name(text: &str) -> bool {
    text.len() <= 200
        && text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_have_to_be_guessed_or_fetched_is_not_read() {
        for bad in [
            &b"<a>"[..],
            b"<a></b>",
            b"<a b=1/>",
            b"<a>&nbsp;</a>",
            b"<a>&#1;</a>",
            b"<a>\x01</a>",
            b"<a>\xe9</a>",
            b"<!DOCTYPE a><a/>",
            b"<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>",
            b"<?xml version='1.0' encoding='ISO-8859-1'?><a/>",
            b"<p:a/>",
            b"<a/><b/>",
            b"",
            b"HTTP",
        ] {
            assert!(read(bad).is_err(), "{}", String::from_utf8_lossy(bad));
        }
        for good in
            [&b"\xef\xbb\xbf<a/>"[..], b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<a/>", b"<a xmlns='urn:x'/>"]
        {
            assert!(read(good).is_ok(), "{}", String::from_utf8_lossy(good));
        }
    }

    #[test]
    fn no_fault_quotes_the_document() {
        let said = read(b"<a>9990000018&Testpatient;</a>").expect_err("an unknown entity");
        assert!(said.starts_with("no XML: line 1") && !said.contains("Testpatient"), "{said}");
    }
}
