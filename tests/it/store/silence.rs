//! A connection to PostgreSQL that goes silent, as over a firewall that forgets it: no end, no error, nothing.

use super::*;
use crate::support::wait_until;
use ips_bridge::store::record::Answered;
use ips_bridge::store::{Settings, StoreError, Trouble, WriteError};
use sqlx::{Connection, PgConnection};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// For each answer, here.
const PATIENCE: Duration = Duration::from_millis(700);

/// Between a bridge and its database.
#[derive(Default)]
struct Firewall {
    /// Connections made before the last of these pass nothing on any more.
    forgotten: AtomicU64,
    /// The next COMMIT is passed on, and what it belongs to is forgotten with it.
    forgets_at_commit: AtomicBool,
}

impl Firewall {
    /// It, and the database's URL through it.
    async fn before(url: &str) -> (Arc<Self>, String) {
        let (user, rest) = url.split_once('@').unwrap();
        let (server, database) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let through = format!("{user}@{}/{database}", listener.local_addr().unwrap());
        let firewall = Arc::new(Self::default());
        let (kept, server): (_, SocketAddr) = (firewall.clone(), server.parse().unwrap());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let made = kept.forgotten.load(Ordering::SeqCst);
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = TcpStream::connect(server).await.unwrap().into_split();
                tokio::spawn(kept.clone().pass(from_client, to_server, made));
                tokio::spawn(kept.clone().pass(from_server, to_client, made));
            }
        });
        (firewall, through)
    }

    fn forget(&self) {
        self.forgotten.fetch_add(1, Ordering::SeqCst);
    }

    async fn pass(self: Arc<Self>, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, made: u64) {
        let mut bytes = vec![0; 65_536];
        while let Ok(n @ 1..) = from.read(&mut bytes).await {
            if self.forgotten.load(Ordering::SeqCst) > made {
                // Both ends stay open.
                return std::future::pending().await;
            }
            let commits = bytes[..n].windows(7).any(|w| w == b"COMMIT\0");
            if commits && self.forgets_at_commit.swap(false, Ordering::SeqCst) {
                self.forget();
            }
            if to.write_all(&bytes[..n]).await.is_err() {
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_connection_that_goes_silent_holds_the_writer_up_for_no_longer_than_an_answer_may_take() {
    for test in both().filter(|t| t.kind == "postgres") {
        let (firewall, url) = Firewall::before(&test.url).await;
        let settings = Settings { answer_within: PATIENCE, ..bridge::settings(&url) };
        let bridge = Bridge::with(&settings, rulebook()).await;
        let of = bridge.episode().await;
        bridge.write(&of, "Before.").await;

        firewall.forget();
        let began = Instant::now();
        bridge.write(&of, "Over another connection: nothing had begun over the silent one.").await;
        assert!(began.elapsed() >= PATIENCE && began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        assert_eq!(bridge.store.writing().failures(), 0);

        firewall.forgets_at_commit.store(true, Ordering::SeqCst);
        let content = note("Nobody hears what became of it.");
        let call = call(&of.trust);
        let write = || ips_bridge::store::write::WriteNote { call: call.clone(), ..bridge.note(&of, content.clone()) };
        let unknown = match bridge.store.write_note(write()).await {
            Err(WriteError::Store(unknown @ StoreError::CommitUnknown(_))) => unknown,
            other => panic!("nobody can know, and it says {other:?}"),
        };
        assert!(!unknown.to_string().contains("nothing was stored"), "{unknown}");
        assert_eq!(bridge.store.writing().trouble(bridge.now()), Some(Trouble::Fails));
        assert_eq!(bridge.store.writing().failures(), 1);
        // The database has it, and the same request finds it.
        let again = bridge.store.write_note(write()).await.unwrap();
        assert!(matches!(again, Answered::Repeated(_)), "{again:?}");
        bridge.write(&of, "After.").await;
        assert_eq!(bridge.store.writing().trouble(bridge.now()), None);
        assert_eq!(raw::number(&test.url, "SELECT COUNT(*) FROM note").await, 4);

        firewall.forget();
        let everything = ips_bridge::store::Scope::system();
        let read =
            tokio::time::timeout(Duration::from_secs(20), bridge.store.endpoints_with_open_deliveries(&everything));
        assert!(read.await.expect("a reader takes another connection in time").is_ok());
        bridge.close().await;
    }
}

#[tokio::test]
async fn what_hangs_in_the_writers_hands_shows_while_it_does() {
    for test in both().filter(|t| t.kind == "postgres") {
        let bridge = Bridge::on(&test.url).await;
        let of = bridge.episode().await;
        let writing = bridge.store.writing();
        // Another bridge that does not come to the end of its batch.
        let mut other = PgConnection::connect(&test.url).await.unwrap();
        sqlx::query("SELECT pg_advisory_lock(7305172)").execute(&mut other).await.unwrap();
        let (store, write) = (bridge.store.clone(), bridge.note(&of, note("Behind it.")));
        let waiting = tokio::spawn(async move { store.write_note(write).await });
        wait_until(Duration::from_secs(10), "the write to be in hand", async || {
            writing.in_hand(bridge.now()).is_some()
        })
        .await;
        assert_eq!(writing.trouble(bridge.now()), None, "it may take a while");
        bridge.clock.advance(Duration::from_secs(20));
        assert_eq!(writing.trouble(bridge.now()), Some(Trouble::Hangs));
        other.close().await.unwrap();
        waiting.await.unwrap().unwrap();
        assert_eq!((writing.trouble(bridge.now()), writing.failures()), (None, 0));
        drop(writing);
        bridge.close().await;
    }
}
