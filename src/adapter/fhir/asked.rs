//! What was asked of the record, held against the resource that it shows: the same document, of the same person, with the same text. What it does not show
//! says nothing.

use super::resource::{Identifier, identifiers, type_and_id, type_of};
use crate::transport::http_message::{Method, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// What a rendered request asks for, as far as its reply has to be held against it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: Method,
    pub kind: String,
    /// For PUT: the id in the target.
    pub id: Option<String>,
    /// The first identifier of what is sent: it names this very document, and no other.
    pub identifier: Option<Identifier>,
    pub status: Option<String>,
    body: Value,
}

/// Whose a resource of the record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    TheSame,
    SomebodyElse,
    /// It does not say, or in a way that cannot be compared.
    Unsaid,
}

impl Asked {
    /// Whether it is put under an id of our own choice, made of its own document's: there nothing stands before. What replaces or withdraws another goes
    /// to that one's id.
    pub fn creates(&self) -> bool {
        let (Some(id), Some(own)) = (&self.id, &self.identifier) else { return false };
        let own = own.value.to_ascii_lowercase();
        !own.is_empty() && id.to_ascii_lowercase().contains(&own)
    }

    /// From the bytes of a rendering; `None` when they are no request with a resource.
    pub fn of(request: &[u8]) -> Option<Self> {
        let request = Request::parse(request).ok()?;
        let body = super::json::read(&request.body).ok()?;
        let path = request.target.split('?').next().unwrap_or_default();
        Some(Self {
            method: request.method,
            kind: type_of(&body)?.to_owned(),
            id: type_and_id(path).map(|(_, id)| id.to_owned()),
            identifier: identifiers(&body).into_iter().next(),
            status: text(&body, "/status").map(str::to_owned),
            body,
        })
    }

    /// Whether a resource of the record is about the person that ours is about: `subject`, or `for` in a Task.
    pub fn whose(&self, other: &Value) -> Whose {
        let Some(ours) = subject(&self.body) else { return Whose::TheSame };
        let Some(theirs) = subject(other) else { return Whose::Unsaid };
        let number = |v| Some((text(v, "/identifier/system")?.to_ascii_lowercase(), text(v, "/identifier/value")?));
        let reference = |v| text(v, "/reference").and_then(type_and_id);
        match (number(ours), number(theirs)) {
            (Some(a), Some(b)) if a == b => return Whose::TheSame,
            (Some((system, _)), Some((other, _))) if system == other => return Whose::SomebodyElse,
            // A system of another name may hold the same number.
            (Some(_), Some(_)) => return Whose::Unsaid,
            _ => {}
        }
        match (reference(ours), reference(theirs)) {
            (Some(a), Some(b)) if a == b => Whose::TheSame,
            (Some(_), Some(_)) => Whose::SomebodyElse,
            _ => Whose::Unsaid,
        }
    }

    /// What a resource that should be ours says of itself that ours does not, in words that are safe to show. `None`: nothing.
    pub fn contradicted_by(&self, shown: &Value) -> Option<&'static str> {
        let carries = || self.identifier.as_ref().is_some_and(|own| identifiers(shown).contains(own));
        let differs =
            |at| text(shown, at).is_some_and(|theirs| text(&self.body, at).is_some_and(|ours| ours != theirs));
        if differs("/status") {
            return Some("with another status");
        }
        if differs("/docStatus") {
            return Some("with another docStatus");
        }
        if !identifiers(shown).is_empty() && !carries() {
            return Some("with another identifier");
        }
        (self.text_of(shown) == Some(false)).then_some("with another text")
    }

    /// Whether the text of a document is the one that was sent; `None`: it shows none. Where it has several, one that is ours is enough: a record may add a
    /// form of its own.
    fn text_of(&self, shown: &Value) -> Option<bool> {
        let ours: Vec<&Value> = attachments(&self.body).collect();
        if ours.is_empty() {
            return None;
        }
        let mut said = None;
        for theirs in attachments(shown) {
            let agrees = ours.iter().filter_map(|ours| same_text(ours, theirs)).reduce(|a, b| a || b);
            said = match (said, agrees) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (_, Some(false)) => Some(false),
                (before, None) => before,
            };
        }
        said
    }

    /// Whether a document that should hold a text has no place for one.
    pub fn lacks_text(&self, shown: &Value) -> bool {
        // Where the record says that it left parts out, what is not there says nothing.
        let tags = shown.pointer("/meta/tag").and_then(Value::as_array).into_iter().flatten();
        let is_part = tags.filter_map(|t| text(t, "/code")).any(|code| code == "SUBSETTED");
        attachments(&self.body).next().is_some() && attachments(shown).next().is_none() && !is_part
    }
}

fn text<'v>(value: &'v Value, at: &str) -> Option<&'v str> {
    value.pointer(at).and_then(Value::as_str)
}

fn subject(resource: &Value) -> Option<&Value> {
    resource.get("subject").or_else(|| resource.get("for"))
}

fn attachments(resource: &Value) -> impl Iterator<Item = &Value> {
    resource.get("content").and_then(Value::as_array).into_iter().flatten().filter_map(|c| c.get("attachment"))
}

/// By the bytes, else by their hash, else by how many they are; `None`: nothing of that can be compared.
fn same_text(ours: &Value, theirs: &Value) -> Option<bool> {
    let data = |a| text(a, "/data").map(|d| d.split_ascii_whitespace().collect::<String>());
    if let (Some(a), Some(b)) = (data(ours), data(theirs)) {
        let bytes = |text: &str| STANDARD.decode(text).ok();
        return Some(a == b || bytes(&a).is_some_and(|a| bytes(&b) == Some(a)));
    }
    if let (Some(a), Some(b)) = (text(ours, "/hash"), text(theirs, "/hash")) {
        return Some(a == b);
    }
    let size = |a: &Value| a.get("size").and_then(Value::as_u64);
    size(ours).zip(size(theirs)).map(|(a, b)| a == b)
}

#[cfg(test)]
#[path = "asked_tests.rs"]
mod tests;
