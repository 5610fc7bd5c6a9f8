//! Another valkeep writes the same document in another way: no server is replaced for that.

use crate::adoption::{adopting, one_of, raw, running, terraformed};
use crate::world::*;
use valkeep_core::desired::FirstTransition;
use valkeep_core::identity::{TAG_HASH, TAG_MEANING};
use valkeep_core::observed::ObservedDefinition;
use valkeep_core::{Desired, Fact, HoldReason, Observed};

const REGISTER: &str = "ecs:RegisterTaskDefinition";
const UPDATE: &str = "ecs:UpdateService";

/// As a valkeep wrote it that knew a flag and a variable less, or more.
fn otherwise_written(running: &mut ObservedDefinition) {
    let definition = running.definition.as_mut().expect("of our form");
    definition
        .container
        .command
        .extend(["--lazyfree-lazy-eviction", "yes"].map(str::to_owned));
    definition
        .container
        .environment
        .insert("VALKEEP_OF_BEFORE".into(), "1".into());
    running.tags.insert(TAG_HASH.into(), definition.hash());
}

fn is_pending(desired: &Desired, world: &Observed) -> bool {
    let plan = checked(desired, world);
    plan.is_converged() && plan.holds.iter().any(|hold| hold.reason == HoldReason::RestartPending)
}

#[test]
fn what_another_valkeep_rendered_from_the_same_document_stays() {
    let desired = desired();
    let mut world = converged();
    rewrite(&mut world, otherwise_written);
    assert_eq!(converge(&desired, &mut world).concat(), [REGISTER]);
    assert!(is_pending(&desired, &world));
    let mut at_once = desired.clone();
    at_once.rollout.live_only = false;
    assert!(
        is_pending(&at_once, &world),
        "the document changed nothing that could be at once"
    );
    // It comes with the next replacement.
    let mut restarted = desired.clone();
    restarted.restart = Some("now".into());
    assert_eq!(converge(&restarted, &mut world).concat(), [REGISTER, UPDATE]);
    assert!(checked(&restarted, &world).is_converged());
}

#[test]
fn what_the_document_changes_beside_replaces_the_server_as_ever() {
    let mut desired = desired();
    let mut world = converged();
    rewrite(&mut world, otherwise_written);
    made(&mut desired).task.extra_flags = vec!["--hz".into(), "20".into()];
    assert_eq!(converge(&desired, &mut world).concat(), [REGISTER, UPDATE]);
}

#[test]
fn a_revision_that_somebody_changed_with_the_tags_of_ours_is_replaced() {
    let desired = desired();
    let mut world = converged();
    rewrite(&mut world, |running| {
        running
            .definition
            .as_mut()
            .expect("of our form")
            .container
            .command
            .extend(["--hz".into(), "20".into()]);
    });
    assert_eq!(converge(&desired, &mut world).concat(), [REGISTER, UPDATE]);
}

#[test]
fn a_laid_over_definition_is_judged_alike() {
    let desired = adopting(FirstTransition::AcceptLoss);
    let adopted = || {
        let mut world = terraformed(one_of("seed"));
        converge(&desired, &mut world);
        world.valkey = Fact::Present(info());
        world.server_settings = Fact::Present(settings());
        converge(&desired, &mut world);
        assert!(running(&world).tags.contains_key(TAG_MEANING));
        world
    };
    let with_words = |world: &mut Observed, words: &[&str]| {
        let name = desired.server.container.clone();
        let mut changed = raw(world).clone();
        let containers = changed.members_mut()["containerDefinitions"]
            .as_array_mut()
            .expect("containers");
        let server = containers
            .iter_mut()
            .find(|container| container["name"] == name.as_str())
            .expect("the server");
        server["command"]
            .as_array_mut()
            .expect("words")
            .extend(words.iter().map(|word| (*word).into()));
        rewrite(world, |running| running.raw = Some(Box::new(changed)));
    };
    let mut world = adopted();
    with_words(&mut world, &["--lazyfree-lazy-eviction", "yes"]);
    assert_eq!(converge(&desired, &mut world).concat(), [REGISTER]);
    assert!(is_pending(&desired, &world));
    // With tags that were copied along: what is done with the directory is looked at itself.
    let mut world = adopted();
    with_words(&mut world, &["--save", ""]);
    let calls = converge(&desired, &mut world).concat();
    assert!(calls.contains(&UPDATE), "{calls:?}");
}

/// A server is replaced once for each document when this changes: leave what is new out while it has its default.
#[test]
fn the_hash_is_the_same_in_every_version() {
    let world = converged();
    let tags = &running(&world).tags;
    assert_eq!(
        tags[TAG_MEANING],
        "af20f085366c822ad9a1abdcfda05fa702afa7e298dd0471f42f49e745cc21f5"
    );
}
