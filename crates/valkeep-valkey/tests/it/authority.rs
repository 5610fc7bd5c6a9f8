//! A certificate authority for the length of one test, made with OpenSSL's own tool.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;
use valkeep_core::access::Tls;

/// From and until when a certificate is good.
pub(crate) type Validity = (&'static str, &'static str);
pub(crate) const PRESENT: Validity = ("20200101000000Z", "20491231000000Z");
pub(crate) const PAST: Validity = ("20200101000000Z", "20200102000000Z");

const CONFIG: &str = "
[ca]
default_ca = this
[this]
database = index.txt
new_certs_dir = .
rand_serial = yes
unique_subject = no
default_md = sha256
policy = policy
copy_extensions = copy
[policy]
commonName = supplied
";

/// Its files go with it.
pub(crate) struct Authority {
    dir: TempDir,
}

/// What a server shows and what it keeps.
pub(crate) struct Certificate {
    pub(crate) shown: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) authority: PathBuf,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().expect("a directory");
        std::fs::write(dir.path().join("openssl.cnf"), CONFIG).expect("written");
        std::fs::write(dir.path().join("index.txt"), "").expect("written");
        request(dir.path(), "ca", &["-x509", "-days", "30"], "ca.pem");
        Self { dir }
    }

    /// A certificate for these names (`DNS:one,IP:127.0.0.1`).
    pub(crate) fn sign(&self, names: &str, (from, until): Validity) -> Certificate {
        let dir = self.dir.path();
        let name = until;
        request(
            dir,
            name,
            &["-addext", &format!("subjectAltName={names}")],
            "request.pem",
        );
        let certificate = dir.join(format!("{name}.pem"));
        openssl(
            dir,
            &[
                "ca",
                "-batch",
                "-notext",
                "-config",
                "openssl.cnf",
                "-cert",
                "ca.pem",
                "-keyfile",
                "ca.key",
                "-in",
                "request.pem",
                "-startdate",
                from,
                "-enddate",
                until,
                "-out",
                &certificate.to_string_lossy(),
            ],
        );
        Certificate {
            shown: certificate,
            key: dir.join(format!("{name}.key")),
            authority: dir.join("ca.pem"),
        }
    }

    /// Its own certificate, shown by a server as if it were one for a server.
    pub(crate) fn itself(&self) -> Certificate {
        let dir = self.dir.path();
        Certificate {
            shown: dir.join("ca.pem"),
            key: dir.join("ca.key"),
            authority: dir.join("ca.pem"),
        }
    }

    /// Trust in it.
    pub(crate) fn tls(&self, server_name: Option<&str>) -> Tls {
        Tls {
            ca_pem: Some(std::fs::read_to_string(self.dir.path().join("ca.pem")).expect("it is there")),
            server_name: server_name.map(ToOwned::to_owned),
        }
    }
}

/// A key and a request, or a certificate that is its own authority.
fn request(dir: &Path, name: &str, arguments: &[&str], out: &str) {
    let key = format!("{name}.key");
    let subject = format!("/CN={name}");
    let mut all = vec![
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-subj",
        &subject,
        "-keyout",
        &key,
        "-out",
        out,
    ];
    all.extend(arguments);
    openssl(dir, &all);
}

fn openssl(dir: &Path, arguments: &[&str]) {
    let output = Command::new("openssl")
        .current_dir(dir)
        .args(arguments)
        .output()
        .expect("openssl is installed");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
