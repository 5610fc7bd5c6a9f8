//! One question over one connection: connect, `INFO`, answer, close.
//!
//! Everything is bounded: the whole exchange in time, the answer in length. It decides nothing about what a failure
//! means; it only says what happened and, where a reader could mistake it, why.

use crate::parse_info;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use valkeep_core::ports::Servers;
use valkeep_core::{Doubt, DoubtKind, ValkeyInfo};

/// `INFO` of a busy server with many error statistics stays under 20 KiB; 1 MiB is 50 times that.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// The first line of an answer is a length or an error. The longest known error, of protected mode, has 970 bytes.
const LINE_BYTES_MAX: usize = 4096;
/// Read at once; an `INFO` of 6 KiB usually takes one or two reads.
const CHUNK_BYTES: usize = 16 * 1024;
/// How much of a server's own words is repeated.
const WORDS_MAX: usize = 200;
/// RESP for `INFO`: <https://valkey.io/topics/protocol/>. One call with all default sections is cheaper for both sides
/// than one a section.
const REQUEST: &[u8] = b"*1\r\n$4\r\nINFO\r\n";

/// Asks a server for `INFO`.
#[derive(Debug, Clone, Copy)]
pub struct InfoProbe {
    /// For the whole exchange, connecting included.
    pub timeout: Duration,
}

impl Default for InfoProbe {
    fn default() -> Self {
        // A server answers INFO between two commands; three seconds are far beyond that and still short enough to ask
        // within a pass.
        Self {
            timeout: Duration::from_secs(3),
        }
    }
}

impl Servers for InfoProbe {
    async fn info(&self, address: SocketAddr) -> Result<ValkeyInfo, Doubt> {
        let within = self.timeout;
        let deadline = Instant::now() + within;
        let stream = match timeout_at(deadline, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
                return Err(unreachable(format!(
                    "nothing listens on {address}: the server starts, or has ended"
                )));
            }
            Ok(Err(error)) => return Err(unreachable(format!("cannot connect to {address}: {error}"))),
            Err(_) => {
                return Err(unreachable(format!(
                    "no connection to {address} within {within:?}; the task's security group must let valkeep in on this port"
                )));
            }
        };
        // Connected: whatever keeps the answer away, it is not a security group.
        timeout_at(deadline, exchange(stream, address))
            .await
            .unwrap_or_else(|_| {
                Err(unreachable(format!(
                    "{address} takes connections and did not answer INFO within {within:?}: the server hangs or is busy"
                )))
            })
    }
}

async fn exchange(mut stream: TcpStream, address: SocketAddr) -> Result<ValkeyInfo, Doubt> {
    stream
        .write_all(REQUEST)
        .await
        .map_err(|error| unreachable(format!("cannot write to {address}: {error}")))?;
    let text = read_answer(&mut stream, address).await?;
    parse_info(&text).map_err(|error| other(format!("{address}: {error}")))
}

/// A RESP bulk string.
async fn read_answer(stream: &mut (impl AsyncRead + Unpin), address: SocketAddr) -> Result<String, Doubt> {
    let mut bytes = Vec::with_capacity(CHUNK_BYTES);
    let line_end = loop {
        if let Some(at) = bytes.windows(2).position(|pair| pair == b"\r\n") {
            break at;
        }
        if bytes.len() > LINE_BYTES_MAX {
            return Err(not_valkey(address, &bytes));
        }
        read_more(stream, &mut bytes, address).await?;
    };
    let line = String::from_utf8_lossy(&bytes[..line_end]).into_owned();
    if let Some(error) = line.strip_prefix('-') {
        return Err(other(refusal(address, error)));
    }
    let Some(length) = line.strip_prefix('$').and_then(|length| length.parse::<usize>().ok()) else {
        return Err(not_valkey(address, &bytes));
    };
    if length > ANSWER_BYTES_MAX {
        return Err(other(format!(
            "{address} announced an answer of {length} bytes; INFO has at most {ANSWER_BYTES_MAX}"
        )));
    }
    let start = line_end + 2;
    while bytes.len() < start + length {
        read_more(stream, &mut bytes, address).await?;
    }
    // INFO holds file names and the like, which need not be UTF-8; the fields that are read are ASCII.
    Ok(String::from_utf8_lossy(&bytes[start..start + length]).into_owned())
}

/// Reads what is there, at most 16 KiB, so that what a server sends beyond its announced length is never gathered.
async fn read_more(
    stream: &mut (impl AsyncRead + Unpin),
    bytes: &mut Vec<u8>,
    address: SocketAddr,
) -> Result<(), Doubt> {
    bytes.reserve(CHUNK_BYTES);
    match stream.take(CHUNK_BYTES as u64).read_buf(bytes).await {
        Ok(0) => Err(unreachable(format!(
            "{address} closed the connection after {} bytes of its answer",
            bytes.len()
        ))),
        Ok(_) => Ok(()),
        Err(error) => Err(unreachable(format!("cannot read from {address}: {error}"))),
    }
}

fn refusal(address: SocketAddr, error: &str) -> String {
    let words = clip(error);
    match error.split_whitespace().next() {
        Some("NOAUTH") => format!(
            "{address} demands a password ({words}); valkeep takes credentials in a later version, until then it cannot \
             see this server's state"
        ),
        Some("NOPERM") => format!("{address} does not let its default user run INFO ({words})"),
        Some("DENIED") => format!("{address} runs in protected mode and answers only on its own loopback ({words})"),
        _ => format!("{address} refused INFO: {words}"),
    }
}

fn not_valkey(address: SocketAddr, bytes: &[u8]) -> Doubt {
    let start: String = String::from_utf8_lossy(&bytes[..bytes.len().min(40)])
        .escape_debug()
        .collect();
    other(format!(
        "what answers on {address} does not speak Valkey's protocol in clear text (it began with `{start}`)"
    ))
}

fn clip(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(WORDS_MAX).collect()
}

fn unreachable(message: String) -> Doubt {
    doubt(DoubtKind::Unreachable, message)
}

fn other(message: String) -> Doubt {
    doubt(DoubtKind::Other, message)
}

fn doubt(kind: DoubtKind, message: String) -> Doubt {
    Doubt {
        kind,
        call: "valkey:INFO".to_owned(),
        message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use tokio::net::TcpListener;

    const VALKEY_8: &str = include_str!("../tests/info/valkey-8.0.txt");

    /// One server that takes one connection, waits for the request and does what `serve` says.
    async fn ask<F, Fut>(timeout_ms: u64, serve: F) -> Result<ValkeyInfo, Doubt>
    where
        F: FnOnce(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
        let address = listener.local_addr().expect("bound");
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("somebody connects");
            let mut request = [0_u8; REQUEST.len()];
            stream.read_exact(&mut request).await.expect("a request comes");
            assert_eq!(request, REQUEST);
            serve(stream).await;
        });
        let result = InfoProbe {
            timeout: Duration::from_millis(timeout_ms),
        }
        .info(address)
        .await;
        server.abort();
        result
    }

    async fn send(mut stream: TcpStream, bytes: &[u8]) {
        // The asker may have gone already; that is what some of these tests are about.
        stream.write_all(bytes).await.ok();
        stream.shutdown().await.ok();
    }

    fn bulk(text: &str) -> Vec<u8> {
        format!("${}\r\n{text}\r\n", text.len()).into_bytes()
    }

    #[tokio::test]
    async fn info_is_asked_and_read() {
        let info = ask(3_000, |stream| async { send(stream, &bulk(VALKEY_8)).await })
            .await
            .expect("a good answer");
        assert_eq!(info.product(), "valkey 8.0.1");
    }

    #[tokio::test]
    async fn an_answer_in_drops_is_put_together() {
        let info = ask(5_000, |mut stream| async move {
            for chunk in bulk(VALKEY_8).chunks(97) {
                stream.write_all(chunk).await.expect("the asker waits");
                stream.flush().await.expect("the asker waits");
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("a good answer");
        assert_eq!(info.keys, 1_007);
    }

    #[tokio::test]
    async fn nobody_listening_is_unreachable() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
        let address = listener.local_addr().expect("bound");
        drop(listener);
        let doubt = InfoProbe::default().info(address).await.expect_err("nobody is there");
        assert_eq!(
            (doubt.kind, doubt.call.as_str()),
            (DoubtKind::Unreachable, "valkey:INFO")
        );
        assert!(doubt.message.contains(&address.to_string()), "{}", doubt.message);
        assert!(doubt.message.contains("nothing listens"), "{}", doubt.message);
    }

    #[tokio::test]
    async fn a_silent_server_costs_no_more_than_the_timeout() {
        let begin = Instant::now();
        let doubt = ask(100, |stream| async move {
            std::future::pending::<()>().await;
            drop(stream);
        })
        .await
        .expect_err("it never answers");
        assert_eq!(doubt.kind, DoubtKind::Unreachable);
        assert!(doubt.message.contains("100ms"), "{}", doubt.message);
        assert!(
            doubt.message.contains("hangs"),
            "not a matter of security groups: {}",
            doubt.message
        );
        assert!(begin.elapsed() < Duration::from_secs(3));
    }

    #[tokio::test]
    async fn a_server_that_drips_for_ever_costs_no_more_than_the_timeout() {
        let doubt = ask(200, |mut stream| async move {
            stream.write_all(b"$1000\r\n").await.ok();
            while stream.write_all(b"#").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
        .expect_err("it never ends");
        assert_eq!(doubt.kind, DoubtKind::Unreachable);
    }

    #[tokio::test]
    async fn a_cut_answer_is_unreachable_not_half_read() {
        let doubt = ask(3_000, |stream| async {
            let bytes = bulk(VALKEY_8);
            send(stream, &bytes[..bytes.len() / 2]).await;
        })
        .await
        .expect_err("half an answer");
        assert_eq!(doubt.kind, DoubtKind::Unreachable);
        assert!(doubt.message.contains("closed the connection"), "{}", doubt.message);
    }

    #[tokio::test]
    async fn a_huge_answer_is_refused_by_its_announcement() {
        let doubt = ask(3_000, |stream| async { send(stream, b"$1073741824\r\n").await })
            .await
            .expect_err("too long");
        assert_eq!(doubt.kind, DoubtKind::Other);
        assert!(doubt.message.contains("1073741824 bytes"), "{}", doubt.message);
    }

    #[tokio::test]
    async fn an_endless_line_is_refused() {
        let doubt = ask(3_000, |mut stream| async move {
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        })
        .await
        .expect_err("not a line");
        assert_eq!(doubt.kind, DoubtKind::Other);
    }

    #[tokio::test]
    async fn a_password_is_asked_for_in_plain_words() {
        let doubt = ask(3_000, |stream| async {
            send(stream, b"-NOAUTH Authentication required.\r\n").await;
        })
        .await
        .expect_err("no password");
        assert_eq!(doubt.kind, DoubtKind::Other);
        assert!(doubt.message.contains("later version"), "{}", doubt.message);
    }

    #[tokio::test]
    async fn something_else_on_the_port_is_told_as_such() {
        for answer in [
            b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(),
            b"+PONG\r\n",
            b"$-1\r\n",
            b"\x15\x03\x01\x00\x02\x02\x16\r\n",
            b"$5\r\nhello\r\n",
        ] {
            let answer = answer.to_vec();
            let doubt = ask(3_000, move |stream| async move { send(stream, &answer).await })
                .await
                .expect_err("not INFO");
            assert_eq!(doubt.kind, DoubtKind::Other, "{}", doubt.message);
        }
    }
}
