//! One connection to one server: opened, asked a few questions, dropped.
//!
//! The protocol is the `redis` crate's, over a stream that is opened and counted here. Its driver runs within the
//! question that is being asked and not in a task of its own, so that nothing outlives the caller. Its timeouts, retries
//! and reconnecting are not used.

use crate::stream::{Bounded, Seen};
use crate::trouble::Trouble;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Fuse};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, RedisConnectionInfo, RedisError, Value};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// Until when something has to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
    within: Duration,
}

impl Deadline {
    pub(crate) fn within(within: Duration) -> Self {
        Self {
            at: Instant::now() + within,
            within,
        }
    }
}

/// See the module.
pub(crate) struct Connection {
    sender: MultiplexedConnection,
    driver: Fuse<BoxFuture<'static, ()>>,
    seen: Seen,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr, deadline: Deadline) -> Result<Self, Trouble> {
        let stream = timeout_at(deadline.at, TcpStream::connect(address))
            .await
            .map_err(|_| Trouble::NoConnection(deadline.within))?
            .map_err(|error| match error.kind() {
                io::ErrorKind::ConnectionRefused => Trouble::Refused,
                _ => Trouble::NoWay(error),
            })?;
        let stream = Bounded::new(stream);
        let seen = stream.seen();
        // Nothing to set up, so nothing is sent by it.
        let quiet = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (sender, driver) = MultiplexedConnection::new_with_config(&quiet, stream, config)
            .await
            .map_err(|error| trouble(&error, &seen))?;
        Ok(Self {
            sender,
            driver: driver.boxed().fuse(),
            seen,
        })
    }

    /// Sends one command and waits for its answer. After trouble other than [`Trouble::Said`] the connection is over.
    pub(crate) async fn ask(&mut self, command: &Cmd, deadline: Deadline) -> Result<Value, Trouble> {
        let Self { sender, driver, seen } = self;
        let exchange = async {
            let mut answer = std::pin::pin!(command.query_async::<Value>(sender));
            // The question first: an error that a server sends unasked, as in protected mode, is lost on a driver that
            // knows no question yet. And when the driver ends, it has left the answer behind.
            tokio::select! {
                biased;
                answer = &mut answer => answer,
                () = driver => answer.await,
            }
        };
        timeout_at(deadline.at, exchange)
            .await
            .map_err(|_| Trouble::NoAnswer(deadline.within))?
            .map_err(|error| trouble(&error, seen))
    }

    /// An answer that is not what the command has.
    pub(crate) fn odd(&self) -> Trouble {
        Trouble::NotValkey {
            start: self.seen.start(),
        }
    }
}

fn trouble(error: &RedisError, seen: &Seen) -> Trouble {
    if let Some(code) = error.code() {
        return Trouble::Said {
            code: code.to_owned(),
            words: error.detail().unwrap_or_default().to_owned(),
        };
    }
    let bytes = seen.bytes();
    match error.kind() {
        _ if seen.too_much() => Trouble::TooLong { bytes },
        // The library calls half an answer a parse error.
        _ if seen.ended() => Trouble::Closed { bytes },
        ErrorKind::Io => Trouble::Closed { bytes },
        _ => Trouble::NotValkey { start: seen.start() },
    }
}
