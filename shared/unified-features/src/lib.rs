//! Makes every selection of packages build third-party crates with the same features, so that all share one set of artifacts.
//!
//! It has no code. Its manifest asks for the union of the features that any package of the workspace asks for; the story
//! `every_selection_builds_one_set_of_dependencies` names what is missing.
