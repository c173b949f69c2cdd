//! The places that an installation's own records of its build name.
//!
//! Builds are made with the prefix `/install` and with compilers that no image has. What Python
//! looks up through `sysconfig` is what extensions are built with, so it has to name the place
//! where the installation is, and the compilers by the names that every system has for them. What
//! is replaced here is what uv replaces where it installs (`uv-python`, `sysconfig`).

use serde_json::Value;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// The prefix of every build.
const BUILD_PREFIX: &str = "/install";

/// What files of this kind begin with.
const HEADER: &str = "# system configuration generated and used by the sysconfig module\n";

/// Variables that begin with a C or C++ compiler, or have one among their words.
const COMPILERS: [&str; 6] = ["BLDSHARED", "CC", "CXX", "LDCXXSHARED", "LDSHARED", "LINKCC"];

/// The same for an installation at `prefix`, in text of `_sysconfigdata_*.py`: an assignment of
/// one dictionary of strings and integers.
pub(super) fn patch_sysconfigdata(text: &str, prefix: &str) -> Result<String, String> {
    let mut variables = Parser::new(text).file()?;
    for (name, value) in &mut variables {
        if let Value::String(text) = value {
            *text = variable(name, text, prefix);
        }
    }
    // What uv marks installations of its own with.
    variables.insert("PYTHON_BUILD_STANDALONE".to_owned(), Value::from(1));
    let dictionary = serde_json::to_string_pretty(&variables).map_err(|e| e.to_string())?;
    Ok(format!("{HEADER}build_time_vars = {dictionary}\n"))
}

/// The same in JSON: `_sysconfig_vars_*.json`, and `build-details.json` (PEP 739).
pub(super) fn patch_json(text: &str, prefix: &str) -> Result<String, String> {
    let mut value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    patch_value("", &mut value, prefix);
    let text = serde_json::to_string_pretty(&value).map_err(|e| e.to_string())?;
    Ok(format!("{text}\n"))
}

fn patch_value(name: &str, value: &mut Value, prefix: &str) {
    match value {
        Value::String(text) => *text = variable(name, text, prefix),
        Value::Array(items) => items.iter_mut().for_each(|i| patch_value("", i, prefix)),
        Value::Object(fields) => fields.iter_mut().for_each(|(n, v)| patch_value(n, v, prefix)),
        _ => {}
    }
}

/// The same in a file of pkg-config's, which knows where it lies itself.
pub(super) fn patch_pkgconfig(text: &str) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some((name, BUILD_PREFIX)) if name.chars().all(|c| c.is_ascii_alphabetic()) => {
            format!("{name}=${{pcfiledir}}/../..\n")
        }
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

/// A variable's value. Those that nothing is to be replaced in stay as they are, blanks and all.
fn variable(name: &str, value: &str, prefix: &str) -> String {
    if name == "AR" {
        return "ar".to_owned();
    }
    let is_compiler = COMPILERS.contains(&name);
    let mut changed = false;
    let word = |word: &str| {
        let moved = word.strip_prefix(BUILD_PREFIX).filter(|r| r.is_empty() || r.starts_with('/'));
        let replaced = match moved {
            Some(rest) => Some(format!("{prefix}{rest}")),
            None if is_compiler => compiler(word).map(str::to_owned),
            None => None,
        };
        changed |= replaced.is_some();
        replaced.unwrap_or_else(|| word.to_owned())
    };
    let words: Vec<String> = value.split_whitespace().map(word).collect();
    match changed {
        true => words.join(" "),
        false => value.to_owned(),
    }
}

/// The name that every system has for a compiler of the project's.
fn compiler(word: &str) -> Option<&'static str> {
    let program = match word.strip_prefix("/usr/bin/") {
        // Cross compilers, as `aarch64-linux-gnu-gcc`.
        Some(program) if program.contains("-linux-gnu") => program.rsplit('-').next()?,
        Some(_) => return None,
        None => word,
    };
    match program {
        "clang" | "musl-clang" => Some("cc"),
        "clang++" => Some("c++"),
        "gcc" if program != word => Some("cc"),
        "g++" if program != word => Some("c++"),
        _ => None,
    }
}

/// Reads what Python's build writes with `pprint`, or the project with `json`.
struct Parser<'a> {
    rest: Peekable<Chars<'a>>,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Parser { rest: text.chars().peekable() }
    }

    fn file(&mut self) -> Result<BTreeMap<String, Value>, String> {
        self.blank();
        for expected in "build_time_vars".chars() {
            self.expect(expected)?;
        }
        self.blank();
        self.expect('=')?;
        self.blank();
        self.expect('{')?;
        let mut variables = BTreeMap::new();
        loop {
            self.blank();
            if self.eat('}') {
                break;
            }
            let name = self.string()?;
            self.blank();
            self.expect(':')?;
            self.blank();
            variables.insert(name, self.value()?);
            self.blank();
            if !self.eat(',') {
                self.blank();
                self.expect('}')?;
                break;
            }
        }
        self.blank();
        match self.rest.next() {
            None => Ok(variables),
            Some(c) => Err(format!("{c:?} after the dictionary")),
        }
    }

    /// Skips white space and comments.
    fn blank(&mut self) {
        while let Some(&c) = self.rest.peek() {
            if c == '#' {
                while self.rest.next_if(|&c| c != '\n').is_some() {}
            } else if c.is_ascii_whitespace() {
                self.rest.next();
            } else {
                return;
            }
        }
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.rest.next_if_eq(&wanted).is_some()
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        match self.rest.next() {
            Some(c) if c == wanted => Ok(()),
            Some(c) => Err(format!("{c:?} where {wanted:?} was expected")),
            None => Err(format!("the end where {wanted:?} was expected")),
        }
    }

    fn value(&mut self) -> Result<Value, String> {
        match self.rest.peek() {
            Some('\'' | '"') => Ok(Value::String(self.string()?)),
            _ => self.integer(),
        }
    }

    fn integer(&mut self) -> Result<Value, String> {
        let mut digits = String::new();
        while let Some(c) = self.rest.next_if(|c| c.is_ascii_digit() || *c == '-') {
            digits.push(c);
        }
        let number: i64 = digits.parse().map_err(|_| format!("{digits:?} for a number"))?;
        Ok(Value::from(number))
    }

    /// One string literal or several of them, which are one (Python's reference, 2.4.2).
    fn string(&mut self) -> Result<String, String> {
        let mut text = String::new();
        loop {
            let quote = match self.rest.next() {
                Some(c @ ('\'' | '"')) => c,
                Some(c) => return Err(format!("{c:?} where a string was expected")),
                None => return Err("the end where a string was expected".to_owned()),
            };
            self.literal(quote, &mut text)?;
            self.blank();
            if !matches!(self.rest.peek(), Some('\'' | '"')) {
                return Ok(text);
            }
        }
    }

    fn literal(&mut self, quote: char, text: &mut String) -> Result<(), String> {
        loop {
            match self.rest.next() {
                None => return Err("the end within a string".to_owned()),
                Some(c) if c == quote => return Ok(()),
                Some('\\') => text.push(self.escape()?),
                Some(c) => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        match self.rest.next() {
            Some(c @ ('\\' | '\'' | '"' | '/')) => Ok(c),
            Some('n') => Ok('\n'),
            Some('t') => Ok('\t'),
            Some('r') => Ok('\r'),
            Some(c) => Err(format!("the escape \\{c}")),
            None => Err("the end within a string".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patched(dictionary: &str) -> Result<String, String> {
        patch_sysconfigdata(&format!("{HEADER}build_time_vars = {dictionary}\n"), "/opt/python")
    }

    #[test]
    fn variables_name_the_place_and_the_compilers() {
        let text = patched(
            r#"{'AR': '/tools/llvm/bin/llvm-ar',
 'BINDIR': '/install/bin',
 'CC': '/usr/bin/aarch64-linux-gnu-gcc -pthread',
 "CXX": "clang++ -pthread",
 'CONFIG_ARGS': "'--prefix=/install' 'CC=clang'",
 'LDSHARED': 'musl-clang -shared '
             '-L/install/lib /install/lib',
 'INSTALLED': '/installed/x',
 'GNULD': 'yes  two blanks',
 'HAVE_X': 0, 'LOW': -1,
 'QUOTED': 'it\'s "so" \\ ',
 'prefix': '/install',}"#,
        )
        .unwrap();
        let expected = r#"# system configuration generated and used by the sysconfig module
build_time_vars = {
  "AR": "ar",
  "BINDIR": "/opt/python/bin",
  "CC": "cc -pthread",
  "CONFIG_ARGS": "'--prefix=/install' 'CC=clang'",
  "CXX": "c++ -pthread",
  "GNULD": "yes  two blanks",
  "HAVE_X": 0,
  "INSTALLED": "/installed/x",
  "LDSHARED": "cc -shared -L/install/lib /opt/python/lib",
  "LOW": -1,
  "PYTHON_BUILD_STANDALONE": 1,
  "QUOTED": "it's \"so\" \\ ",
  "prefix": "/opt/python"
}
"#;
        assert_eq!(text, expected);
        // What was patched is read again, and stays as it is.
        assert_eq!(patch_sysconfigdata(&text, "/opt/python").unwrap(), expected);
    }

    #[test]
    fn what_is_no_dictionary_is_refused() {
        for bad in [
            "{'a': 1",
            "{'a': f()}",
            "{'a'}",
            "{a: 1}",
            "{'a': 'x}",
            "{}\nimport os",
            "{'a': '\\x41'}",
        ] {
            assert!(patched(bad).is_err(), "{bad}");
        }
        assert!(patch_sysconfigdata("import os\n", "/opt/python").is_err());
    }

    #[test]
    fn json_and_pkgconfig_files_follow() {
        let json = r#"{"base_prefix": "/install", "libpython": {"dynamic": "/install/lib/x.so"}, "n": [1]}"#;
        let text = patch_json(json, "/opt/python").unwrap();
        assert!(
            text.contains("\"/opt/python\"") && text.contains("/opt/python/lib/x.so"),
            "{text}"
        );
        let text = patch_pkgconfig("# x\nprefix=/install\nlibdir=${prefix}/lib\nprefix=/usr\n");
        assert_eq!(text, "# x\nprefix=${pcfiledir}/../..\nlibdir=${prefix}/lib\nprefix=/usr\n");
    }
}
