//! Who owns the record and where entries go: names that stay the same for ever.

/// Why a text is not a name of this kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAName(pub &'static str);

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $rule:literal, $ok:expr;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            pub fn parse(text: &str) -> Result<Self, NotAName> {
                let ok: fn(&str) -> bool = $ok;
                if ok(text) { Ok(Self(text.into())) } else { Err(NotAName($rule)) }
            }
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl TryFrom<String> for $name {
            type Error = NotAName;
            fn try_from(text: String) -> Result<Self, NotAName> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }
    )+};
}

fn of(text: &str, lengths: std::ops::RangeInclusive<usize>, ok: fn(u8) -> bool) -> bool {
    lengths.contains(&text.len()) && text.bytes().all(ok)
}

names! {
    /// An organisation code (NHS Data Dictionary, ORGANISATION IDENTIFIER). Names change, codes persist; a care trust's
    /// code need not begin with R, and IPS providers can be charities.
    OdsCode: "must be an ODS code: 3 to 10 characters of A-Z and 0-9",
        |t| of(t, 3..=10, |c| c.is_ascii_uppercase() || c.is_ascii_digit());
    /// One EPR instance of one trust. Permanent: the endpoint can be re-pointed without losing its queue.
    EndpointId: "must be 1 to 40 characters of a-z, 0-9 and -",
        |t| of(t, 1..=40, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
    /// An adapter pack's folder name.
    PackId: "must be 1 to 40 characters of a-z, 0-9 and -",
        |t| of(t, 1..=40, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-');
    /// An IPS team.
    TeamId: "must be 1 to 40 characters of A-Z, a-z, 0-9, _ and -",
        |t| of(t, 1..=40, |c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-');
    /// A staff identifier with the employer.
    StaffId: "must be 1 to 40 printable ASCII characters without spaces",
        |t| of(t, 1..=40, |c| c.is_ascii_graphic());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ods_code_need_not_begin_with_r() {
        for code in ["RW1", "TAD", "A8JX", "K0N5K", "RW1AB"] {
            assert!(OdsCode::parse(code).is_ok(), "{code}");
        }
        for code in ["", "RW", "rw1", "RW1 ", "RWÉ", "ABCDEFGHIJK"] {
            assert!(OdsCode::parse(code).is_err(), "{code}");
        }
    }
}
