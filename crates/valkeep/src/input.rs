//! Documents from files, folders and stdin, read within a bound.

use crate::error::CommandError;
use crate::output::findings;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use valkeep_document::{Document, Finding, Findings};
use valkeep_store::{DOCUMENT_ENDINGS, DOCUMENT_LIMIT};

/// A file that should hold a document; `-` is stdin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct File {
    path: PathBuf,
}

impl File {
    /// Names a file; nothing is opened yet.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// What findings call it.
    pub(crate) fn name(&self) -> String {
        if self.is_stdin() {
            "<stdin>".to_owned()
        } else {
            self.path.display().to_string()
        }
    }

    /// The document, or what is wrong with it. An error is a file that cannot be read at all.
    pub(crate) fn read(&self) -> Result<Result<Document, Findings>, CommandError> {
        Ok(match self.bytes()? {
            Ok(bytes) => valkeep_document::read(&self.name(), &bytes),
            Err(findings) => Err(findings),
        })
    }

    /// The document; findings are an error.
    pub(crate) fn document(&self) -> Result<Document, CommandError> {
        self.read()?.map_err(invalid)
    }

    /// The document and its very bytes; findings are an error.
    pub(crate) fn document_and_bytes(&self) -> Result<(Document, Vec<u8>), CommandError> {
        let bytes = self.bytes()?.map_err(invalid)?;
        let document = valkeep_document::read(&self.name(), &bytes).map_err(invalid)?;
        Ok((document, bytes))
    }

    /// At most as many bytes as a store would take: more is a finding, and not read into memory.
    pub(crate) fn bytes(&self) -> Result<Result<Vec<u8>, Findings>, CommandError> {
        let mut bytes = Vec::new();
        let read = if self.is_stdin() {
            io::stdin().lock().take(DOCUMENT_LIMIT + 1).read_to_end(&mut bytes)
        } else {
            fs::File::open(&self.path).and_then(|file| file.take(DOCUMENT_LIMIT + 1).read_to_end(&mut bytes))
        };
        read.map_err(|error| CommandError::user(error).while_(format!("cannot read {}", self.name())))?;
        if bytes.len() as u64 > DOCUMENT_LIMIT {
            return Ok(Err(Findings(vec![Finding {
                file: self.name(),
                line: 0,
                column: 0,
                path: String::new(),
                problem: format!("the file is longer than {DOCUMENT_LIMIT} bytes, which no store takes"),
                instead: Some("a document is a few KB; check that this is one".to_owned()),
            }])));
        }
        Ok(Ok(bytes))
    }

    fn is_stdin(&self) -> bool {
        self.path == Path::new("-")
    }
}

/// All documents among files and folders; folders are searched for the endings that stores know, hidden ones left out.
pub(crate) fn documents(paths: &[PathBuf]) -> Result<Vec<File>, CommandError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let before = files.len();
            search(path, &mut files).map_err(|error| {
                CommandError::user(error).while_(format!("cannot read the folder {}", path.display()))
            })?;
            if files.len() == before {
                return Err(CommandError::user(format!("{} holds no documents", path.display()))
                    .hint(format!("documents end in {}", DOCUMENT_ENDINGS.join(", "))));
            }
        } else {
            files.push(File::new(path));
        }
    }
    Ok(files)
}

/// Links to folders are not followed, so a circle ends.
fn search(folder: &Path, files: &mut Vec<File>) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            search(&path, files)?;
        } else if is_document(&path) {
            files.push(File { path });
        }
    }
    Ok(())
}

fn is_document(path: &Path) -> bool {
    let name = path.file_name().unwrap_or(OsStr::new("")).to_string_lossy();
    DOCUMENT_ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Findings as an error of the command.
pub(crate) fn invalid(found: Findings) -> CommandError {
    not_valid("the document is", found)
}

/// The same, of the operator's settings.
pub(crate) fn invalid_settings(found: Findings) -> CommandError {
    not_valid("the settings are", found)
}

fn not_valid(what: &str, Findings(found): Findings) -> CommandError {
    CommandError::user(format!("{what} not valid\n{}", findings::text(&found).trim_end()))
}
