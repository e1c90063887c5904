//! What keeps a second bridge off a record in SQLite.

use super::error::OpenError;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Of a database that is made here; SQLite gives what lies beside it the same. Who else may read it reads everybody's notes.
const MODE: u32 = 0o600;

/// Two locks of the operating system, held as long as this lives; they end with the process, however it ends.
///
/// One is on a file of its own beside the database: it holds also where the database is taken away and another one put in its place. The
/// other is on the database itself: it holds also where the file beside it, which looks like something left over, is deleted; and by whatever
/// name the database is opened, a hard link included.
///
/// SQLite locks bytes of the same file in another way (fcntl), which this one (flock) does not touch on a local disk of Linux. But as soon as a
/// process closes any of its handles of a file it loses what SQLite holds locked there. So ours is opened before SQLite opens the file, nothing else
/// here may open it, and it is closed after the writer's connection is: whatever connection still ends then has nothing to write.
pub(super) struct Held {
    _beside: File,
    _database: Option<File>,
}

/// Keeps others off the database at `path`, which is made if there is none. Gives its name without links, too.
///
/// # Errors
/// Another bridge holds it ([`OpenError::InUse`]), or a file cannot be made, opened or locked.
pub(super) fn hold(path: &Path) -> Result<(Held, PathBuf), OpenError> {
    // By whatever name: a symbolic link to the record is the same record.
    let real = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path))?;
    let mut beside = real.into_os_string();
    beside.push(".lock");
    // First: where it is held already, the database is not even opened.
    let beside = File::options().create(true).truncate(false).write(true).open(beside)?;
    lock(&beside, path)?;
    let database = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(MODE).open(path)?;
    // Elsewhere the two kinds of lock may be one, and this one would keep our own SQLite out.
    let is_apart = cfg!(target_os = "linux");
    if is_apart {
        lock(&database, path)?;
    }
    let real = std::fs::canonicalize(path)?;
    Ok((Held { _beside: beside, _database: is_apart.then_some(database) }, real))
}

/// Whether users of this machine who are neither its owner nor of its group can open the database, or its log beside it. `path` without links.
pub(super) fn is_anybodys(path: &Path) -> bool {
    let allows = |path: &Path, what: u32| std::fs::metadata(path).is_ok_and(|m| m.permissions().mode() & what != 0);
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let is_reached = path.ancestors().skip(1).all(|folder| allows(folder, 0o001));
    is_reached && [path, Path::new(&log)].iter().any(|file| allows(file, 0o007))
}

fn lock(file: &File, path: &Path) -> Result<(), OpenError> {
    file.try_lock().map_err(|e| match e {
        TryLockError::WouldBlock => OpenError::InUse(path.display().to_string()),
        // What cannot lock cannot keep a second bridge out.
        TryLockError::Error(e) => OpenError::File(e),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{Permissions, set_permissions, write};

    #[test]
    fn a_record_is_anybodys_where_it_or_its_log_can_be_opened_and_reached() {
        let folder = tempfile::tempdir().expect("a folder");
        let (database, log) = (folder.path().join("record.db"), folder.path().join("record.db-wal"));
        let mode = |path: &Path, mode| set_permissions(path, Permissions::from_mode(mode)).expect("its mode is set");
        for path in [&database, &log] {
            write(path, "").expect("written");
        }
        for (of_folder, of_database, of_log, anybodys) in [
            (0o755, 0o600, 0o600, false),
            (0o755, 0o640, 0o600, false),
            (0o755, 0o644, 0o600, true),
            (0o755, 0o600, 0o644, true),
            (0o700, 0o644, 0o644, false),
        ] {
            mode(folder.path(), of_folder);
            mode(&database, of_database);
            mode(&log, of_log);
            assert_eq!(is_anybodys(&database), anybodys, "{of_folder:o} {of_database:o} {of_log:o}");
        }
    }
}
