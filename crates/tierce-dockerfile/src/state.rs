//! What is known of the image at a point of the text.

use crate::base::DEFAULT_PATH;
use crate::quote;
use crate::secret::Reader;
use std::collections::BTreeMap;
use tierce_oci::ImageConfig;
use tierce_spec::SearchPath;

/// What is known of the image at a point of the text. Of a base whose configuration is not at
/// hand, only what was set since is known.
pub(crate) struct State {
    base: Option<ImageConfig>,
    env: BTreeMap<String, String>,
    user: Option<String>,
    workdir: Option<String>,
    has_cmd: bool,
}

impl State {
    pub fn new(base: Option<ImageConfig>) -> Self {
        let config = base.as_ref().map(|base| &base.config);
        State {
            user: config.map(|c| c.user.clone().unwrap_or_default()),
            workdir: config.map(|c| match c.working_dir.as_deref() {
                None | Some("") => "/".to_owned(),
                Some(dir) => dir.to_owned(),
            }),
            env: BTreeMap::new(),
            has_cmd: false,
            base,
        }
    }

    /// The value of a variable: `None` where it is not known, `Some(None)` where it has none.
    fn variable(&self, name: &str) -> Option<Option<String>> {
        if let Some(value) = self.env.get(name) {
            return Some(Some(value.clone()));
        }
        let base = self.base.as_ref()?.env();
        Some(base.into_iter().find(|(n, _)| n == name).map(|(_, value)| value))
    }

    pub fn set_variable(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// The quoted value of a list of directories with more around it. What is known is written
    /// out; what is not, is left to the frontend.
    pub fn set_search_path(&mut self, name: &str, path: &SearchPath) -> String {
        let default = (name == "PATH").then_some(DEFAULT_PATH);
        if let Some(known) = self.variable(name) {
            let value = path.around(known.as_deref().or(default));
            self.set_variable(name, &value);
            return quote::word(&value);
        }
        let part = |directories: &[String]| quote::escaped(&directories.join(":"));
        let (before, after) = (part(&path.before), part(&path.after));
        let current = match (default, before.is_empty(), after.is_empty()) {
            (Some(default), first, last) => {
                let (left, right) = (colon(!first), colon(!last));
                format!("{left}${{{name}:-{default}}}{right}")
            }
            (None, false, _) => format!("${{{name}:+:${{{name}}}}}{}", colon(!after.is_empty())),
            (None, true, last) => format!("${{{name}:+${{{name}}}{}}}", colon(!last)),
        };
        format!("\"{before}{current}{after}\"")
    }

    pub fn set_user(&mut self, user: &str) {
        self.user = Some(user.to_owned());
    }

    pub fn set_workdir(&mut self, path: &str) {
        self.workdir = Some(path.to_owned());
    }

    /// The working directory, if it is known.
    pub fn workdir(&self) -> Option<&str> {
        self.workdir.as_deref()
    }

    /// The user that is not root, if there is one.
    pub fn other_user(&self) -> Option<&str> {
        let user = self.user.as_deref()?;
        let name = user.split(':').next().unwrap_or_default();
        (!matches!(name, "" | "root" | "0")).then_some(user)
    }

    /// Who commands run as.
    pub fn reader(&self) -> Reader<'_> {
        match (&self.user, self.other_user()) {
            (None, _) => Reader::Unknown,
            (Some(_), None) => Reader::Root,
            (Some(_), Some(user)) => Reader::User(user),
        }
    }

    pub fn set_cmd(&mut self) {
        self.has_cmd = true;
    }

    /// Whether the text has set arguments, so that an entrypoint does not clear them by itself.
    pub fn take_cmd(&mut self) -> bool {
        std::mem::take(&mut self.has_cmd)
    }
}

fn colon(wanted: bool) -> &'static str {
    if wanted { ":" } else { "" }
}
