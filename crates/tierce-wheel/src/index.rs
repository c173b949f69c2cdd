//! One file of one project in a simple repository (PEP 503, PEP 691).

use crate::credentials::IndexCredentials;
use crate::location::percent_decode;
use serde::Deserialize;
use std::collections::BTreeMap;
use tierce_fetch::{FetchError, Fetcher};
use tierce_oci::{Diagnostic, Digest, ErrorKind};
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
    #[serde(default)]
    hashes: BTreeMap<String, String>,
    size: Option<u64>,
}

/// What an index tells of a file.
pub(crate) struct ListedFile {
    /// Where it is; with the index's credentials if it is on the index's own server.
    pub url: Url,
    /// Its SHA-256, where the index tells.
    pub sha256: Option<Digest>,
    /// Its size, where the index tells.
    pub size: Option<u64>,
}

/// The URL of a file, which keeps the index's credentials if it is on the index's own server.
pub(crate) async fn find_file(
    fetcher: &Fetcher,
    index: &Url,
    project: &str,
    filename: &str,
) -> Result<Url, IndexError> {
    Ok(listed_file(fetcher, index, project, filename).await?.url)
}

/// What an index tells of a file of a project. An index may also be one page with the files of
/// all projects (`.html`).
pub(crate) async fn listed_file(
    fetcher: &Fetcher,
    index: &Url,
    project: &str,
    filename: &str,
) -> Result<ListedFile, IndexError> {
    let mut page = index.clone();
    if !index.path().ends_with(".html") && !index.path().ends_with(".htm") {
        page.set_path(&format!("{}/{project}/", index.path().trim_end_matches('/')));
    }
    let shown = crate::location::without_credentials(&page).to_string();
    let bytes = fetcher
        .get(&page, PAGE_LIMIT)
        .await
        .map_err(|source| IndexError::Page { project: project.to_owned(), source })?;
    let format = || IndexError::Format { page: shown.clone() };
    let text = std::str::from_utf8(&bytes).map_err(|_| format())?;
    // Content types are not to be relied on: caches mix up the two forms.
    let listed = match text.trim_start().starts_with('{') {
        true => {
            let parsed: Page = serde_json::from_str(text).map_err(|_| format())?;
            parsed.files.into_iter().find(|f| f.filename == filename)
        }
        false => find_anchor(text, filename).map(|link| PageFile {
            filename: filename.to_owned(),
            hashes: fragment_hash(&link),
            url: link,
            size: None,
        }),
    };
    let not_listed =
        || IndexError::NotListed { page: shown.clone(), filename: filename.to_owned() };
    let PageFile { url, hashes, size, .. } = listed.ok_or_else(not_listed)?;
    let sha256 = hashes.get("sha256").and_then(|hex| Digest::from_hex(hex).ok());
    let mut url = page.join(&url).map_err(|_| format())?;
    url.set_fragment(None);
    let url = IndexCredentials::new().with_url(index).apply(&url);
    Ok(ListedFile { url, sha256, size })
}

/// The hash at a link's end: `#sha256=…`.
fn fragment_hash(link: &str) -> BTreeMap<String, String> {
    let hash = link.split_once('#').and_then(|(_, fragment)| fragment.split_once('='));
    hash.map(|(name, hex)| (name.to_owned(), hex.to_ascii_lowercase())).into_iter().collect()
}

/// The target of the anchor whose text, or whose target's last part, is `filename` (PEP 503).
fn find_anchor(html: &str, filename: &str) -> Option<String> {
    let mut rest = html;
    while let Some(at) = rest.find("<a ").or_else(|| rest.find("<A ")) {
        rest = &rest[at + 3..];
        let (tag, after) = rest.split_once('>')?;
        let text = after.split('<').next().unwrap_or_default();
        let link = attribute(tag, "href").map(|link| unescape(&link));
        let is_it = |link: &String| {
            let path = link.split(['#', '?']).next().unwrap_or_default();
            let last = path.rsplit('/').next().unwrap_or_default();
            unescape(text.trim()) == filename || percent_decode(last) == filename
        };
        if let Some(link) = link.filter(is_it) {
            return Some(link);
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
        // One page with the files of all projects.
        let html = "<a href=\"cpu/torch-2.0%2Bcpu-py3-none-any.whl#sha256=AB\">cpu/torch-2.0+cpu-py3-none-any.whl</a>";
        let link = find_anchor(html, "torch-2.0+cpu-py3-none-any.whl").unwrap();
        assert_eq!(fragment_hash(&link)["sha256"], "ab");
        assert!(fragment_hash("a.whl#md5").is_empty());
    }
}
