//! `[session]`: how one logs in where the API has a log in of its own. What the request looks like stands here; who we are comes from config when it
//! is made, and is nowhere else: no template sees it, and nothing that is kept or shown holds it.

use super::escaping::Escaping;
use super::fault::{Faults, suggest};
use super::fhir::{HttpRow, json};
use super::lint;
use super::reply::ReplyRules;
use super::settings::Settings;
use super::table::{Reader, TomlFile};
use super::xml::{self, Namespaces};
use crate::transport::http_message::{Headers, Method, Reply, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use serde_json_path::JsonPath;
use toml::de::{DeTable, DeValue};

/// Longest time a session may be said to last, in seconds.
const LASTS_SECONDS_MAX: i64 = 24 * 60 * 60;
/// What a form field keeps as it is.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// SOAP 1.1 and 1.2.
const FAULT_CODES: &[&str] = &["//Fault/faultcode", "//Fault/Code/Value"];
/// What stands for the token in `send`.
const TOKEN: &str = "token";

/// One pack's log in.
#[derive(Debug, Clone)]
pub struct Session {
    /// The request, but for its body.
    head: Request,
    body: Body,
    token: TokenAt,
    /// The header that carries the token, and what stands around it there.
    pub header: String,
    pub before: String,
    pub after: String,
    pub lasts_seconds: u32,
    over: Option<Over>,
}

/// What says that a session is over.
#[derive(Debug, Clone)]
struct Over {
    at: xml::Path,
    is: Vec<String>,
    line: u32,
}

/// Who we are, from config.
#[derive(Clone, Copy)]
pub struct Who<'w> {
    pub user: &'w str,
    pub password: &'w str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Xml,
    Json,
    Form,
}

const KINDS: [(&str, Kind, &str); 3] = [
    ("xml", Kind::Xml, "text/xml; charset=utf-8"),
    ("json", Kind::Json, "application/json"),
    ("form", Kind::Form, "application/x-www-form-urlencoded"),
];

#[derive(Debug, Clone)]
struct Body {
    kind: Kind,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    User,
    Password,
    Setting(String),
}

/// Where an answer has the token.
#[derive(Debug, Clone)]
enum TokenAt {
    Xml(xml::Path),
    Json(JsonPath),
}

impl Session {
    /// `[session]` of a manifest.
    pub fn read(
        file: &TomlFile<'_>,
        table: &DeTable<'_>,
        line: u32,
        settings: &Settings,
        namespaces: &Namespaces,
    ) -> Option<Self> {
        let r = Reader::new(file, table, line, "[session]");
        let path = r.required("path", "session");
        let method = r.text("method").map_or(Some(Method::Post), |(word, at)| {
            let method = Method::parse(&word).filter(|m| *m != Method::Get);
            if method.is_none() {
                file.fault_at(
                    at,
                    format!("method \"{word}\" cannot log in"),
                    "write \"POST\" or \"PUT\", or leave it away",
                );
            }
            method
        });
        let headers = headers(file, &r);
        // All are asked for, so that each is known.
        let given: Vec<_> = KINDS
            .iter()
            .filter_map(|(key, kind, media)| r.text(key).map(|(text, at)| (*kind, *media, text, at)))
            .collect();
        let body = match given.as_slice() {
            [(kind, media, text, at)] => body(file, *kind, text, *at, settings).map(|b| (b, *media)),
            _ => {
                r.fault(
                    "[session] needs one body",
                    "add xml = \"\"\"…{{ login.user }}…{{ login.password }}…\"\"\", or json, or form",
                );
                None
            }
        };
        let token = r.required("token", "/Envelope/Body/LoginResponse/Token").and_then(|(text, at)| {
            if !text.starts_with('$') {
                return xml::path_in(file, &text, at, namespaces).map(TokenAt::Xml);
            }
            JsonPath::parse(&text)
                .map_err(|e| {
                    let what = format!("\"{text}\" is not a JSONPath: {}", e.message());
                    file.fault_at(at, what, "write it as in RFC 9535: $.token; a path into XML begins with /");
                })
                .ok()
                .map(TokenAt::Json)
        });
        let send = r.table("send");
        if send.is_none() {
            r.fault(
                "[session] does not say how the token is sent",
                "add send = { header = \"Authorization\", value = \"Bearer {{ token }}\" }",
            );
        }
        let send = send.and_then(|(t, at)| sent_as(file, t, at));
        let lasts = r.integer("lasts_seconds");
        let lasts_seconds = match lasts {
            Some((n, _)) if (1..=LASTS_SECONDS_MAX).contains(&n) => u32::try_from(n).ok(),
            Some((_, at)) => {
                file.fault_at(at, "lasts_seconds is out of range", format!("write 1 to {LASTS_SECONDS_MAX}"));
                None
            }
            None => {
                r.fault("[session] does not say how long a token lasts", "add lasts_seconds = 1200");
                None
            }
        };
        let over = r.table("over").map(|(t, line)| over(file, t, line, namespaces));
        r.finish();
        let ((body, media), (path, at)) = (body?, path?);
        let mut headers = headers;
        if headers.get("Content-Type").is_none() {
            headers.add("Content-Type", media).ok()?;
        }
        let head = Request::new(method?, path, headers, Vec::new())
            .map_err(|e| {
                file.fault_at(
                    at,
                    format!("[session] makes a request that cannot be sent: {e}"),
                    "write a path below base_url, without values in it",
                )
            })
            .ok()?;
        let (header, before, after) = send?;
        let over = match over {
            Some(None) => return None,
            Some(over) => over,
            None => None,
        };
        Some(Self { head, body, token: token?, header, before, after, lasts_seconds: lasts_seconds?, over })
    }

    /// The request of one log in. What is wrong is said without a secret in it.
    pub fn request(&self, who: Who<'_>, settings: &Map<String, Value>) -> Result<Request, String> {
        let mut body = String::new();
        for piece in &self.body.pieces {
            let (named, value) = match piece {
                Piece::Text(text) => {
                    body.push_str(text);
                    continue;
                }
                Piece::User => ("the user".to_owned(), who.user.to_owned()),
                Piece::Password => ("the password".to_owned(), who.password.to_owned()),
                Piece::Setting(name) => {
                    let value = settings.get(name).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
                    (format!("the setting {name}"), value.unwrap_or_default())
                }
            };
            if value.is_empty() {
                return Err(format!("{named} of the log in is empty"));
            }
            let escaped = self.body.kind.escape(&value);
            body.push_str(
                &escaped.ok_or_else(|| format!("{named} of the log in holds a character that cannot be written"))?,
            );
        }
        Ok(Request { body: body.into_bytes(), ..self.head.clone() })
    }

    /// The token in an answer's body, or why there is none, without a word of the answer.
    pub fn token(&self, body: &[u8]) -> Result<String, String> {
        let found = match &self.token {
            TokenAt::Xml(path) => {
                let document = xml::read(body).map_err(|why| format!("and the answer cannot be read: {why}"))?;
                path.exactly_one(&document).map(|t| t.trim().to_owned())
            }
            TokenAt::Json(path) => {
                let value = json::read(body).map_err(|why| format!("and the answer cannot be read: {why}"))?;
                path.query(&value).exactly_one().ok().and_then(Value::as_str).map(str::to_owned)
            }
        };
        found
            .filter(|t| !t.is_empty())
            .ok_or_else(|| "and the answer has no token, or several, where [session] looks".into())
    }

    /// Whether an answer refuses us by a Fault: SOAP says so with 200 or 500. A fault of the service's own refuses nobody.
    pub fn refuses(&self, body: &[u8]) -> bool {
        let TokenAt::Xml(_) = &self.token else { return false };
        let Ok(answer) = xml::read(body) else { return false };
        let is_fault = answer.descendants().any(|n| n.is_element() && n.tag_name().name() == "Fault");
        let codes = FAULT_CODES.iter().filter_map(|path| xml::Path::parse(path, &Namespaces::default()).ok());
        let codes: Vec<String> = codes.flat_map(|path| path.texts(&answer, None).unwrap_or_default()).collect();
        // SOAP 1.1 has dots behind its own codes: Server.Busy.
        let is_theirs = |code: &String| {
            let local = code.rsplit_once(':').map_or(code.as_str(), |(_, local)| local);
            matches!(local.split('.').next(), Some("Server" | "Receiver"))
        };
        is_fault && !codes.is_empty() && !codes.iter().any(is_theirs)
    }

    /// Whether a whole reply to a message says that the session is over.
    pub fn is_over(&self, reply: &[u8]) -> bool {
        let Some(Over { at, is: words, .. }) = &self.over else { return false };
        let Ok(reply) = Reply::parse(reply) else { return false };
        let Ok(body) = xml::read(&reply.body) else { return false };
        let says =
            |code: &str| words.iter().any(|w| w == code || code.rsplit_once(':').is_some_and(|(_, local)| w == local));
        at.value(&body).ok().flatten().is_some_and(|code| says(&code))
    }
}

impl Session {
    /// What ends a session has the message sent again, so it must say nothing else: in a Fault, and no word that the reply rows give a meaning under which it
    /// may have been filed. And the token's header is the session's own.
    pub fn check(&self, file: &TomlFile<'_>, reply: &ReplyRules, headers: &[(&str, u32)]) {
        for (_, line) in headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(&self.header)) {
            let what =
                format!("this [[render]] sets the header \"{}\", in which [session] sends the token", self.header);
            file.fault_at(*line, what, "remove it here, or name another one in `send`");
        }
        let Some(over) = &self.over else { return };
        let rules = match reply {
            ReplyRules::Xml(rules) => Some(rules),
            ReplyRules::Hl7(_) | ReplyRules::Http(_) => None,
        };
        let is_fault = over.at.is_within("Fault") || rules.is_some_and(|r| r.fault_at.contains(&over.at));
        if !is_fault {
            let what = format!("`over` looks at {}, which lies in no Fault", over.at.shown());
            let hint =
                "a message is sent again only on a refusal: write /…/Fault/faultcode, or say fault_at in [reply] too";
            file.fault_at(over.line, what, hint);
        }
        let Some(rules) = rules else { return };
        for word in over.is.iter().filter(|word| xml::XmlRules::is_generic(word)) {
            let what = format!(
                "\"{word}\" ends a session, and SOAP says it of whatever went wrong: nobody can tell whether the note was filed before"
            );
            let hint = "name the fault that the supplier promises to send before a message is looked at";
            file.fault_at(over.line, what, hint);
        }
        for word in &over.is {
            let is_result = rules.result_at.as_ref() == Some(&over.at) && rules.result(word).is_some();
            let may_be_filed = matches!(rules.fault(word), Some(HttpRow::Unknown | HttpRow::Query));
            if is_result || may_be_filed {
                let what =
                    format!("\"{word}\" ends a session, and in [reply] says that the message may have been filed");
                let hint = "only a word that is said before a message is looked at may have it sent again; take it out of one of the two";
                file.fault_at(over.line, what, hint);
            }
        }
    }
}

impl Kind {
    fn escape(self, value: &str) -> Option<String> {
        match self {
            Self::Xml => Escaping::Xml.escape(value).ok(),
            Self::Json => {
                let quoted = Value::from(value).to_string();
                Some(quoted[1..quoted.len() - 1].to_owned())
            }
            Self::Form => Some(utf8_percent_encode(value, FORM).to_string()),
        }
    }

    /// Whether a body with values in it is what it is meant to be.
    fn reads(self, body: &str) -> Result<(), String> {
        match self {
            Self::Xml => xml::read(body.as_bytes()).map(drop),
            Self::Json => json::read(body.as_bytes()).map(drop),
            Self::Form if body.bytes().all(|b| b.is_ascii_graphic()) && body.split('&').all(|p| p.contains('=')) => {
                Ok(())
            }
            Self::Form => Err("it is not name=value&name=value".into()),
        }
    }
}

/// Fixed texts: nothing of a log in but its body holds values.
fn headers(file: &TomlFile<'_>, r: &Reader<'_, '_>) -> Headers {
    let mut headers = Headers::default();
    for (key, value) in r.table("headers").map(|(t, _)| t).into_iter().flatten() {
        let (name, at) = (key.get_ref().as_ref(), file.line(key.span()));
        let text = match value.get_ref() {
            DeValue::String(text) if !text.contains("{{") => text.to_string(),
            _ => {
                file.fault_at(
                    at,
                    format!("header \"{name}\" of a log in must be a fixed text"),
                    "write it in quotes, without {{ }}",
                );
                continue;
            }
        };
        if let Err(e) = headers.add(name, &text) {
            file.fault_at(at, e.to_string(), "host and lengths are added by the transport");
        }
    }
    headers
}

fn body(file: &TomlFile<'_>, kind: Kind, text: &str, line: u32, settings: &Settings) -> Option<Body> {
    let text = text.trim();
    let mut found = Faults::default();
    let tags = lint::tags(file.path, text, &mut found);
    if kind == Kind::Xml {
        xml::check_places(file.path, text, &tags, &mut found);
    }
    // Lines within the text say little: the log in stands where it begins.
    found.0.drain(..).for_each(|f| file.fault_at(line, f.what, f.hint));
    let (mut pieces, mut at, mut sample) = (Vec::new(), 0, String::new());
    for tag in &tags {
        let before = &text[at..tag.range.start];
        let name = text[tag.inner.clone()].trim();
        let piece = match name.split_once('.') {
            _ if tag.is_block => None,
            Some(("login", "user")) => Some(Piece::User),
            Some(("login", "password")) => Some(Piece::Password),
            Some(("settings", setting)) if settings.get(setting).is_some() => Some(Piece::Setting(setting.into())),
            _ => None,
        };
        let Some(piece) = piece else {
            let hint = match name.strip_prefix("settings.") {
                Some(setting) => suggest(setting, settings.names()),
                None => {
                    "a log in has {{ login.user }}, {{ login.password }} and {{ settings.… }}, and no filters".into()
                }
            };
            file.fault_at(line, format!("`{name}` is nothing that a log in has"), hint);
            return None;
        };
        pieces.extend([Piece::Text(before.to_owned()), piece]);
        sample.push_str(before);
        sample.push('x');
        at = tag.range.end;
    }
    sample.push_str(&text[at..]);
    pieces.push(Piece::Text(text[at..].to_owned()));
    if !pieces.contains(&Piece::Password) {
        file.fault_at(
            line,
            "the log in does not say the password",
            "write {{ login.password }} where it belongs: it comes from config",
        );
    }
    if kind == Kind::Json && is_bare(text, &tags) {
        file.fault_at(line, "a value of the log in stands outside quotes", "write \"{{ login.user }}\"");
    }
    if let Err(why) = kind.reads(&sample) {
        file.fault_at(line, format!("the body of the log in cannot be read: {why}"), "look at its tags and quotes");
        return None;
    }
    Some(Body { kind, pieces })
}

/// Whether a value of a JSON text stands anywhere but within a string.
fn is_bare(text: &str, tags: &[lint::Tag]) -> bool {
    let inside = |at: usize| text[..at].replace("\\\\", "").replace("\\\"", "").matches('"').count() % 2 == 1;
    tags.iter().any(|t| !inside(t.range.start))
}

/// `send = { header = "Authorization", value = "Bearer {{ token }}" }`
fn sent_as(file: &TomlFile<'_>, table: &DeTable<'_>, line: u32) -> Option<(String, String, String)> {
    const NOT: &[&str] =
        &["host", "content-length", "content-type", "transfer-encoding", "connection", "expect", "te", "upgrade"];
    let r = Reader::new(file, table, line, "`send`");
    let header = r.required("header", "Authorization").and_then(|(name, at)| {
        let good = Headers::default().add(&name, "x").is_ok() && !NOT.contains(&name.to_ascii_lowercase().as_str());
        if !good {
            file.fault_at(
                at,
                format!("\"{name}\" is no header that can carry a token"),
                "write for example \"Authorization\"",
            );
        }
        good.then_some(name)
    });
    let value = r.required("value", "Bearer {{ token }}").and_then(|(text, at)| {
        let tags = lint::tags(file.path, &text, &mut Faults::default());
        let around = match tags.as_slice() {
            [tag] if !tag.is_block && text[tag.inner.clone()].trim() == TOKEN => {
                Some((text[..tag.range.start].to_owned(), text[tag.range.end..].to_owned()))
            }
            _ => None,
        };
        let visible = |t: &str| t.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
        let around = around.filter(|(before, after)| visible(before) && visible(after));
        if around.is_none() {
            file.fault_at(
                at,
                "`value` does not say where the token stands",
                "write {{ token }} once, for example \"Bearer {{ token }}\"",
            );
        }
        around
    });
    r.finish();
    let (before, after) = value?;
    Some((header?, before, after))
}

/// `over = { at = "/Envelope/Body/Fault/faultcode", is = ["SessionExpired"] }`
fn over(file: &TomlFile<'_>, table: &DeTable<'_>, line: u32, namespaces: &Namespaces) -> Option<Over> {
    let r = Reader::new(file, table, line, "`over`");
    let at =
        r.required("at", "/Envelope/Body/Fault/faultcode").and_then(|(t, at)| xml::path_in(file, &t, at, namespaces));
    let words = r.texts("is").map(|(words, _)| words).unwrap_or_default();
    if words.is_empty() {
        r.fault("`over` does not say what ends a session", "add is = [\"SessionExpired\"]");
    }
    r.finish();
    Some(Over { at: at?, is: words, line }).filter(|over| !over.is.is_empty())
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
