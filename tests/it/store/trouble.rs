//! A disk that is full, a database that goes away: nothing half written, nobody told that it was.

use super::*;
use futures::future::join_all;
use ips_bridge::store::record::Answered;
use ips_bridge::store::{StoreError, WriteError};

/// Makes the last statement of every commit fail, or the commit itself, as a disk does that is full; `None`: no more.
async fn fill(url: &str, at: Option<&str>) {
    let sqlite = url.starts_with("sqlite");
    let statements: &[&str] = match (sqlite, at) {
        (true, Some("statement")) => {
            &["CREATE TRIGGER full_disk BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"]
        }
        // A deferred foreign key is looked at by COMMIT.
        (true, Some(_)) => &[
            "CREATE TABLE nobody (x INTEGER PRIMARY KEY)",
            "CREATE TABLE broken (x INTEGER REFERENCES nobody (x) DEFERRABLE INITIALLY DEFERRED)",
            "CREATE TRIGGER full_disk AFTER INSERT ON audit BEGIN INSERT INTO broken VALUES (1); END",
        ],
        (true, None) => &["DROP TRIGGER full_disk"],
        (false, Some(at)) => &[
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$",
            if at == "statement" {
                "CREATE TRIGGER full_disk BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION full_disk()"
            } else {
                "CREATE CONSTRAINT TRIGGER full_disk AFTER INSERT ON audit DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION full_disk()"
            },
        ],
        (false, None) => &["DROP TRIGGER full_disk ON audit"],
    };
    for statement in statements {
        raw::execute(url, statement).await;
    }
}

#[tokio::test]
async fn a_commit_that_cannot_be_written_leaves_nothing_behind_and_its_callers_know_what_is_known() {
    for at in ["statement", "commit"] {
        for test in both() {
            let bridge = Bridge::on(&test.url).await;
            let of = bridge.episode().await;
            bridge.write(&of, "Before.").await;
            fill(&test.url, Some(at)).await;
            let before = raw::rows(&test.url, "delivery").await;
            let position = *bridge.store.position().borrow();
            let writes: Vec<_> = (0..20)
                .map(|n| {
                    let mut write = bridge.note(&of, note(&format!("Note {n}")));
                    if n == 7 {
                        write.expected.family.0 = "Somebody-Else".into();
                    }
                    let store = bridge.store.clone();
                    tokio::spawn(async move { store.write_note(write).await })
                })
                .collect();
            for (n, result) in join_all(writes).await.into_iter().enumerate() {
                match (at, result.unwrap()) {
                    // The rules had refused it; that is still the answer.
                    (_, Err(WriteError::Refused(_))) if n == 7 => {}
                    ("statement", Err(WriteError::Store(StoreError::Unavailable(_)))) => {}
                    ("commit", Err(WriteError::Store(StoreError::CommitUnknown(_)))) => {}
                    (_, other) => panic!("{n}: {other:?}"),
                }
            }
            assert_eq!(raw::rows(&test.url, "delivery").await, before);
            for table in ["note", "entry"] {
                assert_eq!(raw::number(&test.url, &format!("SELECT COUNT(*) FROM {table}")).await, 1);
            }
            assert_eq!(*bridge.store.position().borrow(), position);
            assert_eq!(bridge.store.open_deliveries(), 1);
            fill(&test.url, None).await;
            bridge.write(&of, "After.").await;
            bridge.check_columns().await;
            bridge.close().await;
        }
    }
}

#[tokio::test]
async fn a_database_that_cuts_the_writer_off_loses_nothing_it_answered_and_is_found_again() {
    for test in both().filter(|t| t.kind == "postgres") {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let mut answered = 0;
        for round in 0..6 {
            let writes: Vec<_> = (0..40)
                .map(|n| {
                    let (store, write) = (bridge.store.clone(), bridge.note(&of, note(&format!("Note {round}.{n}"))));
                    tokio::spawn(async move { store.write_note(write).await })
                })
                .collect();
            raw::execute(&test.url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ips-bridge' AND datname = current_database()").await;
            for result in join_all(writes).await {
                match result.unwrap() {
                    Ok(Answered::Fresh(_)) => answered += 1,
                    Ok(other) => panic!("{other:?}"),
                    Err(WriteError::Store(StoreError::Unavailable(_) | StoreError::CommitUnknown(_))) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
        let count = async |table: &str| raw::number(&test.url, &format!("SELECT COUNT(*) FROM {table}")).await;
        let notes = count("note").await;
        assert!(notes >= answered, "{answered} answered, {notes} there");
        assert_eq!((count("entry").await, count("delivery").await, count("request").await), (notes, notes, notes + 1));
        bridge.write(&of, "Found again.").await;
        bridge.check_columns().await;
        bridge.close().await;
    }
}

#[tokio::test]
async fn when_the_database_is_gone_every_caller_is_told_so_together() {
    for test in both().filter(|t| t.kind == "postgres") {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let name = test.url.rsplit('/').next().unwrap().split('?').next().unwrap().to_owned();
        let server = test.url.replace(&name, "postgres");
        raw::execute(&server, &format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")).await;
        raw::execute(
            &server,
            &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
        )
        .await;
        let writes: Vec<_> = (0..50)
            .map(|n| {
                let (store, write) = (bridge.store.clone(), bridge.note(&of, note(&format!("Note {n}"))));
                tokio::spawn(async move { store.write_note(write).await })
            })
            .collect();
        let began = std::time::Instant::now();
        for result in join_all(writes).await {
            assert!(matches!(result.unwrap(), Err(WriteError::Store(StoreError::Unavailable(_)))));
        }
        assert!(began.elapsed() < std::time::Duration::from_secs(45), "not one wait for each of them");
        raw::execute(&server, &format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")).await;
        bridge.write(&of, "Back.").await;
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM note").await, 1);
        bridge.close().await;
    }
}
