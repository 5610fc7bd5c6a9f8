//! A drill's connection to a real Valkey: keys are written, read back and removed; a server that says no keeps it.

use crate::server::Server;
use std::time::Duration;
use valkeep_core::FailureKind;
use valkeep_valkey::Session;

const BOUND: Duration = Duration::from_secs(10);

async fn session(server: &Server) -> Session {
    Session::open(server.address.into(), BOUND).await.expect("it listens")
}

#[tokio::test]
async fn keys_are_written_with_an_expiry_read_back_and_removed() {
    let server = Server::start(&[]).await;
    let mut session = session(&server).await;
    session.set("drill:1", "one", BOUND).await.expect("it is taken");
    assert_eq!(
        session.get("drill:1").await.expect("it answers").as_deref(),
        Some("one")
    );
    assert_eq!(session.info().await.expect("it answers").keys, 1);
    let left: u64 = server.run(&["PTTL", "drill:1"]).await.parse().expect("a number");
    assert!((1..=10_000).contains(&left), "{left}");
    session.delete("drill:1").await.expect("it is taken");
    session.delete("drill:1").await.expect("gone is gone");
    assert_eq!(session.get("drill:1").await.expect("it answers"), None);
}

#[tokio::test]
async fn a_refusal_keeps_the_connection_and_a_server_that_ends_does_not() {
    let server = Server::start(&["--maxmemory", "1", "--maxmemory-policy", "noeviction"]).await;
    let mut session = session(&server).await;
    let refused = session
        .set("drill:1", "one", BOUND)
        .await
        .expect_err("its memory is full");
    assert_eq!(refused.code, "OOM", "{refused:?}");
    assert!(session.is_usable());
    assert_eq!(session.get("drill:1").await.expect("it answers"), None);
    server.run(&["SHUTDOWN", "NOSAVE"]).await;
    let ended = session.get("drill:1").await.expect_err("it has ended");
    assert_eq!(ended.kind, FailureKind::NoAnswer, "{ended:?}");
    assert!(!session.is_usable());
}

/// 400 answers of `INFO` are more than the 1 MiB that one answer may have.
#[tokio::test]
async fn a_long_session_is_not_mistaken_for_a_long_answer() {
    let server = Server::start(&[]).await;
    let mut session = session(&server).await;
    for _ in 0..400 {
        session.info().await.expect("it answers");
    }
}
