//! Decides what only the surroundings can: what names stand for, and who brings the code.

use crate::options::{BuildOptions, CodeSource};
use tierce_spec::{Base, Image, UnknownImageName};

/// `image`, and every image below it, with names looked up and code bundles decided about.
pub fn lower(image: &Image, options: &BuildOptions) -> Result<Image, UnknownImageName> {
    let named = image.with_named_base(&|name| options.names.get(name).cloned())?;
    Ok(with_code(&named, &options.code))
}

fn with_code(image: &Image, code: &CodeSource) -> Image {
    let decided = match code {
        CodeSource::Runner => image.with_code(None, &[]),
        CodeSource::Image { root, loaded } => image.with_code(Some(root), loaded),
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
