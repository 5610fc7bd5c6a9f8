//! A real Valkey on the loopback, for the length of one test.

use crate::authority::Certificate;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;
use valkeep_core::ValkeyInfo;
use valkeep_core::ports::Servers;
use valkeep_valkey::Client;

/// A server says that it listens within tens of milliseconds; a loaded machine gets a thousand times that.
const START_WITHIN: Duration = Duration::from_secs(30);
/// Somebody may take a free port before the server does; five times in a row nobody does.
const PORTS_MAX: usize = 5;
/// What a server writes once it listens, before it loads anything.
const LISTENS: &str = "Server initialized";
/// What it writes once it serves.
const SERVES: &str = "Ready to accept connections";

/// Ends with its value.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Where its files lie.
    pub(crate) dir: TempDir,
    // Read on, so that the server never waits for a full pipe; killed when dropped.
    _child: Child,
    _log: tokio::task::JoinHandle<()>,
}

impl Server {
    /// One that serves.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        Self::start_in(TempDir::new().expect("a directory"), "--port", arguments, SERVES).await
    }

    /// One that serves over TLS only, and lets clients in without a certificate unless `arguments` say otherwise.
    pub(crate) async fn start_tls(certificate: &Certificate, arguments: &[&str]) -> Self {
        let Certificate { shown, key, authority } = certificate;
        let [certificate, key, authority] = [shown, key, authority].map(|path| path.to_string_lossy());
        let mut all = vec!["--port", "0", "--tls-auth-clients", "no"];
        all.extend([
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &authority,
        ]);
        all.extend(arguments);
        Self::start_in(TempDir::new().expect("a directory"), "--tls-port", &all, SERVES).await
    }

    /// One that listens and may still load what lies in `dir`.
    pub(crate) async fn loading(dir: TempDir, arguments: &[&str]) -> Self {
        Self::start_in(dir, "--port", arguments, LISTENS).await
    }

    pub(crate) async fn info(&self) -> ValkeyInfo {
        Client::default().info(self.address).await.expect("it answers")
    }

    /// Looks until it is so.
    pub(crate) async fn until(&self, what: impl Fn(&ValkeyInfo) -> bool) -> ValkeyInfo {
        let look = async {
            loop {
                let info = self.info().await;
                if what(&info) {
                    return info;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(START_WITHIN, look).await.expect("it becomes so")
    }

    /// Runs one command on it, with the tool that comes with Valkey.
    pub(crate) async fn run(&self, command: &[&str]) -> String {
        let output = Command::new("valkey-cli")
            .args(["-h", "127.0.0.1", "-p", &self.address.port().to_string()])
            .args(command)
            .output()
            .await
            .expect("valkey-cli is installed");
        let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(
            !answer.starts_with("ERR") && !answer.starts_with("NOAUTH"),
            "{command:?}: {answer}"
        );
        answer
    }

    async fn start_in(dir: TempDir, port: &str, arguments: &[&str], sign: &str) -> Self {
        for _ in 0..PORTS_MAX {
            let address = free_address().await;
            let mut child = Command::new("valkey-server")
                .args(["--bind", "127.0.0.1", port, &address.port().to_string()])
                .arg("--dir")
                .arg(dir.path())
                .args(["--enable-debug-command", "local"])
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .expect("valkey-server is installed");
            let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
            let started = timeout(START_WITHIN, says(&mut lines, sign)).await;
            if started.expect("it starts or ends in time") {
                return Self {
                    address,
                    dir,
                    _child: child,
                    _log: tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} }),
                };
            }
        }
        panic!("valkey-server ended {PORTS_MAX} times with {arguments:?}");
    }
}

/// Whether it comes to say `sign` before it ends.
async fn says(lines: &mut Lines<BufReader<ChildStdout>>, sign: &str) -> bool {
    while let Ok(Some(line)) = lines.next_line().await {
        if line.contains(sign) {
            return true;
        }
    }
    false
}

async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
    listener.local_addr().expect("bound")
}
