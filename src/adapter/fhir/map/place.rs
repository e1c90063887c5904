//! Where a row of a map takes its values: JSONPaths through resources, or paths through XML. The rows are the same for both.

use super::super::super::map::{Choosing, FieldFault};
use super::super::super::xml;
use super::super::resource;
use roxmltree::{Document, Node};
use serde_json::Value;
use serde_json_path::JsonPath;
use std::collections::BTreeSet;

const SEVERAL_MEANT: &str = "follows a reference that";
const NOT_EXACT: &str = "is a number that cannot be kept exactly as it was written; send it as a text, in quotes";
/// Values one path may give.
const NODES_MAX: usize = 1_000;

/// A path as the map writes it.
#[derive(Debug, Clone)]
pub(super) struct Path {
    pub shown: String,
    pub way: Way,
}

#[derive(Debug, Clone)]
pub(super) enum Way {
    /// One or more JSONPaths, each but the first from the resource that the one before it refers to.
    Json {
        /// Begins at the element an `[each]` stands on, rather than at the resource.
        from_element: bool,
        hops: Vec<JsonPath>,
    },
    Xml(xml::Path),
}

/// What a map reads: a resource with the message around it, or a document.
#[derive(Clone, Copy)]
pub struct Scope<'v>(At<'v>);

#[derive(Clone, Copy)]
enum At<'v> {
    Json(Resource<'v>),
    Xml { document: &'v Document<'v>, element: Option<Node<'v, 'v>> },
}

#[derive(Clone, Copy)]
struct Resource<'v> {
    resource: &'v Value,
    element: Option<&'v Value>,
    bundle: Option<&'v Value>,
}

impl<'v> Scope<'v> {
    pub(super) fn of_resource(resource: &'v Value, bundle: Option<&'v Value>) -> Self {
        Self(At::Json(Resource { resource, element: None, bundle }))
    }

    pub fn of_document(document: &'v Document<'v>) -> Self {
        Self(At::Xml { document, element: None })
    }

    /// The resource that a reference in this one names; none, where several could be meant.
    pub(super) fn follow(self, node: &Value) -> Option<&'v Value> {
        match self.0 {
            At::Json(resource) => resource.follow(node, resource.resource).ok().flatten().map(|(found, _)| found),
            At::Xml { .. } => None,
        }
    }

    /// Whether the element it stands on says the same as another one's.
    fn is_alike(self, other: Self) -> bool {
        let xml = |document: &Document<'v>, element: Option<Node<'v, 'v>>| {
            element.and_then(|e| document.input_text().get(e.range()).map(str::to_owned))
        };
        match (self.0, other.0) {
            (At::Json(a), At::Json(b)) => a.element == b.element,
            (At::Xml { document, element }, At::Xml { document: others, element: other }) => {
                xml(document, element) == xml(others, other)
            }
            _ => false,
        }
    }
}

impl<'v> Resource<'v> {
    /// The resource that a reference names, and the one its own `#` references are looked up in. What is there twice under one name is the same
    /// thing twice, or nobody can say which is meant.
    fn follow(self, node: &Value, within: &'v Value) -> Result<Option<(&'v Value, &'v Value)>, String> {
        let Some(reference) = node.get("reference").and_then(Value::as_str) else { return Ok(None) };
        let list = |of: Option<&'v Value>, key: &str| of.and_then(|v| v.get(key)).and_then(Value::as_array);
        let found: Vec<&'v Value> = if let Some(id) = reference.strip_prefix('#') {
            let contained = list(Some(within), "contained").into_iter().flatten();
            contained.filter(|r| r.get("id").and_then(Value::as_str) == Some(id)).collect()
        } else {
            let full = |e: &'v Value| e.get("fullUrl").and_then(Value::as_str).unwrap_or_default();
            let named = |e: &&'v Value| {
                let own = e.get("resource").and_then(|r| Some((resource::type_of(r)?, resource::id_of(r)?)));
                full(e) == reference
                    || (own.is_some() && own == resource::type_and_id(reference) && !reference.contains(':'))
            };
            let entries = list(self.bundle, "entry").into_iter().flatten();
            let holder = entries.clone().find(|e| e.get("resource").is_some_and(|r| std::ptr::eq(r, within)));
            let mut found: Vec<&'v Value> = entries.filter(named).collect();
            // FHIR R4, Bundle: a relative reference is one of the server that its holder is of. What is of no server at all may be meant too.
            if let Some(root) = holder.and_then(|e| resource::root_of(full(e))).filter(|_| !reference.contains(':')) {
                found.retain(|e| resource::root_of(full(e)).is_none_or(|other| other == root));
                if found.iter().any(|e| resource::root_of(full(e)).is_some()) {
                    found.retain(|e| resource::root_of(full(e)).is_some());
                }
            }
            found.into_iter().filter_map(|e| e.get("resource")).collect()
        };
        match found.as_slice() {
            [] => Ok(None),
            [first, others @ ..] if others.iter().all(|other| other == first) => {
                Ok(Some((first, if reference.starts_with('#') { within } else { first })))
            }
            several => Err(format!("{SEVERAL_MEANT} {} different resources could be meant by", several.len())),
        }
    }

    /// Everything these hops give, in order.
    fn nodes(self, from_element: bool, hops: &[JsonPath]) -> Result<Vec<&'v Value>, String> {
        let start = if from_element { self.element.unwrap_or(&Value::Null) } else { self.resource };
        let mut at: Vec<(&Value, &Value)> = vec![(start, self.resource)];
        for (i, hop) in hops.iter().enumerate() {
            let mut found: Vec<(&Value, &Value)> = Vec::new();
            for (node, within) in at {
                found.extend(hop.query(node).into_iter().map(|n| (n, within)));
                if found.len() > NODES_MAX {
                    return Err(format!("gives more than {NODES_MAX} values"));
                }
            }
            let is_last = i + 1 == hops.len();
            at = if is_last {
                found
            } else {
                let followed: Result<Vec<_>, String> = found.into_iter().map(|(n, w)| self.follow(n, w)).collect();
                followed?.into_iter().flatten().collect()
            };
        }
        Ok(at.into_iter().map(|(node, _)| node).collect())
    }
}

/// A reference that cannot be followed is one mistake, however many rows follow it.
pub(super) fn once_for_each_reference(faults: &mut Vec<FieldFault>) {
    let mut told = BTreeSet::new();
    faults.retain(|fault| {
        let first = fault.from.split(" -> ").next().unwrap_or_default();
        !fault.what.starts_with(SEVERAL_MEANT) || told.insert(first.to_owned())
    });
}

/// A map's paths are of its pack's format, and so is what it reads.
const OTHER_KIND: &str = "is a path of another format";

impl Path {
    /// Begins at the element that was picked, or that an `[each]` stands on.
    pub(super) fn begins_at_element(&self) -> bool {
        match &self.way {
            Way::Json { from_element, .. } => *from_element,
            Way::Xml(path) => path.is_from_element(),
        }
    }

    /// Whether the first reference it follows is there, and what it names is not.
    pub(super) fn leads_nowhere(&self, scope: Scope<'_>) -> bool {
        let (Way::Json { from_element, hops }, At::Json(resource)) = (&self.way, scope.0) else { return false };
        let Some((first, [_, ..])) = hops.split_first() else { return false };
        let start = resource.nodes(*from_element, std::slice::from_ref(first)).unwrap_or_default();
        let mut named = start.into_iter().filter(|node| node.get("reference").is_some()).peekable();
        named.peek().is_some() && named.all(|node| resource.follow(node, resource.resource) == Ok(None))
    }

    /// What an `[each]` stands on, one after the other.
    pub(super) fn elements<'v>(&self, scope: Scope<'v>) -> Result<Vec<Scope<'v>>, String> {
        match (&self.way, scope.0) {
            (Way::Json { from_element, hops }, At::Json(resource)) => {
                let nodes = resource.nodes(*from_element, hops)?;
                if nodes.iter().any(|node| node.is_array()) {
                    let hint = "gives a list in one piece; write [*] behind it, so that each of its elements is one";
                    return Err(hint.into());
                }
                Ok(nodes.into_iter().map(|n| Scope(At::Json(Resource { element: Some(n), ..resource }))).collect())
            }
            (Way::Xml(path), At::Xml { document, element }) => {
                let each = path.find(document, element)?.into_iter().map(|found| match found {
                    xml::Found::Element(e) => Ok(Scope(At::Xml { document, element: Some(e) })),
                    xml::Found::Attribute(_) => Err("gives attributes, and [each] stands on elements".to_owned()),
                });
                each.collect()
            }
            _ => Err(OTHER_KIND.into()),
        }
    }

    /// Whether anything stands there; in XML an element with nothing in it does not.
    pub(super) fn is_there(&self, scope: Scope<'_>) -> Result<bool, String> {
        match (&self.way, scope.0) {
            (Way::Json { from_element, hops }, At::Json(resource)) => {
                Ok(!resource.nodes(*from_element, hops)?.is_empty())
            }
            (Way::Xml(path), At::Xml { document, element }) => {
                let found = path.find(document, element)?;
                Ok(found.iter().any(|f| f.text().is_none_or(|text| !text.trim().is_empty())))
            }
            _ => Err(OTHER_KIND.into()),
        }
    }

    /// The texts that stand there; empty ones count as absent.
    pub(super) fn texts(&self, scope: Scope<'_>) -> Result<Vec<String>, String> {
        let (from_element, hops, resource) = match (&self.way, scope.0) {
            (Way::Json { from_element, hops }, At::Json(resource)) => (*from_element, hops, resource),
            (Way::Xml(path), At::Xml { document, element }) => return path.texts(document, element),
            _ => return Err(OTHER_KIND.into()),
        };
        let mut texts = Vec::new();
        for node in resource.nodes(from_element, hops)? {
            match node {
                Value::String(text) if text.trim().is_empty() => {}
                Value::String(text) => texts.push(text.clone()),
                // Digits of any other were lost, or made up, when it was read.
                Value::Number(number) if number.is_f64() => return Err(NOT_EXACT.into()),
                Value::Number(_) | Value::Bool(_) => texts.push(node.to_string()),
                Value::Null => {}
                Value::Array(_) | Value::Object(_) => return Err("is not a single value; name a member of it".into()),
            }
        }
        Ok(texts)
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

/// What a `[pick]` chooses one of: elements.
impl<'m> Choosing<'m> for Path {
    type Place = Scope<'m>;
    type Found = Scope<'m>;

    fn found(&self, place: Scope<'m>) -> Result<Vec<Scope<'m>>, String> {
        self.elements(place)
    }

    fn says_all_of(_: Scope<'m>, one: &Scope<'m>, other: &Scope<'m>) -> bool {
        one.is_alike(*other)
    }
}
