//! Asks and tells servers: [`Servers`] over the network.

use crate::connection::{Connection, Deadline};
use crate::info::{parse_info, run_id};
use crate::trouble::Trouble;
use redis::{Value, cmd};
use std::time::Duration;
use valkeep_core::access::{Login, Secret, ServerTarget};
use valkeep_core::ports::Servers;
use valkeep_core::valkey::{ServerChange, ServerSettings};
use valkeep_core::{Doubt, Failure, ValkeyInfo};

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// For connecting and the first answer together, and for each further answer.
    pub timeout: Duration,
}

impl Default for Client {
    fn default() -> Self {
        // A server answers between two commands; three seconds are far beyond that and still short enough to ask within
        // a pass.
        Self {
            timeout: Duration::from_secs(3),
        }
    }
}

impl Servers for Client {
    async fn info(&self, target: impl Into<ServerTarget> + Send) -> Result<ValkeyInfo, Doubt> {
        let target = target.into();
        self.ask_info(&target)
            .await
            .map_err(|trouble| trouble.doubt(&target, "valkey:INFO"))
    }

    async fn settings(&self, target: impl Into<ServerTarget> + Send, names: &[&str]) -> Result<ServerSettings, Doubt> {
        if names.is_empty() {
            return Ok(ServerSettings::new());
        }
        let target = target.into();
        self.ask_settings(&target, names)
            .await
            .map_err(|trouble| trouble.doubt(&target, "valkey:CONFIG GET"))
    }

    async fn change(
        &self,
        target: impl Into<ServerTarget> + Send,
        run_id: &str,
        change: &ServerChange,
    ) -> Result<(), Failure> {
        let target = target.into();
        self.tell(&target, run_id, change)
            .await
            .map_err(|trouble| trouble.failure(&target, change.command()))
    }

    async fn set_password(
        &self,
        target: impl Into<ServerTarget> + Send,
        run_id: &str,
        login: &Login,
    ) -> Result<(), Failure> {
        let target = target.into();
        self.give(&target, run_id, login)
            .await
            .map_err(|trouble| trouble.failure(&target, ServerChange::Password.command()))
    }
}

impl Client {
    async fn ask_info(&self, target: &ServerTarget) -> Result<ValkeyInfo, Trouble> {
        let deadline = self.deadline();
        let mut connection = Connection::open(target, deadline).await?;
        // One call with all default sections is cheaper for both sides than one a section.
        let answer = connection.ask(&cmd("INFO"), deadline).await?;
        let text = text(answer).ok_or_else(|| connection.odd())?;
        Ok(parse_info(&text)?)
    }

    async fn ask_settings(&self, target: &ServerTarget, names: &[&str]) -> Result<ServerSettings, Trouble> {
        let deadline = self.deadline();
        let mut connection = Connection::open(target, deadline).await?;
        get(&mut connection, names, deadline).await
    }

    async fn tell(&self, target: &ServerTarget, wanted: &str, change: &ServerChange) -> Result<(), Trouble> {
        let mut connection = self.open(target, wanted).await?;
        match change {
            ServerChange::Save => self.save(&mut connection).await,
            ServerChange::Set { name, to, .. } => self.set(&mut connection, name, to).await,
            ServerChange::Password => Err(Trouble::NoPassword),
        }
    }

    /// The server logs neither of these, and shows them to nobody: <https://valkey.io/commands/acl-setuser/>.
    async fn give(&self, target: &ServerTarget, wanted: &str, login: &Login) -> Result<(), Trouble> {
        const DEFAULT: &str = "default";
        let mut connection = self.open(target, wanted).await?;
        let password = Secret::new(format!(">{}", login.password.expose()));
        let named = login.user.as_deref().filter(|user| *user != DEFAULT);
        for user in named.into_iter().chain([DEFAULT]) {
            let command = cmd("ACL")
                .arg("SETUSER")
                .arg(user)
                .arg("resetpass")
                .arg(password.expose())
                .clone();
            connection.ask(&command, self.deadline()).await?;
        }
        Ok(())
    }

    /// A connection to the process with this run id.
    async fn open(&self, target: &ServerTarget, wanted: &str) -> Result<Connection, Trouble> {
        let deadline = self.deadline();
        let mut connection = Connection::open(target, deadline).await?;
        let answer = connection.ask(cmd("INFO").arg("server"), deadline).await?;
        let text = text(answer).ok_or_else(|| connection.odd())?;
        let found = run_id(&text)?;
        if found != wanted {
            return Err(Trouble::OtherServer {
                run_id: found.to_owned(),
            });
        }
        Ok(connection)
    }

    /// With `SCHEDULE` the server saves at once if it can, and after the rewrite of an append-only file otherwise:
    /// <https://valkey.io/commands/bgsave/>.
    async fn save(&self, connection: &mut Connection) -> Result<(), Trouble> {
        match connection.ask(cmd("BGSAVE").arg("SCHEDULE"), self.deadline()).await {
            Ok(_) => Ok(()),
            Err(Trouble::Said { code, words }) if code == "ERR" && words.contains("already in progress") => Ok(()),
            Err(trouble) => Err(trouble),
        }
    }

    async fn set(&self, connection: &mut Connection, name: &str, to: &str) -> Result<(), Trouble> {
        connection
            .ask(cmd("CONFIG").arg("SET").arg(name).arg(to), self.deadline())
            .await?;
        let got = get(connection, &[name], self.deadline()).await?.remove(name);
        if got.as_deref() == Some(to) {
            Ok(())
        } else {
            Err(Trouble::NotTaken { got })
        }
    }

    fn deadline(&self) -> Deadline {
        Deadline::within(self.timeout)
    }
}

async fn get(connection: &mut Connection, names: &[&str], deadline: Deadline) -> Result<ServerSettings, Trouble> {
    let answer = connection.ask(cmd("CONFIG").arg("GET").arg(names), deadline).await?;
    settings(answer).ok_or_else(|| connection.odd())
}

/// Names and values in turn.
fn settings(answer: Value) -> Option<ServerSettings> {
    let Value::Array(items) = answer else { return None };
    let mut items = items.into_iter().map(text);
    let mut settings = ServerSettings::new();
    while let Some(name) = items.next() {
        settings.insert(name?, items.next()??);
    }
    Some(settings)
}

/// What is read is ASCII; file names and the like, which stand beside it, need not be UTF-8.
pub(crate) fn text(answer: Value) -> Option<String> {
    match answer {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        _ => None,
    }
}
