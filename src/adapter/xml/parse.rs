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

/// A message, with what could not be read of it.
pub fn parse(pack: &Pack, bytes: &[u8], around: &Around<'_>) -> Result<(Parsed, Vec<FieldFault>), ParseError> {
    let document = read(bytes).map_err(ParseError::Unreadable)?;
    let message = message(&document)?;
    let message_type = message.tag_name().name().to_owned();
    let entry = pack.manifest.parse.iter().find(|p| p.message == message_type);
    let map = entry.and_then(|e| Some((e, pack.tree_maps.get(&e.map)?)));
    let Some((entry, map)) = map else {
        let shown = is_name(&message_type) && message_type.chars().count() <= NAME_CHARS_MAX;
        return Err(ParseError::NoMap(if shown { message_type } else { "an element of that name".into() }));
    };
    let (mapped, mut faults) = map.apply(Scope::of_document(&document), around);
    let id = entry.id.as_ref().map(|path| (path, path.value(&document)));
    if let Some((path, Err(Unclear))) = &id {
        let what = "has several different values, or one with elements in it".into();
        faults.push(FieldFault { field: "id".into(), from: path.shown().into(), what });
    }
    let id = id.and_then(|(_, value)| value.ok().flatten()).unwrap_or_default();
    let control_id = id.chars().filter(|c| !c.is_control()).take(CONTROL_ID_CHARS_MAX).collect();
    let Mapped { value, nulls } = mapped;
    Ok((Parsed { message_type, control_id, makes: map.makes.clone(), value, nulls }, faults))
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
