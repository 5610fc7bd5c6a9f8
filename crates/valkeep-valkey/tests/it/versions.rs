//! What real servers read, compared with the table of `valkeep_core::versions`: each other's files, and recorded dumps of
//! servers that are not on this machine.

use crate::server::{Ended, Program, Server};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use valkeep_core::ValkeyInfo;
use valkeep_core::versions::Product;
use valkeep_valkey::parse_info;

const PROGRAMS: [Program; 2] = [Program::Valkey, Program::Redis];
const APPEND_ONLY: &[&str] = &["--appendonly", "yes"];
/// A key of every type that both lines have, in the encodings of small ones.
const KEYS: [&[&str]; 6] = [
    &["SET", "text", "value"],
    &["RPUSH", "list", "one", "two"],
    &["SADD", "set", "one", "two"],
    &["ZADD", "sorted", "1", "one"],
    &["HSET", "hash", "field", "value"],
    &["XADD", "stream", "*", "field", "value"],
];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// Every recorded dump, with its file's name.
fn dumps() -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<(String, Vec<u8>)> = fs::read_dir(folder("dumps"))
        .expect("the dumps")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rdb"))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, fs::read(&path).expect("readable"))
        })
        .collect();
    found.sort();
    assert!(found.len() >= 12, "the dumps are there");
    found
}

fn product(text: &str) -> Product {
    Product::parse(text).unwrap_or_else(|| panic!("{text} is a product"))
}

/// The server that a recorded dump says it was written by: its first auxiliary field.
fn writer(dump: &[u8]) -> String {
    let at = dump.iter().position(|byte| *byte == 0xfa).expect("an auxiliary field");
    let (key, rest) = dump[at + 2..].split_at(dump[at + 1].into());
    let value = &rest[1..=usize::from(rest[0])];
    let name = String::from_utf8_lossy(key).replace("-ver", "");
    format!("{name} {}", String::from_utf8_lossy(value))
}

#[test]
fn a_recorded_info_and_the_dump_beside_it_are_of_one_server_and_of_the_format_that_the_table_says() {
    for (name, dump) in dumps() {
        let says = writer(&dump);
        let format = product(&says).writes().to_string();
        assert!(dump.starts_with(format.as_bytes()), "{name}: {format}");
        match fs::read_to_string(folder("info").join(format!("{name}.txt"))) {
            Ok(text) => assert_eq!(parse_info(&text).expect("understood").product(), says, "{name}"),
            Err(_) => assert_eq!(name, "redis-6.2"),
        }
        let (line, version) = name.split_once('-').expect("a name and a version");
        assert!(says.starts_with(&format!("{line} {version}.")), "{name}: {says}");
    }
}

/// The product of a server of this machine.
async fn installed(program: Program) -> Product {
    let dir = TempDir::new().expect("a directory");
    let server = Server::of(program, dir, &["--save", ""]).await.expect("it serves");
    product(&server.info().await.product())
}

#[tokio::test]
async fn servers_read_the_recorded_dumps_that_the_table_says_and_leave_the_others_as_they_are() {
    for program in PROGRAMS {
        let reader = installed(program).await;
        let (mut read, mut refused) = (0, 0);
        for (name, dump) in dumps() {
            let dir = TempDir::new().expect("a directory");
            fs::write(dir.path().join("dump.rdb"), &dump).expect("written");
            match Server::of(program, dir, &[]).await {
                Ok(_) => {
                    assert!(reader.reads(product(&writer(&dump))), "{program:?} serves from {name}");
                    read += 1;
                }
                Err(ended) => {
                    assert!(
                        !reader.reads(product(&writer(&dump))),
                        "{program:?} on {name}: {}",
                        ended.log
                    );
                    assert_refused(&ended);
                    let left = fs::read(ended.dir.path().join("dump.rdb")).expect("still there");
                    assert!(left == dump, "{program:?} changed {name}");
                    refused += 1;
                }
            }
        }
        assert!(
            read >= 2 && refused >= 2,
            "{program:?} read {read} and refused {refused}"
        );
    }
}

/// A server that cannot read its files ends at once, and says why.
fn assert_refused(ended: &Ended) {
    let why = ["Can't handle RDB format version", "Wrong signature trying to load DB"];
    assert!(why.iter().any(|words| ended.log.contains(words)), "{}", ended.log);
    assert_eq!(ended.code, Some(1));
}

/// A directory with keys that a server wrote and left.
async fn written_by(program: Program, arguments: &[&str]) -> (TempDir, ValkeyInfo) {
    let dir = TempDir::new().expect("a directory");
    let server = Server::of(program, dir, arguments).await.expect("it serves");
    for command in KEYS {
        server.run(command).await;
    }
    if arguments == APPEND_ONLY {
        // The keys go into the part that is a dump.
        server.run(&["BGREWRITEAOF"]).await;
        server
            .until(|info| {
                info.append_only
                    .is_some_and(|file| !file.rewriting && file.last_rewrite_ok)
            })
            .await;
    }
    let info = server.info().await;
    (server.stop().await, info)
}

#[tokio::test]
async fn servers_read_each_others_files_exactly_as_the_table_says() {
    let mut refused = 0;
    for arguments in [&[], APPEND_ONLY] {
        for by in PROGRAMS {
            for program in PROGRAMS {
                let (dir, info) = written_by(by, arguments).await;
                let writer = product(&info.product());
                let reads = installed(program).await.reads(writer);
                let before = files(dir.path());
                if arguments.is_empty() {
                    let begins = writer.writes().to_string();
                    assert!(before[0].1.starts_with(begins.as_bytes()), "{by:?} writes {begins}");
                }
                match Server::of(program, dir, arguments).await {
                    Ok(server) => {
                        assert!(reads, "{program:?} serves from what {by:?} wrote");
                        assert_eq!(server.info().await.keys, 6, "{program:?} on files of {by:?}");
                    }
                    Err(ended) => {
                        assert!(!reads, "{program:?} on files of {by:?}: {}", ended.log);
                        assert_refused(&ended);
                        assert!(files(ended.dir.path()) == before, "{program:?} changed files of {by:?}");
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(refused > 0, "one of the two is older");
}

/// Every file below a directory, with what is in it.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = fs::read(&path).expect("readable");
            found.push((path, content));
        }
    }
    found.sort();
    found
}
