//! Checks that the files of each crate import from each other without cycles, and that crates
//! depend on each other as `docs/architecture.md` says.
//!
//! An edge is an import or a path in code, to the file that defines the name: re-exports are
//! followed. `mod` declarations, `pub use` and what is compiled only for unit tests are no edges.

mod arrows;
mod graph;
mod modules;

use std::error::Error;
use std::path::Path;

use xshell::{Shell, cmd};

use graph::Graph;
pub(crate) use modules::Modules;

/// Checks every crate of the workspace.
///
/// # Errors
/// When there is a cycle, or a dependency that is not allowed.
pub(crate) fn check(shell: &Shell) -> Result<(), Box<dyn Error>> {
    let metadata = cmd!(shell, "cargo metadata --no-deps --format-version 1").quiet().read()?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().ok_or("cargo metadata has no packages")?;
    let mut found = arrows::violations(packages);
    let prefix = format!("{}/", metadata["workspace_root"].as_str().unwrap_or_default());
    let (mut crates, mut files) = (0, 0);
    for target in packages.iter().flat_map(|package| package["targets"].as_array()).flatten() {
        let root = target["src_path"].as_str().ok_or("a target without a source")?;
        let modules = Modules::read(Path::new(root))?;
        (crates, files) = (crates + 1, files + modules.files.len());
        let cycles = Graph::of(&modules).cycles();
        let cycles = cycles.into_iter().map(|cycle| cycle.replace(&prefix, ""));
        found.extend(cycles.map(|cycle| format!("import cycle: {cycle}")));
    }
    if found.is_empty() {
        println!("{files} files of {crates} crates import without a cycle");
        return Ok(());
    }
    let (count, found) = (found.len(), found.join("\n"));
    Err(format!("{found}\n{count} import cycles or wrong dependencies").into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The cycles of a crate of these files, without the folder that they are in.
    fn cycles(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (path, source) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, source).unwrap();
        }
        let modules = Modules::read(&folder.path().join("lib.rs")).unwrap();
        let prefix = format!("{}/", folder.path().display());
        let cycles = Graph::of(&modules).cycles();
        cycles.into_iter().map(|cycle| cycle.replace(&prefix, "")).collect()
    }

    const PLANTED: [(&str, &str); 4] = [
        ("lib.rs", "mod bed;\nmod flower;\npub use flower::Flower;"),
        ("flower.rs", "use crate::bed::soil::Soil;\n\npub struct Flower(Soil);"),
        ("bed/mod.rs", "pub mod soil;\npub use soil::Soil;"),
        ("bed/soil.rs", "pub struct Soil;\nfn feeds(_: &crate::Flower) {}"),
    ];

    #[test]
    fn a_planted_cycle_is_found_with_its_lines() {
        let expected = "bed/soil.rs -> flower.rs -> bed/soil.rs\n    \
                        bed/soil.rs:2: crate::Flower\n    \
                        flower.rs:1: crate::bed::soil::Soil";
        assert_eq!(cycles(&PLANTED), [expected]);
    }

    #[test]
    fn a_tree_without_the_planted_import_has_no_cycle() {
        let mut files = PLANTED;
        files[3].1 = "pub struct Soil;";
        assert_eq!(cycles(&files), [""; 0]);
    }

    #[test]
    fn declarations_re_exports_and_unit_tests_are_not_edges() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\npub use a::A;\npub(crate) use b::*;"),
            ("a.rs", "use crate::B;\npub struct A(B);"),
            ("b.rs", "pub struct B;\n#[cfg(test)]\nmod tests { use crate::A; }"),
        ];
        assert_eq!(cycles(&files), [""; 0]);
    }

    #[test]
    fn paths_are_found_wherever_they_are() {
        for code in [
            "fn f() { crate::b::g(); }",
            "fn f() { let _: Option<super::b::B> = None; }",
            "fn f() { use crate::b::B; }",
            "fn f() { println!(\"{}\", crate::b::g()); }",
            "use super::{b::{self, *}};\nfn f() { matches!(B::V, b::B::V); }",
            "use crate::*;\nfn f(_: B) {}",
            "use crate::*;\nfn f() { vec![B::V]; }",
            "mod inner { fn f() { super::super::b::g(); } }",
            "macro_rules! m { () => { $crate::b::g() } }",
            "impl crate::b::T for u8 {}",
        ] {
            let files = [
                ("lib.rs", "mod a;\n#[path = \"other/b.rs\"]\nmod b;\nuse b::B;"),
                ("a.rs", &format!("pub struct A;\n{code}")),
                ("other/b.rs", "use crate::a::A;\npub enum B { V }\npub fn g() {}\npub trait T {}"),
            ];
            assert_eq!(cycles(&files).len(), 1, "{code}");
        }
    }

    #[test]
    fn names_that_are_not_of_the_crate_are_not_edges() {
        let files = [
            ("lib.rs", "mod sync;\nmod a;"),
            ("a.rs", "use std::sync::Arc;\nuse a::Unknown;\npub struct A(Arc<u8>);"),
            ("sync.rs", "use crate::a::A;\nuse crate::a::Unknown;\npub struct Arc;"),
        ];
        assert_eq!(cycles(&files), [""; 0]);
    }

    #[test]
    fn a_circular_re_export_ends() {
        let files = [
            ("lib.rs", "mod a;\nmod b;\nuse a::X;"),
            ("a.rs", "pub use crate::b::*;"),
            ("b.rs", "pub use crate::a::*;\npub use crate::a::X;"),
        ];
        assert_eq!(cycles(&files), [""; 0]);
    }
}
