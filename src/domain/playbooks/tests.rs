//! Checks of playbooks, and which of them fits.

use super::*;

#[test]
fn faults_of_a_playbook_are_all_named() {
    let text = r#"
        name = "broken"
        description = "x"
        [match]
        keywords = []
        [[steps]]
        id = "a"
        action = "Do {thing}"
        depends_on = ["later"]
        acceptance_criteria = []
        cost_tier = 9
        duration_seconds = 0
    "#;
    let playbook: Playbook = toml::from_str(text).expect("the form is right");
    let faults = playbook.faults().join("\n");
    for fault in [
        "match.keywords",
        "{thing}",
        "`later`",
        "acceptance_criteria",
        "cost_tier",
        "duration_seconds",
        "capability",
    ] {
        assert!(faults.contains(fault), "{fault}: {faults}");
    }
}

#[test]
fn built_in_playbooks_have_no_fault() {
    let faults: Vec<String> = Library::built_in().all().into_iter().flat_map(Playbook::faults).collect();
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn playbooks_are_named_like_their_files_and_have_enough_examples() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/domain/playbooks/data/examples");
    let files = std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").file_name());
    let names = files.filter_map(|file| Some(file.to_str()?.strip_suffix(".txt")?.to_owned()));
    let names: Vec<String> = names.collect();
    let library = Library::built_in();
    for playbook in library.playbooks() {
        let (name, count) = (&playbook.name, playbook.matches.examples.len());
        assert!(names.contains(name) && count >= 30, "{name} has {count} examples");
    }
    assert_eq!(library.playbooks().count(), names.len());
}

/// One example in thirty is left out of what the others are compared with.
#[test]
fn most_examples_are_among_the_best_two_by_the_others() {
    let library = Library::built_in();
    let mut playbooks: Vec<Playbook> = library.all().into_iter().cloned().collect();
    let mut left_out = Vec::new();
    for playbook in &mut playbooks {
        let name = playbook.name.clone();
        let mut at = 0;
        playbook.matches.examples.retain(|example| {
            at += 1;
            if at % 30 == 0 {
                left_out.push((name.clone(), example.clone()));
            }
            at % 30 != 0
        });
    }
    let library = Library::with_own(playbooks).expect("valid");
    // Similar kinds of work share many words.
    let is_found = |(name, example): &&(String, String)| {
        library.scored(example).take(2).any(|(playbook, _)| playbook.name == *name)
    };
    let found = left_out.iter().filter(is_found).count();
    assert!(found * 2 > left_out.len(), "{found} of {}", left_out.len());
}

fn own(name: &str, keyword: &str) -> Playbook {
    let text = format!(
        r#"
        name = "{name}"
        description = "ours"
        match.keywords = ["{keyword}"]
        [[steps]]
        action = "Do it for {{object}}"
        capability = "planning"
        acceptance_criteria = ["done within {{constraints}}"]
        cost_tier = 1
        duration_seconds = 60
        [[steps]]
        action = "Check it"
        arm = "judge"
        depends_on = [1]
        acceptance_criteria = ["checked"]
        cost_tier = 1
        duration_seconds = 60
        "#
    );
    toml::from_str::<Playbook>(&text).expect("a playbook").with_step_ids()
}

#[test]
fn a_playbook_of_ones_own_replaces_the_built_in_one_of_its_name() {
    let count = Library::built_in().playbooks().count();
    let library =
        Library::with_own(vec![own("hiring", "headcount"), own("acme-release", "acme")]).expect("valid");
    assert_eq!(library.playbooks().count(), count + 1);
    assert_eq!(library.named("hiring").expect("ours").description, "ours");
    let best = |text| {
        library
            .best(text, 0..0, text, library.outline(text), Place::First)
            .map(|(playbook, _)| playbook.name.as_str())
    };
    assert_eq!(best("Acme goes live"), Some("acme-release"));
    assert_ne!(best("Hire a developer"), Some("hiring"));
    let general = Playbook { outline: true, ..own("outline-general", "anything") };
    let library = Library::with_own(vec![general]).expect("valid");
    assert_eq!(library.outline("Xyzzy").description, "ours");
    let faults = Library::with_own(vec![own("twice", "a"), own("twice", "b")]).expect_err("one name");
    assert!(faults[0].contains("`twice`"), "{faults:?}");
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_one() {
    let library = Library::built_in();
    assert_eq!(library.fault_of_name("bug-fix").or(library.fault_of_name("none")), None);
    let fault = library.fault_of_name("bugfix").expect("no playbook");
    assert_eq!(fault.field, "playbook");
    assert!(fault.message.contains("did you mean `bug-fix`?"), "{}", fault.message);
    assert!(!library.fault_of_name("gymnastics").expect("no playbook").message.contains("did you mean"));
}
