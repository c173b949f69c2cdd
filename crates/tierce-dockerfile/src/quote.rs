//! Text that means itself, in each of the ways in which a Dockerfile reads text.

use std::fmt::Write;

/// The build argument that stands for a line feed: neither quotes nor escapes can, since a
/// Dockerfile is cut into lines before anything else is read.
pub(crate) const LINE_FEED: &str = "TIERCE_LF";

/// A value of `ENV`, `LABEL`, `WORKDIR` or `USER`: in double quotes, in which `\`, `"` and `$` are
/// escaped (Dockerfile reference, "Environment replacement"). Line feeds are [`LINE_FEED`].
pub(crate) fn word(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// A part of what is between the quotes.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '"' | '$' => out.extend(['\\', c]),
            '\n' => {
                let _ = write!(out, "${{{LINE_FEED}}}");
            }
            c => out.push(c),
        }
    }
    out
}

/// The same, without quotes where none are needed.
pub(crate) fn argument(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => word(text),
    }
}

/// A JSON array (the "exec form"). `RUN`, `CMD` and `ENTRYPOINT` expand nothing in it.
pub(crate) fn exec<S: AsRef<str>>(argv: &[S]) -> String {
    let items: Vec<String> = argv.iter().map(|arg| json(arg.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

/// The JSON array of `COPY`, in which variables are expanded and quotes removed all the same:
/// what they are is escaped by a backslash, before JSON escapes that.
pub(crate) fn paths(paths: &[&str]) -> String {
    let escaped: Vec<String> = paths
        .iter()
        .map(|path| {
            let mut out = String::new();
            for c in path.chars() {
                if matches!(c, '\\' | '"' | '\'' | '$') {
                    out.push('\\');
                }
                out.push(c);
            }
            out
        })
        .collect();
    exec(&escaped)
}

fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A word of a POSIX shell (XCU 2.2.2).
pub(crate) fn shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=+,@%".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// A comment: one line, whatever is in it.
pub(crate) fn comment(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("# {}", line.trim())
}

/// Whether `text` can be a value in a flag (`--mount=type=secret,target=…`): those are read by
/// three readers after each other (words, variables, CSV), each with quotes of its own.
pub(crate) fn fits_flag(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@:".contains(c))
}
