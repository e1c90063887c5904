//! Secrets come from a file or the environment, never from the settings themselves, and show themselves to nobody.

use super::section::Section;
use super::tree::{Node, Value};
use super::values::file;

/// A secret value. `Debug` shows nothing of it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A value that is not secret and stands among such as are: it is shown to nobody either.
impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

const FORMS: &str = "write { file = \"path\" } or { env = \"NAME\" }";

impl Section<'_> {
    /// `{ file = "…" }` or `{ env = "…" }`; an override by `IPS_BRIDGE__…` is itself from the environment.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<Secret> {
        let node = self.node(key, None)?;
        match &node.value {
            Value::Loose(text) => Some(Secret(text.clone())),
            Value::Table(_) => self.secret_at(key, node),
            _ => {
                self.fault(key, "is a secret, and secrets never stand in this file", FORMS);
                None
            }
        }
    }

    /// The same for a table under a key that is not one of ours.
    pub(super) fn secret_at(&self, key: &str, node: &Node) -> Option<Secret> {
        let mut from = Section::new(self.reading, self.path_of(key), node);
        let file = from.optional("file", file);
        let env = from.optional("env", super::values::text(100));
        match (file, env) {
            (Some(path), None) => match std::fs::read_to_string(&path) {
                Ok(text) => from.non_empty("file", text.trim_end_matches(['\r', '\n'])),
                Err(error) => {
                    let hint = "check its permissions; it must be UTF-8 text";
                    from.fault("file", format!("cannot be read: {error}"), hint);
                    None
                }
            },
            (None, Some(name)) => match self.reading.env.get(&name) {
                Some(value) => from.non_empty("env", value),
                None => {
                    let hint = format!("set {name} before starting the bridge");
                    from.fault("env", format!("names {name}, which is not set"), hint);
                    None
                }
            },
            (None, None) if from.has("file") || from.has("env") => None,
            _ => {
                self.fault(key, "must name exactly one place", FORMS);
                None
            }
        }
    }

    fn non_empty(&self, key: &str, value: &str) -> Option<Secret> {
        if value.is_empty() {
            self.fault(key, "names an empty secret", "put the secret there, or remove the key");
            return None;
        }
        Some(Secret(value.to_owned()))
    }
}
