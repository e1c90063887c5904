//! What the answer to a lookup must be in a record that speaks XML: one thing in the answer to this very question, of the patient of that NHS number.

use super::super::fhir::{Died, Found, NotLookedUp, lookup::one_line};
use super::super::table::{Reader, TomlFile};
use super::{Namespaces, Path, path_of_document, path_of_element, read};
use crate::domain::nhs_number::NhsNumber;
use crate::wire::v1;
use roxmltree::{Document, Node};
use serde_json::{Map, Value};

/// Where an answer says what.
#[derive(Debug, Clone)]
pub struct AnswerAt {
    /// What must stand there, once, for it to be the answer.
    answered: Path,
    /// Anything there: the answer shows only some.
    more: Option<Path>,
    one: Path,
    gives: Vec<(String, Path)>,
    nhs_number: Option<Path>,
    date_of_birth: Option<Path>,
    died: Option<Path>,
}

impl AnswerAt {
    /// Whether an answer is held against the patient's NHS number.
    pub fn compares(&self) -> bool {
        self.nhs_number.is_some()
    }

    /// The rows of `[lookup.<name>]` that say so; `gives` are its own, and what it says of the NHS number is checked where the others are.
    pub fn read(
        file: &TomlFile<'_>,
        r: &Reader<'_, '_>,
        gives: Vec<(String, (String, u32))>,
        nhs_number: Option<(String, u32)>,
        spaces: &Namespaces,
    ) -> Option<Self> {
        let whole = |row| path_of_document(file, row, spaces);
        let of_one = |row| path_of_element(file, row, "one", spaces);
        let answered = r.required("answered", "/Envelope/Body/FindClientResponse").and_then(whole);
        let one = r.required("one", "/Envelope/Body/FindClientResponse/Client").and_then(whole);
        let more = r.text("more").map(whole);
        let date_of_birth = r.text("date_of_birth").map(of_one);
        let died = r.text("died").map(of_one);
        let nhs_number = nhs_number.map(of_one);
        let gives = gives.into_iter().filter_map(|(name, row)| Some((name, of_one(row)?))).collect();
        // A path that is none was told.
        let given = |path: Option<Option<Path>>| match path {
            Some(None) => Err(()),
            Some(path) => Ok(path),
            None => Ok(None),
        };
        Some(Self {
            answered: answered?,
            more: given(more).ok()?,
            one: one?,
            gives,
            nhs_number: given(nhs_number).ok()?,
            date_of_birth: given(date_of_birth).ok()?,
            died: given(died).ok()?,
        })
    }

    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.gives.iter().map(|(name, _)| name.as_str())
    }

    /// Whether there is in it what only the record says: a gateway that is ill must not have a person look at every patient.
    pub fn is_said(&self, body: &[u8]) -> bool {
        read(body).is_ok_and(|document| is_fault(&document) || self.is_answer(&document))
    }

    fn is_answer(&self, document: &Document<'_>) -> bool {
        self.answered.find(document, None).is_ok_and(|found| found.len() == 1)
    }

    /// What it gives for this patient.
    pub fn read_answer(
        &self,
        name: &str,
        body: &[u8],
        patient: Option<&v1::PatientDetails>,
    ) -> Result<(Map<String, Value>, Found), NotLookedUp> {
        let unclear = |why: String| NotLookedUp::Unclear { name: name.to_owned(), why, found: Found::default() };
        let answer = read(body).map_err(|_| unclear("the answer is not XML".into()))?;
        if is_fault(&answer) {
            return Err(unclear("the answer holds a fault".into()));
        }
        if !self.is_answer(&answer) {
            return Err(unclear("the answer is none to this question".into()));
        }
        let found = self.one.find(&answer, None).map_err(|_| unclear("too many are found".into()))?;
        let element = match found.as_slice() {
            [super::Found::Element(element)] => *element,
            [] => return Err(unclear("nothing is found".into())),
            [_] => return Err(unclear("what is found is no element".into())),
            several => return Err(unclear(format!("{} are found, and one is wanted", several.len()))),
        };
        if self.more.as_ref().is_some_and(|more| is_set(more, &answer, None)) {
            return Err(unclear("there are more than the answer shows, and one is wanted".into()));
        }
        let texts = |path: &Path| path.texts(&answer, Some(element)).unwrap_or_default();
        let mut of = None;
        if let Some(path) = &self.nhs_number {
            let wanted = patient.and_then(|p| NhsNumber::parse(p.nhs_number.as_deref()?).ok());
            let wanted = wanted.ok_or_else(|| unclear("the patient has no NHS number to compare with".into()))?;
            let said = texts(path);
            if said.is_empty() {
                return Err(unclear("what is found says no NHS number".into()));
            }
            if !said.iter().all(|text| NhsNumber::parse(text).ok() == Some(wanted)) {
                return Err(unclear("what is found has another NHS number".into()));
            }
            of = Some(wanted);
        }
        if let Some(path) = &self.date_of_birth {
            let said = texts(path);
            let agrees = |text: &String| patient.is_some_and(|p| is_that_day(text, &p.date_of_birth));
            if said.is_empty() || !said.iter().all(agrees) {
                return Err(unclear("what is found has another date of birth, or says none".into()));
            }
        }
        // Whose the answer is stands by now: a death in it is theirs, whatever else it lacks.
        let has_died = self.died.as_ref().is_some_and(|path| is_set(path, &answer, Some(element)));
        let found = Found { died: has_died.then_some(Died { on: None, of }) };
        let mut given = Map::new();
        for (field, path) in &self.gives {
            let value = match texts(path).as_slice() {
                [one] => one_line(one),
                _ => None,
            };
            let value = value.ok_or_else(|| {
                unclear(format!("what is found gives no single value for \"{field}\"")).saying(&found)
            })?;
            given.insert(field.clone(), value);
        }
        Ok((given, found))
    }
}

fn is_fault(document: &Document<'_>) -> bool {
    document.descendants().any(|n| n.is_element() && n.tag_name().name() == "Fault")
}

/// Something that does not say no. What cannot be looked at may say anything.
fn is_set<'a, 'i>(path: &Path, document: &'a Document<'i>, element: Option<Node<'a, 'i>>) -> bool {
    let says = |found: &super::Found<'_, '_>| found.text().is_none_or(|t| !matches!(t.trim(), "" | "0" | "false"));
    path.find(document, element).map_or(true, |found| found.iter().any(says))
}

/// A date of XML Schema, with a zone or a time behind it or without.
fn is_that_day(text: &str, day: &str) -> bool {
    text.strip_prefix(day).is_some_and(|rest| rest.is_empty() || rest.starts_with(['Z', '+', '-', 'T']))
}

#[cfg(test)]
#[path = "lookup_tests.rs"]
mod tests;
