//! A registry in the test process, with faults on demand.
//!
//! It holds what the distribution specification has a registry do against its client, and is
//! stricter than real ones: lengths must be announced, chunks must be in order, digests right.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tierce_fetch::testing::Handler;
pub use tierce_fetch::testing::{Reply, Request, Server};
use tierce_oci::{Digest, Reference};
use url::form_urlencoded;

/// The user that the registry knows.
pub const USER: &str = "alice";
/// Her password.
pub const PASSWORD: &str = "correct horse";
/// Her identity token.
pub const IDENTITY_TOKEN: &str = "refresh-me";

/// How the registry asks who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Not at all.
    Open,
    /// User and password.
    Basic,
    /// Tokens; anybody may pull.
    Bearer,
    /// Tokens, for [`USER`] alone.
    PrivateBearer,
}

/// What kind of registry it is.
#[derive(Clone, Debug)]
pub struct Options {
    /// How it asks who asks.
    pub auth: Auth,
    /// Whether it mounts blobs, or answers 202.
    pub mounts: bool,
    /// Whether it takes blobs in chunks.
    pub chunks: bool,
    /// The least length of a chunk.
    pub min_chunk: Option<u64>,
    /// Where it redirects blob downloads to: the start of a URL.
    pub storage: Option<String>,
    /// Whether upload locations are whole URLs or paths.
    pub absolute_locations: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            auth: Auth::Open,
            mounts: true,
            chunks: true,
            min_chunk: None,
            storage: None,
            absolute_locations: false,
        }
    }
}

/// Something that goes wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    /// With which requests: what `METHOD /path` contains.
    pub on: String,
    /// How often.
    pub times: usize,
    /// What.
    pub effect: Effect,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Effect {
    /// This is the answer, and nothing else happens.
    Answer(Reply),
    /// The answer's body is cut.
    CutAnswer(usize),
    /// A bit of the answer's body is wrong.
    Corrupt,
    /// The connection is reset after so many bytes of the request's body; they count.
    CutRequest(usize),
    /// All tokens expire just before.
    ExpireTokens,
}

/// The registry.
pub struct FakeRegistry {
    server: Server,
    registry: Arc<Registry>,
}

struct Registry {
    options: Options,
    data: Mutex<Data>,
}

#[derive(Default)]
struct Data {
    faults: Vec<Fault>,
    blobs: HashMap<(String, Digest), Vec<u8>>,
    manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    uploads: HashMap<String, Vec<u8>>,
    tokens: HashMap<String, Vec<String>>,
    counter: u64,
}

impl FakeRegistry {
    /// Starts a registry.
    pub async fn start(options: Options) -> std::io::Result<Self> {
        let registry = Arc::new(Registry { options, data: Mutex::default() });
        let server = Server::start(Shared(registry.clone())).await?;
        Ok(FakeRegistry { server, registry })
    }

    /// A reference to an image in it.
    pub fn reference(&self, repository_and_tag: &str) -> Reference {
        let text = format!("{}/{repository_and_tag}", self.server.authority());
        text.parse().expect("tests write valid references")
    }

    /// `127.0.0.1:PORT`.
    pub fn authority(&self) -> String {
        self.server.authority()
    }

    /// Lets something go wrong with the next requests whose `METHOD /path` contains `on`.
    pub fn fault(&self, on: &str, times: usize, effect: Effect) {
        self.registry.data().faults.push(Fault { on: on.to_owned(), times, effect });
    }

    /// From now on nothing goes wrong.
    pub fn forgive(&self) {
        self.registry.data().faults.clear();
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.server.requests()
    }

    /// `METHOD /path` of the requests so far.
    pub fn lines(&self) -> Vec<String> {
        self.requests().iter().map(Request::line).collect()
    }

    /// Stores a blob.
    pub fn put_blob(&self, repository: &str, bytes: &[u8]) {
        let key = (repository.to_owned(), Digest::of(bytes));
        self.registry.data().blobs.insert(key, bytes.to_vec());
    }

    /// A stored blob.
    pub fn blob(&self, repository: &str, digest: &Digest) -> Option<Vec<u8>> {
        self.registry.data().blobs.get(&(repository.to_owned(), *digest)).cloned()
    }

    /// Stores a manifest under a tag and its digest.
    pub fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) {
        self.registry.data().store(repository, tag, media_type, bytes);
    }

    /// A stored manifest.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<Vec<u8>> {
        let key = (repository.to_owned(), reference.to_owned());
        self.registry.data().manifests.get(&key).map(|(_, bytes)| bytes.clone())
    }
}

impl Data {
    fn store(&mut self, repository: &str, reference: &str, media_type: &str, bytes: &[u8]) {
        for name in [reference.to_owned(), Digest::of(bytes).to_string()] {
            let value = (media_type.to_owned(), bytes.to_vec());
            self.manifests.insert((repository.to_owned(), name), value);
        }
    }

    fn unique(&mut self, prefix: &str) -> String {
        self.counter += 1;
        format!("{prefix}-{}", self.counter)
    }

    /// The next fault for a request, used up by one.
    fn next_fault(&mut self, line: &str, wanted: impl Fn(&Effect) -> bool) -> Option<Effect> {
        let matches = |f: &&mut Fault| f.times > 0 && line.contains(&f.on) && wanted(&f.effect);
        let fault = self.faults.iter_mut().find(matches)?;
        fault.times -= 1;
        Some(fault.effect.clone())
    }
}

struct Shared(Arc<Registry>);

impl Handler for Shared {
    fn cut_request(&self, head: &Request) -> Option<usize> {
        let cut = |e: &Effect| matches!(e, Effect::CutRequest(_));
        match self.0.data().next_fault(&head.line(), cut) {
            Some(Effect::CutRequest(after)) => Some(after),
            _ => None,
        }
    }

    fn reply(&self, request: &Request) -> Reply {
        let fault = {
            let not_cut = |e: &Effect| !matches!(e, Effect::CutRequest(_));
            self.0.data().next_fault(&request.line(), not_cut)
        };
        match fault {
            Some(Effect::Answer(reply)) => reply,
            Some(Effect::CutAnswer(after)) => self.0.route(request).cut_after(after),
            Some(Effect::Corrupt) => self.0.route(request).map_body(|body| body[0] ^= 1),
            Some(Effect::ExpireTokens) => {
                self.0.data().tokens.clear();
                self.0.route(request)
            }
            Some(Effect::CutRequest(_)) | None => self.0.route(request),
        }
    }
}

fn complaint(status: u16, code: &str) -> Reply {
    let body = format!(r#"{{"errors":[{{"code":"{code}","message":"the fake says no"}}]}}"#);
    Reply::new(status).header("Content-Type", "application/json").body(body)
}

impl Registry {
    fn data(&self) -> MutexGuard<'_, Data> {
        self.data.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn route(&self, request: &Request) -> Reply {
        if request.path == "/token" {
            return self.token(request);
        }
        let Some(path) = request.path.strip_prefix("/v2/") else {
            return complaint(404, "UNSUPPORTED");
        };
        for (infix, handler) in [
            ("/blobs/uploads/", Self::upload as fn(&Self, &Request, &str, &str) -> Reply),
            ("/blobs/", Self::blob),
            ("/manifests/", Self::manifest),
            ("/tags/", Self::tags),
        ] {
            if let Some((repository, rest)) = path.split_once(infix) {
                return match self.allowed(request, repository) {
                    Ok(()) => handler(self, request, repository, rest),
                    Err(refusal) => refusal,
                };
            }
        }
        complaint(404, "UNSUPPORTED")
    }

    fn host(request: &Request) -> String {
        format!("http://{}", request.header("host").unwrap_or_default())
    }

    fn allowed(&self, request: &Request, repository: &str) -> Result<(), Reply> {
        let action =
            if matches!(request.method.as_str(), "GET" | "HEAD") { "pull" } else { "push" };
        match self.options.auth {
            Auth::Open => Ok(()),
            Auth::Basic if request.header("authorization") == Some(&basic()) => Ok(()),
            Auth::Basic => {
                Err(complaint(401, "UNAUTHORIZED")
                    .header("WWW-Authenticate", r#"Basic realm="fake""#))
            }
            Auth::Bearer | Auth::PrivateBearer
                if self.token_allows(request, repository, action) =>
            {
                Ok(())
            }
            Auth::Bearer | Auth::PrivateBearer => {
                let challenge = format!(
                    r#"Bearer realm="{}/token",service="fake",scope="repository:{repository}:{action}""#,
                    Self::host(request)
                );
                Err(complaint(401, "UNAUTHORIZED").header("WWW-Authenticate", challenge))
            }
        }
    }

    fn token_allows(&self, request: &Request, repository: &str, action: &str) -> bool {
        let Some(token) = request.header("authorization").and_then(|a| a.strip_prefix("Bearer "))
        else {
            return false;
        };
        let data = self.data();
        data.tokens.get(token).is_some_and(|scopes| {
            scopes.iter().any(|scope| {
                let mut parts = scope.split(':').skip(1);
                parts.next() == Some(repository)
                    && parts.next().is_some_and(|a| a.split(',').any(|a| a == action))
            })
        })
    }

    fn token(&self, request: &Request) -> Reply {
        let form: HashMap<String, String> =
            form_urlencoded::parse(&request.body).into_owned().collect();
        let (known, mut scopes): (bool, Vec<String>) = match request.method.as_str() {
            "POST" => (
                form.get("refresh_token").is_some_and(|t| t == IDENTITY_TOKEN),
                form.get("scope")
                    .map(|s| s.split(' ').map(str::to_owned).collect())
                    .unwrap_or_default(),
            ),
            _ => (request.header("authorization") == Some(&basic()), request.params("scope")),
        };
        let tried = request.method == "POST" || request.header("authorization").is_some();
        if tried && !known {
            return Reply::new(401).body(r#"{"details":"incorrect username or password"}"#);
        }
        if !known {
            if self.options.auth == Auth::PrivateBearer {
                scopes.clear();
            }
            scopes = scopes.iter().map(|s| s.replace("pull,push", "pull")).collect();
        }
        let mut data = self.data();
        let token = data.unique("token");
        data.tokens.insert(token.clone(), scopes);
        Reply::ok(format!(r#"{{"access_token":"{token}","expires_in":300}}"#))
    }

    fn manifest(&self, request: &Request, repository: &str, reference: &str) -> Reply {
        let mut data = self.data();
        let key = (repository.to_owned(), reference.to_owned());
        match request.method.as_str() {
            "PUT" => {
                if let Some(missing) = missing_blob(&data, repository, &request.body) {
                    return complaint(404, "MANIFEST_BLOB_UNKNOWN").header("X-Missing", missing);
                }
                let media_type = request.header("content-type").unwrap_or_default();
                data.store(repository, reference, media_type, &request.body);
                Reply::new(201).header("Docker-Content-Digest", Digest::of(&request.body))
            }
            "DELETE" => match data.manifests.remove(&key) {
                Some(_) => Reply::new(202),
                None => complaint(404, "MANIFEST_UNKNOWN"),
            },
            _ => match data.manifests.get(&key) {
                Some((media_type, bytes)) => Reply::ok(bytes.clone())
                    .header("Content-Type", media_type)
                    .header("Docker-Content-Digest", Digest::of(bytes)),
                None => complaint(404, "MANIFEST_UNKNOWN"),
            },
        }
    }

    fn tags(&self, request: &Request, repository: &str, _rest: &str) -> Reply {
        let data = self.data();
        let after = request.param("last").unwrap_or_default();
        let tags: Vec<_> = data
            .manifests
            .keys()
            .filter(|(r, t)| r == repository && !t.contains(':') && *t > after)
            .map(|(_, tag)| format!("{tag:?}"))
            .collect();
        let page = &tags[..tags.len().min(2)];
        let reply = Reply::ok(format!(r#"{{"name":"{repository}","tags":[{}]}}"#, page.join(",")));
        match (tags.len() > page.len(), page.last()) {
            (true, Some(last)) => {
                let last = last.trim_matches('"');
                let next = format!(r#"</v2/{repository}/tags/list?last={last}>; rel="next""#);
                reply.header("Link", next)
            }
            _ => reply,
        }
    }

    fn blob(&self, request: &Request, repository: &str, digest: &str) -> Reply {
        let Ok(digest) = digest.parse() else { return complaint(400, "DIGEST_INVALID") };
        let data = self.data();
        let Some(bytes) = data.blobs.get(&(repository.to_owned(), digest)) else {
            return complaint(404, "BLOB_UNKNOWN");
        };
        if let Some(storage) = &self.options.storage
            && request.method == "GET"
        {
            return Reply::new(307)
                .header("Location", format!("{storage}/{digest}?signature=s3cret"));
        }
        ranged(request, bytes).header("Docker-Content-Digest", digest)
    }

    fn location(&self, request: &Request, repository: &str, id: &str) -> String {
        let host = match self.options.absolute_locations {
            true => Self::host(request),
            false => String::new(),
        };
        format!("{host}/v2/{repository}/blobs/uploads/{id}?_state=x%2Fy")
    }

    fn upload(&self, request: &Request, repository: &str, id: &str) -> Reply {
        match request.method.as_str() {
            "POST" => self.begin(request, repository),
            "PATCH" => self.chunk(request, repository, id),
            "PUT" => self.close(request, repository, id),
            "GET" => match self.data().uploads.get(id) {
                Some(bytes) => Reply::new(204)
                    .header("Range", format!("0-{}", bytes.len().saturating_sub(1)))
                    .header("Location", self.location(request, repository, id)),
                None => complaint(404, "BLOB_UPLOAD_UNKNOWN"),
            },
            _ => complaint(405, "UNSUPPORTED"),
        }
    }

    fn begin(&self, request: &Request, repository: &str) -> Reply {
        let from = request.param("from");
        let digest = request.param("mount").and_then(|d| d.parse::<Digest>().ok());
        if let (Some(from), Some(digest), true) = (from, digest, self.options.mounts) {
            let readable = matches!(self.options.auth, Auth::Open | Auth::Basic)
                || self.token_allows(request, &from, "pull");
            let mut data = self.data();
            let bytes = data.blobs.get(&(from, digest)).filter(|_| readable).cloned();
            if let Some(bytes) = bytes {
                data.blobs.insert((repository.to_owned(), digest), bytes);
                return Reply::new(201).header("Docker-Content-Digest", digest);
            }
        }
        let mut data = self.data();
        let id = data.unique("upload");
        data.uploads.insert(id.clone(), vec![]);
        let reply = Reply::new(202).header("Location", self.location(request, repository, &id));
        match self.options.min_chunk {
            Some(min) => reply.header("OCI-Chunk-Min-Length", min),
            None => reply,
        }
    }

    fn chunk(&self, request: &Request, repository: &str, id: &str) -> Reply {
        if !self.options.chunks {
            return complaint(405, "UNSUPPORTED");
        }
        let location = self.location(request, repository, id);
        let mut data = self.data();
        let Some(upload) = data.uploads.get_mut(id) else {
            return complaint(404, "BLOB_UPLOAD_UNKNOWN");
        };
        let start = request.header("content-range").and_then(|r| r.split('-').next()?.parse().ok());
        if start != Some(upload.len()) {
            return complaint(416, "BLOB_UPLOAD_INVALID");
        }
        upload.extend_from_slice(&request.body);
        let range = format!("0-{}", upload.len().saturating_sub(1));
        Reply::new(202).header("Location", location).header("Range", range)
    }

    fn close(&self, request: &Request, repository: &str, id: &str) -> Reply {
        let mut data = self.data();
        let Some(mut bytes) = data.uploads.remove(id) else {
            return complaint(404, "BLOB_UPLOAD_UNKNOWN");
        };
        // The query of the location must come back untouched.
        let digest = request.param("digest").and_then(|d| d.parse().ok());
        let state = request.param("_state");
        bytes.extend_from_slice(&request.body);
        match digest {
            Some(digest) if Digest::of(&bytes) == digest && state.as_deref() == Some("x/y") => {
                data.blobs.insert((repository.to_owned(), digest), bytes);
                Reply::new(201).header("Docker-Content-Digest", digest)
            }
            _ => complaint(400, "DIGEST_INVALID"),
        }
    }
}

/// The first blob that a manifest leads to and the repository does not have.
fn missing_blob(data: &Data, repository: &str, manifest: &[u8]) -> Option<String> {
    let manifest: serde_json::Value = serde_json::from_slice(manifest).ok()?;
    let list = |name: &str| manifest[name].as_array().cloned().unwrap_or_default();
    let digest = |d: &serde_json::Value| d["digest"].as_str().map(str::to_owned);
    let blobs = list("layers").into_iter().chain([manifest["config"].clone()]);
    let blob = blobs
        .filter_map(|d| digest(&d))
        .find(|d| d.parse().is_ok_and(|d| !data.blobs.contains_key(&(repository.to_owned(), d))));
    blob.or_else(|| {
        let mut manifests = list("manifests").into_iter().filter_map(|d| digest(&d));
        manifests.find(|d| !data.manifests.contains_key(&(repository.to_owned(), d.clone())))
    })
}

/// A file, or the part of it that is asked for.
pub fn ranged(request: &Request, bytes: &[u8]) -> Reply {
    let range = request.header("range").and_then(|r| r.strip_prefix("bytes="));
    let Some((start, end)) = range.and_then(|r| r.split_once('-')) else {
        return Reply::ok(bytes.to_vec());
    };
    let start: usize = start.parse().unwrap_or(0);
    let end = end.parse().map_or(bytes.len(), |last: usize| (last + 1).min(bytes.len()));
    if start >= end {
        return Reply::new(416);
    }
    Reply::new(206)
        .header("Content-Range", format!("bytes {start}-{}/{}", end - 1, bytes.len()))
        .body(&bytes[start..end])
}

fn basic() -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{USER}:{PASSWORD}")))
}
