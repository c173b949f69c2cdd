//! What is wrong with a YAML file, shown where it is.

use std::fmt;
use tierce_oci::{Diagnostic, ErrorKind};

/// Where something starts; lines and columns count from one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    pub line: usize,
    pub column: usize,
}

/// One thing that is wrong, without the file's name.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub at: Position,
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
}

impl Fault {
    pub fn new(at: Position, code: &'static str, message: impl Into<String>) -> Self {
        Fault { at, code, message: message.into(), hint: None }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Fault { hint: Some(hint.into()), ..self }
    }
}

/// One thing that is wrong with a YAML file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlProblem {
    location: String,
    code: &'static str,
    message: String,
    hint: Option<String>,
}

impl YamlProblem {
    /// `file:line:column`.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// A stable code, as `imagespec/unknown-key`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for YamlProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.location, self.message)
    }
}

/// Everything that is wrong with a YAML file: at least one problem, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct YamlError {
    problems: Vec<YamlProblem>,
}

impl YamlError {
    pub(super) fn new(file_name: &str, mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| fault.at);
        let problem = |fault: Fault| YamlProblem {
            location: format!("{file_name}:{}:{}", fault.at.line, fault.at.column),
            code: fault.code,
            message: fault.message,
            hint: fault.hint,
        };
        YamlError { problems: faults.into_iter().map(problem).collect() }
    }

    /// The problems.
    pub fn problems(&self) -> &[YamlProblem] {
        &self.problems
    }
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The hint of the only problem is the error's own.
        let alone = self.problems.len() == 1;
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
            if let (Some(hint), false) = (&problem.hint, alone) {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for YamlError {}

impl Diagnostic for YamlError {
    fn code(&self) -> &'static str {
        match self.problems.as_slice() {
            [first, rest @ ..] if rest.iter().all(|p| p.code == first.code) => first.code,
            _ => "imagespec/invalid",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        match self.problems.as_slice() {
            [only] => only.hint.clone(),
            _ => None,
        }
    }
}
