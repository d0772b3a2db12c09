//! What a provider said of itself and its keys, for a while.
//!
//! It is asked when somebody wants to sign in and what is known is older than an hour, so that a
//! key that it took back is not believed for long. One asks, the others wait for that; a provider
//! that just did not answer is not asked again for some seconds. A token by an unknown key has
//! the keys asked for at once, but not more than once a minute, whatever tokens come.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use openid::{Keys, Provider};
use tokio::sync::Mutex;

use super::Asker;

/// After so long it is asked anew.
const FRESH: Duration = Duration::from_secs(3_600);

/// After a failure it is left alone so long.
const LEFT_ALONE: Duration = Duration::from_secs(5);

/// Keys are not asked for again before, because a token names another.
const PAUSE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
struct Found {
    at: Instant,
    provider: Arc<Provider>,
    keys: Arc<Keys>,
    keys_asked: Option<Instant>,
}

#[derive(Debug, Default)]
struct State {
    found: Option<Found>,
    failed: Option<(Instant, String)>,
}

#[derive(Debug, Default)]
pub(super) struct Known(Mutex<State>);

impl Known {
    /// The provider and its keys.
    pub(super) async fn both(
        &self,
        asker: &Asker,
        issuer: &str,
    ) -> Result<(Arc<Provider>, Arc<Keys>), String> {
        let mut state = self.0.lock().await;
        if let Some(found) = state.found.as_ref().filter(|found| found.at.elapsed() < FRESH) {
            return Ok((Arc::clone(&found.provider), Arc::clone(&found.keys)));
        }
        if let Some((at, why)) = &state.failed
            && at.elapsed() < LEFT_ALONE
        {
            return Err(why.clone());
        }
        let asked = async {
            let provider = Arc::new(asker.provider(issuer).await?);
            let keys = asker.keys(&provider).await?;
            Ok((provider, keys))
        };
        match asked.await {
            Ok((provider, keys)) => {
                let both = (Arc::clone(&provider), Arc::clone(&keys));
                let at = Instant::now();
                *state = State {
                    found: Some(Found { at, provider, keys, keys_asked: None }),
                    failed: None,
                };
                Ok(both)
            }
            Err(why) => {
                state.failed = Some((Instant::now(), String::clone(&why)));
                Err(why)
            }
        }
    }

    /// Its keys as they are now, where those are others, and it was not asked for them just now.
    pub(super) async fn newer_keys(
        &self,
        asker: &Asker,
        provider: &Provider,
        old: &Keys,
    ) -> Option<Arc<Keys>> {
        let mut state = self.0.lock().await;
        let found = state.found.as_mut()?;
        // Somebody else asked meanwhile.
        if *found.keys != *old {
            return Some(Arc::clone(&found.keys));
        }
        if found.keys_asked.is_some_and(|at| at.elapsed() < PAUSE) {
            return None;
        }
        found.keys_asked = Some(Instant::now());
        let keys = asker.keys(provider).await.ok()?;
        if *keys == *old {
            return None;
        }
        found.keys = Arc::clone(&keys);
        Some(keys)
    }
}
