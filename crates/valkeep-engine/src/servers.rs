//! Asks and tells the server of one document, beside what is asked of AWS.

use crate::keyring::Keyring;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use valkeep_core::access::{ServerAccess, ServerTarget};
use valkeep_core::ports::{Secrets, Servers, World};
use valkeep_core::valkey::{SERVER_SETTINGS, ServerChange};
use valkeep_core::{Desired, Done, Doubt, DoubtKind, Fact, Failure, FailureKind, Observed, Step, ValkeyInfo};

/// For one question to Valkey, should the asker not keep its own bound.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
const INFO: &str = "valkey:INFO";
const CONFIG_GET: &str = "valkey:CONFIG GET";

/// Asks the serving task how it is and what it is set to.
pub async fn ask_server<W: Secrets, S: Servers>(
    world: &W,
    servers: &S,
    keyring: &Keyring,
    desired: &Desired,
    observed: &mut Observed,
) {
    observed.former_login = false;
    observed.server_settings = Fact::not_looked(CONFIG_GET);
    let Some(address) = observed.server_address(desired.server.port) else {
        observed.valkey = Fact::not_looked(INFO);
        return;
    };
    let access = match keyring.access(world, desired).await {
        Ok(access) => access,
        Err(doubt) => {
            observed.valkey = Fact::Unknown(doubt);
            return;
        }
    };
    let mut door = Door {
        servers,
        address,
        access,
    };
    observed.valkey = door.knock().await;
    if is_refused(&observed.valkey) {
        match keyring.access_anew(world, desired).await {
            Some(Ok(access)) => {
                door.access = access;
                observed.valkey = door.knock().await;
            }
            Some(Err(doubt)) => observed.valkey = Fact::Unknown(doubt),
            None => {}
        }
    }
    if is_refused(&observed.valkey) {
        let wanted = door.access.login.clone();
        for login in keyring.others(world, desired, observed).await {
            door.access.login = login;
            let answer = door.knock().await;
            if answer.present().is_some() {
                observed.valkey = answer;
                observed.former_login = true;
                break;
            }
        }
        if !observed.former_login {
            door.access.login = wanted;
        }
    }
    // One that does not answer is not asked again.
    if observed.valkey.present().is_some() {
        observed.server_settings = within(CONFIG_GET, address, servers.settings(door.target(), &SERVER_SETTINGS)).await;
    }
    keyring.fits(door.access);
}

/// One server, and what is tried to be let in.
struct Door<'a, S> {
    servers: &'a S,
    address: SocketAddr,
    access: ServerAccess,
}

impl<S: Servers> Door<'_, S> {
    fn target(&self) -> ServerTarget {
        ServerTarget {
            address: self.address,
            access: self.access.clone(),
        }
    }

    async fn knock(&self) -> Fact<ValkeyInfo> {
        within(INFO, self.address, self.servers.info(self.target())).await
    }
}

fn is_refused(answer: &Fact<ValkeyInfo>) -> bool {
    matches!(answer, Fact::Unknown(doubt) if doubt.kind == DoubtKind::NotLetIn)
}

/// The answer to one question, should the asker not keep its own bound.
async fn within<T>(call: &str, address: SocketAddr, answer: impl Future<Output = Result<T, Doubt>>) -> Fact<T> {
    match tokio::time::timeout(ASK_TIMEOUT, answer).await {
        Ok(Ok(value)) => Fact::Present(value),
        Ok(Err(doubt)) => Fact::Unknown(doubt),
        Err(_) => Fact::Unknown(Doubt {
            kind: DoubtKind::Unreachable,
            call: call.to_owned(),
            message: format!("{address} did not answer within {} s", ASK_TIMEOUT.as_secs()),
        }),
    }
}

/// One step, where it belongs.
pub async fn act_on<W: World + Secrets, S: Servers>(
    world: &W,
    servers: &S,
    keyring: &Keyring,
    desired: &Desired,
    step: &Step,
) -> Result<Done, Failure> {
    let Step::ChangeServer {
        address,
        run_id,
        change,
    } = step
    else {
        return world.act(desired, step).await;
    };
    let target = ServerTarget {
        address: *address,
        access: keyring.fitting(),
    };
    if *change != ServerChange::Password {
        servers.change(target, run_id, change).await?;
        return Ok(Done::Changed);
    }
    let access = keyring.access(world, desired).await.map_err(unread)?;
    if let Some(login) = &access.login {
        servers.set_password(target, run_id, login).await?;
        keyring.fits(access);
    }
    Ok(Done::Changed)
}

/// What a password that cannot be read means for the step that needs it.
fn unread(doubt: Doubt) -> Failure {
    Failure {
        call: doubt.call,
        kind: FailureKind::NotNow,
        code: "SecretUnreadable".to_owned(),
        message: doubt.message,
    }
}
