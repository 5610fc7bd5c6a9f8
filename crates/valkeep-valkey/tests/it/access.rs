//! Who gets in: passwords, ACL users, protected mode, TLS.

use crate::authority::{Authority, PAST, PRESENT};
use crate::server::Server;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use valkeep_core::access::{Login, Secret, ServerAccess, ServerTarget, Tls};
use valkeep_core::ports::Servers;
use valkeep_core::valkey::ServerChange;
use valkeep_core::{Doubt, DoubtKind, FailureKind, ValkeyInfo};
use valkeep_valkey::Client;

fn login(user: Option<&str>, password: &str) -> Login {
    Login {
        user: user.map(ToOwned::to_owned),
        password: Secret::new(password.to_owned()),
    }
}

/// ACL users as arguments of a server.
fn users<'a>(users: &[&'a str]) -> Vec<&'a str> {
    let words = |user: &'a str| std::iter::once("--user").chain(user.split(' '));
    users.iter().copied().flat_map(words).collect()
}

async fn ask(address: SocketAddr, login: Option<Login>, tls: Option<Tls>) -> Result<ValkeyInfo, Doubt> {
    let access = ServerAccess { login, tls };
    Client::default().info(ServerTarget { address, access }).await
}

/// What one server says to somebody without login and TLS, or with a login, or with TLS.
async fn refused(address: SocketAddr, login: Option<Login>, tls: Option<Tls>) -> String {
    let doubt = ask(address, login, tls).await.expect_err("it is refused");
    let kind = if doubt.message.contains("demands a password") || doubt.message.contains("the password of") {
        DoubtKind::NotLetIn
    } else {
        DoubtKind::Other
    };
    assert_eq!((doubt.kind, doubt.call.as_str()), (kind, "valkey:INFO"), "{doubt:?}");
    assert!(doubt.message.contains(&address.to_string()), "{}", doubt.message);
    doubt.message
}

#[tokio::test]
async fn a_password_lets_in_and_is_never_repeated() {
    let server = Server::start(&["--requirepass", "open-sesame"]).await;
    let info = ask(server.address, Some(login(None, "open-sesame")), None).await;
    assert_eq!(info.expect("it is the password").product(), "valkey 8.0.1");

    let message = refused(server.address, None, None).await;
    assert!(
        message.contains("demands a password, and valkeep was given none"),
        "{message}"
    );
    let message = refused(server.address, Some(login(None, "open-sesam")), None).await;
    assert!(
        message.contains("the password of its default user is refused"),
        "{message}"
    );
    assert!(
        message.contains("rotated") && !message.contains("open-sesam"),
        "{message}"
    );
    let message = refused(server.address, Some(login(Some("nobody"), "open-sesame")), None).await;
    assert!(
        message.contains("the password of user `nobody` is refused"),
        "{message}"
    );
}

#[tokio::test]
async fn a_password_that_is_rotated_is_in_use_with_the_next_call() {
    let server = Server::start(&["--requirepass", "old"]).await;
    let client = Client::default();
    let target = |password: &str| ServerTarget {
        address: server.address,
        access: ServerAccess {
            login: Some(login(None, password)),
            tls: None,
        },
    };
    client.info(target("old")).await.expect("it is the password");
    server
        .run(&["--no-auth-warning", "-a", "old", "CONFIG", "SET", "requirepass", "new"])
        .await;
    let doubt = client.info(target("old")).await.expect_err("it was rotated");
    assert!(doubt.message.contains("may have been rotated"), "{}", doubt.message);
    client.info(target("new")).await.expect("it is the password");
}

#[tokio::test]
async fn both_users_are_given_a_new_password_and_only_of_the_process_that_is_meant() {
    let server = Server::start(&users(&["default on >old ~* &* +@all", "valkeep on >old ~* &* +@all"])).await;
    let client = Client::default();
    let target = |user, password| ServerTarget {
        address: server.address,
        access: ServerAccess {
            login: Some(login(user, password)),
            tls: None,
        },
    };
    let new = login(Some("valkeep"), "it's \"new\" #1");
    let other = client.set_password(target(None, "old"), "another", &new).await;
    assert_eq!(other.expect_err("it is another process").code, "OtherServer");
    let run_id = client.info(target(None, "old")).await.expect("still").run_id;
    client
        .set_password(target(Some("valkeep"), "old"), &run_id, &new)
        .await
        .expect("it is set");
    for user in [None, Some("valkeep")] {
        client
            .info(target(user, "it's \"new\" #1"))
            .await
            .expect("it is the password");
        client.info(target(user, "old")).await.expect_err("it was");
    }
}

#[tokio::test]
async fn a_server_that_has_no_password_yet_is_asked_all_the_same() {
    let server = Server::start(&[]).await;
    ask(server.address, Some(login(None, "to-come")), None)
        .await
        .expect("it lets everybody in");
}

#[tokio::test]
async fn an_acl_user_gets_in_where_the_default_user_is_off() {
    let server = Server::start(&users(&[
        "default off",
        "valkeep on >pw +info +config|get +config|set +bgsave",
        "reader on >pw +info",
    ]))
    .await;
    ask(server.address, Some(login(Some("valkeep"), "pw")), None)
        .await
        .expect("it is let in");
    let message = refused(server.address, None, None).await;
    assert!(message.contains("demands a password"), "{message}");
    let message = refused(server.address, Some(login(None, "pw")), None).await;
    assert!(message.contains("the user is switched off"), "{message}");
}

#[tokio::test]
async fn changes_log_in_too_and_a_user_who_may_not_is_named() {
    let server = Server::start(&users(&[
        "valkeep on >pw +info +config|get +config|set +bgsave",
        "reader on >pw +info",
    ]))
    .await;
    let target = |user: &str, password: &str| ServerTarget {
        address: server.address,
        access: ServerAccess {
            login: Some(login(Some(user), password)),
            tls: None,
        },
    };
    let client = Client::default();
    let run_id = server.info().await.run_id;
    let set = ServerChange::Set {
        name: "maxmemory".to_owned(),
        from: "0".to_owned(),
        to: "1048576".to_owned(),
    };
    for change in [&ServerChange::Save, &set] {
        client
            .change(target("valkeep", "pw"), &run_id, change)
            .await
            .expect("it may");
        for (user, password, code) in [("reader", "pw", "NOPERM"), ("valkeep", "wrong", "WRONGPASS")] {
            let failure = client
                .change(target(user, password), &run_id, change)
                .await
                .expect_err("it may not");
            assert_eq!(
                (failure.kind, failure.code.as_str(), failure.call.as_str()),
                (FailureKind::AccessDenied, code, change.command())
            );
            assert!(failure.message.contains(&format!("user `{user}`")), "{failure}");
        }
    }
    let doubt = client
        .settings(target("reader", "pw"), &["maxmemory"])
        .await
        .expect_err("it may not");
    assert!(
        doubt.message.contains("does not let user `reader` run CONFIG GET"),
        "{}",
        doubt.message
    );
}

#[tokio::test]
async fn protected_mode_is_told_from_a_server_that_is_gone() {
    // Only another address than the loopback is kept out, and a machine without network has none.
    let Some(ip) = own_address() else { return };
    let server = Server::start(&["--bind", "127.0.0.1", &ip.to_string(), "--protected-mode", "yes"]).await;
    let message = refused(SocketAddr::new(ip, server.address.port()), None, None).await;
    assert!(message.contains("protected mode"), "{message}");
    server.info().await;
}

/// The address that this machine would send from. Connecting a UDP socket sends nothing.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let ip = socket.local_addr().ok()?.ip();
    (!ip.is_loopback() && !ip.is_unspecified()).then_some(ip)
}

#[tokio::test]
async fn tls_with_an_authority_of_ones_own_is_spoken() {
    let authority = Authority::new();
    let certificate = authority.sign("DNS:valkey.test,IP:127.0.0.1", PRESENT);
    let server = Server::start_tls(&certificate, &["--requirepass", "pw"]).await;
    for server_name in [None, Some("valkey.test")] {
        let tls = Some(authority.tls(server_name));
        let info = ask(server.address, Some(login(None, "pw")), tls).await;
        assert_eq!(info.expect("all is well").product(), "valkey 8.0.1");
    }
    let message = refused(server.address, None, Some(authority.tls(None))).await;
    assert!(message.contains("demands a password"), "{message}");
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_is_refused_with_its_reason() {
    let authority = Authority::new();
    let current = Server::start_tls(&authority.sign("DNS:valkey.test", PRESENT), &[]).await;
    let expired = Server::start_tls(&authority.sign("DNS:valkey.test", PAST), &[]).await;
    let self_signed = Server::start_tls(&authority.itself(), &[]).await;
    for (server, tls, reason) in [
        (&current, Authority::new().tls(Some("valkey.test")), "has not signed it"),
        (
            &current,
            authority.tls(Some("other.test")),
            "only valid for DnsName(\"valkey.test\")",
        ),
        (&current, authority.tls(None), "it belongs to another server"),
        (&expired, authority.tls(Some("valkey.test")), "certificate expired"),
        (&self_signed, authority.tls(Some("ca")), "let an authority sign one"),
        (
            &current,
            authority.tls(Some("not a name")),
            "no name that a certificate can be for",
        ),
        (&current, with_ca("not PEM at all"), "no certificate in PEM"),
        (
            &current,
            with_ca("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
            "the certificate authority to trust cannot be read",
        ),
        // The system's own authorities do not know this one.
        (
            &current,
            Tls {
                ca_pem: None,
                server_name: Some("valkey.test".to_owned()),
            },
            "TLS",
        ),
    ] {
        let message = refused(server.address, None, Some(tls)).await;
        assert!(message.contains(reason), "{message}");
    }
}

fn with_ca(pem: &str) -> Tls {
    Tls {
        ca_pem: Some(pem.to_owned()),
        server_name: Some("valkey.test".to_owned()),
    }
}

#[tokio::test]
async fn one_who_encrypts_and_one_who_does_not_are_told_so() {
    let authority = Authority::new();
    let certificate = authority.sign("IP:127.0.0.1", PRESENT);
    let encrypted = Server::start_tls(&certificate, &[]).await;
    let clear = Server::start(&[]).await;
    let doubt = ask(encrypted.address, None, None).await.expect_err("it wants TLS");
    assert!(doubt.message.contains("TLS"), "{}", doubt.message);
    let client = Client {
        timeout: std::time::Duration::from_millis(500),
    };
    let access = ServerAccess {
        login: None,
        tls: Some(authority.tls(None)),
    };
    let address = clear.address;
    let doubt = client
        .info(ServerTarget { address, access })
        .await
        .expect_err("it speaks none");
    assert!(doubt.message.contains("TLS"), "{}", doubt.message);
}

#[tokio::test]
async fn a_server_that_demands_a_clients_certificate_says_so() {
    let authority = Authority::new();
    let certificate = authority.sign("IP:127.0.0.1", PRESENT);
    let server = Server::start_tls(&certificate, &["--tls-auth-clients", "yes"]).await;
    let message = refused(server.address, None, Some(authority.tls(None))).await;
    assert!(message.contains("tls-auth-clients"), "{message}");
}
