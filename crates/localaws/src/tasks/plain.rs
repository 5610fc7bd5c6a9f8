//! A container as a plain process, where no sandbox is permitted: the container's paths in its words become the
//! host's directories. Its user, `/tmp` and PID are the machine's.

use super::sandbox::with_path;
use super::servers::on_path;
use super::{Container, Mount};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The command that runs the container, not yet started, in a process group of its own.
pub(super) fn command(container: &Container, shims: &Path) -> Command {
    let words = container.words.iter().map(|word| mapped(word, &container.mounts));
    // Without a sandbox it is setpriv that has the process die with us; without setpriv only a clean end takes it along.
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"exec </dev/null 2>&1; exec "$@""#, "sh"]);
    if let Some(setpriv) = on_path("setpriv") {
        command.arg(setpriv).args(["--pdeathsig", "KILL", "--"]);
    }
    command
        .args(words)
        .env_clear()
        .envs(environment(container, shims))
        .stdin(Stdio::null())
        .process_group(0);
    if let Some(directory) = container.work_dir.as_ref().map(|dir| mapped(dir, &container.mounts))
        && Path::new(&directory).is_dir()
    {
        command.current_dir(directory);
    }
    command
}

/// The command that runs `words` for the container.
pub(super) fn beside(container: &Container, shims: &Path, words: &[String]) -> Command {
    let words: Vec<String> = words.iter().map(|word| mapped(word, &container.mounts)).collect();
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", r#"exec "$@""#, "sh"])
        .args(words)
        .env_clear()
        .envs(environment(container, shims));
    command
}

fn environment(container: &Container, shims: &Path) -> Vec<(String, String)> {
    let usual = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
    with_path(container, &shims.to_string_lossy(), &usual)
}

/// `word` with every mounted path replaced by the directory that is mounted there.
fn mapped(word: &str, mounts: &[Mount]) -> String {
    mounts.iter().fold(word.to_owned(), |word, mount| {
        replace_path(&word, &mount.container, &mount.host.to_string_lossy())
    })
}

/// Replaces `path` where it stands as a path of its own or as the beginning of one.
fn replace_path(text: &str, path: &str, with: &str) -> String {
    let in_a_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let mut done = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(path) {
        let (before, after) = (&rest[..at], &rest[at + path.len()..]);
        let alone = !before.ends_with(|c| in_a_name(c) || c == '/') && !after.starts_with(in_a_name);
        done.push_str(before);
        done.push_str(if alone { with } else { path });
        rest = after;
    }
    done + rest
}

#[cfg(test)]
mod tests {
    use super::replace_path;

    #[test]
    fn only_whole_paths_are_mapped() {
        let map = |text| replace_path(text, "/data", "/srv/efs/fs-1");
        assert_eq!(map("/data"), "/srv/efs/fs-1");
        assert_eq!(map("--dir=/data/x"), "--dir=/srv/efs/fs-1/x");
        assert_eq!(
            map("cd '/data' && ls /data2 /my/data"),
            "cd '/srv/efs/fs-1' && ls /data2 /my/data"
        );
    }
}
