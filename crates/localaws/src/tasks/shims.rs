//! Small scripts first on a task's `PATH`.
//!
//! All tasks share the machine's network, and Valkey binds every address. So each task has an address of its own, the
//! shim of the server adds `--bind` with it and nothing else, and the shim of the client asks there.

use super::servers::Servers;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Writes the shims of one task into `directory`.
pub(super) fn write(directory: &Path, address: Ipv4Addr, servers: &Servers) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for name in ["valkey-server", "redis-server"] {
        let script = script(servers.server.as_ref(), name, |real| {
            format!("exec {real} \"$@\" --bind {address}")
        });
        executable(&directory.join(name), &script)?;
    }
    for name in ["valkey-cli", "redis-cli"] {
        let script = script(servers.cli.as_ref(), name, |real| {
            format!("exec {real} -h {address} \"$@\"")
        });
        executable(&directory.join(name), &script)?;
    }
    Ok(())
}

fn script(real: Option<&PathBuf>, name: &str, exec: impl Fn(&str) -> String) -> String {
    let line = match real {
        Some(real) => exec(&quoted(&real.to_string_lossy())),
        None => format!("echo 'localaws: {name} is not installed on this machine' >&2; exit 127"),
    };
    format!("#!/bin/sh\n{line}\n")
}

/// A word as the shell takes it literally.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn executable(file: &Path, script: &str) -> io::Result<()> {
    fs::write(file, script)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))
}
