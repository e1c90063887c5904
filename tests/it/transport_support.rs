//! Raw peers for the transport tests: they do exactly what a test says, right or wrong.

use std::future::Future;
use std::time::Duration;

use ips_bridge::transport::mllp::{Answer, ClientSettings, Listener, ListenerSettings, Pool, Received};
use ips_bridge::transport::{Exchange, Stray};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// No test waits longer than this for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn framed(payload: &str) -> Vec<u8> {
    [b"\x0b", payload.as_bytes(), b"\x1c\r"].concat()
}

/// The next frame's payload; `None` at the stream's end.
pub async fn read_frame(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\x1c\r") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    Some(String::from_utf8(bytes[1..bytes.len() - 2].to_vec()).expect("tests send UTF-8"))
}

/// Everything until the far end closes or resets.
pub async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(Ok(n @ 1..)) = tokio::time::timeout(PATIENCE, stream.read(&mut chunk)).await {
        bytes.extend_from_slice(&chunk[..n]);
    }
    bytes
}

/// A far end that runs `script` on its one listener.
pub async fn far_end<F, A, T>(script: F) -> (ClientSettings, JoinHandle<T>)
where
    F: FnOnce(TcpListener) -> A,
    A: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = ClientSettings::new(tcp.local_addr().unwrap().to_string());
    settings.reply_timeout = PATIENCE;
    (settings, tokio::spawn(script(tcp)))
}

/// The outcome of one message sent to a far end that runs `script` on its first connection.
pub async fn one_send<F, A>(change: impl FnOnce(&mut ClientSettings), script: F) -> Exchange
where
    F: FnOnce(TcpStream) -> A + Send + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let (mut settings, far) = far_end(|tcp| async move { script(tcp.accept().await.unwrap().0).await }).await;
    change(&mut settings);
    let (pool, _strays) = pool(settings);
    let exchange = send(&pool, "MSH|1").await;
    far.abort();
    exchange
}

pub fn pool(settings: ClientSettings) -> (Pool, mpsc::Receiver<Stray>) {
    let (keeper, strays) = mpsc::channel(16);
    (Pool::new(settings, keeper), strays)
}

/// Sends `payload`; its reply is the frame `ACK <payload>`.
pub async fn send(pool: &Pool, payload: &str) -> Exchange {
    let wanted = format!("ACK {payload}");
    tokio::time::timeout(PATIENCE, pool.send(payload.as_bytes(), &|frame| frame == wanted.as_bytes()))
        .await
        .expect("a send ends")
}

/// A listener of ours that answers with `answer`; stops when the token is cancelled.
pub async fn listen<F, A>(settings: ListenerSettings, answer: F) -> (String, CancellationToken, JoinHandle<()>)
where
    F: Fn(Received) -> A + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let listener = Listener::new(TcpListener::bind("127.0.0.1:0").await.unwrap(), settings);
    let address = listener.local_addr().unwrap().to_string();
    let stop = CancellationToken::new();
    let running = tokio::spawn(listener.run(stop.clone(), answer));
    (address, stop, running)
}

pub fn acknowledge(received: &Received) -> Answer {
    Answer::frame([b"ACK ".as_slice(), &received.bytes].concat())
}

/// Echoes `ACK <payload>` to every frame on this connection.
pub async fn acknowledge_all(mut stream: TcpStream) {
    while let Some(payload) = read_frame(&mut stream).await {
        stream.write_all(&framed(&format!("ACK {payload}"))).await.unwrap();
    }
}
