//! Images as text: as Python would say them, and a line for each layer.

use crate::secret::quoted;
use std::fmt::Write;
use tierce::spec::{CopyStyle, Secret, hide_address, hide_credentials};
use tierce_flyte::{FlyteImage, InstallMode, InstallOptions, Layer, SourceKind};

/// How many items of a list are shown.
const ITEMS: usize = 4;
/// How long an item may be.
const LENGTH: usize = 50;

/// The image as the calls that make it, without what is long, and without values of variables.
pub fn repr(image: &FlyteImage) -> String {
    let (mut shown, skipped) = constructor(image);
    for layer in &image.layers[skipped..] {
        let _ = write!(shown, ".{}", call(layer));
    }
    format!("Image.{shown}")
}

/// The image's first line, and one for each layer.
pub fn lines(image: &FlyteImage) -> Vec<String> {
    let (constructor, _) = constructor(image);
    let layers = image.layers.iter().map(|layer| format!("  {layer}"));
    [format!("Image.{constructor}")].into_iter().chain(layers).collect()
}

/// The same for notebooks.
pub fn html(image: &FlyteImage) -> String {
    let (constructor, _) = constructor(image);
    let mut shown = format!("<code>Image.{}</code>", escaped(&constructor));
    if !image.layers.is_empty() {
        let items: String = image
            .layers
            .iter()
            .map(|layer| format!("<li><code>{}</code></li>", escaped(&layer.to_string())))
            .collect();
        let _ = write!(shown, "<ol>{items}</ol>");
    }
    shown
}

/// `text` in HTML.
pub fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

/// What the image starts from, as a call, and how many layers that call makes.
fn constructor(image: &FlyteImage) -> (String, usize) {
    let mut call = Call::default();
    let named = |call: &mut Call| {
        call.option("name", image.name.as_deref());
        call.option("registry", image.registry.as_deref().map(hide_address).as_deref());
    };
    if let Some(file) = &image.dockerfile {
        call.item(&file.to_string_lossy());
        named(&mut call);
        return (call.of("from_dockerfile"), 0);
    }
    match (&image.ref_name, &image.base_image, image.layers.first()) {
        (Some(name), ..) => call.item(name),
        (None, Some(base), _) => call.item(&hide_address(base)),
        (None, None, Some(Layer::UvScript { script, .. } | Layer::PixiScript { script, .. })) => {
            call.item(&script.to_string_lossy());
            named(&mut call);
            return (call.of(image.layers[0].method()), 1);
        }
        (None, None, _) => {
            let python = image.python_version;
            call.raw("python_version", &format!("({}, {})", python.major, python.minor));
            named(&mut call);
            return (call.of("from_debian_base"), 0);
        }
    }
    let start = call.of(if image.ref_name.is_some() { "from_ref_name" } else { "from_base" });
    if !image.is_cloned {
        return (start, 0);
    }
    let mut clone = Call::default();
    named(&mut clone);
    (format!("{start}.{}", clone.of("clone")), 0)
}

/// A layer as the call that adds it.
pub fn call(layer: &Layer) -> String {
    let mut call = Call::default();
    match layer {
        Layer::PipPackages { packages, options } => {
            call.items(packages);
            call.install(options);
        }
        Layer::Requirements { file, options } => {
            call.item(&file.to_string_lossy());
            call.install(options);
        }
        Layer::Wheels { dir, package, options } => {
            call.item(&dir.to_string_lossy());
            call.item(package);
            call.install(options);
        }
        Layer::LocalPackages { packages } => {
            packages.iter().for_each(|package| call.item(&package.path.to_string_lossy()));
        }
        Layer::UvProject { pyproject, lock: _, mode, options } => {
            call.item(&pyproject.to_string_lossy());
            call.install(options);
            call.mode(*mode);
        }
        Layer::PoetryProject { pyproject, lock: _, mode, extra_args, secrets } => {
            call.item(&pyproject.to_string_lossy());
            call.option("extra_args", extra_args.as_deref());
            call.secrets(secrets);
            call.mode(*mode);
        }
        Layer::PixiProject { manifest, lock: _, environment, mode, extra_args, secrets } => {
            call.item(&manifest.to_string_lossy());
            call.environment(environment);
            call.option("extra_args", extra_args.as_deref());
            call.secrets(secrets);
            call.mode(*mode);
        }
        Layer::UvScript { script, options } => {
            call.item(&script.to_string_lossy());
            call.install(options);
        }
        Layer::PixiScript { script, environment, extra_args, secrets } => {
            call.item(&script.to_string_lossy());
            call.environment(environment);
            call.option("extra_args", extra_args.as_deref());
            call.secrets(secrets);
        }
        Layer::AptPackages { packages, secrets } => {
            call.items(packages);
            call.secrets(secrets);
        }
        Layer::Commands { commands, secrets } => {
            let mut lines = Call::default();
            lines.items(commands);
            call.0.push(format!("[{}]", lines.0.join(", ")));
            call.secrets(secrets);
        }
        Layer::Env { vars } => {
            let names: Vec<String> = vars.iter().map(|(name, _)| quoted(name) + ": ...").collect();
            call.0.push(format!("{{{}}}", names.join(", ")));
        }
        Layer::Workdir { workdir } => call.item(workdir),
        Layer::Source { kind: SourceKind::File | SourceKind::Folder, src, dst } => {
            call.item(&src.to_string_lossy());
            call.item(dst);
        }
        Layer::CodeBundle { style, dst, .. } => {
            call.item(match style {
                CopyStyle::LoadedModules => "loaded_modules",
                CopyStyle::All => "all",
            });
            call.option("dst", Some(dst.as_str()).filter(|dst| *dst != "."));
        }
        Layer::Dockerignore { path } => call.item(&path.to_string_lossy()),
        Layer::DockerLines { lines } => call.items(lines),
    }
    call.of(layer.method())
}

/// The arguments of a call.
#[derive(Default)]
struct Call(Vec<String>);

impl Call {
    fn of(self, method: &str) -> String {
        format!("{method}({})", self.0.join(", "))
    }

    fn item(&mut self, item: &str) {
        self.0.push(text(item));
    }

    fn items(&mut self, items: &[String]) {
        self.0.extend(items.iter().take(ITEMS).map(|item| text(item)));
        if items.len() > ITEMS {
            self.0.push("...".to_owned());
        }
    }

    fn raw(&mut self, name: &str, value: &str) {
        self.0.push(format!("{name}={value}"));
    }

    fn option(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.raw(name, &text(value));
        }
    }

    fn environment(&mut self, environment: &str) {
        self.option("environment", Some(environment).filter(|name| *name != "default"));
    }

    fn install(&mut self, options: &InstallOptions) {
        let InstallOptions { index_url, extra_index_urls, pre, extra_args, secrets } = options;
        self.option("index_url", index_url.as_deref().map(hide_address).as_deref());
        if !extra_index_urls.is_empty() {
            let mut urls = Call::default();
            let shown: Vec<String> = extra_index_urls.iter().map(|url| hide_address(url)).collect();
            urls.items(&shown);
            self.raw("extra_index_urls", &format!("[{}]", urls.0.join(", ")));
        }
        if *pre {
            self.raw("pre", "True");
        }
        self.option("extra_args", extra_args.as_deref());
        self.secrets(secrets);
    }

    fn secrets(&mut self, secrets: &[Secret]) {
        if !secrets.is_empty() {
            let names: Vec<String> = secrets.iter().map(|s| text(&s.id().to_string())).collect();
            self.raw("secret_mounts", &format!("[{}]", names.join(", ")));
        }
    }

    fn mode(&mut self, mode: InstallMode) {
        if mode == InstallMode::InstallProject {
            self.raw("project_install_mode", "'install_project'");
        }
    }
}

/// A string literal, without credentials, and not too long.
fn text(said: &str) -> String {
    let said = hide_credentials(said);
    match said.char_indices().nth(LENGTH) {
        Some((end, _)) => quoted(&format!("{}...", &said[..end])),
        None => quoted(&said),
    }
}
