//! RESP over one blocking connection: what a client library does, with every wait bounded.

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// The longest answer taken: a value or an `INFO`; both stay far below.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Commands sent before their answers are read, so that neither side's buffers fill up.
const BATCH: usize = 100;

/// A connection.
#[derive(Debug)]
pub struct Client(BufReader<TcpStream>);

/// What a server answers to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// `+OK`, a number or a value, as text.
    Text(String),
    /// There is no such key.
    Nothing,
    /// A refusal.
    Error(String),
}

impl Client {
    /// Connects; `bound` is for that and for every answer.
    pub fn connect(address: SocketAddr, bound: Duration) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, bound)?;
        stream.set_read_timeout(Some(bound))?;
        stream.set_write_timeout(Some(bound))?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// One command.
    pub fn ask(&mut self, words: &[&str]) -> Result<Answer> {
        self.0.get_mut().write_all(&command(words))?;
        self.answer()
    }

    /// Many commands, with as many answers in their order.
    pub fn ask_all(&mut self, commands: &[Vec<String>]) -> Result<Vec<Answer>> {
        let mut answers = Vec::with_capacity(commands.len());
        for batch in commands.chunks(BATCH) {
            let bytes: Vec<u8> = batch.iter().flat_map(|words| command(words)).collect();
            self.0.get_mut().write_all(&bytes)?;
            for _ in batch {
                answers.push(self.answer()?);
            }
        }
        Ok(answers)
    }

    /// A field of `INFO`.
    pub fn info(&mut self, section: &str, field: &str) -> Result<u64> {
        let answer = self.ask(&["INFO", section])?;
        let Answer::Text(text) = answer else {
            bail!("INFO {section}: {answer:?}");
        };
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let value = value.with_context(|| format!("INFO {section} has no {field}"))?;
        Ok(value.trim().parse()?)
    }

    fn answer(&mut self) -> Result<Answer> {
        let mut line = String::new();
        ensure!(self.0.read_line(&mut line)? > 0, "the connection was closed");
        let line = line.trim_end();
        let (kind, rest) = line.split_at_checked(1).context("an empty answer")?;
        match kind {
            "+" | ":" => Ok(Answer::Text(rest.to_owned())),
            "-" => Ok(Answer::Error(rest.to_owned())),
            "$" if rest == "-1" => Ok(Answer::Nothing),
            "$" => {
                let length: usize = rest.parse()?;
                ensure!(length <= BYTES_MAX, "an answer of {length} bytes");
                let mut bytes = vec![0; length + 2];
                self.0.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Ok(Answer::Text(String::from_utf8(bytes)?))
            }
            _ => bail!("not understood: {line}"),
        }
    }
}

fn command(words: &[impl AsRef<str>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    bytes
}
