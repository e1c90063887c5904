//! Reads the accepted text back from the body that was made: what does not come back exactly is not sent.

use super::super::fault::suggest;
use super::super::fhir::json;
use super::super::table::{Reader, TomlFile};
use super::super::xml::{self, Namespaces};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json_path::JsonPath;
use toml::de::DeTable;

/// The id of the XHTML element that holds the accepted text alone.
pub const TEXT_ELEMENT: &str = "ips-text";

/// How the text is written there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextForm {
    Text,
    Base64,
    /// XHTML in base64: the content of the element with the id [`TEXT_ELEMENT`], a line break for each `<br/>`.
    Base64Xhtml,
}

impl TextForm {
    pub const ALL: [(&'static str, Self); 3] =
        [("text", Self::Text), ("base64", Self::Base64), ("base64_xhtml", Self::Base64Xhtml)];
}

/// The one place it stands in.
#[derive(Debug, Clone)]
pub enum Place {
    Json(JsonPath),
    Xml(xml::Path),
}

/// Where the accepted text stands.
#[derive(Debug, Clone)]
pub struct TextAt {
    pub place: Place,
    pub form: TextForm,
    /// The text follows a head of lines; the first empty line parts them.
    pub after_head: bool,
}

impl TextAt {
    /// `text_at = { path = "$.…", as = "base64", after_head = true }`; `namespaces`: those of an XML pack, whose paths are of another kind.
    pub fn from_row(
        file: &TomlFile<'_>,
        table: &DeTable<'_>,
        line: u32,
        namespaces: Option<&Namespaces>,
    ) -> Option<Self> {
        let r = Reader::new(file, table, line, "`text_at`");
        let place = match namespaces {
            None => r.required("path", "$.content[0].attachment.data").and_then(|(text, at)| {
                let path = JsonPath::parse(&text).map_err(|e| {
                    let what = format!("\"{text}\" is not a JSONPath: {}", e.message());
                    file.fault_at(at, what, "write it as in RFC 9535: $.a[0].b");
                });
                path.ok().map(Place::Json)
            }),
            Some(namespaces) => r
                .required("path", "/Envelope/Body/CreateNote/Text")
                .and_then(|(text, at)| xml::path_in(file, &text, at, namespaces))
                .map(Place::Xml),
        };
        let form = r.required("as", "text").and_then(|(word, at)| {
            let form = TextForm::ALL.iter().find(|(name, _)| *name == word).map(|(_, form)| *form);
            if form.is_none() {
                let known = TextForm::ALL.iter().map(|(n, _)| *n);
                file.fault_at(at, format!("`as` cannot be \"{word}\""), suggest(&word, known));
            }
            form
        });
        let after_head = r.flag("after_head").unwrap_or(false);
        r.finish();
        Some(Self { place: place?, form: form?, after_head })
    }

    /// In a document of XML: the path, and how many things stand there.
    pub fn found(&self, document: &roxmltree::Document<'_>) -> Option<(&str, usize)> {
        match &self.place {
            Place::Xml(path) => Some((path.shown(), path.find(document, None).map_or(usize::MAX, |all| all.len()))),
            Place::Json(_) => None,
        }
    }

    /// The text as a reader of the body gets it; `None` when it is not there, not once, or not readable.
    pub fn read(&self, body: &[u8]) -> Option<String> {
        let leaf = match &self.place {
            Place::Json(path) => path.query(&json::read(body).ok()?).exactly_one().ok()?.as_str()?.to_owned(),
            Place::Xml(path) => path.exactly_one(&xml::read(body).ok()?)?,
        };
        let text = match self.form {
            TextForm::Text => leaf,
            TextForm::Base64 => decoded(&leaf)?,
            TextForm::Base64Xhtml => text_of(&decoded(&leaf)?)?,
        };
        if !self.after_head {
            return Some(text);
        }
        match text.strip_prefix('\n') {
            Some(rest) => Some(rest.to_owned()),
            None => text.split_once("\n\n").map(|(_, rest)| rest.to_owned()),
        }
    }
}

fn decoded(base64: &str) -> Option<String> {
    String::from_utf8(BASE64_STANDARD.decode(base64).ok()?).ok()
}

/// The text of the one element with our id. Nothing but text and line breaks may stand in it.
fn text_of(xhtml: &str) -> Option<String> {
    let document = xml::read_page(xhtml).ok()?;
    let mut found = document.descendants().filter(|n| n.attribute("id") == Some(TEXT_ELEMENT));
    let element = found.next().filter(|_| found.next().is_none())?;
    let mut text = String::new();
    for child in element.children() {
        match (child.is_text(), child.tag_name().name() == "br") {
            (true, _) => text.push_str(child.text().unwrap_or_default()),
            (false, true) if !child.has_children() => text.push('\n'),
            _ => return None,
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bytes(body: serde_json::Value) -> Vec<u8> {
        body.to_string().into_bytes()
    }

    fn read(form: TextForm, after_head: bool, data: &str) -> Option<String> {
        let path = JsonPath::parse("$.content[*].data").expect("a path");
        let data = if form == TextForm::Text { data.to_owned() } else { BASE64_STANDARD.encode(data) };
        TextAt { place: Place::Json(path), form, after_head }.read(&bytes(json!({"content": [{"data": data}]})))
    }

    #[test]
    fn the_text_is_what_follows_the_head() {
        assert_eq!(read(TextForm::Base64, true, "a\nb\n\ntext\n\nmore\n").as_deref(), Some("text\n\nmore\n"));
        assert_eq!(read(TextForm::Base64, true, "\ntext").as_deref(), Some("text"), "a head without lines");
        assert_eq!(read(TextForm::Base64, true, "no empty line\ntext"), None);
        assert_eq!(read(TextForm::Text, false, " text ").as_deref(), Some(" text "));
    }

    #[test]
    fn xhtml_is_read_as_a_parser_reads_it() {
        let page = |inner: &str| {
            format!(
                "<html xmlns=\"http://www.w3.org/1999/xhtml\"><body><div id=\"ips-text\">{inner}</div></body></html>"
            )
        };
        let of = |inner: &str| read(TextForm::Base64Xhtml, false, &page(inner));
        assert_eq!(of("a &lt;b&gt; &amp;<br/><br/>  c").as_deref(), Some("a <b> &\n\n  c"));
        assert_eq!(of("a<b>c</b>"), None, "markup from a value would be lost");
        assert_eq!(of("a<br>"), None, "not well-formed");
        assert_eq!(read(TextForm::Base64Xhtml, false, "<div/>"), None);
    }

    #[test]
    fn a_text_that_stands_twice_or_is_no_text_is_not_read() {
        let path = JsonPath::parse("$..data").expect("a path");
        let at = TextAt { place: Place::Json(path), form: TextForm::Text, after_head: false };
        assert_eq!(at.read(&bytes(json!({"data": "x", "b": {"data": "x"}}))), None);
        assert_eq!(at.read(&bytes(json!({"data": 1}))), None);
        assert_eq!(TextAt { form: TextForm::Base64, ..at }.read(&bytes(json!({"data": "%"}))), None);
    }
}
