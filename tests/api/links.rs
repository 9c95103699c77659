//! Links in README.md, CHANGELOG.md and docs/: relative ones lead to files and headings that exist, and the book has
//! every page.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::readme::{Page, page, pages};
use crate::support::repository_file;

/// The lines of `text` outside fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").step_by(2).flat_map(str::lines)
}

/// Targets of the links in `text`.
fn links(text: &str) -> Vec<&str> {
    prose(text).flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split(')').next()).collect()
}

/// The anchor that forges and mdBook give to a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// What is wrong with the link from `page` to `target`, if anything.
fn fault(page: &Page, target: &str) -> Option<String> {
    if target.contains("://") {
        return None;
    }
    let (file, heading) =
        target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Path::new(&page.path).parent().expect("a folder");
    let path: PathBuf = if file.is_empty() { PathBuf::from(&page.path) } else { folder.join(file) };
    if !root.join(&path).exists() {
        return Some(format!("{}: there is no file {}", page.path, path.display()));
    }
    let heading = heading?;
    match fs::read_to_string(root.join(&path)) {
        Ok(linked) if anchors(&linked).contains(heading) => None,
        _ => Some(format!("{}: {} has no heading #{heading}", page.path, path.display())),
    }
}

#[test]
fn links_lead_to_existing_files_and_headings() {
    let mut checked = 0;
    let mut faults = Vec::new();
    let changelog = Page { path: "CHANGELOG.md".into(), text: repository_file("CHANGELOG.md") };
    for page in pages().iter().chain([&changelog]) {
        for target in links(&page.text) {
            checked += 1;
            faults.extend(fault(page, target));
        }
    }
    assert_eq!(faults, [""; 0]);
    assert!(checked > 100, "only {checked} links");

    let readme = &pages()[0];
    for broken in ["docs/nowhere.md", "docs/api.md#nowhere", "#nowhere"] {
        assert!(fault(readme, broken).is_some(), "{broken} is not noticed");
    }
}

#[test]
fn the_book_has_every_page_and_links_only_to_its_own() {
    let listed: BTreeSet<&str> = links(page("docs/SUMMARY.md")).into_iter().collect();
    for page in pages().iter().filter(|page| page.path.starts_with("docs/")) {
        let name = page.path.trim_start_matches("docs/");
        assert!(name == "SUMMARY.md" || listed.contains(name), "docs/SUMMARY.md lacks {name}");
        for target in links(&page.text) {
            assert!(!target.starts_with("../"), "{}: the book does not contain {target}", page.path);
        }
    }
}
