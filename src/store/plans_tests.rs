//! What a statement costs must not grow with the record: each finds its rows by an index, on both databases.

use super::dialect::{Sql, Statement, migration};
use super::read::{deliveries, documents, endpoints, entries, facts, inbound, patients, referrals, waits};
use super::{ahead, forget, puts, sources, unserved};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};

const TABLES: [&str; 12] = [
    include_str!("../../migrations/0001_record.sql"),
    include_str!("../../migrations/0002_ask.sql"),
    include_str!("../../migrations/0003_inbound_patients.sql"),
    include_str!("../../migrations/0004_commits.sql"),
    include_str!("../../migrations/0005_packs.sql"),
    include_str!("../../migrations/0006_record_names.sql"),
    include_str!("../../migrations/0007_identifier_values.sql"),
    include_str!("../../migrations/0008_fewer_pages.sql"),
    include_str!("../../migrations/0009_requests_as_they_came.sql"),
    include_str!("../../migrations/0010_fewer_still.sql"),
    include_str!("../../migrations/0011_released.sql"),
    include_str!("../../migrations/0012_folded_anew.sql"),
];

/// Every statement that runs per batch, per claim or per question, and indexes it must go by.
fn all() -> Vec<(&'static str, &'static Statement, &'static [&'static str])> {
    macro_rules! list {
        ($($module:ident::$name:ident $([$($index:literal),*])?;)+) => {
            vec![$((concat!(stringify!($module), "::", stringify!($name)), &$module::$name, &[$($($index),*)?])),+]
        };
    }
    list! {
        sources::PATIENTS;
        sources::REFERRALS;
        sources::NOTES;
        sources::OUTCOMES;
        sources::ENTRIES;
        sources::DELIVERIES;
        sources::CHAINS ["delivery_by_subject"];
        sources::ATTEMPTS;
        sources::ENDPOINTS;
        sources::INBOUND;
        sources::INBOUND_BY_CONTROL ["inbound_by_control_id"];
        sources::RENDERINGS;
        sources::RENDERINGS_BY_CONTROL ["rendering_by_control_id"];
        sources::PATIENTS_BY_NHS ["patient_by_nhs_number"];
        sources::PATIENTS_BY_LOCAL;
        sources::PATIENTS_BY_VALUE ["value"];
        sources::PATIENTS_BY_FORMER_NHS;
        sources::DELIVERIES_OF_LANES ["delivery_by_subject", "referral_by_patient", "note_by_referral", "outcome_by_referral"];
        sources::REFERRALS_OF ["referral_by_patient"];
        sources::NOTES_OF ["note_by_referral", "referral_by_patient"];
        sources::OUTCOMES_OF ["outcome_by_referral", "referral_by_patient"];
        sources::DELIVERIES_OF ["delivery_by_subject", "referral_by_patient", "note_by_referral", "outcome_by_referral"];
        sources::REFERRALS_BY_EXTERNAL;
        sources::RECORD_NAMES;
        sources::LANES;
        documents::SUBJECTS_OF;
        documents::MADE ["rendering_by_control_id"];
        documents::OF_CONTROL_ID ["rendering_by_control_id"];
        documents::NAMED_SO;
        documents::MADE_BETWEEN ["delivery_by_creation"];
        documents::COUNT_MADE_BETWEEN ["delivery_by_creation"];
        sources::REQUESTS;
        sources::LEFT_BEHIND ["lane_due"];
        sources::CLAIMABLE ["lane_due", "delivery_ready", "delivery_asks"];
        sources::DUE_LANES ["lane_due"];
        sources::DUE_CHAINS ["lane_due", "delivery_ready", "delivery_asks", "delivery_by_subject"];
        puts::NO_SUCH_MESSAGES ["inbound_by_control_id"];
        puts::DROP_REQUESTS;
        puts::FORGET_IGNORED;
        forget::OLD_REQUESTS;
        ahead::AHEAD ["delivery_open"];
        unserved::WAITING ["delivery_open"];
        forget::OLD_IGNORED ["inbound_by_state"];
        puts::SET_HEADS ["delivery_ready", "delivery_asks"];
        puts::PUT_LANES;
        puts::DROP_IDENTIFIERS ["patient_identifier_by_patient"];
        deliveries::DELIVERY;
        deliveries::BY_IDS;
        deliveries::OF_SUBJECTS ["delivery_by_subject"];
        deliveries::LIST;
        deliveries::LIST_OF_SUBJECT ["delivery_by_subject"];
        deliveries::LIST_OF_PATIENT ["delivery_by_subject", "referral_by_patient"];
        deliveries::LIST_PARKED ["delivery_parked"];
        deliveries::PARKED_OLDEST_FIRST ["delivery_parked"];
        deliveries::SINCE ["delivery_by_position"];
        deliveries::STEPS;
        deliveries::ATTEMPTS ["attempt_by_delivery"];
        deliveries::RENDERINGS ["rendering_by_delivery"];
        deliveries::REPLIES ["reply_by_delivery"];
        endpoints::ANY_AT ["delivery_by_creation"];
        endpoints::COUNTS ["delivery_open"];
        endpoints::FILED_SINCE ["delivery_by_filing"];
        endpoints::WRITTEN_SINCE ["delivery_by_creation"];
        endpoints::OVERDUE ["delivery_open"];
        endpoints::NEXT_DUE ["lane_due"];
        entries::VERSIONS ["entry_by_subject"];
        entries::NOTES_OF_REFERRAL ["note_by_referral"];
        entries::NOTES_OF_PATIENT ["note_by_referral", "referral_by_patient"];
        entries::OUTCOMES_OF_REFERRAL ["outcome_by_referral"];
        entries::OUTCOMES_OF_PATIENT ["outcome_by_referral", "referral_by_patient"];
        facts::REFERRALS ["referral_by_trust"];
        facts::VERSIONS ["referral_by_trust"];
        facts::NOTES ["entry_by_subject", "entry_by_trust"];
        inbound::BY_CONTROL_ID;
        inbound::FIND;
        patients::BY_VALUE ["value"];
        patients::BY_NHS;
        patients::BY_FORMER_NHS;
        inbound::IGNORED_BY_RULE ["inbound_by_state"];
        inbound::ARRIVED_SINCE ["inbound_by_state"];
        patients::BY_LOCAL;
        patients::BY_NAME ["patient_by_name"];
        referrals::BY_EXTERNAL;
        referrals::SINCE ["referral_by_position"];
        waits::PARKED_BY_REASON;
        waits::QUEUED_UNEXPLAINED ["delivery_open", "delivery_ready"];
        waits::SENDING_UNEXPLAINED ["delivery_open"];
        waits::UNSETTLED_SINCE ["delivery_open"];
        referrals::LAST_ENTRIES ["note_by_referral", "outcome_by_referral", "entry_by_subject"];
    }
}

fn check(faults: &mut Vec<String>, name: &str, plan: &str, scans: impl Fn(&str) -> bool, indexes: &[&str]) {
    let missing: Vec<&&str> = indexes.iter().filter(|i| !plan.contains(**i)).collect();
    if plan.lines().any(scans) || !missing.is_empty() {
        faults.push(format!("{name} (missing {missing:?}):\n{plan}"));
    }
}

#[tokio::test]
async fn sqlite_finds_rows_by_an_index() {
    let mut db = SqliteConnection::connect("sqlite::memory:").await.expect("SQLite opens");
    sqlx::raw_sql(AssertSqlSafe(TABLES.map(|text| migration(text, false)).concat()))
        .execute(&mut db)
        .await
        .expect("the tables");
    let mut faults = Vec::new();
    for (name, statement, indexes) in all() {
        let sql = format!("EXPLAIN QUERY PLAN {}", statement.sqlite().0);
        let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(&mut db).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        let plan: Vec<String> = rows.iter().map(|r| r.get::<String, _>("detail")).collect();
        // Of rows in a parameter, of a limited number of them, of one.
        let few = |line: &str| {
            line.contains("VIRTUAL TABLE")
                || ["SCAN due", "SCAN l", "SCAN said", "SCAN mine"].iter().any(|few| line.ends_with(few))
        };
        let scans = |line: &str| line.starts_with("SCAN") && !few(line);
        check(&mut faults, name, &plan.join("\n"), scans, indexes);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[tokio::test]
async fn postgresql_finds_rows_by_an_index() {
    let url = std::env::var("IPS_TEST_POSTGRES_URL")
        .expect("IPS_TEST_POSTGRES_URL: run `make test`, or scripts/with-postgres");
    let mut db = PgConnection::connect(&url).await.expect("PostgreSQL answers");
    // In a transaction that is never committed: nothing to tidy up. Empty tables are read whole, so that is forbidden here.
    let prepare = "BEGIN; CREATE SCHEMA plans; SET LOCAL search_path TO plans; SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_custom_plan";
    sqlx::raw_sql(prepare).execute(&mut db).await.expect("a schema of its own");
    sqlx::raw_sql(AssertSqlSafe(TABLES.map(|text| migration(text, true)).concat()))
        .execute(&mut db)
        .await
        .expect("the tables");
    let mut faults = Vec::new();
    for (name, statement, indexes) in all() {
        let rows = sqlx::raw_sql(AssertSqlSafe(format!("EXPLAIN {}", with_values(statement)))).fetch_all(&mut db).await;
        let rows = rows.unwrap_or_else(|e| panic!("{name}: {e}"));
        let plan: Vec<String> = rows.iter().map(|r| r.get::<String, _>(0)).collect();
        check(&mut faults, name, &plan.join("\n"), |line| line.contains("Seq Scan"), indexes);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

/// The parameters in place, as literals that fit wherever they stand: `EXPLAIN` takes none. Filters that are not asked for are left out.
fn with_values(statement: &'static Sql) -> String {
    let mut sql = statement.postgres().0.to_owned();
    for n in (1..=12).rev() {
        let place = format!("${n}");
        sql = sql
            .replace(&format!("substring({place} "), "substring('1'::bytea ")
            .replace(&format!("{place}::json"), "'[]'::json")
            .replace(&format!("{place} IS NULL"), "NULL IS NULL")
            .replace(&format!("{place} = 0"), "1 = 0")
            .replace(&format!("{place} <> -1"), "1 <> -1");
        let uuid = "'00000000-0000-0000-0000-000000000000'";
        // Compared with a uuid column, a number or a text: an untyped literal becomes what it must.
        let ids = ["id = ", "id < ", "id > ", "id >= "];
        for before in ids {
            sql = sql.replace(&format!("{before}{place}"), &format!("{before}{uuid}"));
        }
        sql = sql.replace(&place, "'1'");
    }
    sql
}
