//! `[lookup.<name>]`: what the record is asked before a message is made, such as its own id of a patient, and what its answer must be. Only one answer
//! that says one thing, of that patient, is used: of none and of several nothing is chosen.

use super::super::fault::suggest;
use super::super::pack::Pack;
use super::super::render::RenderError;
use super::super::request::Part;
use super::super::table::{Reader, TomlFile};
use super::{json, resource};
use crate::domain::nhs_number::NhsNumber;
use crate::domain::text::Private;
use crate::transport::http_message::{Headers, Method, Reply, Request};
use crate::wire::v1;
use crate::wire::v1::RenderInput;
use jiff::civil::Date;
use serde_json::{Map, Value};
use serde_json_path::JsonPath;
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// Asked for one message.
pub const LOOKUPS_MAX: usize = 3;
/// Of one answer: more than this is no answer to a question for one thing.
pub const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// Of one value.
const VALUE_CHARS_MAX: usize = 200;

/// One `[lookup.<name>]`.
#[derive(Debug, Clone)]
pub struct Lookup {
    pub name: String,
    pub path: Part,
    pub query: Option<Part>,
    /// Where the one thing stands in the answer.
    one: JsonPath,
    /// What is taken from it, by name.
    gives: Vec<(String, JsonPath)>,
    /// Where it says its NHS number; `None`: the pack says why that is not compared.
    nhs_number: Option<JsonPath>,
    /// Where it says the date of birth, which must be the patient's.
    date_of_birth: Option<JsonPath>,
    /// Settings under which it is asked.
    pub when: Vec<(String, String)>,
    pub line: u32,
}

/// A question, ready to be sent.
pub struct LookupQuestion {
    pub name: String,
    pub request: Vec<u8>,
}

/// What an answer says beside what the pack takes from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// What was found is a Patient, and the record says that they have died.
    pub died: Option<Died>,
}

/// A death that the record tells of when it is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Died {
    /// The day, where it says a whole one.
    pub on: Option<Private<Date>>,
    /// Whose it is for certain: the number that the record was asked by and that its answer bears. `None`: the pack compares none.
    pub of: Option<NhsNumber>,
}

/// Why nothing was looked up. Holds no value of the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotLookedUp {
    /// The far end is in trouble: asked again later.
    #[error("lookup {name}: answered {status}")]
    Trouble { name: String, status: u16 },
    /// It was answered, and the answer gives nothing to go by: a person looks.
    #[error("lookup {name}: {why}")]
    Unclear {
        name: String,
        why: String,
        /// What it does say.
        found: Found,
    },
}

impl Lookup {
    /// Every `[lookup.<name>]`.
    pub fn read_all(
        file: &TomlFile<'_>,
        table: &DeTable<'_>,
        when: &dyn Fn(&Reader<'_, '_>) -> Vec<(String, String)>,
    ) -> Vec<Self> {
        let mut list = Vec::new();
        for (key, item) in table {
            let (name, line) = (key.get_ref().to_string(), file.line(key.span()));
            let good = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            if !good {
                file.fault_at(line, format!("lookup \"{name}\" has an odd name"), "use a-z and _: [lookup.patient]");
            }
            let Some(t) = item.get_ref().as_table() else {
                file.fault_at(line, format!("[lookup.{name}] must be a table"), "write path, one and gives in it");
                continue;
            };
            list.extend(Self::read(file, t, line, name, when));
        }
        if let Some(more) = list.get(LOOKUPS_MAX) {
            let what = format!("is one lookup too many: at most {LOOKUPS_MAX}");
            file.fault_at(more.line, what, "each of them is asked before every message; remove some");
        }
        list
    }

    fn read(
        file: &TomlFile<'_>,
        table: &DeTable<'_>,
        line: u32,
        name: String,
        when: &dyn Fn(&Reader<'_, '_>) -> Vec<(String, String)>,
    ) -> Option<Self> {
        let r = Reader::new(file, table, line, format!("[lookup.{name}]"));
        let path = r.required("path", "Patient?identifier=https://fhir.nhs.uk/Id/nhs-number|{{ patient.nhs_number }}");
        if let Some((text, at)) = path.as_ref().filter(|(text, _)| text.contains("lookup.")) {
            file.fault_at(*at, format!("\"{text}\" asks by what another lookup gave"), "ask by what the input says");
        }
        let json_path = |(text, at): (String, u32)| {
            JsonPath::parse(&text)
                .map_err(|e| {
                    let what = format!("\"{text}\" is not a JSONPath: {}", e.message());
                    file.fault_at(
                        at,
                        what,
                        "write it as in RFC 9535: $.entry[?@.resource.resourceType == 'Patient'].resource",
                    );
                })
                .ok()
        };
        let one = r.required("one", "$.entry[?@.resource.resourceType == 'Patient'].resource").and_then(json_path);
        let mut gives = Vec::new();
        for (key, item) in r.table("gives").map(|(t, _)| t).into_iter().flatten() {
            let (field, at) = (key.get_ref().to_string(), file.line(key.span()));
            let DeValue::String(text) = item.get_ref() else {
                file.fault_at(at, format!("`gives` has no path for \"{field}\""), "write gives = { id = \"$.id\" }");
                continue;
            };
            gives.extend(json_path((text.to_string(), at)).map(|p| (field, p)));
        }
        if gives.is_empty() {
            r.fault(format!("[lookup.{name}] gives nothing"), "add gives = { id = \"$.id\" }");
        }
        let nhs_number = r.text("nhs_number");
        let unchecked = r.text("unchecked");
        match (&nhs_number, &unchecked) {
            (None, None) => r.fault(
                format!("[lookup.{name}] does not say where the answer has its NHS number"),
                "add nhs_number = \"$.identifier[?@.system == 'https://fhir.nhs.uk/Id/nhs-number'].value\", or unchecked = \"why it cannot be compared\"",
            ),
            (Some(_), Some((_, at))) => {
                file.fault_at(*at, "unchecked stands beside nhs_number", "remove one of them");
            }
            (None, Some((why, at))) if why.trim().len() < 10 => {
                file.fault_at(*at, "unchecked gives no reason", "say why the NHS number cannot be compared");
            }
            _ => {}
        }
        let nhs_number = nhs_number.map(json_path);
        let date_of_birth = r.text("date_of_birth").map(json_path);
        let when = when(&r);
        r.finish();
        let (path, at) = path?;
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.replace('|', "%7C"))),
            None => (path, None),
        };
        Some(Self {
            path: Part::new(&path, at, "path", "path"),
            query: query.map(|q| Part::new(&q, at, "query", "query")),
            one: one?,
            gives,
            nhs_number: match nhs_number {
                Some(path) => Some(path?),
                None => None,
            },
            date_of_birth: match date_of_birth {
                Some(path) => Some(path?),
                None => None,
            },
            when,
            name,
            line,
        })
    }

    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        [&self.path].into_iter().chain(&self.query)
    }

    /// Names of what it gives.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.gives.iter().map(|(name, _)| name.as_str())
    }

    /// What the body of an answer gives for this patient.
    pub fn read_answer(
        &self,
        body: &[u8],
        patient: Option<&v1::PatientDetails>,
    ) -> Result<(Map<String, Value>, Found), NotLookedUp> {
        let saying = |found: Found, why: String| NotLookedUp::Unclear { name: self.name.clone(), why, found };
        let unclear = |why: String| saying(Found::default(), why);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(unclear(format!("the answer is longer than {ANSWER_BYTES_MAX} bytes")));
        }
        let answer = json::read(body).map_err(|_| unclear("the answer is not JSON".into()))?;
        if resource::issues(&answer).iter().any(|i| i.is_error) {
            return Err(unclear("the answer holds an error".into()));
        }
        let found = self.one.query(&answer).all();
        let [node] = found.as_slice() else {
            return Err(unclear(match found.len() {
                0 => "nothing is found".into(),
                n => format!("{n} are found, and one is wanted"),
            }));
        };
        // A first page with one on it, or a count that says otherwise, is not one.
        let links = answer.get("link").and_then(Value::as_array).into_iter().flatten();
        let more = links.filter_map(|l| l.get("relation")?.as_str()).any(|relation| relation == "next");
        if more || answer.get("total").and_then(Value::as_u64).is_some_and(|total| total > 1) {
            return Err(unclear("there are more than the answer shows, and one is wanted".into()));
        }
        let mut of = None;
        if let Some(path) = &self.nhs_number {
            let wanted = patient.and_then(|p| NhsNumber::parse(p.nhs_number.as_deref()?).ok());
            let wanted = wanted.ok_or_else(|| unclear("the patient has no NHS number to compare with".into()))?;
            let said = path.query(node).all();
            let agrees = |v: &&Value| v.as_str().and_then(|t| NhsNumber::parse(t).ok()) == Some(wanted);
            if said.is_empty() {
                return Err(unclear("what is found says no NHS number".into()));
            }
            if !said.iter().all(agrees) {
                return Err(unclear("what is found has another NHS number".into()));
            }
            of = Some(wanted);
        }
        if let Some(path) = &self.date_of_birth {
            let said = path.query(node).all();
            let agrees = |v: &&Value| v.as_str() == patient.map(|p| p.date_of_birth.as_str());
            if said.is_empty() || !said.iter().all(agrees) {
                return Err(unclear("what is found has another date of birth, or says none".into()));
            }
        }
        // Whose the answer is stands by now: a death in it is theirs, whatever else it lacks.
        let found = Found { died: death(node).map(|on| Died { on, of }) };
        let mut given = Map::new();
        for (field, path) in &self.gives {
            let value = path.query(node).exactly_one().ok().and_then(usable);
            // It becomes a part of an address: "../x" would be another one.
            let is_id = path.to_string().ends_with(".id") || path.to_string().ends_with("['id']");
            let value = value.filter(|v| !is_id || v.as_str().is_some_and(is_fhir_id));
            let value = value
                .ok_or_else(|| saying(found.clone(), format!("what is found gives no single value for \"{field}\"")))?;
            given.insert(field.clone(), value);
        }
        Ok((given, found))
    }
}

/// FHIR R4, Patient.deceased[x]: whether they have died, and on which day, if it says a whole one.
fn death(node: &Value) -> Option<Option<Private<Date>>> {
    if resource::type_of(node) != Some("Patient") {
        return None;
    }
    let dated = node.get("deceasedDateTime").filter(|v| !v.is_null());
    let day =
        |text: &str| text.get(..10).filter(|_| matches!(text.as_bytes().get(10), None | Some(b'T')))?.parse().ok();
    match dated {
        Some(at) => Some(at.as_str().and_then(day).map(Private)),
        None => (node.get("deceasedBoolean").and_then(Value::as_bool) == Some(true)).then_some(None),
    }
}

/// FHIR R4, datatype id.
fn is_fhir_id(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
}

/// A text of one line, or a whole number.
fn usable(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => {
            let good = !text.trim().is_empty()
                && text.chars().count() <= VALUE_CHARS_MAX
                && !text.chars().any(char::is_control);
            good.then(|| value.clone())
        }
        Value::Number(n) if n.is_u64() || n.is_i64() => Some(Value::String(n.to_string())),
        _ => None,
    }
}

impl Pack {
    /// The lookups that a message for this entry needs under these settings.
    pub(in crate::adapter) fn lookups_of(&self, input: &Value) -> Vec<&Lookup> {
        let nothing = Map::new();
        let settings = input.get("settings").and_then(Value::as_object).unwrap_or(&nothing);
        let name = super::super::input::entry_name(input);
        let Some(row) = name.and_then(|n| self.manifest.render_entry(n, settings)) else { return Vec::new() };
        let holds = |(name, value): &(String, String)| is_set(settings, name, value);
        let speaks_of = |lookup: &&Lookup| {
            let word = format!("lookup.{}.", lookup.name);
            let parts = row.request.iter().flat_map(|r| r.parts()).map(|p| p.name.as_str());
            parts.chain([row.template.as_str()]).any(|root| self.templates.mentions(root, &word))
        };
        let asked = self.manifest.lookups.iter().filter(|l| l.when.iter().all(holds));
        asked.filter(speaks_of).collect()
    }

    /// Whether there are messages under these (resolved) settings for which the record is asked first.
    pub fn asks_first(&self, settings: &Map<String, Value>) -> bool {
        let holds = |(name, value): &(String, String)| is_set(settings, name, value);
        self.manifest.lookups.iter().any(|l| l.when.iter().all(holds))
    }

    /// What the record must be asked before this entry can be made.
    pub fn lookups(&self, input: &RenderInput) -> Result<Vec<LookupQuestion>, RenderError> {
        if self.manifest.lookups.is_empty() {
            return Ok(Vec::new());
        }
        let value = self.as_templates_see(input)?;
        let facts = self.facts(&value)?;
        let mut questions = Vec::new();
        for lookup in self.lookups_of(&value) {
            let print = |part: &Part| -> Result<String, RenderError> {
                Ok(self.templates.render(&part.name, &value, &facts)?.trim_start_matches('\n').to_owned())
            };
            let mut target = print(&lookup.path)?;
            if let Some(query) = &lookup.query {
                target.push('?');
                target.push_str(&print(query)?);
            }
            let wrong = |e: crate::transport::http_message::HttpMessageError| {
                let what = format!("[lookup.{}] makes a question that cannot be sent: {e}", lookup.name);
                RenderError::one(super::super::manifest::FILE, lookup.line, what, "check its path")
            };
            let mut headers = Headers::default();
            headers.add("Accept", "application/fhir+json").map_err(wrong)?;
            let request = Request::new(Method::Get, target, headers, Vec::new()).map_err(wrong)?.to_bytes();
            questions.push(LookupQuestion { name: lookup.name.clone(), request });
        }
        Ok(questions)
    }

    /// What a reply to such a question gives, put where templates find it: `lookup.<name>.…`.
    pub fn looked_up(&self, name: &str, reply: &[u8], input: &mut RenderInput) -> Result<Found, NotLookedUp> {
        let unclear =
            |why: &str| NotLookedUp::Unclear { name: name.to_owned(), why: why.to_owned(), found: Found::default() };
        let trouble = |status| NotLookedUp::Trouble { name: name.to_owned(), status };
        let Some(lookup) = self.manifest.lookups.iter().find(|l| l.name == name) else {
            return Err(unclear("the pack has no such lookup"));
        };
        let reply = Reply::parse(reply).map_err(|_| unclear("the answer cannot be read"))?;
        // What is no FHIR was not said by the record: a gateway that is ill must not have a person look at every patient.
        let is_said = json::read(&reply.body).is_ok_and(|body| resource::type_of(&body).is_some());
        match reply.status {
            200 if is_said => {}
            404 | 410 if is_said => return Err(unclear("nothing is found")),
            401 | 408 | 425 | 429 | 500.. => return Err(trouble(reply.status)),
            status if is_said => return Err(unclear(&format!("the answer is {status}"))),
            status => return Err(trouble(status)),
        }
        let (given, found) = lookup.read_answer(&reply.body, input.patient.as_ref())?;
        let mut all = match &input.lookup {
            Some(all) => serde_json::to_value(all).ok().and_then(|v| v.as_object().cloned()).unwrap_or_default(),
            None => Map::new(),
        };
        all.insert(name.to_owned(), Value::Object(given));
        input.lookup = serde_json::from_value(Value::Object(all)).ok();
        Ok(found)
    }
}

fn is_set(settings: &Map<String, Value>, name: &str, value: &str) -> bool {
    settings.get(name).is_some_and(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned) == value)
}

/// What templates may ask of lookups.
pub fn known(lookups: &[Lookup]) -> BTreeMap<&str, Vec<&str>> {
    lookups.iter().map(|l| (l.name.as_str(), l.fields().collect())).collect()
}

/// What is wrong with `lookup.<name>.<field>` in a template.
pub fn misspelt(known: &BTreeMap<&str, Vec<&str>>, parts: &[&str]) -> Option<(String, String)> {
    let Some(name) = parts.first() else {
        return Some(("`lookup` alone is no value".into(), "write lookup.<name>.<field>".into()));
    };
    let Some(fields) = known.get(name) else {
        return Some((format!("there is no lookup \"{name}\""), suggest(name, known.keys().copied())));
    };
    match parts.get(1) {
        Some(field) if fields.contains(field) => None,
        Some(field) => {
            Some((format!("lookup \"{name}\" gives no \"{field}\""), suggest(field, fields.iter().copied())))
        }
        None => Some((format!("`lookup.{name}` alone is no value"), suggest("", fields.iter().copied()))),
    }
}
