//! Generated files are current; `UPDATE_GOLDEN=1` writes them anew.

use crate::sandbox::Sandbox;
use std::path::Path;

#[test]
fn the_command_reference_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/commands.md");
    let output = Sandbox::new().run(&["reference"]);
    assert_eq!(output.code, 0, "{output:?}");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &output.stdout).expect("can be written");
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(there == output.stdout, "docs/commands.md is stale: run `make generate`");
}
