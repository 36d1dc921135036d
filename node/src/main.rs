//! `brain-node`: arguments, configuration, signals, exit code. Everything else is in the library.

use clap::{Parser, Subcommand};
use node::config::{Config, Places};
use node::runtime::{self, Ending};
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
    Serve,
    /// Read the configuration and say whether it is right
    CheckConfig,
}

/// How long a thread waits for more work that blocks.
const IDLE_THREAD: Duration = Duration::from_mins(10);

fn main() -> ExitCode {
    let args = Args::parse();
    let (places, config) = match read_config() {
        Ok(found) => found,
        Err(error) => return fail(&error.to_string(), "see the key's line in the README", 2),
    };
    match args.command.unwrap_or(Command::Serve) {
        Command::CheckConfig => {
            say(&format!("ok: {}", places.config.display()));
            ExitCode::SUCCESS
        }
        Command::Serve => serve(&places, &config),
    }
}

fn read_config() -> Result<(Places, Config), node::config::ConfigError> {
    let places = Places::find()?;
    let config = Config::load(&places)?;
    Ok((places, config))
}

fn serve(places: &Places, config: &Config) -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_new(&config.telemetry.log);
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
    // Keys must not end up in a core file.
    let none = rustix::process::Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Core, none) {
        tracing::warn!(%error, "core files could not be turned off");
    }
    // A session blocks for the store several times; a thread for each is not begun anew.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_keep_alive(IDLE_THREAD)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string(), "is the system out of threads?", 1),
    };
    let outcome = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        let say_ready = |services: &node::service::Services| {
            if let Ok(status) = services.status() {
                say(&format!(
                    "brain-node {} is ready\n  you      {}\n  words    {}\n  folder   {}\n  \
                     api      {}\n  next     brainctl add \"my first memory\"",
                    status.version,
                    status.person,
                    status.words,
                    status.home,
                    status.api.join("  "),
                ));
            }
        };
        let run = async {
            loop {
                let ended = runtime::run(places, config, &shutdown, say_ready).await;
                if !matches!(ended, Ok(Ending::Again)) || shutdown.is_cancelled() {
                    return ended;
                }
            }
        };
        tokio::pin!(run);
        tokio::select! {
            // The signals first: whoever stops a node that is still starting ends it in order too.
            biased;
            () = stop_signal() => {
                shutdown.cancel();
                run.await
            }
            outcome = &mut run => outcome,
        }
    });
    runtime.shutdown_timeout(Duration::from_millis(500));
    match outcome {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), error.hint(), error.exit_code()),
    }
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
