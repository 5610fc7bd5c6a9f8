//! How a server of valkeep's own gets its password, which stands neither in its definition nor in its command line.

use std::collections::BTreeMap;
use valkeep_core::SecretReference;
use valkeep_core::access::{LoginSpec, UserSpec};
use valkeep_core::task_definition::{ENV_PASSWORD, ENV_USER};

/// `$0` of the password script; what it logs starts with it.
pub(crate) const PASSWORD_NAME: &str = "valkeep-password";

/// Starts the server, which is the first word, with a password. The rest is the server's flags.
///
/// - ECS puts the password into the environment. The server gets its hash, in a configuration that it reads from its standard
///   input: a pipe, and no file anywhere. `printf` is the shell's own, so the password is in no command line.
/// - The variables are unset before `exec`, so what the server passes on and what `/proc` tells of it has no password.
/// - Nobody is let in without it: the default user has it, too.
/// - `exec` keeps PID 1 and the descriptor of the directory's lock.
/// - 69 (`EX_UNAVAILABLE`): the image has no `sha256sum`. 78 (`EX_CONFIG`): the secret is empty, or the name in it is none.
pub const PASSWORD_SCRIPT: &str = r#"say() { echo "valkeep-password: $*" >&2; }
command -v sha256sum >/dev/null || { say "this image has no sha256sum"; exit 69; }
[ -n "$VALKEEP_PASSWORD" ] || { say "the password is empty"; exit 78; }
u=$VALKEEP_USER
case $u in *[!A-Za-z0-9_.@-]*) say "the name of the user has letters beside A-Z, a-z, 0-9 and _.@-"; exit 78;; esac
h=$(printf %s "$VALKEEP_PASSWORD" | sha256sum)
r="on #${h%% *} ~* &* +@all"
unset VALKEEP_PASSWORD VALKEEP_USER h
[ -z "$u" ] || [ "$u" = default ] || u="user $u $r"
case $u in default) u=;; esac
s=$1; shift
exec "$s" - "$@" <<EOF
user default $r
$u
EOF"#;

/// What stands before the server's command line; nothing where there is no login.
pub(crate) fn before_server(login: Option<&LoginSpec>) -> Vec<String> {
    let words = ["/bin/sh", "-c", PASSWORD_SCRIPT, PASSWORD_NAME].map(str::to_owned);
    login.map_or_else(Vec::new, |_| words.to_vec())
}

/// The variables that ECS fills in.
pub(crate) fn secrets(login: Option<&LoginSpec>) -> BTreeMap<String, SecretReference> {
    let Some(LoginSpec { user, password }) = login else {
        return BTreeMap::new();
    };
    let mut secrets = BTreeMap::from([(ENV_PASSWORD.to_owned(), password.clone())]);
    if let Some(UserSpec::In(reference)) = user {
        secrets.insert(ENV_USER.to_owned(), reference.clone());
    }
    secrets
}

/// The name of the user, where the document says it.
pub(crate) fn user(login: Option<&LoginSpec>) -> Option<(String, String)> {
    match login?.user.as_ref()? {
        UserSpec::Named(name) => Some((ENV_USER.to_owned(), name.clone())),
        UserSpec::In(_) => None,
    }
}
