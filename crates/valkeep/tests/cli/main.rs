//! The command line as its users meet it: the built binary, in an empty environment.

mod aws;
mod golden;
mod limits;
mod mutate;
mod run;
mod sandbox;
mod statuses;
mod stores;
mod usage;
mod validate;
mod verify;
mod wait;

/// A test file that is not named above would never run.
#[test]
fn every_test_file_is_wired_in() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let main = std::fs::read_to_string(here.join("main.rs")).expect("this file is there");
    for file in std::fs::read_dir(here).expect("this folder is there") {
        let name = file.expect("readable").file_name();
        let name = name.to_string_lossy();
        let module = name.trim_end_matches(".rs");
        assert!(module == "main" || main.contains(&format!("mod {module};")), "{name}");
    }
}
