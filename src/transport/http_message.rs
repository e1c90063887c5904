//! One HTTP request or reply as bytes that can be stored: what a pack renders, what goes out again unchanged at every resend, and
//! what came back. No I/O here.
//!
//! ```text
//! POST DocumentReference                        HTTP 201
//! Content-Type: application/fhir+json           Location: https://epr.example/r4/DocumentReference/17
//!
//! {"resourceType":"DocumentReference",…         {"resourceType":"DocumentReference",…
//! ```
//!
//! Lines end with LF. The target is relative to the endpoint's base address; the host, the credentials and the length are the transport's
//! to add, so neither a pack nor a patient's data can redirect a request.

use super::Redacted;
use std::fmt;

/// Longest target, in bytes.
pub const TARGET_BYTES_MAX: usize = 2_048;
/// Longest value of a header, in bytes.
pub const HEADER_BYTES_MAX: usize = 4_096;
/// Headers of one message.
pub const HEADERS_MAX: usize = 32;
/// Longest head (everything before the body), in bytes.
pub const HEAD_BYTES_MAX: usize = 16 * 1_024;

/// Reply headers that say something about the request's fate. A transport keeps these and leaves the others away.
pub const REPLY_HEADERS: &[&str] =
    &["content-type", "content-location", "date", "etag", "last-modified", "location", "retry-after", "x-request-id"];
/// What MESH says of a message it hands over: all of its own headers are kept, and how the body is packed.
const MESH_HEADERS: &str = "mex-";
const PACKED: &str = "content-encoding";

/// Headers that belong to the transport: they name the host, the credentials or how the bytes travel.
const NOT_THE_PACKS: &[&str] = &[
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What a request may ask for. A pack changes nothing by any other method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
}

impl Method {
    pub const ALL: [(&'static str, Self); 3] = [("GET", Self::Get), ("POST", Self::Post), ("PUT", Self::Put)];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == text).map(|(_, method)| *method)
    }
}

/// Names and values in the order given; names are compared without regard to case.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// Adds one; a second of the same name is refused.
    pub fn add(&mut self, name: &str, value: &str) -> Result<(), HttpMessageError> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(token) {
            return Err(HttpMessageError::HeaderName);
        }
        let visible = |b: u8| b == b' ' || b.is_ascii_graphic();
        if value.is_empty() || value.trim() != value || !value.bytes().all(visible) {
            return Err(HttpMessageError::HeaderValue { name: name.to_owned() });
        }
        if value.len() > HEADER_BYTES_MAX || self.0.len() == HEADERS_MAX {
            return Err(HttpMessageError::TooLong { what: "the head" });
        }
        if self.get(name).is_some() {
            return Err(HttpMessageError::HeaderTwice { name: name.to_owned() });
        }
        self.0.push((name.to_owned(), value.to_owned()));
        Ok(())
    }

    fn write(&self, out: &mut Vec<u8>) {
        for (name, value) in self.iter() {
            out.extend_from_slice(format!("{name}: {value}\n").as_bytes());
        }
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// Why bytes are no such message. Names headers, never values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpMessageError {
    #[error("the first line is not \"POST path\" (GET, POST or PUT)")]
    RequestLine,
    #[error("the first line is not \"HTTP status\"")]
    StatusLine,
    #[error(
        "the path is not one below the endpoint's address: no host, no leading /, no .., visible ASCII, at most 2,048 bytes"
    )]
    Target,
    #[error("a header has no name, or one with other characters than letters, digits and -")]
    HeaderName,
    #[error("the value of header {name} is empty, or holds something else than visible ASCII on one line")]
    HeaderValue { name: String },
    #[error("header {name} stands twice")]
    HeaderTwice { name: String },
    #[error("header {name} is the transport's, not the message's")]
    NotTheMessages { name: String },
    #[error("{what} is longer than the limit")]
    TooLong { what: &'static str },
    #[error("no empty line ends the head")]
    NoHeadEnd,
    #[error("there is nothing in it")]
    Empty,
}

/// A request without host and credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    /// Relative to the endpoint's base address: `DocumentReference`, `Observation?identifier=…`.
    pub target: String,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Request {
    /// Checks target and headers; nothing that could change where the request goes gets in.
    pub fn new(method: Method, target: String, headers: Headers, body: Vec<u8>) -> Result<Self, HttpMessageError> {
        let path = target.split('?').next().unwrap_or_default();
        let strange = path.is_empty()
            || path.split('/').any(|part| matches!(part, "" | "." | ".."))
            || path.contains([':', '\\', '#'])
            || target.contains('#')
            || target.len() > TARGET_BYTES_MAX
            || !target.bytes().all(|b| b.is_ascii_graphic());
        if strange {
            return Err(HttpMessageError::Target);
        }
        if let Some((name, _)) = headers.iter().find(|(n, _)| {
            let lower = n.to_ascii_lowercase();
            NOT_THE_PACKS.contains(&lower.as_str()) || lower.starts_with("proxy-")
        }) {
            return Err(HttpMessageError::NotTheMessages { name: name.to_owned() });
        }
        Ok(Self { method, target, headers, body })
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = format!("{} {}\n", self.method.as_str(), self.target).into_bytes();
        self.headers.write(&mut out);
        out.push(b'\n');
        out.extend_from_slice(&self.body);
        out
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, HttpMessageError> {
        let (first, headers, body) = split(bytes)?;
        let (method, target) = first.split_once(' ').ok_or(HttpMessageError::RequestLine)?;
        let method = Method::parse(method).ok_or(HttpMessageError::RequestLine)?;
        Self::new(method, target.to_owned(), headers, body.to_vec())
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({} …, {:?}, {:?})", self.method.as_str(), self.headers, Redacted(self.body.len()))
    }
}

/// What came back.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// 100 to 599.
    pub status: u16,
    pub headers: Headers,
    pub body: Vec<u8>,
}

impl Reply {
    /// From a client's parts: of the headers those in [`REPLY_HEADERS`] are kept, where their values are visible ASCII on one line.
    pub fn new<'h>(status: u16, headers: impl IntoIterator<Item = (&'h str, &'h str)>, body: Vec<u8>) -> Self {
        let mut kept = Headers::default();
        let mut several = Vec::new();
        for (name, value) in headers {
            let name = name.to_ascii_lowercase();
            // Of two that say different things neither says anything.
            if kept.get(&name).is_some_and(|before| before != value.trim()) {
                several.push(name);
                continue;
            }
            if REPLY_HEADERS.contains(&name.as_str()) || name.starts_with(MESH_HEADERS) || name == PACKED {
                // What cannot be kept as it came says nothing that we could rely on.
                drop(kept.add(&name, value.trim()));
            }
        }
        kept.0.retain(|(name, _)| !several.contains(name));
        Self { status, headers: kept, body }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = format!("HTTP {}\n", self.status).into_bytes();
        self.headers.write(&mut out);
        out.push(b'\n');
        out.extend_from_slice(&self.body);
        out
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, HttpMessageError> {
        let (first, headers, body) = split(bytes)?;
        let status = first.strip_prefix("HTTP ").filter(|s| s.len() == 3).and_then(|s| s.parse().ok());
        let status = status.filter(|s| (100..=599).contains(s)).ok_or(HttpMessageError::StatusLine)?;
        Ok(Self { status, headers, body: body.to_vec() })
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({}, {:?}, {:?})", self.status, self.headers, Redacted(self.body.len()))
    }
}

/// First line, headers, body.
fn split(bytes: &[u8]) -> Result<(&str, Headers, &[u8]), HttpMessageError> {
    let look = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    let end = look.windows(2).position(|w| w == b"\n\n").ok_or(if bytes.len() > HEAD_BYTES_MAX {
        HttpMessageError::TooLong { what: "the head" }
    } else {
        HttpMessageError::NoHeadEnd
    })?;
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| HttpMessageError::RequestLine)?;
    let mut lines = head.split('\n');
    let first = lines.next().unwrap_or_default();
    let mut headers = Headers::default();
    for line in lines {
        let (name, value) = line.split_once(": ").ok_or(HttpMessageError::HeaderName)?;
        headers.add(name, value)?;
    }
    Ok((first, headers, &bytes[end + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, headers: &[(&str, &str)]) -> Result<Request, HttpMessageError> {
        let mut all = Headers::default();
        for (name, value) in headers {
            all.add(name, value)?;
        }
        Request::new(Method::Post, target.into(), all, b"{}\n\n{}".to_vec())
    }

    #[test]
    fn what_is_written_is_read_again_byte_for_byte() {
        let r = request(
            "DocumentReference?a=%7C",
            &[("Content-Type", "application/fhir+json"), ("If-None-Exist", "identifier=s|v")],
        );
        let r = r.expect("a good request");
        assert_eq!(Request::parse(&r.to_bytes()), Ok(r.clone()));
        assert_eq!(
            String::from_utf8(r.to_bytes()).expect("ASCII"),
            "POST DocumentReference?a=%7C\nContent-Type: application/fhir+json\nIf-None-Exist: identifier=s|v\n\n{}\n\n{}"
        );
        let reply = Reply::new(
            201,
            [("Location", " DocumentReference/1 "), ("Set-Cookie", "x"), ("ETag", "W/\"1\"")],
            b"x".to_vec(),
        );
        assert_eq!(reply.headers.get("LOCATION"), Some("DocumentReference/1"));
        assert_eq!(reply.headers.iter().count(), 2, "a cookie says nothing about the document");
        assert_eq!(Reply::parse(&reply.to_bytes()), Ok(reply));
    }

    #[test]
    fn nothing_in_a_request_can_change_where_it_goes() {
        for target in [
            "",
            "/x",
            "https://evil.example/x",
            "x/../y",
            "x//y",
            "./x",
            "a b",
            "x\ny",
            "x#y",
            "é",
            "x\\y",
            "//h/x",
            &"x".repeat(2_049),
        ] {
            assert_eq!(request(target, &[]), Err(HttpMessageError::Target), "{target}");
        }
        for name in ["Host", "authorization", "Content-Length", "Transfer-Encoding", "Proxy-Authorization", "Cookie"] {
            assert!(matches!(request("x", &[(name, "v")]), Err(HttpMessageError::NotTheMessages { .. })), "{name}");
        }
        for value in ["a\nHost: evil", "a\r", "", " a", "é", "a\u{0}"] {
            assert!(matches!(request("x", &[("X-A", value)]), Err(HttpMessageError::HeaderValue { .. })), "{value:?}");
        }
        assert_eq!(request("x", &[("a b", "c")]), Err(HttpMessageError::HeaderName));
        assert!(matches!(request("x", &[("A", "c"), ("a", "d")]), Err(HttpMessageError::HeaderTwice { .. })));
    }

    #[test]
    fn bytes_that_are_no_such_message_are_refused_and_none_panics() {
        for bytes in
            [&b""[..], b"POST", b"POST x\n", b"DELETE x\n\n", b"POST x\nA\n\n", b"\xff x\n\n", b"\n\n", b"MSH|^~\\&|\r"]
        {
            assert!(Request::parse(bytes).is_err(), "{bytes:?}");
        }
        for bytes in [&b"HTTP 20\n\n"[..], b"HTTP/1.1 200 OK\n\n", b"HTTP 999\n\n", b"HTTP 200\r\n\r\n", b"HTTP 200"] {
            assert!(Reply::parse(bytes).is_err(), "{bytes:?}");
        }
        let long = [b"HTTP 200\nA: ".as_slice(), &[b'x'; HEAD_BYTES_MAX], b"\n\n"].concat();
        assert_eq!(Reply::parse(&long), Err(HttpMessageError::TooLong { what: "the head" }));
    }

    #[test]
    fn no_value_is_shown() {
        let r = request("Patient?identifier=9990000018", &[("If-None-Exist", "identifier=s|v")]).expect("good");
        assert_eq!(format!("{r:?}"), "Request(POST …, [\"If-None-Exist\"], <6 bytes>)");
    }
}
