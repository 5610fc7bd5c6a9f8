//! Where the real Valkey is on this machine.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The programs that stand for those of the image.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) server: Option<PathBuf>,
    pub(super) cli: Option<PathBuf>,
}

/// Looked for once; what is missing or stands in for something else is said on stderr, once.
pub(super) fn servers() -> &'static Servers {
    static SERVERS: LazyLock<Servers> = LazyLock::new(|| {
        let server = on_path("valkey-server").or_else(|| on_path("redis-server"));
        match &server {
            None => eprintln!(
                "localaws: neither valkey-server nor redis-server is on the PATH; tasks that need it will exit with 127"
            ),
            Some(path) if path.ends_with("redis-server") => {
                eprintln!(
                    "localaws: valkey-server is not on the PATH; tasks get {} in its place",
                    path.display()
                );
            }
            Some(_) => {}
        }
        Servers {
            server,
            cli: on_path("valkey-cli").or_else(|| on_path("redis-cli")),
        }
    });
    &SERVERS
}

/// The program with this name on this process's `PATH`, links not followed: Debian's valkey-server is also a link
/// to valkey-check-rdb and goes by the name it is called with.
pub(super) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|dir| dir.is_absolute())
        .map(|dir| dir.join(name))
        .find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
