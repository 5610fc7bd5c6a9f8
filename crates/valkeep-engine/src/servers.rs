//! Asks and tells the server of one document, beside what is asked of AWS.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use valkeep_core::ports::{Servers, World};
use valkeep_core::valkey::SERVER_SETTINGS;
use valkeep_core::{Desired, Done, Doubt, DoubtKind, Fact, Failure, Observed, Step};

/// For one question to Valkey, should the asker not keep its own bound.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
const INFO: &str = "valkey:INFO";
const CONFIG_GET: &str = "valkey:CONFIG GET";

/// Asks the serving task how it is and what it is set to.
pub async fn ask_server<S: Servers>(servers: &S, desired: &Desired, observed: &mut Observed) {
    let Some(address) = observed.server_address(desired.server.port) else {
        observed.valkey = Fact::not_looked(INFO);
        observed.server_settings = Fact::not_looked(CONFIG_GET);
        return;
    };
    observed.valkey = within(INFO, address, servers.info(address)).await;
    observed.server_settings = match &observed.valkey {
        Fact::Present(_) => within(CONFIG_GET, address, servers.settings(address, &SERVER_SETTINGS)).await,
        // One that does not answer is not asked again.
        Fact::Absent | Fact::Unknown(_) => Fact::not_looked(CONFIG_GET),
    };
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
pub async fn act_on<W: World, S: Servers>(
    world: &W,
    servers: &S,
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
    servers.change(*address, run_id, change).await?;
    Ok(Done::Changed)
}
