//! `[read_back.<name>]`: how the record is asked whether it holds what was sent, and what its answer must show before that counts. A question may be asked
//! any number of times, so it is a GET, or a POST of which the pack says why it changes nothing.

use super::super::filled::Filled;
use super::super::settings::Settings;
use super::super::table::{Reader, TomlFile};
use super::{Namespaces, Path, path_of_document, path_of_element, read};
use crate::transport::http_message::{Headers, Method, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

/// What the question prints: our name for what was sent, as it stood there.
const REFERENCE: &str = "sent.reference";
/// Unreserved in RFC 3986.
const IN_TARGET: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Less than this is no reason, in characters.
const REASON_CHARS_MIN: usize = 10;

/// One question.
#[derive(Debug, Clone)]
pub struct ReadBack {
    name: String,
    /// Where what was sent names itself. Where this gives nothing, it is not the question to ask.
    of: Path,
    method: Method,
    /// Between the pieces stands the reference.
    target: Vec<String>,
    headers: Headers,
    body: Option<Filled>,
    /// What must stand in an answer, once, for it to be one.
    pub answered: Path,
    /// Anything there: the answer shows only some.
    pub more: Option<Path>,
    /// The documents it shows.
    pub each: Path,
    /// Of one of them: our name for it, the record's, …
    pub reference: Path,
    pub record_id: Path,
    /// … what must be as it was sent (in the answer; in what was sent), …
    pub same: Vec<(Path, Path)>,
    /// … and what it must say.
    pub says: Vec<(Path, Vec<String>)>,
}

impl ReadBack {
    /// Every `[read_back.<name>]`.
    pub fn read_all(file: &TomlFile<'_>, table: &DeTable<'_>, settings: &Settings, spaces: &Namespaces) -> Vec<Self> {
        let mut all = Vec::new();
        for (key, item) in table {
            let (name, line) = (key.get_ref().to_string(), file.line(key.span()));
            match item.get_ref().as_table() {
                Some(t) => all.extend(Self::read(file, t, line, name, settings, spaces)),
                None => file.fault_at(
                    line,
                    format!("[read_back] {name} is no question"),
                    "write [read_back.note] with of, path, answered, each, reference, record_id and same in it",
                ),
            }
        }
        all
    }

    fn read(
        file: &TomlFile<'_>,
        table: &DeTable<'_>,
        line: u32,
        name: String,
        settings: &Settings,
        spaces: &Namespaces,
    ) -> Option<Self> {
        let r = Reader::new(file, table, line, format!("[read_back.{name}]"));
        let absolute = |row| path_of_document(file, row, spaces);
        let of_one = |row| path_of_element(file, row, "each", spaces);
        let of = r.required("of", "/Envelope/Body/CreateNote/Note/Reference").and_then(absolute);
        let answered = r.required("answered", "/Envelope/Body/FindNoteResponse").and_then(absolute);
        let more = r.text("more").map(absolute);
        let each = r.required("each", "/Envelope/Body/FindNoteResponse/Note").and_then(absolute);
        let reference = r.required("reference", "./Reference").and_then(of_one);
        let record_id = r.required("record_id", "./NoteId").and_then(of_one);
        let method = r.text("method").map_or(Some(Method::Get), |(word, at)| {
            let method = Method::parse(&word).filter(|m| *m != Method::Put);
            if method.is_none() {
                file.fault_at(at, format!("method \"{word}\" does not ask"), "write \"GET\" or \"POST\"");
            }
            method
        });
        let xml = r.text("xml");
        let safe = r.text("safe");
        match (method, &xml, &safe) {
            (Some(Method::Post), None, _) => {
                r.fault("a question by POST has no body", "add xml = \"\"\"…{{ sent.reference }}…\"\"\"")
            }
            (Some(Method::Post), Some((_, at)), None) => file.fault_at(
                *at,
                "a question by POST does not say why it may be asked again and again",
                "add safe = \"why: FindNote only reads, says the supplier's description\"",
            ),
            (Some(Method::Post), Some(_), Some((why, at))) if why.trim().len() < REASON_CHARS_MIN => {
                file.fault_at(
                    *at,
                    "safe gives no reason",
                    "say why asking changes nothing, so that a reviewer can judge it",
                );
            }
            (Some(Method::Get), Some((_, at)), _) => {
                file.fault_at(*at, "a GET has no body", "write method = \"POST\", or leave xml away")
            }
            _ => {}
        }
        let body = xml.map(|(text, at)| Filled::read(file, &text, at, "a question", &[REFERENCE], settings));
        let path = r.required("path", "notes?reference={{ sent.reference }}");
        let target = path.as_ref().map(|(text, _)| pieces(text));
        let asks_by_it = target.as_ref().is_some_and(|pieces| pieces.len() > 1)
            || body.as_ref().and_then(Option::as_ref).is_some_and(|body| body.prints(REFERENCE));
        if !asks_by_it && path.is_some() {
            r.fault("the question does not say what it asks for", "print {{ sent.reference }} in its path or its body");
        }
        let headers = headers(file, &r, body.is_some());
        let same: Vec<_> = pairs(file, &r, "same", |value| value.as_str().map(str::to_owned))
            .into_iter()
            .filter_map(|(found, sent, at)| Some((of_one((found, at))?, absolute((sent, at))?)))
            .collect();
        if same.is_empty() {
            r.fault(
                "the question does not say what of a document that is found must be as it was sent",
                "add same = { \"./Client/Id\" = \"/Envelope/Body/*/Note/Client/Id\" }: at the least whose it is",
            );
        }
        let words = |value: &DeValue<'_>| {
            let list = value.as_array()?;
            let words: Vec<String> = list.iter().filter_map(|w| Some(w.get_ref().as_str()?.to_owned())).collect();
            (!words.is_empty() && words.len() == list.len()).then_some(words)
        };
        let says: Vec<_> = pairs(file, &r, "says", words)
            .into_iter()
            .filter_map(|(found, words, at)| Some((of_one((found, at))?, words)))
            .collect();
        r.finish();
        let more = match more {
            Some(path) => Some(path?),
            None => None,
        };
        let body = match body {
            Some(body) => Some(body?),
            None => None,
        };
        let (target, (_, at)) = (target?, path?);
        // With any reference in it the target must be one that stays below the endpoint's address.
        if let Err(e) = Request::new(Method::Get, target.join("x"), Headers::default(), Vec::new()) {
            file.fault_at(at, format!("the question cannot be sent: {e}"), "check its path");
        }
        Some(Self {
            name,
            of: of?,
            method: method?,
            target,
            headers,
            body,
            answered: answered?,
            more,
            each: each?,
            reference: reference?,
            record_id: record_id?,
            same,
            says,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Our name for what was sent, where this is the question for it.
    pub fn asked_for(&self, sent: &roxmltree::Document<'_>) -> Option<String> {
        self.of.value(sent).ok().flatten()
    }

    fn request(&self, reference: &str, settings: &Map<String, Value>) -> Option<Request> {
        let target = self.target.join(&utf8_percent_encode(reference, IN_TARGET).to_string());
        let body = match &self.body {
            Some(body) => body.with(&|_| reference.to_owned(), settings)?.into_bytes(),
            None => Vec::new(),
        };
        Request::new(self.method, target, self.headers.clone(), body).ok()
    }
}

/// The one question for what was sent; of none and of several nothing is asked.
pub fn question_for<'q>(all: &'q [ReadBack], rendering: &[u8]) -> Option<(&'q ReadBack, String)> {
    let sent = Request::parse(rendering).ok()?;
    let document = read(&sent.body).ok()?;
    let mut fit = all.iter().filter_map(|q| Some((q, q.asked_for(&document)?)));
    fit.next().filter(|_| fit.next().is_none())
}

/// The request that asks it.
pub fn question(all: &[ReadBack], rendering: &[u8], settings: &Map<String, Value>) -> Option<Vec<u8>> {
    let (question, reference) = question_for(all, rendering)?;
    Some(question.request(&reference, settings)?.to_bytes())
}

/// What stands around `{{ sent.reference }}`.
fn pieces(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut rest = text;
    while let Some((before, inner, after)) = rest.split_once("{{").and_then(|(b, r)| {
        let (inner, after) = r.split_once("}}")?;
        Some((b, inner, after))
    }) {
        if let Some(last) = all.last_mut() {
            last.push_str(before);
            // Anything else stays as it is, and is no part of an address: said as such.
            if inner.trim() != REFERENCE {
                last.push_str("{{");
                last.push_str(inner);
                last.push_str("}} ");
            }
        }
        if inner.trim() == REFERENCE {
            all.push(String::new());
        }
        rest = after;
    }
    if let Some(last) = all.last_mut() {
        last.push_str(rest);
    }
    all
}

/// Fixed texts.
fn headers(file: &TomlFile<'_>, r: &Reader<'_, '_>, has_body: bool) -> Headers {
    let mut headers = Headers::default();
    for (name, text, at) in pairs(file, r, "headers", |value| value.as_str().map(str::to_owned)) {
        let tried =
            headers.add(&name, &text).and_then(|()| Request::new(Method::Get, "x".into(), headers.clone(), Vec::new()));
        if let Err(e) = tried {
            file.fault_at(at, e.to_string(), "host, credentials and lengths are added by the transport");
        }
    }
    let media = [("Content-Type", "application/xml; charset=utf-8"), ("Accept", "application/xml, text/xml")];
    for (name, value) in media.into_iter().filter(|(name, _)| has_body || *name == "Accept") {
        if headers.get(name).is_none() {
            headers.add(name, value).expect("a header of ours");
        }
    }
    headers
}

/// The rows of a table whose values can be read so.
fn pairs<T>(
    file: &TomlFile<'_>,
    r: &Reader<'_, '_>,
    key: &'static str,
    of: impl Fn(&DeValue<'_>) -> Option<T>,
) -> Vec<(String, T, u32)> {
    let mut all = Vec::new();
    for (name, value) in r.table(key).map(|(t, _)| t).into_iter().flatten() {
        let at = file.line(name.span());
        match of(value.get_ref()) {
            Some(value) => all.push((name.get_ref().to_string(), value, at)),
            None => {
                let hint = "write it in quotes; what `says` lists is a list of words";
                file.fault_at(at, format!("\"{}\" of `{key}` has a value of another kind", name.get_ref()), hint);
            }
        }
    }
    all
}
