//! Where SQLite and PostgreSQL differ, and nothing else: one pool type each, how a list of keys and a batch of rows travel in one
//! parameter, and the words of the column types.

use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, Executor, PgConnection, PgPool, Postgres, Sqlite, SqlitePool};
use std::sync::LazyLock;
use std::time::Duration;
use tokio::time::timeout;

/// PostgreSQL's answer to a reader comes in this time, or it is not waited for: a connection may go silent without ending.
pub(super) const READ_WITHIN: Duration = Duration::from_secs(120);
/// For a word over a connection: that it is still there, or goodbye.
pub(super) const SAY_WITHIN: Duration = Duration::from_secs(5);

/// What came of waiting for PostgreSQL, for so long at most.
pub(super) async fn in_time<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(limit, answer).await.unwrap_or_else(|_| Err(silence()))
}

fn silence() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}

/// A pool of connections for reading.
#[derive(Clone)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// The writer's connection while it has a batch in hand: on PostgreSQL in a transaction from the beginning; on SQLite, where nobody else
/// writes, the transaction begins and ends with the writing.
pub(super) enum Tx {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(Begun),
}

/// The writer's connection between two batches. The pool would ask it each time whether it is still there.
pub(super) enum Kept {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Kept {
    pub async fn close(self) {
        // Nothing is left to be said over it.
        let _ = match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => in_time(SAY_WITHIN, connection.close()).await,
        };
    }
}

/// A connection in a transaction. Dropped before its end it is closed, and the database rolls back.
pub(super) struct Begun {
    connection: Option<PoolConnection<Postgres>>,
    /// For each answer.
    patience: Duration,
    /// An answer did not come: none will.
    is_silent: bool,
}

impl Begun {
    /// `how`: the statement that begins it.
    pub async fn begin(
        connection: PoolConnection<Postgres>,
        how: &'static str,
        patience: Duration,
    ) -> Result<Self, sqlx::Error> {
        let mut begun = Self { connection: Some(connection), patience, is_silent: false };
        begun.ask(async |connection| connection.execute(how).await).await?;
        Ok(begun)
    }

    /// One question. What is not answered in time is not waited for, whatever becomes of it there: a firewall that forgets a connection, or a machine that is
    /// gone, says nothing, and the writer would wait with everybody who waits for it.
    pub async fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        if self.is_silent {
            return Err(silence());
        }
        let connection = self.connection.as_mut().expect("it is there until its end");
        timeout(self.patience, question(connection)).await.unwrap_or_else(|_| {
            self.is_silent = true;
            Err(silence())
        })
    }

    /// `how`: COMMIT or ROLLBACK.
    pub async fn end(mut self, how: &'static str) -> Result<Kept, sqlx::Error> {
        self.ask(async |connection| connection.execute(how).await).await?;
        Ok(Kept::Postgres(self.connection.take().expect("it is there until its end")))
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.close_on_drop();
        }
    }
}

/// The same question to either database; what it waits for stands in the body.
macro_rules! on {
    ($which:ident, $subject:expr, $db:ident => $body:expr) => {
        match $subject {
            $crate::store::dialect::$which::Sqlite($db) => $body,
            $crate::store::dialect::$which::Postgres($db) => {
                $crate::store::dialect::in_time($crate::store::dialect::READ_WITHIN, async { $body }).await
            }
        }
    };
}
pub(super) use on;

/// One SQL text with `{…}` words for what differs.
///
/// * `IN {uuids}` – in the list of uuids in the JSON array `$1`; `{texts}` – the list of texts in it; `{texts2}` to `{texts4}` – in `$2` to `$4`
/// * `{among}SELECT …{end}` – is one of what the query gives, whatever the planner thinks of how many these are
/// * `{rows}` – the rows of the JSON array of arrays `$1`, as `r`; `{0:uuid}` – column 0 of such a row, as that type
/// * `{5:heap}`, `{5:heap_text}` – the bytes, or the text, at the place in the heap `$2` that columns 5 and 6 tell ([`super::rowset`])
/// * `{none:uuid}` – nothing, of that type
/// * `{clock}` – the database's clock where bridges share it, else nothing; `{due}` – the same clock, else the time in `$3`
/// * `{is_due}` – that a lane is: its head by the bridge's own time in `$3`, a lease's end by `{due}`
/// * `{bytes_none}` – no bytes
/// * `{came}` – by what requests are in the order they came
/// * `INSERT{all}` – on SQLite a row that cannot be inserted takes the whole transaction back, and SQLite says at once that it has
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
            // Rows as JSONB: as JSON each would be made text, and read again for every column.
            .replace("{rows}", "jsonb_each($1) AS r")
            .replace("{among}", "IN (")
            .replace("{end}", ")")
            .replace("{clock}", "NULL")
            .replace("{is_due}", "next_at <= $3")
            .replace("{due}", "$3")
            .replace("{all}", " OR ROLLBACK")
            .replace("{came}", "rowid")
            .replace("{bytes_none}", "x''");
        let postgres = postgres
            // An array, not a join: whatever the planner knows of the table, it looks each up in an index.
            .replace("IN {uuids}", "= ANY (ARRAY(SELECT value::uuid FROM json_array_elements_text($1::json)))")
            .replace("{among}", "= ANY (ARRAY(")
            .replace("{end}", "))")
            .replace("{texts}", "(SELECT value FROM json_array_elements_text($1::json))")
            .replace("{rows}", "jsonb_array_elements($1::jsonb) AS r")
            // The later of the two is where the index is left; what is there too early by its own clock is passed over.
            .replace(
                "{is_due}",
                "next_at <= GREATEST($3, {due}) AND next_at <= CASE WHEN lease_token IS NULL THEN $3 ELSE {due} END",
            )
            // A query of its own, so that it is asked once and an index can be entered with the answer.
            .replace("{due}", "(SELECT {clock})")
            .replace("{clock}", "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)")
            .replace("{all}", "")
            .replace("{came}", "at")
            .replace("{bytes_none}", "''::bytea");
        Self { sqlite: columns(&sqlite, false), postgres: columns(&postgres, true) }
    }

    /// As part of a longer text: its parameters are numbered on after so many others.
    pub fn part(&self, postgres: bool, others: usize) -> String {
        renumbered(if postgres { &self.postgres } else { &self.sqlite }, others)
    }

    #[cfg(test)]
    pub fn sqlite(&'static self) -> AssertSqlSafe<&'static str> {
        AssertSqlSafe(&self.sqlite)
    }

    #[cfg(test)]
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

/// The text with its parameters numbered on after so many others.
pub(super) fn renumbered(text: &str, others: usize) -> String {
    let mut pieces = text.split('$');
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
        let number: usize = piece[..digits].parse().expect("a $ in our SQL is followed by a number");
        out.push('$');
        out.push_str(&(number + others).to_string());
        out.push_str(&piece[digits..]);
    }
    out
}

/// The words with a colon.
fn columns(text: &str, postgres: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, after) = rest.split_at(open);
        out.push_str(before);
        let close = after.find('}').expect("every { in our SQL is closed");
        let (index, kind) = after[1..close].split_once(':').expect("{index:type}");
        let next = || index.parse::<usize>().expect("a column's number") + 1;
        out.push_str(&match (postgres, kind) {
            (false, _) if index == "none" => "NULL".into(),
            (true, "uuid") if index == "none" => "NULL::uuid".into(),
            (true, "bytes") if index == "none" => "NULL::bytea".into(),
            (true, "int") if index == "none" => "NULL::bigint".into(),
            (true, _) if index == "none" => "NULL::text".into(),
            (false, "heap") => format!("substr($2, r.value ->> {index}, r.value ->> {})", next()),
            (false, "heap_text") => format!("CAST(substr($2, r.value ->> {index}, r.value ->> {}) AS TEXT)", next()),
            (true, "heap") => {
                format!("substring($2 FROM (r.value ->> {index})::int FOR (r.value ->> {})::int)", next())
            }
            (true, "heap_text") => format!(
                "convert_from(substring($2 FROM (r.value ->> {index})::int FOR (r.value ->> {})::int), 'UTF8')",
                next()
            ),
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

/// A migration's text: column types, and the JSON of a delivery `d`; what stands behind the words `-- SQLite only` PostgreSQL does not get.
pub(super) fn migration(text: &str, postgres: bool) -> String {
    let text = if postgres { text.split("-- SQLite only").next().unwrap_or_default() } else { text };
    let words = if postgres {
        [
            ("{uuid}", "UUID"),
            ("{int}", "BIGINT"),
            ("{bytes}", "BYTEA"),
            ("{serial}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
            ("{strict}", ""),
            ("{keyed}", ""),
            ("{json}", "d.payload::json"),
        ]
    } else {
        [
            ("{uuid}", "BLOB"),
            ("{int}", "INTEGER"),
            ("{bytes}", "BLOB"),
            ("{serial}", "INTEGER PRIMARY KEY AUTOINCREMENT"),
            ("{strict}", "STRICT"),
            // Kept in the order of its key: one tree.
            ("{keyed}", "STRICT, WITHOUT ROWID"),
            ("{json}", "d.payload"),
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

/// Bytes as they travel inside a JSON parameter.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_longer_text_has_its_parameters_numbered_on() {
        let sql = Sql::new("UPDATE t SET a = {0:heap}, b = {2:uuid} FROM {rows} WHERE c = {none:int}");
        assert_eq!(
            sql.part(false, 10),
            "UPDATE t SET a = substr($12, r.value ->> 0, r.value ->> 1), b = unhex(r.value ->> 2, '-') FROM jsonb_each($11) AS r WHERE c = NULL"
        );
        assert_eq!(
            sql.part(true, 0),
            "UPDATE t SET a = substring($2 FROM (r.value ->> 0)::int FOR (r.value ->> 1)::int), b = (r.value ->> 2)::uuid \
             FROM jsonb_array_elements($1::jsonb) AS r WHERE c = NULL::bigint"
        );
        assert_eq!(renumbered("$1, $12 and $3", 4), "$5, $16 and $7");
    }
}
