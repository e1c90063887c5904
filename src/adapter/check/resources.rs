//! Templates of FHIR resources, held against what FHIR R4 lets a resource have: a key that it does not know is dropped by one server and refused by
//! another, and nobody sees which before it is sent.

mod made;
mod paths;

use super::super::cause::Causes;
use super::super::examples::{Case, CaseKind, Outcome};
use super::super::fault::{Faults, suggest};
use super::super::fhir::elements::{Element, elements};
use super::super::fhir::json::{self, Lined, LinedValue};
use super::super::fhir::{resource, values};
use super::super::manifest::Format;
use super::super::pack::Pack;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Files that include one another.
const DEPTH_MAX: usize = 12;

pub fn check(pack: &Pack, outcomes: &[(Case, Outcome)], causes: &mut Causes, faults: &mut Faults) {
    if pack.format() != Format::Fhir {
        return;
    }
    let mut found = Faults::default();
    paths::check(pack, &mut found);
    let mut places = BTreeMap::new();
    for row in &pack.manifest.render {
        let file = format!("templates/{}", row.template);
        let mut walk = Walk { pack, faults: &mut found, places: BTreeMap::new(), depth: 0 };
        if let Some(root) = walk.read(&file) {
            walk.node(&file, &root, &Wanted { kind: "Resource", codes: &[], form: Form::One, path: String::new() });
        }
        places.insert(row.line, (file, walk.places));
    }
    // What a template cannot be right about, its examples need not say again.
    if found.0.is_empty() {
        for (case, outcome) in outcomes.iter().filter(|(c, o)| c.kind == CaseKind::Render && !o.failed()) {
            let made = outcome.text.split_once("\n\n").and_then(|(_, body)| serde_json::from_str(body).ok());
            let (Some(made), Some((file, places))) = (made, outcome.row.and_then(|row| places.get(&row))) else {
                continue;
            };
            let mut made_by = made::Made { case: &case.name, file, places, causes };
            made_by.object(&made, "Resource", "");
        }
    }
    faults.0.extend(found.0);
}

/// Whether a value stands for a list, within one, or for itself.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    List,
    Within,
    One,
}

struct Wanted<'w> {
    kind: &'static str,
    codes: &'w [&'static str],
    form: Form,
    /// `content.attachment.data`
    path: String,
}

impl Wanted<'_> {
    fn is_primitive(&self) -> bool {
        self.kind.starts_with(|c: char| c.is_ascii_lowercase())
    }
}

struct Walk<'w> {
    pack: &'w Pack,
    faults: &'w mut Faults,
    /// Where each place of the resource is written.
    places: BTreeMap<String, (String, u32)>,
    depth: usize,
}

impl Walk<'_> {
    fn read(&mut self, file: &str) -> Option<Lined> {
        // What cannot be read was told when the pack was loaded.
        json::lined(&self.pack.sources.text(file, &mut Faults::default())?).ok()
    }

    fn node(&mut self, file: &str, node: &Lined, wanted: &Wanted<'_>) {
        let line = node.line;
        match &node.value {
            LinedValue::List(_) if wanted.form == Form::One && wanted.path.is_empty() => {}
            LinedValue::List(_) if wanted.form == Form::One => self.list_for_one(file, line, wanted),
            LinedValue::List(items) => {
                let within = Wanted { form: Form::Within, path: wanted.path.clone(), ..*wanted };
                items.iter().for_each(|item| self.node(file, item, &within));
            }
            LinedValue::Fields(fields) => self.fields(file, fields, line, wanted),
            LinedValue::Text(text) => self.text(file, text, line, wanted),
            LinedValue::Plain(value) => self.plain(file, value, line, wanted),
        }
    }

    fn list_for_one(&mut self, file: &str, line: u32, wanted: &Wanted<'_>) {
        let hint = "take the brackets away, or choose one with {\"$one\": \"x in list if …\"}";
        self.faults.add(file, line, format!("{} is one, and a list stands here", wanted.path), hint);
    }

    fn fields(&mut self, file: &str, fields: &[(String, Lined)], line: u32, wanted: &Wanted<'_>) {
        let of = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        let text_of = |name: &str| match of(name).map(|lined| &lined.value) {
            Some(LinedValue::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        if of("$each").is_some() {
            if wanted.form == Form::One {
                let hint = "choose one: {\"$one\": \"x in list if …\"}";
                self.faults.add(file, line, format!("{} is one, and \"$each\" makes a list", wanted.path), hint);
                return;
            }
            let within = Wanted { form: Form::Within, path: wanted.path.clone(), ..*wanted };
            return self.body(file, fields, of("$of"), line, &within);
        }
        if of("$one").is_some() {
            return self.body(file, fields, of("$of"), line, wanted);
        }
        if of("$if").is_some() {
            self.body(file, fields, of("$then"), line, wanted);
            return of("$else").into_iter().for_each(|otherwise| self.node(file, otherwise, wanted));
        }
        if let Some(name) = text_of("$include") {
            let included = format!("templates/{name}");
            if self.depth < DEPTH_MAX
                && let Some(root) = self.read(&included)
            {
                // Which of the two is wrong is seen where it is asked for.
                if wanted.form == Form::List && root.is_object() {
                    return self.body(file, &[], None, line, wanted);
                }
                if wanted.form == Form::One && matches!(root.value, LinedValue::List(_)) && !wanted.path.is_empty() {
                    return self.list_for_one(file, line, wanted);
                }
                self.depth += 1;
                self.node(&included, &root, wanted);
                self.depth -= 1;
            }
            return;
        }
        if of("$text").is_some() {
            return self.leaf(file, line, wanted);
        }
        self.body(file, fields, None, line, wanted);
    }

    /// What stands instead of fields, or the fields themselves.
    fn body(
        &mut self,
        file: &str,
        fields: &[(String, Lined)],
        instead: Option<&Lined>,
        line: u32,
        wanted: &Wanted<'_>,
    ) {
        match instead {
            Some(instead) => self.node(file, instead, wanted),
            None if wanted.form == Form::List => {
                let hint = "put it into brackets: [ { … } ]";
                self.faults.add(file, line, format!("{} is a list, and one object stands here", wanted.path), hint);
            }
            None if wanted.is_primitive() => {
                let what = format!("{} is a {}, and an object stands here", wanted.path, wanted.kind);
                self.faults.add(file, line, what, "write the value itself");
            }
            None => self.object(file, fields, line, wanted),
        }
    }

    fn object(&mut self, file: &str, fields: &[(String, Lined)], line: u32, wanted: &Wanted<'_>) {
        let Some((kind, of)) = self.kind(file, fields, wanted.kind) else { return };
        let own: Vec<&(String, Lined)> = fields.iter().filter(|(key, _)| !key.starts_with('$')).collect();
        for (key, value) in &own {
            let bare = key.strip_prefix('_').unwrap_or(key);
            let path = if wanted.path.is_empty() { key.clone() } else { format!("{}.{key}", wanted.path) };
            let Some(element) = of.iter().find(|e| e.name == bare && (bare == key || e.is_primitive())) else {
                let hint = suggest(key, of.iter().map(|e| e.name.as_str()));
                self.faults.add(file, value.line, format!("\"{key}\" is no element of {kind} in FHIR R4"), hint);
                continue;
            };
            self.places.entry(path.clone()).or_insert((file.to_owned(), value.line));
            if kind == "Reference" {
                self.referred(file, key, value);
            }
            // Beside a primitive: its extensions.
            if bare == key {
                let form = if element.is_list { Form::List } else { Form::One };
                self.node(file, value, &Wanted { kind: element.kind, codes: &element.codes, form, path });
            }
        }
        for missing in missing(of, |name| own.iter().any(|(key, _)| key.strip_prefix('_').unwrap_or(key) == name)) {
            let what = format!("{kind} has no \"{missing}\" here, which it must have in FHIR R4");
            self.faults.add(file, line, what, needed(of, missing));
        }
    }

    /// What a reference leads to, where the template says so in so many letters: `"type": "Patient"`, `"reference": "Patient/{{ … }}"`.
    fn referred(&mut self, file: &str, key: &str, value: &Lined) {
        let LinedValue::Text(text) = &value.value else { return };
        let named = match key {
            "type" if !text.contains("{{") => text.as_str(),
            "reference" => match text.split_once('/') {
                Some((before, _)) if resource::is_type(before) => before,
                _ => return,
            },
            _ => return,
        };
        // A logical model has an address for a type.
        if !named.contains(':') && elements().resource(named).is_none() {
            let what = format!("\"{key}\" leads to no resource of FHIR R4");
            self.faults.add(file, value.line, what, suggest(named, elements().resources()));
        }
    }

    /// The type of an object and its elements; `None` where nothing can be said.
    fn kind(
        &mut self,
        file: &str,
        fields: &[(String, Lined)],
        kind: &'static str,
    ) -> Option<(&'static str, &'static [Element])> {
        if kind != "Resource" {
            return Some((kind, elements().of(kind)?));
        }
        let (_, named) = fields.iter().find(|(key, _)| key == "resourceType")?;
        let LinedValue::Text(name) = &named.value else { return None };
        if name.contains("{{") {
            return None;
        }
        match elements().resource(name) {
            Some(kind) => Some((kind, elements().of(kind)?)),
            None => {
                let hint = suggest(name, elements().resources());
                self.faults.add(file, named.line, "resourceType is no resource of FHIR R4", hint);
                None
            }
        }
    }

    /// A value that is printed.
    fn leaf(&mut self, file: &str, line: u32, wanted: &Wanted<'_>) {
        if !wanted.is_primitive() {
            let what = format!("{} is a {}, and a text stands here", wanted.path, wanted.kind);
            self.faults.add(file, line, what, about(wanted.kind));
        }
    }

    fn text(&mut self, file: &str, text: &str, line: u32, wanted: &Wanted<'_>) {
        if !wanted.is_primitive() {
            return self.leaf(file, line, wanted);
        }
        let is_expression = text.contains("{{") || text.contains("{%");
        let may_be_list = text.starts_with("{{") && text.ends_with("}}");
        if wanted.form == Form::List && !may_be_list {
            let what = format!("{} is a list, and one text stands here", wanted.path);
            self.faults.add(file, line, what, "put it into brackets: [\"…\"]");
        } else if !is_expression {
            self.say(file, line, wanted, values::refusal(wanted.kind, &Value::from(text), wanted.codes));
        }
    }

    fn plain(&mut self, file: &str, value: &Value, line: u32, wanted: &Wanted<'_>) {
        if !wanted.is_primitive() {
            return self.leaf(file, line, wanted);
        }
        self.say(file, line, wanted, values::refusal(wanted.kind, value, wanted.codes));
    }

    fn say(&mut self, file: &str, line: u32, wanted: &Wanted<'_>, refusal: Option<(String, String)>) {
        if let Some((what, hint)) = refusal {
            self.faults.add(file, line, format!("{} {what}", wanted.path), hint);
        }
    }
}

/// An object's own keys, for somebody who has written a text in its place.
fn about(kind: &str) -> String {
    let names: Vec<&str> = elements().of(kind).into_iter().flatten().map(|e| e.name.as_str()).collect();
    let own: Vec<&str> =
        names.into_iter().filter(|n| !matches!(*n, "id" | "extension" | "modifierExtension")).collect();
    if own.is_empty() { "write an object".into() } else { format!("write an object with {}", own.join(", ")) }
}

/// What must be there and is not: names, or `value[x]`.
fn missing(of: &'static [Element], has: impl Fn(&str) -> bool) -> BTreeSet<&'static str> {
    let required = of.iter().filter(|e| e.is_required);
    let name = |e: &'static Element| e.choice.unwrap_or(e.name.as_str());
    let there: BTreeSet<&str> = of.iter().filter(|e| has(&e.name)).map(name).collect();
    required.map(name).filter(|name| !there.contains(name)).collect()
}

fn needed(of: &'static [Element], name: &str) -> String {
    let one = of.iter().find(|e| e.name == name);
    match one.map(|e| &e.codes).filter(|codes| !codes.is_empty()) {
        Some(codes) => format!("add it: one of {}", codes.join(", ")),
        None if name.ends_with("[x]") => {
            let all: Vec<&str> = of.iter().filter(|e| e.choice == Some(name)).map(|e| e.name.as_str()).collect();
            format!("add one of {}", all.join(", "))
        }
        None => "add it, or let it stand by no condition that may fail".to_owned(),
    }
}
