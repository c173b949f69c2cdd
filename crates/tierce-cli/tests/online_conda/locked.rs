//! Conda environments of images with a lock.

use crate::support::{Outcome, Project};
use crate::world::{World, digest, tool};
use std::fs;

const LOCKED: [&str; 6] = ["build", "--locked", "--format", "json", "--output", "oci:out"];

fn elsewhere(project: &Project, args: &[&str]) -> Outcome {
    let another = project.beside("another-store");
    project.tierce(args.iter().copied()).env("TIERCE_STORE", another).run()
}

#[test]
fn a_locked_environment_is_made_when_the_channel_has_moved_on() {
    let Some(mut world) = World::new() else { return };
    let spec = format!(
        "name = 'locked'\nbase = 'scratch'\nbytecode = false\n{}\n",
        world.conda("packages = ['tool']")
    );
    let project = Project::new(&spec);
    let made = project.tierce(["lock"]).ok();
    assert!(made.stderr.contains("1 platform, 1 conda package"), "{made}");
    let lock = fs::read_to_string(project.path("tierce.lock")).expect("a lock");
    let first = project.tierce(LOCKED).ok().json();

    let old = world.package("tool").clone();
    world.channel.add(&tool("2.0"));
    world.channel.mark_removed(&old.subdir, &old.filename);
    let before = world.served.requests().len();
    let again = elsewhere(&project, &LOCKED);
    assert_eq!(again.code, 0, "{again}");
    assert_eq!(digest(&again.json()), digest(&first));
    let asked = world.served.requests().split_off(before);
    let package = format!("200 /channel/{}/{}", old.subdir, old.filename);
    assert_eq!(asked, [package], "nothing but the file that is locked");
    let unlocked = elsewhere(&project, &["build", "--format", "json", "--output", "oci:out"]);
    assert_ne!(digest(&unlocked.json()), digest(&first));
    // The lock stays as it is until it is told otherwise.
    assert!(project.tierce(["lock"]).ok().stderr.contains("nothing changed"));
    let updated = project.tierce(["lock", "--update", "tool"]).ok();
    assert_eq!(updated.stdout.lines().count(), 2, "{updated}");
    assert!(updated.stdout.contains("+ conda tool 2.0"), "{updated}");

    // A lock without the environment, and one with another file in it.
    let environment = lock.find("\n[[image.platform.conda]]").expect("an environment");
    let end = lock.find("\n# end of").expect("an end");
    project.write("tierce.lock", format!("{}{}", &lock[..environment], &lock[end..]));
    let lacking = project.tierce(LOCKED).fails(2, "lock/incomplete");
    assert!(lacking.stderr.contains("conda environment /opt/conda"), "{lacking}");
    project.write("tierce.lock", lock.replace(&old.sha256, &"0".repeat(64)));
    let wrong = elsewhere(&project, &LOCKED);
    assert_eq!(wrong.code, 4, "{wrong}");
    assert!(wrong.stderr.contains(&old.filename), "{wrong}");
}
