//! A new, empty store of each kind. One promise, two databases: a store test runs over both.

use super::places::temp_dir;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

/// Where `make test` says which PostgreSQL to use.
const POSTGRES_URL: &str = "IPS_TEST_POSTGRES_URL";

/// An empty store of the test's own, deleted when dropped. Close what was opened on it first.
pub struct TestStore {
    /// `sqlite` or `postgres`.
    pub kind: &'static str,
    /// What stands in the config as the store's URL.
    pub url: String,
    _behind: Behind,
}

/// What is deleted when the value is dropped.
enum Behind {
    Folder { _held: TempDir },
    Database { _held: Database },
}

/// Both kinds, each made when the loop comes to it: `for store in stores() { … open(&store.url) … }`.
/// Without a PostgreSQL the test fails: half a promise is not passed over in silence.
pub fn stores() -> impl Iterator<Item = TestStore> {
    [sqlite, postgres].into_iter().map(|make| {
        let store = make();
        // The test harness shows this when the test fails: it tells which store it was.
        eprintln!("on {}", store.kind);
        store
    })
}

fn sqlite() -> TestStore {
    let folder = temp_dir();
    let url = format!("sqlite://{}", folder.path().join("ips-bridge.db").display());
    TestStore { kind: "sqlite", url, _behind: Behind::Folder { _held: folder } }
}

fn postgres() -> TestStore {
    let server = std::env::var(POSTGRES_URL).unwrap_or_else(|_| {
        panic!("{POSTGRES_URL} is not set, and this test needs PostgreSQL too: run `make test`, or `scripts/with-postgres cargo nextest run NAME`")
    });
    let database = Database::create(server);
    TestStore { kind: "postgres", url: database.url(), _behind: Behind::Database { _held: database } }
}

/// A database on the test server.
struct Database {
    server: String,
    name: String,
}

impl Database {
    fn create(server: String) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a name that no other test and no earlier run has")]
        let name = format!("ips_test_{:016x}", rand::random::<u64>());
        execute(&server, format!("CREATE DATABASE {name}"));
        Self { server, name }
    }

    /// The server's URL with its database, the last part of the path, replaced.
    fn url(&self) -> String {
        let (base, options) = self.server.split_once('?').map_or((&*self.server, None), |(b, o)| (b, Some(o)));
        let (host, _) =
            base.rsplit_once('/').expect("a PostgreSQL URL names a database: postgres://user@host:port/database");
        let options = options.map(|o| format!("?{o}")).unwrap_or_default();
        format!("{host}/{}{options}", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // FORCE: a test that fails leaves its connections open.
        execute(&self.server, format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

/// One statement on the server. On a thread with a runtime of its own: the caller may be inside one, and `drop` cannot wait.
fn execute(server: &str, statement: String) {
    let server = server.to_owned();
    let done = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut connection = PgConnection::connect(&server).await?;
            sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
            connection.close().await
        })
    })
    .join();
    match done {
        Ok(Ok(())) => {}
        // A second panic while a failing test unwinds would hide what failed.
        Ok(Err(e)) if std::thread::panicking() => eprintln!("the test server of {POSTGRES_URL}: {e}"),
        Ok(Err(e)) => panic!("the test server of {POSTGRES_URL}: {e}"),
        Err(_) => panic!("the thread that talks to the test server broke off"),
    }
}
