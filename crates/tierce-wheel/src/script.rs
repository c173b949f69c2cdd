//! Program files: shebang lines and entry-point wrappers.

use crate::entry_points::EntryPoint;

/// The longest first line that every Linux kernel reads whole, newline included.
const MAX_SHEBANG: usize = 127;

/// The first line(s) that run a file by `interpreter`, as pip (distlib) writes them.
///
/// A path that is too long for the kernel or has spaces is run by `/bin/sh`; the lines are a
/// string literal to Python.
pub fn shebang(interpreter: &str) -> String {
    let simple = format!("#!{interpreter}\n");
    if simple.len() <= MAX_SHEBANG && !interpreter.contains(' ') {
        return simple;
    }
    let quoted = match interpreter.contains(' ') {
        true => format!("\"{interpreter}\""),
        false => interpreter.to_owned(),
    };
    format!("#!/bin/sh\n'''exec' {quoted} \"$0\" \"$@\"\n' '''\n")
}

/// The program that runs an entry point, as pip 26 writes it.
pub fn wrapper(interpreter: &str, point: &EntryPoint) -> String {
    let EntryPoint { module, attribute, .. } = point;
    let import = attribute.split('.').next().unwrap_or(attribute);
    format!(
        "{}\
         import sys\n\
         from {module} import {import}\n\
         if __name__ == '__main__':\n    \
             sys.argv[0] = sys.argv[0].removesuffix('.exe')\n    \
             sys.exit({attribute}())\n",
        shebang(interpreter)
    )
}

/// What marks a script in a wheel whose first line the installer replaces.
pub(crate) const PLACEHOLDER: &[u8] = b"#!python";

/// A wheel's script with its placeholder line (`#!python`, `#!pythonw`) replaced.
pub(crate) fn with_shebang(interpreter: &str, script: &[u8]) -> Vec<u8> {
    let rest = script.iter().position(|b| *b == b'\n').map_or(&[][..], |at| &script[at + 1..]);
    [shebang(interpreter).as_bytes(), rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shebangs_fit_the_kernel() {
        assert_eq!(shebang("/opt/venv/bin/python"), "#!/opt/venv/bin/python\n");
        let long = format!("/{}", "x".repeat(123));
        assert_eq!(shebang(&long), format!("#!{long}\n"));
        assert!(shebang(&format!("{long}x")).starts_with("#!/bin/sh\n'''exec' /xx"));
        assert_eq!(
            shebang("/a b/python"),
            "#!/bin/sh\n'''exec' \"/a b/python\" \"$0\" \"$@\"\n' '''\n"
        );
    }

    #[test]
    fn placeholders_are_replaced() {
        assert_eq!(with_shebang("/p", b"#!pythonw -x\nprint()\n"), b"#!/p\nprint()\n");
        assert_eq!(with_shebang("/p", b"#!python"), b"#!/p\n");
    }
}
