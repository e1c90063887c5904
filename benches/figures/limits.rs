//! The limits: what the disk, the wire and the simplest possible program can do on this machine at this moment.

use super::report::percentile;
use ips_bridge::wire::v1;
use ips_bridge::wire::v1::progress_note_service_server::{ProgressNoteService, ProgressNoteServiceServer};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use std::io::Write;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tonic::{Request, Response, Status};

/// Seconds of each of some appends of 4 KiB with fdatasync.
fn fdatasyncs() -> Vec<f64> {
    let dir = tempfile::tempdir().expect("a folder");
    let mut file = std::fs::File::create(dir.path().join("log")).expect("a file");
    let block = [0x5au8; 4096];
    (0..300)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&block).expect("written");
            file.sync_data().expect("synced");
            start.elapsed().as_secs_f64()
        })
        .collect()
}

pub fn fdatasync_median_s() -> f64 {
    percentile(&mut fdatasyncs(), 0.5)
}

pub fn fdatasync_per_s() -> f64 {
    let all = fdatasyncs();
    all.len() as f64 / all.iter().sum::<f64>()
}

/// Round trips a second of these very bytes over so many raw connections, ended after `seconds`.
pub async fn ping_pong(message: &[u8], connections: usize, seconds: f64) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let sink = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(pong(stream));
        }
    });
    let mut frame = vec![0x0b];
    frame.extend_from_slice(message);
    frame.extend_from_slice(&[0x1c, 0x0d]);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let start = Instant::now();
    let counts: Vec<_> = (0..connections).map(|_| tokio::spawn(ping(address, frame.clone(), end))).collect();
    let mut total = 0u64;
    for count in counts {
        total += count.await.expect("a count");
    }
    sink.abort();
    total as f64 / start.elapsed().as_secs_f64()
}

const ACK: &[u8] = b"\x0bMSH|^~\\&|EPR|RZ9|IPSBRIDGE|RZ9|20260302101531||ACK^T02^ACK|A0000000000000000001|T|2.4\rMSA|AA|B0000000000000000001\r\x1c\r";

async fn pong(mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let mut buffer = vec![0u8; 256 * 1024];
    let mut held = 0;
    while let Ok(n) = stream.read(&mut buffer[held..]).await {
        if n == 0 {
            return;
        }
        held += n;
        if buffer[..held].ends_with(&[0x1c, 0x0d]) {
            held = 0;
            if stream.write_all(ACK).await.is_err() {
                return;
            }
        }
    }
}

async fn ping(address: SocketAddr, frame: Vec<u8>, end: Instant) -> u64 {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    stream.set_nodelay(true).expect("nodelay");
    let mut buffer = vec![0u8; 4096];
    let mut count = 0;
    while Instant::now() < end {
        stream.write_all(&frame).await.expect("sent");
        let mut held = 0;
        while !buffer[..held].ends_with(&[0x1c, 0x0d]) {
            held += stream.read(&mut buffer[held..]).await.expect("answered");
        }
        count += 1;
    }
    count
}

/// One row of 1 KB by group commit, and nothing else: what accepting cannot be faster than.
pub struct OneRow {
    rows: mpsc::Sender<(Vec<u8>, oneshot::Sender<()>)>,
    /// Answers without any commit at all: a bare echo.
    echo: bool,
}

/// Serves [`OneRow`] on a free port.
pub async fn one_row(url: &str, echo: bool) -> SocketAddr {
    let (rows, rows_in) = mpsc::channel(1024);
    if !echo {
        tokio::spawn(group_commit(url.to_owned(), rows_in));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let service = ProgressNoteServiceServer::new(OneRow { rows, echo });
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    tokio::spawn(
        tonic::transport::Server::builder().tcp_nodelay(true).add_service(service).serve_with_incoming(incoming),
    );
    address
}

/// Takes messages over MLLP, and answers each AA once one row with its bytes is on disk, by group commit: no message is read, nobody looked for.
pub async fn one_row_mllp(url: &str) -> SocketAddr {
    let (rows, rows_in) = mpsc::channel(1024);
    tokio::spawn(group_commit(url.to_owned(), rows_in));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let rows: mpsc::Sender<(Vec<u8>, oneshot::Sender<()>)> = rows.clone();
            tokio::spawn(async move {
                let _ = stream.set_nodelay(true);
                let (mut buffer, mut held) = (vec![0u8; 8192], 0);
                while let Ok(n @ 1..) = stream.read(&mut buffer[held..]).await {
                    held += n;
                    if !buffer[..held].ends_with(&[0x1c, 0x0d]) {
                        continue;
                    }
                    let (done, committed) = oneshot::channel();
                    let sent = rows.send((buffer[1..held - 2].to_vec(), done)).await;
                    held = 0;
                    if sent.is_err() || committed.await.is_err() || stream.write_all(ACK).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

async fn group_commit(url: String, mut rows: mpsc::Receiver<(Vec<u8>, oneshot::Sender<()>)>) {
    enum Db {
        Sqlite(sqlx::SqlitePool),
        Postgres(sqlx::PgPool),
    }
    let db = if url.starts_with("sqlite:") {
        let options = SqliteConnectOptions::from_str(&format!("{url}-limit")).expect("a URL").create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.expect("SQLite");
        sqlx::query(
            "CREATE TABLE IF NOT EXISTS one_row (id INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL) STRICT",
        )
        .execute(&pool)
        .await
        .expect("a table");
        Db::Sqlite(pool)
    } else {
        let pool = sqlx::PgPool::connect(&url).await.expect("PostgreSQL");
        sqlx::query("CREATE TABLE IF NOT EXISTS one_row (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body TEXT NOT NULL)").execute(&pool).await.expect("a table");
        Db::Postgres(pool)
    };
    let mut waiting = Vec::new();
    while rows.recv_many(&mut waiting, 256).await > 0 {
        let bodies: Vec<String> = waiting.iter().map(|(b, _)| String::from_utf8_lossy(b).into_owned()).collect();
        let list = serde_json::json!(bodies).to_string();
        match &db {
            Db::Sqlite(pool) => {
                sqlx::query("INSERT INTO one_row (body) SELECT value FROM json_each($1)")
                    .bind(list)
                    .execute(pool)
                    .await
                    .expect("committed");
            }
            Db::Postgres(pool) => {
                sqlx::query("INSERT INTO one_row (body) SELECT value FROM json_array_elements_text($1::json)")
                    .bind(list)
                    .execute(pool)
                    .await
                    .expect("committed");
            }
        }
        for (_, done) in waiting.drain(..) {
            let _ = done.send(());
        }
    }
}

#[tonic::async_trait]
impl ProgressNoteService for OneRow {
    async fn write_progress_note(
        &self,
        request: Request<v1::WriteProgressNoteRequest>,
    ) -> Result<Response<v1::WriteProgressNoteResponse>, Status> {
        if !self.echo {
            let text = request.into_inner().content.map(|c| c.text).unwrap_or_default();
            let (done, committed) = oneshot::channel();
            let _ = self.rows.send((text.into_bytes(), done)).await;
            committed.await.map_err(|_| Status::internal("not committed"))?;
        }
        Ok(Response::new(v1::WriteProgressNoteResponse::default()))
    }
    async fn replace_progress_note(
        &self,
        _: Request<v1::ReplaceProgressNoteRequest>,
    ) -> Result<Response<v1::ReplaceProgressNoteResponse>, Status> {
        Err(Status::unimplemented("a limit only writes"))
    }
    async fn withdraw_progress_note(
        &self,
        _: Request<v1::WithdrawProgressNoteRequest>,
    ) -> Result<Response<v1::WithdrawProgressNoteResponse>, Status> {
        Err(Status::unimplemented("a limit only writes"))
    }
    async fn get_progress_note(
        &self,
        _: Request<v1::GetProgressNoteRequest>,
    ) -> Result<Response<v1::GetProgressNoteResponse>, Status> {
        Err(Status::unimplemented("a limit only writes"))
    }
    async fn list_progress_notes(
        &self,
        _: Request<v1::ListProgressNotesRequest>,
    ) -> Result<Response<v1::ListProgressNotesResponse>, Status> {
        Err(Status::unimplemented("a limit only writes"))
    }
}
