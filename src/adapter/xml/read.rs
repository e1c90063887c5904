//! Reading XML that others wrote, and our own before it leaves: well-formed, UTF-8, no DTD, so that there is nothing in it that is not written
//! out where it stands. Everything of ours that reads XML comes through here: the parser's time grows with the square of some things and the cube
//! of others, so they are counted first (`bounds.rs`).

use super::bounds;
use roxmltree::{Document, Error, Node, ParsingOptions};

/// Largest document, in bytes.
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// Elements, texts and comments of one document.
const NODES_MAX: u32 = 200_000;

/// Why bytes are no document, without a word of what stands in them.
#[derive(Debug)]
pub struct NotRead {
    pub what: String,
    /// Line and column, from 1.
    pub at: Option<(u32, u32)>,
}

impl std::fmt::Display for NotRead {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "no XML: line {line}, column {column}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl From<String> for NotRead {
    fn from(what: String) -> Self {
        Self { what, at: None }
    }
}

/// A document, or why it is none, without a word of what stands in it.
pub fn read(bytes: &[u8]) -> Result<Document<'_>, String> {
    read_placed(bytes).map_err(|e| e.to_string())
}

/// The same, with the place of the fault for itself.
pub fn read_placed(bytes: &[u8]) -> Result<Document<'_>, NotRead> {
    if bytes.len() > BYTES_MAX {
        return Err(format!("it is longer than {BYTES_MAX} bytes").into());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(other) = other_encoding(text) {
        return Err(format!("it says that it is in {other}, and only UTF-8 is read").into());
    }
    if text.contains("<!DOCTYPE") {
        return Err("it has a document type (DTD), which is not read".to_owned().into());
    }
    parsed(text, ParsingOptions::default())
}

/// A page of XHTML that was made here: it may say which document type it is, and nothing of that is fetched.
pub fn read_page(text: &str) -> Result<Document<'_>, String> {
    parsed(text, ParsingOptions { allow_dtd: true, ..ParsingOptions::default() }).map_err(|e| e.to_string())
}

fn parsed<'t>(text: &'t str, options: ParsingOptions<'t>) -> Result<Document<'t>, NotRead> {
    bounds::hold(text, options.allow_dtd)?;
    Document::parse_with_options(text, ParsingOptions { nodes_limit: NODES_MAX, ..options }).map_err(|e| {
        let at = e.pos();
        match e {
            Error::NodesLimitReached => format!("it has more than {NODES_MAX} elements and texts").into(),
            e => NotRead { what: kind(&e).into(), at: Some((at.row, at.col)) },
        }
    })
}

/// In fixed words: the parser's own may quote what stands there.
fn kind(e: &Error) -> &'static str {
    match e {
        Error::UnexpectedCloseTag(..) => "a tag is closed that is not the one that is open",
        Error::UnclosedRootNode => "an element is not closed",
        Error::NoRootNode => "there is no element",
        Error::UnknownNamespace(..) => "a prefix has no xmlns for it",
        Error::InvalidXmlPrefixUri(_)
        | Error::UnexpectedXmlUri(_)
        | Error::UnexpectedXmlnsUri(_)
        | Error::InvalidElementNamePrefix(_)
        | Error::DuplicatedNamespace(..) => "a namespace is declared twice, or as it may not be",
        Error::DuplicatedAttribute(..) => "an attribute stands twice",
        Error::InvalidAttributeValue(_) => "an attribute's value holds a <",
        Error::UnknownEntityReference(..) => "an entity that XML does not have (such as &nbsp;; write &#160;)",
        Error::MalformedEntityReference(_) => "an & that begins no entity; write &amp;",
        Error::InvalidName(_) => "a name that is none",
        Error::NonXmlChar(..) => "a character that XML does not have",
        Error::UnexpectedDeclaration(_) => "an XML declaration that is not at the beginning",
        Error::InvalidComment(_) => "a comment with -- in it",
        Error::UnexpectedEndOfStream => "it ends too early",
        _ => "something stands where it may not",
    }
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
