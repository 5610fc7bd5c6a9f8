//! Decides whether a definition may replace the running one without losing or hiding data, and keeps the marks that
//! this needs. Knows the running definition only by its words.

use crate::append_only;
use crate::compatibility;
use crate::deletion::remembered_marks;
use crate::draft::{Input, doubt_hold, hold, whole_seconds};
use crate::overlay;
use crate::render::ENV_SAVES;
use crate::storage;
use valkeep_core::desired::{Snapshots, StaleDump};
use valkeep_core::identity::{TAG_APPEND_ONLY, TAG_DATA_FILE, TAG_MOVED_FROM, TAG_SNAPSHOTS_ENDED, TAG_WRITTEN_BY};
use valkeep_core::observed::{AccessPoint, Rollout};
use valkeep_core::{Fact, Hold, HoldKind, HoldReason, RawDefinition, Resource, Tags, TaskDefinition, Timestamp};

/// What the running definition does with data.
pub(crate) struct Running {
    /// Every word of the server's command line.
    words: Vec<String>,
    mounts: bool,
}

impl Running {
    /// The running definition, where its words can be read: one of valkeep's form, or one that somebody else maintains.
    pub(crate) fn of(input: Input) -> Option<Self> {
        let running = input.observed.running_definition.present()?;
        if let Some(raw) = &running.raw {
            return Self::maintained_elsewhere(input, raw);
        }
        running.definition.as_ref().map(Self::by)
    }

    /// The running definition as far as it says something about this access point: none where it mounts another one.
    pub(crate) fn on(input: Input, access_point: &AccessPoint) -> Option<Self> {
        let elsewhere = storage::mounted(input).is_some_and(|(_, mounted)| mounted != access_point.id);
        if elsewhere { None } else { Self::of(input) }
    }

    /// By the words of our own form.
    fn by(definition: &TaskDefinition) -> Self {
        let container = &definition.container;
        Self {
            words: container.command.clone(),
            mounts: definition.volume.is_some(),
        }
    }

    fn maintained_elsewhere(input: Input, raw: &RawDefinition) -> Option<Self> {
        let container = raw.container(&input.desired.server.container)?;
        let mounts = input.observed.access_point.present().is_some_and(|access_point| {
            overlay::mounts(
                raw,
                container,
                &access_point.file_system,
                &access_point.id,
                &access_point.path,
            )
        });
        Some(Self {
            words: overlay::words(container),
            mounts,
        })
    }

    /// The value of a flag.
    pub(crate) fn word_after(&self, flag: &str) -> Option<&str> {
        overlay::value_of(&self.words, flag)
    }

    /// Whether it has a directory that outlives it.
    pub(crate) fn mounts(&self) -> bool {
        self.mounts
    }

    /// Whether snapshots reach that directory. Without the flag Valkey has save points of its own.
    pub(crate) fn snapshots(&self) -> bool {
        self.mounts() && self.word_after("--save") != Some("")
    }

    fn file_name(&self) -> Option<&str> {
        self.mounts()
            .then(|| self.word_after("--dbfilename").unwrap_or("dump.rdb"))
    }

    /// Whether the data is in an append-only file.
    pub(crate) fn append_only(&self) -> bool {
        self.mounts() && self.word_after("--appendonly") == Some("yes")
    }
}

/// The mark on the access point since when no snapshots are written.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Ended<'a> {
    Not,
    At(Timestamp),
    /// Somebody changed the tag to something that is no time.
    Unreadable(&'a str),
}

impl<'a> Ended<'a> {
    pub(crate) fn of(access_point: &'a AccessPoint) -> Self {
        match access_point.tags.get(TAG_SNAPSHOTS_ENDED) {
            None => Ended::Not,
            Some(text) => text.parse().map_or(Ended::Unreadable(text), Ended::At),
        }
    }

    fn time(self) -> Option<Timestamp> {
        match self {
            Ended::At(at) => Some(at),
            Ended::Not | Ended::Unreadable(_) => None,
        }
    }
}

/// Before which time a dump is set aside at start. Stable as long as mark and document stay, so that it never rolls a
/// service by itself.
pub(crate) fn stale_before(snapshots: &Snapshots, access_point: &AccessPoint) -> Option<Timestamp> {
    match snapshots.stale_dump {
        StaleDump::SetAside => Ended::of(access_point).time(),
        StaleDump::Load => None,
    }
}

/// Why the definition may not be changed now; empty when it may.
pub(crate) fn blocks(input: Input, access_point: &AccessPoint) -> Vec<Hold> {
    let Some(snapshots) = input.desired.snapshots() else {
        return Vec::new(); // Nothing is mounted, so nothing there can be harmed.
    };
    let running = Running::of(input);
    [
        other_directory(input, access_point),
        other_file(input, snapshots, access_point, running.as_ref()),
        compatibility::blocks(input, access_point, running.as_ref()),
        append_only::blocks(input, access_point, running.as_ref()),
        stale_dump(input, access_point, running.as_ref()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Whether the mark that snapshots end must be there before the definition changes, and is not yet.
pub(crate) fn lacks_end_mark(input: Input) -> bool {
    if input.desired.saves() {
        return false;
    }
    // A definition that is not of our form may well save.
    if !Running::of(input).is_none_or(|running| running.snapshots()) {
        return false;
    }
    match &input.observed.access_point {
        Fact::Present(_) => input
            .our_access_point()
            .is_some_and(|found| Ended::of(found) == Ended::Not),
        Fact::Absent => false,
        Fact::Unknown(_) => !input.observed.file_system.is_absent() && !input.observed.service.is_absent(),
    }
}

/// The marks that the access point should carry and does not: what to set, and what to take away.
pub(crate) fn marks(input: Input, access_point: &AccessPoint) -> (Tags, Vec<String>) {
    let mut set = Tags::new();
    let mut remove = Vec::new();
    if let Some(name) = data_file_mark(input, access_point) {
        set.insert(TAG_DATA_FILE.to_owned(), name);
    }
    if let Some(product) = compatibility::mark(input, access_point) {
        set.insert(TAG_WRITTEN_BY.to_owned(), product);
    }
    match ended_mark(input, access_point) {
        Some(EndedMark::Set(at)) => {
            set.insert(TAG_SNAPSHOTS_ENDED.to_owned(), at.to_string());
        }
        Some(EndedMark::Remove) => remove.push(TAG_SNAPSHOTS_ENDED.to_owned()),
        None => {}
    }
    match Running::on(input, access_point).and_then(|running| append_only::mark(input, access_point, &running)) {
        Some(true) => drop(set.insert(TAG_APPEND_ONLY.to_owned(), "true".to_owned())),
        Some(false) => remove.push(TAG_APPEND_ONLY.to_owned()),
        None => {}
    }
    (set, remove)
}

/// The marks of an access point that is about to be made. Where there was one before on this file system, its own.
pub(crate) fn first_marks(input: Input, snapshots: &Snapshots) -> Tags {
    let mut tags = Tags::from([(TAG_DATA_FILE.to_owned(), snapshots.filename.clone())]);
    if !input.desired.saves() {
        tags.insert(TAG_SNAPSHOTS_ENDED.to_owned(), whole_seconds(input.now).to_string());
    }
    tags.extend(input.file_system().map(remembered_marks).unwrap_or_default());
    tags
}

fn data_file_mark(input: Input, access_point: &AccessPoint) -> Option<String> {
    let snapshots = input.desired.snapshots()?;
    if access_point.tags.contains_key(TAG_DATA_FILE) {
        return None;
    }
    // Without the mark the running definition knows best.
    let running = Running::on(input, access_point);
    match (
        &input.observed.running_definition,
        running.as_ref().and_then(Running::file_name),
    ) {
        (Fact::Present(_), Some(name)) => Some(name.to_owned()),
        (Fact::Present(_) | Fact::Absent, None) => Some(snapshots.filename.clone()),
        _ => None,
    }
}

enum EndedMark {
    Set(Timestamp),
    Remove,
}

fn ended_mark(input: Input, access_point: &AccessPoint) -> Option<EndedMark> {
    let ended = match Ended::of(access_point) {
        Ended::Not => {
            return (!input.desired.saves()).then(|| EndedMark::Set(whole_seconds(input.now)));
        }
        Ended::Unreadable(_) => return None,
        Ended::At(at) => at,
    };
    let running = Running::on(input, access_point)?;
    if running.snapshots() {
        let keep = input.desired.snapshots().is_none_or(|snapshots| {
            // Under SetAside the time stands in the definition, so it stays as it is.
            snapshots.save.is_off() || snapshots.stale_dump == StaleDump::SetAside
        });
        return (!keep && saved_since(input, ended)).then_some(EndedMark::Remove);
    }
    // The mark was set before the last saving server had its final save. Once that server is gone for good, the mark
    // moves up to the start of the one that saves nothing, or the final save would look newer than what is live.
    if !at_rest(input) {
        return None;
    }
    let newer = if running.mounts() {
        let info = input.observed.valkey.present()?;
        let marks_by_itself = input.running_variable(ENV_SAVES) == Some("no");
        // Before its first save a server gives its start as the time of the last one.
        (info.saves_started == 0 && !marks_by_itself).then_some(info.last_save)?
    } else {
        let started = input.observed.serving_task()?.started_at?;
        (started > ended).then_some(whole_seconds(input.now))?
    };
    (newer > ended).then_some(EndedMark::Set(newer))
}

/// Exactly one task, of the definition that the service runs, and no other that has not ended.
fn at_rest(input: Input) -> bool {
    let (Some(service), Some(tasks), Some(serving)) = (
        input.observed.service.present(),
        input.observed.tasks.present(),
        input.observed.serving_task(),
    ) else {
        return false;
    };
    serving.task_definition == service.task_definition
        && tasks.iter().filter(|task| !task.is_stopped()).count() == 1
        && service
            .deployments
            .iter()
            .any(|deployment| deployment.primary && deployment.rollout == Rollout::Completed)
}

/// Whether the running server has written a good snapshot since.
fn saved_since(input: Input, since: Timestamp) -> bool {
    input
        .observed
        .valkey
        .present()
        .is_some_and(|info| !info.loading && info.saves_started > 0 && info.last_save_ok && info.last_save > since)
}

/// A change that waits for a person.
pub(crate) fn blocked(reason: HoldReason, message: String, hint: String) -> Hold {
    Hold {
        hint: Some(hint),
        ..hold(Resource::TaskDefinition, HoldKind::Stalled, reason, message)
    }
}

/// The data is where the running server writes. Another access point is another directory, unless it says the same one,
/// or a person said that the data was moved. One that is gone was on the directory of the one that replaces it, or its
/// data was moved before: both are what the hints tell.
fn other_directory(input: Input, access_point: &AccessPoint) -> Option<Hold> {
    let (file_system, before) = storage::mounted(input)?;
    let before = &before;
    if *before == access_point.id || access_point.tags.get(TAG_MOVED_FROM).map(String::as_str) == Some(before.as_str())
    {
        return None;
    }
    let mut was = format!("through {before} on {file_system}");
    if file_system == access_point.file_system {
        let others = match &input.observed.other_access_points {
            Fact::Present(others) => others.as_slice(),
            Fact::Absent => &[],
            Fact::Unknown(doubt) => {
                let what = format!("the access point {before} that the server runs with");
                return Some(doubt_hold(&input.desired.place, Resource::TaskDefinition, &what, doubt));
            }
        };
        let found = others.iter().find(|other| other.id == *before)?;
        let owner = |point: &AccessPoint| (point.uid, point.gid);
        if found.path == access_point.path && owner(found) == owner(access_point) {
            return None;
        }
        was = format!("in {} {was}", found.path);
    }
    let (cluster, service) = (&input.desired.identity.cluster, &input.desired.identity.service);
    let (to, path) = (&access_point.id, &access_point.path);
    Some(blocked(
        HoldReason::WouldHideData,
        format!(
            "the data of {service} is {was}, and the document means {path} of {to} on {}: the server would start without \
             its data",
            access_point.file_system
        ),
        format!(
            "name {before} again, or move the data: aws ecs update-service --cluster {cluster} --service {service} \
             --desired-count 0; when the task has stopped, mount both and cp -a the old directory's files to the new one; \
             aws efs tag-resource --resource-id {to} --tags Key={TAG_MOVED_FROM},Value={before}; then --desired-count 1"
        ),
    ))
}

fn other_file(
    input: Input,
    snapshots: &Snapshots,
    access_point: &AccessPoint,
    running: Option<&Running>,
) -> Option<Hold> {
    let used = access_point
        .tags
        .get(TAG_DATA_FILE)
        .map(String::as_str)
        .or_else(|| running.and_then(Running::file_name))?;
    let (cluster, service) = (&input.desired.identity.cluster, &input.desired.identity.service);
    let (to, id) = (&snapshots.filename, &access_point.id);
    (used != *to).then(|| {
        blocked(
            HoldReason::ImmutableField,
            format!(
                "the data of {service} is in {used}, and the document says {to}: the server would start without its data",
            ),
            format!(
                "set spec.persistence.snapshots.filename back to {used}, or rename the file: aws ecs update-service \
                 --cluster {cluster} --service {service} --desired-count 0; when the task has stopped, mv {used} {to} in {} \
                 of {}; aws efs tag-resource --resource-id {id} --tags Key={TAG_DATA_FILE},Value={to}; then \
                 --desired-count 1",
                access_point.path, access_point.file_system
            ),
        )
    })
}

fn stale_dump(input: Input, access_point: &AccessPoint, running: Option<&Running>) -> Option<Hold> {
    let snapshots = input.desired.snapshots()?;
    let ended = Ended::of(access_point);
    if let (Ended::Unreadable(text), StaleDump::SetAside) = (ended, snapshots.stale_dump) {
        return Some(blocked(
            HoldReason::StaleDump,
            format!(
                "the tag {TAG_SNAPSHOTS_ENDED} of {} is no time: {text}",
                access_point.id
            ),
            "set it to the time since when no snapshots are written, like 2026-01-31T12:00:00Z".to_owned(),
        ));
    }
    let running = running?;
    if running.snapshots() || !input.desired.saves() || !live_data(input) {
        return None;
    }
    if input.desired.adopted().is_some() && ended == Ended::Not {
        return None; // Somebody deployed it without persistence: what may happen then, `firstTransition` says.
    }
    let saved = ended.time().unwrap_or(Timestamp::MIN);
    let self_saved = running.mounts()
        && saved_since(input, saved)
        && input
            .observed
            .valkey
            .present()
            .is_some_and(|info| info.changes_since_save == 0);
    if self_saved || input.desired.load_stale_dump || snapshots.stale_dump == StaleDump::SetAside {
        return None;
    }
    let age = match ended {
        Ended::At(at) => format!("the dump on {} is from before {at}", access_point.id),
        Ended::Not | Ended::Unreadable(_) => format!("the dump on {} may be older or missing", access_point.id),
    };
    let by_hand = if running.mounts() {
        "run BGSAVE on the server (best: the dump then is the live data, and valkeep goes on by itself once nothing \
         changes after it), or "
    } else {
        ""
    };
    Some(blocked(
        HoldReason::StaleDump,
        format!(
            "the running server holds data that it does not save, and {age}: a restart would replace the newer by the older"
        ),
        format!(
            "{by_hand}set spec.persistence.staleDump: SetAside to start empty and keep the old dump under another name, \
             or the annotation valkeep.dev/load-stale-dump: {} to load the old dump",
            input.desired.document
        ),
    ))
}

/// Whether a server may hold data that is nowhere else. Not knowing counts as yes.
pub(crate) fn live_data(input: Input) -> bool {
    let runs = match (&input.observed.service, &input.observed.tasks) {
        (Fact::Absent, _) => false,
        (_, Fact::Present(tasks)) => tasks.iter().any(|task| !task.is_stopped()),
        (Fact::Present(service), _) => service.desired > 0 || service.running > 0,
        (Fact::Unknown(_), _) => true,
    };
    runs && input
        .observed
        .valkey
        .present()
        .is_none_or(|info| info.keys > 0 || info.loading)
}
