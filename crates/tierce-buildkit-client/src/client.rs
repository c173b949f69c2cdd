//! A connection to a daemon.

use crate::connect::{Connection, Dial};
use crate::error::ConnectError;
use bollard_buildkit_proto::moby::buildkit::v1::ListWorkersRequest;
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use hyper_util::rt::TokioIo;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tierce_oci::Platform;
use tonic::Status;
use tonic::transport::{Channel, Endpoint, Uri};

/// The largest message of either side: what BuildKit itself allows.
const MESSAGE: usize = 16 << 20;

/// A connection to a daemon's control API.
#[derive(Clone)]
pub struct Client {
    channel: Channel,
    address: String,
}

/// What can build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// The platforms it can run programs of, its own first.
    pub platforms: Vec<Platform>,
    /// The version of the BuildKit in it (`v0.12.5`), where it says.
    pub version: Option<String>,
}

impl Client {
    /// Connects to the daemon that `dial` reaches.
    pub async fn connect(dial: Arc<dyn Dial>) -> Result<Self, ConnectError> {
        let address = dial.address();
        // The first connection is made here, so that its error is told as what it is: tonic's
        // says no more than "transport error".
        let first = dial.dial().await;
        let first = first.map_err(|source| ConnectError { address: address.clone(), source })?;
        let connector = Connector { dial, first: Some(first) };
        // The connector says where to; the name here is only what requests are addressed to.
        let endpoint = Endpoint::from_static("http://buildkit");
        let channel = endpoint.connect_with_connector(connector).await.map_err(|error| {
            ConnectError { address: address.clone(), source: io::Error::other(error) }
        })?;
        Ok(Client { channel, address })
    }

    /// The daemon's address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What can build. Daemons before BuildKit 0.11 do not say their version.
    pub async fn workers(&self) -> Result<Vec<Worker>, ConnectError> {
        let answer = self.control().list_workers(ListWorkersRequest::default()).await;
        let records = answer.map_err(|status| self.broken(&status))?.into_inner().record;
        let worker =
            |record: bollard_buildkit_proto::moby::buildkit::v1::types::WorkerRecord| Worker {
                platforms: record.platforms.into_iter().map(platform).collect(),
                version: record.buildkit_version.map(|v| v.version).filter(|v| !v.is_empty()),
            };
        Ok(records.into_iter().map(worker).collect())
    }

    fn broken(&self, status: &Status) -> ConnectError {
        let source = io::Error::other(status.message().to_owned());
        ConnectError { address: self.address.clone(), source }
    }

    pub(crate) fn control(&self) -> ControlClient<Channel> {
        ControlClient::new(self.channel.clone())
            .max_decoding_message_size(MESSAGE)
            .max_encoding_message_size(MESSAGE)
    }
}

fn platform(message: bollard_buildkit_proto::pb::Platform) -> Platform {
    Platform {
        os: message.os,
        architecture: message.architecture,
        variant: Some(message.variant).filter(|v| !v.is_empty()),
    }
}

/// Gives tonic the connections that it asks for, the one that is open first.
struct Connector {
    dial: Arc<dyn Dial>,
    first: Option<Connection>,
}

type Dialled = Pin<Box<dyn Future<Output = io::Result<TokioIo<Connection>>> + Send>>;

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Connection>;
    type Error = io::Error;
    type Future = Dialled;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Dialled {
        let (first, dial) = (self.first.take(), self.dial.clone());
        Box::pin(async move {
            let connection = match first {
                Some(connection) => connection,
                None => dial.dial().await?,
            };
            Ok(TokioIo::new(connection))
        })
    }
}
