//! Opening the record: one bridge to a file, no promise on a database that cannot keep it.

use super::*;
use crate::support::{Seeded, SetClock, temp_dir};
use ips_bridge::store::{OpenError, Store};
use std::sync::Arc;

async fn open(url: &str) -> Result<Store, OpenError> {
    let entropy = Arc::new(Seeded::new(unique()));
    Store::open(&bridge::settings(url), Arc::new(rulebook()), Arc::new(SetClock::at(START)), entropy).await.map(|s| s.0)
}

#[tokio::test]
async fn a_second_bridge_on_the_same_file_is_refused_by_whatever_name_it_comes() {
    let folder = temp_dir();
    let file = folder.path().join("record.db");
    let url = format!("sqlite://{}", file.display());
    let bridge = Bridge::on(&url).await;
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let through = folder.path().join(".").join("record.db");
    for path in [&file, &link, &through] {
        let refused = open(&format!("sqlite://{}", path.display())).await;
        assert!(matches!(refused, Err(OpenError::InUse(_))), "{path:?}");
    }
    bridge.close().await;
    assert!(open(&url).await.is_ok());
}

#[tokio::test]
async fn a_second_bridge_is_refused_also_where_the_lock_file_was_deleted_and_by_a_hard_link() {
    let folder = temp_dir();
    let file = folder.path().join("record.db");
    let url = format!("sqlite://{}", file.display());
    let bridge = Bridge::on(&url).await;
    std::fs::remove_file(folder.path().join("record.db.lock")).unwrap();
    let link = folder.path().join("link.db");
    std::fs::hard_link(&file, &link).unwrap();
    for path in [&file, &link] {
        let refused = open(&format!("sqlite://{}", path.display())).await;
        assert!(matches!(refused, Err(OpenError::InUse(_))), "{path:?}");
    }
    // The first one goes on, and nothing of it is lost.
    let of = bridge.episode().await;
    bridge.write(&of, "Still here.").await;
    bridge.close().await;
    assert!(open(&url).await.is_ok());
    assert_eq!(raw::number(&url, "SELECT COUNT(*) FROM note").await, 1);
}

#[tokio::test]
async fn a_record_that_is_made_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = temp_dir();
    let file = folder.path().join("record.db");
    let bridge = Bridge::on(&format!("sqlite://{}", file.display())).await;
    let of = bridge.episode().await;
    bridge.write(&of, "One.").await;
    for beside in ["", "-wal", "-shm"] {
        let path = folder.path().join(format!("record.db{beside}"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
    }
    bridge.close().await;
}

#[tokio::test]
async fn a_database_that_is_put_in_the_place_of_one_in_use_is_not_opened_either() {
    let folder = temp_dir();
    let file = folder.path().join("record.db");
    let url = format!("sqlite://{}", file.display());
    let bridge = Bridge::on(&url).await;
    std::fs::rename(&file, folder.path().join("aside.db")).unwrap();
    assert!(matches!(open(&url).await, Err(OpenError::InUse(_))));
    assert!(!file.exists(), "nothing is made where another bridge is at work");
    bridge.close().await;
}

#[tokio::test]
async fn a_record_is_not_given_to_another_while_queued_writes_are_still_on_their_way() {
    for test in both().filter(|t| t.kind == "sqlite") {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let write = bridge.store.write_note(bridge.note(&of, note("Last.")));
        assert!(tokio::time::timeout(std::time::Duration::ZERO, write).await.is_err());
        drop(bridge.store);
        // The writer has not had its turn on this single thread yet.
        assert!(matches!(open(&test.url).await, Err(OpenError::InUse(_))));
        bridge.end.await.unwrap();
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM note").await, 1);
        assert!(open(&test.url).await.is_ok());
    }
}

#[tokio::test]
async fn postgresql_that_may_lose_commits_is_refused() {
    for test in both().filter(|t| t.kind == "postgres") {
        let name = test.url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
        raw::execute(&test.url, &format!("ALTER DATABASE {name} SET synchronous_commit = off")).await;
        match open(&test.url).await {
            Err(OpenError::Unsafe { setting, value, .. }) => {
                assert_eq!((setting, value.as_str()), ("synchronous_commit", "off"))
            }
            other => panic!("{:?}", other.err()),
        }
        raw::execute(&test.url, &format!("ALTER DATABASE {name} SET synchronous_commit = local")).await;
        assert!(open(&test.url).await.is_ok());
    }
}

#[tokio::test]
async fn a_url_of_another_kind_is_refused_without_showing_it() {
    let Err(refused) = open("mysql://user:secret@host/db").await else { panic!("opened") };
    assert!(matches!(refused, OpenError::UnknownScheme(_)));
    assert!(!refused.to_string().contains("secret"));
}

#[tokio::test]
async fn two_bridges_may_bring_one_postgresql_up_to_date_at_once() {
    for test in both().filter(|t| t.kind == "postgres") {
        let (a, b) = tokio::join!(open(&test.url), open(&test.url));
        assert!(a.is_ok() && b.is_ok());
    }
}

#[tokio::test]
async fn sqlite_is_written_through_to_the_disk() {
    for test in both().filter(|t| t.kind == "sqlite") {
        let bridge = Bridge::on(&test.url).await;
        // What stays in the file; `synchronous` is the connection's own and shows in the crash test's promise only.
        assert_eq!(raw::texts(&test.url, "PRAGMA journal_mode").await, ["wal"]);
        bridge.close().await;
    }
}
