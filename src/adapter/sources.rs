//! The files of a pack, read once. Everything else works on this. A pack that `extends` another is laid over it file by file:
//! what it does not have itself is read from the base. Manifests are merged by [`super::overlay`].

use super::fault::{Fault, Faults};
use super::keep::Layer;
use super::manifest::FILE;
use super::overlay;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Files a pack may have.
const MAX_FILES: usize = 2_000;
/// Bytes one file may have.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Folders inside folders.
const MAX_DEPTH: usize = 4;
/// Packs that lie one over another.
const MAX_CHAIN: usize = 5;

/// Relative path (with `/`) to bytes.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The folder's name: the pack's id.
    pub name: String,
    files: BTreeMap<String, Vec<u8>>,
    /// What lies under it.
    base: Option<Box<Sources>>,
    /// Cases of the base that make no sense here (`[without]`): names, or how they begin.
    dropped: BTreeSet<String>,
}

impl Sources {
    /// Reads the pack's folder, and those of the packs it extends: they are its neighbours.
    pub fn read(folder: &Path) -> Result<Self, Vec<Fault>> {
        // "." has no name and no neighbours; a link keeps the name it is called by.
        let folder = match folder.file_name() {
            Some(_) => folder.to_owned(),
            None => folder.canonicalize().unwrap_or_else(|_| folder.to_owned()),
        };
        Self::read_chain(&folder, &mut Vec::new())
    }

    fn read_chain(folder: &Path, above: &mut Vec<String>) -> Result<Self, Vec<Fault>> {
        let mut own = Self::read_folder(folder)?;
        let Some(extends) = overlay::extends(&own)? else { return Ok(own) };
        let fault = |what: String, hint: String| vec![Fault::new(FILE, extends.line, what, hint)];
        above.push(own.name.clone());
        if above.contains(&extends.base) {
            let chain = above.join(" over ");
            let what = format!("extends \"{}\", and so itself: {chain} over {}", extends.base, extends.base);
            return Err(fault(what, "a base never extends what lies over it; take one extends out".into()));
        }
        if above.len() == MAX_CHAIN {
            let what = format!("is one pack too many: at most {MAX_CHAIN} lie one over another");
            return Err(fault(what, "extend a lower one of them".into()));
        }
        let neighbours = folder.parent().unwrap_or(Path::new(""));
        let below = neighbours.join(&extends.base);
        if !below.join(FILE).is_file() {
            let what = format!("extends \"{}\", and there is no such pack beside it", extends.base);
            let known: Vec<String> = packs_in(neighbours).into_iter().filter(|n| *n != own.name).collect();
            let hint = super::fault::suggest(&extends.base, known.iter().map(String::as_str));
            return Err(fault(
                what,
                if known.is_empty() { "put the base's folder beside this one".into() } else { hint },
            ));
        }
        let base = Self::read_chain(&below, above)
            .map_err(|list| list.into_iter().map(|f| f.of_base(&extends.base)).collect::<Vec<_>>())?;
        extends.check_version(&base)?;
        own.dropped = extends.without_examples;
        Ok(own.over(base))
    }

    /// Laid over another pack.
    pub fn over(mut self, base: Self) -> Self {
        self.base = Some(Box::new(base));
        self
    }

    /// Reads one folder. Hidden files and editor backups (`~`) are left out; links are not followed.
    fn read_folder(folder: &Path) -> Result<Self, Vec<Fault>> {
        let name = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let mut faults = Faults::default();
        let mut sources = Self { name: name.clone(), ..Self::default() };
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
            } else if !kind.is_file() {
                faults.add(&path, 0, "is no file", "a pack holds text files only; remove it");
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
            ..Self::default()
        }
    }

    /// The file, its own or else the base's.
    pub fn bytes(&self, path: &str) -> Option<&[u8]> {
        let own = self.files.get(path).map(Vec::as_slice);
        own.or_else(|| self.base.as_ref().filter(|_| self.inherits(path))?.bytes(path))
    }

    /// The pack it extends.
    pub fn base(&self) -> Option<&Sources> {
        self.base.as_deref()
    }

    /// Whether the file is the pack's own, not its base's.
    pub fn is_own(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }

    /// The base that a case is taken over from; `None` when the pack itself has a file of it.
    pub fn case_from(&self, case: &str) -> Option<String> {
        let folder = format!("examples/{case}/");
        let has = |pack: &&Sources| pack.files.keys().any(|p| p.starts_with(&folder));
        let holder = self.chain().into_iter().rfind(has)?;
        (!std::ptr::eq(holder, self)).then(|| holder.name.clone())
    }

    /// Manifests are merged, and a README speaks of its own pack. Whoever says what a case gives says it alone.
    fn inherits(&self, path: &str) -> bool {
        let Some((case, file)) = path.strip_prefix("examples/").and_then(|rest| rest.split_once('/')) else {
            return path != FILE && path != "README.md";
        };
        let expected = format!("examples/{case}/expected.");
        !self.dropped.iter().any(|name| overlay::stands_for(name, case))
            && (!file.starts_with("expected.") || !self.files.keys().any(|p| p.starts_with(&expected)))
    }

    /// It and its bases, the lowest first.
    fn chain(&self) -> Vec<&Sources> {
        let mut chain = self.base.as_ref().map(|b| b.chain()).unwrap_or_default();
        chain.push(self);
        chain
    }

    /// The pack at a place in the chain, counted from the lowest.
    pub fn layer(&self, index: usize) -> Option<&Sources> {
        self.chain().get(index).copied()
    }

    /// Every manifest of the chain, the lowest first, each ending its last line.
    pub fn manifests(&self, faults: &mut Faults) -> Option<Vec<String>> {
        let mut texts = Vec::new();
        for pack in self.chain() {
            let mut text = pack.text(FILE, faults)?;
            if !text.ends_with('\n') {
                text.push('\n');
            }
            texts.push(text);
        }
        Some(texts)
    }

    /// Faults name files as this pack sees them, and lines of the joined manifests: here each gets the file it really stands in.
    pub fn located(&self, faults: Vec<Fault>) -> Vec<Fault> {
        if self.base.is_none() {
            return faults;
        }
        let mut ends = Vec::new();
        let mut last = 0;
        for text in self.manifests(&mut Faults::default()).unwrap_or_default() {
            last += u32::try_from(text.matches('\n').count()).unwrap_or(u32::MAX);
            ends.push(last);
        }
        let chain = self.chain();
        let place = |f: Fault| {
            let at = match f.file.as_str() {
                FILE if f.line == 0 => chain.len() - 1,
                FILE => ends.iter().position(|end| f.line <= *end).unwrap_or(chain.len() - 1),
                path => chain.iter().rposition(|p| p.is_own(path)).unwrap_or(chain.len() - 1),
            };
            let before = if f.file == FILE && at > 0 { ends[at - 1] } else { 0 };
            let f = Fault { line: f.line.saturating_sub(before), ..f };
            if at + 1 == chain.len() { f } else { f.of_base(&chain[at].name) }
        };
        faults.into_iter().map(place).collect()
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

    /// Every file, the base's too, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let mut all: BTreeSet<&str> = self.files.keys().map(String::as_str).collect();
        if let Some(base) = &self.base {
            all.extend(base.paths().filter(|p| self.inherits(p)));
        }
        all.into_iter()
    }

    pub fn under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = &'a str> {
        self.paths().filter(move |p| p.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
    }

    /// Every pack of the chain, the lowest first, with the files of it that shape bytes.
    pub(super) fn layers(&self, faults: &mut Faults) -> Vec<Layer> {
        let own = |pack: &Sources, faults: &mut Faults| {
            let texts = pack.files.iter().filter(|(path, _)| shapes_bytes(path)).filter_map(|(path, bytes)| {
                if let Ok(text) = std::str::from_utf8(bytes) {
                    return Some((path.clone(), text.to_owned()));
                }
                faults.add(path, 0, "is not UTF-8", "save the file as UTF-8, or remove it");
                None
            });
            Layer { name: pack.name.clone(), files: texts.collect() }
        };
        self.chain().into_iter().map(|pack| own(pack, faults)).collect()
    }

    /// The other way round. `None`: no pack at all, or more than may lie one over another.
    pub(super) fn from_layers(layers: Vec<Layer>) -> Option<Self> {
        if layers.len() > MAX_CHAIN {
            return None;
        }
        let one = |layer: Layer| Self {
            name: layer.name,
            files: layer.files.into_iter().map(|(path, text)| (path, text.into_bytes())).collect(),
            ..Self::default()
        };
        layers.into_iter().map(one).reduce(|base, pack| pack.over(base))
    }

    /// Its own name and those of its bases.
    pub fn names(&self) -> Vec<String> {
        self.chain().into_iter().map(|pack| pack.name.clone()).collect()
    }

    /// SHA-256 over every file that shapes bytes (README and examples do not), the bases' too, in hexadecimal.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let files = self.chain().into_iter().flat_map(|pack| &pack.files);
        for (path, bytes) in files.filter(|(path, _)| shapes_bytes(path)) {
            for part in [path.as_bytes(), bytes] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part);
            }
        }
        hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
    }
}

/// READMEs and examples say what a pack does; they do nothing.
fn shapes_bytes(path: &str) -> bool {
    !path.starts_with("examples/") && path != "README.md"
}

/// Names of the folders that hold a pack.
fn packs_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|e| e.path().join(FILE).is_file())
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with(['_', '.']))
        .collect();
    names.sort();
    names
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
