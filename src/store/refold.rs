//! Patients whose family name a release before folded otherwise: found by today's folding once they are folded by it. What a migration left to do.

use crate::domain::person::Patient;
use crate::domain::text::folded_name;
use sqlx::{Connection, PgConnection, SqliteConnection};
use uuid::Uuid;

/// In one commit.
const PART: i64 = 500;

const LEFT: &str = "SELECT p.id, p.payload FROM refold r JOIN patient p ON p.id = r.id LIMIT $1";
const FOLD: &str = "UPDATE patient SET folded_family = $2 WHERE id = $1";
const DONE: &str = "DELETE FROM refold WHERE id = $1";

/// One text for both; a bridge that is killed in between goes on where it was, and two at once do the same.
macro_rules! fold {
    ($connection:expr) => {
        loop {
            let mut part = $connection.begin().await?;
            let left: Vec<(Uuid, String)> = sqlx::query_as(LEFT).bind(PART).fetch_all(&mut *part).await?;
            if left.is_empty() {
                return Ok(());
            }
            for (id, payload) in left {
                // One that cannot be read is told of by whoever reads it.
                if let Ok(patient) = serde_json::from_str::<Patient>(&payload) {
                    let folded = folded_name(&patient.details.name.family.0);
                    sqlx::query(FOLD).bind(id).bind(folded).execute(&mut *part).await?;
                }
                sqlx::query(DONE).bind(id).execute(&mut *part).await?;
            }
            part.commit().await?;
        }
    };
}

pub(super) async fn sqlite(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    fold!(connection)
}

pub(super) async fn postgres(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    fold!(connection)
}
