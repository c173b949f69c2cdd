//! The options of one build, as its builder takes them.

use super::options::{DockerBuildOptions, StepNetwork};
use super::{ContainerEngine, ContextError};
use crate::open::Tierce;
use serde_json::{Value, json};
use std::sync::Arc;
use tierce_config::Settings;
use tierce_engine::{Events, ImageBuilder};
use tierce_oci::Reference;
use tierce_plugin::{BuiltInFlavor, Config, Flavor, Registered};

/// Lower than any other: it is named, never chosen by this.
const PRIORITY: i32 = -100;

/// What there is to do besides what the builder was told.
pub(super) struct Told {
    /// Look everything up anew, and use no cache.
    pub(super) refresh: bool,
    /// What holds the folder that the builder works in.
    _flavors: [BuiltInFlavor; 3],
}

/// Tells the builder called `name` what `options` say.
pub(super) async fn tell(
    tierce: &mut Tierce,
    settings: &Settings,
    name: &str,
    options: &DockerBuildOptions,
    events: &Events,
) -> Result<Told, ContextError> {
    let (flavor, config) = match settings.builders.get(name) {
        None => (name.to_owned(), Config::new()),
        Some(table) => {
            let Registered { flavor, config, .. } = Registered::read(name, table)?;
            (flavor, config)
        }
    };
    let flavors = crate::engines::flavors(settings, tierce.native());
    let Some(engine) = flavors.iter().find(|engine| engine.name() == flavor) else {
        // A program of somebody's own: it takes a request, and no options.
        for name in options.names_for_engines() {
            let message = format!("build option {name}: the builder {flavor} does not take it");
            events.warn("context/ignored-option", message);
        }
        return Ok(Told { refresh: options.no_cache || options.pull, _flavors: flavors });
    };
    let config = match flavor.as_str() {
        "docker" => {
            let docker = &settings.docker;
            let own =
                Own { args: &docker.extra_args, from: &docker.cache_from, to: &docker.cache_to };
            for_command(config, &own, arguments(options, ContainerEngine::Docker), options)
        }
        "podman" => {
            let podman = &settings.podman;
            let own =
                Own { args: &podman.extra_args, from: &podman.cache_from, to: &podman.cache_to };
            let options = for_podman(options, events);
            for_command(config, &own, arguments(&options, ContainerEngine::Podman), &options)
        }
        _ => {
            let buildkit = &settings.buildkit;
            let own = Own { args: &[], from: &buildkit.cache_from, to: &buildkit.cache_to };
            for_buildkit(config, &own, options)
        }
    };
    let built = engine.build(&config, None).await;
    let builder: Arc<dyn ImageBuilder> =
        built.map_err(|source| ContextError::Load { name: name.to_owned(), source })?;
    tierce.register_as(name, builder, PRIORITY);
    Ok(Told { refresh: false, _flavors: flavors })
}

/// What the settings say already.
struct Own<'a> {
    args: &'a [String],
    from: &'a [String],
    to: &'a [String],
}

/// Adds to the list in `config`, else to that of the settings.
fn extend(config: &mut Config, key: &str, own: &[String], more: &[String]) {
    let list = config.entry(key).or_insert_with(|| json!(own));
    if let Value::Array(items) = list {
        items.extend(more.iter().map(|text| json!(text)));
    }
}

fn caches(config: &mut Config, own: &Own<'_>, options: &DockerBuildOptions) {
    extend(config, "cache-from", own.from, &options.cache_from);
    extend(config, "cache-to", own.to, &options.cache_to);
    if let Some(network) = options.network {
        config.insert("network".to_owned(), json!(network.to_string()));
    }
}

fn for_command(
    mut config: Config,
    own: &Own<'_>,
    arguments: Vec<String>,
    options: &DockerBuildOptions,
) -> Config {
    extend(&mut config, "extra-args", own.args, &arguments);
    caches(&mut config, own, options);
    config
}

/// As `docker build` and `podman build` take them; the first knows no modes of pulling.
fn arguments(options: &DockerBuildOptions, engine: ContainerEngine) -> Vec<String> {
    let mut all = vec![];
    if options.no_cache {
        all.push("--no-cache".to_owned());
    }
    if options.pull {
        all.push(match engine {
            ContainerEngine::Docker => "--pull".to_owned(),
            ContainerEngine::Podman => "--pull=always".to_owned(),
        });
    }
    all.extend(options.shm_size.map(|size| format!("--shm-size={size}")));
    all.extend(options.labels.iter().map(|(name, value)| format!("--label={name}={value}")));
    all.extend(options.add_hosts.iter().map(|(host, ip)| format!("--add-host={host}:{ip}")));
    all.extend(options.ulimits.iter().map(|limit| format!("--ulimit={limit}")));
    all.extend(options.cgroup_parent.iter().map(|parent| format!("--cgroup-parent={parent}")));
    all
}

/// Caches of podman's are repositories, in which it finds layers by their own tags.
fn for_podman(options: &DockerBuildOptions, events: &Events) -> DockerBuildOptions {
    let mut options = options.clone();
    for (name, caches) in
        [("cache_from", &mut options.cache_from), ("cache_to", &mut options.cache_to)]
    {
        caches.retain(|cache| {
            let reference = cache.parse::<Reference>();
            let whole = reference.is_ok_and(|r| r.tag().is_none() && r.digest().is_none());
            if !whole {
                let message = format!(
                    "build option {name}: {cache} is left out, podman takes a repository without tag"
                );
                events.warn("context/ignored-option", message);
            }
            whole
        });
    }
    options
}

/// As BuildKit's own frontend takes them.
fn for_buildkit(mut config: Config, own: &Own<'_>, options: &DockerBuildOptions) -> Config {
    let mut all = vec![];
    if options.no_cache {
        all.push("no-cache".to_owned());
    }
    if options.pull {
        all.push("image-resolve-mode=pull".to_owned());
    }
    all.extend(options.shm_size.map(|size| format!("shm-size={size}")));
    all.extend(options.labels.iter().map(|(name, value)| format!("label:{name}={value}")));
    let hosts: Vec<String> =
        options.add_hosts.iter().map(|(host, ip)| format!("{host}={ip}")).collect();
    for (name, values) in [("add-hosts", &hosts), ("ulimit", &options.ulimits)] {
        if !values.is_empty() {
            all.push(format!("{name}={}", values.join(",")));
        }
    }
    all.extend(options.cgroup_parent.iter().map(|parent| format!("cgroup-parent={parent}")));
    extend(&mut config, "options", own.args, &all);
    caches(&mut config, own, options);
    config
}

impl std::fmt::Display for StepNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            StepNetwork::Default => "default",
            StepNetwork::Host => "host",
            StepNetwork::None => "none",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierce_engine::NoEvents;

    fn options() -> DockerBuildOptions {
        let mut options = DockerBuildOptions::default();
        let said = json!({
            "pull": true, "no_cache": true, "shm_size": "1k", "labels": {"a": "b=c"},
            "add_host": ["h:::1"], "ulimit": ["nofile=1:2", "nproc=3"], "cgroup_parent": "g",
            "cache_from": ["r.example/c", "r.example/c:1"], "network": "host",
        });
        options.take(said.as_object().unwrap()).unwrap();
        options
    }

    fn config(said: Value) -> Config {
        said.as_object().unwrap().clone()
    }

    #[test]
    fn docker_and_podman_are_told_by_arguments() {
        let events = Events::new(Arc::new(NoEvents));
        let own =
            Own { args: &["--squash".to_owned()], from: &["r.example/own".to_owned()], to: &[] };
        let podman = for_podman(&options(), &events);
        for (engine, options, pull, caches) in [
            (
                ContainerEngine::Docker,
                options(),
                "--pull",
                json!(["r.example/own", "r.example/c", "r.example/c:1"]),
            ),
            (
                ContainerEngine::Podman,
                podman,
                "--pull=always",
                json!(["r.example/own", "r.example/c"]),
            ),
        ] {
            let told = for_command(Config::new(), &own, arguments(&options, engine), &options);
            let expected = json!({
                "extra-args": [
                    "--squash", "--no-cache", pull, "--shm-size=1024", "--label=a=b=c",
                    "--add-host=h:::1", "--ulimit=nofile=1:2", "--ulimit=nproc=3",
                    "--cgroup-parent=g",
                ],
                "cache-from": caches,
                "cache-to": [],
                "network": "host",
            });
            assert_eq!(told, config(expected), "{engine:?}");
        }
    }

    #[test]
    fn a_buildkitd_is_told_by_attributes() {
        let own = Own { args: &[], from: &["r.example/own".to_owned()], to: &[] };
        // What a registered builder says stands in for the settings.
        let registered = config(json!({"address": "tcp://b", "cache-from": ["r.example/its"]}));
        let told = for_buildkit(registered, &own, &options());
        let expected = json!({
            "address": "tcp://b",
            "options": [
                "no-cache", "image-resolve-mode=pull", "shm-size=1024", "label:a=b=c",
                "add-hosts=h=::1", "ulimit=nofile=1:2,nproc=3", "cgroup-parent=g",
            ],
            "cache-from": ["r.example/its", "r.example/c", "r.example/c:1"],
            "cache-to": [],
            "network": "host",
        });
        assert_eq!(told, config(expected));
    }
}
