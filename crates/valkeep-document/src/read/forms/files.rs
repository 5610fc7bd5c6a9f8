//! What file systems and Valkey take.

use super::super::report::{Wrong, quote};
use super::check;
use valkeep_core::units;

/// The access point's directory.
/// <https://docs.aws.amazon.com/efs/latest/ug/API_RootDirectory.html>
pub(in crate::read) fn access_point_path(text: &str) -> Result<(), Wrong> {
    absolute(text)?;
    let levels: Vec<&str> = text[1..].split('/').collect();
    let problem = if text == "/" {
        "`/` is the whole file system; a service gets a directory of its own".to_owned()
    } else if text.len() > 100 {
        format!("has {} characters, and EFS takes at most 100", text.len())
    } else if levels.len() > 4 {
        format!("has {} levels, and EFS takes at most 4", levels.len())
    } else if let Some(bad) = levels.iter().find(|level| level.is_empty() || level.starts_with('.')) {
        format!("has the level {}, and a level must be a plain name", quote(bad))
    } else if let Some(bad) = text
        .chars()
        .find(|letter| "$#<>;`|&?{}^*\n'\" \\".contains(*letter) || letter.is_control())
    {
        format!("has the character {}", quote(&bad.to_string()))
    } else {
        return Ok(());
    };
    Err(Wrong::new(problem, "write a directory like `/valkey-data`"))
}

/// Where the directory is mounted in the container.
pub(in crate::read) fn mount_path(text: &str) -> Result<(), Wrong> {
    /// Mounting over these takes away what the container runs on.
    const SYSTEM: [&str; 13] = [
        "bin", "boot", "dev", "etc", "lib", "lib64", "proc", "root", "run", "sbin", "sys", "tmp", "usr",
    ];
    absolute(text)?;
    let levels: Vec<&str> = text[1..].split('/').collect();
    let problem = if text == "/" {
        "`/` is the container's own root".to_owned()
    } else if text.len() > 255 {
        format!("has {} characters, at most 255 are taken", text.len())
    } else if SYSTEM.contains(&levels[0]) {
        format!("{} belongs to the container's system", quote(&text[..=levels[0].len()]))
    } else if let Some(bad) = levels.iter().find(|level| level.is_empty() || level.starts_with('.')) {
        format!("has the level {}, and a level must be a plain name", quote(bad))
    } else if !text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
    {
        format!("{} has characters other than letters, digits and `._-`", quote(text))
    } else {
        return Ok(());
    };
    Err(Wrong::new(problem, "write a directory like `/data`"))
}

fn absolute(text: &str) -> Result<(), Wrong> {
    check(
        text.starts_with('/'),
        || format!("{} is not an absolute path", quote(text)),
        "begin with a slash",
    )
}

/// Octal digits that let Valkey's own user read, write and enter.
pub(in crate::read) fn permissions(text: &str) -> Result<(), Wrong> {
    check(
        (3..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte)),
        || format!("{} are not octal permissions", quote(text)),
        "write 3 or 4 digits from 0 to 7 in quotes, like \"0755\"",
    )?;
    check(
        text.as_bytes()[text.len() - 3] == b'7',
        || {
            "with these permissions the owner, as whom Valkey runs, could not read, write and enter the directory"
                .to_owned()
        },
        "let the owner's digit be 7, like \"0755\"",
    )
}

/// The server's memory for data.
pub(in crate::read) fn maxmemory(text: &str) -> Result<(), Wrong> {
    let instead = "write it like `300mb` or `1gb`, or `\"0\"` for no limit";
    let Some(bytes) = units::bytes(text) else {
        return Err(Wrong::new(
            format!("{} is not an amount of memory that Valkey takes", quote(text)),
            instead,
        ));
    };
    check(
        bytes == 0 || bytes >= 1 << 20,
        || format!("{} is less than 1 MiB, which an empty server needs alone", quote(text)),
        instead,
    )
}

/// The RDB file.
pub(in crate::read) fn rdb_filename(text: &str) -> Result<(), Wrong> {
    let problem = if text.is_empty() {
        "is empty".to_owned()
    } else if text.contains(['/', '\\']) {
        "has a slash: Valkey takes a file name here, and the directory is `fileSystem.mountPath`".to_owned()
    } else if text.len() > 200 {
        // 255 is the file system's limit; a dump that is set aside gets a longer name.
        format!("has {} characters, at most 200 are taken", text.len())
    } else if text.trim_start_matches('.').starts_with("valkeep") {
        "names that begin with `valkeep` are valkeep's own, like its lock file".to_owned()
    } else if text.starts_with('.') || text.starts_with('-') {
        "begins with a dot or a hyphen".to_owned()
    } else if text.starts_with("temp-") {
        "names that begin with `temp-` are what Valkey calls a snapshot that is not finished".to_owned()
    } else if text == "appendonlydir" || text == "nodes.conf" {
        format!("{} is a name that Valkey uses itself", quote(text))
    } else if !text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    {
        format!("{} has characters other than letters, digits and `._-`", quote(text))
    } else {
        return Ok(());
    };
    Err(Wrong::new(problem, "write a name like `dump.rdb`"))
}
