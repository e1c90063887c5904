//! Whether somebody has saved something in a pack's folder: names, lengths and times of its files. A stamp says only that it is worth reading again.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// Files looked at in one pack's folder; a pack may have no more.
const FILES_MAX: usize = 2_000;
/// Folders inside folders.
const DEPTH_MAX: usize = 5;

/// Of one moment. Two that are equal: nothing was saved between them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stamp(Vec<(String, u64, Option<SystemTime>)>);

impl Stamp {
    /// Of these packs of a folder.
    pub fn of<'a>(folder: &Path, packs: impl IntoIterator<Item = &'a str>) -> Self {
        let mut stamp = Self::default();
        for pack in packs {
            let end = stamp.0.len() + FILES_MAX;
            stamp.walk(&folder.join(pack), pack, 0, end);
        }
        stamp.0.sort();
        stamp
    }

    fn walk(&mut self, folder: &Path, name: &str, depth: usize, end: usize) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            if self.0.len() >= end {
                return;
            }
            let path = format!("{name}/{}", entry.file_name().to_string_lossy());
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() && depth < DEPTH_MAX {
                self.walk(&entry.path(), &path, depth + 1, end);
            } else {
                self.0.push((path, meta.len(), meta.modified().ok()));
            }
        }
    }
}
