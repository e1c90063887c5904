//! What a field says: nothing, "delete it", or a value.

use std::borrow::Cow;

/// HL7 tells an empty field (leave what you have) from the null value `""` (delete what you have).
#[derive(Clone, PartialEq, Eq)]
pub enum Reading<'m> {
    /// Not sent.
    Absent,
    /// Sent as `""`.
    Null,
    /// Sent, with its escapes undone.
    Value(Cow<'m, str>),
}

impl<'m> Reading<'m> {
    /// The value, if there is one.
    pub fn value(&self) -> Option<&str> {
        match self {
            Self::Value(text) => Some(text),
            Self::Absent | Self::Null => None,
        }
    }

    pub fn into_value(self) -> Option<Cow<'m, str>> {
        match self {
            Self::Value(text) => Some(text),
            Self::Absent | Self::Null => None,
        }
    }

    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    pub fn into_owned(self) -> Reading<'static> {
        match self {
            Self::Absent => Reading::Absent,
            Self::Null => Reading::Null,
            Self::Value(text) => Reading::Value(Cow::Owned(text.into_owned())),
        }
    }
}

/// Shows which of the three it is and how long; never the text.
impl std::fmt::Debug for Reading<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::Null => f.write_str("Null"),
            Self::Value(text) => write!(f, "Value({} bytes)", text.len()),
        }
    }
}
