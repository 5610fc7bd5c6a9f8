//! The lock script, run for real by every POSIX shell that the machine has.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};
use valkeep_plan::LOCK_SCRIPT;

/// Long enough for a loaded machine; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn shells() -> Vec<Vec<&'static str>> {
    let all = [
        vec!["/bin/sh"],
        vec!["/bin/dash"],
        vec!["/bin/bash", "--posix"],
        vec!["/bin/busybox", "ash"],
    ];
    let found: Vec<_> = all.into_iter().filter(|shell| Path::new(shell[0]).exists()).collect();
    assert!(!found.is_empty(), "no shell at all");
    found
}

/// The script as ECS starts it, with a command in the server's place.
fn start(shell: &[&str], dir: &Path, server: &str, environment: &[(&str, &str)]) -> Child {
    Command::new(shell[0])
        .args(&shell[1..])
        .args(["-c", LOCK_SCRIPT, "valkeep-lock"])
        .arg(dir)
        .args(["/bin/sh", "-c", server])
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the shell starts")
}

fn until(what: &str, mut good: impl FnMut() -> bool) {
    let start = Instant::now();
    while !good() {
        assert!(start.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn terminate(child: &Child) {
    let killed = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .expect("kill runs");
    assert!(killed.success());
}

fn said(child: &mut Child) -> String {
    let mut text = String::new();
    child
        .stderr
        .take()
        .expect("piped")
        .read_to_string(&mut text)
        .expect("text");
    text
}

/// Finishes a run whose server ends at once.
fn run(shell: &[&str], dir: &Path, environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut child = start(shell, dir, "exit 7", environment);
    let code = child.wait().expect("it ends").code();
    (code, said(&mut child))
}

fn dump(dir: &Path, text: &str, seconds: u64) {
    let path = dir.join("dump.rdb");
    fs::write(&path, text).expect("written");
    touch(&path, seconds);
}

fn touch(path: &Path, seconds: u64) {
    let file = fs::File::options().append(true).open(path).expect("it is there");
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
        .expect("set");
}

#[test]
fn the_script_is_posix_for_every_shell() {
    for shell in shells() {
        let checked = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-n", "-c", LOCK_SCRIPT])
            .status()
            .expect("the shell starts");
        assert!(checked.success(), "{shell:?}");
    }
    // busybox's flock knows no -w, and a lock file that is removed is a second lock.
    assert!(!LOCK_SCRIPT.contains("flock -w"));
    let removing = LOCK_SCRIPT.lines().filter(|line| line.contains("rm "));
    assert!(
        removing
            .eq([r#"  if rm -f "$t"; then say "removed $t, an unfinished snapshot"; else say "cannot remove $t"; fi"#])
    );
}

#[test]
fn the_server_takes_over_the_process_and_keeps_the_lock() {
    for shell in shells() {
        let dir = tempfile::tempdir().expect("a directory");
        let pid = dir.path().join("pid");
        let mut first = start(
            &shell,
            dir.path(),
            &format!("echo $$ > '{}'; exec sleep 60", pid.display()),
            &[],
        );
        until("the server", || {
            fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n'))
        });
        assert_eq!(
            fs::read_to_string(&pid).expect("a pid").trim(),
            first.id().to_string(),
            "{shell:?}"
        );

        let ready = dir.path().join("second");
        let mut second = start(&shell, dir.path(), &format!("touch '{}'; exit 5", ready.display()), &[]);
        until("the wait", || children(second.id()).contains("sleep"));
        assert!(!ready.exists(), "{shell:?}: two servers on one directory");
        terminate(&first);
        assert_eq!(first.wait().expect("it ends").signal(), Some(15));
        assert_eq!(second.wait().expect("it ends").code(), Some(5), "{shell:?}");
        let words = said(&mut second);
        assert!(
            words.contains("waiting for") && words.contains("took over"),
            "{shell:?}: {words}"
        );
        assert_eq!(words.matches("waiting for").count(), 1, "{shell:?}: {words}");
    }
}

/// The commands of a process's children.
fn children(pid: u32) -> String {
    let ids = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    ids.split_whitespace()
        .filter_map(|id| fs::read_to_string(format!("/proc/{id}/comm")).ok())
        .collect()
}

#[test]
fn a_waiting_server_answers_sigterm() {
    for shell in shells() {
        let dir = tempfile::tempdir().expect("a directory");
        let ready = dir.path().join("ready");
        let mut first = start(
            &shell,
            dir.path(),
            &format!("touch '{}'; exec sleep 60", ready.display()),
            &[],
        );
        until("the server", || ready.exists());
        let mut second = start(&shell, dir.path(), "exit 5", &[]);
        until("the wait", || children(second.id()).contains("sleep"));
        terminate(&second);
        assert_eq!(second.wait().expect("it ends").code(), Some(143), "{shell:?}");
        assert!(
            said(&mut second).contains("stopped before the server started"),
            "{shell:?}"
        );
        first.kill().expect("killed");
        first.wait().expect("it ends");
    }
}

/// What Valkey writes a snapshot to, and what only looks like it.
const UNFINISHED: [&str; 3] = ["temp-1.rdb", "temp-4711.rdb", "temp-1795392000.1.rdb"];
const LEFT_ALONE: [&str; 8] = [
    "temp-.rdb",
    "temp-old.rdb",
    "temp-1-old.rdb",
    "temp-1.rdb.gz",
    "temp-1.aof",
    "a-temp-1.rdb",
    "dump.rdb",
    "below/temp-1.rdb",
];

#[test]
fn unfinished_snapshots_go_once_nobody_holds_the_lock_and_nothing_else_does() {
    for shell in shells() {
        let home = tempfile::tempdir().expect("a directory");
        let dir = home.path().join("a directory * of [its] own");
        fs::create_dir_all(dir.join("below")).expect("made");
        let there = |name: &&str| dir.join(name).exists();
        let ready = home.path().join("ready");
        let mut first = start(
            &shell,
            &dir,
            &format!("touch '{}'; exec sleep 60", ready.display()),
            &[],
        );
        until("the server", || ready.exists());
        for name in UNFINISHED.iter().chain(&LEFT_ALONE) {
            fs::write(dir.join(name), name).expect("written");
        }
        fs::create_dir(dir.join("temp-2.rdb")).expect("made");
        // One that waits touches nothing, not even when it is told to end.
        let mut second = start(&shell, &dir, "exit 5", &[]);
        until("the wait", || children(second.id()).contains("sleep"));
        terminate(&second);
        assert_eq!(second.wait().expect("it ends").code(), Some(143), "{shell:?}");
        assert!(UNFINISHED.iter().all(there), "{shell:?}");
        // SIGKILL, as when the task is killed in the middle of a save.
        first.kill().expect("killed");
        first.wait().expect("it ends");
        let (code, words) = run(&shell, &dir, &[]);
        assert_eq!(code, Some(7), "{shell:?}: {words}");
        assert!(!UNFINISHED.iter().any(there), "{shell:?}: {words}");
        assert!(LEFT_ALONE.iter().all(there), "{shell:?}: {words}");
        assert!(dir.join("temp-2.rdb").is_dir(), "{shell:?}: {words}");
        assert_eq!(
            words.matches("an unfinished snapshot").count(),
            UNFINISHED.len(),
            "{words}"
        );
        let (_, words) = run(&shell, &dir, &[]);
        assert_eq!(words, "", "{shell:?}: nothing is left to say");
    }
}

#[test]
fn a_directory_that_cannot_be_written_says_so() {
    for shell in shells() {
        let dir = tempfile::tempdir().expect("a directory");
        let missing = dir.path().join("missing");
        let (code, words) = run(&shell, &missing, &[]);
        assert_eq!(code, Some(74), "{shell:?}: {words}");
        assert!(words.contains("cannot write"), "{shell:?}: {words}");
    }
}

#[test]
fn an_image_without_flock_says_so_and_does_not_wait_for_ever() {
    for shell in shells().into_iter().filter(|shell| shell[0] != "/bin/busybox") {
        let dir = tempfile::tempdir().expect("a directory");
        let (code, words) = run(&shell, dir.path(), &[("PATH", "/nonexistent")]);
        assert_eq!(code, Some(69), "{shell:?}: {words}");
    }
}

#[test]
fn a_lock_that_does_not_work_is_not_waited_for() {
    for shell in shells() {
        let tools = tempfile::tempdir().expect("a directory");
        let flock = tools.path().join("flock");
        fs::write(&flock, "#!/bin/sh\nexit 69\n").expect("written");
        fs::set_permissions(&flock, fs::Permissions::from_mode(0o755)).expect("executable");
        let path = format!("{}:/usr/bin:/bin", tools.path().display());
        let dir = tempfile::tempdir().expect("a directory");
        let (code, words) = run(&shell, dir.path(), &[("PATH", &path)]);
        assert_eq!(code, Some(71), "{shell:?}: {words}");
        assert!(words.contains("code 69"), "{shell:?}: {words}");
    }
}

#[test]
fn without_being_told_no_dump_is_touched() {
    for shell in shells() {
        let dir = tempfile::tempdir().expect("a directory");
        dump(dir.path(), "old", 1000);
        assert_eq!(run(&shell, dir.path(), &[]).0, Some(7));
        assert_eq!(
            fs::read_to_string(dir.path().join("dump.rdb")).expect("it is there"),
            "old"
        );
    }
}

#[test]
fn a_dump_from_before_the_time_is_renamed_and_never_removed() {
    let told = [("VALKEEP_DUMP", "dump.rdb"), ("VALKEEP_SET_ASIDE_BEFORE", "2000")];
    for shell in shells() {
        let dir = tempfile::tempdir().expect("a directory");
        dump(dir.path(), "one", 1999);
        let (code, words) = run(&shell, dir.path(), &told);
        assert_eq!(code, Some(7), "{shell:?}: {words}");
        assert!(words.contains("set aside"), "{words}");
        // One of the same second does not replace it.
        dump(dir.path(), "two", 1999);
        assert_eq!(run(&shell, dir.path(), &told).0, Some(7));
        let aside = |name: &str| fs::read_to_string(dir.path().join(name)).expect("it is there");
        assert_eq!(aside("dump.rdb.set-aside-1999"), "one");
        assert_eq!(aside("dump.rdb.set-aside-1999+"), "two");
        assert!(!dir.path().join("dump.rdb").exists());
        // A newer one is the server's own.
        dump(dir.path(), "new", 2000);
        assert_eq!(run(&shell, dir.path(), &told).0, Some(7));
        assert_eq!(aside("dump.rdb"), "new");
    }
}

#[test]
fn what_an_unsaving_server_found_at_its_start_is_old_at_the_next() {
    let unsaving = [("VALKEEP_DUMP", "dump.rdb"), ("VALKEEP_SAVES", "no")];
    let saving = [("VALKEEP_DUMP", "dump.rdb")];
    for shell in shells() {
        for then in [&unsaving[..], &saving[..]] {
            let dir = tempfile::tempdir().expect("a directory");
            let file = dir.path().join("dump.rdb");
            dump(dir.path(), "final save", 1000);
            assert_eq!(run(&shell, dir.path(), &unsaving).0, Some(7));
            assert!(file.exists(), "{shell:?}: the first start loads the final save");
            run(&shell, dir.path(), then);
            assert!(!file.exists(), "{shell:?}: the next start would bring old data back");
            // One that was written by hand since then is not old.
            touch(&dir.path().join(".valkeep.unsaved"), 1500);
            dump(dir.path(), "by hand", 1501);
            run(&shell, dir.path(), then);
            assert!(file.exists(), "{shell:?}");
        }
    }
}

#[test]
fn a_directory_without_a_dump_starts_empty() {
    let told = [("VALKEEP_DUMP", "dump.rdb"), ("VALKEEP_SET_ASIDE_BEFORE", "2000")];
    for shell in shells() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(run(&shell, dir.path(), &told).0, Some(7));
        let mode = fs::metadata(dir.path().join(".valkeep.lock"))
            .expect("the lock")
            .permissions()
            .mode();
        assert_ne!(mode & 0o600, 0);
    }
}
