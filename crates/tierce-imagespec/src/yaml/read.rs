//! From a tree to the fields.

use super::error::{Fault, Position};
use super::node::{Key, Kind, Node, is_bool, is_number, parse};
use crate::error::ImageSpecError;
use crate::nearest::nearest;
use crate::{BaseImage, Field, Fields, ImageSpec, SecretMount};
use serde_json::{Number, Value};
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

const WRONG_TYPE: &str = "imagespec/wrong-type";
const INVALID: &str = "imagespec/invalid-value";

/// The spec that `text` holds.
pub(super) fn spec(text: &str) -> Result<ImageSpec, Vec<Fault>> {
    let start = Position { line: 1, column: 1 };
    let empty = || {
        Fault::new(start, "imagespec/yaml-empty", "there is nothing in the file")
            .hint("Write fields of an ImageSpec, as \"packages: [pandas]\".")
    };
    let root = parse(text).map_err(|fault| vec![fault])?;
    let root = root.filter(|node| !node.is_null()).ok_or_else(|| vec![empty()])?;
    of_node(&root)
}

fn of_node(root: &Node) -> Result<ImageSpec, Vec<Fault>> {
    let Kind::Map(entries) = &root.kind else {
        let message = format!("expected a mapping of fields, found {}", root.what());
        return Err(vec![Fault::new(root.at, WRONG_TYPE, message)]);
    };
    let mut reader = Reader { fields: Fields::default(), faults: vec![] };
    let mut places: BTreeMap<Field, &Node> = BTreeMap::new();
    for (key, value) in entries {
        match Field::of_name(&key.name) {
            Some(field) if value.is_null() => drop(places.insert(field, value)),
            Some(field) => {
                places.insert(field, value);
                reader.read(field, value);
            }
            None => reader.faults.push(unknown(key)),
        }
    }
    if !reader.faults.is_empty() {
        return Err(reader.faults);
    }
    ImageSpec::new(reader.fields).map_err(|error| located(&error, root.at, &places))
}

fn unknown(key: &Key) -> Fault {
    const CODE: &str = "imagespec/unknown-key";
    let name = &key.name;
    match nearest(name) {
        Some(near) => {
            Fault::new(key.at, CODE, format!("unknown key `{name}`, did you mean `{near}`?"))
        }
        None => {
            let known: Vec<String> = Field::ALL.iter().map(|f| format!("`{f}`")).collect();
            Fault::new(key.at, CODE, format!("unknown key `{name}`"))
                .hint(format!("The keys are {}.", known.join(", ")))
        }
    }
}

/// The problems of a spec, where they are in the file.
fn located(error: &ImageSpecError, root: Position, places: &BTreeMap<Field, &Node>) -> Vec<Fault> {
    let ImageSpecError::Invalid(problems) = error else {
        return vec![Fault::new(root, "imagespec/invalid", error.to_string())];
    };
    let fault = |problem: &crate::Problem| {
        let node = places.get(&problem.field());
        let item = node.zip(problem.index()).and_then(|(node, index)| match &node.kind {
            Kind::List(items) => items.get(index),
            _ => None,
        });
        let at = item.or(node.copied()).map_or(root, |node| node.at);
        Fault { at, code: problem.code(), message: problem.to_string(), hint: problem.hint.clone() }
    };
    problems.all().iter().map(fault).collect()
}

struct Reader {
    fields: Fields,
    faults: Vec<Fault>,
}

impl Reader {
    fn read(&mut self, field: Field, node: &Node) {
        match field {
            Field::Name => {
                if let Some(name) = self.text(field, node) {
                    self.fields.name = name;
                }
            }
            Field::Registry => self.fields.registry = self.text(field, node),
            Field::Builder => self.fields.builder = self.text(field, node),
            Field::Platform => self.fields.platform = self.platforms(node),
            Field::PythonVersion => {
                let text = self.version(field, node);
                self.fields.python_version = text.and_then(|t| self.parsed(field, node, &t));
            }
            Field::PythonExec => self.fields.python_exec = self.text(field, node),
            Field::BaseImage => self.fields.base_image = self.base(node),
            Field::Packages => self.fields.packages = self.texts(field, node),
            Field::CondaPackages => self.fields.conda_packages = self.texts(field, node),
            Field::CondaChannels => self.fields.conda_channels = self.texts(field, node),
            Field::Requirements => self.fields.requirements = self.path(field, node),
            Field::AptPackages => self.fields.apt_packages = self.texts(field, node),
            Field::Cuda => self.fields.cuda = self.version(field, node),
            Field::Cudnn => self.fields.cudnn = self.version(field, node),
            Field::PipIndex => {
                let text = self.text(field, node);
                self.fields.pip_index = text.and_then(|t| self.parsed(field, node, &t));
            }
            Field::PipExtraIndexUrl => {
                let texts = self.texts(field, node);
                let urls = texts.iter().filter_map(|t| self.parsed(field, node, t)).collect();
                self.fields.pip_extra_index_url = urls;
            }
            Field::PipSecretMounts => self.fields.pip_secret_mounts = self.mounts(node),
            Field::PipExtraArgs => self.fields.pip_extra_args = self.text(field, node),
            Field::Env => self.fields.env = self.env(node),
            Field::Entrypoint => self.fields.entrypoint = Some(self.texts(field, node)),
            Field::Commands => self.fields.commands = self.texts(field, node),
            Field::SourceRoot => self.fields.source_root = self.path(field, node),
            Field::SourceCopyMode => {
                let text = self.text(field, node);
                self.fields.source_copy_mode = text.and_then(|t| self.parsed(field, node, &t));
            }
            Field::Copy => {
                self.fields.copy = self.texts(field, node).into_iter().map(PathBuf::from).collect();
            }
            Field::RuntimePackages => self.fields.runtime_packages = self.texts(field, node),
            Field::RegistryConfig => self.fields.registry_config = self.path(field, node),
            Field::TagFormat => self.fields.tag_format = self.text(field, node),
            Field::BuilderOptions => self.fields.builder_options = self.options(field, node),
            Field::BuilderConfig => self.fields.builder_config = self.options(field, node),
        }
    }

    fn wrong(&mut self, place: impl Display, node: &Node, expected: &str) {
        let message = format!("{place}: expected {expected}, found {}", node.what());
        let mut fault = Fault::new(node.at, WRONG_TYPE, message);
        if let Kind::Plain(text) = &node.kind
            && !text.is_empty()
        {
            fault = fault.hint(format!("Quote it if a string is meant: \"{text}\"."));
        }
        self.faults.push(fault);
    }

    fn text(&mut self, place: impl Display, node: &Node) -> Option<String> {
        match &node.kind {
            Kind::Text(text) => Some(text.clone()),
            Kind::Plain(text) if !is_bool(text) && !is_number(text) && !node.is_null() => {
                Some(text.clone())
            }
            _ => {
                self.wrong(place, node, "a string");
                None
            }
        }
    }

    /// A text that looks like a number more often than not.
    fn version(&mut self, place: impl Display, node: &Node) -> Option<String> {
        match &node.kind {
            Kind::Plain(text) if is_number(text) => Some(text.clone()),
            _ => self.text(place, node),
        }
    }

    fn path(&mut self, field: Field, node: &Node) -> Option<PathBuf> {
        self.text(field, node).map(PathBuf::from)
    }

    fn texts(&mut self, field: Field, node: &Node) -> Vec<String> {
        let Kind::List(items) = &node.kind else {
            self.wrong(field, node, "a list of strings");
            return vec![];
        };
        let texts = items.iter().enumerate();
        texts.filter_map(|(i, item)| self.text(format_args!("{field}[{i}]"), item)).collect()
    }

    fn parsed<T>(&mut self, field: Field, node: &Node, text: &str) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                let message = format!("{field}: {error}");
                self.faults.push(Fault::new(node.at, INVALID, message));
                None
            }
        }
    }

    /// One text with commas, or a list.
    fn platforms(&mut self, node: &Node) -> Vec<tierce_oci::Platform> {
        let field = Field::Platform;
        let texts = match &node.kind {
            Kind::List(_) => self.texts(field, node),
            _ => match self.text(field, node) {
                Some(text) => text.split(',').map(|p| p.trim().to_owned()).collect(),
                None => vec![],
            },
        };
        texts.iter().filter_map(|text| self.parsed(field, node, text)).collect()
    }

    fn base(&mut self, node: &Node) -> Option<BaseImage> {
        if !matches!(node.kind, Kind::Map(_)) {
            return self.text(Field::BaseImage, node).map(BaseImage::Reference);
        }
        match of_node(node) {
            Ok(spec) => Some(spec.into()),
            Err(faults) => {
                self.faults.extend(faults.into_iter().map(|fault| Fault {
                    message: format!("{}: {}", Field::BaseImage, fault.message),
                    ..fault
                }));
                None
            }
        }
    }

    fn mounts(&mut self, node: &Node) -> Vec<SecretMount> {
        const EXPECTED: &str = "a list of pairs of strings, as [[\".netrc\", \"/root/.netrc\"]]";
        let field = Field::PipSecretMounts;
        let Kind::List(items) = &node.kind else {
            self.wrong(field, node, EXPECTED);
            return vec![];
        };
        let mut mounts = vec![];
        for (index, item) in items.iter().enumerate() {
            let place = format!("{field}[{index}]");
            match &item.kind {
                Kind::List(pair) if pair.len() == 2 => {
                    let [src, dst] = [0, 1].map(|i| self.text(&place, &pair[i]));
                    if let (Some(src), Some(dst)) = (src, dst) {
                        mounts.push(SecretMount { src: src.into(), dst });
                    }
                }
                _ => {
                    self.wrong(place, item, "a pair of strings, as [\".netrc\", \"/root/.netrc\"]")
                }
            }
        }
        mounts
    }

    fn env(&mut self, node: &Node) -> BTreeMap<String, String> {
        let Kind::Map(entries) = &node.kind else {
            self.wrong(Field::Env, node, "a mapping of names to strings");
            return BTreeMap::new();
        };
        let mut env = BTreeMap::new();
        for (key, value) in entries {
            if let Some(text) = self.version(format_args!("env.{}", key.name), value) {
                env.insert(key.name.clone(), text);
            }
        }
        env
    }

    fn options(&mut self, field: Field, node: &Node) -> BTreeMap<String, Value> {
        let Kind::Map(entries) = &node.kind else {
            self.wrong(field, node, "a mapping");
            return BTreeMap::new();
        };
        entries.iter().map(|(key, value)| (key.name.clone(), json(value))).collect()
    }
}

/// Any value, by the rules of YAML's core schema.
fn json(node: &Node) -> Value {
    match &node.kind {
        _ if node.is_null() => Value::Null,
        Kind::Plain(text) if text.eq_ignore_ascii_case("true") => Value::Bool(true),
        Kind::Plain(text) if text.eq_ignore_ascii_case("false") => Value::Bool(false),
        Kind::Plain(text) => {
            number(text).map_or_else(|| Value::String(text.clone()), Value::Number)
        }
        Kind::Text(text) => Value::String(text.clone()),
        Kind::List(items) => Value::Array(items.iter().map(json).collect()),
        Kind::Map(entries) => entries.iter().map(|(k, v)| (k.name.clone(), json(v))).collect(),
    }
}

fn number(text: &str) -> Option<Number> {
    if !is_number(text) {
        return None;
    }
    match text.parse::<i64>() {
        Ok(whole) => Some(whole.into()),
        Err(_) => text.parse().ok().and_then(Number::from_f64),
    }
}
