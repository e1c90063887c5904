//! The signed statement by which NHS gateways know a caller: a JWT under RS512, for the token endpoint only and valid for minutes.

use crate::transport::tls::PemSource;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use rustls::crypto::CryptoProvider;
use rustls::sign::SigningKey;
use serde_json::json;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long one is valid. The gateway refuses more than five minutes from its own clock, which may be behind ours.
const VALID_FOR: Duration = Duration::from_secs(270);

/// An RSA private key that can sign. It never shows itself.
#[derive(Clone)]
pub struct AssertionKey {
    key: Arc<dyn SigningKey>,
    kid: String,
}

/// Why a key cannot sign. Never holds any of the key.
#[derive(Debug, thiserror::Error)]
pub enum AssertionError {
    #[error(transparent)]
    Key(#[from] crate::transport::tls::TlsError),
    #[error("the key cannot be used ({0}); it must be an RSA private key of 2048 bits or more")]
    Refused(rustls::Error),
    #[error("the key cannot sign RS512; it must be an RSA private key of 2048 bits or more")]
    NotRsa,
    #[error("no crypto provider is installed; call install_crypto_provider first thing in main")]
    NoCryptoProvider,
}

impl AssertionKey {
    /// `kid` names the key to the gateway.
    ///
    /// # Errors
    /// See [`AssertionError`].
    pub fn load(source: &PemSource, kid: String) -> Result<Self, AssertionError> {
        let provider = CryptoProvider::get_default().ok_or(AssertionError::NoCryptoProvider)?;
        let key = provider.key_provider.load_private_key(source.key()?).map_err(AssertionError::Refused)?;
        if key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA512]).is_none() {
            return Err(AssertionError::NotRsa);
        }
        Ok(Self { key, kid })
    }

    /// `client` is both issuer and subject; `audience` the token endpoint, exactly as the gateway writes it; `id` must be new each time.
    pub(super) fn sign(
        &self,
        client: &str,
        audience: &str,
        id: &str,
        now_seconds: i64,
    ) -> Result<String, AssertionError> {
        let expires = now_seconds.saturating_add(i64::try_from(VALID_FOR.as_secs()).unwrap_or(0));
        let head = json!({ "alg": "RS512", "typ": "JWT", "kid": self.kid });
        let claims = json!({ "iss": client, "sub": client, "aud": audience, "jti": id, "exp": expires });
        let part = |v: &serde_json::Value| URL_SAFE_NO_PAD.encode(v.to_string());
        let signed = format!("{}.{}", part(&head), part(&claims));
        let signer = self.key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA512]).ok_or(AssertionError::NotRsa)?;
        let signature = signer.sign(signed.as_bytes()).map_err(AssertionError::Refused)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl fmt::Debug for AssertionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AssertionKey(..)")
    }
}
