//! `[[endpoint.listen.accept]]` and `[[endpoint.listen_https.accept]]`: which of a trust's messages are for us.

use super::section::Section;
use super::tree::Node;
use super::trust::Trust;
use super::values::{Parsed, boolean, named, text, wrong};
use crate::domain::accept::{Accept, AcceptRule, names};
use crate::domain::organisation::TeamId;

/// Rules of one listener.
const MAX_RULES: usize = 50;

/// How a listener's messages name their type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Types {
    Hl7,
    /// Resources, or elements of XML: which of the two the pack says.
    Http,
}

pub(super) fn read(listen: &mut Section<'_>, owner: Option<&Trust>, types: Types) -> Accept {
    let mut rules: Vec<AcceptRule> = Vec::new();
    for mut s in listen.tables("accept") {
        let name = s.required("name", "write a name to count by, e.g. \"patients\"", rule_name);
        let messages = match types {
            Types::Hl7 => {
                let hint = "list the types it judges, e.g. [\"ADT^A31\", \"ADT^A40\"], or [\"ADT^*\"]";
                s.required_list("messages", hint, message_type)
            }
            Types::Http => {
                s.required_list("messages", "list the resources it judges, e.g. [\"Patient\"]", resource_or_element)
            }
        };
        let teams: Vec<TeamId> = s.list("teams", "[]", named(TeamId::parse));
        if let Some(owner) = owner {
            for team in teams.iter().filter(|t| !owner.teams.iter().any(|o| o.id == **t)) {
                let what = format!("names \"{team}\", which is no team of {}", owner.ods);
                s.fault("teams", what, "use the ids of the trust's teams");
            }
        }
        let known_patients_only = s.or("known_patients_only", "false", boolean);
        let Some(name) = name else { continue };
        for message in &messages {
            let dead = rules.iter().find(|r| r.messages.iter().any(|m| covers(m, message)));
            if let Some(first) = dead {
                let what = format!(
                    "lists {message}, which rule \"{}\" above it judges already: this one never does",
                    first.name
                );
                s.fault("messages", what, "what rule takes what goes by the type alone, first come; put teams that are for one type into one rule");
            }
        }
        if rules.iter().any(|r| r.name == name) {
            s.fault("name", format!("is \"{name}\", as another rule's"), "give each rule a name of its own");
        }
        rules.push(AcceptRule { name, messages, known_patients_only, teams });
    }
    if rules.len() > MAX_RULES {
        listen.fault("accept", format!("has more than {MAX_RULES} rules"), "join some of them");
        rules.truncate(MAX_RULES);
    }
    Accept { rules }
}

/// Whether whatever the one pattern names, the other names as well.
fn covers(wide: &str, pattern: &str) -> bool {
    match (wide.strip_suffix("^*"), pattern.strip_suffix("^*")) {
        (Some(_), Some(_)) | (None, _) => wide == pattern,
        (Some(_), None) => names(wide, pattern),
    }
}

/// Not in brackets: those are the bridge's own.
fn rule_name(node: &Node) -> Parsed<String> {
    let name = text(60)(node)?;
    if name.starts_with('(') {
        return wrong("begins with a bracket, as the bridge's own rules do", "write e.g. \"patients\"");
    }
    Ok(name)
}

/// `ADT^A31`, or `ADT^*` for all of one code.
fn message_type(node: &Node) -> Parsed<String> {
    let three = |t: &str| t.len() == 3 && t.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    match node.text().and_then(|t| t.split_once('^')) {
        Some((code, trigger)) if three(code) && (trigger == "*" || three(trigger)) => Ok(format!("{code}^{trigger}")),
        _ => wrong("must be a type of message", "write MSH-9 as \"ADT^A31\", or \"ADT^*\" for every ADT"),
    }
}

/// `Patient`: what a Bundle is about, or a resource that stands alone; or an element that is a message of XML. Whether it can be one is held against the
/// pack.
fn resource_or_element(node: &Node) -> Parsed<String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    let named = |t: &&str| t.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && t.bytes().all(good);
    match node.text().filter(named) {
        Some("Bundle") => wrong("is \"Bundle\", which is judged by what it is about", "write e.g. \"ServiceRequest\""),
        Some(kind) => Ok(kind.to_owned()),
        None => {
            wrong("must be a type of resource, or the name of an element", "write \"ServiceRequest\" or \"Patient\"")
        }
    }
}
