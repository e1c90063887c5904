//! Identifiers: UUIDv7, stored as 16 bytes, shown everywhere as 26 Crockford base32 characters.

use super::ambient::Entropy;
use jiff::Timestamp;
use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Why a text is not an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 26 characters of Crockford base32, as the bridge shows its ids")]
pub struct NotAnId;

/// 128 bits as 26 characters, most significant first; sorts like the bytes.
pub fn crockford(bytes: [u8; 16]) -> String {
    let n = u128::from_be_bytes(bytes);
    (0..26).rev().map(|i| ALPHABET[((n >> (5 * i)) & 31) as usize] as char).collect()
}

/// Lower case and the look-alikes I, L (1) and O (0) are read as Crockford says; anything else is refused.
pub fn from_crockford(text: &str) -> Result<[u8; 16], NotAnId> {
    if text.len() != 26 {
        return Err(NotAnId);
    }
    let mut n: u128 = 0;
    for (i, c) in text.bytes().enumerate() {
        let c = match c.to_ascii_uppercase() {
            b'O' => b'0',
            b'I' | b'L' => b'1',
            c => c,
        };
        let digit = ALPHABET.iter().position(|a| *a == c).ok_or(NotAnId)? as u128;
        // 26 characters hold 130 bits: the first may only use three of its five.
        if i == 0 && digit > 7 {
            return Err(NotAnId);
        }
        n = (n << 5) | digit;
    }
    Ok(n.to_be_bytes())
}

/// A new UUIDv7 from the time and randomness passed in.
pub fn new_uuid(now: Timestamp, entropy: &dyn Entropy) -> Uuid {
    let mut random = [0u8; 10];
    entropy.fill(&mut random);
    let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// 16 Crockford characters of 80 random bits: the changing part of a control id. Never a counter, which a restored backup would reuse.
pub fn random_80_bits(entropy: &dyn Entropy) -> String {
    let mut random = [0u8; 16];
    entropy.fill(&mut random[6..]);
    crockford(random)[10..].to_owned()
}

/// Whether a control id may be one of ours: it ends in such a text.
pub fn may_be_ours(control_id: &str) -> bool {
    let bytes = control_id.as_bytes();
    bytes.len() >= 16 && bytes[bytes.len() - 16..].iter().all(|b| ALPHABET.contains(b))
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            pub fn new(now: Timestamp, entropy: &dyn Entropy) -> Self {
                Self(new_uuid(now, entropy))
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&crockford(*self.0.as_bytes()))
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
        impl std::str::FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                from_crockford(text).map(|b| Self(Uuid::from_bytes(b)))
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

ids! {
    /// A person, as one trust knows them.
    PatientId,
    /// One IPS episode.
    ReferralId,
    /// A progress note, whatever its version.
    NoteId,
    /// An employment fact, whatever its version. A job's id is the outcome id of its start.
    OutcomeId,
    /// One version of a note, an outcome or a referral reply, as it must stand in the record.
    EntryId,
    /// One entry to one endpoint.
    DeliveryId,
    /// The exact bytes made for a delivery once.
    RenderingId,
    /// One try to send one rendering.
    AttemptId,
    /// Bytes that came back.
    ReplyId,
    /// Something the EPR sent us, kept raw.
    InboundId,
    /// Proof of holding a lane. Settling needs it.
    LeaseToken,
    /// One run of one process; leases of earlier ones are void.
    Incarnation,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_the_26_characters_it_shows() {
        for bytes in [[0u8; 16], [255u8; 16], *Uuid::from_u128(0x0192_3456_789a_7bcd_8ef0_1234_5678_9abc).as_bytes()] {
            let shown = crockford(bytes);
            assert_eq!(shown.len(), 26);
            assert_eq!(from_crockford(&shown), Ok(bytes));
            assert_eq!(from_crockford(&shown.to_lowercase()), Ok(bytes));
        }
    }

    #[test]
    fn what_is_not_an_id_is_refused() {
        for text in ["", "01", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "0000000000000000000000000U", "0000000000000000000000000é"]
        {
            assert_eq!(from_crockford(text), Err(NotAnId));
        }
    }

    #[test]
    fn ids_sort_as_they_were_made() {
        let mut shown: Vec<String> = (0u128..50).map(|i| crockford((i << 90).to_be_bytes())).collect();
        let made = shown.clone();
        shown.sort();
        assert_eq!(shown, made);
    }
}
