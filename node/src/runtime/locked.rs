//! A locked node: no keys, no store, no network; an API that takes `unlock` and refuses the rest.
//!
//! It holds the store's lock, over rows that it cannot read, so that no other process opens them.

use super::{Said, StartError, hold_store, listen, prepare_folder, wind_down};
use crate::config::{Config, Places};
use crate::http;
use crate::http::locked::Gate;
use crate::tasks::Tasks;
use crate::unlock::Secret;
use storage::kv::Kv as _;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Waits until somebody brings the secret, or `shutdown` is cancelled; tells where it listened.
pub(super) async fn wait(
    places: &Places,
    config: &Config,
    shutdown: &CancellationToken,
    say: &impl Fn(&Said<'_>),
) -> Result<(Option<Secret>, Vec<String>), StartError> {
    prepare_folder(&places.data)?;
    let held = hold_store(&places.data)?;
    let stop = shutdown.child_token();
    let tasks = Tasks::here();
    let (opened, mut secrets) = mpsc::channel(1);
    let gate = Gate::new(places.data.clone(), config.unlock.clone(), opened);
    let router = |edge| http::locked_router(gate.clone(), edge);
    let page = http::locked_metrics_router();
    let api = listen::serve(places, config, (router, page), &tasks, &stop).await?;
    say(&Said::Locked(&api));
    let secret = shutdown.run_until_cancelled(secrets.recv()).await.flatten();
    stop.cancel();
    wind_down(&tasks).await;
    // While the store's lock is held: the next node's socket must not be taken for ours.
    listen::remove_socket(&places.socket);
    if let Some(Err(error)) = held.map(|disk| disk.close()) {
        tracing::error!(%error, "the store did not close");
    }
    Ok((secret, api))
}
