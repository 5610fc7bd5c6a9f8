//! One container's process: started, told to end, its end noticed, its lines collected.

use super::health::{self, Health, Judge};
use super::servers::{on_path, servers};
use super::{Container, plain, sandbox, shims};
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;
use serde_json::Value;
use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Lines kept until somebody fetches them: a container that floods its output must not fill the memory.
const LINES_MAX: usize = 10_000;
/// Bytes of one line; the log service has such a limit too.
const LINE_BYTES_MAX: u64 = 256 * 1024;
/// How long the last lines may take after the end.
const LAST_LINES: Duration = Duration::from_millis(500);
/// A server needs a moment before it is worth asking.
const SETTLE: Duration = Duration::from_millis(300);

/// What a container is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// SIGTERM: please.
    Please,
    /// SIGKILL: now.
    Now,
}

/// A container's process. Dropping it kills what is left of it.
#[derive(Debug)]
pub(crate) struct Child {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    now: Mutex<Now>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Now {
    target: Option<Target>,
    told: Option<Stop>,
    exit: Option<i32>,
    lines: VecDeque<String>,
    health: Health,
}

/// Whom to signal.
#[derive(Debug, Clone, Copy)]
enum Target {
    /// PID 1 of a sandbox, by its id out here. A signal to `bwrap` itself would not reach it.
    Inner(Pid),
    /// A plain process that leads a group.
    Leader(Pid),
}

impl Child {
    /// Starts the container. Comes back at once; failing to start shows as an exit code with lines that say why.
    pub(crate) fn start(container: Container) -> Self {
        let shared = Arc::new(Shared::default());
        let watcher = Arc::clone(&shared);
        thread::spawn(move || {
            let code = run(&container, &watcher).unwrap_or_else(|error| {
                watcher.line(format!("localaws: cannot start the container: {error}"));
                127
            });
            watcher.change(|now| now.exit = Some(code));
        });
        Self { shared }
    }

    /// Its exit code once it has ended; 128 + n when signal n ended it.
    pub(crate) fn exit(&self) -> Option<i32> {
        self.shared.lock().exit
    }

    /// Waits for its end.
    pub(crate) fn wait(&self, timeout: Duration) -> Option<i32> {
        let now = self.shared.lock();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(now, timeout, |now| now.exit.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.exit
    }

    /// What its health check says.
    pub(crate) fn health(&self) -> Health {
        self.shared.lock().health
    }

    /// The lines that it wrote since the last time.
    pub(crate) fn take_lines(&self) -> Vec<String> {
        self.shared.lock().lines.drain(..).collect()
    }

    /// Tells it to end. Also when it is only about to start.
    pub(crate) fn stop(&self, how: Stop) {
        self.shared.change(|now| {
            now.told = Some(how);
            if let Some(target) = now.target {
                target.tell(how);
            }
        });
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop(Stop::Now);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    fn line(&self, line: String) {
        self.change(|now| {
            now.lines.push_back(line);
            if now.lines.len() > LINES_MAX {
                now.lines.pop_front();
            }
        });
    }

    /// From now on this is whom to signal; what was told before is told now.
    fn aim(&self, target: Target) {
        self.change(|now| {
            now.target = Some(target);
            if let Some(how) = now.told {
                target.tell(how);
            }
        });
    }
}

impl Target {
    fn tell(self, how: Stop) {
        // Gone already is what was wanted.
        let _ = match (self, how) {
            (Self::Inner(pid) | Self::Leader(pid), Stop::Please) => signal::kill(pid, Signal::SIGTERM),
            (Self::Inner(pid), Stop::Now) => signal::kill(pid, Signal::SIGKILL),
            (Self::Leader(pid), Stop::Now) => signal::killpg(pid, Signal::SIGKILL),
        };
    }
}

/// Ends the process group that `child` leads.
pub(super) fn kill_group(child: &process::Child) {
    if let Some(pid) = pid_of(child) {
        // Gone already is what was wanted.
        let _ = signal::killpg(pid, Signal::SIGKILL);
    }
}

fn pid_of(child: &process::Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().map(Pid::from_raw)
}

/// Runs the container to its end; its exit code.
fn run(container: &Container, shared: &Arc<Shared>) -> io::Result<i32> {
    let shims = container.files.join("bin");
    shims::write(&shims, container.address, servers())?;
    let status = container.files.join("status");
    // Our ends of the conversation with the sandbox are kept until its end: it ends when they are closed.
    let (mut talk, mut child) = if let Some(bwrap) = sandbox::bwrap() {
        let (talk, theirs) = UnixStream::pair()?;
        let (theirs_alive, alive) = io::pipe()?;
        let mut command = sandbox::command(bwrap, container, &shims, &status);
        command
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stderr(Stdio::from(theirs_alive));
        (Some((BufReader::new(talk), alive)), spawn(command)?)
    } else {
        let mut command = plain::command(container, &shims);
        command.stderr(Stdio::null());
        (None, spawn(command)?)
    };
    let inner = talk.is_some();
    let outer = pid_of(&child).ok_or_else(|| io::Error::other("the process has no id"))?;
    if !inner {
        shared.aim(Target::Leader(outer));
    }
    let last_line = collect(child.stdout.take(), shared);
    let pid = match &mut talk {
        Some((talk, alive)) => let_in(talk, alive, &status, shared)?,
        None => Some(outer),
    };
    if let Some(pid) = pid {
        watch_health(container.clone(), shims, pid, inner, Arc::clone(shared));
    }
    let ended = child.wait();
    // From here on its id may be another's.
    shared.change(|now| now.target = None);
    let ended = ended?;
    if !inner {
        // What the process left behind in its group.
        let _ = signal::killpg(outer, Signal::SIGKILL);
    }
    // Whoever still holds the pipe does not hold up the news of the end.
    let _ = last_line.recv_timeout(LAST_LINES);
    Ok(ended.code().unwrap_or_else(|| 128 + ended.signal().unwrap_or(0)))
}

/// Starts a process from a thread that never ends: "die with the parent" means the thread that started it.
fn spawn(mut command: Command) -> io::Result<process::Child> {
    type Job = (Command, Sender<io::Result<process::Child>>);
    static SPAWNER: LazyLock<Sender<Job>> = LazyLock::new(|| {
        let (sender, jobs) = mpsc::channel::<Job>();
        thread::Builder::new()
            .name("localaws-spawner".to_owned())
            .spawn(move || {
                for (mut command, answer) in jobs {
                    // Nobody waiting for the answer means that the child is not wanted either; it is not detached.
                    if let Err(mpsc::SendError(Ok(mut child))) = answer.send(command.spawn()) {
                        let _ = child.kill();
                    }
                }
            })
            .expect("a thread can be started at the start");
        sender
    });
    command.stdout(Stdio::piped());
    let (answer, started) = mpsc::channel();
    SPAWNER
        .send((command, answer))
        .map_err(|_| io::Error::other("the spawner has ended"))?;
    started.recv().map_err(|_| io::Error::other("the spawner has ended"))?
}

/// Collects the lines of a container. The receiver hears when there will be no more.
fn collect(output: Option<process::ChildStdout>, shared: &Arc<Shared>) -> mpsc::Receiver<()> {
    let (done, last_line) = mpsc::channel();
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        let Some(output) = output else { return };
        let mut output = BufReader::new(output);
        let mut bytes = Vec::new();
        // A read that fails is the end, like none.
        while output
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut bytes)
            .is_ok_and(|read| read > 0)
        {
            shared.line(String::from_utf8_lossy(&bytes).trim_end().to_owned());
            bytes.clear();
        }
        // The one who waited may have gone.
        let _ = done.send(());
    });
    last_line
}

/// What `bwrap` says of PID 1 in its sandbox.
fn inner_pid(status: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(status).ok()?;
    let said: Value = serde_json::from_str(text.lines().next()?).ok()?;
    said.get("child-pid")?
        .as_i64()
        .and_then(|pid| i32::try_from(pid).ok())
        .map(Pid::from_raw)
}

/// Waits until the first process in the sandbox is there and lets it become the container's command. None when it
/// never comes: its lines and its exit code tell the rest.
fn let_in(
    talk: &mut BufReader<UnixStream>,
    alive: &mut io::PipeWriter,
    status: &Path,
    shared: &Shared,
) -> io::Result<Option<Pid>> {
    let mut line = String::new();
    if !talk.read_line(&mut line).is_ok_and(|_| line.trim_end() == "ready") {
        return Ok(None);
    }
    let pid = inner_pid(status).ok_or_else(|| io::Error::other("bwrap does not say who is in the sandbox"))?;
    shared.aim(Target::Inner(pid));
    // First the one who ends the sandbox with us, then the gate. An error is the end of the other side, which is
    // noticed anyway.
    let _ = alive
        .write_all(b"go\n")
        .and_then(|()| talk.get_mut().write_all(b"go\n"));
    Ok(Some(pid))
}

/// Asks for the container's health until it ends.
fn watch_health(container: Container, shims: PathBuf, pid: Pid, inner: bool, shared: Arc<Shared>) {
    let Some(check) = container.health.clone() else { return };
    thread::spawn(move || {
        let nsenter = if inner { on_path("nsenter") } else { None };
        let mut judge = Judge::new(Instant::now());
        let mut pause = SETTLE;
        let mut enterable = !inner;
        loop {
            let now = shared.lock();
            let (now, _) = shared
                .changed
                .wait_timeout_while(now, pause, |now| now.exit.is_none())
                .unwrap_or_else(PoisonError::into_inner);
            if now.exit.is_some() {
                return;
            }
            drop(now);
            let beside = |words: &[String]| match (&nsenter, inner) {
                (Some(nsenter), true) => Some(sandbox::beside(nsenter, pid.as_raw(), &container, words)),
                (None, true) => None,
                (_, false) => Some(plain::beside(&container, &shims, words)),
            };
            if !enterable {
                enterable = beside(&["/bin/true".to_owned()])
                    .is_some_and(|probe| health::ask(probe, check.timeout).unwrap_or(false));
            }
            if !enterable && shared.lock().exit.is_none() {
                static SAID: std::sync::Once = std::sync::Once::new();
                SAID.call_once(|| {
                    eprintln!("localaws: a running sandbox cannot be entered here (nsenter): container health checks are not run");
                });
                shared.change(|now| now.health = Health::Unavailable);
                return;
            }
            let well = beside(&check.words).is_some_and(|command| health::ask(command, check.timeout).unwrap_or(false));
            judge.answered(well, &check, Instant::now());
            pause = judge.pause(&check);
            shared.change(|now| now.health = judge.health);
        }
    });
}
