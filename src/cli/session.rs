//! What most commands begin with: a checked manifest, its plan, the store, the fetcher.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::allow_remote as allow;
use super::complete;
use super::exit::{Failure, say};
use crate::artifact::ArtifactKind;
use crate::event::{CancelToken, Observer, Silent};
use crate::fetch::{FetchOptions, Fetcher};
use crate::key::StageKey;
use crate::manifest::{self, Changes, Manifest, ManifestErrors, StoreSection, split_reference};
use crate::model::device::{self, DeviceChoice};
use crate::model::train::Checkpoints;
use crate::plan::{
    Estimates, NodeId, NodeState, Plan, PlanError, Resolved, estimate, estimate_work, resolve,
};
use crate::remote::RemoteUrl;
use crate::report::{Missing, Source, used_text};
use crate::run::{Forecast, JobSettings};
use crate::stage::{self, Environment, Inputs, Outputs, RunOptions};
use crate::store::{RemoteChoice, Store};
use crate::teacher::http::Permissions;

/// Where the store is.
#[derive(Args, Clone)]
pub(crate) struct StoreArgs {
    /// The store's folder
    #[arg(long, env = "SERT_CACHE", default_value = "cache", value_name = "DIR")]
    pub(crate) cache: PathBuf,
}

impl StoreArgs {
    pub(crate) fn open(&self) -> Result<Store, Failure> {
        let store = self.open_quietly()?;
        for warning in store.take_warnings() {
            say(&format!("warning: {warning}"));
        }
        Ok(store)
    }

    /// The same, with the store's warnings left for the caller to tell.
    fn open_quietly(&self) -> Result<Store, Failure> {
        Ok(Store::open_telling(&self.cache, &mut |holder| {
            say(&format!(
                "waiting for {holder}, which looks after the store"
            ));
        })?)
    }
}

/// What lies below the store.
#[derive(Args, Clone)]
pub(crate) struct RemoteArgs {
    /// Look there for what the store lacks, and push there what is made: `s3://BUCKET/PREFIX`, `file:///FOLDER`, or `none`; by
    /// default what `SERT_REMOTE` says, or `remote` in the manifest's `[store]`
    #[arg(long, value_name = "URL")]
    pub(crate) remote: Option<String>,
    /// Only look there, and push nothing
    #[arg(long)]
    pub(crate) remote_readonly: bool,
}

impl RemoteArgs {
    /// The remote that is meant: what the command line or the environment say, or what `manifest` says if the user has
    /// allowed that. Where not, a `strict` command ends, and another one goes without.
    pub(crate) fn choice(
        &self,
        manifest: Option<&Manifest>,
        strict: bool,
    ) -> Result<Option<RemoteChoice>, Failure> {
        let section = manifest.map_or_else(StoreSection::default, |it| it.store.clone());
        let readonly = self.remote_readonly || section.readonly;
        let from_environment = || {
            std::env::var("SERT_REMOTE")
                .ok()
                .filter(|url| !url.is_empty())
        };
        let (said_by, text) = match &self.remote {
            Some(url) => ("--remote", Some(url.clone())),
            None => ("SERT_REMOTE", from_environment()),
        };
        if let Some(text) = text {
            if text == "none" {
                return Ok(None);
            }
            let wrong = |error| Failure::usage(format!("{said_by}: {error}"));
            let url = text.parse().map_err(wrong)?;
            return Ok(Some(RemoteChoice { url, readonly }));
        }
        let (Some(manifest), Some(url)) = (manifest, section.remote) else {
            return Ok(None);
        };
        match allow::remote(&manifest.path, &url)? {
            None => Ok(Some(RemoteChoice { url, readonly })),
            Some(refusal) if strict => Err(Failure::usage(refusal)),
            Some(refusal) => {
                say(&format!("warning: {refusal}"));
                Ok(None)
            }
        }
    }
}

/// Puts the remote below the store, unless it is on the network and that may not be used.
fn attach(
    store: &mut Store,
    choice: Option<RemoteChoice>,
    offline: bool,
    cancel: &CancelToken,
) -> Result<(), Failure> {
    let Some(choice) = choice else {
        return Ok(());
    };
    if offline && matches!(choice.url, RemoteUrl::S3 { .. }) {
        say(&format!("{} is not asked (--offline)", choice.url));
        return Ok(());
    }
    store
        .attach(&choice, cancel)
        .map_err(|error| Failure::usage(format!("{}: {error}", choice.url)))
}

/// A manifest and what is changed in it from the command line.
#[derive(Args, Clone)]
pub(crate) struct ManifestArgs {
    /// The manifest, a TOML file
    #[arg(add = complete::manifests())]
    pub(crate) manifest: PathBuf,
    #[command(flatten)]
    pub(crate) overrides: OverrideArgs,
}

/// What is changed in a manifest from the command line, and where files come from.
#[derive(Args, Clone)]
pub(crate) struct OverrideArgs {
    /// Set a field, for example `stages.kept.length.min_tokens=30`; may be given again
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Change the fields that the manifest's `[profiles.NAME]` changes
    #[arg(long, value_name = "NAME", add = complete::profiles())]
    pub(crate) profile: Option<String>,
    /// Take the first N questions of each split
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Find outside files at DIR/<host>/<path> before asking the network
    #[arg(long, env = "SERT_MIRROR", value_name = "DIR")]
    pub(crate) mirror: Option<PathBuf>,
    /// Never ask the network
    #[arg(long)]
    pub(crate) offline: bool,
    /// Where models run: auto, cpu, flex, wgpu[:N], cuda:N, libtorch-cpu, libtorch-cuda:N; see `sert-run doctor`
    #[arg(long, env = "SERT_DEVICE", value_name = "DEVICE")]
    pub(crate) device: Option<DeviceChoice>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
}

impl OverrideArgs {
    /// The store with its remote, where there is no manifest to say which.
    pub(crate) fn open_with_remote(&self, cancel: &CancelToken) -> Result<Store, Failure> {
        let choice = self.remote.choice(None, true)?;
        let mut store = self.store.open()?;
        attach(&mut store, choice, self.offline, cancel)?;
        Ok(store)
    }
}

/// What a command does with a manifest, and so what it may fetch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purpose {
    /// Run it: anything.
    Run,
    /// Plan it: anything but weights.
    Plan,
    /// Look at what is there: nothing.
    Look,
}

/// A manifest, ready to be planned or run.
pub(crate) struct Session {
    pub(crate) manifest: Manifest,
    pub(crate) plan: Plan,
    pub(crate) store: Store,
    pub(crate) fetcher: Fetcher,
    pub(crate) options: RunOptions,
    /// Why this device, where the choice was left to us.
    pub(crate) why_device: Option<String>,
    pub(crate) cancel: CancelToken,
    purpose: Purpose,
    folder: PathBuf,
    /// As the command line says where files come from: `--mirror`, `--offline`.
    outside: (Option<PathBuf>, bool),
}

impl Session {
    /// Loads and checks the manifest, and opens the store.
    pub(crate) fn open(args: &ManifestArgs, purpose: Purpose) -> Result<Self, Failure> {
        Self::open_with(&args.manifest, &args.overrides, purpose)
    }

    pub(crate) fn open_with(
        path: &Path,
        args: &OverrideArgs,
        purpose: Purpose,
    ) -> Result<Self, Failure> {
        let changes = Changes {
            profile: args.profile.as_deref(),
            overrides: &args.overrides,
            limit: args.limit,
        };
        let manifest = manifest::load(path, &changes, stage::KINDS)?;
        let plan = Plan::new(&manifest)?;
        let choice = args
            .remote
            .choice(Some(&manifest), purpose == Purpose::Run)?;
        let mut store = match purpose {
            Purpose::Run => args.store.open_quietly()?, // a run tells them in its own way
            Purpose::Plan | Purpose::Look => args.store.open()?,
        };
        let cancel = CancelToken::default();
        attach(&mut store, choice, args.offline, &cancel)?;
        let from_environment = FetchOptions::from_env(&args.store.cache);
        let fetcher = Fetcher::new(FetchOptions {
            mirror: args.mirror.clone(),
            offline: args.offline || purpose == Purpose::Look || from_environment.offline,
            cancel: cancel.clone(),
            ..from_environment
        });
        let (device, why_device) = match args.device.unwrap_or(manifest.run.device) {
            DeviceChoice::Named(device) => (device, None),
            DeviceChoice::Auto => {
                let (device, why) = device::auto();
                (device, Some(why))
            }
        };
        let options = RunOptions {
            threads: manifest.run.threads,
            batch_size: manifest.run.batch_size,
            device,
            beside: Vec::new(),
            device_description: String::new(),
            graphs: true,
            gradient_checkpointing: manifest.run.gradient_checkpointing,
            checkpoints: Checkpoints::default(),
            permissions: Permissions::default(),
            allow_programs: false,
        };
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Ok(Self {
            manifest,
            plan,
            store,
            fetcher,
            options,
            why_device,
            cancel,
            purpose,
            folder,
            outside: (args.mirror.clone(), args.offline),
        })
    }

    /// What is the same in all jobs of this run, whose machines share `remote`.
    pub(crate) fn job_settings(&self, remote: RemoteUrl) -> std::io::Result<JobSettings> {
        let absolute = |path: &Path| {
            let path = if path.as_os_str().is_empty() {
                Path::new(".")
            } else {
                path
            };
            std::path::absolute(path)
        };
        let (mirror, offline) = &self.outside;
        Ok(JobSettings {
            device: self.options.device,
            remote,
            folder: absolute(&self.folder)?,
            mirror: mirror.as_deref().map(absolute).transpose()?,
            offline: *offline,
            downloads: absolute(self.store.root())?,
            threads: self.options.threads,
            batch_size: self.options.batch_size,
            gradient_checkpointing: self.options.gradient_checkpointing,
            enforce_eager: !self.options.graphs,
        })
    }

    pub(crate) fn environment<'a>(
        &'a self,
        options: &'a RunOptions,
        observer: &'a dyn Observer,
    ) -> Environment<'a> {
        Environment {
            options,
            folder: &self.folder,
            store: &self.store,
            fetcher: &self.fetcher,
            observer,
            cancel: &self.cancel,
            planning: self.purpose != Purpose::Run,
            shard: None,
        }
    }
}

impl Session {
    /// Calls `work` with what is in the store of all that the manifest asks for.
    pub(crate) fn with_source<T>(
        &self,
        work: impl FnOnce(&Source<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let resolved = resolve(
            &self.plan,
            self.plan.order(),
            &self.environment(&self.options, &Silent),
        )?;
        let states: BTreeMap<NodeId, NodeState> = resolved
            .into_iter()
            .map(|each| (each.node, each.state))
            .collect();
        work(&Source {
            manifest: &self.manifest,
            plan: &self.plan,
            store: &self.store,
            outputs: &|node| match states.get(&node) {
                Some(NodeState::Hit(outputs)) => Some(outputs.clone()),
                _ => None,
            },
            missing: &|node| self.why_missing(&states, node),
        })
    }

    /// Why a stage's outputs are not in the store: the decision that made it not needed; or the first stage on the way to it
    /// that cannot run, or else the first that has to.
    fn why_missing(&self, states: &BTreeMap<NodeId, NodeState>, node: NodeId) -> Missing {
        if let Some(NodeState::NotNeeded(decision)) = states.get(&node) {
            let outputs = match states.get(decision) {
                Some(NodeState::Hit(outputs)) => Some(outputs),
                _ => None,
            };
            return Missing::not_needed(&self.plan, &self.store, *decision, outputs);
        }
        let missing = |node: NodeId| states.get(&node).is_none_or(NodeState::is_open);
        let cannot = |node: &NodeId| matches!(states.get(node), Some(NodeState::Unfetched(_)));
        let causes = self.plan.causes(node, missing, |_| false);
        let name = |node: NodeId| self.plan.node(node).name();
        Missing::NotMade(match causes.iter().copied().find(cannot) {
            Some(cause) => format!("`{}` needs an outside file that is not here", name(cause)),
            None => format!(
                "`{}` has not run",
                name(causes.first().copied().unwrap_or(node))
            ),
        })
    }
}

/// An artifact that is in the store.
pub(crate) struct StoredArtifact {
    pub(crate) kind: ArtifactKind,
    pub(crate) bytes: Vec<u8>,
    /// What the stage that made it used.
    pub(crate) used: Option<String>,
}

impl Session {
    /// What `reference` (`STAGE` or `STAGE.OUTPUT`) names, from the store.
    pub(crate) fn artifact(&self, reference: &str) -> Result<StoredArtifact, Failure> {
        let (stage, output) = split_reference(reference);
        let id = self.plan.find(stage)?;
        let outputs = self.plan.node(id).kind.outputs();
        let wanted = match output {
            // Every kind has an output, and the first is what a bare name means in manifests too.
            None => &outputs[0],
            Some(name) => outputs
                .iter()
                .find(|each| each.name == name)
                .ok_or_else(|| {
                    let names: Vec<&str> = outputs.iter().map(|each| each.name).collect();
                    Failure::usage(format!(
                        "`{stage}` has no output `{name}`; it has {}",
                        names.join(", ")
                    ))
                })?,
        };
        let (key, outputs) = self.made(id)?;
        let digest = outputs.get(wanted.name).copied();
        let bytes = match digest {
            Some(digest) => self.store.object(&digest)?,
            None => None,
        };
        let bytes = bytes.ok_or_else(|| {
            anyhow::anyhow!(
                "`{reference}` is not in the store\nhint: run `sert-run {} --stage {stage}` first, with the same --set and --limit",
                self.manifest.path.display()
            )
        })?;
        let result = match key {
            Some(key) => self.store.result(&key)?,
            None => None,
        };
        Ok(StoredArtifact {
            kind: wanted.kind,
            bytes,
            used: result.and_then(|result| used_text(&result.provenance)),
        })
    }

    /// The nodes that `stages` need (all where it is empty), which the run's device can compute as far as is known.
    ///
    /// # Errors
    /// There is no such stage, or the device has not the number format of one.
    pub(crate) fn wanted(&self, stages: &[String]) -> Result<Vec<NodeId>, PlanError> {
        let nodes = self.plan.needed(stages)?;
        self.plan.check_dtypes(&nodes, self.options.device)?;
        Ok(nodes)
    }

    /// Those of `nodes` that are not in the store, as far as that can be told without weights.
    pub(crate) fn to_run(&self, nodes: &[NodeId]) -> Result<Vec<NodeId>, Failure> {
        let environment = Environment {
            planning: true,
            ..self.environment(&self.options, &Silent)
        };
        let resolved = resolve(&self.plan, nodes, &environment)?;
        let open = resolved.iter().filter(|each| each.state.is_open());
        Ok(open.map(|each| each.node).collect())
    }

    /// What `nodes` take, as far as that is known without a network; `timed`, with how fast this machine is.
    pub(crate) fn estimates(&self, nodes: &[NodeId], timed: bool) -> Estimates {
        let fetcher = self.fetcher.offline();
        let environment = Environment {
            planning: true,
            fetcher: &fetcher,
            ..self.environment(&self.options, &Silent)
        };
        // As of the forecast: whatever goes wrong here, the run will say in its own words.
        resolve(&self.plan, nodes, &environment)
            .and_then(|resolved| {
                let estimate = if timed { estimate } else { estimate_work };
                estimate(&self.plan, &resolved, &environment)
            })
            .unwrap_or_default()
    }

    /// How far a run of `nodes` will be and what it takes, as far as that is known without a network and without measuring.
    pub(crate) fn forecast(&self, nodes: &[NodeId], workers: usize) -> Forecast {
        let mut forecast = Forecast::new(&self.plan, nodes, workers);
        let fetcher = self.fetcher.offline();
        let environment = Environment {
            planning: true,
            fetcher: &fetcher,
            ..self.environment(&self.options, &Silent)
        };
        // Whatever goes wrong here, the run will say in its own words.
        if let Ok(resolved) = resolve(&self.plan, nodes, &environment)
            && let Ok(estimates) = estimate_work(&self.plan, &resolved, &environment)
        {
            forecast.expect(&self.plan, &resolved, &estimates, &environment);
        }
        forecast
    }

    /// Checks the outside files that `nodes` name, before anything runs.
    ///
    /// # Errors
    /// Every file that is not there or not what it should be, at its place in the manifest.
    pub(crate) fn check_outside(&self, nodes: &[NodeId]) -> Result<(), ManifestErrors> {
        let environment = self.environment(&self.options, &Silent);
        let nothing = Inputs::new();
        let mistakes = nodes.iter().flat_map(|&id| {
            let node = self.plan.node(id);
            let context = environment.context(node.name(), node.seed, &nothing);
            let param_errors = node.kind.check_outside(&node.params, &context);
            let spec = &self.manifest.stages[node.place];
            param_errors
                .into_iter()
                .map(|param_error| spec.mistake(param_error))
        });
        ManifestErrors::if_any(mistakes.collect())
    }

    /// The key and the outputs of a node that is in the store; none where it would run.
    fn made(&self, id: NodeId) -> Result<(Option<StageKey>, Outputs), Failure> {
        let nodes = self.plan.needed(&[self.plan.node(id).name().to_owned()])?;
        let resolved = resolve(
            &self.plan,
            &nodes,
            &self.environment(&self.options, &Silent),
        )?;
        Ok(match resolved.into_iter().find(|each| each.node == id) {
            Some(Resolved {
                key,
                state: NodeState::Hit(outputs),
                ..
            }) => (key, outputs),
            Some(Resolved {
                state: NodeState::NotNeeded(decision),
                ..
            }) => {
                let [name, decision] = [id, decision].map(|node| self.plan.node(node).name());
                return Err(anyhow::anyhow!(
                    "`{name}` has made nothing, since it is not needed: `{decision}` stopped\nhint: `sert-run show {} '{decision}'` says by what figures",
                    self.manifest.path.display()
                )
                .into());
            }
            _ => (None, Outputs::new()),
        })
    }
}
