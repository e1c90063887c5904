//! `[reply]` of an XML pack: what a status means, what a Fault or a result code in the body means, and what a reply must show before it counts.

use super::super::fault::suggest;
use super::super::fhir::{HttpRow, HttpRules, is_untold, untold};
use super::path::{Namespaces, Path};
use std::collections::BTreeMap;

/// Where a reply names what it answers, and where what was sent does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Echo {
    pub at: Option<Path>,
    pub of: Option<Path>,
}

/// The rules for one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmlRules {
    /// By HTTP status.
    http: HttpRules,
    /// Where the body says how it went.
    pub result_at: Option<Path>,
    results: BTreeMap<String, HttpRow>,
    /// Where a Fault says why.
    pub fault_at: Vec<Path>,
    faults: BTreeMap<String, HttpRow>,
    /// Where a positive reply gives the record's own id.
    pub record_id: Option<Path>,
    pub echo: Echo,
    namespaces: Namespaces,
}

/// Keys that are paths.
const PATHS: &[&str] = &["result_at", "fault_at", "record_id", "echo_at", "echo_of"];
/// SOAP 1.1 and 1.2.
const FAULT_CODES: &[&str] = &["//Fault/faultcode", "//Fault/Code/Value"];

impl Default for XmlRules {
    fn default() -> Self {
        Self::new(Namespaces::default())
    }
}

impl XmlRules {
    /// The usual rows of HTTP, but for 5xx and 408: SOAP answers 500 to whatever went wrong, before or after it was filed, and nothing here makes a
    /// repeat harmless. Fault codes: SOAP's own for a message that was not understood are refused.
    pub fn new(namespaces: Namespaces) -> Self {
        let mut http = HttpRules::default();
        for status in ["5xx", "502", "504", "408"] {
            http.statuses.insert(status.into(), HttpRow::Unknown);
        }
        let faults = ["VersionMismatch", "MustUnderstand"].map(|code| (code.to_owned(), HttpRow::Refused));
        let usual = |text: &&str| Path::parse(text, &Namespaces::default()).expect("a path of ours");
        Self {
            http,
            result_at: None,
            results: BTreeMap::new(),
            fault_at: FAULT_CODES.iter().map(usual).collect(),
            faults: faults.into(),
            record_id: None,
            echo: Echo::default(),
            namespaces,
        }
    }

    pub fn status(&self, status: u16) -> HttpRow {
        self.http.status(status)
    }

    pub fn result(&self, code: &str) -> Option<HttpRow> {
        self.results.get(code).copied()
    }

    /// By the whole code, or by what stands behind a prefix (`soap:Server`).
    pub fn fault(&self, code: &str) -> Option<HttpRow> {
        let local = code.rsplit_once(':').map_or(code, |(_, local)| local);
        self.faults.get(code).or_else(|| self.faults.get(local)).copied()
    }

    /// SOAP's word for whatever went wrong on the far side, before a note was filed or after. What stands behind a dot (`Server.Busy`) is a service's own.
    pub fn is_generic(code: &str) -> bool {
        let local = code.rsplit_once(':').map_or(code, |(_, local)| local);
        matches!(local, "Server" | "Receiver")
    }

    /// What is wrong with the whole, once every row is read.
    pub fn wanting(&self) -> Option<(&'static str, &'static str)> {
        match (&self.result_at, &self.record_id, &self.echo.at, &self.echo.of) {
            (None, None, _, _) => Some((
                "[reply] names neither record_id nor result_at, so no reply could ever file anything",
                "add record_id = \"/Envelope/Body/…\": where the reply gives the record's id of the document; or result_at and result.OK = \"positive\"",
            )),
            (Some(_), _, _, _) if self.results.is_empty() => Some((
                "[reply] has result_at and no result it could say",
                "add result.OK = \"positive\" and what else it may say",
            )),
            (_, Some(record), Some(echo), _) if record == echo => Some((
                "[reply] has one place for record_id and echo_at: our own name for the document is none that the record gave it",
                "name the place where the record's own id stands, or leave record_id away where it gives none",
            )),
            (_, _, Some(_), None) | (_, _, None, Some(_)) => Some((
                "[reply] has one of echo_at and echo_of",
                "add the other: where the reply, and where the request, name the message",
            )),
            _ => None,
        }
    }

    /// Changes one row, or says what is wrong with it: what and a hint.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), (String, String)> {
        if PATHS.contains(&key) {
            let path = Path::parse(value, &self.namespaces).ok().filter(|p| !p.is_from_element());
            let Some(path) = path else {
                let hint = match Path::parse(value, &self.namespaces) {
                    Err(e) => format!("{} at character {}; {}", e.what, e.column, e.hint),
                    Ok(_) => "begin it with /".into(),
                };
                return Err((format!("{key} is not a path"), hint));
            };
            match key {
                "result_at" => self.result_at = Some(path),
                "fault_at" => self.fault_at = vec![path],
                "record_id" => self.record_id = Some(path),
                "echo_at" => self.echo.at = Some(path),
                _ => self.echo.of = Some(path),
            }
            return Ok(());
        }
        let (of, code) = key.split_once('.').unwrap_or(("", key));
        match of {
            "result" | "fault" => {
                let row = HttpRow::parse(value).ok_or_else(|| {
                    let known = super::super::fhir::reply_meanings();
                    (format!("reply row \"{key}\" has the unknown meaning \"{value}\""), suggest(value, known))
                })?;
                if code.is_empty() || code.len() > 100 || code.contains(char::is_control) {
                    return Err((format!("\"{key}\" names no code"), "write result.OK = \"positive\"".into()));
                }
                if code == "*" {
                    let hint = "list each code that the service sends; what no row lists is unknown";
                    return Err((format!("\"{key}\" names no code: there is no wildcard"), hint.into()));
                }
                if of == "fault" && Self::is_generic(code) && matches!(row, HttpRow::Refused | HttpRow::Retry) {
                    return Err(untold(key, value));
                }
                if of == "fault" && matches!(row, HttpRow::Positive | HttpRow::Received) {
                    let hint = "a fault is refused, retry, query or unknown";
                    return Err((format!("\"{key}\" can never be {value}"), hint.into()));
                }
                let rows = if of == "fault" { &mut self.faults } else { &mut self.results };
                rows.insert(code.to_owned(), row);
                Ok(())
            }
            "" if value == "retry" && is_untold(code) => Err(untold(key, value)),
            "" => self.http.set(key, value).map_err(|(what, hint)| match what.starts_with("unknown key") {
                true => {
                    let hint = format!(
                        "{}, result.<code>, fault.<code>, or a status such as \"409\" or \"4xx\"",
                        PATHS.join(", ")
                    );
                    (what, format!("known are: {hint}"))
                }
                false => (what, hint),
            }),
            _ => Err((
                format!("unknown key \"{key}\" in [reply]"),
                format!("an xml pack has result.<code> and fault.<code>; {}", suggest(of, ["result", "fault"])),
            )),
        }
    }
}
