//! What is removed after apt is what the native builder leaves out of its layers.

#[test]
fn both_builders_leave_out_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    let image = tierce_spec::Image::from_debian("bookworm").with_apt_packages(["git"]);
    let gathered =
        tierce_engine::gather(&image, directory.path(), &tierce_engine::GatherCache::none())
            .expect("gathered");
    let rendered = tierce_dockerfile::render(&gathered, &Default::default()).expect("rendered");
    let removed: Vec<&str> = rendered
        .dockerfile
        .split_once("rm -rf ")
        .expect("what is removed")
        .1
        .split_whitespace()
        .filter(|word| *word != "\\")
        .collect();
    // The lists are in a cache: what is below is another directory.
    let own: Vec<String> = tierce_debian::NONDETERMINISTIC_PATHS
        .iter()
        .filter(|path| !path.starts_with("var/lib/apt/lists/"))
        .map(|path| format!("/{path}"))
        .collect();
    assert_eq!(removed, own);
}
