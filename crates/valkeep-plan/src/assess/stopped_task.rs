//! Explains a stopped task: what ECS says, the likely cause and the next step. ECS's sentences are matched by their
//! telling words, because their exact wording changes.

use valkeep_core::observed::Task;

/// A stopped task, explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// CamelCase, for the condition.
    pub reason: &'static str,
    /// What happened and the likely cause.
    pub message: String,
    /// What to look at or do.
    pub next_step: String,
}

/// Signals and codes that the container exits with when it was asked to stop.
const ASKED_TO_STOP: [i32; 2] = [0, 143];

/// Whether a task ended because something is wrong, not because it was asked to.
pub(crate) fn is_failure(task: &Task) -> bool {
    if !task.is_stopped() {
        return false;
    }
    match task.stop_code.as_deref() {
        Some("TaskFailedToStart" | "EssentialContainerExited") => true,
        Some("ServiceSchedulerInitiated") => text(task).contains("failed container health checks"),
        Some("UserInitiated" | "SpotInterruption" | "TerminationNotice" | "InfrastructureHealth") => false,
        _ => task.exit_code.is_some_and(|code| !ASKED_TO_STOP.contains(&code)) || task.container_reason.is_some(),
    }
}

struct Cause {
    /// All of these, in lower case.
    words: &'static [&'static str],
    reason: &'static str,
    likely: &'static str,
    next_step: &'static str,
}

/// The first that fits is the one; the more telling stand first.
const CAUSES: &[Cause] = &[
    Cause {
        words: &["failed to resolve", "efs"],
        reason: "MountNameNotResolved",
        likely: "the file system's DNS name does not resolve: no mount target in the task's zone, one younger than about 90 s, or DNS resolution is off in the VPC",
        next_step: "check that every zone of the subnets has an available mount target, and that enableDnsSupport and enableDnsHostnames are on in the VPC",
    },
    Cause {
        words: &["mount.nfs", "timed out"],
        reason: "MountTimedOut",
        likely: "nothing answers on TCP 2049: a security group or network ACL drops it",
        next_step: "check that the task's security groups allow TCP 2049 outwards, and the mount targets' group allows it inwards from them",
    },
    Cause {
        words: &["mount.nfs", "connection reset"],
        reason: "MountReset",
        likely: "the TLS tunnel does not reach the mount target: its security group, its zone, or it was just made",
        next_step: "check the security group of the mount targets; ECS tries again by itself",
    },
    Cause {
        words: &["mount.nfs", "connection refused"],
        reason: "MountRefused",
        likely: "something on the way takes TCP 2049, such as a service mesh proxy",
        next_step: "exclude port 2049 from the proxy",
    },
    Cause {
        words: &["access denied by server"],
        reason: "MountAccessDenied",
        likely: "the task role may not mount through this access point: its policy has not spread yet, the file-system policy refuses it, or the role was made anew",
        next_step: "wait a minute for IAM; then check the task role's policy and the file-system policy for elasticfilesystem:ClientMount through the access point",
    },
    Cause {
        words: &["reason given by server: no such file or directory"],
        reason: "MountPathMissing",
        likely: "the mounted directory does not exist on the file system",
        next_step: "check the access point's path and its owner and permissions",
    },
    Cause {
        words: &["mount system call failed"],
        reason: "MountFailed",
        likely: "the mount failed in the kernel; with IPv6 subnets often an address that the mount target does not have",
        next_step: "check whether the subnets are dual-stack and the mount targets IPv4 only",
    },
    Cause {
        words: &["efs utils"],
        reason: "MountFailed",
        likely: "the file system could not be mounted",
        next_step: "see ECS's words above; check mount targets, security groups and the task role's policy",
    },
    Cause {
        words: &["cannotpullcontainererror"],
        reason: "ImageNotPulled",
        likely: "the image could not be pulled: its name or tag, the registry's permissions, or no route to the registry",
        next_step: "check spec.service.create.image, the execution role, and that the subnets reach the registry (NAT, endpoint or public address)",
    },
    Cause {
        words: &["unable to retrieve secret"],
        reason: "SecretNotRead",
        likely: "ECS could not read the server's password: the execution role may not, the secret or its key does not exist, or there is no route to it",
        next_step: "allow secretsmanager:GetSecretValue or ssm:GetParameters on it to spec.service.create.executionRoleArn (kms:Decrypt, too, where it has a key of its own), and check the route from the subnets",
    },
    Cause {
        words: &["unable to pull secrets or registry auth"],
        reason: "ImageNotPulled",
        likely: "the registry's credentials could not be fetched: the execution role or the route to ECR and Secrets Manager",
        next_step: "check spec.service.create.executionRoleArn and the route from the subnets",
    },
    Cause {
        words: &["logg"],
        reason: "LogDriverFailed",
        likely: "the log driver could not start: the log group is missing, or the execution role may not write to it",
        next_step: "check the log group and logs:CreateLogStream and logs:PutLogEvents of the execution role",
    },
    Cause {
        words: &["outofmemory"],
        reason: "OutOfMemory",
        likely: "the container used more memory than it has; a snapshot's fork can need up to twice the data",
        next_step: "raise spec.service.create.memoryMiB, or set a maxmemory well below it",
    },
    Cause {
        words: &["unable to assume the role"],
        reason: "RoleNotAssumed",
        likely: "ECS could not assume a role of the task: its trust policy, or it was just made",
        next_step: "check that the roles trust ecs-tasks.amazonaws.com; ECS tries again by itself",
    },
    Cause {
        words: &["network interface provisioning"],
        reason: "NetworkInterfaceFailed",
        likely: "the task got no network interface in time",
        next_step: "check free addresses in the subnets and the account's interface quota",
    },
    Cause {
        words: &["failed container health checks"],
        reason: "HealthCheckFailed",
        likely: "the server did not answer its health check: it hangs, for example in a long save, or the image has no valkey-cli",
        next_step: "see the container's log in the log group",
    },
];

/// Explains why a task stopped.
pub fn explain(task: &Task) -> Explanation {
    let words = text(task);
    let said = said(task);
    if let Some(cause) = CAUSES
        .iter()
        .find(|cause| cause.words.iter().all(|word| words.contains(word)))
    {
        return Explanation {
            reason: cause.reason,
            message: format!("{}; ECS says: {said}", cause.likely),
            next_step: cause.next_step.to_owned(),
        };
    }
    let (reason, cause, next_step) = match task.exit_code {
        Some(0) => (
            "Stopped",
            "the server ended by itself, without an error",
            "nothing, if it was asked to",
        ),
        Some(1) => (
            "ServerRefusedToStart",
            "the server ended with code 1: it could not load its dump (damaged, or written by a newer server) or refused a flag",
            "see the container's log in the log group; the dump was not changed",
        ),
        Some(69) => (
            "NoFlockInImage",
            "the image has no flock, which the lock on the directory needs, or no sha256sum, which a password needs",
            "use the official valkey image, or one with util-linux or busybox",
        ),
        Some(71) => (
            "LockFailed",
            "the lock on the data directory could not be asked for: the file system refuses locks",
            "see the container's log in the log group; ECS tries again by itself",
        ),
        Some(74) => (
            "DirectoryNotWritable",
            "the data directory cannot be written: its owner differs from the access point's user, or ClientWrite is missing",
            "check uid, gid and permissions of the access point's directory, and the task role's policy",
        ),
        Some(78) => (
            "StartRefused",
            "the start was refused: the server's password is empty or its user's name is none, or the data is in the other kind of file",
            "see the container's log in the log group",
        ),
        Some(126 | 127) => (
            "CommandNotFound",
            "the image has no shell or no valkey-server",
            "use an official valkey image",
        ),
        Some(137) => (
            "Killed",
            "the server was killed: out of memory, or it did not end within the stop timeout; what changed since the last snapshot is lost",
            "compare spec.rollout.stopTimeoutSeconds with the time a save takes, and memoryMiB with the data",
        ),
        Some(139) => (
            "Crashed",
            "the server crashed",
            "see the container's log in the log group",
        ),
        Some(143) => (
            "StoppedWhileWaiting",
            "the task was stopped while it waited for the directory's lock",
            "nothing: another server held the directory",
        ),
        _ => (
            "TaskStopped",
            "the task stopped",
            "see the container's log in the log group and ECS's words above",
        ),
    };
    Explanation {
        reason,
        message: format!("{cause}; ECS says: {said}"),
        next_step: next_step.to_owned(),
    }
}

/// ECS's words are bounded: a Python traceback may be inside, and status is read by people.
const SAID_CHARS_MOST: usize = 400;

fn said(task: &Task) -> String {
    let mut parts: Vec<String> = [&task.stopped_reason, &task.container_reason]
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    // Of a task that failed to start both say the same.
    parts.dedup();
    if let Some(code) = task.exit_code {
        parts.push(format!("exit code {code}"));
    }
    let all = if parts.is_empty() {
        "nothing".to_owned()
    } else {
        parts.join("; ")
    };
    let mut short: String = all.chars().take(SAID_CHARS_MOST).collect();
    if short.len() < all.len() {
        short.push_str(" ...");
    }
    short
}

fn text(task: &Task) -> String {
    [&task.stopped_reason, &task.container_reason]
        .into_iter()
        .flatten()
        .map(|part| part.to_lowercase())
        .collect::<Vec<_>>()
        .join(" ")
}
