//! Documents: what a page template prints, as a PDF or as plain text.
//!
//! ```text
//! page template -> elements -> lines -> pages -> PDF -> read back by another library, compared
//! ```
//!
//! Exact means: every character of the accepted text is in the document's text layer, in its place, and what a reader copies or searches is
//! what was accepted. Line breaks of the layout are no line breaks of the text: a line that goes on says so. What the font cannot show
//! is refused.

pub mod entry;
mod glyphs;
mod layout;
pub mod page;
mod read;
mod write;

use super::stop::Stop;
use glyphs::Glyphs;
use layout::Refused;
use page::{Element, Kind};

/// What a document is made as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    Pdf,
    Text,
}

impl DocumentKind {
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "pdf" => Some(Self::Pdf),
            "text" => Some(Self::Text),
            _ => None,
        }
    }

    /// As file names end.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Text => "txt",
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Text => "text/plain",
        }
    }
}

/// The document's bytes, proved to hold its text exactly.
///
/// # Errors
/// A character the font lacks, more pages than there may be, or a text that does not come back.
pub fn make(kind: DocumentKind, elements: &[Element]) -> Result<Vec<u8>, Stop> {
    let text = elements.iter().find(|e| e.kind == Kind::Text).map(|e| e.text.as_str());
    match kind {
        DocumentKind::Text => Ok(page::plain(elements).replace('\n', "\r\n").into_bytes()),
        DocumentKind::Pdf => {
            let bytes = pdf(elements)?;
            match (read::text(&bytes), text) {
                (Some(read), text) if read == text.unwrap_or_default() => Ok(bytes),
                _ => Err(Stop::NotCarriable("the text cannot be read back exactly from the document".into())),
            }
        }
    }
}

fn pdf(elements: &[Element]) -> Result<Vec<u8>, Stop> {
    let mut glyphs = Glyphs::default();
    let pages = layout::pages(elements, &mut glyphs).map_err(|refused| match refused {
        Refused::NoGlyph { element, glyph } => {
            let place = match elements.get(element).map(|e| e.kind) {
                Some(Kind::Text) => format!("in the text, at character {}", glyph.at),
                _ => "outside the text, in a name, heading or other field".to_owned(),
            };
            Stop::NotCarriable(format!("{place}: U+{:04X}, which the document's font cannot show", glyph.code))
        }
        Refused::TooManyPages => {
            Stop::NotCarriable(format!("it would be more than {} pages; split the entry", layout::PAGES_MAX))
        }
    })?;
    let title = elements.iter().find(|e| e.kind == Kind::Title).map_or("", |e| e.text.as_str());
    Ok(write::write(title, &pages, &glyphs))
}

/// What a document says, a line each, for people and for comparing.
pub fn shown(bytes: &[u8]) -> Option<String> {
    let lines = read::read(bytes)?;
    Some(lines.into_iter().map(|(tag, line)| format!("{}|{line}\n", tag.to_uppercase())).collect())
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
