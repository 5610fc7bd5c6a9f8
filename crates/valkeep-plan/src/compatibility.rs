//! Remembers what wrote the files, and decides whether an image could read them. Which server reads whose files is
//! `valkeep_core::versions`.
//!
//! Held is only what is known: a server that cannot read its files exits at start and leaves them as they are, so letting an
//! image through that tells no version costs an outage and no data. Holding one wrongly would keep a cure away.

use crate::data_safety::{Running, blocked};
use crate::draft::Input;
use crate::render::ENV_SAVES;
use valkeep_core::desired::StaleDump;
use valkeep_core::identity::TAG_WRITTEN_BY;
use valkeep_core::observed::AccessPoint;
use valkeep_core::versions::Product;
use valkeep_core::{Hold, HoldReason, ValkeyInfo};

/// By which Valkey tries files that it does not know.
const FLAG_CHECK: &str = "--rdb-version-check";

/// What the mark should say and does not: the server that runs on the directory, once it may have written there. Before that
/// the files are those of the server before it.
pub(crate) fn mark(input: Input, access_point: &AccessPoint) -> Option<String> {
    let product = writer(input, access_point)?;
    (access_point.tags.get(TAG_WRITTEN_BY) != Some(&product)).then_some(product)
}

fn writer(input: Input, access_point: &AccessPoint) -> Option<String> {
    let running = Running::on(input, access_point)?;
    let info = on_directory(input, &running)?;
    let writes = running.snapshots() || running.append_only() || info.saves_started > 0 || info.append_only.is_some();
    writes.then(|| info.product())
}

/// What the server says that was started by the running definition and has loaded what lies on the directory. While one
/// replaces another, the one that answers may still be one that never saw the directory.
fn on_directory<'a>(input: Input<'a>, running: &Running) -> Option<&'a ValkeyInfo> {
    let info = input.observed.valkey.present().filter(|info| !info.loading)?;
    let definition = &input.observed.running_definition.present()?.arn;
    (running.mounts() && input.observed.serving_task()?.task_definition == *definition).then_some(info)
}

/// Why the image may not start on the directory, if it could not read what is there.
pub(crate) fn blocks(input: Input, access_point: &AccessPoint, running: Option<&Running>) -> Option<Hold> {
    let written_by = writer(input, access_point).or_else(|| access_point.tags.get(TAG_WRITTEN_BY).cloned())?;
    let image = image(input)?;
    let (writer, reader) = (Product::parse(&written_by)?, Product::of_image(&image)?);
    let tries = reader.may_read_relaxed(writer);
    let knows = reader.reads(writer) || tries && is_told_to_try(input, running);
    if knows || running.is_some_and(|running| reads_already(input, running, &image) || finds_nothing(input, running)) {
        return None;
    }
    Some(blocked(
        HoldReason::ImageTooOld,
        format!("the image {image} cannot read the files that {written_by} has written"),
        ways_out(input, writer, tries),
    ))
}

/// The image that would run: the document's, or that of the definition that somebody else maintains.
fn image(input: Input) -> Option<String> {
    match input.desired.created() {
        Some(created) => Some(created.task.image.clone()),
        None => running_image(input),
    }
}

fn running_image(input: Input) -> Option<String> {
    let running = input.observed.running_definition.present()?;
    if let Some(definition) = &running.definition {
        return Some(definition.container.image.clone());
    }
    let raw = running.raw.as_ref()?;
    let image = raw.container(&input.desired.server.container)?["image"].as_str()?;
    Some(image.to_owned())
}

/// Whether the server will be told to try what it does not know.
fn is_told_to_try(input: Input, running: Option<&Running>) -> bool {
    let Some(created) = input.desired.created() else {
        return running.and_then(|running| running.word_after(FLAG_CHECK)) == Some("relaxed");
    };
    let flags = &created.task.extra_flags;
    let words: Vec<&str> = flags.iter().flat_map(|words| words.split_whitespace()).collect();
    // Of a flag that is given twice the server takes the last.
    let at = words.iter().rposition(|word| *word == FLAG_CHECK);
    at.and_then(|at| words.get(at + 1)) == Some(&"relaxed")
}

/// Whether this very image serves from the directory, whatever its tag says.
fn reads_already(input: Input, running: &Running, image: &str) -> bool {
    running_image(input).is_some_and(|runs| runs == image) && on_directory(input, running).is_some()
}

/// Whether the next server finds no file: the one that runs has written none, and the start script sets aside what is older
/// than its start.
fn finds_nothing(input: Input, running: &Running) -> bool {
    let sets_aside = input
        .desired
        .snapshots()
        .is_some_and(|snapshots| snapshots.stale_dump == StaleDump::SetAside);
    let unsaved = |info: &ValkeyInfo| info.saves_started == 0 && info.append_only.is_none();
    sets_aside
        && !input.desired.appends()
        && input.running_variable(ENV_SAVES) == Some("no")
        && on_directory(input, running).is_some_and(unsaved)
}

fn ways_out(input: Input, writer: Product, tries: bool) -> String {
    let made = input.desired.created().is_some();
    let uses = if made { "use" } else { "deploy" };
    let mut ways = vec![format!("{uses} an image of {}", writer.readers())];
    if tries {
        let told = if made {
            format!("spec.service.create.extraFlags: [{FLAG_CHECK}, relaxed]")
        } else {
            format!("{FLAG_CHECK} relaxed in the server's command")
        };
        ways.push(format!(
            "let this one try with {told}: it serves, or exits and leaves the files"
        ));
    }
    if !input.desired.appends() {
        ways.push(
            "start without the data and keep the files: with the image from before set snapshots.preset: Off and staleDump: \
             SetAside, and change the image when that serves"
                .to_owned(),
        );
    }
    ways.join("; or ")
}
