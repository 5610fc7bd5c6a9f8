//! A real Valkey is asked for settings, told to save and told to take settings.

use crate::server::Server;
use tempfile::TempDir;
use valkeep_core::ports::Servers;
use valkeep_core::valkey::ServerChange;
use valkeep_core::{Failure, FailureKind};
use valkeep_valkey::Client;

const OFF: &[&str] = &["--save", ""];

fn set(name: &str, to: &str) -> ServerChange {
    ServerChange::Set {
        name: name.to_owned(),
        from: String::new(),
        to: to.to_owned(),
    }
}

async fn change(server: &Server, change: &ServerChange) -> Result<(), Failure> {
    let run_id = server.info().await.run_id;
    Client::default().change(server.address, &run_id, change).await
}

async fn setting(server: &Server, name: &str) -> Option<String> {
    let mut settings = Client::default()
        .settings(server.address, &[name])
        .await
        .expect("it answers");
    settings.remove(name)
}

#[tokio::test]
async fn settings_are_read_together_and_an_unknown_one_is_left_out() {
    let server = Server::start(&["--save", "900 1 300 10", "--maxmemory", "100mb"]).await;
    let settings = Client::default()
        .settings(server.address, &["save", "maxmemory", "no-such-setting", "appendonly"])
        .await
        .expect("it answers");
    let settings: Vec<_> = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        settings,
        [
            ("appendonly", "no"),
            ("maxmemory", "104857600"),
            ("save", "900 1 300 10")
        ]
    );
    let nothing = Client::default()
        .settings(server.address, &[])
        .await
        .expect("nothing is asked");
    assert!(nothing.is_empty());
}

#[tokio::test]
async fn a_save_is_started_and_empties_what_is_unsaved() {
    let server = Server::start(OFF).await;
    server.run(&["SET", "key", "value"]).await;
    assert_eq!(server.info().await.changes_since_save, 1);
    change(&server, &ServerChange::Save).await.expect("it saves");
    let info = server.until(|info| !info.saving && info.changes_since_save == 0).await;
    assert_eq!((info.saves_started, info.last_save_ok), (1, true));
    assert!(server.dir.path().join("dump.rdb").is_file());
}

#[tokio::test]
async fn a_save_under_way_is_what_was_asked_for() {
    let server = Server::start(OFF).await;
    server.run(&["DEBUG", "POPULATE", "100"]).await;
    // The child sleeps 100 ms a key: it cannot end before the second one is asked for.
    server.run(&["CONFIG", "SET", "rdb-key-save-delay", "100000"]).await;
    change(&server, &ServerChange::Save).await.expect("it saves");
    assert!(server.info().await.saving);
    change(&server, &ServerChange::Save).await.expect("it saves already");
    assert_eq!(server.info().await.saves_started, 1);
}

#[tokio::test]
async fn during_a_rewrite_of_the_append_only_file_the_save_comes_afterwards() {
    let server = Server::start(&["--save", "", "--appendonly", "yes", "--rdb-key-save-delay", "3000"]).await;
    server.run(&["DEBUG", "POPULATE", "100"]).await;
    server.run(&["BGREWRITEAOF"]).await;
    let info = server.info().await;
    assert!(info.append_only.expect("it has one").rewriting, "{info:?}");
    change(&server, &ServerChange::Save).await.expect("it will save");
    assert_eq!(server.info().await.saves_started, 0, "it cannot yet");
    server.until(|info| info.saves_started == 1).await;
}

#[tokio::test]
async fn every_setting_that_is_changed_on_the_spot_is_taken() {
    let server = Server::start(OFF).await;
    for (name, to) in [
        ("save", "900 1 300 10"),
        ("save", ""),
        ("maxmemory", "104857600"),
        ("maxmemory-policy", "allkeys-lfu"),
        ("stop-writes-on-bgsave-error", "no"),
        ("rdbcompression", "no"),
        ("appendfsync", "always"),
        ("appendonly", "yes"),
        ("min-replicas-to-write", "1"),
    ] {
        let before = setting(&server, name).await.expect("it is known");
        assert_ne!(before, to, "{name}");
        change(&server, &set(name, to)).await.expect("it is taken");
        assert_eq!(setting(&server, name).await.as_deref(), Some(to), "{name}");
        change(&server, &set(name, to)).await.expect("twice is once");
    }
    let info = server
        .until(|info| info.append_only.is_some_and(|file| !file.rewriting))
        .await;
    assert_eq!(info.maxmemory, 104_857_600);
}

#[tokio::test]
async fn a_setting_that_the_server_refuses_is_told_in_its_words() {
    let server = Server::start(OFF).await;
    for (name, to) in [
        ("dir", "/"),
        ("no-such-setting", "1"),
        ("maxmemory-policy", "whatever"),
        ("databases", "3"),
    ] {
        let failure = change(&server, &set(name, to)).await.expect_err("it is refused");
        assert_eq!(
            (failure.kind, failure.call.as_str(), failure.code.as_str()),
            (FailureKind::Rejected, "valkey:CONFIG SET", "ERR"),
            "{failure}"
        );
        assert!(failure.message.contains(name), "{failure}");
    }
}

#[tokio::test]
async fn a_setting_that_reads_otherwise_afterwards_is_not_taken() {
    let server = Server::start(OFF).await;
    let failure = change(&server, &set("maxmemory", "100mb"))
        .await
        .expect_err("it reads otherwise");
    assert_eq!(
        (failure.kind, failure.code.as_str()),
        (FailureKind::Rejected, "NotTaken")
    );
    assert!(failure.message.contains("`104857600`"), "{failure}");
}

#[tokio::test]
async fn another_process_at_the_address_is_left_alone() {
    let server = Server::start(OFF).await;
    server.run(&["SET", "key", "value"]).await;
    for wish in [ServerChange::Save, set("maxmemory", "1048576")] {
        let failure = Client::default()
            .change(server.address, "0123456789abcdef0123456789abcdef01234567", &wish)
            .await
            .expect_err("it is another one");
        assert_eq!(
            (failure.kind, failure.code.as_str(), failure.call.as_str()),
            (FailureKind::NotNow, "OtherServer", wish.command())
        );
    }
    let info = server.info().await;
    assert_eq!((info.saves_started, info.changes_since_save, info.maxmemory), (0, 1, 0));
}

#[tokio::test]
async fn a_loading_server_tells_its_settings_and_does_not_save() {
    let dir = TempDir::new().expect("a directory");
    let server = Server::start(OFF).await;
    server.run(&["DEBUG", "POPULATE", "20000"]).await;
    server.run(&["SAVE"]).await;
    std::fs::copy(server.dir.path().join("dump.rdb"), dir.path().join("dump.rdb")).expect("it saved");
    // A millisecond a key, and events every kilobyte: it loads for 20 s and answers within tens of milliseconds.
    let server = Server::loading(
        dir,
        &[
            "--save",
            "",
            "--key-load-delay",
            "1000",
            "--loading-process-events-interval-bytes",
            "1024",
        ],
    )
    .await;
    assert!(server.info().await.loading);
    assert_eq!(setting(&server, "maxmemory").await.as_deref(), Some("0"));
    change(&server, &set("maxmemory", "1048576"))
        .await
        .expect("settings are taken");
    let failure = change(&server, &ServerChange::Save)
        .await
        .expect_err("there is nothing to save yet");
    assert_eq!(
        (failure.kind, failure.code.as_str(), failure.call.as_str()),
        (FailureKind::NotNow, "LOADING", "valkey:BGSAVE")
    );
}
