//! localaws as a process of its own, as a user would start it.

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running localaws with the example's VPC, cluster and roles in it.
pub(crate) struct LocalAwsProcess {
    process: Child,
    variables: BTreeMap<String, String>,
}

impl LocalAwsProcess {
    /// Starts it on a port that the system chooses and reads where it listens.
    pub(crate) fn start(data: &Path) -> Result<Self> {
        let mut process = Command::new(program("localaws")?)
            .args(["serve", "--port", "0", "--world", "--speed", "fast", "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("localaws does not start")?;
        let mut variables = BTreeMap::new();
        let mut lines = BufReader::new(process.stdout.take().context("stdout is piped")?).lines();
        // The last of the lines that it prints once it answers.
        while !variables.contains_key("LOCALAWS_BUCKET") {
            let line = lines
                .next()
                .context("localaws ended without saying where it listens")??;
            if let Some((name, value)) = line.trim_start_matches("export ").split_once('=') {
                variables.insert(name.to_owned(), value.trim_matches('\'').trim_matches('"').to_owned());
            }
        }
        Ok(Self { process, variables })
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn endpoint(&self) -> &str {
        self.value("AWS_ENDPOINT_URL")
    }

    /// A variable that it printed, or nothing.
    pub(crate) fn value(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    /// The variables that the SDK reads.
    pub(crate) fn sdk_variables(&self) -> impl Iterator<Item = (&String, &String)> {
        self.variables.iter().filter(|(name, _)| name.starts_with("AWS_"))
    }

    /// ECS `StopTask`, as a person would ask for it.
    pub(crate) fn stop_task(&self, task: &str) -> Result<()> {
        let body =
            serde_json::json!({ "cluster": "trigpointing-cluster", "task": task, "reason": "the demo" }).to_string();
        let address = self.endpoint().trim_start_matches("http://");
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/x-amz-json-1.1\r\n\
             X-Amz-Target: AmazonEC2ContainerServiceV20141113.StopTask\r\nContent-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=demo/20260101/{}/ecs/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n{body}",
            body.len(),
            self.value("AWS_REGION"),
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        if !answer.starts_with("HTTP/1.1 200") {
            bail!("StopTask failed: {answer}");
        }
        Ok(())
    }

    /// Ends it, and with it its tasks, and waits for that.
    pub(crate) fn stop(mut self) -> Result<()> {
        end(&mut self.process, "localaws")
    }
}

impl Drop for LocalAwsProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// SIGTERM, and SIGKILL after 30 s.
pub(crate) fn end(process: &mut Child, name: &str) -> Result<()> {
    if process.try_wait()?.is_some() {
        return Ok(());
    }
    kill(Pid::from_raw(i32::try_from(process.id())?), Signal::SIGTERM)?;
    let deadline = Instant::now() + Duration::from_secs(30);
    while process.try_wait()?.is_none() {
        if Instant::now() > deadline {
            process.kill()?;
            bail!("{name} did not end within 30 s of SIGTERM");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// A program of this workspace, built beside this one.
pub(crate) fn program(name: &str) -> Result<std::path::PathBuf> {
    let path = std::env::current_exe()?.with_file_name(name);
    if !path.exists() {
        bail!("{} is not there; run cargo build --workspace", path.display());
    }
    Ok(path)
}
