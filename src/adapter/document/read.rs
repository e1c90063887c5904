//! The text of a document of ours, read back by another hand than the one that wrote it.

use lopdf::content::Content;
use lopdf::{Document, Object};

/// The lines of a document's text layer: what each is (`Title`, `Patient`, `Heading`, `Line`, `Text`) and its text, in order. What only
/// repeats on pages is left out.
pub fn read(pdf: &[u8]) -> Option<Vec<(String, String)>> {
    let document = Document::load_mem(pdf).ok()?;
    let mut lines: Vec<(String, String)> = Vec::new();
    for page in document.get_pages().into_values() {
        let fonts = document.get_page_fonts(page).ok()?;
        let encoding = fonts.values().next()?.get_font_encoding(&document).ok()?;
        let bytes = document.get_page_content(page);
        let mut tag = String::new();
        for operation in Content::decode(&bytes).ok()?.operations {
            match (operation.operator.as_str(), operation.operands.first()) {
                ("BMC", Some(Object::Name(name))) => {
                    tag = String::from_utf8(name.clone()).ok()?;
                    if tag != "Artifact" && !tag.ends_with("More") {
                        lines.push((tag.clone(), String::new()));
                    }
                }
                ("Tj", Some(Object::String(shown, _))) if tag != "Artifact" => {
                    lines.last_mut()?.1.push_str(&Document::decode_text(&encoding, shown).ok()?);
                }
                _ => {}
            }
        }
    }
    Some(lines)
}

/// The accepted text as the document has it.
pub fn text(pdf: &[u8]) -> Option<String> {
    let lines = read(pdf)?;
    let text: Vec<&str> = lines.iter().filter(|(tag, _)| tag == "Text").map(|(_, line)| line.as_str()).collect();
    Some(text.join("\n"))
}
