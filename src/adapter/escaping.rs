//! Which template escapes how: its file's ending says it, and a template includes only parts of the same ending.

use super::document::page;
use super::hl7::{
    Delimiters,
    escape::{LineFeeds, escape},
};
use super::stop::Stop;
use super::xml;

/// How values are escaped in a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escaping {
    Hl7,
    Page,
    Xml,
    /// A field of a comma-separated line.
    Csv,
    /// `key=value` lines: nothing to escape, so no line break can be carried.
    Plain,
}

const ENDINGS: [(&str, Escaping); 5] = [
    ("hl7", Escaping::Hl7),
    ("page", Escaping::Page),
    ("xml", Escaping::Xml),
    ("csv", Escaping::Csv),
    ("txt", Escaping::Plain),
];

impl Escaping {
    /// By the template's name; HL7 where the ending says nothing else.
    pub fn of(template: &str) -> Self {
        let ending = template.rsplit_once('.').map_or("", |(_, e)| e);
        ENDINGS.iter().find(|(e, _)| *e == ending).map_or(Self::Hl7, |(_, how)| *how)
    }

    /// As minijinja carries it through a rendering.
    pub fn word(self) -> &'static str {
        ENDINGS.iter().find(|(_, how)| *how == self).map_or("hl7", |(word, _)| word)
    }

    pub fn named(word: &str) -> Self {
        ENDINGS.iter().find(|(e, _)| *e == word).map_or(Self::Hl7, |(_, how)| *how)
    }

    pub fn escape(self, text: &str) -> Result<String, Stop> {
        let one_line = |what: &str| {
            Stop::NotCarriable(format!("a field of {what} is one line only, and a value has a line break"))
        };
        match self {
            Self::Hl7 => escape(text, &Delimiters::STANDARD, LineFeeds::Refuse)
                .map(|t| t.into_owned())
                .map_err(|e| Stop::NotCarriable(e.to_string())),
            Self::Page => Ok(page::escape(text)),
            Self::Xml => in_xml(text),
            Self::Csv if text.contains(['\n', '\r']) => Err(one_line("a comma-separated file")),
            Self::Csv if text.contains([',', '"', ';', '\t']) => Ok(format!("\"{}\"", text.replace('"', "\"\""))),
            Self::Csv => Ok(text.to_owned()),
            Self::Plain if text.contains(['\n', '\r']) => Err(one_line("a key=value file")),
            Self::Plain => Ok(text.to_owned()),
        }
    }

    /// Whether the finished file can be read as what it is.
    pub fn reads(self, file: &str) -> bool {
        match self {
            Self::Xml => xml::read(file.as_bytes()).is_ok(),
            Self::Csv => {
                let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(file.as_bytes());
                let rows: Result<Vec<_>, _> = reader.records().collect();
                rows.is_ok_and(|rows| !rows.is_empty())
            }
            Self::Plain => file.lines().all(|l| l.split_once('=').is_some_and(|(k, _)| !k.trim().is_empty())),
            Self::Hl7 | Self::Page => false,
        }
    }
}

/// Good in text and in attributes. XML 1.0 has no way to write some control characters and two last characters of a plane.
fn in_xml(text: &str) -> Result<String, Stop> {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\r' => out.push_str("&#13;"),
            '\u{0}'..='\u{1F}' | '\u{FFFE}' | '\u{FFFF}' => {
                return Err(Stop::NotCarriable(format!("U+{:04X} cannot stand in XML", u32::from(c))));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_leaves_its_place_in_any_kind_of_file() {
        let nasty = "a<b> & \"c\", 'd'; ]]>\ttab";
        let read = format!("<r a=\"{0}\">{0}</r>", Escaping::Xml.escape(nasty).expect("escapes"));
        let read = roxmltree::Document::parse(&read).expect("XML");
        assert_eq!((read.root_element().text(), read.root_element().attribute("a")), (Some(nasty), Some(nasty)));
        let line = format!("x,{},y\r\n", Escaping::Csv.escape(nasty).expect("escapes"));
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
        assert_eq!(&reader.records().next().expect("a row").expect("reads")[1], nasty);
        for how in [Escaping::Csv, Escaping::Plain, Escaping::Hl7] {
            assert!(matches!(how.escape("a\nb"), Err(Stop::NotCarriable(_))), "{how:?}");
        }
        assert!(Escaping::Xml.escape("a\u{1}").is_err());
        assert!(!Escaping::Xml.reads("<a><b></a>") && Escaping::Xml.reads("<a/>"));
        assert!(!Escaping::Plain.reads("no equals sign") && Escaping::Plain.reads("a=b\n"));
        assert!(!Escaping::Csv.reads("a,b\nc\n") && Escaping::Csv.reads("a,b\nc,d\n"));
    }
}
