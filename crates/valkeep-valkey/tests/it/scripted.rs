//! Servers that answer as a test has written down, or do not.

use std::future::Future;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use valkeep_core::ports::Servers;
use valkeep_core::{Doubt, DoubtKind, ValkeyInfo};
use valkeep_valkey::Client;

const VALKEY_8: &str = include_str!("../info/valkey-8.0.txt");
/// `INFO` in RESP.
const REQUEST: &[u8] = b"*1\r\n$4\r\nINFO\r\n";

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
    let result = Client {
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
async fn nobody_listening_is_no_server() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    let doubt = Client::default().info(address).await.expect_err("nobody is there");
    assert_eq!(
        (doubt.kind, doubt.call.as_str()),
        (DoubtKind::NotListening, "valkey:INFO")
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
async fn an_answer_without_end_is_cut_off() {
    for announcement in [b"$1073741824\r\n".as_slice(), b"*1073741824\r\n", b"+"] {
        let doubt = ask(20_000, move |mut stream| async move {
            stream.write_all(announcement).await.ok();
            while stream.write_all(&[b'1'; 4096]).await.is_ok() {}
        })
        .await
        .expect_err("too long, or nothing that Valkey says");
        assert_eq!(doubt.kind, DoubtKind::Other, "{}", doubt.message);
        let cut = doubt.message.contains("no answer to INFO is that long");
        assert_eq!(cut, announcement[0] != b'*', "{}", doubt.message);
    }
}

#[tokio::test]
async fn an_array_without_end_is_cut_off() {
    let doubt = ask(20_000, |mut stream| async move {
        stream.write_all(b"*1073741824\r\n").await.ok();
        while stream.write_all(&b":1\r\n".repeat(1024)).await.is_ok() {}
    })
    .await
    .expect_err("too long");
    assert_eq!(doubt.kind, DoubtKind::Other, "{}", doubt.message);
    assert!(
        doubt.message.contains("no answer to INFO is that long"),
        "{}",
        doubt.message
    );
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
    assert_eq!(doubt.kind, DoubtKind::NotLetIn);
    assert!(doubt.message.contains("valkeep was given none"), "{}", doubt.message);
}

#[tokio::test]
async fn what_a_server_says_unasked_before_it_hangs_up_is_heard() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
    let address = listener.local_addr().expect("bound");
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("somebody connects");
        stream
            .write_all(b"-DENIED Valkey is running in protected mode because ...\r\n")
            .await
            .expect("the asker waits");
        stream.shutdown().await.expect("the asker waits");
        let mut request = Vec::new();
        stream.read_to_end(&mut request).await.ok();
    });
    let doubt = Client::default().info(address).await.expect_err("it is denied");
    server.abort();
    assert_eq!(doubt.kind, DoubtKind::Other);
    assert!(doubt.message.contains("protected mode"), "{}", doubt.message);
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
