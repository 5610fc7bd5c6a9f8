//! Words that the document passes on to `valkey-server`.
//!
//! The server reads a word that begins with `--` as the name of a setting, and words up to the next such one as its
//! value; a name and its value may also share one word, with spaces between them.

use super::report::{Wrong, quote};

/// Settings that the document may not make in this way, and why. Names are compared without case.
const REFUSED: &[(&[&str], &str, &str)] = &[
    (
        &["dir"],
        "is the directory that keeps the data, and valkeep sets it",
        "use `fileSystem.mountPath`",
    ),
    (
        &["dbfilename"],
        "is the name of the data's file, and valkeep sets it",
        "use `persistence.snapshots.filename`",
    ),
    (
        &["save"],
        "says when snapshots are written, and valkeep sets it",
        "use `persistence.snapshots.preset`",
    ),
    (
        &["rdbcompression"],
        "is set by valkeep",
        "use `persistence.snapshots.compression`",
    ),
    (
        &["stop-writes-on-bgsave-error"],
        "is set by valkeep",
        "use `persistence.snapshots.stopWritesOnError`",
    ),
    (
        &["appendonly", "appendfsync"],
        "is about the append-only file, and valkeep sets it: switching it on by a restart would start the server empty",
        "use `persistence.appendOnly`",
    ),
    (
        &["appendfilename", "appenddirname"],
        "names the append-only file, which is looked for by the name that Valkey gives it",
        "remove it",
    ),
    (&["port"], "is set by valkeep", "use `service.port`"),
    (&["maxmemory"], "is set by valkeep", "use `valkey.maxmemory`"),
    (
        &["maxmemory-policy"],
        "is set by valkeep",
        "use `valkey.maxmemoryPolicy`",
    ),
    (
        &[
            "bind",
            "bind-source-addr",
            "protected-mode",
            "unixsocket",
            "unixsocketperm",
        ],
        "would change where the server can be reached, and clients and valkeep reach it by the task's own address",
        "remove it; security groups say who may connect",
    ),
    (
        &["replicaof", "slaveof"],
        "would make the server drop its data for another server's",
        "remove it",
    ),
    (
        &["cluster-enabled", "cluster-config-file", "cluster-port", "sentinel"],
        "would make another kind of server",
        "remove it; valkeep runs one server with one directory",
    ),
    (
        &["daemonize", "supervised", "pidfile"],
        "would take the server away from the container, which ends when its first process ends",
        "remove it",
    ),
    (
        &["logfile", "syslog-enabled"],
        "would keep the log from CloudWatch Logs",
        "remove it; `service.create.logGroup` says where the log goes",
    ),
    (
        &["shutdown-on-sigterm", "shutdown-on-sigint"],
        "would change the save that keeps the data when a task stops",
        "remove it",
    ),
    (
        &[
            "requirepass",
            "aclfile",
            "user",
            "masterauth",
            "primaryauth",
            "masteruser",
            "primaryuser",
        ],
        "is about authentication: a password here could be read by everyone who may read the document or the task \
         definition",
        "use `valkey.credentialsFrom`",
    ),
    (
        &[
            "tls-port",
            "tls-cert-file",
            "tls-key-file",
            "tls-ca-cert-file",
            "tls-ca-cert-dir",
            "tls-auth-clients",
            "tls-replication",
            "tls-cluster",
        ],
        "is about TLS, which valkeep gives to no service that it makes: it could not ask this server how it is",
        "remove it",
    ),
    (
        &["rename-command"],
        "could take away the commands by which valkeep asks the server how it is",
        "remove it",
    ),
    (
        &["include"],
        "could bring back any setting that may not be made here",
        "write the settings out",
    ),
    (
        &["version", "help", "test-memory", "check-system"],
        "makes the program say something and end",
        "remove it",
    ),
];

/// The longest word. AWS takes 64 KiB for a whole task definition.
const WORD_MAX: usize = 512;

/// Looks at one word; `first` is whether it is the first one.
pub(super) fn word(text: &str, first: bool) -> Result<(), Wrong> {
    if text.len() > WORD_MAX {
        return Err(Wrong::new(
            format!("has {} bytes, at most {WORD_MAX} are taken", text.len()),
            "shorten it",
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(Wrong::new("has a control character or a line break", "write one word"));
    }
    let Some(setting) = text.strip_prefix("--") else {
        if first {
            return Err(Wrong::new(
                format!("{} would be read as the name of a configuration file", quote(text)),
                "begin with a setting, like `--maxclients`",
            ));
        }
        if text == "-" {
            return Err(Wrong::new(
                "`-` reads settings from standard input, which a task does not have",
                "remove it",
            ));
        }
        if text == "-v" || text == "-h" {
            return Err(Wrong::new("makes the program say something and end", "remove it"));
        }
        return Ok(());
    };
    let name = setting
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    if let Some((named, _)) = name.split_once('=') {
        return Err(Wrong::new(
            format!("{} has an equals sign, which Valkey does not read", quote(text)),
            format!("write two words: `--{named}` and the value"),
        ));
    }
    let good = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if !good {
        return Err(Wrong::new(
            format!("{} is not the name of a setting", quote(text)),
            "write it like `--maxclients`",
        ));
    }
    match REFUSED.iter().find(|(names, ..)| names.contains(&name.as_str())) {
        Some((_, why, instead)) => Err(Wrong::new(format!("`--{name}` {why}"), *instead)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_settings_may_not_be_repeated_in_any_spelling() {
        for text in [
            "--save",
            "--SAVE",
            "--save 60 1",
            "--Dir /tmp",
            "--replicaof",
            "--include x",
            "--appendonly",
            "--maxmemory",
            "--maxmemory-policy allkeys-lru",
        ] {
            assert!(word(text, true).is_err(), "{text}");
        }
    }

    #[test]
    fn other_settings_pass() {
        for text in [
            "--maxclients",
            "--maxclients 5000",
            "--save-something-else",
            "--maxmemory-samples 10",
            "--io-threads",
        ] {
            assert_eq!(word(text, true), Ok(()), "{text}");
        }
        for text in ["5000", "", "-1", "allkeys-lru"] {
            assert_eq!(word(text, false), Ok(()), "{text}");
        }
        assert!(word("5000", true).is_err());
        assert!(word("-", false).is_err());
        assert!(word("--maxclients=5000", true).is_err());
        assert!(word("--", true).is_err());
    }
}
