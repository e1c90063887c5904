//! `[lookup.<name>]`: what the record is asked before a message is made, such as its own id of a patient, and what its answer must be. Only one answer
//! that says one thing, of that patient, is used: of none and of several nothing is chosen.

use super::super::fault::{Faults, suggest};
use super::super::lint;
use super::super::pack::Pack;
use super::super::render::RenderError;
use super::super::request::Part;
use super::super::table::{Reader, TomlFile};
use super::super::xml::{self, Namespaces};
use super::json_path;
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
    method: Method,
    headers: Headers,
    /// For xml packs: of a question by POST.
    body: Option<Part>,
    at: At,
    /// Settings under which it is asked.
    pub when: Vec<(String, String)>,
    pub line: u32,
}

/// Where an answer says what.
#[derive(Debug, Clone)]
enum At {
    Fhir(FhirAt),
    Xml(Box<xml::AnswerAt>),
}

#[derive(Debug, Clone)]
struct FhirAt {
    /// Where the one thing stands in the answer.
    one: JsonPath,
    /// What is taken from it, by name.
    gives: Vec<(String, JsonPath)>,
    /// Where it says its NHS number; `None`: the pack says why that is not compared.
    nhs_number: Option<JsonPath>,
    /// Where it says the date of birth, which must be the patient's.
    date_of_birth: Option<JsonPath>,
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
    /// Every `[lookup.<name>]`. `namespaces`: of an xml pack.
    pub fn read_all(
        file: &TomlFile<'_>,
        table: &DeTable<'_>,
        namespaces: Option<&Namespaces>,
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
            list.extend(Self::read(file, t, line, name, namespaces, when));
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
        namespaces: Option<&Namespaces>,
        when: &dyn Fn(&Reader<'_, '_>) -> Vec<(String, String)>,
    ) -> Option<Self> {
        let r = Reader::new(file, table, line, format!("[lookup.{name}]"));
        let path = r.required("path", "Patient?identifier=https://fhir.nhs.uk/Id/nhs-number|{{ patient.nhs_number }}");
        if let Some((text, at)) = path.as_ref().filter(|(text, _)| text.contains("lookup.")) {
            file.fault_at(*at, format!("\"{text}\" asks by what another lookup gave"), "ask by what the input says");
        }
        if let Some((text, at)) =
            path.as_ref().filter(|(text, _)| text.split('?').next().is_some_and(|p| p.contains("://")))
        {
            let hint = "write what stands behind the endpoint's own address: Patient?identifier=…";
            file.fault_at(*at, format!("\"{text}\" is not a path below the endpoint's address"), hint);
        }
        let json_path = |(text, at): (String, u32)| {
            json_path(&text)
                .map_err(|why| {
                    let what = format!("\"{text}\" is not a JSONPath: {why}");
                    file.fault_at(
                        at,
                        what,
                        "write it as in RFC 9535: $.entry[?@.resource.resourceType == 'Patient'].resource",
                    );
                })
                .ok()
        };
        let mut gives = Vec::new();
        for (key, item) in r.table("gives").map(|(t, _)| t).into_iter().flatten() {
            let (field, at) = (key.get_ref().to_string(), file.line(key.span()));
            let DeValue::String(text) = item.get_ref() else {
                file.fault_at(at, format!("`gives` has no path for \"{field}\""), "write gives = { id = \"$.id\" }");
                continue;
            };
            gives.push((field, (text.to_string(), at)));
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
        let (mut method, mut headers, mut body) = (Method::Get, Headers::default(), None);
        let at = match namespaces {
            Some(spaces) => {
                (method, body) = by_post(file, &r);
                headers = own_headers(file, &r, body.is_some());
                xml::AnswerAt::read(file, &r, gives, nhs_number, spaces).map(|at| At::Xml(Box::new(at)))
            }
            None => {
                let others = ["method", "xml", "safe", "answered", "more", "died"]
                    .into_iter()
                    .filter_map(|key| Some((key, r.text(key)?.1)));
                let others: Vec<_> = others.chain(r.table("headers").map(|(_, at)| ("headers", at))).collect();
                for (key, at) in others {
                    file.fault_at(at, format!("{key} is for xml packs"), "remove it: a FHIR record is asked by GET");
                }
                headers.add("Accept", "application/fhir+json").expect("a header of ours");
                FhirAt::read(&r, gives, nhs_number, &json_path).map(At::Fhir)
            }
        };
        let when = when(&r);
        r.finish();
        let (path, line_of_path) = path?;
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.replace('|', "%7C"))),
            None => (path, None),
        };
        Some(Self {
            path: Part::new(&path, line_of_path, "path", "path"),
            query: query.map(|q| Part::new(&q, line_of_path, "query", "query")),
            method,
            headers,
            body,
            at: at?,
            when,
            name,
            line,
        })
    }

    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        [&self.path].into_iter().chain(&self.query).chain(&self.body)
    }

    /// Whether the record's answer is held against the patient's NHS number.
    pub fn compares(&self) -> bool {
        match &self.at {
            At::Fhir(at) => at.nhs_number.is_some(),
            At::Xml(at) => at.compares(),
        }
    }

    /// Names of what it gives.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        let (fhir, xml) = match &self.at {
            At::Fhir(at) => (Some(at), None),
            At::Xml(at) => (None, Some(&**at)),
        };
        let of_fhir = fhir.into_iter().flat_map(|at| at.gives.iter().map(|(name, _)| name.as_str()));
        of_fhir.chain(xml.into_iter().flat_map(xml::AnswerAt::fields))
    }

    /// What the body of an answer gives for this patient.
    pub fn read_answer(
        &self,
        body: &[u8],
        patient: Option<&v1::PatientDetails>,
    ) -> Result<(Map<String, Value>, Found), NotLookedUp> {
        let unclear = |why: String| NotLookedUp::Unclear { name: self.name.clone(), why, found: Found::default() };
        if body.len() > ANSWER_BYTES_MAX {
            return Err(unclear(format!("the answer is longer than {ANSWER_BYTES_MAX} bytes")));
        }
        match &self.at {
            At::Fhir(at) => at.read_answer(body, patient, &unclear),
            At::Xml(at) => at.read_answer(&self.name, body, patient),
        }
    }

    /// Whether an answer was said by the record: a gateway that is ill must not have a person look at every patient.
    fn is_said(&self, body: &[u8]) -> bool {
        match &self.at {
            At::Fhir(_) => json::read(body).is_ok_and(|body| resource::type_of(&body).is_some()),
            At::Xml(at) => at.is_said(body),
        }
    }
}

/// `method`, `xml` and `safe`: a question may be asked any number of times.
fn by_post(file: &TomlFile<'_>, r: &Reader<'_, '_>) -> (Method, Option<Part>) {
    let method = r.text("method").and_then(|(word, at)| {
        let method = Method::parse(&word).filter(|m| *m != Method::Put);
        if method.is_none() {
            file.fault_at(at, format!("method \"{word}\" does not ask"), "write \"GET\" or \"POST\"");
        }
        method
    });
    let method = method.unwrap_or(Method::Get);
    let (body, safe) = (r.text("xml"), r.text("safe"));
    let reason = safe.as_ref().is_some_and(|(why, _)| why.trim().len() >= 10);
    match (method, &body) {
        (Method::Post, None) => {
            r.fault("a question by POST has no body", "add xml = \"\"\"…{{ patient.nhs_number }}…\"\"\"")
        }
        (Method::Post, Some((_, at))) if !reason => file.fault_at(
            *at,
            "a question by POST does not say why it may be asked again and again",
            "add safe = \"why: FindClient only reads, says the supplier's description\"",
        ),
        (Method::Get, Some((_, at))) => {
            file.fault_at(*at, "a GET has no body", "write method = \"POST\", or leave xml away")
        }
        _ => {}
    }
    let body = body.map(|(text, at)| {
        if text.contains("lookup.") {
            file.fault_at(at, "the question asks by what another lookup gave", "ask by what the input says");
        }
        let mut found = Faults::default();
        let tags = lint::tags(file.path, &text, &mut found);
        xml::check_places(file.path, &text, &tags, &mut found);
        found.0.drain(..).for_each(|f| file.fault_at(at, f.what, f.hint));
        Part::new(text.trim(), at, "xml", "xml")
    });
    (method, body)
}

/// Fixed texts.
fn own_headers(file: &TomlFile<'_>, r: &Reader<'_, '_>, has_body: bool) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in r.table("headers").map(|(t, _)| t).into_iter().flatten() {
        let at = file.line(name.span());
        let DeValue::String(text) = value.get_ref() else {
            file.fault_at(at, format!("header \"{}\" must be a text", name.get_ref()), "write it in quotes");
            continue;
        };
        let added = headers
            .add(name.get_ref(), text)
            .and_then(|()| Request::new(Method::Get, "x".into(), headers.clone(), Vec::new()));
        if let Err(e) = added {
            file.fault_at(at, e.to_string(), "host, credentials and lengths are added by the transport");
        }
    }
    let usual = [("Content-Type", "application/xml; charset=utf-8"), ("Accept", "application/xml, text/xml")];
    for (name, value) in usual.into_iter().filter(|(name, _)| has_body || *name == "Accept") {
        if headers.get(name).is_none() {
            // Where there is no room left, one of the pack's own was refused already.
            drop(headers.add(name, value));
        }
    }
    headers
}

impl NotLookedUp {
    /// What the answer does say, for all that.
    pub(in crate::adapter) fn saying(self, said: &Found) -> Self {
        match self {
            Self::Unclear { name, why, .. } => Self::Unclear { name, why, found: said.clone() },
            trouble @ Self::Trouble { .. } => trouble,
        }
    }
}

impl FhirAt {
    fn read(
        r: &Reader<'_, '_>,
        gives: Vec<(String, (String, u32))>,
        nhs_number: Option<(String, u32)>,
        json_path: &dyn Fn((String, u32)) -> Option<JsonPath>,
    ) -> Option<Self> {
        let one = r.required("one", "$.entry[?@.resource.resourceType == 'Patient'].resource").and_then(json_path);
        let gives = gives.into_iter().filter_map(|(field, row)| Some((field, json_path(row)?))).collect();
        let nhs_number = nhs_number.map(json_path);
        let date_of_birth = r.text("date_of_birth").map(json_path);
        Some(Self {
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
        })
    }

    fn read_answer(
        &self,
        body: &[u8],
        patient: Option<&v1::PatientDetails>,
        unclear: &dyn Fn(String) -> NotLookedUp,
    ) -> Result<(Map<String, Value>, Found), NotLookedUp> {
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
            let value = value.ok_or_else(|| {
                unclear(format!("what is found gives no single value for \"{field}\"")).saying(&found)
            })?;
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

/// A text of one line, as a value of a template.
pub(in crate::adapter) fn one_line(text: &str) -> Option<Value> {
    let good =
        !text.trim().is_empty() && text.chars().count() <= VALUE_CHARS_MAX && !text.chars().any(char::is_control);
    good.then(|| Value::String(text.to_owned()))
}

/// A text of one line, or a whole number.
fn usable(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => one_line(text),
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

    /// The lookups that find the patient, under these settings.
    pub(in crate::adapter) fn patient_lookups(&self, input: &Value) -> Vec<&str> {
        let nothing = Map::new();
        let settings = input.get("settings").and_then(Value::as_object).unwrap_or(&nothing);
        let holds = |(name, value): &(String, String)| is_set(settings, name, value);
        let finds = |l: &&Lookup| match &l.at {
            At::Fhir(at) => at.nhs_number.is_some() || l.name == "patient",
            At::Xml(_) => l.name == "patient",
        };
        let asked = self.manifest.lookups.iter().filter(|l| l.when.iter().all(holds));
        asked.filter(finds).map(|l| l.name.as_str()).collect()
    }

    /// Whether there are messages under these (resolved) settings for which the record is asked first.
    pub fn asks_first(&self, settings: &Map<String, Value>) -> bool {
        let holds = |(name, value): &(String, String)| is_set(settings, name, value);
        self.manifest.lookups.iter().any(|l| l.when.iter().all(holds))
    }

    /// What the record must be asked before this entry can be made, under settings that have their defaults already ([`Pack::settings`]).
    pub fn lookups(
        &self,
        input: &RenderInput,
        settings: &Map<String, Value>,
    ) -> Result<Vec<LookupQuestion>, RenderError> {
        if self.manifest.lookups.is_empty() {
            return Ok(Vec::new());
        }
        let value = self.as_templates_see(input, settings.clone())?;
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
            let body = lookup.body.as_ref().map(print).transpose()?.unwrap_or_default();
            if !body.is_empty()
                && let Err(why) = xml::read(body.as_bytes())
            {
                let what = format!("[lookup.{}] makes a question that cannot be read: {why}", lookup.name);
                return Err(RenderError::one(super::super::manifest::FILE, lookup.line, what, "check its xml"));
            }
            let request = Request::new(lookup.method, target, lookup.headers.clone(), body.into_bytes());
            let request = request.map_err(wrong)?.to_bytes();
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
        let is_said = lookup.is_said(&reply.body);
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
