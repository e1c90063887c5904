//! The files of a pack, read once. Everything else works on this, so that a pack laid over another one (`extends`) is only
//! two of these put together.

use super::fault::{Fault, Faults};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fs, path::Path};

/// Files a pack may have.
const MAX_FILES: usize = 2_000;
/// Bytes one file may have.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Folders inside folders.
const MAX_DEPTH: usize = 4;

/// Relative path (with `/`) to bytes.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The folder's name: the pack's id.
    pub name: String,
    files: BTreeMap<String, Vec<u8>>,
}

impl Sources {
    /// Reads the whole folder. Hidden files and editor backups (`~`) are left out; links are not followed.
    pub fn read(folder: &Path) -> Result<Self, Vec<Fault>> {
        let name = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let mut faults = Faults::default();
        let mut sources = Self { name: name.clone(), files: BTreeMap::new() };
        if folder.is_dir() {
            sources.walk(folder, "", 0, &mut faults);
        } else {
            faults.add(
                &name,
                0,
                "is not a folder that can be read",
                "name the pack's folder, the one with adapter.toml in it",
            );
        }
        faults.into_result(sources)
    }

    fn walk(&mut self, folder: &Path, prefix: &str, depth: usize, faults: &mut Faults) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) => return faults.add(prefix, 0, format!("cannot be read: {}", e.kind()), "check its permissions"),
        };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || name.ends_with('~') {
                continue;
            }
            let path = format!("{prefix}{name}");
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_symlink() {
                faults.add(&path, 0, "is a link", "put the file itself into the pack");
            } else if kind.is_dir() {
                if depth == MAX_DEPTH {
                    faults.add(&path, 0, "lies too deep", format!("a pack has at most {MAX_DEPTH} levels of folders"));
                } else {
                    self.walk(&entry.path(), &format!("{path}/"), depth + 1, faults);
                }
            } else if entry.metadata().is_ok_and(|m| m.len() > MAX_FILE_BYTES) {
                faults.add(&path, 0, "is larger than 1 MiB", "a pack holds text files only; split or remove it");
            } else if self.files.len() == MAX_FILES {
                return faults.add(
                    &path,
                    0,
                    format!("is one file too many: a pack has at most {MAX_FILES}"),
                    "remove some",
                );
            } else {
                match fs::read(entry.path()) {
                    Ok(bytes) => drop(self.files.insert(path, bytes)),
                    Err(e) => faults.add(&path, 0, format!("cannot be read: {}", e.kind()), "check its permissions"),
                }
            }
        }
    }

    /// For tests and tools: a pack that is in no folder.
    pub fn from_files<'a>(name: &str, files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self {
            name: name.into(),
            files: files.into_iter().map(|(p, t)| (p.to_owned(), t.as_bytes().to_vec())).collect(),
        }
    }

    pub fn bytes(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// The file as text, line ends as LF, without byte order mark.
    pub fn text(&self, path: &str, faults: &mut Faults) -> Option<String> {
        let Some(bytes) = self.bytes(path) else {
            faults.add(path, 0, "is missing", "add the file, or remove what names it");
            return None;
        };
        match std::str::from_utf8(bytes) {
            Ok(text) => Some(text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n")),
            Err(e) => {
                let line = 1 + memchr::memchr_iter(b'\n', &bytes[..e.valid_up_to()]).count();
                faults.add(
                    path,
                    u32::try_from(line).unwrap_or(0),
                    "is not UTF-8",
                    "save the file as UTF-8 (spreadsheets: \"CSV UTF-8\")",
                );
                None
            }
        }
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub fn under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        self.paths().filter(move |p| p.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
    }

    /// SHA-256 over every file that shapes bytes (README and examples do not), in hexadecimal.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for (path, bytes) in self.files.iter().filter(|(p, _)| !p.starts_with("examples/") && p.as_str() != "README.md")
        {
            for part in [path.as_bytes(), bytes] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_changes_with_any_file_that_shapes_bytes() {
        let of = |files: &[(&'static str, &'static str)]| Sources::from_files("x", files.iter().copied()).fingerprint();
        let a = of(&[("adapter.toml", "1"), ("templates/a.hl7", "2")]);
        assert_ne!(a, of(&[("adapter.toml", "1"), ("templates/a.hl7", "3")]));
        assert_ne!(a, of(&[("adapter.toml", "1"), ("templates/b.hl7", "2")]));
        assert_eq!(
            a,
            of(&[("adapter.toml", "1"), ("templates/a.hl7", "2"), ("README.md", "x"), ("examples/a/input.json", "y")])
        );
        assert_eq!(a.len(), 64);
    }

    #[test]
    fn a_file_that_is_not_utf8_is_named_with_its_line() {
        let mut s = Sources::from_files("x", []);
        s.files.insert("codes/a.csv".into(), b"ours,theirs,note\na,\xe9,\n".to_vec());
        let mut faults = Faults::default();
        assert_eq!(s.text("codes/a.csv", &mut faults), None);
        assert_eq!(faults.0[0].line, 2);
    }
}
