//! A container in user, mount, PID and IPC namespaces of its own, through `bwrap`.
//!
//! The command is PID 1, sees this machine's `/usr` and `/etc` read-only, its mounts, and nothing else. The network is
//! shared. Everything in the sandbox dies with us, however we end.

use super::servers::{on_path, servers};
use super::{Container, Mount};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

/// Where the shims lie in the sandbox.
const SHIMS: &str = "/run/localaws/bin";
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Directories of the root that are links into `/usr` on most machines, and real ones on others.
const ROOT_DIRS: [&str; 6] = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/// `bwrap`, when it is there and may do its work; otherwise the reason has been said on stderr, once.
pub(super) fn bwrap() -> Option<&'static Path> {
    static BWRAP: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
        let reason = match on_path("bwrap") {
            None => "bwrap (bubblewrap) is not installed".to_owned(),
            Some(bwrap) => match try_out(&bwrap) {
                Ok(()) => return Some(bwrap),
                Err(reason) => format!("bwrap is not permitted here ({reason})"),
            },
        };
        eprintln!("localaws: {reason}: tasks run without a sandbox, with their paths mapped to this machine's");
        None
    });
    BWRAP.as_deref()
}

fn try_out(bwrap: &Path) -> Result<(), String> {
    let output = Command::new(bwrap)
        .args([
            "--unshare-user",
            "--unshare-pid",
            "--unshare-ipc",
            "--as-pid-1",
            "--uid",
            "1000",
            "--gid",
            "1000",
        ])
        .args([
            "--ro-bind",
            "/",
            "/",
            "--dev",
            "/dev",
            "--proc",
            "/proc",
            "--tmpfs",
            "/tmp",
            "true",
        ])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

/// Stands between us and `bwrap`, so that a start that is cut off at any moment leaves nothing behind.
///
/// `bwrap` must not die before it has let its inner process go on, or that one waits for ever; and the inner process
/// dies with `bwrap` only from just before its exec on. So this shell is not killed with us. It hears of our end by
/// its standard error, a pipe that we hold: before we gave leave (a line) there is nothing to do, since the gate hears
/// of our end too; afterwards the inner process is armed, and killing `bwrap` takes it along.
const GUARD: &str = r#"
exec 3>"$1" 4>&0 5<&2 </dev/null 2>&1
shift
"$@" 5<&- &
bwrap=$!
{ read -r leave <&5 && { read -r end <&5; kill -KILL "$bwrap"; }; } 3>&- 4>&- >/dev/null 2>&1 &
guard=$!
wait "$bwrap"
code=$?
kill "$guard" 2>/dev/null
exit "$code"
"#;

/// The first process in the sandbox: says that it is there, waits for leave, and becomes the container's command.
const GATE: &str = r#"echo ready >&4; read -r leave <&4 || exit 125; exec "$@" 4>&-"#;

/// The command that runs the container, not yet started. Its standard input is to be a socket, on which the gate asks
/// for leave; by then the id of the inner process is in the file `status`. Its standard error is to be a pipe to read
/// from, held until the end. The container's own input is empty, its errors go where its output goes.
///
/// `bwrap` says the id to a file, because writing it to a pipe whose reader was killed would kill `bwrap` too.
pub(super) fn command(bwrap: &Path, container: &Container, shims: &Path, status: &Path) -> Command {
    // The shell moves the descriptors: one above 2 could not be passed on without unsafe code.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", GUARD, "guard"]).arg(status).arg(bwrap);
    command.args(["--json-status-fd", "3", "--die-with-parent", "--as-pid-1"]);
    command.args(["--unshare-user", "--unshare-pid", "--unshare-ipc"]);
    command.args(["--uid", &container.uid.to_string(), "--gid", &container.gid.to_string()]);
    command.args(file_tree());
    command.arg("--ro-bind").arg(shims).arg(SHIMS);
    for Mount {
        host,
        container,
        read_only,
    } in &container.mounts
    {
        command
            .arg(if *read_only { "--ro-bind" } else { "--bind" })
            .arg(host)
            .arg(container);
    }
    if let Some(directory) = &container.work_dir {
        command.args(["--chdir", directory]);
    }
    // Handed on and not named: a secret in the environment is in no command line.
    command.env_clear().envs(environment(container));
    command
        .args(["--", "/bin/sh", "-c", GATE, "gate"])
        .args(&container.words);
    command
}

fn file_tree() -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    let mut add =
        |option: &str, from: &OsStr, to: &OsStr| words.extend([option.into(), from.to_owned(), to.to_owned()]);
    add("--ro-bind", "/usr".as_ref(), "/usr".as_ref());
    add("--ro-bind", "/etc".as_ref(), "/etc".as_ref());
    for dir in ROOT_DIRS {
        match fs::read_link(dir) {
            Ok(target) => add("--symlink", target.as_ref(), dir.as_ref()),
            Err(_) if Path::new(dir).is_dir() => add("--ro-bind", dir.as_ref(), dir.as_ref()),
            Err(_) => {}
        }
    }
    for program in [&servers().server, &servers().cli].into_iter().flatten() {
        let outside = fs::canonicalize(program)
            .ok()
            .filter(|real| !real.starts_with("/usr") || !program.starts_with("/usr"));
        for dir in outside
            .iter()
            .chain([program])
            .filter_map(|file| file.parent())
            .filter(|dir| !dir.starts_with("/usr"))
        {
            // Under /bin and /sbin it is in the tree already.
            if !ROOT_DIRS.iter().any(|known| dir.starts_with(known)) {
                add("--ro-bind", dir.as_ref(), dir.as_ref());
            }
        }
    }
    words.extend(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run"].map(OsString::from));
    words
}

/// The environment in the sandbox: the task's, with the shims first on the `PATH`.
pub(super) fn environment(container: &Container) -> Vec<(String, String)> {
    with_path(container, SHIMS, PATH)
}

/// The task's environment with `shims` before its own `PATH` or, where it has none, before `usual`.
pub(super) fn with_path(container: &Container, shims: &str, usual: &str) -> Vec<(String, String)> {
    let own = container
        .environment
        .iter()
        .rfind(|(name, _)| name == "PATH")
        .map_or(usual, |(_, value)| value);
    let mut all: Vec<(String, String)> = container
        .environment
        .iter()
        .filter(|(name, _)| name != "PATH")
        .cloned()
        .collect();
    all.push(("PATH".to_owned(), format!("{shims}:{own}")));
    all
}

/// The command that runs `words` beside the process `pid` of a sandbox, in its namespaces.
pub(super) fn beside(nsenter: &Path, pid: i32, container: &Container, words: &[String]) -> Command {
    let mut command = Command::new(nsenter);
    command.args([
        "--target",
        &pid.to_string(),
        "--user",
        "--mount",
        "--pid",
        "--ipc",
        "--preserve-credentials",
        "--",
    ]);
    command.args(words);
    command.env_clear().envs(environment(container));
    command
}
