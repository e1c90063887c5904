//! Documents as the EPR holds them.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::text::Private;

/// One filed document with its versions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Document {
    /// TXA-12, of a result OBR-3; components joined by `^`.
    pub id: String,
    pub status: Status,
    /// TXA-13: the document whose place this one took.
    pub replaces: Option<String>,
    /// The document that took this one's place.
    pub replaced_by: Option<String>,
    pub cancelled: Option<Cancelled>,
    /// The first by T02, T10 or a final result, each further one by T08 or a corrected result. Never empty.
    pub versions: Vec<Version>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Current,
    /// Another document took its place (T10).
    Obsolete,
    /// Taken back (T11).
    Cancelled,
}

/// Who took a document back and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    pub at: Timestamp,
    pub control_id: String,
    /// TXA-21.
    pub reason: Private,
}

/// What one message said a document is. Of a result the OBR says it: OBR-4, OBR-32, OBR-7, OBR-22, OBR-25.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// When it was filed here.
    pub at: Timestamp,
    pub control_id: String,
    /// MSH-9, such as `MDM^T02`.
    pub by: String,
    /// TXA-2.
    pub kind: String,
    /// TXA-9, else TXA-5.
    pub author: Option<Author>,
    /// TXA-4 as sent: when the contact was.
    pub activity: Option<String>,
    /// TXA-6 as sent: when it was written.
    pub written: Option<String>,
    /// TXA-17.
    pub completion: String,
    /// TXA-18.
    pub confidentiality: Option<String>,
    /// TXA-19.
    pub availability: Option<String>,
    /// The readable texts, one for each OBX-3, in the order of their first rows.
    pub sections: Vec<Section>,
    /// OBX rows that are values and not text.
    pub rows: Vec<CodedRow>,
    /// Documents inside the message.
    #[serde(default)]
    pub attachments: Vec<Attachment>,
}

/// A document inside a message (OBX-2 is ED), put together from all rows with one OBX-3. What it looks like is for people; its bytes are not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// OBX-3.1.
    pub code: String,
    /// OBX-3.2.
    pub name: String,
    /// OBX-5.2 and OBX-5.3 of the first row, such as `application/pdf`.
    pub media_type: String,
    pub bytes: usize,
    /// In hexadecimal.
    pub sha256: String,
    /// It begins and ends as a PDF does.
    pub is_whole_pdf: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// XCN-1.
    pub id: String,
    /// XCN-3 and XCN-2 (or XCN-2 alone where it holds the whole name), with XCN-6 before.
    pub name: Private,
    /// XCN-9.
    pub authority: String,
}

/// The text of all OBX rows with one OBX-3: FT rows end to end, TX and ST rows a line each.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// OBX-3.1.
    pub code: String,
    /// OBX-3.2.
    pub name: String,
    /// OBX-2.
    pub value_type: String,
    pub text: Private,
}

/// One OBX row that holds a coded value, a date or a number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodedRow {
    /// OBX-3.1.
    pub code: String,
    /// OBX-3.2.
    pub name: String,
    /// OBX-2.
    pub value_type: String,
    /// OBX-5.1.
    pub value: Private,
    /// OBX-5.2.
    pub meaning: Private,
    /// OBX-6.1.
    pub units: String,
}

impl Document {
    /// What it says now.
    pub fn latest(&self) -> &Version {
        self.versions.last().expect("a document is filed with its first version")
    }
}

impl Version {
    /// The text of the section with this OBX-3 code.
    pub fn text_of(&self, code: &str) -> Option<&str> {
        self.sections.iter().find(|s| s.code == code).map(|s| s.text.as_str())
    }

    /// All texts, a blank line between two sections.
    pub fn text(&self) -> String {
        self.sections.iter().map(|s| s.text.as_str()).collect::<Vec<_>>().join("\n\n")
    }
}
