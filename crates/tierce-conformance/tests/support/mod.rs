//! What the suite's own tests share: a registry, a base with a shell in it, and a main function.
//!
//! These tests have no harness, because the native builder's sandbox re-executes the program.
#![allow(dead_code)]

use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use tempfile::TempDir;
use tierce::config::Environment;
use tierce::{BuildOptions, Cancel, Events, Image, Reference, Settings, SourceOptions, Tierce};
use tierce_conformance::{Outcome, SuiteOptions, SuiteReport};
use tierce_engine::ImageBuilder;
use tierce_plugin::{Config, ExternalBuilder, ExternalSettings};
use tierce_testing::{Registry, busybox_rootfs, program, skip};

/// A registry with a base that has a shell, and a tierce to build with.
pub struct Stage {
    pub registry: Registry,
    pub base: Reference,
    pub tierce: Tierce,
    pub directory: TempDir,
}

impl Stage {
    /// `None`, with a printed reason, where this machine lacks something.
    async fn set() -> Option<Self> {
        let registry = Registry::start()?;
        let directory = tempfile::tempdir().expect("a scratch directory");
        let path = |name: &str| directory.path().join(name);
        std::fs::create_dir(path("scratch")).expect("a directory");
        let environment = Environment::from_variables([
            ("HOME", path("home")),
            ("TIERCE_STORE", path("store")),
            ("PATH", std::env::var_os("PATH").unwrap_or_default().into()),
        ]);
        let settings = Settings::from_environment(&environment).expect("settings");
        let tierce = Tierce::open(settings, &Cancel::new()).expect("a store");
        if !busybox_rootfs(&path("rootfs")).expect("a root file system") {
            return None;
        }
        // What the container tools want to mount on.
        for mount in ["dev", "proc", "sys", "run"] {
            std::fs::create_dir_all(path("rootfs").join(mount)).expect("a directory");
        }
        let image = Image::from_scratch()
            .with_name("busybox")
            .with_registry(registry.host())
            .with_source_folder(path("rootfs"), "/", SourceOptions::new())
            .with_env_vars([("PATH", "/usr/local/bin:/usr/bin:/bin")])
            .with_cmd(["/bin/sh"]);
        let options = BuildOptions { push: true, ..BuildOptions::default() };
        let built = tierce.build(&image, &options, &Events::none()).await.expect("a base");
        let base = built.uri.parse().expect("a reference");
        Some(Stage { registry, base, tierce, directory })
    }

    pub fn options(&self) -> SuiteOptions {
        let client = self.tierce.native().context().registry.clone();
        SuiteOptions::new(self.directory.path().join("scratch"))
            .with_base(self.base.clone())
            .with_registry(self.registry.host(), client)
    }

    /// The builder called `name`.
    pub async fn builder(&self, name: &str) -> Arc<dyn ImageBuilder> {
        self.tierce.engine().builder(Some(name)).await.expect(name).builder
    }

    /// One of the examples, with storage of its own; `None` where a program that it needs is
    /// missing.
    pub async fn example(
        &self,
        path: &str,
        needs: &[&str],
        config: impl FnOnce(&str) -> Value,
    ) -> Option<Arc<dyn ImageBuilder>> {
        if let Some(missing) = needs.iter().find(|name| program(name).is_none()) {
            skip(missing, format!("{missing} is not installed"));
            return None;
        }
        let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/builders");
        let storage = self.directory.path().join("storage").display().to_string();
        let settings = ExternalSettings::new(self.directory.path().join("contexts"));
        let builder = ExternalBuilder::open("example", examples.join(path), settings)
            .await
            .expect("it describes itself");
        let Value::Object(config) = config(&storage) else { panic!("a configuration is a table") };
        let config: Config = builder.schema().check(&config).expect("a valid configuration");
        Some(Arc::new(builder.with_config(config)))
    }

    /// Runs the suite and prints what came of it.
    pub async fn suite(&self, builder: Arc<dyn ImageBuilder>) -> SuiteReport {
        let only = std::env::args().nth(1).filter(|argument| !argument.starts_with('-'));
        let options = SuiteOptions { only, ..self.options() };
        tierce_conformance::run(builder, &options, &mut |case| match &case.outcome {
            Outcome::Passed => println!("{:<18} passed {} ms", case.name, case.millis),
            Outcome::Skipped { why } => println!("{:<18} skipped: {why}", case.name),
            Outcome::Failed { what } => println!("{:<18} FAILED: {what}", case.name),
        })
        .await
        .expect("the suite runs")
    }
}

/// Runs a test on a stage, if there can be one.
pub fn main(test: impl AsyncFnOnce(&Stage)) -> ExitCode {
    if std::env::args().nth(1).is_some_and(|a| a == tierce::SANDBOX_HELPER_ARGUMENT) {
        tierce::sandbox_helper_main();
    }
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    runtime.block_on(async {
        if let Some(stage) = Stage::set().await {
            test(&stage).await;
        }
    });
    ExitCode::SUCCESS
}

/// Every case passes or is skipped, and as many pass as are known to.
pub fn check(report: &SuiteReport, at_least: usize) {
    let failed: Vec<&str> = report.failures().map(|case| case.name).collect();
    assert!(failed.is_empty(), "{} fails: {}", report.builder, failed.join(", "));
    let everything = std::env::args().nth(1).is_none_or(|argument| argument.starts_with('-'));
    let passed = report.passed();
    assert!(!everything || passed >= at_least, "{} passes {passed} only", report.builder);
}
