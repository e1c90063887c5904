//! The EPR's side of MLLP, on a real socket: takes every message and answers what a test says.

use ips_bridge::adapter::hl7::Envelope;
use ips_bridge::transport::mllp::{Answer, Listener, ListenerSettings};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::{CancellationToken, DropGuard};

/// An EPR that keeps all it was sent. It ends when dropped.
pub struct FarEnd {
    addr: SocketAddr,
    got: Arc<Mutex<Vec<String>>>,
    _stop: DropGuard,
}

impl FarEnd {
    /// On a free port. `answer` gets each message and its place in the order of arrival, from 0.
    pub async fn start(answer: impl Fn(usize, &str) -> Answer + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0".parse().expect("an address"), answer).await
    }

    /// On this address: an EPR that comes back.
    pub async fn start_at(addr: SocketAddr, answer: impl Fn(usize, &str) -> Answer + Send + Sync + 'static) -> Self {
        let tcp = tokio::net::TcpListener::bind(addr).await.expect("loopback gives the port");
        let listener = Listener::new(tcp, ListenerSettings::default());
        let addr = listener.local_addr().expect("a bound socket has an address");
        let got: Arc<Mutex<Vec<String>>> = Arc::default();
        let (kept, stop) = (got.clone(), CancellationToken::new());
        tokio::spawn(listener.run(stop.clone(), move |received| {
            let message = String::from_utf8_lossy(&received.bytes).into_owned();
            let mut got = kept.lock().unwrap_or_else(PoisonError::into_inner);
            let number = got.len();
            let answered = answer(number, &message);
            got.push(message);
            async move { answered }
        }));
        Self { addr, got, _stop: stop.drop_guard() }
    }

    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Every message so far, in order, copies counted.
    pub fn got(&self) -> Vec<String> {
        self.got.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The control id of a message.
pub fn control_id(message: &str) -> String {
    Envelope::peek(message.as_bytes()).map(|e| e.control_id().into_owned()).unwrap_or_default()
}

/// An acknowledgement of `message` with this code (AA, AE, CA …); `more` are whole segments after MSA, each with its CR.
pub fn ack(message: &str, code: &str, more: &str) -> Answer {
    Answer::frame(ack_text(&control_id(message), code, "", more).into_bytes())
}

/// An acknowledgement of any control id, with any text in MSA-3.
pub fn ack_text(control_id: &str, code: &str, text: &str, more: &str) -> String {
    format!(
        "MSH|^~\\&|EPR|RZ9|IPSBRIDGE|RZ9|20260302101530||ACK|R{control_id}|T|2.4\rMSA|{code}|{control_id}|{text}\r{more}"
    )
}
