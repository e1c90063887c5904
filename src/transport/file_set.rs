//! Several files as one message: what is stored before it is sent, and sent again byte by byte.
//!
//! ```text
//! IPSFILES/1 <id> <count>\n
//! <name> <length>\n<bytes>\n      count times; the last one is the one the far end waits for
//! ```
//!
//! And the receipt that a folder gives instead of a reply: `IPSRECEIPT/1 <id> <outcome>\n`.

use std::fmt;

/// Files in one set.
pub const FILES_MAX: usize = 8;
/// Characters of a file name.
pub const NAME_CHARS_MAX: usize = 100;
/// Bytes of a whole set.
pub const BYTES_MAX: usize = 16 * 1024 * 1024;

const FILES: &str = "IPSFILES/1";
const RECEIPT: &str = "IPSRECEIPT/1";

/// One file of a set. Its `Debug` shows no byte of it.
#[derive(Clone, PartialEq, Eq)]
pub struct NamedFile {
    pub name: String,
    pub bytes: Vec<u8>,
}

impl fmt::Debug for NamedFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.name, self.bytes.len())
    }
}

/// Files that belong together, in the order they are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSet {
    /// The message's control id.
    pub id: String,
    pub files: Vec<NamedFile>,
}

/// Why files are no set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FileSetError {
    #[error(
        "a file name may hold letters, digits, . - and _ only, begins with a letter or digit, and has at most {NAME_CHARS_MAX} characters"
    )]
    Name,
    #[error("two files have the same name")]
    Twice,
    #[error("a set has 1 to {FILES_MAX} files")]
    Count,
    #[error("the files are larger than {BYTES_MAX} bytes together")]
    TooLarge,
    #[error("the bytes are no set of files")]
    Unreadable,
}

/// Nothing that a file system could take for a path, a hidden file or a stream.
pub fn is_file_name(name: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&name.len())
        && name.as_bytes()[0].is_ascii_alphanumeric()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        && !name.contains("..")
        && !name.ends_with('.')
}

fn is_id(id: &str) -> bool {
    (1..=40).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric())
}

impl FileSet {
    /// As one message.
    ///
    /// # Errors
    /// A name that is none, the same name twice, too many or too large.
    pub fn encode(&self) -> Result<Vec<u8>, FileSetError> {
        if self.files.is_empty() || self.files.len() > FILES_MAX {
            return Err(FileSetError::Count);
        }
        if !is_id(&self.id) {
            return Err(FileSetError::Unreadable);
        }
        for (at, file) in self.files.iter().enumerate() {
            if !is_file_name(&file.name) {
                return Err(FileSetError::Name);
            }
            // Some far ends do not tell capitals from small letters.
            if self.files[..at].iter().any(|f| f.name.eq_ignore_ascii_case(&file.name)) {
                return Err(FileSetError::Twice);
            }
        }
        let mut out = format!("{FILES} {} {}\n", self.id, self.files.len()).into_bytes();
        for file in &self.files {
            if out.len() + file.bytes.len() > BYTES_MAX {
                return Err(FileSetError::TooLarge);
            }
            out.extend_from_slice(format!("{} {}\n", file.name, file.bytes.len()).as_bytes());
            out.extend_from_slice(&file.bytes);
            out.push(b'\n');
        }
        Ok(out)
    }

    /// # Errors
    /// Anything that [`FileSet::encode`] did not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, FileSetError> {
        let mut rest = bytes;
        let head = line(&mut rest).ok_or(FileSetError::Unreadable)?;
        let mut words = head.split(' ');
        let (Some(FILES), Some(id), Some(count), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(FileSetError::Unreadable);
        };
        let count: usize = count.parse().map_err(|_| FileSetError::Unreadable)?;
        if !(1..=FILES_MAX).contains(&count) {
            return Err(FileSetError::Count);
        }
        let mut files = Vec::with_capacity(count);
        for _ in 0..count {
            let head = line(&mut rest).ok_or(FileSetError::Unreadable)?;
            let (name, length) = head.split_once(' ').ok_or(FileSetError::Unreadable)?;
            let length: usize = length.parse().map_err(|_| FileSetError::Unreadable)?;
            if !is_file_name(name) {
                return Err(FileSetError::Name);
            }
            if rest.len() <= length || rest[length] != b'\n' {
                return Err(FileSetError::Unreadable);
            }
            files.push(NamedFile { name: name.to_owned(), bytes: rest[..length].to_vec() });
            rest = &rest[length + 1..];
        }
        let set = Self { id: id.to_owned(), files };
        // What reads back as the same bytes is what was meant.
        match set.encode() {
            Ok(again) if rest.is_empty() && again == bytes => Ok(set),
            Ok(_) => Err(FileSetError::Unreadable),
            Err(e) => Err(e),
        }
    }
}

/// Takes one line off the front.
fn line<'b>(rest: &mut &'b [u8]) -> Option<&'b str> {
    let end = rest.iter().take(NAME_CHARS_MAX + 64).position(|b| *b == b'\n')?;
    let (line, more) = rest.split_at(end);
    *rest = &more[1..];
    std::str::from_utf8(line).ok()
}

/// What became of a set in a folder, or of a message that was pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Written,
    /// Every file was there already with the same bytes.
    AlreadyThere,
    /// A file of that name with other bytes is there: nothing was written.
    NameTaken,
    /// No folder: the far end pulled the message and said that it has it.
    Confirmed,
}

impl Outcome {
    const WORDS: [(&'static str, Self); 4] = [
        ("written", Self::Written),
        ("already_there", Self::AlreadyThere),
        ("name_taken", Self::NameTaken),
        ("confirmed", Self::Confirmed),
    ];

    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, o)| *o == self).map_or("", |(w, _)| w)
    }
}

/// A folder's answer, or a feed's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub id: String,
    pub outcome: Outcome,
}

impl Receipt {
    pub fn encode(&self) -> Vec<u8> {
        format!("{RECEIPT} {} {}\n", self.id, self.outcome.word()).into_bytes()
    }

    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?.strip_prefix(RECEIPT)?.strip_prefix(' ')?.strip_suffix('\n')?;
        let (id, word) = text.split_once(' ')?;
        let outcome = Outcome::WORDS.iter().find(|(w, _)| *w == word)?.1;
        is_id(id).then(|| Self { id: id.to_owned(), outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(names: &[&str]) -> FileSet {
        let files = names.iter().map(|n| NamedFile { name: (*n).into(), bytes: b"a\nb".to_vec() }).collect();
        FileSet { id: "RZZ01JNBRZC5M8Q4T7V".into(), files }
    }

    #[test]
    fn a_name_that_could_lead_elsewhere_is_refused() {
        for name in ["", "../x", "a/b", "a\\b", ".x", "-x", "a..b", "x.", "a b", "ŵ", "a:b", "a\nb", "C:"] {
            assert_eq!(set(&[name]).encode(), Err(FileSetError::Name), "{name:?}");
        }
        let long = "x".repeat(NAME_CHARS_MAX + 1);
        assert_eq!(set(&[&long]).encode(), Err(FileSetError::Name));
        assert_eq!(set(&["a.PDF", "A.pdf"]).encode(), Err(FileSetError::Twice));
        assert_eq!(set(&[]).encode(), Err(FileSetError::Count));
    }

    #[test]
    fn what_is_torn_or_has_more_behind_it_is_no_set() {
        let bytes = set(&["a.pdf", "a.xml"]).encode().expect("a set");
        assert_eq!(FileSet::decode(&bytes).expect("reads"), set(&["a.pdf", "a.xml"]));
        for end in 0..bytes.len() {
            assert!(FileSet::decode(&bytes[..end]).is_err(), "{end}");
        }
        assert!(FileSet::decode(&[&bytes[..], b"x"].concat()).is_err());
        assert!(FileSet::decode(b"MSH|^~\\&|").is_err());
        assert!(FileSet::decode(b"IPSFILES/1 A 1\nx 99999999999999999999\n").is_err());
    }

    #[test]
    fn a_receipt_reads_back_and_nothing_else_is_one() {
        for outcome in [Outcome::Written, Outcome::AlreadyThere, Outcome::NameTaken, Outcome::Confirmed] {
            let receipt = Receipt { id: "A1".into(), outcome };
            assert_eq!(Receipt::decode(&receipt.encode()), Some(receipt));
        }
        for no in [&b""[..], b"IPSRECEIPT/1 A1 lost\n", b"IPSRECEIPT/1 A1 written", b"IPSRECEIPT/1  written\n", b"ok"] {
            assert_eq!(Receipt::decode(no), None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_files_come_back_and_any_bytes_are_read_without_fear(
            files in prop::collection::vec(("[a-z][a-z0-9]{0,9}\\.(pdf|xml)", prop::collection::vec(any::<u8>(), 0..200)), 1..5),
            noise in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let files = files.into_iter().map(|(name, bytes)| NamedFile { name, bytes }).collect();
            let set = FileSet { id: "A1".into(), files };
            if let Ok(bytes) = set.encode() {
                prop_assert_eq!(FileSet::decode(&bytes), Ok(set));
            }
            let _ = FileSet::decode(&noise);
        }
    }
}
