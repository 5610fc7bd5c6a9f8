//! A container in user, mount, PID and IPC namespaces of its own, through `bwrap`.
//!
//! The command is PID 1, sees this machine's `/usr` and `/etc` read-only, its mounts, and nothing else. The network is
//! shared. `bwrap` and everything in the sandbox die with the thread that started `bwrap`.

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

/// The command that runs the container, not yet started. It takes its standard input as the pipe on which it tells
/// the inner process's id (`--json-status-fd`); the container's own standard input is empty.
pub(super) fn command(bwrap: &Path, container: &Container, shims: &Path) -> Command {
    // The shell moves the pipe from 0 to 3: a descriptor above 2 could not be passed on without unsafe code.
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", r#"exec 3>&0 </dev/null 2>&1; exec "$@""#, "bwrap"])
        .arg(bwrap);
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
    command.arg("--clearenv");
    for (name, value) in environment(container) {
        command.args(["--setenv", &name, &value]);
    }
    command.arg("--").args(&container.words);
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
