//! What it takes to be let in to the server of one document: read where it lies, kept for a while, tried.
//!
//! It stays in memory and is shown by nothing; nothing that decides rests on it.

use crate::keeper::lock;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;
use valkeep_core::access::{AccessSpec, Login, LoginSpec, ServerAccess, Tls, UserSpec};
use valkeep_core::ports::Secrets;
use valkeep_core::{Desired, Doubt, Observed};

/// How long what was read is used without a look at what it is now. A password that is rotated while the server still takes
/// the one before is noticed by then: one call per document in this time.
const KEPT: Duration = Duration::from_mins(5);
/// A server that refuses what was read within this time is not worth another look: less than a probe's pace, so a document with
/// a wrong password costs one look at each probe and not one at each question.
const JUST_READ: Duration = Duration::from_secs(20);

/// See the module.
#[derive(Debug, Default)]
pub struct Keyring(Mutex<Ring>);

#[derive(Debug, Default)]
struct Ring {
    read: Option<Read>,
    /// What the secret was before.
    before: Option<Login>,
    /// What let valkeep in at the last question.
    fits: ServerAccess,
}

#[derive(Debug, Clone)]
struct Read {
    spec: AccessSpec,
    /// A changed document, and so `valkeep.dev/look-now`, reads anew.
    generation: i64,
    access: ServerAccess,
    at: Instant,
}

impl Keyring {
    /// What the document refers to, read by now or a while ago.
    pub async fn access<W: Secrets>(&self, world: &W, desired: &Desired) -> Result<ServerAccess, Doubt> {
        let kept = self.kept(desired).filter(|read| read.at.elapsed() < KEPT);
        match kept {
            Some(read) => Ok(read.access),
            None => self.read(world, desired).await,
        }
    }

    /// The same, for a server that refuses it: read anew; `None` where that was a moment ago, or there is no login.
    pub async fn access_anew<W: Secrets>(&self, world: &W, desired: &Desired) -> Option<Result<ServerAccess, Doubt>> {
        let just_read = self.kept(desired).is_some_and(|read| read.at.elapsed() < JUST_READ);
        let worth_it = desired.server.access.login.is_some() && !just_read;
        if worth_it {
            Some(self.read(world, desired).await)
        } else {
            None
        }
    }

    /// What the server may still have in place of what the document refers to, the likeliest first.
    pub(crate) async fn others<W: Secrets>(
        &self,
        world: &W,
        desired: &Desired,
        observed: &Observed,
    ) -> Vec<Option<Login>> {
        let wanted = desired.server.access.login.as_ref();
        let mut others: Vec<Option<Login>> = lock(&self.0).before.clone().map(Some).into_iter().collect();
        let just_read = self.kept(desired).is_some_and(|read| read.at.elapsed() < JUST_READ);
        let running = observed.running_definition.present();
        let started_with = running.and_then(|found| found.definition.as_ref()?.container.login());
        if others.is_empty() || !just_read {
            let previous = wanted.and_then(|login| {
                Some(LoginSpec {
                    user: login.user.clone(),
                    password: login.password.previous()?,
                })
            });
            let started_with = started_with.clone().filter(|login| Some(login) != wanted);
            for login in previous.into_iter().chain(started_with) {
                // One that cannot be read is not tried; what the document names has been told.
                others.extend(read_login(world, desired, &login).await.ok().map(Some));
            }
        }
        // A server of valkeep's own from before the document had a password.
        if wanted.is_some() && desired.created().is_some() && started_with.is_none() {
            others.push(None);
        }
        others
    }

    /// Takes note of what let valkeep in.
    pub(crate) fn fits(&self, access: ServerAccess) {
        lock(&self.0).fits = access;
    }

    /// What let valkeep in at the last question.
    pub(crate) fn fitting(&self) -> ServerAccess {
        lock(&self.0).fits.clone()
    }

    fn kept(&self, desired: &Desired) -> Option<Read> {
        let ring = lock(&self.0);
        ring.read
            .clone()
            .filter(|read| read.spec == desired.server.access && read.generation == desired.generation)
    }

    async fn read<W: Secrets>(&self, world: &W, desired: &Desired) -> Result<ServerAccess, Doubt> {
        let spec = &desired.server.access;
        let access = read_access(world, desired, spec).await?;
        let mut ring = lock(&self.0);
        let read = Read {
            spec: spec.clone(),
            generation: desired.generation,
            access: access.clone(),
            at: Instant::now(),
        };
        let old = ring.read.replace(read).and_then(|old| old.access.login);
        if old.is_some() && !is_same(old.as_ref(), access.login.as_ref()) {
            ring.before = old;
        }
        Ok(access)
    }
}

fn is_same(one: Option<&Login>, other: Option<&Login>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.user == other.user && one.password.expose() == other.password.expose(),
        (None, Some(_)) | (Some(_), None) => false,
    }
}

async fn read_access<W: Secrets>(world: &W, desired: &Desired, spec: &AccessSpec) -> Result<ServerAccess, Doubt> {
    let login = match &spec.login {
        Some(login) => Some(read_login(world, desired, login).await?),
        None => None,
    };
    let tls = match &spec.tls {
        Some(tls) => Some(Tls {
            ca_pem: match &tls.ca {
                Some(reference) => Some(world.secret(desired, reference).await?.expose().to_owned()),
                None => None,
            },
            server_name: tls.server_name.clone(),
        }),
        None => None,
    };
    Ok(ServerAccess { login, tls })
}

async fn read_login<W: Secrets>(world: &W, desired: &Desired, login: &LoginSpec) -> Result<Login, Doubt> {
    let user = match &login.user {
        Some(UserSpec::Named(name)) => Some(name.clone()),
        Some(UserSpec::In(reference)) => Some(world.secret(desired, reference).await?.expose().to_owned()),
        None => None,
    };
    let password = world.secret(desired, &login.password).await?;
    Ok(Login { user, password })
}
