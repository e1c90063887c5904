//! Where an endpoint is: `https://host[:port][/path]`.

use std::fmt;

/// An address below which every request of an endpoint lies.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Base {
    tls: bool,
    host: String,
    port: u16,
    /// Empty, or `/path` without a slash at its end.
    path: String,
}

/// Why a text is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotABase {
    #[error("does not begin with https://")]
    Scheme,
    #[error("has no host and port that can be used")]
    Host,
    #[error("has a user, a query, a fragment or a path that is not plain")]
    Path,
}

impl Base {
    /// Reads `https://host[:port][/path]`; `http://` too, which only a loopback address should get.
    ///
    /// # Errors
    /// [`NotABase`]: which part is wrong.
    pub fn parse(text: &str) -> Result<Self, NotABase> {
        let (tls, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(NotABase::Scheme),
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let path = path.trim_end_matches('/');
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~$%:+".contains(&b);
        let dots = path.split('/').any(|part| part == "." || part == "..");
        if path.len() > 1_000 || dots || path.contains("//") || !path.bytes().all(plain) || authority.contains('@') {
            return Err(NotABase::Path);
        }
        let default = if tls { 443 } else { 80 };
        let (host, port) = host_and_port(authority, default).ok_or(NotABase::Host)?;
        Ok(Self { tls, host: host.to_ascii_lowercase(), port, path: path.to_owned() })
    }

    /// Whether it is reached over TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// Whether it is this machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }

    /// `host:port`, to connect to.
    pub fn address(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    /// What `Host` says: the port only where it is not the scheme's own.
    pub(super) fn authority(&self) -> String {
        if self.port == if self.tls { 443 } else { 80 } { self.bracketed() } else { self.address() }
    }

    /// The request target for something below this address.
    pub(super) fn target(&self, below: &str) -> String {
        if below.is_empty() && !self.path.is_empty() { self.path.clone() } else { format!("{}/{below}", self.path) }
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

fn host_and_port(authority: &str, default: u16) -> Option<(&str, u16)> {
    let port = |text: &str| match text {
        "" => Some(default),
        text => text.strip_prefix(':').and_then(|p| p.parse().ok()).filter(|p| *p != 0),
    };
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        return Some((host.parse::<std::net::Ipv6Addr>().ok().map(|_| host)?, port(rest)?));
    }
    let (host, rest) = authority.find(':').map_or((authority, ""), |at| authority.split_at(at));
    let good = |b: u8| b.is_ascii_alphanumeric() || b".-_".contains(&b);
    (!host.is_empty() && host.len() <= 253 && host.bytes().all(good)).then_some((host, port(rest)?))
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.tls { "https" } else { "http" }, self.authority(), self.path)
    }
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Base({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_shown_again() {
        for (text, address, target) in [
            ("https://epr.example/fhir/R4", "epr.example:443", "/fhir/R4/Patient"),
            ("https://EPR.example:8443", "epr.example:8443", "/Patient"),
            ("https://[::1]:8443/r4", "[::1]:8443", "/r4/Patient"),
            ("http://127.0.0.1:1", "127.0.0.1:1", "/Patient"),
        ] {
            let base = Base::parse(text).expect(text);
            assert_eq!((base.address().as_str(), base.target("Patient").as_str()), (address, target));
            assert_eq!(
                base.to_string(),
                text.to_ascii_lowercase().replace("/r4", if text.contains("R4") { "/R4" } else { "/r4" })
            );
        }
        assert_eq!(Base::parse("https://h/a/").expect("good").to_string(), "https://h/a");
        assert_eq!(Base::parse("https://h/oauth2/token").expect("good").target(""), "/oauth2/token");
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        for (text, why) in [
            ("epr.example", NotABase::Scheme),
            ("ftp://epr.example", NotABase::Scheme),
            ("https://", NotABase::Host),
            ("https://h:0/", NotABase::Host),
            ("https://h:99999/", NotABase::Host),
            ("https://a b/", NotABase::Host),
            ("https://[zz]/", NotABase::Host),
            ("https://user:pw@h/", NotABase::Path),
            ("https://h/a?b", NotABase::Path),
            ("https://h/a/../b", NotABase::Path),
            ("https://h/a#b", NotABase::Path),
            ("https://h//a", NotABase::Path),
        ] {
            assert_eq!(Base::parse(text), Err(why), "{text}");
        }
    }
}
