//! Layers that run nothing.

use crate::context::Context;
use crate::error::NativeError;
use crate::layer::LayerOutcome;
use crate::python::PythonLayers;
use std::io::{self, BufWriter};
use std::sync::Arc;
use tierce_engine::{Source, StepHandle};
use tierce_layer::{Compression, Entry, LayerPath, LayerWriter};
use tierce_store::Staged;

/// A layer on its way into the store.
pub type Writer = LayerWriter<BufWriter<Staged>>;

/// How every layer is compressed: gzip, which all runtimes read and wheels are spliced into.
pub const COMPRESSION: Compression = Compression::Gzip;

impl Context {
    /// Makes a layer with `write`, on a thread of its own when a core is free.
    pub async fn assemble<F>(&self, write: F) -> Result<LayerOutcome, NativeError>
    where
        F: FnOnce(&mut Writer) -> Result<(), NativeError> + Send + 'static,
    {
        let _turn = self.cores.clone().acquire_owned().await.expect("it is never closed");
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || {
            let staged = BufWriter::with_capacity(256 * 1024, store.stage()?);
            let mut writer = LayerWriter::new(staged, COMPRESSION);
            write(&mut writer)?;
            let (staged, info) = writer.finish().map_err(tierce_wheel::LayerError::from)?;
            let staged =
                staged.into_inner().map_err(|e| NativeError::io(store.root())(e.into_error()))?;
            staged.commit(&info.descriptor.digest)?;
            Ok(info.into())
        })
        .await?
    }

    /// The skeleton of the Python environment.
    pub async fn venv(&self, python: &Arc<PythonLayers>) -> Result<LayerOutcome, NativeError> {
        let python = python.clone();
        self.assemble(move |writer| Ok(python.venv().write_layer(writer)?)).await
    }

    /// A group of wheels.
    pub async fn wheels(
        &self,
        python: &Arc<PythonLayers>,
        group: usize,
        _step: &StepHandle,
    ) -> Result<LayerOutcome, NativeError> {
        let python = python.clone();
        self.assemble(move |writer| {
            let plans = python.group(group)?;
            let plans: Vec<&tierce_wheel::InstallPlan> = plans.iter().collect();
            // Their content was compared with RECORD when they came into the store.
            Ok(tierce_wheel::write_wheel_layer(&plans, writer)?)
        })
        .await
    }

    /// What belongs to the environment as a whole.
    pub async fn environment(
        &self,
        python: &Arc<PythonLayers>,
    ) -> Result<LayerOutcome, NativeError> {
        let python = python.clone();
        self.assemble(move |writer| Ok(python.top()?.write(writer)?)).await
    }

    /// A folder or file of the host.
    pub async fn source(
        &self,
        source: &Source,
        destination: &LayerPath,
    ) -> Result<LayerOutcome, NativeError> {
        let (source, destination) = (source.clone(), destination.clone());
        self.assemble(move |writer| {
            Ok(source.tree.write_layer(&source.root, &destination, (0, 0), writer)?)
        })
        .await
    }

    /// An empty directory.
    pub async fn directory(&self, path: &LayerPath) -> Result<LayerOutcome, NativeError> {
        let path = path.clone();
        self.assemble(move |writer| {
            // Not the directories above it: they may be the base's, with modes and owners of
            // their own, and whoever unpacks the layer makes those that are missing.
            let entry = Entry::directory(path).with_mode(0o755);
            Ok(writer.append(&entry, io::empty()).map_err(tierce_wheel::LayerError::from)?)
        })
        .await
    }
}
