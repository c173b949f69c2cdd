//! The list for pip in an `environment.yml`: the lines of a requirements file.

/// What pip is to install: requirements and where they come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PipRequirements {
    /// Requirements (PEP 508).
    pub requirements: Vec<String>,
    /// The index instead of PyPI.
    pub index: Option<String>,
    /// More indexes.
    pub extra_indexes: Vec<String>,
    /// Whether pre-releases count.
    pub pre: bool,
}

/// A line that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line:?}: {}", problem.text())]
pub struct PipLineError {
    /// The line.
    pub line: String,
    /// What is wrong with it.
    pub problem: PipLineProblem,
}

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PipLineProblem {
    /// It names another file.
    File,
    /// It names a folder or file of the host that is installed.
    Local,
    /// It is an option that is not known.
    Option,
}

impl PipLineProblem {
    fn text(self) -> &'static str {
        match self {
            PipLineProblem::File => "other files are not read from here",
            PipLineProblem::Local => "folders and files of the host are not installed from here",
            PipLineProblem::Option => "the option is not known",
        }
    }
}

impl PipLineError {
    pub(crate) fn hint(&self) -> &'static str {
        match self.problem {
            PipLineProblem::File => {
                "Add the requirements file to the image by itself: it is installed into the same environment."
            }
            PipLineProblem::Local => {
                "Add the project to the image by itself, as a wheel, a project or a source folder."
            }
            PipLineProblem::Option => "Known are --index-url, --extra-index-url and --pre.",
        }
    }
}

impl PipRequirements {
    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    pub(crate) fn of_lines<'a>(lines: impl Iterator<Item = &'a str>) -> Result<Self, PipLineError> {
        let mut all = PipRequirements::default();
        for line in lines.flat_map(str::lines) {
            all.line(uncommented(line))?;
        }
        Ok(all)
    }

    fn line(&mut self, line: &str) -> Result<(), PipLineError> {
        let bad = |problem| Err(PipLineError { line: line.to_owned(), problem });
        let (option, value) = match line.split_once([' ', '=', '\t']) {
            Some((option, value)) => (option, value.trim()),
            None => (line, ""),
        };
        match option {
            "" => {}
            "-i" | "--index-url" if !value.is_empty() => self.index = Some(value.to_owned()),
            "--extra-index-url" if !value.is_empty() => self.extra_indexes.push(value.to_owned()),
            "--pre" => self.pre = true,
            "-r" | "--requirement" | "-c" | "--constraint" => return bad(PipLineProblem::File),
            "-e" | "--editable" => return bad(PipLineProblem::Local),
            option if option.starts_with("-r") || option.starts_with("-c") => {
                return bad(PipLineProblem::File);
            }
            option if option.starts_with('-') => return bad(PipLineProblem::Option),
            _ if is_local(line) => return bad(PipLineProblem::Local),
            _ => self.requirements.push(line.to_owned()),
        }
        Ok(())
    }
}

fn is_local(line: &str) -> bool {
    let direct = line.split_once('@').map_or("", |(_, place)| place.trim());
    line.starts_with(['.', '/', '~'])
        || line.starts_with("file:")
        || direct.starts_with("file:")
        || direct.starts_with(['.', '/'])
}

/// A line without its comment: `#` begins one at the start or after a space.
fn uncommented(line: &str) -> &str {
    let end = line
        .match_indices('#')
        .map(|(at, _)| at)
        .find(|at| *at == 0 || line.as_bytes().get(at - 1).is_some_and(u8::is_ascii_whitespace));
    line[..end.unwrap_or(line.len())].trim()
}
