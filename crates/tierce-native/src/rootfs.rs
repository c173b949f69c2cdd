//! Layers as directories, for programs to run on.

use crate::context::Context;
use crate::error::NativeError;
use crate::layer::Layer;
use std::path::PathBuf;
use tierce_engine::StepHandle;
use tierce_oci::BlobLocation;
use tierce_store::LockMode;

impl Context {
    /// Unpacks the layers that are not unpacked yet; gives their directories, base first.
    pub async fn materialise(
        &self,
        layers: &[Layer],
        step: &StepHandle,
    ) -> Result<Vec<PathBuf>, NativeError> {
        let each = layers.iter().map(|layer| self.materialise_one(layer, step));
        futures::future::try_join_all(each).await
    }

    async fn materialise_one(
        &self,
        layer: &Layer,
        step: &StepHandle,
    ) -> Result<PathBuf, NativeError> {
        let chosen = self.sandbox()?;
        let diff_id = layer.record.diff_id;
        let target = self.store.rootfs_dir(&diff_id, &chosen.variant);
        if target.exists() {
            return Ok(target);
        }
        let blob = self.blob_file(layer, step).await?;
        let _lock = self
            .lock(format!("rootfs-{}-{}", chosen.variant, diff_id.0.hex()), LockMode::Exclusive)
            .await?;
        if target.exists() {
            return Ok(target);
        }
        let _turn = self.unpacks.acquire().await.expect("the semaphore is never closed");
        let scratch = self.scratch("unpack")?;
        let (sandbox, variant) = (chosen.sandbox.clone(), chosen.variant.clone());
        let digest = layer.record.descriptor.digest;
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || {
            let directory = scratch.path.join("layer");
            let unpacked = sandbox.unpack(&blob, &directory).map_err(NativeError::from);
            let checked = unpacked.and_then(|unpacked| match unpacked.diff_id == diff_id {
                true => Ok(()),
                false => Err(NativeError::DiffId { expected: diff_id, actual: unpacked.diff_id }),
            });
            if let Err(error) = checked {
                // A blob that a power cut tore is removed here, and made again by the next build.
                return match store.verify(&digest)? {
                    Some(_) => Err(error),
                    None => Err(NativeError::DamagedBlob(digest)),
                };
            }
            store.publish_rootfs(&directory, &diff_id, &variant)?;
            Ok(store.rootfs_dir(&diff_id, &variant))
        })
        .await?
    }

    /// The layer's blob as a file of the store, downloaded if it is not there.
    pub async fn blob_file(
        &self,
        layer: &Layer,
        step: &StepHandle,
    ) -> Result<PathBuf, NativeError> {
        match &layer.location {
            BlobLocation::File(path) => Ok(path.clone()),
            BlobLocation::Registry(reference) => {
                let reporter = step.reporter();
                let descriptor = &layer.record.descriptor;
                let total = Some(descriptor.size);
                self.fetch_blob(reference, descriptor, &|bytes| reporter.progress(bytes, total))
                    .await
            }
            BlobLocation::Memory(bytes) => {
                let digest = self.store.put(bytes)?;
                Ok(self.store.blob_path(&digest))
            }
        }
    }
}
