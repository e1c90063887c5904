//! Which faults pass by themselves. Whoever supervises the bridge starts it again after those; after the others only when a person has mended something.
//! In doubt a fault passes: a start too many says the same once more, one too few leaves the bridge down.

use super::commit::sqlite_code;
use rustix::io::Errno;
use std::io::ErrorKind;

/// What a file or a listener cannot be had for just now.
pub fn io(e: &std::io::Error) -> bool {
    use ErrorKind::*;
    match e.kind() {
        // An address that this machine does not have yet: the network comes up later, or another machine gives it up.
        AddrInUse | AddrNotAvailable => true,
        StorageFull | QuotaExceeded | ReadOnlyFilesystem | StaleNetworkFileHandle | ResourceBusy => true,
        TimedOut | Interrupted | WouldBlock | OutOfMemory => true,
        _ => matches!(Errno::from_io_error(e), Some(Errno::MFILE | Errno::NFILE | Errno::IO)),
    }
}

/// What either database refuses to open for just now.
pub(super) fn database(e: &sqlx::Error) -> bool {
    match e {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(d) => match sqlite_code(e) {
            Some(code) => sqlite(code),
            None => d.code().is_some_and(|state| postgres(&state)),
        },
        _ => false,
    }
}

/// By the number of an extended result code.
fn sqlite(code: i32) -> bool {
    // The low byte: busy, locked, no memory, read-only, I/O, full, cannot open (why the system does not say: mostly too many files were open), and a lost
    // race for the log.
    matches!(code & 255, 5 | 6 | 7 | 8 | 10 | 13 | 14 | 15)
}

/// By SQLSTATE.
fn postgres(state: &str) -> bool {
    // The connection, resources, an operator's intervention, the server's system; a standby that is yet to be promoted; somebody else's locks.
    ["08", "53", "57", "58"].iter().any(|class| state.starts_with(class))
        || matches!(state, "25006" | "40001" | "40P01" | "55P03")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::OpenError;
    use sqlx::migrate::MigrateError;

    #[test]
    fn what_passes_by_itself_is_tried_again_and_what_a_person_has_to_mend_is_not() {
        // SQLITE_FULL, READONLY, IOERR_WRITE, IOERR_FSYNC, CANTOPEN, BUSY.
        assert!([13, 8, 778, 1034, 14, 5].into_iter().all(sqlite));
        // CORRUPT, NOTADB, ERROR.
        assert!(![11, 26, 1].into_iter().any(sqlite));
        assert!(["25006", "53100", "53300", "57P03", "08006", "58030", "55P03"].into_iter().all(postgres));
        // A password, a database that is not there, a table that may not be made.
        assert!(!["28P01", "3D000", "42501", "42P07"].into_iter().any(postgres));
        for errno in
            [Errno::MFILE, Errno::NFILE, Errno::IO, Errno::NOSPC, Errno::ROFS, Errno::ADDRINUSE, Errno::ADDRNOTAVAIL]
        {
            assert!(io(&errno.into()), "{errno}");
        }
        for errno in [Errno::ACCESS, Errno::PERM, Errno::NOENT, Errno::NOTDIR, Errno::INVAL] {
            assert!(!io(&errno.into()), "{errno}");
        }
    }

    #[test]
    fn a_fault_in_the_middle_of_a_migration_is_judged_like_any_other() {
        let away = || sqlx::Error::PoolTimedOut;
        assert!(OpenError::from(MigrateError::Execute(away())).may_pass());
        assert!(OpenError::from(MigrateError::ExecuteMigration(away(), 7)).may_pass());
        assert!(!OpenError::from(MigrateError::Dirty(7)).may_pass());
        assert!(!OpenError::from(MigrateError::Execute(sqlx::Error::RowNotFound)).may_pass());
    }
}
