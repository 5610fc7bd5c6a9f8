//! Renders: what a document means as a task definition and as service settings. Decides nothing and knows no
//! observation.

use crate::password;
use std::collections::BTreeMap;
use valkeep_core::desired::{Created, Persistence, ServerSpec, Snapshots, StaleDump};
use valkeep_core::ids::{AccessPointId, FileSystemId};
use valkeep_core::observed::ServiceSettings;
use valkeep_core::task_definition::{Container, EfsVolume, HealthCheck, TaskDefinition};
use valkeep_core::valkey::SETTING_APPEND_ONLY;
use valkeep_core::{Desired, Timestamp};

/// `$0` of the lock script; what it logs starts with it.
pub(crate) const LOCK_NAME: &str = "valkeep-lock";

/// Takes the directory's lock and then becomes the server. `$1` is the directory, the rest is the server's command.
///
/// - POSIX words only, and of `flock` only `-n`: busybox's has no `-w`.
/// - The descriptor stays open across `exec`, so the lock lives as long as the server and the shell's PID 1 becomes
///   the server's.
/// - `flock -n` is asked once a second instead of blocking, because PID 1 gets no default action for SIGTERM: the
///   trap answers within a second, and kills the `sleep` that would otherwise be left over. `9>&-` keeps that `sleep`
///   from holding the lock's descriptor.
/// - It waits without bound. Giving up would only make ECS start it again, and count a failed task.
/// - `flock -n` says 1 where another holds the lock. Any other code is a file system that does not lock, where asking on
///   would look like waiting for ever: 71 (`EX_OSERR`).
/// - Append-only files are loaded by a server that is told to write them, and by no other: where they lie under one that is
///   not, they are older than its dump, and are set aside. A server that is told to write them starts empty where there
///   are none: 78 (`EX_CONFIG`) if there is a dump.
/// - 74 (`EX_IOERR`): the directory cannot be written. 69 (`EX_UNAVAILABLE`): the image has no `flock`, where asking
///   on would look like waiting for ever. 143: stopped while waiting.
/// - A dump is set aside, under the lock, when it was written before `VALKEEP_SET_ASIDE_BEFORE` (seconds since 1970)
///   or before the last start of a server that saves nothing; the latter is the modification time of
///   `.valkeep.unsaved`, written by the file server's clock as the dump's is.
/// - Removed is only what Valkey itself names `temp-<pid>.rdb`, or `temp-<time>.<pid>.rdb` while it is fed by another:
///   snapshots that a killed server never finished, and that no server ever reads. Under the lock nobody is at work
///   on one. Never a dump (a document cannot name one so), nor the lock file (a second file of its name would be a
///   second lock). One that cannot be removed is said, and no reason not to serve.
pub const LOCK_SCRIPT: &str = r#"d=$1; shift
l=$d/.valkeep.lock
say() { echo "valkeep-lock: $*" >&2; }
command -v flock >/dev/null || { say "this image has no flock"; exit 69; }
( : >>"$l" ) 2>/dev/null || { say "cannot write $l"; exit 74; }
exec 9>>"$l"
s=
trap 'say "stopped before the server started"; [ -z "$s" ] || kill "$s" 2>/dev/null; exit 143' TERM INT
i=0
while :; do
  flock -n 9
  r=$?
  [ "$r" -ne 0 ] || break
  [ "$r" -eq 1 ] || { say "flock failed with code $r"; exit 71; }
  [ $((i % 60)) -ne 0 ] || say "waiting for $d, which another server holds ($i s)"
  i=$((i + 1))
  sleep 1 9>&- &
  s=$!
  wait "$s"
  s=
done
[ "$i" -eq 0 ] || say "took over $d after $i s"
for t in "$d"/temp-[0-9]*.rdb; do
  case ${t#"$d"/temp-} in *[!0-9.]*.rdb) continue;; esac
  [ -f "$t" ] || continue
  if rm -f "$t"; then say "removed $t, an unfinished snapshot"; else say "cannot remove $t"; fi
done
a=$d/appendonlydir
if [ "$VALKEEP_APPEND_ONLY" = yes ]; then
  if [ ! -f "$a/appendonly.aof.manifest" ] && [ -e "$d/$VALKEEP_DUMP" ]; then
    say "the data is in $d/$VALKEEP_DUMP, which a server with an append-only file does not load"
    exit 78
  fi
  exec "$@"
fi
if [ -d "$a" ]; then
  b=$a.set-aside-$(date +%s)
  while [ -e "$b" ]; do b=$b+; done
  mv "$a" "$b" || { say "cannot rename $a"; exit 74; }
  say "set aside append-only files as $b"
fi
if [ -n "$VALKEEP_DUMP" ]; then
  f=$d/$VALKEEP_DUMP
  m=$d/.valkeep.unsaved
  old=
  if [ -f "$f" ]; then
    t=$(stat -c %Y "$f") || { say "cannot read the time of $f"; exit 74; }
    [ "$t" -ge "${VALKEEP_SET_ASIDE_BEFORE:-0}" ] || old=1
    if [ -f "$m" ] && [ "$(stat -c %Y "$m")" -ge "$t" ]; then old=1; fi
    if [ -n "$old" ]; then
      a=$f.set-aside-$t
      while [ -e "$a" ]; do a=$a+; done
      mv "$f" "$a" || { say "cannot rename $f"; exit 74; }
      say "set aside an old dump as $a"
    fi
  fi
  if [ "$VALKEEP_SAVES" = no ]; then touch "$m" || { say "cannot write $m"; exit 74; }; fi
fi
exec "$@""#;

/// The name of the dump, only where old ones are set aside.
pub(crate) const ENV_DUMP: &str = "VALKEEP_DUMP";
/// `no` where this server writes no snapshots.
pub(crate) const ENV_SAVES: &str = "VALKEEP_SAVES";
/// The value of the annotation that asked for the last restart. A new one makes a new definition, so that nobody need
/// remember which restarts were done.
pub(crate) const ENV_RESTART: &str = "VALKEEP_RESTART";
/// `yes` where the data is in an append-only file.
pub(crate) const ENV_APPEND_ONLY: &str = "VALKEEP_APPEND_ONLY";
/// Seconds since 1970; older dumps are set aside.
pub(crate) const ENV_BEFORE: &str = "VALKEEP_SET_ASIDE_BEFORE";

/// The task definition that a document means.
///
/// `volume` must be given when persistence is mounted. `stale_before` sets older dumps aside before the server starts.
pub fn render(
    desired: &Desired,
    created: &Created,
    role_arn: &str,
    volume: Option<(FileSystemId, AccessPointId)>,
    stale_before: Option<Timestamp>,
) -> TaskDefinition {
    let task = &created.task;
    let mount = match (&desired.persistence, volume) {
        (Persistence::Mounted(snapshots), Some(volume)) => Some((snapshots, volume)),
        (Persistence::Mounted(_) | Persistence::Disabled, _) => None,
    };
    let login = desired.server.access.login.as_ref();
    // The way to start the server is the entry point's, which a new valkeep may change without a restart.
    let before = password::before_server(login);
    let has_password = !before.is_empty();
    let (entry_point, command) = match &mount {
        Some((snapshots, _)) => (
            ["/bin/sh", "-c", LOCK_SCRIPT, LOCK_NAME]
                .map(str::to_owned)
                .into_iter()
                .chain(has_password.then(|| snapshots.mount_path.clone()))
                .chain(before)
                .collect(),
            (!has_password)
                .then(|| snapshots.mount_path.clone())
                .into_iter()
                .chain(["valkey-server".to_owned()])
                .chain(mounted_flags(&desired.server, snapshots))
                .chain(common_flags(desired, created))
                .collect(),
        ),
        // Not through the image's own entry point: that one appends VALKEY_EXTRA_FLAGS behind ours.
        None => (
            if has_password {
                before
            } else {
                vec!["valkey-server".to_owned()]
            },
            has_password
                .then(|| "valkey-server".to_owned())
                .into_iter()
                .chain(["--save", "", "--appendonly", "no"].map(str::to_owned))
                .chain(flags(memory_settings(&desired.server)))
                .chain(common_flags(desired, created))
                .collect(),
        ),
    };
    TaskDefinition {
        family: desired.names.family.clone(),
        task_role_arn: role_arn.to_owned(),
        execution_role_arn: task.execution_role_arn.clone(),
        cpu: task.cpu,
        memory_mib: task.memory_mib,
        launch_type: task.launch_type,
        container: Container {
            name: desired.server.container.clone(),
            image: task.image.clone(),
            entry_point,
            command,
            // The image's entry point would start as root and chown the directory, which an access point refuses.
            user: Some(format!("{}:{}", desired.access_point.uid, desired.access_point.gid)),
            port: desired.server.port,
            environment: {
                let snapshots = mount.as_ref().map(|(snapshots, _)| *snapshots);
                let mut environment = environment(snapshots, stale_before, desired.restart.as_deref());
                environment.extend(password::user(login));
                environment
            },
            secrets: password::secrets(login),
            mount_path: mount.as_ref().map(|(snapshots, _)| snapshots.mount_path.clone()),
            log_group: created.log_group.name.clone(),
            log_region: desired.identity.region.clone(),
            stop_timeout_s: desired.server.stop_timeout_s,
            health_check: health_check(desired.server.port),
        },
        volume: mount.map(|(_, (file_system, access_point))| EfsVolume {
            name: desired.names.volume.clone(),
            file_system,
            access_point,
        }),
    }
}

/// The service settings that a document means: one task, stopped before the next starts.
pub fn service_settings(desired: &Desired, created: &Created) -> ServiceSettings {
    let mut subnets = desired.network.subnets.clone();
    subnets.sort();
    let mut groups = desired.network.task_groups.clone();
    groups.sort();
    ServiceSettings {
        subnets,
        groups,
        assign_public_ip: created.service.assign_public_ip,
        minimum_healthy_percent: Some(0),
        maximum_percent: Some(100),
        circuit_breaker: true,
        rollback: false,
        zone_rebalancing: Some(false),
        enable_execute_command: created.service.enable_execute_command,
        registry_arn: created.service.registry_arn.clone(),
    }
}

pub(crate) fn mounted_flags(server: &ServerSpec, snapshots: &Snapshots) -> Vec<String> {
    let mut settings = vec![("dir", snapshots.mount_path.clone())];
    settings.extend(live_settings(server, snapshots));
    settings.extend([
        ("dbfilename", snapshots.filename.clone()),
        (SETTING_APPEND_ONLY, yes_no(snapshots.append_only.is_some())),
    ]);
    flags(settings)
}

fn flags(settings: Vec<(&str, String)>) -> Vec<String> {
    settings
        .into_iter()
        .flat_map(|(name, value)| [format!("--{name}"), value])
        .collect()
}

/// What the document says of the server that it takes while it runs, as `CONFIG GET` spells it.
pub(crate) fn live_settings(server: &ServerSpec, snapshots: &Snapshots) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("save", snapshots.save.directive()),
        ("rdbcompression", yes_no(snapshots.compression)),
        ("stop-writes-on-bgsave-error", yes_no(snapshots.stop_writes_on_error)),
    ];
    settings.extend(
        snapshots
            .append_only
            .map(|fsync| ("appendfsync", fsync.as_str().to_owned())),
    );
    settings.extend(memory_settings(server));
    settings
}

/// What is not said is left to Valkey.
fn memory_settings(server: &ServerSpec) -> Vec<(&'static str, String)> {
    let maxmemory = server.maxmemory_bytes.map(|bytes| ("maxmemory", bytes.to_string()));
    let policy = server
        .maxmemory_policy
        .map(|policy| ("maxmemory-policy", policy.as_str().to_owned()));
    maxmemory.into_iter().chain(policy).collect()
}

fn common_flags(desired: &Desired, created: &Created) -> Vec<String> {
    ["--port", &desired.server.port.to_string()]
        .into_iter()
        .map(str::to_owned)
        .chain(created.task.extra_flags.iter().cloned())
        .collect()
}

pub(crate) fn yes_no(value: bool) -> String {
    if value { "yes" } else { "no" }.to_owned()
}

/// Variables of ours: what the lock script reads, and the mark that makes a definition another one.
pub(crate) fn environment(
    snapshots: Option<&Snapshots>,
    stale_before: Option<Timestamp>,
    restart: Option<&str>,
) -> BTreeMap<String, String> {
    let restart = restart.map(|value| (ENV_RESTART.to_owned(), value.to_owned()));
    let mut environment = BTreeMap::from_iter(restart);
    let Some(snapshots) = snapshots else {
        return environment;
    };
    if snapshots.append_only.is_some() {
        environment.insert(ENV_APPEND_ONLY.to_owned(), "yes".to_owned());
        environment.insert(ENV_DUMP.to_owned(), snapshots.filename.clone());
        return environment; // The dump is not loaded, so it cannot be too old.
    }
    if snapshots.stale_dump == StaleDump::SetAside || stale_before.is_some() {
        environment.insert(ENV_DUMP.to_owned(), snapshots.filename.clone());
        if snapshots.save.is_off() {
            environment.insert(ENV_SAVES.to_owned(), "no".to_owned());
        }
    }
    if let Some(before) = stale_before {
        environment.insert(ENV_BEFORE.to_owned(), before.as_second().to_string());
    }
    environment
}

/// Alive is: waiting for the lock (PID 1 is still the shell), or any answer of the server, which while loading or
/// with a full disk is an error. `valkey-cli ping` exits 0 on an error reply and 1 on a refused connection, so the
/// words decide. Whether data is served is judged from `INFO`, not here: an unhealthy mark would kill a server that
/// only loads for long.
fn health_check(port: u16) -> HealthCheck {
    let script = format!(
        "[ \"$(cat /proc/1/comm)\" = sh ] && exit 0; case \"$(valkey-cli -p {port} ping 2>&1)\" in \
         *PONG*|*LOADING*|*MASTERDOWN*|*BUSY*|*MISCONF*|*NOAUTH*|*NOPERM*) exit 0;; esac; exit 1"
    );
    HealthCheck {
        command: vec!["CMD-SHELL".to_owned(), script],
        interval_s: 10,
        timeout_s: 5,
        retries: 3,
        start_period_s: 300,
    }
}
