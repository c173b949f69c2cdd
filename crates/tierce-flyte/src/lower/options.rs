//! How packages are installed.

use super::Lowering;
use crate::{FlyteError, InstallOptions, Layer};
use std::path::Path;
use tierce_spec::{PipOptions, ServiceUrl, Step, without_credentials};

/// The indexes of all layers. Packages are resolved together, so one that some layers name is
/// another one for the rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Indexes {
    /// What the layers that install packages name, each once; `None` for PyPI.
    named: Vec<Option<String>>,
}

impl Indexes {
    pub fn of(layers: &[Layer]) -> Self {
        let mut named: Vec<Option<String>> = vec![];
        for layer in layers {
            let options = match layer {
                Layer::PipPackages { options, .. }
                | Layer::Requirements { options, .. }
                | Layer::Wheels { options, .. }
                | Layer::UvScript { options, .. }
                | Layer::UvProject { options, .. } => options,
                _ => continue,
            };
            let index = options.index_url.clone().or_else(|| said_in_arguments(options));
            // Locks say themselves where their packages are from, if nobody else does.
            let counts = index.is_some() || !matches!(layer, Layer::UvProject { .. });
            if counts && !named.contains(&index) {
                named.push(index);
            }
        }
        Indexes { named }
    }

    /// Whether layers name different ones.
    fn differ(&self) -> bool {
        self.named.len() > 1
    }
}

fn said_in_arguments(options: &InstallOptions) -> Option<String> {
    Arguments::split(options.extra_args.as_deref()).ok()?.index
}

/// Further arguments to uv, sorted by what becomes of them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Arguments {
    index: Option<String>,
    extra_indexes: Vec<String>,
    pre: bool,
    /// For the resolver.
    rest: Vec<String>,
    /// Of no account here.
    left_out: Vec<String>,
}

/// Arguments that say how to install, which is tierce's own business, or that hold anyway.
const MOOT: [&str; 16] = [
    "--reinstall",
    "--force-reinstall",
    "--system",
    "--no-cache",
    "--no-cache-dir",
    "-n",
    "--break-system-packages",
    "--compile-bytecode",
    "--compile",
    "--no-compile-bytecode",
    "--upgrade",
    "-U",
    "--quiet",
    "-q",
    "--verbose",
    "-v",
];

impl Arguments {
    fn split(text: Option<&str>) -> Result<Self, FlyteError> {
        let Some(text) = text else { return Ok(Arguments::default()) };
        let error = || FlyteError::ExtraArgs { text: without_credentials(text) };
        let mut words = shlex::split(text).ok_or_else(error)?.into_iter();
        let mut all = Arguments::default();
        while let Some(word) = words.next() {
            let (option, value) = match word.split_once('=') {
                Some((option, value)) if option.starts_with("--") => {
                    (option.to_owned(), Some(value.to_owned()))
                }
                _ => (word.clone(), None),
            };
            let mut value = || value.clone().or_else(|| words.next()).ok_or_else(error);
            match option.as_str() {
                "--index-url" | "-i" | "--default-index" => all.index = Some(value()?),
                "--extra-index-url" | "--index" => all.extra_indexes.push(value()?),
                "--pre" => all.pre = true,
                "--prerelease" => match value()?.as_str() {
                    "allow" => all.pre = true,
                    _ => all.left_out.push(word),
                },
                "--link-mode" | "--python" | "-p" => {
                    value()?;
                    all.left_out.push(option);
                }
                _ if MOOT.contains(&option.as_str()) => all.left_out.push(word),
                _ => all.rest.push(word),
            }
        }
        Ok(all)
    }
}

impl Lowering<'_> {
    pub(super) fn pip(
        &mut self,
        packages: &[String],
        options: &InstallOptions,
    ) -> Result<(), FlyteError> {
        if packages.is_empty() {
            return Ok(());
        }
        let options = self.pip_options(options)?;
        self.image = self.image.with_pip_packages(packages, options);
        Ok(())
    }

    pub(super) fn requirements(
        &mut self,
        file: &Path,
        options: &InstallOptions,
    ) -> Result<(), FlyteError> {
        let options = self.pip_options(options)?;
        let file = file.to_owned();
        self.add(Step::Requirements(tierce_spec::Requirements { file, options }));
        Ok(())
    }

    /// The options of a step whose packages are resolved together with those of all others.
    pub(super) fn pip_options(
        &mut self,
        options: &InstallOptions,
    ) -> Result<PipOptions, FlyteError> {
        let InstallOptions { index_url, extra_index_urls, pre, extra_args, secrets } = options;
        let arguments = Arguments::split(extra_args.as_deref())?;
        if !arguments.left_out.is_empty() {
            let names = arguments.left_out.join(" ");
            self.warn(
                "flyte/extra-arg-left-out",
                format!("extra_args: {names} is left out: it says how to install, and not what"),
            );
        }
        let mut all = PipOptions::new().with_pre(*pre || arguments.pre);
        all.extra_args = arguments.rest;
        all.secrets.clone_from(secrets);
        if let Some(text) = index_url.as_ref().or(arguments.index.as_ref()) {
            let index = address("index_url", text)?;
            match self.indexes.differ() {
                true => {
                    self.warn(
                        "flyte/indexes-together",
                        format!("layers name different indexes, and packages are resolved together: {index} is asked first, for all of them"),
                    );
                    all.extra_indexes.push(index);
                }
                false => all.index = Some(index),
            }
        }
        for text in extra_index_urls.iter().chain(&arguments.extra_indexes) {
            let index = address("extra_index_urls", text)?;
            if !all.extra_indexes.contains(&index) {
                all.extra_indexes.push(index);
            }
        }
        Ok(all)
    }
}

pub(super) fn address(parameter: &'static str, text: &str) -> Result<ServiceUrl, FlyteError> {
    text.parse().map_err(|source| FlyteError::Index {
        parameter,
        text: without_credentials(text),
        source,
    })
}

/// Further arguments as words.
pub(super) fn words(text: Option<&str>) -> Result<Vec<String>, FlyteError> {
    let Some(text) = text else { return Ok(vec![]) };
    let error = || FlyteError::ExtraArgs { text: without_credentials(text) };
    if without_credentials(text) != text {
        return Err(FlyteError::Credentials { parameter: "extra_args" });
    }
    shlex::split(text).ok_or_else(error)
}

/// Words as a line for a shell.
pub(super) fn line(words: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let quoted = |word: &str| match shlex::try_quote(word) {
        Ok(quoted) => quoted.into_owned(),
        // It has a NUL in it, which validation refuses.
        Err(_) => word.to_owned(),
    };
    words.into_iter().map(|word| quoted(word.as_ref())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_sorted_by_what_becomes_of_them() {
        let text = "--pre -i https://a/simple --extra-index-url=https://b/simple --no-cache-dir --exclude-newer 2025-01-01 --prerelease=allow";
        assert_eq!(
            Arguments::split(Some(text)).unwrap(),
            Arguments {
                index: Some("https://a/simple".to_owned()),
                extra_indexes: vec!["https://b/simple".to_owned()],
                pre: true,
                rest: ["--exclude-newer", "2025-01-01"].map(str::to_owned).to_vec(),
                left_out: vec!["--no-cache-dir".to_owned()],
            }
        );
        assert!(Arguments::split(Some("'open")).is_err());
        assert!(Arguments::split(Some("--index-url")).is_err());
    }
}
