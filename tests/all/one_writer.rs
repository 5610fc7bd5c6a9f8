//! The lock script with a real Valkey behind it: a server that did not load the dump never writes one, and one that waits
//! writes nothing at all.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use valkeep_plan::LOCK_SCRIPT;
use valkeep_tests::keys;

/// Long enough for a loaded machine; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(30);
/// What a stop of a waiting task may take: it looks once a second.
const AT_ONCE: Duration = Duration::from_secs(2);
/// As whom servers run where the tests are root, to whom no file is unreadable.
const USER: u32 = 1000;
const KEYS: usize = 500;

/// A data directory, and a place for sockets beside it.
struct Ground {
    home: TempDir,
    tests_are_root: bool,
}

/// A server under the lock script, or one that waits to be it.
struct Task {
    process: Child,
    socket: PathBuf,
}

impl Ground {
    fn new() -> Result<Self> {
        let home = tempfile::tempdir()?;
        let tests_are_root = home.path().metadata()?.uid() == 0;
        let ground = Self { home, tests_are_root };
        std::fs::create_dir(ground.data())?;
        if ground.tests_are_root {
            std::fs::set_permissions(ground.home.path(), std::fs::Permissions::from_mode(0o755))?;
            for path in [ground.home.path(), &ground.data()] {
                chown(path, Some(USER), Some(USER))?;
            }
        }
        Ok(ground)
    }

    /// With a dump of [`KEYS`] keys that a server has saved.
    fn saved() -> Result<Self> {
        let ground = Self::new()?;
        let server = ground.start("first", &[])?;
        server.until_it_answers()?;
        keys::write(&server.address(), "key", KEYS)?;
        ensure!(server.stop()?.0 == Some(0), "a clean exit");
        ensure!(ground.dump().is_file(), "its final save");
        Ok(ground)
    }

    fn data(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn dump(&self) -> PathBuf {
        self.data().join("dump.rdb")
    }

    fn start(&self, name: &str, flags: &[&str]) -> Result<Task> {
        let socket = self.home.path().join(name);
        let mut command = Command::new("/bin/sh");
        if self.tests_are_root {
            command = Command::new("setpriv");
            let (uid, gid) = (format!("--reuid={USER}"), format!("--regid={USER}"));
            command.args([&uid, &gid, "--clear-groups", "/bin/sh"]);
        }
        command
            .args(["-c", LOCK_SCRIPT, "valkeep-lock"])
            .arg(self.data())
            .args(["valkey-server", "--port", "0", "--unixsocket"])
            .arg(&socket)
            .arg("--dir")
            .arg(self.data())
            .args(["--save", "3600 1", "--appendonly", "no"])
            .args(flags);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let process = command.spawn().context("neither sh nor setpriv starts")?;
        Ok(Task { process, socket })
    }

    /// Every file of the directory with its content and time, the lock file too.
    fn files(&self) -> Result<BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)>> {
        let found = std::fs::read_dir(self.data())?;
        found
            .map(|entry| {
                let path = entry?.path();
                let modified = path.metadata()?.modified()?;
                Ok((path.clone(), (std::fs::read(path)?, modified)))
            })
            .collect()
    }
}

impl Task {
    fn address(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    fn until_it_answers(&self) -> Result<()> {
        until("an answer", || {
            self.socket.exists() && keys::ask(&self.address(), "PING\n").is_ok_and(|answer| answer.trim() == "PONG")
        })
    }

    fn stop(self) -> Result<(Option<i32>, String)> {
        kill(Pid::from_raw(i32::try_from(self.process.id())?), Signal::SIGTERM)?;
        self.ended()
    }

    /// Waits for its end; its exit code, and what the script said.
    fn ended(mut self) -> Result<(Option<i32>, String)> {
        let deadline = Instant::now() + PATIENCE;
        while self.process.try_wait()?.is_none() {
            ensure!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut said = String::new();
        let mut stderr = self.process.stderr.take().context("piped")?;
        stderr.read_to_string(&mut said)?;
        Ok((self.process.wait()?.code(), said))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // Over already is fine.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn until(what: &str, mut holds: impl FnMut() -> bool) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        ensure!(Instant::now() < deadline, "{what} did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Starts a server that must fail to load, and shows that it changed nothing.
fn refuses_to_start(ground: &Ground, what: &str) -> Result<()> {
    let read = || std::fs::read(ground.dump()).ok();
    let modified = || ground.dump().metadata().and_then(|meta| meta.modified()).ok();
    let before = (read(), modified());
    let (code, said) = ground.start("again", &[])?.ended()?;
    ensure!(code == Some(1), "{what}: {code:?} {said}");
    ensure!((read(), modified()) == before, "{what}: the dump was touched");
    Ok(())
}

#[test]
fn a_corrupt_dump_is_an_exit_and_stays_as_it_is() -> Result<()> {
    let ground = Ground::saved()?;
    let good = std::fs::read(ground.dump())?;
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 0xff;
    let damages = [
        ("a flipped byte", flipped),
        ("cut in the middle", good[..good.len() / 2].to_vec()),
        ("empty", Vec::new()),
        ("something else", b"not a dump at all".to_vec()),
    ];
    for (what, bytes) in damages {
        std::fs::write(ground.dump(), bytes)?;
        refuses_to_start(&ground, what)?;
    }
    std::fs::write(ground.dump(), &good)?;
    loads_all(&ground)
}

#[test]
fn an_unreadable_dump_is_an_exit_and_stays_as_it_is() -> Result<()> {
    let ground = Ground::saved()?;
    std::fs::set_permissions(ground.dump(), std::fs::Permissions::from_mode(0o000))?;
    refuses_to_start(&ground, "unreadable")?;
    std::fs::set_permissions(ground.dump(), std::fs::Permissions::from_mode(0o600))?;
    loads_all(&ground)
}

fn loads_all(ground: &Ground) -> Result<()> {
    let server = ground.start("good", &[])?;
    server.until_it_answers()?;
    ensure!(keys::count_written(&server.address(), "key", KEYS)? == KEYS, "all keys");
    Ok(())
}

#[test]
fn a_server_told_to_end_while_it_loads_leaves_the_dump_as_it_is() -> Result<()> {
    let ground = Ground::saved()?;
    let before = std::fs::read(ground.dump())?;
    // 20 ms a key: 10 s in all.
    let flags = [
        "--key-load-delay",
        "20000",
        "--loading-process-events-interval-bytes",
        "1024",
    ];
    let server = ground.start("loading", &flags)?;
    until("the loading", || {
        server.socket.exists() && keys::ask(&server.address(), "PING\n").is_ok_and(|answer| answer.contains("LOADING"))
    })?;
    let (code, said) = server.stop()?;
    ensure!(code == Some(0), "{code:?} {said}");
    ensure!(std::fs::read(ground.dump())? == before, "the dump was touched");
    loads_all(&ground)
}

#[test]
fn a_server_killed_while_it_saves_leaves_the_dump_before_and_the_next_one_tidies_up() -> Result<()> {
    let ground = Ground::saved()?;
    let before = std::fs::read(ground.dump())?;
    let unfinished = || -> Result<usize> {
        let names = ground.files()?.into_keys();
        Ok(names.filter(|path| path.to_string_lossy().contains("/temp-")).count())
    };
    // 20 ms a key: the final save takes 10 s.
    let mut server = ground.start("killed", &["--rdb-key-save-delay", "20000"])?;
    server.until_it_answers()?;
    keys::write(&server.address(), "unsaved", 1)?;
    kill(Pid::from_raw(i32::try_from(server.process.id())?), Signal::SIGTERM)?;
    until("the save", || unfinished().is_ok_and(|count| count == 1))?;
    server.process.kill()?;
    drop(server);
    ensure!(std::fs::read(ground.dump())? == before, "the dump was touched");
    ensure!(unfinished()? == 1, "Valkey leaves it");
    loads_all(&ground)?;
    ensure!(unfinished()? == 0, "the next holder of the lock removes it");
    Ok(())
}

#[test]
fn a_directory_without_a_dump_is_a_cache_that_starts_empty() -> Result<()> {
    let ground = Ground::saved()?;
    std::fs::remove_file(ground.dump())?;
    let server = ground.start("empty", &[])?;
    server.until_it_answers()?;
    ensure!(keys::count(&server.address())? == "0");
    Ok(())
}

#[test]
fn a_task_that_waits_writes_nothing_and_ends_at_once() -> Result<()> {
    let ground = Ground::saved()?;
    let server = ground.start("server", &[])?;
    server.until_it_answers()?;
    let before = ground.files()?;
    let mut longest = Duration::ZERO;
    for _ in 0..5 {
        let mut waiting = ground.start("waiting", &[])?;
        // A read of what the script says: it waits from then on.
        let mut said = [0; 12];
        waiting
            .process
            .stderr
            .as_mut()
            .context("piped")?
            .read_exact(&mut said)?;
        ensure!(&said == b"valkeep-lock", "{said:?}");
        let told = Instant::now();
        let (code, rest) = waiting.stop()?;
        longest = longest.max(told.elapsed());
        ensure!(code == Some(143), "{code:?} {rest}");
        ensure!(rest.contains("stopped before the server started"), "{rest}");
    }
    ensure!(longest < AT_ONCE, "a stop took {longest:?}");
    ensure!(ground.files()? == before, "it wrote something");
    ensure!(keys::count_written(&server.address(), "key", KEYS)? == KEYS);
    Ok(())
}
