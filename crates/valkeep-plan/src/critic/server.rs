//! The critic's view of the server: when it may be stopped, and what it may be told.

use super::{Court, Rule, running};
use std::net::SocketAddr;
use valkeep_core::valkey::{SERVER_SETTINGS, SETTING_APPEND_ONLY, fenced_since};
use valkeep_core::{DoubtKind, Fact, ServerChange, ValkeyInfo};

/// Checks that a server which is stopped on purpose has everything on its directory, or will have.
pub(super) fn examine_stop(court: &mut Court) {
    let observed = court.observed;
    let promised = running(court).is_none_or(|seen| seen.saves_snapshots());
    let runs = match &observed.tasks {
        Fact::Present(tasks) => tasks.iter().any(|task| task.last_status == "RUNNING"),
        Fact::Absent => false,
        Fact::Unknown(_) => true,
    };
    // At desired count 0 ECS stops everything anyway.
    let is_kept = observed.service.present().is_some_and(|service| service.desired > 0);
    if !court.desired.rollout.require_snapshot || !promised || !runs || !is_kept {
        return;
    }
    let info = match &observed.valkey {
        Fact::Present(info) => info,
        Fact::Absent => return,
        Fact::Unknown(doubt) if doubt.kind == DoubtKind::NotListening => return,
        Fact::Unknown(_) if observed.serving_task().is_none() => return,
        Fact::Unknown(_) => {
            return court.object(Rule::SnapshotFirst, "a server is stopped that nobody could ask");
        }
    };
    if info.loading || (info.keys == 0 && info.changes_since_save == 0) {
        return;
    }
    let age = info.time.as_second() - info.last_save.as_second();
    let proved = info.changes_since_save == 0 || (info.saves_started > 0 && (0..=60).contains(&age));
    court.require(
        proved && info.last_save_ok && !info.saving || ends_without_save(court),
        Rule::SnapshotFirst,
        "a server is stopped without a good snapshot of a moment ago",
    );
    court.require(
        save_fits(court, info) || ends_without_save(court),
        Rule::SnapshotFirst,
        "a server is stopped whose final save would be cut off",
    );
}

/// Whether writes are kept out and the server saves no more.
fn ends_without_save(court: &Court) -> bool {
    let settings = court.observed.server_settings.present();
    settings
        .is_some_and(|settings| fenced_since(settings).is_some() && settings.get("save").is_some_and(String::is_empty))
}

fn save_fits(court: &Court, info: &ValkeyInfo) -> bool {
    let Some(running) = court.observed.running_definition.present() else {
        return true;
    };
    let raw = running.raw.as_ref();
    let stop_timeout_s = match &running.definition {
        Some(definition) => u64::from(definition.container.stop_timeout_s),
        None => raw
            .and_then(|raw| raw.container(&court.desired.server.container)?["stopTimeout"].as_u64())
            .unwrap_or(30),
    };
    // At the least as long as the last one; the planner asks for more.
    info.last_save_duration_s.unwrap_or(0) <= stop_timeout_s
}

/// Checks what a server is told.
pub(super) fn examine_change(court: &mut Court, address: SocketAddr, run_id: &str, change: &ServerChange) {
    let observed = court.observed;
    let same = observed.valkey.present().is_some_and(|info| info.run_id == run_id)
        && observed.server_address(court.desired.server.port) == Some(address);
    court.require(same, Rule::ServerTold, "a server is told something that did not answer");
    let login = &court.desired.server.access.login;
    court.require(
        *change != ServerChange::Password || (court.desired.created().is_some() && login.is_some()),
        Rule::ServerTold,
        "a server that is not valkeep's own is given a password",
    );
    let ServerChange::Set { name, to, .. } = change else {
        return;
    };
    court.require(
        SERVER_SETTINGS.contains(&name.as_str()),
        Rule::ServerTold,
        "a setting is changed that is not valkeep's",
    );
    let appends = court.desired.appends();
    court.require(
        name != SETTING_APPEND_ONLY || to == if appends { "yes" } else { "no" },
        Rule::ServerTold,
        "the append-only file is switched against the document",
    );
    let fenced = observed.server_settings.present().and_then(fenced_since).is_some();
    court.require(
        name != "save" || !to.is_empty() || !court.desired.saves() || fenced,
        Rule::ServerTold,
        "snapshots end although the document asks for them and clients may write",
    );
}
