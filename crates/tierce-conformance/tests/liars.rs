//! The suite notices builders that do something else than they say.

mod support;

use async_trait::async_trait;
use std::sync::Arc;
use support::Stage;
use tierce_conformance::Outcome;
use tierce_engine::{
    BuildRequest, BuilderError, Capabilities, Events, Export, ImageBuild, ImageBuilder,
    ImageChecker, RegistryLogin,
};
use tierce_oci::Digest;

/// What a liar does.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// Answers for another image.
    OtherImage,
    /// Says another digest.
    OtherDigest,
    /// Delivers nothing.
    NoExport,
    /// Knows no `--force`.
    NoForce,
    /// Says that it can build for several platforms, and builds for one.
    OnePlatform,
}

struct Liar(Arc<dyn ImageBuilder>, Lie);

#[async_trait]
impl ImageBuilder for Liar {
    fn name(&self) -> &str {
        "liar"
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn build(
        &self,
        request: &BuildRequest,
        events: &Events,
    ) -> Result<ImageBuild, BuilderError> {
        let mut request = request.clone();
        match self.1 {
            Lie::NoExport => request.exports.clear(),
            Lie::NoForce => request.refresh = false,
            Lie::OnePlatform => request.platforms.truncate(1),
            Lie::OtherImage | Lie::OtherDigest => {}
        }
        let mut build = self.0.build(&request, events).await?;
        match self.1 {
            Lie::OtherImage => build.uri = "localhost/other:1".into(),
            Lie::OtherDigest => build.digest = Some(Digest::of("other")),
            _ => {}
        }
        Ok(build)
    }

    fn checkers(
        &self,
        exports: &[Export],
        login: Option<&RegistryLogin>,
    ) -> Vec<Arc<dyn ImageChecker>> {
        self.0.checkers(exports, login)
    }
}

async fn is_caught(stage: &Stage, lie: Lie, case: &str, what: &str) {
    let liar = Liar(stage.builder("native").await, lie);
    let options = stage.options().with_only(case);
    let report = tierce_conformance::run(Arc::new(liar), &options, &mut |_| {}).await;
    let report = report.expect("the suite runs");
    let outcomes: Vec<&Outcome> = report.cases.iter().map(|case| &case.outcome).collect();
    let caught = |o: &&Outcome| matches!(o, Outcome::Failed { what: w } if w.contains(what));
    assert!(outcomes.iter().any(caught), "{lie:?}: {outcomes:?}");
}

fn main() -> std::process::ExitCode {
    support::main(async |stage| {
        is_caught(stage, Lie::OtherImage, "folder", "the uri of the answer").await;
        is_caught(stage, Lie::OtherDigest, "folder", "the digest of the answer").await;
        is_caught(stage, Lie::NoExport, "folder", "cannot be read").await;
        is_caught(stage, Lie::NoForce, "force", "did not run again").await;
        is_caught(stage, Lie::OnePlatform, "platforms", "is not for linux/").await;
    })
}
