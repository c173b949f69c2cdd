//! Sends the Dockerfile, beside its context and not in it: `COPY . .` must not find it there.

use async_trait::async_trait;
use bollard_buildkit_proto::fsutil::types::packet::PacketType;
use bollard_buildkit_proto::fsutil::types::{Packet, Stat};
use bollard_buildkit_proto::moby::filesync::packet::file_sync_server::FileSync;
use futures::stream::{BoxStream, StreamExt};
use std::sync::Arc;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};

/// The name of the directory that the daemon asks for.
pub(crate) const DIRECTORY: &str = "dockerfile";

/// The Dockerfile's name in it.
pub(crate) const FILE: &str = "Dockerfile";

/// How much is sent in one message.
const CHUNK: usize = 32 * 1024;

/// A directory with nothing but a Dockerfile, served by fsutil's protocol (`send.go` of
/// `tonistiigi/fsutil`): what is there, an empty end of that, content on request, and an end.
pub(crate) struct DockerfileService {
    pub(crate) content: Arc<[u8]>,
}

#[async_trait]
impl FileSync for DockerfileService {
    type DiffCopyStream = BoxStream<'static, Result<Packet, Status>>;
    type TarStreamStream = BoxStream<'static, Result<Packet, Status>>;

    async fn diff_copy(
        &self,
        request: Request<Streaming<Packet>>,
    ) -> Result<Response<Self::DiffCopyStream>, Status> {
        let asked = request.metadata().get("dir-name").and_then(|name| name.to_str().ok());
        if asked != Some(DIRECTORY) {
            return Err(Status::not_found("no such directory"));
        }
        let (sender, mut receiver) = mpsc::channel(4);
        let (content, messages) = (self.content.clone(), request.into_inner());
        tokio::spawn(async move {
            if let Err(status) = send(&content, messages, &sender).await {
                let _ = sender.send(Err(status)).await;
            }
        });
        Ok(Response::new(futures::stream::poll_fn(move |cx| receiver.poll_recv(cx)).boxed()))
    }

    async fn tar_stream(
        &self,
        _: Request<Streaming<Packet>>,
    ) -> Result<Response<Self::TarStreamStream>, Status> {
        Err(Status::unimplemented("tar_stream"))
    }
}

async fn send(
    content: &[u8],
    mut messages: Streaming<Packet>,
    out: &mpsc::Sender<Result<Packet, Status>>,
) -> Result<(), Status> {
    let gone = |_| Status::cancelled("the daemon went away");
    let stat =
        Stat { path: FILE.to_owned(), mode: 0o644, size: content.len() as i64, ..Stat::default() };
    for stat in [Some(stat), None] {
        let packet = Packet { stat, ..packet(PacketType::PacketStat, 0) };
        out.send(Ok(packet)).await.map_err(gone)?;
    }
    while let Some(message) = messages.message().await? {
        match message.r#type() {
            PacketType::PacketReq if message.id == 0 => {
                // An empty chunk ends the file.
                for chunk in content.chunks(CHUNK).chain([&[][..]]) {
                    let data = Packet { data: chunk.to_vec(), ..packet(PacketType::PacketData, 0) };
                    out.send(Ok(data)).await.map_err(gone)?;
                }
            }
            PacketType::PacketFin => {
                return out.send(Ok(packet(PacketType::PacketFin, 0))).await.map_err(gone);
            }
            PacketType::PacketErr => {
                return Err(Status::aborted(String::from_utf8_lossy(&message.data).into_owned()));
            }
            _ => return Err(Status::invalid_argument("unexpected packet")),
        }
    }
    Ok(())
}

fn packet(kind: PacketType, id: u32) -> Packet {
    Packet { r#type: kind.into(), id, ..Packet::default() }
}
