//! `[answer]`: what whoever sends us a message of XML is told, in the words of its supplier. Where a pack has none it is told by a status and a sentence.

use super::super::filled::Filled;
use super::super::pack::Pack;
use super::super::settings::Settings;
use super::super::table::{Reader, TomlFile};
use crate::transport::http_message::Reply;
use serde_json::{Map, Value};
use toml::de::DeTable;

/// What an answer may print.
const NAMES: &[&str] = &["message.id", "message.type", "answer.why"];
const MEDIA: &str = "text/xml; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// The answers of one pack.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    media: Option<String>,
    taken: Option<One>,
    refused: Option<One>,
}

#[derive(Debug, Clone)]
struct One {
    status: Option<u16>,
    xml: Filled,
}

/// What one answer says.
pub struct Said<'s> {
    pub taken: bool,
    /// Unless the pack says another.
    pub status: u16,
    /// What the sender calls the message; empty where it does not say.
    pub id: &'s str,
    pub message_type: &'s str,
    /// Without patient data.
    pub why: &'s str,
}

impl Answers {
    /// `[answer]` of a manifest.
    pub fn read(file: &TomlFile<'_>, table: &DeTable<'_>, line: u32, settings: &Settings) -> Self {
        let r = Reader::new(file, table, line, "[answer]");
        let media = r.text("content_type").map(|(text, at)| {
            if !text.is_ascii() || !text.contains("xml") || text.contains(char::is_control) {
                file.fault_at(at, format!("content_type \"{text}\" is not that of XML"), format!("write \"{MEDIA}\""));
            }
            text
        });
        let one = |key: &'static str, statuses: std::ops::RangeInclusive<i64>| {
            let (table, line) = r.table(key)?;
            let r = Reader::new(file, table, line, "an answer");
            let status = r.integer("status").and_then(|(status, at)| {
                if !statuses.contains(&status) {
                    let what = format!("status {status} does not say that a message was {key}");
                    file.fault_at(
                        at,
                        what,
                        format!("write {} to {}, or leave it away", statuses.start(), statuses.end()),
                    );
                }
                u16::try_from(status).ok()
            });
            let xml = r
                .required("xml", "<Answer code=\"OK\">{{ message.id }}</Answer>")
                .and_then(|(text, at)| Filled::read(file, &text, at, "an answer", NAMES, settings));
            r.finish();
            Some(One { status, xml: xml? })
        };
        let (taken, refused) = (one("taken", 200..=299), one("refused", 400..=599));
        r.finish();
        Self { media, taken, refused }
    }
}

impl Pack {
    /// The answer to a message that came in, under these (resolved) settings.
    pub fn answer_to_xml(&self, settings: &Map<String, Value>, said: &Said<'_>) -> Reply {
        let answers = &self.manifest.answers;
        let value = |name: &str| match name {
            "message.id" => said.id.to_owned(),
            "message.type" => said.message_type.to_owned(),
            _ => said.why.to_owned(),
        };
        let own = if said.taken { &answers.taken } else { &answers.refused };
        // An id of theirs that XML could not carry came in XML: there is none.
        let made =
            own.as_ref().and_then(|one| Some((one.status.unwrap_or(said.status), one.xml.with(&value, settings)?)));
        match made {
            Some((status, xml)) => {
                let media = answers.media.as_deref().unwrap_or(MEDIA);
                Reply::new(status, [("content-type", media)], xml.into_bytes())
            }
            None => plain(said.status, said.why),
        }
    }
}

/// A status and a sentence.
pub fn plain(status: u16, why: &str) -> Reply {
    Reply::new(status, [("content-type", TEXT)], format!("{why}\n").into_bytes())
}
