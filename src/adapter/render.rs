//! An entry becomes bytes: template, segments, character set; then the bytes are read back and held against what was accepted.
//! What cannot be carried whole is refused with the reason, never altered.

use super::fault::Fault;
use super::fhir;
use super::files;
use super::filters::Facts;
use super::hl7::{Charset, Path, TOO_MANY_DELIMITERS, rules};
use super::input;
use super::manifest::{FILE, Format, RenderEntry};
use super::named;
use super::pack::Pack;
use super::request;
use super::stop::Stop;
use super::template::{Printed, Stopped, TOO_MUCH};
use super::text::{Newline, TextRules};
use super::xml;
use crate::wire::v1::RenderInput;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::{collections::HashMap, sync::Arc};

/// Longest message, in bytes, whatever the endpoint says: an MLLP frame.
pub(super) const MESSAGE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// What the endpoint demands beyond the pack's settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RenderOptions {
    /// Longest text of an entry, in characters.
    pub max_text_chars: Option<u32>,
    /// Hold entries whose author has no staff id of the EPR.
    pub require_mapped_staff: bool,
    /// Longest message, in bytes; 4 MiB at most.
    pub max_message_bytes: Option<usize>,
}

/// A message, ready to be stored and sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    pub bytes: Vec<u8>,
    /// The same, a segment a line, for authorised eyes.
    pub text_for_display: String,
}

impl std::fmt::Debug for Rendered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rendered({} bytes)", self.bytes.len())
    }
}

/// Why an entry was not rendered. Holds no value of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// A character, or a form of text, that the endpoint cannot carry.
    #[error("cannot be carried: {what}")]
    NotCarriable { what: String },
    /// As that, in something that is no part of the text: its author can do nothing about it.
    #[error("cannot be carried: outside the text, in a name, heading or other field: {what}")]
    FieldNotCarriable { what: String },
    /// Longer than the endpoint takes whole, in characters (or in bytes, for the whole message).
    #[error("longer than the {limit} that the endpoint takes whole; split the entry, or raise the endpoint's limit")]
    TooLong { limit: usize },
    /// The endpoint demands the EPR's own staff id and the staff table has none for the author.
    #[error("the author has no staff id of the EPR; add one to the trust's staff table")]
    NoStaffId,
    /// The pack could not make the message, or made one that breaks the format's rules.
    #[error("the pack cannot make this message: {}", first(.0))]
    NotRenderable(Vec<Fault>),
}

fn first(faults: &[Fault]) -> String {
    match faults {
        [] => "no reason given".into(),
        [one] => one.to_string(),
        [one, more @ ..] => format!("{one} (and {} more)", more.len()),
    }
}

impl RenderError {
    pub(super) fn one(file: &str, line: u32, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::NotRenderable(vec![Fault::new(file, line, what, hint)])
    }
}

impl From<Box<Stopped>> for RenderError {
    fn from(stopped: Box<Stopped>) -> Self {
        match stopped.stop {
            Stop::NotCarriable(what) => Self::NotCarriable { what },
            Stop::TooLong(limit) => Self::TooLong { limit },
            Stop::NoStaffId => Self::NoStaffId,
            Stop::Fault { .. } => Self::NotRenderable(vec![stopped.fault]),
        }
    }
}

fn no_such_time() -> RenderError {
    RenderError::one("input", 0, "holds a time that no calendar has", "correct it where it was entered")
}

/// A pack that makes too much of a short text does so of every one.
const LONG: usize = 5_000;

fn is_long(input: &Value) -> bool {
    let text = input.pointer("/entry/text").and_then(Value::as_str).unwrap_or_default();
    text.chars().count() > LONG
}

fn is_too_much(faults: &[Fault]) -> bool {
    faults.iter().any(|f| f.what.contains(TOO_MANY_DELIMITERS) || f.what.contains(TOO_MUCH))
}

/// What the settings say about making bytes.
pub(super) struct Plan<'p> {
    pub entry: &'p RenderEntry,
    pub facts: Arc<Facts>,
    charset: Charset,
}

impl Pack {
    /// The message for an entry. `input.settings` are the endpoint's; defaults are filled in here.
    pub fn render(&self, input: &RenderInput, options: &RenderOptions) -> Result<Rendered, RenderError> {
        self.render_for(input, &self.input_settings(input)?, options)
    }

    /// As [`Pack::render`], under settings that have their defaults already ([`Pack::settings`]); those of `input` are not looked at.
    pub fn render_for(
        &self,
        input: &RenderInput,
        settings: &Map<String, Value>,
        options: &RenderOptions,
    ) -> Result<Rendered, RenderError> {
        let value = self.as_templates_see(input, settings.clone())?;
        self.render_value(&value, options).map_err(|e| match e {
            // Only its author can shorten it.
            RenderError::NotRenderable(faults) if is_too_much(&faults) && is_long(&value) => {
                RenderError::NotCarriable { what: "so many lines or marks that one message cannot hold them".into() }
            }
            RenderError::NotRenderable(faults) => {
                RenderError::NotRenderable(self.sources.located(self.placed(&value, faults)))
            }
            other => other,
        })
    }

    /// The input's own settings, with their defaults.
    pub(super) fn input_settings(&self, input: &RenderInput) -> Result<Map<String, Value>, RenderError> {
        let given = input.settings.as_ref().map(serde_json::to_value).transpose().map_err(|_| no_such_time())?;
        let given = given.as_ref().and_then(Value::as_object);
        let given = given.map_or_else(|| Cow::Owned(Map::new()), Cow::Borrowed);
        self.manifest.settings.resolve(&given, "settings").map_err(RenderError::NotRenderable)
    }

    /// The input with these settings. Where more than the template engine looks at it ([`super::seen`]), with every field there.
    pub(super) fn as_templates_see(
        &self,
        input: &RenderInput,
        settings: Map<String, Value>,
    ) -> Result<Value, RenderError> {
        let whole = self.manifest.format.is_http();
        let mut value =
            if whole { input::to_json(input) } else { input::set_only(input) }.map_err(|_| no_such_time())?;
        value["settings"] = Value::Object(settings);
        Ok(value)
    }

    /// What filters need to know beside their values.
    pub(super) fn facts(&self, input: &Value) -> Result<Arc<Facts>, RenderError> {
        self.plan(input).map(|plan| plan.facts)
    }

    /// As [`Pack::render`], from the input as templates see it, settings resolved.
    pub(super) fn render_value(&self, input: &Value, options: &RenderOptions) -> Result<Rendered, RenderError> {
        let plan = self.plan(input)?;
        let text = input.pointer("/entry/text").and_then(Value::as_str).unwrap_or_default();
        if let Some(limit) = options.max_text_chars.map(|n| n as usize).filter(|limit| text.chars().count() > *limit) {
            return Err(RenderError::TooLong { limit });
        }
        let staff = input.pointer("/author/epr_id").and_then(Value::as_str).unwrap_or_default();
        if options.require_mapped_staff && staff.is_empty() {
            return Err(RenderError::NoStaffId);
        }
        match self.manifest.format {
            Format::Fhir => return fhir::render(self, &plan, input, options),
            Format::Xml => return xml::render(self, &plan, input, options),
            Format::Hl7v2 | Format::Document => {}
        }
        let made = self.document(&plan, input, false)?;
        let with_document = made.as_ref().map(|m| m.told(input));
        let input = with_document.as_ref().unwrap_or(input);
        let printed = self.templates.render(&plan.entry.template, input, &plan.facts)?;
        let limit = options.max_message_bytes.unwrap_or(MESSAGE_BYTES_MAX).min(MESSAGE_BYTES_MAX);
        if let (Format::Document, Some(made)) = (self.manifest.format, &made) {
            return files::set(&plan, &printed, made, input, limit);
        }
        let segments = segments(&printed);
        let bytes = encode(&segments, text, plan.charset)?;
        if bytes.len() > limit {
            return Err(RenderError::TooLong { limit });
        }
        self.check_bytes(&plan, &bytes, input)?;
        if let Some(made) = &made {
            files::check_embedded(&plan, &bytes, plan.charset, made)?;
        }
        Ok(Rendered { bytes, text_for_display: segments.replace('\r', "\n") })
    }

    /// Each piece of output with the expression that printed it.
    pub(super) fn trace(&self, input: &Value) -> Result<Vec<Printed>, RenderError> {
        let plan = self.plan(input)?;
        if self.manifest.format.is_http() {
            return request::trace(self, &plan, input);
        }
        let mut printed = match &plan.entry.document {
            Some(d) => self.templates.trace(&d.page, input, &plan.facts)?,
            None => Vec::new(),
        };
        let made = self.document(&plan, input, true)?;
        let with_document = made.as_ref().map(|m| m.told(input));
        let input = with_document.as_ref().unwrap_or(input);
        printed.extend(self.templates.trace(&plan.entry.template, input, &plan.facts)?);
        Ok(printed)
    }

    pub(super) fn plan(&self, input: &Value) -> Result<Plan<'_>, RenderError> {
        let nothing = serde_json::Map::new();
        let settings = input.get("settings").and_then(Value::as_object).unwrap_or(&nothing);
        let Some(name) = input::entry_name(input) else {
            return Err(RenderError::one(
                "input",
                0,
                "entry.kind and entry.action are no entry a pack can render",
                "see the list in adapters/README.md",
            ));
        };
        let entry = self.manifest.render_entry(name, settings).ok_or_else(|| {
            RenderError::one(
                FILE,
                0,
                format!("has no [[render]] for {name} under these settings"),
                "add one, or route such entries elsewhere",
            )
        })?;
        let of = |name: &str| super::settings::engine(settings, name);
        let own = of("time_zone");
        let trusts = input.pointer("/trust/time_zone").and_then(Value::as_str).unwrap_or_default();
        let zone = if own.is_empty() { trusts } else { own.as_str() };
        let is_trusts_zone = zone == trusts;
        let zone = TimeZone::get(zone).map_err(|_| {
            RenderError::one(
                "input",
                0,
                "trust.time_zone is not a known zone",
                "use an IANA name, for example Europe/London",
            )
        })?;
        let newline = match of("text_newline").as_str() {
            "repeat" => Newline::Repeat,
            "obx" => Newline::Row,
            _ => Newline::Break,
        };
        let max_chars = of("text_max_chars").parse().unwrap_or(super::settings::TEXT_MAX_CHARS);
        let text = TextRules { newline, max_chars, end_to_end: of("text_join") == "end_to_end" };
        let facts = Arc::new(Facts { zone, is_trusts_zone, with_offset: of("time_offset") != "without", text });
        Ok(Plan { entry, facts, charset: Charset::parse(&of("charset")).unwrap_or(Charset::Utf8) })
    }

    /// Nothing leaves that we could not read ourselves, whole and exact.
    fn check_bytes(&self, plan: &Plan<'_>, bytes: &[u8], input: &Value) -> Result<(), RenderError> {
        let file = format!("templates/{}", plan.entry.template);
        let limits = rules::Limits { obx_5_chars_max: Some(plan.facts.text.max_chars), message_bytes_max: None };
        let message = rules::check(bytes, plan.charset, limits).map_err(|broken| {
            let faults = broken
                .iter()
                .map(|f| Fault::new(&file, 0, format!("makes a message in which {}: {}", f.place, f.what), f.hint));
            RenderError::NotRenderable(faults.collect())
        })?;
        named::check(self, plan, &message, input)?;
        let Some(code) = &plan.entry.text_code else { return Ok(()) };
        let code = match code.strip_prefix("settings.") {
            Some(name) => input.pointer(&format!("/settings/{name}")).and_then(Value::as_str).unwrap_or_default(),
            None => code,
        };
        let joint = if plan.facts.text.newline == Newline::Break { '+' } else { '*' };
        let path = Path::parse(&format!("OBX[3.1='{code}']-5{joint}")).map_err(|_| {
            RenderError::one(FILE, plan.entry.line, "text_code cannot be looked for", "use a code without quotes")
        })?;
        let read = path.read(&message).ok().and_then(|r| r.into_value()).unwrap_or_default();
        match input.pointer("/entry/text").and_then(Value::as_str) {
            Some(text) if read == text => Ok(()),
            _ => Err(RenderError::NotCarriable {
                what: "the text cannot be read back exactly from the message under the endpoint's text settings".into(),
            }),
        }
    }
}

/// One segment a line in the template, CR on the wire; lines that control tags leave blank vanish, and so does indentation.
/// A template's `#` for a set id (`OBX|#|`) becomes the segment's number among its kind.
fn segments(printed: &str) -> String {
    let mut out = String::with_capacity(printed.len());
    let mut counts: HashMap<&str, u32> = HashMap::new();
    for line in printed
        .split('\n')
        .map(|l| l.trim_start_matches([' ', '\t']).trim_end_matches('\r'))
        .filter(|l| !l.trim().is_empty())
    {
        match (line.get(..3), line.get(3..).and_then(|rest| rest.strip_prefix("|#"))) {
            (Some(id), Some(rest)) if rest.is_empty() || rest.starts_with('|') => {
                let count = counts.entry(id).or_default();
                *count += 1;
                out.push_str(&format!("{id}|{count}{rest}"));
            }
            _ => out.push_str(line),
        }
        out.push('\r');
    }
    out
}

fn encode(segments: &str, text: &str, charset: Charset) -> Result<Vec<u8>, RenderError> {
    // Asked of the text first, so that the place named is one its author can count to.
    charset.encode(text).map_err(|e| RenderError::NotCarriable { what: format!("in the text, {e}") })?;
    charset
        .encode(segments)
        .map_err(|e| RenderError::FieldNotCarriable { what: format!("{}, which {charset} lacks", e.hint) })
}
