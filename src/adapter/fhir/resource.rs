//! What every FHIR resource says about itself: type, id, identifiers; and what an OperationOutcome says.

use serde_json::Value;

/// FHIR R4, datatype id: 1 to 64 of A-Z, a-z, 0-9, `-` and `.`.
pub fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

/// FHIR R4, a type's name: letters only, a capital first.
pub fn is_type(text: &str) -> bool {
    text.len() <= 60
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_alphabetic())
}

pub fn type_of(resource: &Value) -> Option<&str> {
    resource.get("resourceType")?.as_str().filter(|t| is_type(t))
}

pub fn id_of(resource: &Value) -> Option<&str> {
    resource.get("id")?.as_str().filter(|id| is_id(id))
}

/// The type and id in a reference or address: `DocumentReference/17`, `https://epr.example/r4/DocumentReference/17/_history/2`.
pub fn type_and_id(address: &str) -> Option<(&str, &str)> {
    let path = address.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    let parts = match parts.as_slice() {
        [before @ .., "_history", _] => before,
        all => all,
    };
    match parts {
        [.., kind, id] if is_type(kind) && is_id(id) => Some((kind, id)),
        _ => None,
    }
}

/// The server in a resource's own address, where it is one: `https://epr.example/r4` of `https://epr.example/r4/DocumentReference/17`.
pub fn root_of(full_url: &str) -> Option<&str> {
    let is_web = full_url.starts_with("https://") || full_url.starts_with("http://");
    let (kind, id) = type_and_id(full_url).filter(|_| is_web)?;
    full_url.rfind(&format!("/{kind}/{id}")).map(|end| &full_url[..end])
}

/// A business identifier. Not in `Debug`: it may be a person's.
#[derive(Clone, PartialEq, Eq)]
pub struct Identifier {
    pub system: String,
    pub value: String,
}

impl std::fmt::Debug for Identifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identifier(..)")
    }
}

/// Every identifier with a system and a value, in order.
pub fn identifiers(resource: &Value) -> Vec<Identifier> {
    let list = match resource.get("identifier") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
        None => Vec::new(),
    };
    let text = |i: &Value, key: &str| i.get(key).and_then(Value::as_str).map(str::to_owned);
    list.into_iter().filter_map(|i| Some(Identifier { system: text(i, "system")?, value: text(i, "value")? })).collect()
}

/// One issue of an OperationOutcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issue {
    /// fatal or error, rather than a warning or information. A severity that is missing counts as an error.
    pub is_error: bool,
    /// `issue.code`, then the codes of `issue.details.coding`.
    pub codes: Vec<String>,
}

/// The issues, when this is an OperationOutcome, or a Bundle or resource list that holds some.
pub fn issues(resource: &Value) -> Vec<Issue> {
    let own = || resource.get("issue").and_then(Value::as_array).into_iter().flatten().map(issue);
    match type_of(resource) {
        Some("OperationOutcome") => own().collect(),
        Some("Bundle") => {
            entries(resource).filter(|r| type_of(r) == Some("OperationOutcome")).flat_map(issues).collect()
        }
        _ => Vec::new(),
    }
}

fn issue(issue: &Value) -> Issue {
    let text = |v: &Value, key: &str| v.get(key).and_then(Value::as_str).map(str::to_owned);
    let codings = issue.pointer("/details/coding").and_then(Value::as_array).into_iter().flatten();
    let severity = text(issue, "severity").unwrap_or_default();
    Issue {
        is_error: !matches!(severity.as_str(), "warning" | "information" | "success"),
        codes: text(issue, "code").into_iter().chain(codings.filter_map(|c| text(c, "code"))).collect(),
    }
}

/// The resources of a Bundle.
pub fn entries(bundle: &Value) -> impl Iterator<Item = &Value> {
    bundle.get("entry").and_then(Value::as_array).into_iter().flatten().filter_map(|e| e.get("resource"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_taken_from_every_form_of_address() {
        for (address, found) in [
            ("DocumentReference/17", Some(("DocumentReference", "17"))),
            ("https://epr.example/r4/DocumentReference/a-1.b/_history/2", Some(("DocumentReference", "a-1.b"))),
            ("/fhir/Task/1/", Some(("Task", "1"))),
            ("DocumentReference", None),
            ("https://epr.example/login", None),
            ("DocumentReference/a b", None),
            ("", None),
        ] {
            assert_eq!(type_and_id(address), found, "{address}");
        }
    }

    #[test]
    fn the_server_is_what_stands_before_type_and_id_of_a_web_address() {
        for (address, root) in [
            ("https://epr.example/r4/Patient/77", Some("https://epr.example/r4")),
            ("http://epr.example/r4/Patient/77/_history/2", Some("http://epr.example/r4")),
            ("https://epr.example/Patient/77/Patient/77/", Some("https://epr.example/Patient/77")),
            ("Patient/77", None),
            ("urn:uuid:6a1b0f0e-0000-4000-8000-000000000001", None),
            ("https://epr.example/Id/x/y", None),
            ("", None),
        ] {
            assert_eq!(root_of(address), root, "{address}");
        }
    }
}
