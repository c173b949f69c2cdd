//! Which builders there are.

use crate::open::OpenError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tierce_checkers::RegistryChecker;
use tierce_config::{Origin, Settings};
use tierce_engine::{ImageChecker, NoopBuilder, RegistryLogin};
use tierce_native::NativeBuilder;
use tierce_plugin::{
    Builders, BuiltInFlavor, ExternalSettings, Flavors, Registered, RegisteredError,
    ScratchDirectory, SearchPath,
};
use tierce_registry::Client;
use tierce_store::ScratchDir;

/// The flavors that are built in, those that were registered, those whose programs are found, and
/// the builders that were registered.
pub(crate) fn builders(
    settings: &Settings,
    native: &NativeBuilder,
    registry: &Client,
) -> Result<Builders, OpenError> {
    let flavors = flavors(settings, native, registry);
    let registered: Result<Vec<Registered>, RegisteredError> =
        settings.builders.iter().map(|(name, table)| Registered::read(name, table)).collect();
    let mut builders = Builders::new(flavors);
    for builder in registered? {
        let file = file_of(settings, &builder.name);
        builders = builders.with_registered(file, [builder]);
    }
    Ok(builders)
}

/// A directory of the store, which nobody sweeps away while it is in use.
struct Scratch(ScratchDir);

impl ScratchDirectory for Scratch {
    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// The file that registers a builder, for messages.
fn file_of(settings: &Settings, name: &str) -> PathBuf {
    let below = format!("builders.{name}");
    let is_its =
        |key: &str| key.strip_prefix(&below).is_some_and(|k| k.is_empty() || k.starts_with('.'));
    let entries = settings.entries();
    let file = entries.iter().filter(|entry| is_its(&entry.key)).find_map(|e| match &e.origin {
        Origin::File { path, .. } => Some(path.clone()),
        _ => None,
    });
    file.unwrap_or_else(|| PathBuf::from("config.toml"))
}

fn flavors(settings: &Settings, native: &NativeBuilder, registry: &Client) -> Flavors {
    let client = registry.clone();
    let checker = move |login: Option<&RegistryLogin>| {
        Arc::new(RegistryChecker::with_login(client.clone(), login)) as Arc<dyn ImageChecker>
    };
    let store = native.context().store.clone();
    let scratch = move || {
        let directory = store.scratch_dir("context").map_err(std::io::Error::other)?;
        Ok(Box::new(Scratch(directory)) as Box<dyn ScratchDirectory>)
    };
    let external = ExternalSettings::new(settings.store.join("tmp"))
        .with_scratch(Arc::new(scratch))
        .with_registries(Arc::new(checker));
    let engines = crate::engines::flavors(settings, native);
    let native = native.clone();
    let flavors = Flavors::new(SearchPath::new(settings.search_path.clone()), external)
        .with_registered(settings.flavors.iter().map(|(n, f)| (n.clone(), f.program.clone())))
        .with_built_in(Arc::new(BuiltInFlavor::new(
            "native",
            "builds on this machine, without any container engine",
            move |_| Ok(Arc::new(native.clone())),
        )))
        .with_built_in(Arc::new(BuiltInFlavor::new(
            "noop",
            "builds nothing: what an image starts from is taken for the image",
            |_| Ok(Arc::new(NoopBuilder)),
        )));
    engines.into_iter().fold(flavors, |all, flavor| all.with_built_in(Arc::new(flavor)))
}
