//! The harness keeps its own promises.

use super::{Seeded, SetClock, free_addr, stores, temp_dir, wait_until};
use ips_bridge::domain::ambient::{Clock, Entropy};
use sqlx::{Connection, PgConnection, SqliteConnection};
use std::time::Duration;

#[tokio::test]
async fn both_stores_are_new_and_of_the_tests_own() {
    for (mine, other) in stores().zip(stores()) {
        // A table that is there already, from another test or in a store that both share, would be refused.
        for url in [&mine.url, &other.url] {
            execute(url, "CREATE TABLE mine (x int)").await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_store_is_gone_after_its_test_even_when_that_left_connections_open() {
    for store in stores() {
        let url = store.url.clone();
        let open = execute(&url, "CREATE TABLE mine (x int)").await.unwrap();
        drop(store);
        assert!(execute(&url, "SELECT x FROM mine").await.is_err(), "{url}");
        drop(open);
    }
}

/// The connection is handed back, open.
async fn execute(url: &str, statement: &'static str) -> sqlx::Result<Box<dyn std::any::Any>> {
    Ok(if url.starts_with("sqlite") {
        let mut db = SqliteConnection::connect(&format!("{url}?mode=rwc")).await?;
        sqlx::query(statement).execute(&mut db).await?;
        Box::new(db)
    } else {
        let mut db = PgConnection::connect(url).await?;
        sqlx::query(statement).execute(&mut db).await?;
        Box::new(db)
    })
}

/// What the store's promises are measured against must be able to break them.
#[tokio::test]
async fn the_test_server_writes_through_as_a_real_one_does() {
    let store = stores().find(|s| s.kind == "postgres").unwrap();
    let mut db = PgConnection::connect(&store.url).await.unwrap();
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        let value: String =
            sqlx::query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(&mut db).await.unwrap();
        assert_eq!(value, "on", "{setting}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let bytes = |seed| {
        let mut bytes = [0; 21];
        Seeded::new(seed).fill(&mut bytes);
        bytes
    };
    assert_eq!(bytes(7), bytes(7));
    assert_ne!(bytes(7), bytes(8));
    // Written down once: a snapshot that rests on a seed must not change by itself.
    assert_eq!(bytes(0)[..8], 0xe220_a839_7b1d_cdaf_u64.to_le_bytes());
}

#[test]
fn the_clock_stands_where_it_was_set() {
    let clock = SetClock::at("2026-03-02T09:30:00Z");
    clock.advance(Duration::from_secs(90));
    assert_eq!(clock.now().to_string(), "2026-03-02T09:31:30Z");
    clock.set("2026-03-02T09:00:00Z".parse().unwrap());
    assert_eq!(clock.now().to_string(), "2026-03-02T09:00:00Z");
}

#[test]
fn a_folder_is_gone_after_its_test() {
    let folder = temp_dir();
    let path = folder.path().to_owned();
    assert!(path.is_dir());
    drop(folder);
    assert!(!path.exists());
}

#[tokio::test]
async fn nobody_listens_at_a_free_address() {
    assert!(tokio::net::TcpStream::connect(free_addr()).await.is_err());
}

#[tokio::test]
async fn waiting_ends_when_it_comes_true() {
    let mut looks = 0;
    wait_until(Duration::from_secs(5), "the third look", async || {
        looks += 1;
        looks == 3
    })
    .await;
    assert_eq!(looks, 3);
}

#[tokio::test]
#[should_panic(expected = "in vain for what never comes")]
async fn waiting_has_an_end() {
    wait_until(Duration::from_millis(20), "what never comes", async || false).await;
}
