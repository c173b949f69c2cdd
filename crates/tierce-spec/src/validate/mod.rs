//! What is wrong with an image, all of it at once and in a fixed order.

use crate::Image;
use std::fmt;
use tierce_oci::{Diagnostic, ErrorKind};

/// One thing that is wrong with an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A stable code, as `spec/invalid-requirement`.
    pub code: &'static str,
    /// Where it is.
    pub field: FieldPath,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Where in an image a problem is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPath {
    /// The step's index; `None` for what is not a step.
    pub step: Option<usize>,
    /// The field, as tierce.toml calls it: `pip`.
    pub name: &'static str,
    /// The item of the field, where it has several.
    pub item: Option<Item>,
    /// Whether other steps of the image have the same field.
    pub ambiguous: bool,
}

/// An item of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An item of a list.
    Index(usize),
    /// An entry of a table.
    Key(String),
    /// A named part.
    Part(&'static str),
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Some(step) if self.ambiguous => write!(f, "steps[{step}].{}", self.name)?,
            _ => f.write_str(self.name)?,
        }
        match &self.item {
            None => Ok(()),
            Some(Item::Index(index)) => write!(f, "[{index}]"),
            Some(Item::Key(key)) => write!(f, ".{key:?}"),
            Some(Item::Part(part)) => write!(f, ".{part}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with an image: at least one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidationErrors {
    problems: Vec<Problem>,
}

impl ValidationErrors {
    /// The problems, in the order of the image's fields and steps.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ValidationErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ValidationErrors {}

impl Diagnostic for ValidationErrors {
    fn code(&self) -> &'static str {
        match self.problems.as_slice() {
            [only] => only.code,
            _ => "spec/invalid",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::User
    }
}

impl Image {
    /// Checks everything that can be checked without reading anything.
    pub fn validate(&self) -> Result<(), ValidationErrors> {
        let problems = check(self);
        if problems.is_empty() { Ok(()) } else { Err(ValidationErrors { problems }) }
    }
}

fn check(image: &Image) -> Vec<Problem> {
    let mut problems = vec![];
    for (index, platform) in image.platforms().iter().enumerate() {
        if image.platforms()[..index].contains(platform) {
            problems.push(Problem {
                code: "spec/duplicate-platform",
                field: FieldPath {
                    step: None,
                    name: "platforms",
                    item: Some(Item::Index(index)),
                    ambiguous: false,
                },
                message: format!("{platform} is named twice"),
                hint: None,
            });
        }
    }
    problems
}
