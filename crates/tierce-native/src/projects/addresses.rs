//! The addresses that manifests name, with the credentials that they have in them.

use tierce_engine::GatheredProject;
use tierce_wheel::UvScript;
use toml::{Table, Value};
use url::Url;

/// The manifests of a project. A lock that stands for a manifest is one.
fn manifests(project: &GatheredProject) -> impl Iterator<Item = Table> {
    let files = [&project.manifest].into_iter().chain(project.texts.values());
    files.filter_map(|file| {
        let text = std::str::from_utf8(&file.content).ok()?;
        match file.path.extension().is_some_and(|extension| extension == "py") {
            true => UvScript::header(text).parse().ok(),
            false => text.parse().ok(),
        }
    })
}

/// The indexes that a project's manifests name, as `[[tool.uv.index]]` and
/// `[[tool.poetry.source]]`: their credentials are in variables that have these names.
pub fn named_indexes(project: &GatheredProject) -> Vec<(String, Url)> {
    let named = |index: &Value| {
        let text = |key: &str| index.get(key)?.as_str();
        Some((text("name")?.to_owned(), Url::parse(text("url")?).ok()?))
    };
    let of_table = |table: Table| {
        let lists = [("uv", "index"), ("poetry", "source")]
            .into_iter()
            .filter_map(|(tool, key)| table.get("tool")?.get(tool)?.get(key)?.as_array().cloned());
        lists.flatten().filter_map(|index| named(&index)).collect::<Vec<_>>()
    };
    manifests(project).flat_map(of_table).collect()
}

/// The addresses of a project's indexes and packages that have credentials in them. As they are
/// written: variables stand for nothing in manifests, and a project must not be able to ask for
/// the values of anybody's.
pub fn addresses(project: &GatheredProject) -> Vec<Url> {
    let mut found = vec![];
    for table in manifests(project) {
        let tool = table.get("tool");
        let own = table.get("project");
        let fields = [
            tool.and_then(|tool| tool.get("uv")),
            tool.and_then(|tool| tool.get("poetry")),
            own.and_then(|project| project.get("dependencies")),
            own.and_then(|project| project.get("optional-dependencies")),
            table.get("dependency-groups"),
            // Of scripts (PEP 723), and of locks (PEP 751).
            table.get("dependencies"),
            table.get("packages"),
        ];
        fields.into_iter().flatten().for_each(|value| collect(value, &mut found));
    }
    found
}

fn collect(value: &Value, found: &mut Vec<Url>) {
    match value {
        Value::String(text) => found.extend(address(text)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Table(table) => table.values().for_each(|item| collect(item, found)),
        _ => {}
    }
}

/// A text that is an address, or a requirement for one (PEP 508).
fn address(text: &str) -> Option<Url> {
    let place = match text.split_once('@') {
        Some((name, place)) if !name.contains([':', '/']) => place.trim_start(),
        _ => text,
    };
    let place = place.split_whitespace().next()?;
    let place = place.strip_prefix("git+").unwrap_or(place);
    let url = Url::parse(place).ok().filter(|url| matches!(url.scheme(), "https" | "http"))?;
    (!url.username().is_empty() || url.password().is_some()).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tierce_engine::GatheredFile;

    fn project(path: &str, text: &str) -> GatheredProject {
        let file = |text: &str| GatheredFile { path: path.into(), content: text.into() };
        let lock =
            "url = \"https://of:lock@x/\"\n[[tool.uv.index]]\nname = \"i\"\nurl = \"https://x/\"";
        GatheredProject::new(file(text), Some(file(lock)))
    }

    #[test]
    fn credentials_are_in_fields_and_nowhere_else() {
        let manifest = "# https://a:comment@x/\n[project]\ndescription = \"https://a:text@x/\"\n\
            dependencies = [\"b @ https://u:p@files/b.whl ; python_version > '3'\", \"c\"]\n\
            [tool.uv.sources]\nc = { git = \"https://t@git/c\" }\n\
            [[tool.uv.index]]\nname = \"own\"\nurl = \"https://${TOKEN}@index/simple\"\n";
        let found = |project| -> Vec<String> {
            addresses(&project).iter().map(ToString::to_string).collect()
        };
        let project = project("pyproject.toml", manifest);
        assert_eq!(
            named_indexes(&project).iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["own"]
        );
        let mut all = found(project);
        all.sort();
        // The variable is a user of that very name.
        let expected =
            ["https://$%7BTOKEN%7D@index/simple", "https://t@git/c", "https://u:p@files/b.whl"];
        assert_eq!(all, expected);
        let script = "# /// script\n# dependencies = [\"a @ https://s:p@x/a.whl\"]\n# ///\n\
                      URL = \"https://u:p@y/\"\n";
        assert_eq!(found(super::tests::project("s.py", script)), ["https://s:p@x/a.whl"]);
    }
}
