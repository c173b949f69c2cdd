//! netrc files: ftp(1) of the GNU inetutils, with the quotes and comments that curl knows.

use zeroize::Zeroizing;

/// One machine's entry.
pub(crate) struct Machine {
    pub(crate) host: String,
    pub(crate) login: String,
    pub(crate) password: Zeroizing<String>,
}

/// The machines of a netrc file, in its order. What makes no sense is passed by, as ftp does.
pub(crate) fn machines(text: &str) -> Vec<Machine> {
    let mut machines: Vec<Machine> = vec![];
    // After `default`, until the next machine, what is said is for all hosts.
    let mut of_machine = false;
    let mut rest = text;
    while let Some(word) = token(&mut rest) {
        match word.as_str() {
            "machine" => {
                let host = token(&mut rest).unwrap_or_default().to_ascii_lowercase();
                let password = Zeroizing::default();
                machines.push(Machine { host, login: String::new(), password });
                of_machine = true;
            }
            "default" => of_machine = false,
            "macdef" => rest = rest.find("\n\n").map_or("", |end| &rest[end..]),
            "login" | "password" | "account" => {
                let value = token(&mut rest).unwrap_or_default();
                if let Some(machine) = machines.last_mut().filter(|_| of_machine) {
                    match word.as_str() {
                        "login" => machine.login = value,
                        "password" => machine.password = Zeroizing::new(value),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    machines.retain(|m| !(m.host.is_empty() || m.login.is_empty() && m.password.is_empty()));
    machines
}

/// The next word, comments passed by. A password that starts with `#` has to be quoted.
fn token(rest: &mut &str) -> Option<String> {
    loop {
        let text = rest.trim_start();
        if let Some(comment) = text.strip_prefix('#') {
            *rest = comment.find('\n').map_or("", |end| &comment[end..]);
            continue;
        }
        if text.is_empty() {
            *rest = "";
            return None;
        }
        if let Some(quoted) = text.strip_prefix('"') {
            return Some(unquote(quoted, rest));
        }
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        *rest = &text[end..];
        return Some(text[..end].to_owned());
    }
}

fn unquote<'a>(quoted: &'a str, rest: &mut &'a str) -> String {
    let mut word = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => {
                *rest = &quoted[at + 1..];
                return word;
            }
            '\\' => match chars.next() {
                Some((_, 'n')) => word.push('\n'),
                Some((_, 'r')) => word.push('\r'),
                Some((_, 't')) => word.push('\t'),
                Some((_, c)) => word.push(c),
                None => {}
            },
            c => word.push(c),
        }
    }
    *rest = "";
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read() {
        let text = "# comment\nmachine A.example login me password s3cret\n\
                    machine b.example\n\tlogin \"a b\"\n\taccount x password \"q\\\"\\\\#\" # more\n\
                    macdef init\nmachine in.macro login x password y\n\n\
                    machine tokens.example password only\nmachine empty.example\n\
                    default login any password any\nmachine last.example login l password p";
        let found: Vec<(String, String, String)> =
            machines(text).into_iter().map(|m| (m.host, m.login, m.password.to_string())).collect();
        let entry = |h: &str, l: &str, p: &str| (h.to_owned(), l.to_owned(), p.to_owned());
        assert_eq!(
            found,
            [
                entry("a.example", "me", "s3cret"),
                entry("b.example", "a b", "q\"\\#"),
                entry("tokens.example", "", "only"),
                entry("last.example", "l", "p"),
            ]
        );
        assert!(machines("machine").is_empty() && machines("login x \"").is_empty());
    }
}
