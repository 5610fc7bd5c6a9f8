//! Regions and accounts: each region of an account is a world of its own, made when it is first asked for.
//!
//! IAM is one for all regions of an account, so a state borrows it while it is held. Faults, the call log and sessions
//! belong to the whole.

use crate::clock::Clock;
use crate::config::Config;
use crate::state::State;
use crate::tasks::TaskRunner;
use crate::{Inner, LocalAws, fault, iam, sts};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What every region and account has in common.
pub(crate) struct Shared {
    pub(crate) control: Mutex<fault::Control>,
    pub(crate) sessions: Mutex<sts::Sessions>,
    home: Arc<Inner>,
    /// By account and region; home is among them.
    places: Mutex<BTreeMap<(String, String), Arc<Inner>>>,
}

impl Shared {
    pub(crate) fn new(home: &Arc<Inner>) -> Self {
        let key = (home.config.account.clone(), home.config.region.clone());
        Self {
            control: Mutex::default(),
            sessions: Mutex::default(),
            home: Arc::clone(home),
            places: Mutex::new(BTreeMap::from([(key, Arc::clone(home))])),
        }
    }

    /// The account of whoever signs with this key.
    pub(crate) fn account_of(&self, access_key: &str) -> String {
        let account = self.sessions().account_of(access_key);
        account.unwrap_or_else(|| self.home.config.account.clone())
    }

    pub(crate) fn sessions(&self) -> MutexGuard<'_, sts::Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    pub(crate) fn new(config: Config, clock: Clock, iam: Arc<Mutex<iam::Iam>>) -> Arc<Self> {
        let config = Arc::new(config);
        Arc::new(Self {
            clock,
            state: Mutex::new(State::new(Arc::clone(&config))),
            iam,
            config,
        })
    }

    /// The state with its account's IAM in it.
    pub(crate) fn hold(&self) -> Held<'_> {
        // A panic of a test while it held the lock must not hide that test's own message.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut iam = self.iam.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.iam, &mut iam);
        Held { state, iam }
    }
}

/// A state that is held, with its account's IAM in it. Only one region of an account is held at a time.
pub(crate) struct Held<'a> {
    state: MutexGuard<'a, State>,
    iam: MutexGuard<'a, iam::Iam>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        std::mem::swap(&mut self.state.iam, &mut self.iam);
    }
}

impl Deref for Held<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl LocalAws {
    /// The same AWS, looked at from a region of an account, which is empty when it is first asked for. Its tasks are
    /// simulated, whatever those of home are.
    #[must_use]
    pub fn at(&self, account: &str, region: &str) -> Self {
        let mut places = self.shared.places.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (account.to_owned(), region.to_owned());
        let inner = if let Some(there) = places.get(&key) {
            Arc::clone(there)
        } else {
            let neighbour = places.iter().find(|((other, _), _)| other == account);
            let iam = neighbour.map_or_else(Arc::default, |(_, other)| Arc::clone(&other.iam));
            let there = self.found(account, region, iam);
            places.insert(key, Arc::clone(&there));
            there
        };
        Self {
            shared: Arc::clone(&self.shared),
            inner,
        }
    }

    fn found(&self, account: &str, region: &str, iam: Arc<Mutex<iam::Iam>>) -> Arc<Inner> {
        let home = &self.shared.home;
        // Ids are unique in all of AWS.
        let mut seed = DefaultHasher::new();
        (home.config.seed, account, region).hash(&mut seed);
        let config = Config {
            account: account.to_owned(),
            region: region.to_owned(),
            seed: seed.finish(),
            tasks: TaskRunner::Simulated,
            ..(*home.config).clone()
        };
        Inner::new(config, home.clock.clone(), iam)
    }

    /// Where S3 is, and whoever did not assume a role.
    pub(crate) fn home(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            inner: Arc::clone(&self.shared.home),
        }
    }

    /// Whether anything was ever looked at or made in this account.
    pub(crate) fn knows(&self, account: &str) -> bool {
        let places = self.shared.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.keys().any(|(known, _)| known == account)
    }
}
