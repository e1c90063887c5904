//! The `request` of a `[[render]]`: what is sent, the template being its body.

use super::super::fault::suggest;
use super::super::manifest::FILE;
use super::super::table::{Reader, TomlFile};
use crate::transport::http_message::{Headers, Method, Request};
use toml::de::{DeTable, DeValue};

/// Headers that are read as a query, and so escaped like one.
const QUERY_HEADERS: &[&str] = &["If-None-Exist"];

/// A misspelt `If-None-Exist` is ignored by whoever gets it, and a repeat is filed twice.
fn near_condition(name: &str) -> Option<String> {
    let own = QUERY_HEADERS[0];
    let folded = name.to_ascii_lowercase().replace('_', "-");
    let is_near = suggest(&folded, [own.to_ascii_lowercase().as_str()]).starts_with("did you mean");
    (is_near && !name.eq_ignore_ascii_case(own)).then(|| format!("did you mean \"{own}\"?"))
}

/// A piece of a request that is a text template of its own, kept in the manifest.
#[derive(Debug, Clone)]
pub struct Part {
    /// `adapter.toml:12:path`: names its place in faults, and by its ending how values are escaped.
    pub name: String,
    /// The text, on its line of the manifest.
    pub source: String,
}

impl Part {
    pub fn new(text: &str, line: u32, what: &str, escape: &str) -> Self {
        let lines = usize::try_from(line.saturating_sub(1)).unwrap_or(0);
        Self { name: format!("{FILE}:{line}:{what}:{escape}"), source: "\n".repeat(lines) + text }
    }
}

/// `request = { method, path, headers }`
#[derive(Debug, Clone)]
pub struct RequestRow {
    pub method: Method,
    pub path: Part,
    /// What stands behind the first `?`.
    pub query: Option<Part>,
    pub headers: Vec<(String, Part)>,
}

impl RequestRow {
    pub fn parts(&self) -> impl Iterator<Item = &Part> {
        [&self.path].into_iter().chain(&self.query).chain(self.headers.iter().map(|(_, part)| part))
    }

    /// A create (no operation such as `$process-message`) that would be made again by a repeat.
    pub fn creates_unasked(&self) -> bool {
        let last = self.path.source.trim().trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let has = |name: &str| self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        self.method == Method::Post && !last.starts_with('$') && !has(QUERY_HEADERS[0])
    }

    pub fn read(file: &TomlFile<'_>, table: &DeTable<'_>, line: u32) -> Option<Self> {
        let r = Reader::new(file, table, line, "`request`");
        let method = r.required("method", "POST").and_then(|(text, at)| {
            let method = Method::parse(&text).filter(|m| *m != Method::Get);
            if method.is_none() {
                file.fault_at(at, format!("method \"{text}\" cannot send an entry"), "write \"POST\" or \"PUT\"");
            }
            method
        });
        let path = r.required("path", "DocumentReference");
        let mut headers = Vec::new();
        for (key, value) in r.table("headers").map(|(t, _)| t).into_iter().flatten() {
            let (name, at) = (key.get_ref().as_ref(), file.line(key.span()));
            let DeValue::String(text) = value.get_ref() else {
                file.fault_at(at, format!("header \"{name}\" must be a text"), "write it in quotes");
                continue;
            };
            if let Some(hint) = near_condition(name) {
                let what = format!("header \"{name}\" is not the one by which a create is made once only");
                file.fault_at(at, what, hint);
                continue;
            }
            let mut tried = Headers::default();
            let good = tried.add(name, "x").and_then(|()| Request::new(Method::Post, "x".into(), tried, Vec::new()));
            if let Err(e) = good {
                file.fault_at(at, e.to_string(), "host, credentials and lengths are added by the transport");
                continue;
            }
            let is_query = QUERY_HEADERS.iter().any(|h| h.eq_ignore_ascii_case(name));
            headers.push((name.to_owned(), Part::new(text, at, name, if is_query { "query" } else { "header" })));
        }
        r.finish();
        let (path, at) = path?;
        let (path, query) = match path.split_once('?') {
            Some((path, query)) => (path.to_owned(), Some(query.replace('|', "%7C"))),
            None => (path, None),
        };
        Some(Self {
            method: method?,
            path: Part::new(&path, at, "path", "path"),
            query: query.map(|q| Part::new(&q, at, "query", "query")),
            headers,
        })
    }
}
