//! What Flyte's builder puts around the layers of an image, so that Flyte's tasks run in it.

use super::Lowering;
use super::name::split;
use crate::{FlyteError, FlyteImage, Layer};
use tierce_spec::{PipOptions, SearchPath};

/// The environment that Python packages are installed into.
pub(super) const VENV: &str = "/opt/venv";
/// The user that Flyte's own images make, and run as.
const USER: &str = "flyte";
const HOME: &str = "/home/flyte";
/// Where clusters mount the programs of drivers that they have.
const NVIDIA_PATH: [&str; 2] = ["/usr/local/nvidia/bin", "/usr/local/cuda/bin"];
const NVIDIA_LIBRARIES: &str = "/usr/local/nvidia/lib64";
/// The variable by which a container knows the image that it was made from.
const IMAGE_ID: &str = "_F_IMG_ID";

impl Lowering<'_> {
    pub(super) fn prelude(&mut self) -> Result<(), FlyteError> {
        self.image = self.image.with_user("root");
        self.uv_for_commands();
        let vars = [
            ("UV_COMPILE_BYTECODE", "1"),
            ("UV_LINK_MODE", "copy"),
            ("VIRTUALENV", VENV),
            ("UV_PYTHON", "/opt/venv/bin/python"),
        ];
        for (name, value) in vars {
            self.variables.set(name, value);
        }
        // The environment itself, where the base has none: what is put into it comes later.
        let image = self.image.with_env_vars(vars);
        let image = image.with_pip_packages(Vec::<String>::new(), PipOptions::new());
        self.variables.set("VIRTUAL_ENV", VENV);
        self.variables.lead(&[format!("{VENV}/bin")]);
        let path = SearchPath { before: vec![], after: NVIDIA_PATH.map(str::to_owned).to_vec() };
        let libraries = SearchPath { before: vec![NVIDIA_LIBRARIES.to_owned()], after: vec![] };
        let image = image.with_search_path("PATH", path);
        self.image = image.with_search_path("LD_LIBRARY_PATH", libraries);
        Ok(())
    }

    /// Commands may call uv, as in Flyte's own images. Where nothing runs, nothing can.
    fn uv_for_commands(&mut self) {
        if !self.source.calls_programs() {
            return;
        }
        match &self.surroundings.uv {
            Some(uv) => self.image = self.image.with_source_file(uv, "/usr/bin/uv"),
            None => self.warn(
                "flyte/no-uv",
                "there is no uv on this machine: commands find none in the image",
            ),
        }
    }

    pub(super) fn footer(&mut self) {
        if self.source.makes_user() {
            self.image = self.image.with_user(USER);
            // What the user says of the working directory counts.
            if self.workdir.is_none() {
                self.image = self.image.with_workdir(HOME);
            }
        }
        // Last: the slightest change of the image changes it.
        self.image = self.image.with_env_vars([(IMAGE_ID, self.own_name())]);
    }

    /// The name that the image is built under: Flyte's, in the registry that it goes to.
    fn own_name(&self) -> String {
        let uri = self.source.uri.as_deref().unwrap_or_default();
        let named = split(uri, self.source.registry.as_deref());
        let has_registry = named.is_ok_and(|named| named.registry.is_some());
        match &self.surroundings.registry {
            Some(registry) if !has_registry => {
                format!("{}/{uri}", registry.trim_end_matches('/'))
            }
            Some(_) | None => uri.to_owned(),
        }
    }
}

impl FlyteImage {
    fn commands(&self) -> impl Iterator<Item = &str> {
        let lines = self.layers.iter().filter_map(|layer| match layer {
            Layer::Commands { commands, .. } => Some(commands),
            _ => None,
        });
        lines.flatten().map(String::as_str)
    }

    /// Whether it makes Flyte's user, as Flyte's `from_debian_base` does.
    pub(super) fn makes_user(&self) -> bool {
        self.commands().any(makes_user)
    }

    /// Whether commands of the user's run, which may call any program.
    pub(super) fn calls_programs(&self) -> bool {
        self.commands().any(|line| !makes_user(line))
    }
}

/// Whether a line is the one that makes Flyte's user.
fn makes_user(line: &str) -> bool {
    line.contains("useradd") && line.contains(HOME)
}
