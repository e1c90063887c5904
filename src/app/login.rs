//! A session as the pack in use describes it and with what config says of us: asked for at each log in, so that an activated pack's own holds from
//! its first message on.

use crate::adapter::{InUse, Who};
use crate::config::Secret;
use crate::transport::https::{Login, LoginPlan};
use std::time::Duration;

/// Where one endpoint's log in comes from.
pub struct PackLogin {
    pub in_use: InUse,
    pub user: String,
    pub password: Secret,
}

impl Login for PackLogin {
    fn edition(&self) -> i64 {
        self.in_use.now().activation
    }

    fn plan(&self) -> Result<LoginPlan, String> {
        let fitted = self.in_use.now();
        let session = fitted.pack.manifest.session.clone().ok_or("the pack in use has no [session]")?;
        let who = Who { user: &self.user, password: self.password.expose() };
        let refuses = session.clone();
        Ok(LoginPlan {
            request: session.request(who, &fitted.settings)?,
            header: session.header.clone(),
            before: session.before.clone(),
            after: session.after.clone(),
            lasts: Duration::from_secs(session.lasts_seconds.into()),
            token: Box::new(move |body| session.token(body)),
            refuses: Box::new(move |body| refuses.refuses(body)),
        })
    }

    fn is_over(&self, reply: &[u8]) -> bool {
        self.in_use.now().pack.manifest.session.as_ref().is_some_and(|s| s.is_over(reply))
    }
}
