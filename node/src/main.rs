//! `brain-node`: arguments, configuration, signals, exit code. Everything else is in the library.

use clap::{Parser, Subcommand};
use node::config::{Config, ModelFiles, Places};
use node::embed::onnx::worker;
use node::health;
use node::program;
use node::runtime::{self, Life, Said, StartError};
use node::salvage;
use node::telemetry::{log, traces};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// The daemon of Second Brain: keeps your memories, finds them, and shares the chosen ones.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the node (the default)
    Serve {
        /// Begin locked, whatever the configuration could open
        #[arg(long)]
        locked: bool,
    },
    /// Read the configuration and say whether it is right
    CheckConfig,
    /// Ask the running node whether it can do its work; exit 0 if so
    Healthcheck,
    /// Take over what is whole of a damaged store into a new one; the node must be stopped
    Salvage {
        /// Let things leave again after a salvage that may have lost consent
        #[arg(long)]
        resume: bool,
    },
    /// Run an embedding model for a node, on the socket that is standard input
    #[command(hide = true)]
    EmbeddingModel {
        /// The ONNX file
        model: PathBuf,
        /// Its words
        vocabulary: PathBuf,
        /// Seconds that one text may take
        text_s_max: u64,
    },
}

/// What to do about traces that cannot be sent.
const TRACES_HINT: &str =
    "set telemetry.otlp_endpoint to a collector such as http://127.0.0.1:4318, or to nothing";
/// How long a thread waits for more work that blocks.
const IDLE_THREAD: Duration = Duration::from_mins(10);

fn main() -> ExitCode {
    let args = Args::parse();
    match args.command.unwrap_or(Command::Serve { locked: false }) {
        Command::CheckConfig => configured(|places, _| {
            say(&format!("ok: {}", places.config.display()));
            ExitCode::SUCCESS
        }),
        Command::Healthcheck => configured(|places, _| match health::check(&places.socket) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error.to_string(), error.hint(), 1),
        }),
        Command::Serve { locked } => configured(|places, config| serve(places, config, locked)),
        Command::Salvage { resume } => configured(|places, config| salvage(places, config, resume)),
        Command::EmbeddingModel {
            model,
            vocabulary,
            text_s_max,
        } => embed(&ModelFiles { model, vocabulary }, text_s_max),
    }
}

/// Salvages a damaged store, or lets things leave again after a salvage.
fn salvage(places: &Places, config: &Config, resume: bool) -> ExitCode {
    let salvaged = if resume {
        salvage::resume(&places.data, &config.unlock)
    } else {
        salvage::salvage(&places.data, &config.unlock)
    };
    match salvaged {
        Ok(report) => {
            say(&report);
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error.to_string(), error.hint(), error.exit_code()),
    }
}

/// Does what needs the configuration, if that is right.
fn configured(run: impl FnOnce(&Places, &Config) -> ExitCode) -> ExitCode {
    match read_config() {
        Ok((places, config)) => run(&places, &config),
        Err(error) => fail(&error.to_string(), "see the key's line in the README", 2),
    }
}

/// Runs an embedding model for the node that started this process. It reads no configuration: what
/// it needs it is told, and it is not to know more.
fn embed(files: &ModelFiles, text_s_max: u64) -> ExitCode {
    keep_no_core();
    match worker::serve(files, Duration::from_secs(text_s_max)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(
            &error.to_string(),
            "nothing: a node starts this by itself",
            1,
        ),
    }
}

fn read_config() -> Result<(Places, Config), node::config::ConfigError> {
    let places = Places::find()?;
    let config = Config::load(&places)?;
    Ok((places, config))
}

fn serve(places: &Places, config: &Config, locked: bool) -> ExitCode {
    log::start(&config.telemetry);
    keep_no_core();
    // A session blocks for the store several times; a thread for each is not begun anew.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_keep_alive(IDLE_THREAD)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string(), "is the system out of threads?", 1),
    };
    let exporting = match traces::start(&config.telemetry, runtime.handle().clone()) {
        Ok(exporting) => exporting,
        Err(error) => return fail(&error.to_string(), TRACES_HINT, 2),
    };
    let outcome = runtime.block_on(live(places, config, locked));
    if let Some(exporting) = exporting {
        exporting.end();
    }
    runtime.shutdown_timeout(Duration::from_millis(500));
    match outcome {
        Ok(life) if life.is_locked => begin_locked(&life),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), error.hint(), error.exit_code()),
    }
}

/// Keys must not end up in a core file.
fn keep_no_core() {
    let none = rustix::process::Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Core, none) {
        tracing::warn!(%error, "core files could not be turned off");
    }
}

async fn live(places: &Places, config: &Config, locked: bool) -> Result<Life, StartError> {
    let shutdown = CancellationToken::new();
    let life = runtime::live(places, config, locked, &shutdown, |said| match said {
        Said::Ready(services) => say_ready(services),
        Said::Locked(api) => say(&format!(
            "brain-node {} is locked\n  folder   {}\n  api      {}\n  next     brainctl node unlock",
            env!("CARGO_PKG_VERSION"),
            places.data.display(),
            api.join("  "),
        )),
    });
    tokio::pin!(life);
    tokio::select! {
        // The signals first: whoever stops a node that is still starting ends it in order too.
        biased;
        () = stop_signal() => {
            shutdown.cancel();
            life.await
        }
        outcome = &mut life => outcome,
    }
}

fn say_ready(services: &node::service::Services) {
    if let Ok(status) = services.status() {
        // What a service says is kept in a log, and a log names no person.
        let is_watched = std::io::IsTerminal::is_terminal(&std::io::stdout());
        let you = if is_watched {
            format!(
                "  you      {}\n  words    {}\n",
                status.person, status.words
            )
        } else {
            String::new()
        };
        say(&format!(
            "brain-node {} is ready\n{you}  folder   {}\n  \
             api      {}\n  next     brainctl add \"my first memory\"",
            status.version,
            status.home,
            status.api.join("  "),
        ));
    }
}

/// Has the system replace this program in memory by itself, locked.
///
/// What was opened lay in many places: the heap, caches, stacks of threads. Wiping each could
/// forget one; a new address space cannot. Number, log and parent of the process stay.
fn begin_locked(life: &Life) -> ExitCode {
    let loopback = life.api.iter().filter_map(|at| at.strip_prefix("http://"));
    let listen = loopback.collect::<Vec<_>>().join(",");
    let error = std::process::Command::new(program::file())
        .arg0("brain-node")
        .args(["serve", "--locked"])
        .env("BRAIN_API__LISTEN", listen)
        .exec();
    // The keys are gone with this process in any case.
    let what = format!("locked, and cannot begin anew: {error}");
    fail(&what, "start it again: brain-node serve --locked", 9)
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminate => {}
        interrupted = tokio::signal::ctrl_c() => {
            if let Err(error) = interrupted {
                tracing::warn!(%error, "no signals can be received");
            }
        }
    }
}

#[expect(
    clippy::print_stdout,
    reason = "the one line that says the node is ready"
)]
fn say(text: &str) {
    println!("{text}");
}

#[expect(
    clippy::print_stderr,
    reason = "the last words of a node that does not start"
)]
fn fail(what: &str, hint: &str, code: u8) -> ExitCode {
    eprintln!("brain-node: {what}\n  do   {hint}");
    ExitCode::from(code)
}
