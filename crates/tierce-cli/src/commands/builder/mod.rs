//! `tierce builder`

mod error;
mod flavor;
mod keys;
mod place;
mod show;
mod test;

use super::failure::Failure;
use super::{Done, print_json, print_line, project};
use crate::args::{BuilderCommand, Format, Progress, RegisterArgs, UpdateArgs};
use error::BuilderCommandError;
use place::Place;
use tierce::plugin::{Builders, Config, ConfigSchema, Registered, valid_name};
use tierce::{Settings, Tierce};

pub fn run(command: BuilderCommand) -> Done {
    match command {
        BuilderCommand::List { format } => list(format),
        BuilderCommand::Describe { name, format } => describe(name, format),
        BuilderCommand::Register(args) => register(args),
        BuilderCommand::Update(args) => update(args),
        BuilderCommand::Delete { name } => delete(&name),
        BuilderCommand::SetDefault { name, project } => set_default(&name, project),
        BuilderCommand::Test(args) => test::run(args),
        BuilderCommand::Flavor(command) => flavor::run(command),
    }
}

/// Runs `work` with the builders that the settings give.
fn with_tierce<T>(
    work: impl AsyncFnOnce(Tierce, Settings) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let settings = Settings::load()?;
    let own = settings.clone();
    project::drive(settings, Progress::Auto, async move |tierce, _| work(tierce, own).await)
}

fn list(format: Format) -> Done {
    with_tierce(async move |tierce, settings| {
        let builders = tierce.builders().list();
        match format {
            Format::Json => print_json(&show::without_values(&builders)),
            Format::Text => {
                let default = settings.builder.as_deref().unwrap_or("native");
                print_line(&show::list(&builders, tierce.builders(), default))
            }
        }
    })
}

fn describe(name: String, format: Format) -> Done {
    with_tierce(async move |tierce, _| {
        let builders = tierce.builders();
        let builder = builders.open(&name).await?;
        let entry = builders.list().remove(&name);
        let flavor = entry.as_ref().map_or(name.as_str(), |entry| entry.flavor.as_str());
        let described = builders.flavors().find(flavor)?.describe().await.map_err(Failure)?;
        let description = show::Description::new(entry, &described, builder.capabilities());
        match format {
            Format::Json => print_json(&description),
            Format::Text => print_line(&description.text()),
        }
    })
}

fn register(args: RegisterArgs) -> Done {
    let mut given = keys::parse(&args.config)?;
    // Options that stand behind the first key are the command's, all the same.
    let flavor = args.flavor.or_else(|| given.take("flavor"));
    if args.project || given.take("project").is_some() {
        return Err(BuilderCommandError::ProjectBuilder.into());
    }
    let flavor = flavor.ok_or(BuilderCommandError::NoFlavor)?;
    if !valid_name(&args.name) {
        return Err(BuilderCommandError::Name(args.name).into());
    }
    with_tierce(async move |tierce, settings| {
        let builders = tierce.builders();
        if builders.flavors().is_built_in(&args.name) {
            return Err(BuilderCommandError::BuiltIn(args.name).into());
        }
        let mut document = Place::new(&settings, false)?.open()?;
        if document.has_builder(&args.name) {
            let file = document.path().to_owned();
            return Err(BuilderCommandError::Registered { name: args.name, file }.into());
        }
        let schema = schema(builders, &flavor).await?;
        let builder = Registered {
            config: given.read(&schema).map_err(|e| e.of(&args.name, &flavor))?,
            name: args.name,
            flavor,
            limits: None,
        };
        builders.check(&builder).await?;
        document.set_builder(&builder.name, &builder.flavor, &builder.config)?;
        document.save()?;
        print_line(&format!("registered {} in {}", builder.name, document.path().display()))
    })
}

fn update(args: UpdateArgs) -> Done {
    let given = keys::parse(&args.config)?;
    with_tierce(async move |tierce, settings| {
        let builders = tierce.builders();
        let (old, mut document) = registered(builders, &settings, &args.name)?;
        let schema = schema(builders, &old.flavor).await?;
        let mut config: Config = old.config.clone();
        for key in &args.unset {
            if config.remove(key).is_none() {
                let (name, key) = (args.name.clone(), key.clone());
                return Err(BuilderCommandError::NotSet { name, key }.into());
            }
        }
        config.extend(given.read(&schema).map_err(|e| e.of(&args.name, &old.flavor))?);
        let builder = Registered { config, ..old };
        builders.check(&builder).await?;
        document.set_builder(&builder.name, &builder.flavor, &builder.config)?;
        document.save()?;
        print_line(&format!("updated {} in {}", builder.name, document.path().display()))
    })
}

fn delete(name: &str) -> Done {
    with_tierce(async move |tierce, settings| {
        let (_, mut document) = registered(tierce.builders(), &settings, name)?;
        document.remove_builder(name)?;
        document.save()?;
        print_line(&format!("removed {name} from {}", document.path().display()))
    })
}

fn set_default(name: &str, project: bool) -> Done {
    with_tierce(async move |tierce, settings| {
        // One that can't be loaded is no default.
        tierce.builders().open(name).await?;
        let mut document = Place::new(&settings, project)?.open()?;
        document.set_default(name)?;
        document.save()?;
        print_line(&format!("{name} is the default in {}", document.path().display()))
    })
}

/// A registered builder, and the file that it stands in.
fn registered(
    builders: &Builders,
    settings: &Settings,
    name: &str,
) -> Result<(Registered, tierce::plugin::ConfigDocument), Failure> {
    let not = || BuilderCommandError::NotRegistered {
        name: name.to_owned(),
        registered: builders.registered_names().map(str::to_owned).collect(),
    };
    let (builder, _) = builders.registered(name).ok_or_else(not)?;
    let document = Place::of_builder(settings, name)?.ok_or_else(not)?;
    Ok((builder.clone(), document))
}

/// What builders of a flavor can be configured with.
async fn schema(builders: &Builders, flavor: &str) -> Result<ConfigSchema, Failure> {
    let flavor = builders.flavors().find(flavor)?;
    Ok(flavor.describe().await.map_err(Failure)?.schema)
}
