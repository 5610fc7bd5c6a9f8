//! `run`, as far as it goes without an AWS: who we are, stores, signals, the end.

use crate::sandbox::{DOCUMENT, Sandbox};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Answers who we are, and never anything else.
struct Sts {
    url: &'static str,
    /// Told for each call that gets no answer.
    held: mpsc::Receiver<()>,
}

impl Sts {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("is bound"));
        let (tell, held) = mpsc::channel();
        // Lives as long as the test process, like the sandbox's environment.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let tell = tell.clone();
                std::thread::spawn(move || answer(stream, &tell));
            }
        });
        Self { url: url.leak(), held }
    }
}

fn answer(mut stream: TcpStream, tell: &mpsc::Sender<()>) {
    let mut reader = BufReader::new(stream.try_clone().expect("can be cloned"));
    loop {
        let (mut length, mut sts) = (0, false);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
            // The signature names the service.
            sts |= line.starts_with("authorization:") && line.contains("/sts/");
        }
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        if !sts {
            // Held open: a call that gets no answer. The test may have ended.
            let _ = tell.send(());
            let _ = reader.read_to_end(&mut body);
            return;
        }
        let body = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>arn:aws:sts::123456789012:assumed-role/valkeep/test</Arn><UserId>A:test</UserId>\
             <Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if stream.write_all(format!("{head}{body}").as_bytes()).is_err() {
            return;
        }
    }
}

fn sandbox() -> Sandbox {
    with(&Sts::start())
}

fn with(sts: &Sts) -> Sandbox {
    let sandbox = Sandbox::new()
        .env("AWS_REGION", "eu-west-1")
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
        .env("AWS_ENDPOINT_URL", sts.url);
    sandbox.file("docs/.keep", "");
    sandbox
}

/// A running service, and its log lines as they come.
struct Service {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Service {
    fn start(sandbox: &Sandbox, args: &[&str]) -> Self {
        let mut child = sandbox
            .command(args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary is built");
        let stderr = BufReader::new(child.stderr.take().expect("is piped"));
        let (said, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if said.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits until it says so.
    fn says(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while let Ok(line) = self
            .lines
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            if line.contains(text) {
                return;
            }
        }
        panic!("it never said `{text}`");
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id fits");
        kill(Pid::from_raw(id), signal).expect("it runs");
    }

    fn code(mut self) -> Option<i32> {
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It has ended already, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn once_over_an_empty_store_is_done() {
    let output = sandbox().run(&["run", "--single-replica", "--store", "file:docs", "--once"]);
    assert_eq!(output.code, 0, "{output:?}");
    assert_eq!(
        output.stdout,
        "NAME  READY  KEYS  AT RISK  LAST SNAPSHOT  UPDATED  PHASE\n"
    );
    assert!(output.stderr.ends_with("0 of 0 documents ready\n"), "{output:?}");
}

#[test]
fn once_ends_with_3_when_a_document_is_stalled() {
    let sandbox = sandbox();
    sandbox.file("docs/checkout-cache.yaml", &DOCUMENT.replace("8.0", "latest"));
    let output = sandbox.run(&[
        "run",
        "--single-replica",
        "--store",
        "file:docs",
        "--once",
        "--timeout",
        "1m",
    ]);
    assert_eq!(output.code, 3, "{output:?}");
    assert!(output.stdout.contains("checkout-cache  False (stalled)"), "{output:?}");
    let status = sandbox.run(&["status", "checkout-cache", "--store", "file:docs"]);
    assert!(status.stdout.contains("DocumentValid"), "{status:?}");
    assert!(status.stdout.contains("latest"), "{status:?}");
}

#[test]
fn once_does_not_wait_for_a_store_that_is_not_there() {
    let output = sandbox().run(&["run", "--single-replica", "--store", "file:nowhere", "--once"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("error: nowhere does not exist"), "{output:?}");
}

#[test]
fn the_first_signal_ends_a_service_at_rest() {
    let sandbox = sandbox();
    let service = Service::start(&sandbox, &["run", "--single-replica", "--store", "file:docs"]);
    service.says("store listed");
    service.signal(Signal::SIGTERM);
    service.says("valkeep ends");
    assert_eq!(service.code(), Some(0));
}

#[test]
fn a_service_that_starts_while_aws_is_away_waits_and_can_be_stopped() {
    // Nobody listens on port 1.
    let sandbox = sandbox().env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let service = Service::start(&sandbox, &["run", "--single-replica", "--store", "file:docs"]);
    service.says("AWS cannot be asked which account this is");
    service.signal(Signal::SIGTERM);
    service.says("asked to stop");
    assert_eq!(service.code(), Some(0));
}

#[test]
fn the_second_signal_ends_at_once() {
    let sts = Sts::start();
    let sandbox = with(&sts);
    sandbox.file("docs/checkout-cache.yaml", DOCUMENT);
    let service = Service::start(
        &sandbox,
        &[
            "run",
            "--single-replica",
            "--store",
            "file:docs",
            "--log-format",
            "json",
        ],
    );
    service.says("\"message\":\"store listed\"");
    // A pass is in flight, and what it asks for does not come.
    sts.held.recv_timeout(Duration::from_mins(1)).expect("it looks at AWS");
    service.signal(Signal::SIGINT);
    service.says("asked to stop");
    service.signal(Signal::SIGTERM);
    service.says("stopped at once");
    assert_eq!(service.code(), Some(143));
}

#[test]
fn no_filter_makes_a_secret_readable() {
    let sandbox = sandbox().env("AWS_SESSION_TOKEN", "FwoGZXIvYXdzEXAMPLETOKEN");
    let output = sandbox.run(&[
        "run",
        "--single-replica",
        "--store",
        "file:docs",
        "--once",
        "--log",
        "trace",
    ]);
    assert_eq!(output.code, 0, "{output:?}");
    for secret in ["wJalrXUtnFEMI", "FwoGZXIvYXdzEXAMPLETOKEN"] {
        assert!(!output.stderr.contains(secret), "{output:?}");
    }
}
