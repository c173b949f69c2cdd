//! Dockerfiles of the user's: their own text, with their own context.

use crate::context::{BuildContext, ContextLayout, OWN_DOCKERFILE};
use crate::error::RenderError;
use crate::render::Rendered;
use std::path::Path;
use tierce_engine::GatheredDockerfile;
use tierce_layer::LayerPath;
use tierce_spec::DockerfileBase;

/// The Dockerfile and its context as they are.
pub(crate) fn render(
    base: &DockerfileBase,
    gathered: &GatheredDockerfile,
    layout: &dyn ContextLayout,
) -> Result<Rendered, RenderError> {
    let GatheredDockerfile { file, content, context: source, ignore_file } = gathered;
    let dockerfile = String::from_utf8(content.clone())
        .map_err(|_| RenderError::Encoding { path: file.clone() })?;
    let mut context = BuildContext::new();
    context.add_tree(layout.root(), &source.root, &source.tree)?;
    context.set_ignore_file(ignore_file.is_some());
    let below = |name: &str| match layout.root() {
        "" => name.to_owned(),
        root => format!("{root}/{name}"),
    };
    let path = match place(file, &source.root).map(|name| below(&name)) {
        Some(path) if context.get(&path).is_some() => path,
        // Left out by its own rules, or somewhere else.
        _ => {
            let path = below(OWN_DOCKERFILE);
            context.add_content(&path, content.clone())?;
            path
        }
    };
    layout.finish(&mut context)?;
    context.date_by_content();
    Ok(Rendered {
        dockerfile,
        dockerfile_path: path,
        context,
        archive: layout.archive(),
        secrets: vec![],
        build_args: base.build_args.clone(),
        target: base.target.clone(),
        warnings: vec![],
    })
}

/// Where `file` is below `root`.
fn place(file: &Path, root: &Path) -> Option<String> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
    let directory =
        real(file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(".")));
    let directory = directory.strip_prefix(real(root)).ok()?;
    let path = LayerPath::try_from(&*directory.join(file.file_name()?)).ok()?;
    String::from_utf8(path.as_bytes().to_vec()).ok()
}
