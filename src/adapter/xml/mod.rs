//! Packs that speak XML over HTTP, SOAP among it: text templates, paths into what was made and what comes back, what replies mean. Pure: no
//! network.

mod answer;
mod bounds;
mod lookup;
mod named;
mod parse;
mod path;
mod places;
mod read;
mod read_back;
mod render;
mod reply;
mod tags;

pub use answer::{Answers, Said, plain};
pub use lookup::AnswerAt;
pub use parse::Peeked;
pub(super) use parse::parse;
pub use path::{Found, Namespaces, Path, Unclear};
pub use places::check as check_places;
use read::read_placed;
pub use read::{is_name, read, read_page, text_of};
pub use read_back::{ReadBack as XmlReadBack, question, question_for};
pub(super) use render::render;
pub use reply::{Echo, XmlRules};

use super::fault::Faults;
use super::table::TomlFile;
use toml::de::DeTable;

/// The text of a file under `templates/`: XML, in which a line that holds nothing but tags makes no line.
pub fn template(path: &str, text: String, faults: &mut Faults) -> Option<String> {
    if path.ends_with(".xml") {
        return Some(text);
    }
    faults.add(path, 0, "is not a template of an xml pack", "name it .xml");
    None
}

/// A path of a TOML file; one that is none is a fault.
pub fn path_in(file: &TomlFile<'_>, text: &str, line: u32, namespaces: &Namespaces) -> Option<Path> {
    Path::parse(text, namespaces)
        .map_err(|e| file.fault_at(line, format!("path \"{text}\": {} at character {}", e.what, e.column), e.hint))
        .ok()
}

/// One that begins at the document.
pub fn path_of_document(file: &TomlFile<'_>, (text, line): (String, u32), namespaces: &Namespaces) -> Option<Path> {
    let path = path_in(file, &text, line, namespaces)?;
    if path.is_from_element() {
        file.fault_at(line, format!("path \"{text}\" begins at no element"), "begin it with /");
    }
    Some(path)
}

/// One that begins at an element which the path under the key `whose` finds.
pub fn path_of_element(
    file: &TomlFile<'_>,
    (text, line): (String, u32),
    whose: &str,
    namespaces: &Namespaces,
) -> Option<Path> {
    let path = path_in(file, &text, line, namespaces)?;
    if !path.is_from_element() {
        file.fault_at(line, format!("path \"{text}\" is not of what `{whose}` finds"), "begin it with ./");
    }
    Some(path)
}

/// `[namespaces]`: the prefixes that paths use.
pub fn namespaces(file: &TomlFile<'_>, table: &DeTable<'_>) -> Namespaces {
    let mut all = Namespaces::default();
    for (key, value) in table {
        let line = file.line(key.span());
        match value.get_ref().as_str().filter(|uri| !uri.is_empty()) {
            Some(uri) if is_name(key.get_ref()) => all.add(key.get_ref(), uri),
            _ => file.fault_at(
                line,
                format!("\"{}\" in [namespaces] is no prefix with a namespace", key.get_ref()),
                "write soap = \"http://schemas.xmlsoap.org/soap/envelope/\"",
            ),
        }
    }
    all
}

#[cfg(test)]
mod tests;
