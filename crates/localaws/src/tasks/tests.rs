//! Real processes. Everything here needs `valkey-server` and fails without it.

use super::{Child, Container, Health, HealthCheck, Mount, Stop};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(10);
/// One server on a directory, whoever starts a second one; the words that services of this kind run with.
pub(crate) const LOCK: &str = r#"
d=$1; shift; l=$d/.lock
touch "$l" || exit 74
exec 9>>"$l"
s=; trap '[ -z "$s" ] || kill "$s" 2>/dev/null; exit 143' TERM INT
until flock -n 9; do echo "waiting for the lock"; sleep 1 9>&- & s=$!; wait "$s"; s=; done
exec "$@"
"#;

/// An address that no other test run on this machine uses at the moment.
fn address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = process::id().to_be_bytes();
    Ipv4Addr::new(127, 100 + high % 100, low, NEXT.fetch_add(1, Ordering::Relaxed))
}

fn container(home: &Path, address: Ipv4Addr, words: &[&str]) -> Container {
    assert!(
        super::servers::on_path("valkey-server").is_some(),
        "this test runs a real Valkey: please install valkey-server (make setup-test does)"
    );
    let data = home.join("data");
    std::fs::create_dir_all(&data).unwrap();
    Container {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        environment: vec![("GREETING".to_owned(), "hello".to_owned())],
        uid: 1000,
        gid: 1000,
        address,
        mounts: vec![Mount {
            host: data,
            container: "/data".to_owned(),
            read_only: false,
        }],
        work_dir: Some("/data".to_owned()),
        health: None,
        files: home.join(format!("task-{address}")),
    }
}

fn server(home: &Path, address: Ipv4Addr) -> Container {
    container(
        home,
        address,
        &[
            "sh",
            "-c",
            LOCK,
            "lock",
            "/data",
            "valkey-server",
            "--dir",
            "/data",
            "--save",
            "3600 1",
        ],
    )
}

/// Sends one command; the first line of the answer, or of the value that follows it.
pub(crate) fn ask(address: Ipv4Addr, command: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((address, 6379)), SOON).ok()?;
    stream.set_read_timeout(Some(SOON)).ok()?;
    stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    if first.starts_with('$') && first != "$-1" {
        lines.next()?.ok()
    } else {
        Some(first)
    }
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "after {SOON:?} still not: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn answers(address: Ipv4Addr) -> bool {
    ask(address, "PING").as_deref() == Some("+PONG")
}

#[test]
fn the_command_runs_verbatim_as_pid_1_with_its_own_user_paths_and_environment() {
    let home = tempfile::tempdir().unwrap();
    let script = r#"echo "$$ $(id -u):$(id -g) $GREETING $PWD ${HOME:-no-home} $*"; echo to-stderr >&2; exit 7"#;
    let child = Child::start(container(
        home.path(),
        address(),
        &["sh", "-c", script, "x", "a  b", "$c"],
    ));
    assert_eq!(child.wait(SOON), Some(7));
    let lines = child.take_lines();
    if super::sandbox::bwrap().is_some() {
        assert_eq!(lines, ["1 1000:1000 hello /data no-home a  b $c", "to-stderr"]);
    }
}

#[test]
fn sigterm_saves_and_the_next_task_has_the_keys_at_another_address() {
    let home = tempfile::tempdir().unwrap();
    let (first, second) = (address(), address());
    let one = Child::start(server(home.path(), first));
    until("the first server answers", || answers(first));
    assert_eq!(ask(first, "SET key value").as_deref(), Some("+OK"));
    one.stop(Stop::Please);
    assert_eq!(one.wait(SOON), Some(0), "{:?}", one.take_lines());
    let _two = Child::start(server(home.path(), second));
    until("the second server answers", || answers(second));
    assert_eq!(ask(second, "GET key").as_deref(), Some("value"));
    assert_eq!(ask(first, "PING"), None);
}

#[test]
fn sigkill_loses_what_was_not_saved_and_frees_the_directory() {
    let home = tempfile::tempdir().unwrap();
    let (first, second) = (address(), address());
    let one = Child::start(server(home.path(), first));
    until("the first server answers", || answers(first));
    ask(first, "SET kept 1");
    assert_eq!(ask(first, "SAVE").as_deref(), Some("+OK"));
    ask(first, "SET lost 1");
    one.stop(Stop::Now);
    assert_eq!(one.wait(SOON), Some(137));
    let _two = Child::start(server(home.path(), second));
    until("the second server answers", || answers(second));
    assert_eq!(
        (ask(second, "GET kept").as_deref(), ask(second, "GET lost").as_deref()),
        (Some("1"), Some("$-1"))
    );
}

#[test]
fn a_second_server_waits_for_the_lock_and_ends_at_once_when_told_while_it_waits() {
    let home = tempfile::tempdir().unwrap();
    let (first, second, third) = (address(), address(), address());
    let one = Child::start(server(home.path(), first));
    until("the first server answers", || answers(first));
    let two = Child::start(server(home.path(), second));
    let three = Child::start(server(home.path(), third));
    until("the second waits", || {
        two.take_lines().contains(&"waiting for the lock".to_owned())
    });
    until("the third waits", || {
        three.take_lines().contains(&"waiting for the lock".to_owned())
    });
    three.stop(Stop::Please);
    assert_eq!(three.wait(SOON), Some(143));
    assert_eq!((ask(second, "PING"), two.exit()), (None, None));
    ask(first, "SET key value");
    one.stop(Stop::Please);
    until("the second server took over", || answers(second));
    assert_eq!(ask(second, "GET key").as_deref(), Some("value"));
}

#[test]
fn a_dropped_child_is_gone_even_when_it_ignores_sigterm() {
    let home = tempfile::tempdir().unwrap();
    let at = address();
    let mark = home.path().join("data/mark");
    let words = [
        "sh",
        "-c",
        r"trap '' TERM; touch mark; while :; do rm -f gone; touch alive; sleep 0.05; done",
    ];
    let child = Child::start(container(home.path(), at, &words));
    until("it runs", || mark.exists());
    child.stop(Stop::Please);
    assert_eq!(child.wait(Duration::from_millis(300)), None);
    drop(child);
    let alive = home.path().join("data/alive");
    until("nobody touches the file any more", || {
        let _ = std::fs::remove_file(&alive);
        std::thread::sleep(Duration::from_millis(200));
        !alive.exists()
    });
}

#[test]
fn a_child_told_to_end_before_it_started_ends() {
    let home = tempfile::tempdir().unwrap();
    let child = Child::start(server(home.path(), address()));
    child.stop(Stop::Now);
    assert_eq!(child.wait(SOON), Some(137));
}

#[test]
fn the_health_check_runs_beside_the_server_and_asks_it_without_an_address() {
    let home = tempfile::tempdir().unwrap();
    let at = address();
    let check = |script: &str, retries| HealthCheck {
        words: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        interval: Duration::from_millis(200),
        timeout: Duration::from_secs(2),
        retries,
        start_period: Duration::ZERO,
    };
    let well = check("test -e /data/.lock && valkey-cli -p 6379 ping | grep -q PONG", 10);
    let child = Child::start(Container {
        health: Some(well),
        ..server(home.path(), at)
    });
    until("it is healthy", || child.health() == Health::Healthy);
    drop(child);
    let ill = Child::start(Container {
        health: Some(check("exit 1", 2)),
        ..server(home.path(), address())
    });
    until("it is unhealthy", || ill.health() == Health::Unhealthy);
}

/// Started by the test below as a process of its own: runs a server until it is killed.
#[test]
#[ignore = "a process of its own for another test"]
fn a_parent_that_waits_to_be_killed() {
    let home = std::env::var("LOCALAWS_TEST_HOME").expect("the other test says where");
    let at: Ipv4Addr = std::env::var("LOCALAWS_TEST_ADDRESS").unwrap().parse().unwrap();
    let child = Child::start(server(Path::new(&home), at));
    child.wait(Duration::from_mins(1));
}

/// A parent that starts a server on `home`, as a process of its own.
fn parent(home: &Path, at: Ipv4Addr) -> process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "tasks::tests::a_parent_that_waits_to_be_killed",
            "--ignored",
            "--nocapture",
        ])
        .env("LOCALAWS_TEST_HOME", home)
        .env("LOCALAWS_TEST_ADDRESS", at.to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Processes whose command line has `mark` in it.
fn processes_with(mark: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(mark))
        .collect()
}

#[test]
fn nothing_is_left_whenever_in_its_start_the_parent_is_killed() {
    let home = tempfile::tempdir().unwrap();
    let mark = home.path().to_str().unwrap();
    for milliseconds in (0..40).step_by(2) {
        let mut parent = parent(home.path(), address());
        // The parent itself needs a while to come up; what matters are the different moments.
        std::thread::sleep(Duration::from_millis(milliseconds));
        parent.kill().unwrap();
        parent.wait().unwrap();
    }
    until("no process is left", || processes_with(mark).is_empty());
}

#[test]
fn nothing_is_left_when_the_parent_is_killed() {
    let home = tempfile::tempdir().unwrap();
    let at = address();
    let mut parent = parent(home.path(), at);
    until("the server answers", || answers(at));
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("the server is gone", || ask(at, "PING").is_none());
}
