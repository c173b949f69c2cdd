//! What the index says: pages and files.

use super::{IndexFile, State, percent};
use crate::encode::{hex_sha256, normalize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The media type of PEP 691's JSON.
const JSON: &str = "application/vnd.pypi.simple.v1+json";

/// When every file was uploaded (PEP 700).
const UPLOADED: &str = "2024-01-01T00:00:00.000000Z";

/// What a path leads to.
pub(super) struct Answer {
    pub content_type: &'static str,
    pub body: Arc<Vec<u8>>,
}

impl Answer {
    fn text(content_type: &'static str, body: String) -> Self {
        Answer { content_type, body: Arc::new(body.into_bytes()) }
    }
}

/// The page or file at `path`, which is percent-decoded.
pub(super) fn at(state: &State, path: &str, accept: &str) -> Option<Answer> {
    let json = accept.contains(JSON);
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["simple"] => Some(projects(state, json)),
        ["simple", name] => {
            let name = normalize(name);
            let files = state.projects.get(&name)?;
            Some(match json {
                true => Answer::text(JSON, json_page(&name, files).to_string()),
                false => Answer::text("text/html", html_page(&name, files)),
            })
        }
        ["files", name] => file(state, name),
        _ => None,
    }
}

fn file(state: &State, name: &str) -> Option<Answer> {
    let find = |name: &str| state.projects.values().find_map(|files| files.get(name));
    let content_type = "application/octet-stream";
    if let Some(file) = find(name) {
        return Some(Answer { content_type, body: file.bytes.clone() });
    }
    let metadata = find(name.strip_suffix(".metadata")?)?.metadata.clone()?;
    Some(Answer { content_type, body: metadata })
}

fn projects(state: &State, json: bool) -> Answer {
    let names = state.projects.keys();
    if json {
        let names: Vec<Value> = names.map(|name| json!({ "name": name })).collect();
        let page = json!({ "meta": { "api-version": "1.1" }, "projects": names });
        return Answer::text(JSON, page.to_string());
    }
    let links: String = names.map(|name| format!("<a href=\"{name}/\">{name}</a>\n")).collect();
    Answer::text("text/html", format!("<!DOCTYPE html><html><body>\n{links}</body></html>\n"))
}

fn json_page(name: &str, files: &BTreeMap<String, IndexFile>) -> Value {
    let file = |(filename, file): (&String, &IndexFile)| {
        let mut entry = json!({
            "filename": filename,
            "url": format!("../../files/{}", percent(filename)),
            "hashes": { "sha256": file.sha256 },
            "size": file.bytes.len(),
            "upload-time": UPLOADED,
        });
        if let Some(python) = &file.requires_python {
            entry["requires-python"] = json!(python);
        }
        if let Some(metadata) = &file.metadata {
            entry["core-metadata"] = json!({ "sha256": hex_sha256(metadata) });
        }
        if let Some(reason) = &file.yanked {
            entry["yanked"] = json!(reason);
        }
        entry
    };
    let mut versions: Vec<&str> = files.values().map(|file| file.version.as_str()).collect();
    versions.dedup();
    let files: Vec<Value> = files.iter().map(file).collect();
    let meta = json!({ "api-version": "1.1" });
    json!({ "meta": meta, "name": name, "versions": versions, "files": files })
}

fn html_page(name: &str, files: &BTreeMap<String, IndexFile>) -> String {
    let link = |(filename, file): (&String, &IndexFile)| {
        let href = format!("../../files/{}#sha256={}", percent(filename), file.sha256);
        let mut attributes = String::new();
        let mut attribute = |name: &str, value: &str| {
            attributes.push_str(&format!(" {name}=\"{}\"", escape(value)));
        };
        if let Some(python) = &file.requires_python {
            attribute("data-requires-python", python);
        }
        if let Some(metadata) = &file.metadata {
            attribute("data-core-metadata", &format!("sha256={}", hex_sha256(metadata)));
        }
        if let Some(reason) = &file.yanked {
            attribute("data-yanked", reason);
        }
        format!("<a href=\"{href}\"{attributes}>{}</a><br/>\n", escape(filename))
    };
    let links: String = files.iter().map(link).collect();
    format!(
        "<!DOCTYPE html>\n<html><head><meta name=\"pypi:repository-version\" content=\"1.1\">\
         <title>{name}</title></head><body>\n{links}</body></html>\n"
    )
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}
