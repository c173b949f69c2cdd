//! Packages that are installed when a container starts: flytekit's runtime packages.
//!
//! Whoever starts a container sets a variable with their names. flytekit's own entrypoint reads it
//! and calls pip; a small program in front of everything else does it for all other commands, and
//! where there is no pip.

use crate::lower::package_name;
use crate::{Fields, Warning};
use std::collections::BTreeMap;
use tierce_spec::{Image, Network};

/// The variable by which containers know what to install when they start.
pub(crate) const VARIABLE: &str = "_F_RUNTIME_PACKAGES";
/// The program.
const ENTRY: &str = "/opt/tierce/entry";
const SCRIPT: &str = include_str!("entry.sh");
/// The line that ends the program where it is written.
const END: &str = "TIERCE_ENTRY";
/// Where Python packages may be.
const PREFIXES: &str = "/opt/venv /opt/conda /opt/micromamba/envs/runtime";

/// The variables that containers need.
pub(crate) fn env(fields: &Fields) -> BTreeMap<String, String> {
    match fields.runtime_packages.as_slice() {
        [] => BTreeMap::new(),
        packages => BTreeMap::from([(VARIABLE.to_owned(), packages.join(" "))]),
    }
}

/// With the program in front of `entrypoint`.
pub(crate) fn with_entry(image: &Image, entrypoint: Option<&[String]>) -> Image {
    let argv = [ENTRY].into_iter().chain(entrypoint.into_iter().flatten().map(String::as_str));
    image.with_commands([write()], Network::None).with_entrypoint(argv)
}

/// With an environment that the container's user may install into, as flytekit has it. Only the
/// folders change owner: files that are replaced are new ones.
pub(crate) fn with_writable_environment(image: &Image, user: &str) -> Image {
    if matches!(user, "root" | "0" | "0:0") {
        return image.clone();
    }
    let user = user.replace('\'', r"'\''");
    let line = format!(
        "# let users install runtime packages\n\
         for prefix in {PREFIXES}; do\n\
         if [ -d \"$prefix\" ]; then find \"$prefix\" -type d -exec chown '{user}' {{}} + || exit; fi\n\
         done"
    );
    image.with_commands([line], Network::None)
}

/// The command that writes the program.
fn write() -> String {
    let folder = ENTRY.rsplit_once('/').map_or("/", |(folder, _)| folder);
    format!(
        "# write {ENTRY}, which installs runtime packages\n\
         mkdir -p {folder} && chmod 755 {folder} && cat > {ENTRY} <<'{END}' && chmod 755 {ENTRY}\n\
         {SCRIPT}{END}"
    )
}

/// What the user should know.
pub(crate) fn warnings(fields: &Fields, packages: &[String]) -> Vec<Warning> {
    let mut all = vec![];
    if !packages.iter().any(|package| ["pip", "uv"].contains(&package_name(package))) {
        all.push(Warning::new(
            "imagespec/runtime-packages-without-pip",
            "runtime_packages are installed by pip or uv when a container starts: add \"pip\" to packages, unless the base has one of them",
        ));
    }
    if fields.entrypoint.is_none() && fields.base_image.is_some() {
        all.push(Warning::new(
            "imagespec/runtime-packages-entrypoint",
            "what installs runtime_packages takes the place of the base's entrypoint: name that in entrypoint, or an empty list where there is none",
        ));
    }
    all
}
