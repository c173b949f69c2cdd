//! One file of one project in a simple repository (PEP 503, PEP 691).

use crate::credentials::IndexCredentials;
use serde::Deserialize;
use tierce_fetch::{FetchError, Fetcher};
use tierce_oci::{Diagnostic, ErrorKind};
use url::Url;

/// The largest project page that is read: PyPI's largest are ~30 MB.
const PAGE_LIMIT: u64 = 128 << 20;

/// Why a file was not found in an index.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The project's page could not be fetched.
    #[error("the package index has no readable page for {project}")]
    Page {
        /// The project.
        project: String,
        /// Why.
        #[source]
        source: FetchError,
    },
    /// The page is not one of a simple index.
    #[error("{page} is not a page of a simple package index")]
    Format {
        /// The page, without credentials.
        page: String,
    },
    /// The page does not list the file.
    #[error("{page} does not list {filename}")]
    NotListed {
        /// The page, without credentials.
        page: String,
        /// The file.
        filename: String,
    },
}

impl Diagnostic for IndexError {
    fn code(&self) -> &'static str {
        "python/not-in-index"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Upstream
    }
}

#[derive(Deserialize)]
struct Page {
    files: Vec<PageFile>,
}

#[derive(Deserialize)]
struct PageFile {
    filename: String,
    url: String,
}

/// The URL of a file, which keeps the index's credentials if it is on the index's own server.
pub(crate) async fn find_file(
    fetcher: &Fetcher,
    index: &Url,
    project: &str,
    filename: &str,
) -> Result<Url, IndexError> {
    let mut page = index.clone();
    let path = format!("{}/{project}/", index.path().trim_end_matches('/'));
    page.set_path(&path);
    let shown = crate::location::without_credentials(&page).to_string();
    let bytes = fetcher
        .get(&page, PAGE_LIMIT)
        .await
        .map_err(|source| IndexError::Page { project: project.to_owned(), source })?;
    let format = || IndexError::Format { page: shown.clone() };
    let text = std::str::from_utf8(&bytes).map_err(|_| format())?;
    // Content types are not to be relied on: caches mix up the two forms.
    let link = match text.trim_start().starts_with('{') {
        true => {
            let parsed: Page = serde_json::from_str(text).map_err(|_| format())?;
            parsed.files.into_iter().find(|f| f.filename == filename).map(|f| f.url)
        }
        false => find_anchor(text, filename),
    };
    let not_listed =
        || IndexError::NotListed { page: shown.clone(), filename: filename.to_owned() };
    let mut url = page.join(&link.ok_or_else(not_listed)?).map_err(|_| format())?;
    url.set_fragment(None);
    Ok(IndexCredentials::new().with_url(index).apply(&url))
}

/// The target of the anchor whose text is `filename` (PEP 503).
fn find_anchor(html: &str, filename: &str) -> Option<String> {
    let mut rest = html;
    while let Some(at) = rest.find("<a ").or_else(|| rest.find("<A ")) {
        rest = &rest[at + 3..];
        let (tag, after) = rest.split_once('>')?;
        let text = after.split('<').next().unwrap_or_default();
        if unescape(text.trim()) == filename {
            return attribute(tag, "href").map(|link| unescape(&link));
        }
        rest = after;
    }
    None
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let at = tag.find(&format!("{name}="))? + name.len() + 1;
    let value = &tag[at..];
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    value[1..].split(quote).next().map(str::to_owned)
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&#43;", "+")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_found() {
        let html = "<html><a href=\"../../a/uv-1.whl#sha256=0\" data-requires-python=\"&gt;=3\">uv-1.whl</a><br/>\
                    <a rel='x' href='https://x/b?c=1&amp;d=2'>uv-2&#43;x.whl</a>";
        assert_eq!(find_anchor(html, "uv-1.whl").unwrap(), "../../a/uv-1.whl#sha256=0");
        assert_eq!(find_anchor(html, "uv-2+x.whl").unwrap(), "https://x/b?c=1&d=2");
        assert_eq!(find_anchor(html, "uv-3.whl"), None);
    }
}
