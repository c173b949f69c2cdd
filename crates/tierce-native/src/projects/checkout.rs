//! Repositories as what packages are built from: checked out on this machine, so that an image
//! needs no git, and built as folders are.

use super::error::ProjectError;
use super::git::{Git, Remote};
use super::sources::Folder;
use crate::context::Context;
use crate::error::NativeError;
use crate::key::KeyEncoder;
use crate::pip::PipRequest;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use tierce_engine::Source;
use tierce_tree::{DefaultExcludes, ScanOptions};
use tierce_wheel::{Location, LockedPackage, VcsSource};

/// More submodules than this, all levels together, are somebody's mistake.
const MOST_REPOSITORIES: usize = 500;

/// A commit that is put somewhere.
#[derive(Clone, Debug)]
struct Checkout {
    remote: Remote,
    commit: String,
    folder: PathBuf,
}

impl Context {
    /// The git of this machine.
    fn git(&self) -> Option<PathBuf> {
        let mut places = self.settings.search_path.iter().map(|folder| folder.join("git"));
        places.find(|program| program.is_file())
    }

    /// Checks out what a package is built from; `None` where this machine has no git, and
    /// the image's has to do.
    pub async fn check_out(
        &self,
        package: &LockedPackage,
        vcs: &VcsSource,
        request: &PipRequest<'_>,
    ) -> Result<Option<Folder>, NativeError> {
        if vcs.kind != "git" {
            return Ok(None);
        }
        let name = package.name.to_string();
        let Some(program) = self.git() else {
            return match vcs.location.is_local() {
                true => Err(ProjectError::NoGit { package: name }.into()),
                false => Ok(None),
            };
        };
        let commit = vcs.commit.to_ascii_lowercase();
        if !is_commit(&commit) {
            return Err(ProjectError::BadCommit { package: name, commit }.into());
        }
        let address = match &vcs.location {
            Location::Path(path) => request.gathered.root.join(path).to_string_lossy().into_owned(),
            Location::Url(_) => vcs.location.without_credentials(),
        };
        let path = std::env::join_paths(&self.settings.search_path).unwrap_or_default();
        let git = Git {
            program,
            env: self.uv_environment(request),
            path: path.to_string_lossy().into_owned(),
            ca_bundle: self.settings.ca_bundle.clone(),
            credentials: request.credentials.clone(),
            hidden: self.seen_by_uv(request).hidden().clone(),
            package: name,
        };
        let scratch = self.store.scratch_dir("checkout")?;
        let root = scratch.path().join("source");
        let remote = Remote { address, may_be_local: true };
        let first = Checkout { remote, commit, folder: root.clone() };
        self.all_of(&git, first, scratch.path()).await?;
        // What is committed is what is built, whatever it is called.
        let options = ScanOptions { defaults: DefaultExcludes::Off, ..ScanOptions::default() };
        let at = root.clone();
        let tree = tokio::task::spawn_blocking(move || tierce_tree::scan(&at, &options, None));
        let tree = tree.await?.map_err(|e| NativeError::io(&root)(std::io::Error::other(e)))?;
        let source = Source { root, tree: Arc::new(tree) };
        let version = package.version.as_ref().map(ToString::to_string);
        Ok(Some(Folder::checked_out(source, vcs.subdirectory.clone(), version, scratch)))
    }

    /// A commit with its submodules, and theirs, as uv and pip have them.
    async fn all_of(&self, git: &Git, first: Checkout, scratch: &Path) -> Result<(), NativeError> {
        let mut open = vec![first];
        let mut seen = 0;
        while let Some(next) = open.pop() {
            seen += 1;
            if seen > MOST_REPOSITORIES {
                let (package, limit) = (git.package.clone(), MOST_REPOSITORIES);
                return Err(ProjectError::Submodules { package, limit }.into());
            }
            let repository = self.repository(git, &next).await?;
            let index = scratch.join(format!("index-{seen}"));
            git.unpack(&repository, &next.commit, &next.folder, &index).await?;
            open.extend(submodules(git, &repository, &next).await?);
        }
        Ok(())
    }

    /// A bare repository of this machine that has the commit, fetched once.
    async fn repository(&self, git: &Git, checkout: &Checkout) -> Result<PathBuf, NativeError> {
        let key = KeyEncoder::new("git-commit")
            .text("repository", &checkout.remote.address)
            .text("commit", &checkout.commit)
            .finish();
        let place = self.store.cache_dir("git")?.join(format!("{}.git", key.0.hex()));
        if place.is_dir() {
            return Ok(place);
        }
        let scratch = self.store.scratch_dir("git")?;
        let fetched = scratch.path().join("repository");
        git.fetch(&fetched, &checkout.remote, &checkout.commit).await?;
        match std::fs::rename(&fetched, &place) {
            Ok(()) => Ok(place),
            // Somebody else was faster.
            Err(_) if place.is_dir() => Ok(place),
            Err(error) => Err(NativeError::io(&place)(error)),
        }
    }
}

/// The submodules of a commit that was unpacked.
async fn submodules(
    git: &Git,
    repository: &Path,
    of: &Checkout,
) -> Result<Vec<Checkout>, NativeError> {
    let links = git.links(repository, &of.commit).await?;
    if links.is_empty() {
        return Ok(vec![]);
    }
    let modules = git.modules(repository, &of.commit).await?;
    let mut found = vec![];
    for (path, commit) in links {
        let bad = |address: &str| ProjectError::Submodule {
            package: git.package.clone(),
            path: path.clone(),
            address: address.to_owned(),
        };
        let module = Module::at(&modules, &path).ok_or_else(|| bad("no address"))?;
        if module.update == Some("none") {
            continue;
        }
        let address = relative_to(&of.remote.address, module.url);
        let inside = |part: Component<'_>| matches!(part, Component::Normal(_));
        if !may_be_fetched(&address)
            || !is_commit(&commit)
            || !Path::new(&path).components().all(inside)
        {
            return Err(bad(&address).into());
        }
        let folder = of.folder.join(&path);
        let remote = Remote { address, may_be_local: false };
        found.push(Checkout { remote, commit, folder });
    }
    Ok(found)
}

/// A submodule as `.gitmodules` has it.
struct Module<'a> {
    url: &'a str,
    update: Option<&'a str>,
}

impl<'a> Module<'a> {
    fn at(modules: &'a [(String, String)], path: &str) -> Option<Self> {
        let name = modules.iter().find_map(|(key, value)| {
            (value == path).then(|| key.strip_suffix(".path")).flatten()
        })?;
        let value = |key: &str| {
            let found = modules.iter().rev().find(|(known, _)| *known == format!("{name}.{key}"));
            found.map(|(_, value)| value.as_str())
        };
        Some(Module { url: value("url")?, update: value("update") })
    }
}

/// A commit's full hash. Nothing else may reach a command line.
fn is_commit(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// An address as git reads those of submodules: `./` and `../` start from the repository's own.
fn relative_to(base: &str, address: &str) -> String {
    if !address.starts_with("./") && !address.starts_with("../") {
        return address.to_owned();
    }
    let mut base = base.trim_end_matches('/').to_owned();
    let mut rest = address;
    loop {
        if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else if let Some(after) = rest.strip_prefix("../") {
            rest = after;
            let start = base.find("://").map_or(0, |at| at + 3);
            match base[start..].rfind('/') {
                Some(at) => base.truncate(start + at),
                None => return String::new(),
            }
        } else {
            return format!("{base}/{rest}");
        }
    }
}

/// Whether a submodule may be there: on a server, and never on this machine.
fn may_be_fetched(address: &str) -> bool {
    if let Some((scheme, _)) = address.split_once("://") {
        return ["https", "http", "ssh", "git"].contains(&scheme);
    }
    // `user@host:path`; `ext::command` would be a program.
    address.split_once(':').is_some_and(|(host, path)| {
        !host.is_empty()
            && !host.contains('/')
            && !host.starts_with('-')
            && !path.starts_with(':')
            && !path.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn submodules_are_relative_to_their_repository() {
        for (base, address, expected) in [
            ("https://x/o/r.git", "../s.git", "https://x/o/s.git"),
            ("https://x/o/r.git/", "../../p/s", "https://x/p/s"),
            ("https://x/o/r.git", "./s", "https://x/o/r.git/s"),
            ("https://x/o", "../../../s", ""),
            ("https://x/o/r", "https://y/s", "https://y/s"),
        ] {
            assert_eq!(relative_to(base, address), expected, "{base} {address}");
        }
    }

    #[test]
    fn submodules_are_on_servers() {
        for good in ["https://x/a", "ssh://git@x/a", "git@x:a/b.git"] {
            assert!(may_be_fetched(good), "{good}");
        }
        for bad in
            ["file:///a", "/a", "ext::sh -c x", "-oProxyCommand=x:y", "a/b:c", "", "ext://x", "x:"]
        {
            assert!(!may_be_fetched(bad), "{bad}");
        }
    }

    #[test]
    fn submodules_are_found_by_their_place() {
        let said = [("path", "lib/a"), ("url", "../a"), ("update", "none")];
        let modules: Vec<_> =
            said.map(|(k, v)| (format!("submodule.x.y.{k}"), v.to_owned())).into();
        let module = Module::at(&modules, "lib/a").unwrap();
        assert_eq!((module.url, module.update), ("../a", Some("none")));
        assert!(Module::at(&modules, "lib/b").is_none());
    }
}
