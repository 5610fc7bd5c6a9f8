//! One connection that is kept, to write a few keys of one's own and read them back.
//!
//! For drills only: the loop asks by [`Client`](crate::Client) and never touches a key.

use crate::client::text;
use crate::connection::{Connection, Deadline};
use crate::info::parse_info;
use crate::trouble::Trouble;
use redis::{Cmd, Value, cmd};
use std::time::Duration;
use valkeep_core::access::ServerTarget;
use valkeep_core::{Failure, ValkeyInfo};

/// A server, for as long as the connection to it lasts: it is one process throughout.
pub struct Session {
    connection: Connection,
    target: ServerTarget,
    timeout: Duration,
    usable: bool,
}

impl Session {
    /// Connects, encrypts and logs in, as far as the target says; within `timeout`, as each question after it.
    pub async fn open(target: ServerTarget, timeout: Duration) -> Result<Self, Failure> {
        match Connection::open(&target, Deadline::within(timeout)).await {
            Ok(connection) => Ok(Self {
                connection,
                target,
                timeout,
                usable: true,
            }),
            Err(trouble) => Err(trouble.failure(&target, "valkey:PING")),
        }
    }

    /// Whether the connection is still good: a server that says no keeps it, anything else ends it.
    pub fn is_usable(&self) -> bool {
        self.usable
    }

    /// `INFO`.
    pub async fn info(&mut self) -> Result<ValkeyInfo, Failure> {
        let answer = self.ask("valkey:INFO", &cmd("INFO")).await?;
        let info = match text(answer) {
            Some(text) => parse_info(&text).map_err(Trouble::from),
            None => Err(self.connection.odd()),
        };
        info.map_err(|trouble| trouble.failure(&self.target, "valkey:INFO"))
    }

    /// `SET` with an expiry.
    pub async fn set(&mut self, key: &str, value: &str, expire: Duration) -> Result<(), Failure> {
        let mut command = cmd("SET");
        command
            .arg(key)
            .arg(value)
            .arg("PX")
            .arg(expire.as_millis().to_string());
        self.ask("valkey:SET", &command).await.map(drop)
    }

    /// `GET`; `None` where there is no such key. Bytes that are no UTF-8 are replaced: they are nothing that was set here.
    pub async fn get(&mut self, key: &str) -> Result<Option<String>, Failure> {
        let answer = self.ask("valkey:GET", cmd("GET").arg(key)).await?;
        if answer == Value::Nil {
            return Ok(None);
        }
        match text(answer) {
            Some(text) => Ok(Some(text)),
            None => Err(self.connection.odd().failure(&self.target, "valkey:GET")),
        }
    }

    /// `DEL`. It is no trouble if the key is gone.
    pub async fn delete(&mut self, key: &str) -> Result<(), Failure> {
        self.ask("valkey:DEL", cmd("DEL").arg(key)).await.map(drop)
    }

    async fn ask(&mut self, call: &str, command: &Cmd) -> Result<Value, Failure> {
        // Until there is an answer: a question that is given up leaves the connection in the middle of one.
        self.usable = false;
        let answer = self.connection.ask(command, Deadline::within(self.timeout)).await;
        self.usable = matches!(answer, Ok(_) | Err(Trouble::Said { .. }));
        answer.map_err(|trouble| trouble.failure(&self.target, call))
    }
}
