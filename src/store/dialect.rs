//! Where SQLite and PostgreSQL differ, and nothing else: one pool type each, how a list of keys and a batch of rows travel in one
//! parameter, and the words of the column types.

use sqlx::{AssertSqlSafe, PgPool, Postgres, Sqlite, SqlitePool, Transaction};
use std::sync::LazyLock;

/// A pool of connections for reading.
#[derive(Clone)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// The writer's open transaction.
pub(super) enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

/// The same body over either database.
macro_rules! on {
    ($which:ident, $subject:expr, $db:ident => $body:expr) => {
        match $subject {
            $crate::store::dialect::$which::Sqlite($db) => $body,
            $crate::store::dialect::$which::Postgres($db) => $body,
        }
    };
}
pub(super) use on;

/// One SQL text with `{…}` words for what differs.
///
/// * `IN {uuids}` – in the list of uuids in the JSON array `$1`; `{texts}` – the list of texts in it; `{texts2}` to `{texts4}` – in `$2` to `$4`
/// * `{rows}` – the rows of the JSON array of arrays `$1`, as `r`
/// * `{bytes_none}` – no bytes
/// * `{lock skip}` – row locks, which SQLite's single writer does not need
pub(super) struct Sql {
    sqlite: String,
    postgres: String,
}

impl Sql {
    pub fn new(text: &str) -> Self {
        let mut sqlite = text.to_owned();
        let mut postgres = text.to_owned();
        for n in 2..=4 {
            sqlite = sqlite.replace(&format!("{{texts{n}}}"), &format!("(SELECT value FROM json_each(${n}))"));
            postgres = postgres.replace(
                &format!("{{texts{n}}}"),
                &format!("(SELECT value FROM json_array_elements_text(${n}::json))"),
            );
        }
        let sqlite = sqlite
            .replace("{uuids}", "(SELECT unhex(value, '-') FROM json_each($1))")
            .replace("{texts}", "(SELECT value FROM json_each($1))")
            .replace("{rows}", "json_each($1) AS r")
            .replace("{bytes_none}", "x''")
            .replace("{lock skip}", "");
        let postgres = postgres
            // An array, not a join: whatever the planner knows of the table, it looks each up in an index.
            .replace("IN {uuids}", "= ANY (ARRAY(SELECT value::uuid FROM json_array_elements_text($1::json)))")
            .replace("{texts}", "(SELECT value FROM json_array_elements_text($1::json))")
            .replace("{rows}", "json_array_elements($1::json) AS r")
            .replace("{bytes_none}", "''::bytea")
            .replace("{lock skip}", "FOR UPDATE SKIP LOCKED");
        Self { sqlite: columns(&sqlite, false), postgres: columns(&postgres, true) }
    }

    pub fn for_tx(&'static self, tx: &Tx) -> AssertSqlSafe<&'static str> {
        AssertSqlSafe(match tx {
            Tx::Sqlite(_) => &self.sqlite,
            Tx::Postgres(_) => &self.postgres,
        })
    }

    /// For what only SQLite is asked.
    pub fn sqlite(&'static self) -> AssertSqlSafe<&'static str> {
        AssertSqlSafe(&self.sqlite)
    }

    /// For what only PostgreSQL is asked.
    pub fn postgres(&'static self) -> AssertSqlSafe<&'static str> {
        AssertSqlSafe(&self.postgres)
    }

    pub fn for_pool(&'static self, pool: &Pool) -> AssertSqlSafe<&'static str> {
        AssertSqlSafe(match pool {
            Pool::Sqlite(_) => &self.sqlite,
            Pool::Postgres(_) => &self.postgres,
        })
    }
}

/// `{0:uuid}`: column 0 of a row of `{rows}`, as that type.
fn columns(text: &str, postgres: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, after) = rest.split_at(open);
        out.push_str(before);
        let close = after.find('}').expect("every { in our SQL is closed");
        let (index, kind) = after[1..close].split_once(':').expect("{index:type}");
        out.push_str(&match (postgres, kind) {
            (false, "uuid") => format!("unhex(r.value ->> {index}, '-')"),
            (false, "bytes") => format!("unhex(r.value ->> {index})"),
            (false, _) => format!("r.value ->> {index}"),
            (true, "uuid") => format!("(r.value ->> {index})::uuid"),
            (true, "bytes") => format!("decode(r.value ->> {index}, 'hex')"),
            (true, "int") => format!("(r.value ->> {index})::bigint"),
            (true, _) => format!("r.value ->> {index}"),
        });
        rest = &after[close + 1..];
    }
    out.push_str(rest);
    out
}

/// The column types of a migration's text.
pub(super) fn migration(text: &str, postgres: bool) -> String {
    let words = if postgres {
        [
            ("{uuid}", "UUID"),
            ("{int}", "BIGINT"),
            ("{bytes}", "BYTEA"),
            ("{serial}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
            ("{strict}", ""),
        ]
    } else {
        [
            ("{uuid}", "BLOB"),
            ("{int}", "INTEGER"),
            ("{bytes}", "BLOB"),
            ("{serial}", "INTEGER PRIMARY KEY AUTOINCREMENT"),
            ("{strict}", "STRICT"),
        ]
    };
    words.iter().fold(text.to_owned(), |text, (word, means)| text.replace(word, means))
}

/// Names a statement once, for both databases.
pub(super) type Statement = LazyLock<Sql>;

macro_rules! statement {
    ($name:ident, $text:expr) => {
        pub(in crate::store) static $name: $crate::store::dialect::Statement =
            std::sync::LazyLock::new(|| $crate::store::dialect::Sql::new($text));
    };
}
pub(super) use statement;

/// PostgreSQL's text cannot hold U+0000, which a far end's message may: stored and looked for as U+FFFD. Raw bytes are kept as they are.
pub(super) fn without_nul(mut value: serde_json::Value) -> serde_json::Value {
    fn clean(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{fffd}"),
            serde_json::Value::Array(items) => items.iter_mut().for_each(clean),
            _ => {}
        }
    }
    clean(&mut value);
    value
}

/// Bytes as they travel inside a JSON parameter.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char]).collect()
}
