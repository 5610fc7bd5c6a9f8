//! A document as YAML again, with every default shown.

use crate::Document;

/// The document as YAML, with every default shown; `read` reads it back as the same document.
pub fn render_yaml(document: &Document) -> String {
    serde_yaml::to_string(document).expect("strings, numbers, booleans, lists and maps with text keys always serialize")
}
