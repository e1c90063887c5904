//! A short XML text of the manifest with blanks in it: `{{ answer.why }}`. It has the values that its place gives it and settings, no filters and no
//! blocks; each value is escaped. What a template of an entry sees is not to be had here.

use super::escaping::Escaping;
use super::fault::{Faults, suggest};
use super::lint;
use super::settings::Settings;
use super::table::TomlFile;
use super::xml;
use serde_json::{Map, Value};

/// Pieces of text, and between them names of values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(String),
    Setting(String),
}

impl Filled {
    /// `what` names the text in faults; `names` are the values it may print.
    pub fn read(
        file: &TomlFile<'_>,
        text: &str,
        line: u32,
        what: &str,
        names: &[&str],
        settings: &Settings,
    ) -> Option<Self> {
        let text = text.trim();
        let mut found = Faults::default();
        let tags = lint::tags(file.path, text, &mut found);
        xml::check_places(file.path, text, &tags, &mut found);
        // Lines within the text say little: it stands where it begins.
        let mut good = found.0.is_empty();
        found.0.drain(..).for_each(|f| file.fault_at(line, f.what, f.hint));
        let (mut pieces, mut at, mut sample) = (Vec::new(), 0, String::new());
        for tag in &tags {
            let before = &text[at..tag.range.start];
            let name = text[tag.inner.clone()].trim();
            let setting = name.strip_prefix("settings.");
            let piece = match setting {
                _ if tag.is_block => None,
                Some(setting) => settings.get(setting).map(|_| Piece::Setting(setting.into())),
                None => names.contains(&name).then(|| Piece::Value(name.into())),
            };
            let Some(piece) = piece else {
                let hint = match setting {
                    Some(setting) => suggest(setting, settings.names()),
                    None => {
                        let names: Vec<String> = names.iter().map(|n| format!("{{{{ {n} }}}}")).collect();
                        format!("it has {} and {{{{ settings.… }}}}, and no filters", names.join(", "))
                    }
                };
                file.fault_at(line, format!("`{name}` is nothing that {what} has"), hint);
                return None;
            };
            pieces.extend([Piece::Text(before.to_owned()), piece]);
            sample.push_str(before);
            sample.push('x');
            at = tag.range.end;
        }
        sample.push_str(&text[at..]);
        pieces.push(Piece::Text(text[at..].to_owned()));
        if let Err(why) = xml::read(sample.as_bytes()) {
            file.fault_at(line, format!("{what} cannot be read: {why}"), "look at its tags and quotes");
            good = false;
        }
        good.then_some(Self(pieces))
    }

    /// Whether it prints this value.
    pub fn prints(&self, name: &str) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Value(own) if own == name))
    }

    /// The text with its values; `None`: one holds what XML cannot carry.
    pub fn with(&self, value: &dyn Fn(&str) -> String, settings: &Map<String, Value>) -> Option<String> {
        let mut out = String::new();
        for piece in &self.0 {
            let value = match piece {
                Piece::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Piece::Value(name) => value(name),
                Piece::Setting(name) => settings
                    .get(name)
                    .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
                    .unwrap_or_default(),
            };
            out.push_str(&Escaping::Xml.escape(&value).ok()?);
        }
        Some(out)
    }
}
