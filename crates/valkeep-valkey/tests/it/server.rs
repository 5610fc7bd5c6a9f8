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

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Valkey,
    Redis,
}

impl Program {
    fn command(self) -> Command {
        match self {
            Program::Valkey => Command::new("valkey-server"),
            Program::Redis => {
                // One program that goes by the name it is called with. Debian has it in redis-tools, under this name only,
                // and so without a service of its own.
                let mut command = Command::new("redis-check-rdb");
                command.arg0("redis-server");
                command
            }
        }
    }
}

/// A server that ended instead of serving.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) log: String,
    pub(crate) dir: TempDir,
}

/// Ends with its value.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Where its files lie.
    pub(crate) dir: TempDir,
    // Read on, so that the server never waits for a full pipe; killed when dropped.
    child: Child,
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

    /// One of this program that serves what lies in `dir`, or ends.
    pub(crate) async fn of(program: Program, dir: TempDir, arguments: &[&str]) -> Result<Self, Ended> {
        Self::try_in(program, dir, "--port", arguments, SERVES).await
    }

    /// Ends it as ECS does, and gives back what it leaves.
    pub(crate) async fn stop(mut self) -> TempDir {
        let _ = self.run(&["SHUTDOWN"]).await;
        let end = timeout(START_WITHIN, self.child.wait()).await;
        assert!(end.expect("it ends in time").expect("it was started").success());
        self.dir
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
        let started = Self::try_in(Program::Valkey, dir, port, arguments, sign).await;
        started.unwrap_or_else(|ended| panic!("valkey-server ended with {arguments:?}: {}", ended.log))
    }

    async fn try_in(program: Program, dir: TempDir, port: &str, arguments: &[&str], sign: &str) -> Result<Self, Ended> {
        for _ in 0..PORTS_MAX {
            let address = free_address().await;
            let mut child = program
                .command()
                .args(["--bind", "127.0.0.1", port, &address.port().to_string()])
                .arg("--dir")
                .arg(dir.path())
                .args(["--enable-debug-command", "local"])
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()
                .unwrap_or_else(|error| panic!("{program:?} is installed: {error}"));
            let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
            let started = timeout(START_WITHIN, says(&mut lines, sign)).await;
            let Err(log) = started.expect("it starts or ends in time") else {
                return Ok(Self {
                    address,
                    dir,
                    child,
                    _log: tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} }),
                });
            };
            if !log.contains("Address already in use") {
                let end = timeout(START_WITHIN, child.wait()).await;
                let code = end.expect("it ends in time").expect("it was started").code();
                return Err(Ended { code, log, dir });
            }
        }
        panic!("{PORTS_MAX} ports in a row were taken");
    }
}

/// Reads until it says `sign`; what it said, if it ends before.
async fn says(lines: &mut Lines<BufReader<ChildStdout>>, sign: &str) -> Result<(), String> {
    let mut log = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.contains(sign) {
            return Ok(());
        }
        log.push_str(&line);
        log.push('\n');
    }
    Err(log)
}

async fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback is there");
    listener.local_addr().expect("bound")
}
