//! A pack's files as one piece of bytes, and back: what is kept of a pack that was activated. The whole chain of packs that lie one over another is in
//! it; READMEs and examples, which shape no byte of any message, are not.

use super::fault::{Fault, Faults};
use super::pack::Pack;
use super::sources::Sources;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Longest that is kept, in bytes.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// One pack of the chain. Texts as they are in the files, to the byte.
#[derive(Serialize, Deserialize)]
pub(super) struct Layer {
    pub name: String,
    pub files: BTreeMap<String, String>,
}

/// Why kept bytes are no pack any more.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    #[error("they cannot be read as a pack's files")]
    Unreadable,
    #[error("they are not the pack that was activated: the fingerprint differs")]
    Changed,
    #[error("this release does not load them: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Faults(Vec<Fault>),
}

impl Pack {
    /// Everything that shapes bytes, to be kept.
    pub fn keep(&self) -> Result<Vec<u8>, Vec<Fault>> {
        let mut faults = Faults::default();
        let layers = self.sources.layers(&mut faults);
        let bytes = serde_json::to_vec(&layers).unwrap_or_default();
        if bytes.len() > BYTES_MAX {
            let what = format!("has {} bytes in files that shape messages; at most {BYTES_MAX} are kept", bytes.len());
            faults.add(super::manifest::FILE, 0, what, "take large files out of templates/, maps/ and codes/");
        }
        faults.into_result(bytes)
    }

    /// A pack that somebody sends to have it tried; nothing says what it must be.
    pub fn sent(bytes: &[u8]) -> Result<Self, NotKept> {
        let layers: Vec<Layer> = serde_json::from_slice(bytes).map_err(|_| NotKept::Unreadable)?;
        Self::from_sources(Sources::from_layers(layers).ok_or(NotKept::Unreadable)?).map_err(NotKept::Faults)
    }

    /// The pack that was kept, which must be the one of that fingerprint.
    pub fn kept(bytes: &[u8], fingerprint: &str) -> Result<Self, NotKept> {
        let layers: Vec<Layer> = serde_json::from_slice(bytes).map_err(|_| NotKept::Unreadable)?;
        let sources = Sources::from_layers(layers).ok_or(NotKept::Unreadable)?;
        if sources.fingerprint() != fingerprint {
            return Err(NotKept::Changed);
        }
        Self::from_sources(sources).map_err(NotKept::Faults)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn load(id: &str) -> Pack {
        Pack::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("adapters").join(id)).expect("our own pack")
    }

    #[test]
    fn a_pack_comes_back_as_it_was_kept_with_all_that_lies_under_it() {
        // Some of them name examples of their base, which are not kept.
        for id in ["hl7v2-uk", "fhir-uk-core", "rio", "systmone", "oracle-millennium", "hl7v2-oru-pdf"] {
            let pack = load(id);
            let bytes = pack.keep().expect("text files");
            let back = Pack::kept(&bytes, pack.fingerprint()).expect("the same pack");
            assert_eq!((back.pin(), back.fingerprint()), (pack.pin(), pack.fingerprint()));
            assert_eq!(back.keep().expect("text files"), bytes);
            assert_eq!((back.renders(), back.parses()), (pack.renders(), pack.parses()));
            assert!(!String::from_utf8_lossy(&bytes).contains("examples/"));
        }
    }

    #[test]
    fn bytes_that_are_not_that_pack_are_refused() {
        let pack = load("hl7v2-uk");
        let text = String::from_utf8(pack.keep().expect("text files")).expect("JSON");
        let changed = text.replace("MDM", "MDN");
        assert!(matches!(Pack::kept(changed.as_bytes(), pack.fingerprint()), Err(NotKept::Changed)));
        assert!(matches!(Pack::kept(b"[]", pack.fingerprint()), Err(NotKept::Unreadable)));
        assert!(matches!(Pack::kept(b"\xff", pack.fingerprint()), Err(NotKept::Unreadable)));
    }
}
