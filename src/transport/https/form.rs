//! Requests as hyper wants them, made from ours: host, credentials and the headers of the installation are added here and nowhere else.

use super::base::Base;
use crate::transport::http_message::Request;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HOST, HeaderName, HeaderValue, USER_AGENT};
use http_body_util::Full;
use sha2::{Digest, Sha256};

/// How a request shows who sends it.
#[derive(Clone)]
pub(super) struct Credentials {
    header: HeaderName,
    value: HeaderValue,
    /// As it stands there, and as XML would write it.
    secret: [Vec<u8>; 2],
}

/// What is shorter could stand in a reply by chance.
const SECRET_BYTES_MIN: usize = 8;

impl Credentials {
    /// `Authorization`. `None`: something that no header can carry.
    pub(super) fn new(text: &str) -> Option<Self> {
        let secret = text.rsplit(' ').next().unwrap_or(text);
        Self::in_header(AUTHORIZATION.as_str(), text, secret)
    }

    /// `secret`: the part of the text that nobody may read.
    pub(super) fn in_header(name: &str, text: &str, secret: &str) -> Option<Self> {
        let header = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let mut value = HeaderValue::from_str(text).ok()?;
        value.set_sensitive(true);
        let escaped = secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        Some(Self { header, value, secret: [secret, &escaped].map(|s| s.as_bytes().to_vec()) })
    }

    /// Puts stars where a reply repeats the secret: replies are kept, and shown to people.
    pub(super) fn blank(&self, reply: &mut [u8]) {
        for secret in self.secret.iter().filter(|s| s.len() >= SECRET_BYTES_MIN) {
            let mut at = 0;
            while let Some(found) =
                reply.get(at..).and_then(|rest| rest.windows(secret.len()).position(|w| w == secret))
            {
                at += found + secret.len();
                reply[at - secret.len()..at].fill(b'*');
            }
        }
    }
}

/// The request as it leaves. `id`: what names the message on our side; it becomes `X-Request-Id` and `X-Correlation-Id` where the message has
/// none of its own. `None`: a header that HTTP cannot carry.
pub(super) fn outgoing(
    request: &Request,
    base: &Base,
    fixed: &[(String, String)],
    id: &str,
    credentials: Option<&Credentials>,
) -> Option<http::Request<Full<Bytes>>> {
    let mut out = http::Request::builder()
        .method(request.method.as_str())
        .uri(base.target(&request.target))
        .body(Full::new(Bytes::from(request.body.clone())))
        .ok()?;
    let headers = out.headers_mut();
    headers.insert(HOST, HeaderValue::from_str(&base.authority()).ok()?);
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("ips-bridge/", env!("CARGO_PKG_VERSION"))));
    for (name, value) in fixed.iter().map(|(n, v)| (n.as_str(), v.as_str())).chain(request.headers.iter()) {
        headers.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value).ok()?);
    }
    let named = HeaderValue::from_str(&request_id(id)).ok()?;
    for name in ["x-request-id", "x-correlation-id"] {
        headers.entry(name).or_insert_with(|| named.clone());
    }
    if let Some(Credentials { header, value, .. }) = credentials {
        headers.insert(header, value.clone());
    }
    Some(out)
}

/// A UUID (version 8: made by rules of one's own) that is always the same for the same id: NHS gateways take only UUIDs, and a resend must
/// bear the same one.
pub(super) fn request_id(id: &str) -> String {
    let hash = Sha256::digest([b"ips-bridge request ", id.as_bytes()].concat());
    let mut sixteen = [0u8; 16];
    sixteen.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(sixteen).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::http_message::{Headers, Method};

    #[test]
    fn the_same_message_has_the_same_request_id_at_every_send() {
        assert_eq!(request_id("RZ9ABC"), request_id("RZ9ABC"));
        assert_ne!(request_id("RZ9ABC"), request_id("RZ9ABD"));
        assert_eq!(uuid::Uuid::parse_str(&request_id("x")).expect("a UUID").get_version_num(), 8);
    }

    #[test]
    fn a_reply_that_repeats_a_secret_is_kept_without_it() {
        let blanked = |credentials: Option<Credentials>, reply: &str| {
            let mut bytes = reply.as_bytes().to_vec();
            credentials.expect("good").blank(&mut bytes);
            String::from_utf8(bytes).expect("UTF-8")
        };
        let bearer = || Credentials::new("Bearer secret-token");
        assert_eq!(
            blanked(bearer(), "<a>secret-token, Bearer secret-token</a>"),
            "<a>************, Bearer ************</a>"
        );
        assert_eq!(blanked(bearer(), "a secret that is no token"), "a secret that is no token");
        let session = Credentials::in_header("X-Session", "id=to<ken&\"1;v", "to<ken&\"1");
        assert_eq!(blanked(session, "<t>to&lt;ken&amp;&quot;1</t>"), format!("<t>{}</t>", "*".repeat(21)));
        assert_eq!(blanked(Credentials::new("Bearer 17"), "<NoteId>17</NoteId>"), "<NoteId>17</NoteId>");
    }

    #[test]
    fn the_messages_own_headers_win_over_the_installations() {
        let mut headers = Headers::default();
        for (name, value) in [("Content-Type", "application/fhir+json"), ("X-Request-Id", "mine")] {
            headers.add(name, value).expect("good");
        }
        let request = Request::new(Method::Post, "Patient".into(), headers, b"{}".to_vec()).expect("good");
        let base = Base::parse("https://epr.example/r4").expect("good");
        let fixed =
            [("NHSD-Target-Identifier".to_owned(), "e30=".to_owned()), ("Content-Type".to_owned(), "x/y".to_owned())];
        let credentials = Credentials::new("Bearer secret-token").expect("good");
        let out = outgoing(&request, &base, &fixed, "C1", Some(&credentials)).expect("good");
        let get = |name: &str| out.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        assert_eq!(
            (get("host"), get("content-type"), get("x-request-id")),
            ("epr.example", "application/fhir+json", "mine")
        );
        assert_eq!((get("nhsd-target-identifier"), get("x-correlation-id")), ("e30=", request_id("C1").as_str()));
        assert_eq!(out.uri(), "/r4/Patient");
        assert!(!format!("{:?}", out.headers()).contains("secret-token"));
    }
}
