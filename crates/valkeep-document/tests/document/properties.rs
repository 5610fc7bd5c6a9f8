//! Whatever the bytes are, reading ends with a document or with findings.

use crate::manifests;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use valkeep_document::{Document, Preset, SaveRule, ThroughputMode, read, readable_name, render_yaml};

fn example() -> Vec<u8> {
    std::fs::read(manifests("examples/trigpointing-valkey.yaml")).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 512,
        failure_persistence: None,
        // The same cases each time; another seed and more cases find more, now and then.
        rng_seed: RngSeed::Fixed(20_261_123),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = readable_name(&bytes);
        if let Err(findings) = read("any", &bytes) {
            prop_assert!(!findings.0.is_empty());
        }
    }

    #[test]
    fn anything_that_looks_like_yaml_is_read_or_refused(text in "([a-zA-Z0-9]{0,3}|[\\-:{}\\[\\]&*!|>'\"%@,?# \\n\\t~<]|: |\\n  |- ){0,120}") {
        let _ = readable_name(text.as_bytes());
        if let Err(findings) = read("any", text.as_bytes()) {
            prop_assert!(!findings.0.is_empty());
            prop_assert!(findings.0.windows(2).all(|two| (two[0].line, two[0].column) <= (two[1].line, two[1].column)));
        }
    }

    #[test]
    fn a_damaged_example_is_read_or_refused(
        at in 0_usize..4000, length in 0_usize..40, new in prop::collection::vec(any::<u8>(), 0..10)
    ) {
        let mut bytes = example();
        let at = at % bytes.len();
        let end = (at + length).min(bytes.len());
        bytes.splice(at..end, new);
        let _ = readable_name(&bytes);
        if let Err(findings) = read("any", &bytes) {
            prop_assert!(!findings.0.is_empty());
            prop_assert!(!findings.to_string().contains("a bug of valkeep"), "{}", findings);
        }
    }

    #[test]
    fn a_cut_example_is_read_or_refused(length in 0_usize..5000) {
        let bytes = example();
        let cut = &bytes[..length.min(bytes.len())];
        if let Err(findings) = read("any", cut) {
            prop_assert!(!findings.to_string().contains("a bug of valkeep"), "{}", findings);
        }
    }

    #[test]
    fn a_rendered_document_reads_back(
        texts in prop::collection::btree_map("[a-z][a-z0-9]{0,9}", "(yes|Yes|NO|on|Off|true|null|~|1_000|0755|0o7|0x1F|1e3|1.0|.5|[+-]?[0-9]{1,3}|[A-Za-z0-9]([A-Za-z0-9._-]{0,9}[A-Za-z0-9])?)?", 0..5),
        note in prop::collection::vec(any::<char>().prop_filter("control", |c| !c.is_control() && *c != '\u{feff}'), 0..60),
        tags in prop::collection::btree_map("yes|Off|n|true|1|[a-z][a-z0-9 _.:/=+@-]{0,20}", "no|Y|[A-Za-z0-9 _.:/=+@-]{0,30}", 0..5),
        rules in prop::collection::vec((1_u32..2_147_483_647, 1_u32..2_147_483_647), 1..16),
        mibps in 1_u32..3414,
        fraction in 0_u32..100,
        uid in 1_u32..,
        words in prop::collection::vec("[a-zA-Z0-9 .,'\"#:-]{0,12}", 0..4),
    ) {
        let mut document = read("example", &example()).unwrap();
        // Words that some reader takes for numbers and booleans; as annotations, which take any text.
        document.metadata.annotations = texts;
        document.metadata.annotations.insert("note".to_owned(), String::from_iter(note));
        document.spec.tags = tags;
        document.spec.file_system.throughput_mode = ThroughputMode::Provisioned;
        document.spec.file_system.provisioned_mibps = Some(f64::from(mibps) + f64::from(fraction) / 100.0);
        document.spec.file_system.access_point.uid = uid;
        document.spec.persistence.snapshots.preset = Preset::Custom;
        document.spec.persistence.snapshots.rules =
            Some(rules.into_iter().map(|(seconds, changes)| SaveRule { seconds, changes }).collect());
        let words = words.into_iter().filter(|word| !word.starts_with('-'));
        let create = document.spec.service.create.as_mut().expect("the example makes its service");
        create.extra_flags = std::iter::once("--maxclients".to_owned()).chain(words).collect();
        let rendered = render_yaml(&document);
        match read("rendered", rendered.as_bytes()) {
            Ok(again) => {
                let theirs: Document = serde_yaml::from_str(&rendered).unwrap();
                prop_assert_eq!(&theirs, &document);
                prop_assert_eq!(again, document);
            }
            Err(findings) => prop_assert!(false, "{}\n{}", findings, rendered),
        }
    }
}
