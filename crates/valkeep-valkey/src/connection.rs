//! One connection to one server: opened, logged in, asked a few questions, dropped.
//!
//! The protocol is the `redis` crate's, over a stream that is opened and counted here. Its driver runs within the
//! question that is being asked and not in a task of its own, so that nothing outlives the caller. Its timeouts, retries
//! and reconnecting are not used.

use crate::stream::{Bounded, Seen};
use crate::tls::{TlsError, encrypt, is_tls};
use crate::trouble::Trouble;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Fuse};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisError, Value, cmd};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use valkeep_core::access::{Login, ServerTarget};

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
    /// Connects, encrypts and logs in, as far as the target says.
    pub(crate) async fn open(target: &ServerTarget, deadline: Deadline) -> Result<Self, Trouble> {
        let ServerTarget { address, access } = target;
        let stream = timeout_at(deadline.at, TcpStream::connect(address))
            .await
            .map_err(|_| Trouble::NoConnection(deadline.within))?
            .map_err(|error| match error.kind() {
                io::ErrorKind::ConnectionRefused => Trouble::Refused,
                _ => Trouble::NoWay(error),
            })?;
        let mut connection = match &access.tls {
            None => Self::over(stream).await?,
            Some(tls) => {
                let stream = timeout_at(deadline.at, encrypt(stream, *address, tls))
                    .await
                    .map_err(|_| Trouble::NoHandshake(deadline.within))?
                    .map_err(Trouble::Tls)?;
                Self::over(stream).await?
            }
        };
        if let Some(login) = &access.login {
            connection.log_in(login, deadline).await?;
        }
        Ok(connection)
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Self, Trouble> {
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

    /// By hand and not by the library's set-up, which keeps the server's words to itself.
    async fn log_in(&mut self, login: &Login, deadline: Deadline) -> Result<(), Trouble> {
        let Login { user, password } = login;
        match self
            .ask(cmd("AUTH").arg(user.as_deref()).arg(password.expose()), deadline)
            .await
        {
            Ok(_) => Ok(()),
            // It has no password yet: the definition that brings one is not rolled out. What it may be asked, it is.
            Err(Trouble::Said { code, words })
                if code == "ERR" && words.contains("without any password configured") =>
            {
                Ok(())
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Sends one command and waits for its answer. After trouble other than [`Trouble::Said`] the connection is over.
    pub(crate) async fn ask(&mut self, command: &Cmd, deadline: Deadline) -> Result<Value, Trouble> {
        let Self { sender, driver, seen } = self;
        seen.begin_answer();
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
    match seen.take_break() {
        Some(error) if is_tls(&error) => Trouble::Tls(TlsError::Broken(error)),
        Some(error) if bytes > 0 => Trouble::Broken(error),
        Some(_) => Trouble::Closed { bytes },
        None if seen.too_much() => Trouble::TooLong { bytes },
        // The library calls half an answer a parse error.
        None if seen.ended() || error.is_io_error() => Trouble::Closed { bytes },
        None => Trouble::NotValkey { start: seen.start() },
    }
}
