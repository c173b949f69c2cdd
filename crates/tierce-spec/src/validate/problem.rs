//! What a problem with an image is, and where.

use crate::Step;
use std::fmt;
use tierce_oci::{Diagnostic, ErrorKind};

/// One thing that is wrong with an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A stable code, as `spec/invalid-requirement`.
    pub code: &'static str,
    /// Where it is.
    pub field: FieldPath,
    /// What is wrong. Credentials in URLs are left out.
    pub message: String,
    /// What to do about it: a full sentence.
    pub hint: Option<String>,
}

/// Where in an image a problem is. Fields go by their names in `tierce.toml`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath {
    /// The step's index; `None` for what is not a step.
    pub step: Option<usize>,
    /// The field: `pip`.
    pub name: &'static str,
    /// The way from the field to the part of it that is wrong: `[1]`, `.extra-args[0]`.
    pub trail: Vec<Item>,
    /// Whether other steps of the image have the same field, so that the step's index has to be
    /// shown.
    pub ambiguous: bool,
    /// How many images below the one that was checked it is: 1 for the image that is its base.
    pub below: usize,
}

/// One part of the way to what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An item of a list.
    Index(usize),
    /// An entry of a table whose keys are the user's.
    Key(String),
    /// A named part.
    Part(&'static str),
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for _ in 0..self.below {
            f.write_str("base.")?;
        }
        match self.step {
            Some(step) if self.ambiguous => write!(f, "steps[{step}].{}", self.name)?,
            _ => f.write_str(self.name)?,
        }
        for item in &self.trail {
            match item {
                Item::Index(index) => write!(f, "[{index}]")?,
                Item::Key(key) => write!(f, ".{key:?}")?,
                Item::Part(part) => write!(f, ".{part}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Everything that is wrong with an image: at least one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationErrors {
    problems: Vec<Problem>,
}

impl ValidationErrors {
    /// `None` where there are no problems.
    pub(super) fn of(problems: Vec<Problem>) -> Option<Self> {
        (!problems.is_empty()).then_some(ValidationErrors { problems })
    }

    /// The problems: those of the image first, then those of its steps, in order.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ValidationErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What all problems share is the whole error's hint, which `Diagnostic` has.
        let common = self.hint();
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
            if let (Some(hint), None) = (&problem.hint, &common) {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for ValidationErrors {}

impl Diagnostic for ValidationErrors {
    fn code(&self) -> &'static str {
        shared(self.problems.iter().map(|p| p.code)).unwrap_or("spec/invalid")
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }

    fn hint(&self) -> Option<String> {
        shared(self.problems.iter().map(|p| p.hint.clone())).flatten()
    }
}

/// The one value that all of `items` have; `None` where they differ, or there are none.
pub(crate) fn shared<T: PartialEq>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next()?;
    items.all(|item| item == first).then_some(first)
}

/// The step's field in `tierce.toml`.
pub(crate) fn field_name(step: &Step) -> &'static str {
    match step {
        Step::Apt(_) => "apt",
        Step::Pip(_) => "pip",
        Step::Requirements(_) => "requirements",
        Step::Wheels(_) => "wheels",
        Step::Project(_) => "project",
        Step::Conda(_) => "conda",
        Step::CodeBundle(_) => "code",
        Step::SourceFolder(_) | Step::SourceFile(_) => "copy",
        Step::Env(_) => "env",
        Step::Commands(_) => "run",
        Step::Workdir(_) => "workdir",
        Step::User(_) => "user",
        Step::Entrypoint(_) => "entrypoint",
        Step::Cmd(_) => "cmd",
        Step::Labels(_) => "labels",
    }
}

/// Collects the problems of one field.
pub(super) struct Reporter<'a> {
    pub problems: &'a mut Vec<Problem>,
    pub step: Option<usize>,
    pub name: &'static str,
    pub ambiguous: bool,
}

/// What is wrong with a value, whatever field it is in.
pub(super) struct Fault {
    pub code: &'static str,
    pub message: String,
    pub hint: Option<String>,
}

impl Fault {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Fault { code, message: message.into(), hint: None }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Fault { hint: Some(hint.into()), ..self }
    }
}

impl Reporter<'_> {
    /// Records `fault` at the end of `trail`.
    pub fn report(&mut self, trail: impl IntoIterator<Item = Item>, fault: Fault) {
        let Fault { code, message, hint } = fault;
        let field = FieldPath {
            step: self.step,
            name: self.name,
            trail: trail.into_iter().collect(),
            ambiguous: self.ambiguous,
            below: 0,
        };
        self.problems.push(Problem { code, field, message, hint });
    }

    /// Records what is wrong with the value at the end of `trail`, if anything is.
    pub fn check(&mut self, trail: impl IntoIterator<Item = Item>, result: Result<(), Fault>) {
        if let Err(fault) = result {
            self.report(trail, fault);
        }
    }
}
