//! ImageSpecs as images: what is looked at on this machine.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use tierce::config::Environment;
use tierce::fronts::{Front, Program, below, image_spec_of};
use tierce::imagespec::{BaseImage, Fields, ImageSpec};
use tierce::spec::{Base, Image, Step};
use tierce::{Diagnostic, Settings};

fn settings(variables: &[(&str, &str)]) -> Settings {
    let own = [("HOME", "/nowhere"), ("TIERCE_STORE", "/nowhere/store")];
    let variables: Vec<(&str, &str)> = own.iter().chain(variables).copied().collect();
    Settings::from_environment(&Environment::from_variables(variables)).unwrap()
}

fn front(fields: Fields, root: &Path, program: &Program, variables: &[(&str, &str)]) -> Front {
    let spec = ImageSpec::new(fields).unwrap();
    image_spec_of(&spec, root, &settings(variables), program).unwrap()
}

/// Which files of each source folder are copied.
fn copied(image: &Image) -> Vec<Option<Vec<PathBuf>>> {
    let folder = |step: &Step| match step {
        Step::SourceFolder(folder) => Some(folder.options.only.clone()),
        _ => None,
    };
    image.steps().iter().filter_map(folder).collect()
}

fn write(root: &Path, files: &[&str]) {
    for file in files {
        let file = root.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "").unwrap();
    }
}

#[test]
fn files_below_a_folder_are_found_through_links() {
    let temp = tempfile::tempdir().unwrap();
    write(temp.path(), &["real/a.py", "real/pkg/b.py", "outside.py"]);
    let (root, link) = (temp.path().join("real"), temp.path().join("link"));
    symlink(&root, &link).unwrap();
    symlink(temp.path().join("outside.py"), root.join("linked.py")).unwrap();
    let files = [
        link.join("pkg/b.py"),
        root.join("a.py"),
        root.join("pkg/../a.py"),
        root.join("gone.py"),
        root.join("linked.py"),
        temp.path().join("outside.py"),
    ];
    let expected: Vec<PathBuf> = ["a.py", "linked.py", "pkg/b.py"].map(Into::into).into();
    assert_eq!(below(&root, &files), expected);
    assert_eq!(below(&link, &files), expected);
    assert_eq!(below(&temp.path().join("nothing"), &files), Vec::<PathBuf>::new());
}

#[test]
fn each_source_root_has_the_modules_below_it() {
    let temp = tempfile::tempdir().unwrap();
    write(temp.path(), &["one/a.py", "two/b.py"]);
    let loaded = ["one/a.py", "two/b.py"].map(|f| temp.path().join(f)).to_vec();
    let program = Program { loaded: Some(loaded), ..Program::default() };
    let rooted = |root: &str| Fields { source_root: Some(root.into()), ..Fields::default() };
    let base = ImageSpec::new(rooted("one")).unwrap();
    let fields = Fields { base_image: Some(BaseImage::from(base)), ..rooted("two") };
    let front = front(fields, temp.path(), &program, &[]);
    assert_eq!(copied(&front.image), [Some(vec!["b.py".into()])]);
    let Base::Image(below) = front.image.base() else { panic!("the base is a spec") };
    assert_eq!(copied(below), [Some(vec!["a.py".into()])]);
}

#[test]
fn a_program_says_which_flytekit() {
    let program = Program { flytekit: Some("flytekit==1.16.31".into()), ..Program::default() };
    let requirement = |program: &Program| {
        let image = front(Fields::default(), Path::new("."), program, &[]).image;
        let pip = image.steps().iter().find_map(|step| match step {
            Step::Pip(pip) => Some(pip.packages.clone()),
            _ => None,
        });
        pip.unwrap()
    };
    assert_eq!(requirement(&program), ["flytekit==1.16.31"]);
    assert_eq!(requirement(&Program::default()), ["flytekit"]);
}

#[test]
fn what_is_pushed_and_what_is_forced() {
    let of = |registry: Option<&str>, variables: &[(&str, &str)]| {
        let fields = Fields { registry: registry.map(str::to_owned), ..Fields::default() };
        let front = front(fields, Path::new("."), &Program::default(), variables);
        (front.pushes, front.force)
    };
    assert_eq!(of(Some("ghcr.io/team"), &[]), (true, false));
    assert_eq!(of(None, &[]), (false, false));
    assert_eq!(of(Some("ghcr.io/team"), &[("FLYTE_PUSH_IMAGE_SPEC", "false")]), (false, false));
    let everyones = ("TIERCE_REGISTRY", "ghcr.io/everyone");
    assert_eq!(of(None, &[everyones]), (true, false), "it is named there");
    assert_eq!(of(None, &[everyones, ("FLYTE_PUSH_IMAGE_SPEC", "false")]), (false, false));
    assert_eq!(of(None, &[("FLYTE_FORCE_PUSH_IMAGE_SPEC", "true")]), (false, true));
}

#[test]
fn what_is_wrong_keeps_its_code() {
    let (base_image, packages) = (Some("ubuntu:22.04".into()), vec!["gdal".into()]);
    let fields = Fields { base_image, packages, ..Fields::default() };
    let spec = ImageSpec::new(fields).unwrap();
    let program = Program::default();
    let failure = image_spec_of(&spec, Path::new("."), &settings(&[]), &program).unwrap_err();
    assert_eq!(failure.code(), "imagespec/conda-unsupported");
    assert!(failure.hint().is_some());
}
