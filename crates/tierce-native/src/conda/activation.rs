//! Variables that a shell would expand when somebody activates an environment.

/// What a value comes to that pixi has a shell read between double quotes (POSIX.1-2017, Shell
/// Command Language, 2.2.3). What it needs and nobody knows is the error.
pub fn expand(value: &str, known: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find(['$', '\\', '`']) {
        expanded.push_str(&rest[..at]);
        let (special, after) = rest[at..].split_at(1);
        rest = match special {
            "`" => return Err("a command".to_owned()),
            "\\" => match after.chars().next() {
                Some(escaped @ ('$' | '`' | '"' | '\\')) => {
                    expanded.push(escaped);
                    &after[1..]
                }
                _ => {
                    expanded.push('\\');
                    after
                }
            },
            _ => {
                let (name, after) = reference(after)?;
                match name {
                    None => expanded.push('$'),
                    Some(name) => {
                        let value = known(name).ok_or_else(|| format!("${name}"))?;
                        expanded.push_str(&value);
                    }
                }
                after
            }
        };
    }
    expanded.push_str(rest);
    Ok(expanded)
}

/// The name after a `$`, if there is one, and what follows it.
fn reference(after: &str) -> Result<(Option<&str>, &str), String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name = |name: &str| {
        name.starts_with(|c: char| is_word(c) && !c.is_ascii_digit()) && name.chars().all(is_word)
    };
    if let Some(braced) = after.strip_prefix('{') {
        let (name, rest) = braced.split_once('}').ok_or_else(|| format!("${after}"))?;
        return match is_name(name) {
            true => Ok((Some(name), rest)),
            false => Err(format!("${{{name}}}")),
        };
    }
    let (name, rest) = after.split_at(after.find(|c| !is_word(c)).unwrap_or(after.len()));
    match (name, after.chars().next()) {
        (name, _) if is_name(name) => Ok((Some(name), rest)),
        (_, Some(special)) if is_word(special) || "(@*#?-$!".contains(special) => {
            Err(format!("${special}"))
        }
        _ => Ok((None, after)),
    }
}

/// The folder of the project that pixi has an environment of at this place.
pub fn pixi_root(prefix: &str) -> Option<String> {
    let (root, _) = prefix.split_once("/.pixi/envs/")?;
    (!root.is_empty()).then(|| root.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_expanded_as_a_shell_does_it() {
        let known = |name: &str| match name {
            "CONDA_PREFIX" => Some("/opt/conda".to_owned()),
            "PATH" => Some("/usr/bin:/bin".to_owned()),
            _ => None,
        };
        for (value, expected) in [
            ("plain", Ok("plain")),
            ("$CONDA_PREFIX/lib", Ok("/opt/conda/lib")),
            ("a${CONDA_PREFIX}b:$PATH", Ok("a/opt/condab:/usr/bin:/bin")),
            ("5$ and \\$PATH \\n", Ok("5$ and $PATH \\n")),
            ("$HOME/x", Err("$HOME")),
            ("${A:-b}", Err("${A:-b}")),
            ("$(date)", Err("$(")),
            ("`date`", Err("a command")),
            ("$1", Err("$1")),
            ("${open", Err("${open")),
        ] {
            let found = expand(value, &known);
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{value}");
        }
        assert_eq!(pixi_root("/opt/p/.pixi/envs/gpu").as_deref(), Some("/opt/p"));
        assert_eq!(pixi_root("/opt/conda"), None);
    }
}
