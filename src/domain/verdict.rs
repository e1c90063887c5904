//! What a reply means. Made from a reply and the pack's rules by `verdict`, used by `decide`.

use serde::{Deserialize, Serialize};

/// What the far end said. Any reply the rules do not list is [`Meaning::Unknown`]: never filed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meaning {
    Positive,
    /// Will not be taken as it is; a person has to look.
    Refused,
    /// Not now; the same bytes may be taken later.
    Retry,
    /// Says nothing we can rely on.
    Unknown,
    /// Shows it in the record of somebody else.
    Misfiled,
}

/// Who speaks: the transport that carried the bytes, or the application they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// CA, CE, CR; HTTP 202; a folder write.
    Transport,
    /// AA, AE, AR.
    Application,
}

/// One reply under one pack's rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub meaning: Meaning,
    pub level: Level,
    /// The codes that came back, e.g. "AE 204": codes only, never text that could name a patient. At most 60 characters.
    pub code: String,
    /// The far end says it has this already (e.g. error 205). Beside [`Meaning::Unknown`]: the record can be asked, and is to be asked before
    /// anything else is done (a pack's `query`).
    pub duplicate: bool,
    /// Beside [`Meaning::Retry`]: nobody can tell whether it was taken all the same (HTTP 500, a proxy's 408).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untold: bool,
    /// Beside [`Meaning::Refused`]: it was taken, and made a new one where it was to change what stands there, which stands elsewhere then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub misplaced: bool,
    /// The EPR's own id of the document, where the reply gives one. At most 100 characters.
    pub record_id: Option<String>,
}

impl Verdict {
    /// "Not now", or a no by which nothing came of it: of an endpoint that lets nobody in it says nothing of the message.
    pub fn is_not_taken(&self) -> bool {
        let refused = self.meaning == Meaning::Refused && !self.untold;
        (self.meaning == Meaning::Retry || refused) && !self.duplicate
    }

    /// Bytes that are no reply at all.
    pub fn unreadable() -> Self {
        Self {
            meaning: Meaning::Unknown,
            level: Level::Application,
            code: "unreadable".into(),
            duplicate: false,
            untold: false,
            misplaced: false,
            record_id: None,
        }
    }
}
