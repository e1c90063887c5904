//! A message of XML in our words: the element that is the message says which map reads it.

use super::super::fhir::map::Scope;
use super::super::map::{Around, FieldFault, Mapped};
use super::super::pack::{Pack, ParseError, Parsed};
use super::{Unclear, is_name, read};
use roxmltree::{Document, Node};

/// Longest control id kept as such, in characters.
const CONTROL_ID_CHARS_MAX: usize = 200;
/// Longest name of a message that is shown, in characters.
const NAME_CHARS_MAX: usize = 60;

/// What a message of XML shows before a map is asked.
#[derive(Clone, PartialEq, Eq)]
pub struct Peeked {
    /// The element that is the message; `?` where its name is none that is shown.
    pub message_type: String,
    /// Where the pack says that it names itself; empty: nothing, or several.
    pub control_id: String,
}

impl Pack {
    /// Which message of XML this is.
    pub fn peek_xml(&self, bytes: &[u8]) -> Result<Peeked, ParseError> {
        let document = read(bytes).map_err(ParseError::Unreadable)?;
        let message = message(&document)?;
        let message_type = message.tag_name().name();
        let entry = self.manifest.parse.iter().find(|p| p.message == message_type);
        let id = entry.and_then(|e| e.id.as_ref()?.value(&document).ok().flatten()).unwrap_or_default();
        let message_type = if is_shown(message_type) { message_type.to_owned() } else { "?".to_owned() };
        Ok(Peeked { message_type, control_id: short(&id) })
    }
}

/// A message, with what could not be read of it.
pub fn parse(pack: &Pack, bytes: &[u8], around: &Around<'_>) -> Result<(Parsed, Vec<FieldFault>), ParseError> {
    let document = read(bytes).map_err(ParseError::Unreadable)?;
    let message = message(&document)?;
    let message_type = message.tag_name().name().to_owned();
    let entry = pack.manifest.parse.iter().find(|p| p.message == message_type);
    let map = entry.and_then(|e| Some((e, pack.tree_maps.get(&e.map)?)));
    let Some((entry, map)) = map else {
        let named = if is_shown(&message_type) { message_type } else { "an element of that name".into() };
        return Err(ParseError::NoMap(named));
    };
    let (mapped, mut faults) = map.apply(Scope::of_document(&document), around);
    let mut id = String::new();
    if let Some(path) = &entry.id {
        let what = match path.value(&document) {
            Err(Unclear) => Some("has several different values, or one with elements in it"),
            // Without it neither side can tell a repeat.
            Ok(None) => Some("is required, and was not sent"),
            Ok(Some(named)) => {
                id = named;
                None
            }
        };
        faults.extend(what.map(|what| FieldFault { field: "id".into(), from: path.shown().into(), what: what.into() }));
    }
    let control_id = short(&id);
    let Mapped { value, nulls, in_words } = mapped;
    Ok((
        Parsed { message_type, control_id, makes: map.makes.clone(), value, nulls, in_words, elsewhere: Vec::new() },
        faults,
    ))
}

fn short(id: &str) -> String {
    id.chars().filter(|c| !c.is_control()).take(CONTROL_ID_CHARS_MAX).collect()
}

fn is_shown(message_type: &str) -> bool {
    is_name(message_type) && message_type.chars().count() <= NAME_CHARS_MAX
}

/// The element that is the message: the root, or the one thing in the body of a SOAP envelope.
fn message<'a, 'i>(document: &'a Document<'i>) -> Result<Node<'a, 'i>, ParseError> {
    let root = document.root_element();
    if root.tag_name().name() != "Envelope" {
        return Ok(root);
    }
    let elements = |n: Node<'a, 'i>| n.children().filter(Node::is_element);
    let mut bodies = elements(root).filter(|n| n.tag_name().name() == "Body");
    let unreadable = |why: &str| Err(ParseError::Unreadable(why.into()));
    let (Some(body), None) = (bodies.next(), bodies.next()) else { return unreadable("an Envelope without one Body") };
    let mut inside = elements(body);
    match (inside.next(), inside.next()) {
        (Some(one), None) => Ok(one),
        (None, _) => unreadable("an Envelope whose Body is empty"),
        (Some(_), Some(_)) => unreadable("an Envelope whose Body holds several elements, of which each could be meant"),
    }
}
