//! An empty folder and an empty environment to run the binary in.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// The smallest valid document.
pub(crate) const DOCUMENT: &str = include_str!("../document.yaml");

/// The sandbox; gone when dropped.
pub(crate) struct Sandbox {
    folder: TempDir,
    environment: Vec<(&'static str, &'static str)>,
}

/// What a command did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Output {
    /// Exit code.
    pub(crate) code: i32,
    /// Data.
    pub(crate) stdout: String,
    /// Talk.
    pub(crate) stderr: String,
}

impl Sandbox {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a temporary folder can be made"),
            environment: Vec::new(),
        }
    }

    /// With one more variable.
    pub(crate) fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.environment.push((name, value));
        self
    }

    /// Writes a file, with its folders.
    pub(crate) fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("has a folder")).expect("can be made");
        fs::write(path, text).expect("can be written");
        self
    }

    /// Reads a file, if it is there.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    /// A path in the sandbox.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The binary, in the sandbox.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_valkeep"));
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.environment.iter().copied());
        command
    }

    /// Runs it.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.run_with(args, "")
    }

    /// Runs it with text on stdin.
    pub(crate) fn run_with(&self, args: &[&str], stdin: &str) -> Output {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary is built");
        let mut pipe = child.stdin.take().expect("is piped");
        // The command may end without reading.
        let _ = pipe.write_all(stdin.as_bytes());
        drop(pipe);
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: Vec<u8>| self.plain(&String::from_utf8(bytes).expect("UTF-8"));
        Output {
            code: output.status.code().expect("ended by itself"),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// The revision of a document in a folder store, as `apply` told it.
    pub(crate) fn apply(&self, file: &str, store: &str) -> String {
        let applied = self.run(&["apply", file, "--store", store]);
        assert_eq!(applied.code, 0, "{applied:?}");
        let revision = applied.stdout.trim().rsplit(' ').next().expect("has words");
        revision.to_owned()
    }

    /// Without what differs from run to run.
    fn plain(&self, text: &str) -> String {
        let folder = self.folder.path();
        text.replace(&Path::display(folder).to_string(), "SANDBOX")
    }
}

/// Asserts the whole output, with a readable difference.
pub(crate) fn check(output: &Output, code: i32, stdout: &str, stderr: &str) {
    let Output {
        code: got,
        stdout: data,
        stderr: talk,
    } = output;
    assert_eq!(data, stdout, "stdout; stderr was:\n{talk}");
    assert_eq!(talk, stderr, "stderr");
    assert_eq!(*got, code, "exit code");
}
