//! What the daemon asks for while it solves.

use crate::auth::{AuthService, SessionCredentials};
use crate::filesync::DockerfileService;
use async_trait::async_trait;
use bollard_buildkit_proto::health::health_check_response::ServingStatus;
use bollard_buildkit_proto::health::health_server::{Health, HealthServer};
use bollard_buildkit_proto::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use bollard_buildkit_proto::moby::buildkit::v1::BytesMessage as SessionBytes;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::filesync::packet::file_sync_server::FileSyncServer;
use bollard_buildkit_proto::moby::filesync::v1::BytesMessage as FileBytes;
use bollard_buildkit_proto::moby::filesync::v1::auth_server::AuthServer;
use bollard_buildkit_proto::moby::filesync::v1::file_send_server::{FileSend, FileSendServer};
use bollard_buildkit_proto::moby::upload::v1::BytesMessage as UploadBytes;
use bollard_buildkit_proto::moby::upload::v1::upload_server::{Upload, UploadServer};
use futures::stream::{BoxStream, StreamExt};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tierce_secret::SecretValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, Streaming};

/// How much of a context is sent in one message, and read from a session at once.
const CHUNK: usize = 64 * 1024;

/// A build's context: the files that its Dockerfile copies, as an uncompressed tar stream.
pub trait ContextSource: Send + Sync {
    /// Writes the whole archive. Called on a thread of its own, once each time that the daemon
    /// asks.
    fn write(&self, out: &mut dyn Write) -> io::Result<()>;
}

/// The secrets that a build may ask for, by the ids that its Dockerfile uses.
#[derive(Clone, Default)]
pub struct SessionSecrets {
    /// The values by id.
    pub values: BTreeMap<String, SecretValue>,
    /// What must not be seen in the progress and in errors.
    pub hidden: tierce_secret::Secrets,
}

/// Everything that one session serves.
pub(crate) struct Services {
    pub(crate) dockerfile: Arc<[u8]>,
    pub(crate) context: (String, Arc<dyn ContextSource>),
    pub(crate) secrets: SessionSecrets,
    pub(crate) credentials: SessionCredentials,
    pub(crate) destination: Option<PathBuf>,
}

/// A session under way; dropping it ends it.
pub(crate) struct Session {
    pub(crate) id: String,
    tasks: JoinSet<()>,
}

impl Session {
    /// Opens a session over the control connection: the daemon then calls the services.
    pub(crate) async fn start(
        control: &mut ControlClient<Channel>,
        id: String,
        services: Services,
    ) -> Result<Self, Status> {
        let (served, carried) = tokio::io::duplex(CHUNK);
        let (read, mut write) = tokio::io::split(carried);
        let outgoing = futures::stream::unfold(read, |mut read| async move {
            let mut buffer = vec![0; CHUNK];
            let count = read.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
            buffer.truncate(count);
            Some((SessionBytes { data: buffer }, read))
        });
        let mut request = Request::new(outgoing);
        announce(request.metadata_mut(), &id, &services);
        let mut tasks = JoinSet::new();
        // The server first: the daemon may speak before its answer's headers are here.
        tasks.spawn(serve(served, services));
        let mut incoming = control.session(request).await?.into_inner();
        tasks.spawn(async move {
            while let Some(Ok(message)) = incoming.next().await {
                if write.write_all(&message.data).await.is_err() {
                    break;
                }
            }
            let _ = write.shutdown().await;
        });
        Ok(Session { id, tasks })
    }

    /// Ends the session and waits until nothing of it runs.
    pub(crate) async fn end(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Says who we are, and what can be asked of us.
fn announce(metadata: &mut tonic::metadata::MetadataMap, id: &str, services: &Services) {
    let text = |text: &str| MetadataValue::try_from(text).ok();
    let mut methods = vec![
        "/moby.buildkit.secrets.v1.Secrets/GetSecret",
        "/moby.filesync.v1.Auth/Credentials",
        "/moby.filesync.v1.FileSync/DiffCopy",
        "/moby.upload.v1.Upload/Pull",
        "/grpc.health.v1.Health/Check",
    ];
    if services.destination.is_some() {
        methods.push("/moby.filesync.v1.FileSend/DiffCopy");
    }
    for (name, value) in [
        ("x-docker-expose-session-uuid", id),
        ("x-docker-expose-session-name", "tierce"),
        // Sessions with one key share what was sent: by size and time, of which a Dockerfile
        // that is made has none of its own.
        ("x-docker-expose-session-sharedkey", id),
    ] {
        if let Some(value) = text(value) {
            metadata.insert(name, value);
        }
    }
    for method in methods {
        if let Some(value) = text(method) {
            metadata.append("x-docker-expose-session-grpc-method", value);
        }
    }
}

/// Serves one connection until it ends.
async fn serve(connection: DuplexStream, services: Services) {
    let Services { dockerfile, context, secrets, credentials, destination } = services;
    let router = tonic::transport::Server::builder()
        .add_service(HealthServer::new(Healthy))
        .add_service(SecretsServer::new(SecretService { secrets }))
        .add_service(AuthServer::new(AuthService { credentials }))
        .add_service(FileSyncServer::new(DockerfileService { content: dockerfile }))
        .add_service(UploadServer::new(UploadService { context }))
        .add_service(FileSendServer::new(FileService { destination }));
    let connections = futures::stream::once(async { Ok::<_, io::Error>(Carried(connection)) });
    if let Err(error) = router.serve_with_incoming(connections).await {
        tracing::debug!(%error, "the session's connection broke");
    }
}

/// The session's end of a connection that is carried in messages of another.
struct Carried(DuplexStream);

impl Connected for Carried {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl tokio::io::AsyncRead for Carried {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl tokio::io::AsyncWrite for Carried {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Says that the session lives: the daemon gives a silent one up.
struct Healthy;

#[async_trait]
impl Health for Healthy {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
    }

    async fn list(
        &self,
        _: Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        Err(Status::unimplemented("list"))
    }

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("watch"))
    }
}

/// Hands out values of secrets.
struct SecretService {
    secrets: SessionSecrets,
}

#[async_trait]
impl Secrets for SecretService {
    async fn get_secret(
        &self,
        request: Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let id = request.into_inner().id;
        let value = self.secrets.values.get(&id);
        let value = value.ok_or_else(|| Status::not_found(format!("no secret {id}")))?;
        Ok(Response::new(GetSecretResponse { data: value.expose().to_vec() }))
    }
}

/// Sends the context.
struct UploadService {
    context: (String, Arc<dyn ContextSource>),
}

#[async_trait]
impl Upload for UploadService {
    type PullStream = BoxStream<'static, Result<UploadBytes, Status>>;

    async fn pull(
        &self,
        request: Request<Streaming<UploadBytes>>,
    ) -> Result<Response<Self::PullStream>, Status> {
        let asked = request.metadata().get("urlpath").and_then(|path| path.to_str().ok());
        let (path, context) = &self.context;
        if asked != Some(path.as_str()) {
            return Err(Status::not_found("no such upload"));
        }
        let context = context.clone();
        // Few chunks in flight: the archive is made no faster than it is taken.
        let (sender, mut receiver) = mpsc::channel(4);
        tokio::task::spawn_blocking(move || {
            let mut chunks = Chunks { buffer: Vec::with_capacity(CHUNK), sender };
            let written = context.write(&mut chunks).and_then(|()| chunks.flush());
            if let Err(error) = written {
                let status = Status::aborted(format!("the context could not be read: {error}"));
                let _ = chunks.sender.blocking_send(Err(status));
            }
        });
        let stream = futures::stream::poll_fn(move |cx| receiver.poll_recv(cx));
        Ok(Response::new(stream.boxed()))
    }
}

/// Turns what is written into messages.
struct Chunks {
    buffer: Vec<u8>,
    sender: mpsc::Sender<Result<UploadBytes, Status>>,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK - self.buffer.len();
        let count = bytes.len().min(room);
        self.buffer.extend_from_slice(&bytes[..count]);
        if self.buffer.len() == CHUNK {
            self.flush()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let data = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        self.sender
            .blocking_send(Ok(UploadBytes { data }))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

/// Takes in a result that is one file: an exporter's tar stream.
struct FileService {
    destination: Option<PathBuf>,
}

#[async_trait]
impl FileSend for FileService {
    type DiffCopyStream = BoxStream<'static, Result<FileBytes, Status>>;

    async fn diff_copy(
        &self,
        request: Request<Streaming<FileBytes>>,
    ) -> Result<Response<Self::DiffCopyStream>, Status> {
        let Some(destination) = &self.destination else {
            return Err(Status::not_found("no file is expected"));
        };
        let of_file = |error: io::Error| {
            Status::aborted(format!("cannot write {}: {error}", destination.display()))
        };
        let mut file = tokio::fs::File::create(destination).await.map_err(of_file)?;
        let mut messages = request.into_inner();
        while let Some(message) = messages.message().await? {
            file.write_all(&message.data).await.map_err(of_file)?;
        }
        file.sync_all().await.map_err(of_file)?;
        Ok(Response::new(futures::stream::empty().boxed()))
    }
}
