//! A set of clients for each place and account, made when a document needs it.
//!
//! What one account does to its calls (throttling, used-up retries, denied roles) stays with its own set.

use crate::cache::{Cache, Kept};
use crate::clients::{Inner, Options};
use crate::credentials::Assumed;
use crate::limiter::{Limiter, WAIT_MAX};
use crate::pacing::Pacing;
use aws_config::identity::IdentityCache;
use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use std::sync::Arc;
use valkeep_core::{Desired, Place};

/// Sets that are kept. A set is some 100 KiB; all regions of a dozen accounts are fewer.
const PLACES_MAX: usize = 256;

/// All sets.
#[derive(Debug)]
pub(crate) struct Fleet {
    sdk: SdkConfig,
    options: Options,
    limiter: Limiter,
    sets: Kept<(Place, String), Arc<Inner>>,
    cache: Cache,
}

impl Fleet {
    /// `sdk` is home's, with time limits and HTTP client.
    pub(crate) fn new(sdk: SdkConfig, options: Options) -> Self {
        Self {
            limiter: Limiter::new(options.share),
            sets: Kept::new(PLACES_MAX),
            cache: Cache::default(),
            sdk,
            options,
        }
    }

    /// The set for home's own work: documents, status, and who we are. Its account is not known yet.
    pub(crate) fn home(&self) -> Inner {
        self.set(&self.sdk, "")
    }

    /// The set for a document.
    pub(crate) async fn of(&self, desired: &Desired) -> Arc<Inner> {
        let account = &desired.identity.account;
        let key = (desired.place.clone(), account.clone());
        if let Some(set) = self.sets.get(&key) {
            return set;
        }
        let Place { region, role } = &desired.place;
        let mut there = self
            .sdk
            .to_builder()
            .region(Region::new(region.clone()))
            // Stores have bounds of their own; here the wait for a turn comes on top.
            .timeout_config(self.timeouts());
        if let Some(role) = role {
            let credentials = Assumed::new(&self.sdk, role, &desired.identity.installation).await;
            there = there
                .credentials_provider(SharedCredentialsProvider::new(credentials))
                // One for all clients of the set: each would ask for credentials of its own.
                .identity_cache(IdentityCache::lazy().build());
        }
        let set = Arc::new(self.set(&there.build(), account));
        // Whoever came first has it; a set that is made twice does no harm.
        let set = self.sets.get(&key).unwrap_or(set);
        self.sets.put(key, Arc::clone(&set));
        set
    }

    fn timeouts(&self) -> TimeoutConfig {
        let home = self.sdk.timeout_config().cloned();
        home.unwrap_or_else(TimeoutConfig::disabled)
            .to_builder()
            .operation_timeout(self.options.operation_timeout + WAIT_MAX)
            .build()
    }

    fn set(&self, sdk: &SdkConfig, account: &str) -> Inner {
        let region = sdk.region().map(ToString::to_string).unwrap_or_default();
        let pacing = Pacing {
            limiter: self.limiter.clone(),
            account: Arc::from(account),
            region: Arc::from(region),
        };
        Inner::new(sdk, &self.options, &pacing, self.cache.beside())
    }
}
