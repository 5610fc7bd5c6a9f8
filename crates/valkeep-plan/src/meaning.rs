//! What of a document a server must be started anew for, as one hash on the definition that was rendered from it. Two
//! definitions of one hash differ only in the way in which two versions of valkeep write the same, and no server is replaced
//! for that.
//!
//! The hash must stay the same from version to version: a part that a later version adds is left out while it has its default.

use crate::password;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use valkeep_core::desired::{Created, ServerSpec, Snapshots, StaleDump};
use valkeep_core::ids::{AccessPointId, FileSystemId};
use valkeep_core::task_definition::ENV_PASSWORD;
use valkeep_core::{Desired, Timestamp};

/// Parts by name; what a running server takes is none of them.
#[derive(Debug, Default)]
pub(crate) struct Meaning(BTreeMap<&'static str, String>);

impl Meaning {
    /// Of the server and its directory, whoever maintains the rest.
    pub(crate) fn of_server(server: &ServerSpec, role_arn: &str, user: &str, restart: Option<&str>) -> Self {
        let mut parts = Self::default();
        parts.say("container", &server.container);
        parts.say("port", &server.port.to_string());
        parts.say("stopTimeout", &server.stop_timeout_s.to_string());
        parts.say("role", role_arn);
        parts.say("user", user);
        if let Some(restart) = restart {
            parts.say("restart", restart);
        }
        parts
    }

    /// And of what lies in the directory.
    pub(crate) fn with_data(
        mut self,
        snapshots: &Snapshots,
        (file_system, access_point): (&FileSystemId, &AccessPointId),
        stale_before: Option<Timestamp>,
    ) -> Self {
        self.say("fileSystem", file_system.as_str());
        self.say("accessPoint", access_point.as_str());
        self.say("mountPath", &snapshots.mount_path);
        self.say("filename", &snapshots.filename);
        self.say("saves", &(!snapshots.save.is_off()).to_string());
        self.say("appends", &snapshots.append_only.is_some().to_string());
        self.say("setsAside", &(snapshots.stale_dump == StaleDump::SetAside).to_string());
        if let Some(before) = stale_before {
            self.say("staleBefore", &before.as_second().to_string());
        }
        self
    }

    /// And of the task, where the document makes that.
    pub(crate) fn with_task(mut self, desired: &Desired, created: &Created) -> Self {
        let task = &created.task;
        self.say("image", &task.image);
        self.say("cpu", &task.cpu.to_string());
        self.say("memory", &task.memory_mib.to_string());
        self.say("launchType", task.launch_type.as_str());
        self.say("logGroup", &created.log_group.name);
        for flag in &task.extra_flags {
            // A flag may hold any letter but the one that no command line can.
            let flags = self.0.entry("extraFlags").or_default();
            flags.push_str(flag);
            flags.push('\0');
        }
        if let Some(role) = &task.execution_role_arn {
            self.say("executionRole", role);
        }
        let login = desired.server.access.login.as_ref();
        if let Some((_, name)) = password::user(login) {
            self.say("login", &name);
        }
        for (variable, secret) in password::secrets(login) {
            let part = if variable == ENV_PASSWORD {
                "password"
            } else {
                "loginSecret"
            };
            self.say(part, secret.as_str());
        }
        self
    }

    fn say(&mut self, part: &'static str, value: &str) {
        self.0.insert(part, value.to_owned());
    }

    /// SHA-256 in hexadecimal.
    pub(crate) fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (part, value) in &self.0 {
            for text in [part.as_bytes(), value.as_bytes()] {
                hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
                hash.update(text);
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
