//! What FHIR R4 lets a resource have: the elements of each type, their types, and the codes where no others are allowed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

const TABLE: &str = include_str!("elements.txt");
/// What every type has.
const OF_ALL: &str = "id string; extension* Extension; modifierExtension* Extension";
/// What every resource has.
const OF_RESOURCES: &str = "resourceType! code; meta Meta; implicitRules uri; language code";
/// What all resources have but those that are only a wrapping.
const OF_DOMAIN_RESOURCES: &str = "text Narrative; contained* Resource";
const WRAPPINGS: &[&str] = &["Binary", "Bundle", "Parameters"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    /// `value[x]`, of which there is one.
    pub choice: Option<&'static str>,
    pub kind: &'static str,
    pub is_required: bool,
    pub is_list: bool,
    /// The only codes it may be; none: not said here.
    pub codes: Vec<&'static str>,
}

impl Element {
    /// A text, a number or a flag, and no object.
    pub fn is_primitive(&self) -> bool {
        is_primitive(self.kind)
    }
}

/// FHIR R4, datatypes: the names of primitive ones begin with a small letter.
fn is_primitive(kind: &str) -> bool {
    kind.starts_with(|c: char| c.is_ascii_lowercase())
}

pub struct Elements {
    types: HashMap<&'static str, Vec<Element>>,
    resources: BTreeSet<&'static str>,
    /// Resources of which only the name is known here.
    unlisted: BTreeSet<&'static str>,
    names: BTreeSet<String>,
}

pub fn elements() -> &'static Elements {
    static ELEMENTS: LazyLock<Elements> = LazyLock::new(|| Elements::read(TABLE));
    &ELEMENTS
}

impl Elements {
    fn read(table: &'static str) -> Self {
        let mut parts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut at = "";
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let (head, rest) = match line.strip_prefix("  ") {
                Some(rest) => (at, rest),
                None => line.split_once(':').unwrap_or((line, "")),
            };
            at = head;
            parts.entry(head).or_default().extend(rest.split(' ').filter(|word| !word.is_empty()));
        }
        let names = |words: Option<Vec<&'static str>>| {
            words.into_iter().flatten().map(|word| word.trim_end_matches(';')).collect::<Vec<_>>()
        };
        let any = names(parts.remove("*"));
        let unlisted = names(parts.remove("-")).into_iter().collect();
        let mut read = Self { types: HashMap::new(), resources: BTreeSet::new(), unlisted, names: BTreeSet::new() };
        for (head, words) in parts {
            let name = head.trim_end_matches('!');
            let mut own = elements_of(&words, &any);
            own.extend(elements_of(&words_of(OF_ALL), &any));
            if head.ends_with('!') {
                read.resources.insert(name);
                own.extend(elements_of(&words_of(OF_RESOURCES), &any));
                if !WRAPPINGS.contains(&name) {
                    own.extend(elements_of(&words_of(OF_DOMAIN_RESOURCES), &any));
                }
            }
            read.names.extend(own.iter().map(|e| e.name.clone()));
            read.types.insert(name, own);
        }
        read
    }

    /// The elements of a type; `None` where this table does not have it.
    pub fn of(&self, kind: &str) -> Option<&[Element]> {
        self.types.get(kind).map(Vec::as_slice)
    }

    /// The type as this table spells it; `None`: FHIR R4 has no such resource.
    pub fn resource(&self, name: &str) -> Option<&'static str> {
        self.resources.get(name).or_else(|| self.unlisted.get(name)).copied()
    }

    pub fn resources(&self) -> impl Iterator<Item = &'static str> {
        self.resources.iter().chain(&self.unlisted).copied()
    }

    /// Whether any resource that is listed has something of this name. A path of a map goes from one resource to another.
    pub fn has_name(&self, name: &str) -> bool {
        self.names.contains(name.strip_prefix('_').unwrap_or(name))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }
}

fn words_of(text: &'static str) -> Vec<&'static str> {
    text.split(' ').collect()
}

/// `name! type; name* type(code|code); name[x] type|type`
fn elements_of(words: &[&'static str], any: &[&'static str]) -> Vec<Element> {
    let mut found = Vec::new();
    for pair in words.chunks_exact(2) {
        let (name, kind) = (pair[0], pair[1].trim_end_matches(';'));
        let bare = name.trim_end_matches(['*', '!']);
        let (kind, codes) = match kind.strip_suffix(')').and_then(|k| k.split_once('(')) {
            Some((kind, codes)) => (kind, codes.split('|').collect()),
            None => (kind, Vec::new()),
        };
        let element = |name: String, kind| Element {
            name,
            choice: bare.ends_with("[x]").then_some(bare),
            kind,
            is_required: pair[0].contains('!'),
            is_list: pair[0].contains('*'),
            codes: codes.clone(),
        };
        match bare.strip_suffix("[x]") {
            None => found.push(element(bare.to_owned(), kind)),
            Some(stem) => {
                let kinds = if kind == "*" { any.to_vec() } else { kind.split('|').collect() };
                found.extend(kinds.into_iter().map(|kind| element(format!("{stem}{}", capital(kind)), kind)));
            }
        }
    }
    found
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(kind: &str, name: &str) -> Element {
        let of = elements().of(kind).expect(kind);
        of.iter().find(|e| e.name == name).unwrap_or_else(|| panic!("{kind}.{name}")).clone()
    }

    #[test]
    fn what_a_type_has_is_what_the_table_says() {
        let status = element("DocumentReference", "status");
        assert_eq!((status.is_required, status.is_list, status.kind), (true, false, "code"));
        assert_eq!(status.codes, ["current", "superseded", "entered-in-error"]);
        assert!(element("DocumentReference", "content").is_list && element("DocumentReference", "content").is_required);
        assert!(element("Observation", "valueQuantity").choice == Some("value[x]"));
        assert!(element("Extension", "valueCodeableConcept").kind == "CodeableConcept");
        assert!(element("Patient", "contained").is_list, "and what every resource has");
        assert!(elements().of("Bundle").is_some_and(|of| of.iter().all(|e| e.name != "contained")));
        assert!(element("DocumentReference.content", "id").is_primitive());
    }

    #[test]
    fn every_type_that_is_named_is_listed_or_primitive() {
        for (kind, of) in &elements().types {
            for element in of.iter().filter(|e| !e.is_primitive() && e.kind != "Resource") {
                // What only the elements of any type may be is not followed.
                let known = elements().of(element.kind).is_some() || element.choice == Some("value[x]");
                assert!(known, "{kind}.{} is a {}", element.name, element.kind);
            }
        }
    }
}
