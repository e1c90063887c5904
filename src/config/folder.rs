//! `[endpoint.folder]`: files out into a folder, result files and lists back from others.

use super::section::Section;
use super::tree::Node;
use super::values::{Parsed, days, duration, int, minutes, path, same_place, secs, wrong};
use std::path::PathBuf;
use std::time::Duration;

/// Sets of files written at the same time: a disk gains nothing by more.
pub(super) const AT_ONCE: u32 = 4;

#[derive(Debug, Clone)]
pub struct Folder {
    /// Where documents and their index files go.
    pub path: PathBuf,
    /// Permission bits of every file.
    pub file_mode: u32,
    pub write_timeout: Duration,
    /// Document and index together.
    pub max_files_bytes: usize,
    pub inbox: Inbox,
}

/// What comes back.
#[derive(Debug, Clone)]
pub struct Inbox {
    /// Where result files appear; none = none come.
    pub results: Option<PathBuf>,
    /// Where lists of what the record holds appear.
    pub lists: Option<PathBuf>,
    pub poll_interval: Duration,
    /// A file is read when it has not changed for so long.
    pub settle_time: Duration,
    pub max_file_bytes: usize,
}

pub(super) fn read(mut s: Section<'_>) -> Option<Folder> {
    let out = s.required("path", "write the folder that the EPR's import watches", path);
    let inbox = Inbox {
        results: s.optional("results", path),
        lists: s.optional("lists", path),
        poll_interval: s.or("poll_interval", "\"10s\"", duration(Duration::from_millis(100)..=minutes(60))),
        settle_time: s.or("settle_time", "\"5s\"", duration(Duration::ZERO..=days(1))),
        max_file_bytes: s.or("max_file_bytes", "1_048_576", int(1024..=16_777_216)),
    };
    let folder = Folder {
        file_mode: s.or("file_mode", "\"0640\"", mode),
        write_timeout: s.or("write_timeout", "\"30s\"", duration(secs(1)..=minutes(10))),
        max_files_bytes: s.or("max_files_bytes", "4_194_304", int(65_536..=16_777_216)),
        path: out?,
        inbox,
    };
    let back = [("results", &folder.inbox.results), ("lists", &folder.inbox.lists)];
    for (key, _) in back.iter().filter(|(_, p)| p.as_deref().map(same_place) == Some(same_place(&folder.path))) {
        s.fault(key, "is the folder that files are written into", "give it a folder of its own");
    }
    let place = |path: &Option<PathBuf>| path.as_deref().map(same_place);
    if folder.inbox.results.is_some() && place(&folder.inbox.results) == place(&folder.inbox.lists) {
        s.fault("lists", "is the results folder", "give it a folder of its own");
    }
    Some(folder)
}

/// Octal, as chmod takes it; readable by others is for nobody's notes.
fn mode(node: &Node) -> Parsed<u32> {
    match node.text().and_then(|t| u32::from_str_radix(t, 8).ok()) {
        Some(mode) if mode & 0o600 == 0o600 && mode & !0o660 == 0 => Ok(mode),
        _ => wrong(
            "must be permissions such as \"0640\", for owner and group only",
            "patient documents are readable by nobody else: \"0600\", \"0640\" or \"0660\"",
        ),
    }
}
