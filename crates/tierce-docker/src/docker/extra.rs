//! Further arguments of `docker build`, as far as the API has them too.

use std::collections::BTreeMap;
use tierce_frontend::BuildNetwork;

/// Arguments that mean something to BuildKit without any command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ExtraArguments {
    pub(crate) network: BuildNetwork,
    /// Attributes of the frontend.
    pub(crate) attributes: BTreeMap<String, String>,
}

impl ExtraArguments {
    /// Reads `arguments`; `None` where one of them needs the command.
    pub(crate) fn read(arguments: &[String]) -> Option<Self> {
        let mut all = ExtraArguments::default();
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (argument.as_str(), None),
            };
            let mut value = || value.clone().or_else(|| rest.next().cloned());
            match name {
                "--network" => all.network = value()?.parse().ok()?,
                "--build-arg" => {
                    // Without a value it is the command's own environment that counts.
                    let pair = value()?;
                    let (name, value) = pair.split_once('=')?;
                    all.attributes.insert(format!("build-arg:{name}"), value.to_owned());
                }
                "--label" => {
                    let pair = value()?;
                    let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
                    all.attributes.insert(format!("label:{name}"), value.to_owned());
                }
                "--add-host" => {
                    let host = value()?.replacen(':', "=", 1);
                    let hosts = all.attributes.entry("add-hosts".to_owned()).or_default();
                    *hosts = if hosts.is_empty() { host } else { format!("{hosts},{host}") };
                }
                "--target" => {
                    all.attributes.insert("target".to_owned(), value()?);
                }
                // The frontend's attributes have the same names.
                "--shm-size" | "--cgroup-parent" => {
                    all.attributes.insert(name.trim_start_matches('-').to_owned(), value()?);
                }
                "--ulimit" => {
                    let limit = value()?;
                    let limits = all.attributes.entry("ulimit".to_owned()).or_default();
                    *limits = if limits.is_empty() { limit } else { format!("{limits},{limit}") };
                }
                "--no-cache" => {
                    all.attributes.insert("no-cache".to_owned(), String::new());
                }
                "--pull" => {
                    all.attributes.insert("image-resolve-mode".to_owned(), "pull".to_owned());
                }
                _ => return None,
            }
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_the_api_has() {
        let read = |text: &str| {
            let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
            ExtraArguments::read(&words)
        };
        assert_eq!(read(""), Some(ExtraArguments::default()));
        let all = read("--network host --build-arg=A=1=2 --no-cache --add-host a:1 --add-host b:2")
            .unwrap();
        assert_eq!(all.network, BuildNetwork::Host);
        let attributes: Vec<_> = all.attributes.iter().map(|(k, v)| format!("{k}:{v}")).collect();
        assert_eq!(attributes, ["add-hosts:a=1,b=2", "build-arg:A:1=2", "no-cache:"]);
        let all =
            read("--shm-size=64 --ulimit nofile=1:2 --ulimit nproc=3 --cgroup-parent x").unwrap();
        let attributes: Vec<_> = all.attributes.iter().map(|(k, v)| format!("{k}:{v}")).collect();
        assert_eq!(attributes, ["cgroup-parent:x", "shm-size:64", "ulimit:nofile=1:2,nproc=3"]);
        for text in ["--squash", "--network", "--network=container:x", "--build-arg A"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
