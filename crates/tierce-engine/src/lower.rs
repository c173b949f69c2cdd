//! Decides what only the surroundings can: what names stand for, and who brings the code.

use crate::options::{BuildOptions, CodeSource};
use tierce_spec::{Base, CopyStyle, Image, Step, UnknownImageName};

/// `image`, and every image below it, with names looked up and code bundles decided about.
pub fn lower(image: &Image, options: &BuildOptions) -> Result<Image, UnknownImageName> {
    let named = image.with_named_base(&|name| options.names.get(name).cloned())?;
    Ok(with_code(&named, &options.code))
}

/// The image with all of the code, where it has a code bundle.
fn whole(image: &Image) -> Image {
    let bundle = image.steps().iter().rev().find_map(|step| match step {
        Step::CodeBundle(bundle) => Some(bundle),
        _ => None,
    });
    // The last one counts.
    match bundle {
        Some(bundle) => image.with_code_bundle(CopyStyle::All, &bundle.dst),
        None => image.clone(),
    }
}

fn with_code(image: &Image, code: &CodeSource) -> Image {
    let decided = match code {
        CodeSource::Runner => image.with_code(None, &[]),
        CodeSource::Image { root, loaded: Some(loaded) } => image.with_code(Some(root), loaded),
        CodeSource::Image { root, loaded: None } => whole(image).with_code(Some(root), &[]),
    };
    match decided.base() {
        Base::Image(below) => {
            let below = with_code(below, code);
            decided.with_base(Base::Image(Box::new(below)))
        }
        Base::Debian(_)
        | Base::Registry(_)
        | Base::Scratch
        | Base::Dockerfile(_)
        | Base::Named(_) => decided,
    }
}
