//! A `buildkitd` that builds nothing, and asks for everything that a real one asks for: it is
//! there for what the BuildKit inside Debian's Docker can't do (TCP with TLS, pushes, archives).

use bollard_buildkit_proto::fsutil::types::Packet;
use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::google::protobuf::Timestamp;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::GetSecretRequest;
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_client::SecretsClient;
use bollard_buildkit_proto::moby::buildkit::v1::control_server::{Control, ControlServer};
use bollard_buildkit_proto::moby::buildkit::v1::*;
use bollard_buildkit_proto::moby::filesync::packet::file_sync_client::FileSyncClient;
use bollard_buildkit_proto::moby::filesync::v1::auth_client::AuthClient;
use bollard_buildkit_proto::moby::filesync::v1::file_send_client::FileSendClient;
use bollard_buildkit_proto::moby::filesync::v1::{BytesMessage as FileBytes, CredentialsRequest};
use bollard_buildkit_proto::moby::upload::v1::BytesMessage as UploadBytes;
use bollard_buildkit_proto::moby::upload::v1::upload_client::UploadClient;
use futures::StreamExt;
use futures::stream::BoxStream;
use hyper_util::rt::TokioIo;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Request, Response, Status, Streaming};

/// What a solve was asked for, and what was got over its session.
#[derive(Debug, Default)]
pub struct Seen {
    pub exporter: String,
    pub exporter_attributes: BTreeMap<String, String>,
    pub attributes: BTreeMap<String, String>,
    pub cache_imports: Vec<String>,
    pub entitlements: Vec<String>,
    pub dockerfile: String,
    /// The context's archive.
    pub context: Vec<u8>,
    pub secret: Option<Vec<u8>>,
    pub user: String,
}

/// The daemon.
#[derive(Clone, Default)]
pub struct Fake {
    pub sessions: Arc<Mutex<HashMap<String, Channel>>>,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    /// What exporters of archives send.
    pub archive: Arc<Vec<u8>>,
    /// The digest of what is built.
    pub digest: String,
    /// The message that a build fails with.
    pub failure: Option<String>,
}

impl Fake {
    /// Serves one connection after the other.
    pub async fn serve<C>(self, connections: BoxStream<'static, io::Result<C>>)
    where
        C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let incoming = connections.map(|c| c.map(Served));
        let server = tonic::transport::Server::builder().add_service(ControlServer::new(self));
        server.serve_with_incoming(incoming).await.unwrap();
    }

    async fn ask(&self, channel: Channel, request: &SolveRequest) -> Result<Seen, Status> {
        let sorted = |map: &HashMap<String, String>| map.clone().into_iter().collect();
        let cache = request.cache.clone().unwrap_or_default();
        let mut seen = Seen {
            exporter: request.exporter_deprecated.clone(),
            exporter_attributes: sorted(&request.exporter_attrs_deprecated),
            attributes: sorted(&request.frontend_attrs),
            cache_imports: cache
                .imports
                .iter()
                .map(|c| format!("{}:{:?}", c.r#type, c.attrs))
                .collect(),
            entitlements: request.entitlements.clone(),
            ..Seen::default()
        };
        seen.dockerfile = dockerfile(&channel, &request.frontend_attrs["dockerfilekey"]).await?;
        let path =
            request.frontend_attrs["context"].strip_prefix("http://buildkit-session").unwrap();
        let mut pull = Request::new(futures::stream::pending::<UploadBytes>());
        pull.metadata_mut().insert("urlpath", path.parse().unwrap());
        let mut pulled = UploadClient::new(channel.clone()).pull(pull).await?.into_inner();
        while let Some(message) = pulled.message().await? {
            seen.context.extend(message.data);
        }
        if let Some(at) = seen.dockerfile.find("type=secret,id=") {
            let id = seen.dockerfile[at + 15..].split([',', ' ', '\n']).next().unwrap().to_owned();
            let wanted = GetSecretRequest { id, ..GetSecretRequest::default() };
            let secret = SecretsClient::new(channel.clone()).get_secret(wanted).await?;
            seen.secret = Some(secret.into_inner().data);
        }
        let host = "registry.example".to_owned();
        let mut auth = AuthClient::new(channel.clone());
        seen.user = auth.credentials(CredentialsRequest { host }).await?.into_inner().username;
        if matches!(seen.exporter.as_str(), "oci" | "docker") {
            let chunks: Vec<_> =
                self.archive.chunks(1000).map(|c| FileBytes { data: c.to_vec() }).collect();
            let sent =
                FileSendClient::new(channel).diff_copy(futures::stream::iter(chunks)).await?;
            let mut answers = sent.into_inner();
            while answers.message().await?.is_some() {}
        }
        Ok(seen)
    }
}

/// What a real daemon does to read a Dockerfile.
async fn dockerfile(channel: &Channel, directory: &str) -> Result<String, Status> {
    let (send, receive) = tokio::sync::mpsc::channel(4);
    let outgoing = futures::stream::unfold(receive, |mut receive| async move {
        receive.recv().await.map(|packet: Packet| (packet, receive))
    });
    let mut request = Request::new(outgoing);
    request.metadata_mut().insert("dir-name", directory.parse().unwrap());
    let mut answers = FileSyncClient::new(channel.clone()).diff_copy(request).await?.into_inner();
    let packet = |kind: PacketType| Packet { r#type: kind.into(), ..Packet::default() };
    let mut content = vec![];
    while let Some(answer) = answers.message().await? {
        match answer.r#type() {
            PacketType::PacketStat => match answer.stat {
                Some(stat) => assert_eq!(stat.path, "Dockerfile"),
                None => send.send(packet(PacketType::PacketReq)).await.unwrap(),
            },
            PacketType::PacketData if answer.data.is_empty() => {
                send.send(packet(PacketType::PacketFin)).await.unwrap();
            }
            PacketType::PacketData => content.extend(answer.data),
            _ => break,
        }
    }
    Ok(String::from_utf8(content).unwrap())
}

#[tonic::async_trait]
impl Control for Fake {
    type PruneStream = BoxStream<'static, Result<UsageRecord, Status>>;
    type StatusStream = BoxStream<'static, Result<StatusResponse, Status>>;
    type SessionStream = BoxStream<'static, Result<BytesMessage, Status>>;
    type ListenBuildHistoryStream = BoxStream<'static, Result<BuildHistoryEvent, Status>>;

    async fn solve(
        &self,
        request: Request<SolveRequest>,
    ) -> Result<Response<SolveResponse>, Status> {
        let request = request.into_inner();
        let channel = self.sessions.lock().unwrap().get(&request.session).cloned();
        let channel = channel.ok_or_else(|| Status::not_found("no such session"))?;
        let seen = self.ask(channel, &request).await?;
        self.seen.lock().unwrap().push(seen);
        if let Some(message) = &self.failure {
            return Err(Status::unknown(message.clone()));
        }
        let digest = ("containerimage.digest".to_owned(), self.digest.clone());
        Ok(Response::new(SolveResponse { exporter_response: HashMap::from([digest]) }))
    }

    async fn status(
        &self,
        _: Request<StatusRequest>,
    ) -> Result<Response<Self::StatusStream>, Status> {
        let vertex = Vertex {
            digest: "sha256:1".into(),
            name: "[1/1] RUN made up".into(),
            started: Some(Timestamp::default()),
            completed: Some(Timestamp::default()),
            ..Vertex::default()
        };
        let status = StatusResponse { vertexes: vec![vertex], ..StatusResponse::default() };
        Ok(Response::new(futures::stream::iter([Ok(status)]).boxed()))
    }

    async fn session(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let id = request.metadata().get("x-docker-expose-session-uuid").unwrap();
        let id = id.to_str().unwrap().to_owned();
        let (ours, carried) = tokio::io::duplex(64 * 1024);
        let (read, mut write) = tokio::io::split(carried);
        let mut incoming = request.into_inner();
        tokio::spawn(async move {
            while let Ok(Some(message)) = incoming.message().await {
                if write.write_all(&message.data).await.is_err() {
                    break;
                }
            }
        });
        let mut ours = Some(ours);
        let connector = Once(Mutex::new(Box::new(move || ours.take().unwrap())));
        let channel =
            Endpoint::from_static("http://session").connect_with_connector_lazy(connector);
        self.sessions.lock().unwrap().insert(id, channel);
        let outgoing = futures::stream::unfold(read, |mut read| async move {
            let mut data = vec![0; 16 * 1024];
            let count = read.read(&mut data).await.ok().filter(|count| *count > 0)?;
            data.truncate(count);
            Some((Ok(BytesMessage { data }), read))
        });
        Ok(Response::new(outgoing.boxed()))
    }

    async fn list_workers(
        &self,
        _: Request<ListWorkersRequest>,
    ) -> Result<Response<ListWorkersResponse>, Status> {
        let version = types::BuildkitVersion { version: "v0.12.5".into(), ..Default::default() };
        let record = types::WorkerRecord { buildkit_version: Some(version), ..Default::default() };
        Ok(Response::new(ListWorkersResponse { record: vec![record] }))
    }

    async fn disk_usage(
        &self,
        _: Request<DiskUsageRequest>,
    ) -> Result<Response<DiskUsageResponse>, Status> {
        Err(Status::unimplemented("disk_usage"))
    }

    async fn prune(&self, _: Request<PruneRequest>) -> Result<Response<Self::PruneStream>, Status> {
        Err(Status::unimplemented("prune"))
    }

    async fn info(&self, _: Request<InfoRequest>) -> Result<Response<InfoResponse>, Status> {
        Err(Status::unimplemented("info"))
    }

    async fn listen_build_history(
        &self,
        _: Request<BuildHistoryRequest>,
    ) -> Result<Response<Self::ListenBuildHistoryStream>, Status> {
        Err(Status::unimplemented("listen_build_history"))
    }

    async fn update_build_history(
        &self,
        _: Request<UpdateBuildHistoryRequest>,
    ) -> Result<Response<UpdateBuildHistoryResponse>, Status> {
        Err(Status::unimplemented("update_build_history"))
    }
}

/// Hands out the one connection that a session is.
struct Once(Mutex<Box<dyn FnMut() -> DuplexStream + Send>>);

impl tower_service::Service<Uri> for Once {
    type Response = TokioIo<DuplexStream>;
    type Error = io::Error;
    type Future = std::future::Ready<io::Result<TokioIo<DuplexStream>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        std::future::ready(Ok(TokioIo::new((self.0.lock().unwrap())())))
    }
}

/// A connection that says nothing of itself.
struct Served<C>(C);

impl<C> Connected for Served<C> {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl<C: AsyncRead + Unpin> AsyncRead for Served<C> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Served<C> {
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
