//! Layers in a few words, for people.

use crate::{InstallMode, InstallOptions, Layer, LocalPackage, SourceKind};
use std::fmt;
use std::path::Path;
use tierce_spec::{CopyStyle, Secret, hide_address, hide_credentials};

impl Layer {
    /// The method that adds such a layer.
    pub fn method(&self) -> &'static str {
        match self {
            Layer::PipPackages { .. } => "with_pip_packages",
            Layer::Requirements { .. } => "with_requirements",
            Layer::Wheels { .. } => "with_wheels",
            Layer::LocalPackages { .. } => "from_env",
            Layer::UvProject { .. } => "with_uv_project",
            Layer::PoetryProject { .. } => "with_poetry_project",
            Layer::PixiProject { .. } => "with_pixi_project",
            Layer::UvScript { .. } => "from_uv_script",
            Layer::PixiScript { .. } => "from_pixi_script",
            Layer::AptPackages { .. } => "with_apt_packages",
            Layer::Commands { .. } => "with_commands",
            Layer::Env { .. } => "with_env_vars",
            Layer::Workdir { .. } => "with_workdir",
            Layer::Source { kind: SourceKind::File, .. } => "with_source_file",
            Layer::Source { kind: SourceKind::Folder, .. } => "with_source_folder",
            Layer::CodeBundle { .. } => "with_code_bundle",
            Layer::Dockerignore { .. } => "with_dockerignore",
            Layer::DockerLines { .. } => "clone",
        }
    }

    /// The layer in one short line, as `pip numpy pandas`. No credentials of URLs are in it, of
    /// commands neither, and no values of variables.
    pub fn describe(&self) -> String {
        let line = match self {
            Layer::PipPackages { packages, options } => {
                format!("pip {}{}", some(packages), install(options))
            }
            Layer::Requirements { file, options } => {
                format!("requirements {}{}", file.display(), install(options))
            }
            Layer::Wheels { dir, package, options } => {
                format!("wheel {package} of {}{}", dir.display(), install(options))
            }
            Layer::LocalPackages { packages } => {
                let packages: Vec<String> = packages.iter().map(LocalPackage::describe).collect();
                format!("local {}", some(&packages))
            }
            Layer::UvProject { pyproject, mode, options, lock: _ } => {
                format!("uv project {}{}{}", folder(pyproject), installed(*mode), install(options))
            }
            Layer::PoetryProject { pyproject, mode, secrets, .. } => {
                format!("poetry project {}{}{}", folder(pyproject), installed(*mode), with(secrets))
            }
            Layer::PixiProject { manifest, environment, mode, secrets, .. } => format!(
                "pixi project {} ({environment}){}{}",
                folder(manifest),
                installed(*mode),
                with(secrets)
            ),
            Layer::UvScript { script, options } => {
                format!("uv script {}{}", script.display(), install(options))
            }
            Layer::PixiScript { script, environment, secrets, .. } => {
                format!("pixi script {} ({environment}){}", script.display(), with(secrets))
            }
            Layer::AptPackages { packages, secrets } => {
                format!("apt {}{}", some(packages), with(secrets))
            }
            Layer::Commands { commands, secrets } => match commands.as_slice() {
                [only] => format!("run {only}{}", with(secrets)),
                [first, rest @ ..] => {
                    format!("run {first} and {} more{}", rest.len(), with(secrets))
                }
                [] => "run nothing".to_owned(),
            },
            Layer::Env { vars } => {
                let names: Vec<String> = vars.iter().map(|(name, _)| name.clone()).collect();
                format!("env {}", some(&names))
            }
            Layer::Workdir { workdir } => format!("workdir {workdir}"),
            Layer::Source { kind: _, src, dst } => format!("copy {} to {dst}", src.display()),
            Layer::CodeBundle { style: CopyStyle::All, dst, .. } => format!("code, all, to {dst}"),
            Layer::CodeBundle { style: CopyStyle::LoadedModules, dst, .. } => {
                format!("code, loaded modules, to {dst}")
            }
            Layer::Dockerignore { path } => format!("dockerignore {}", path.display()),
            Layer::DockerLines { lines } => format!("dockerfile {}", some(lines)),
        };
        shortened(&hide_credentials(&line))
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

/// As for people: requirements may have URLs with credentials in them.
impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Layer").field(&self.describe()).finish()
    }
}

/// Without credentials of URLs.
impl fmt::Debug for InstallOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let InstallOptions { index_url, extra_index_urls, pre, extra_args, secrets } = self;
        let index_url = index_url.as_deref().map(hide_address);
        let extra: Vec<String> = extra_index_urls.iter().map(|u| hide_address(u)).collect();
        let extra_args = extra_args.as_deref().map(hide_credentials);
        f.debug_struct("InstallOptions")
            .field("index_url", &index_url)
            .field("extra_index_urls", &extra)
            .field("pre", pre)
            .field("extra_args", &extra_args)
            .field("secrets", secrets)
            .finish()
    }
}

/// How many items are named before they are only counted.
const NAMED: usize = 6;

fn some(items: &[String]) -> String {
    match items.len() {
        0 => "nothing".to_owned(),
        n if n <= NAMED => items.join(" "),
        n => format!("{} and {} more", items[..NAMED].join(" "), n - NAMED),
    }
}

fn install(options: &InstallOptions) -> String {
    let InstallOptions { index_url, extra_index_urls, pre, extra_args, secrets } = options;
    let mut line = String::new();
    if let Some(url) = index_url {
        line += &format!(" from {}", hide_address(url));
    }
    for url in extra_index_urls {
        line += &format!(" and {}", hide_address(url));
    }
    if *pre {
        line += " --pre";
    }
    if let Some(args) = extra_args {
        line += &format!(" {args}");
    }
    line + &with(secrets)
}

fn with(secrets: &[Secret]) -> String {
    match secrets {
        [] => String::new(),
        some => {
            let names: Vec<String> = some.iter().map(ToString::to_string).collect();
            format!(" with {}", names.join(", "))
        }
    }
}

fn installed(mode: InstallMode) -> &'static str {
    match mode {
        InstallMode::DependenciesOnly => "",
        InstallMode::InstallProject => " itself",
    }
}

fn folder(file: &Path) -> String {
    let folder = file.parent().unwrap_or(Path::new("")).display().to_string();
    if folder.is_empty() { ".".to_owned() } else { folder }
}

/// One line, not too long.
fn shortened(line: &str) -> String {
    const LONGEST: usize = 100;
    let flat = line.split_whitespace().collect::<Vec<_>>().join(" ");
    match flat.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", flat[..end].trim_end()),
        None => flat,
    }
}
