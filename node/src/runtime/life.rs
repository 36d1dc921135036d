//! From one life of a node to the next: locked until somebody comes, open until it ends.
//!
//! Start at [`live`]. It is not what an open or a locked node does.

use super::{Ended, Ending, StartError, locked, run};
use crate::config::{Config, Places};
use crate::service::Services;
use crate::unlock::{self, Found};
use tokio_util::sync::CancellationToken;

/// What a node has to say of itself.
#[derive(Debug)]
pub enum Said<'a> {
    /// It is open.
    Ready(&'a Services),
    /// It waits to be unlocked; its API listens there.
    Locked(&'a [String]),
}

/// How the lives of a node ended.
#[derive(Debug)]
pub struct Life {
    /// Whether it was told to lock; it is to begin anew, locked.
    pub is_locked: bool,
    /// Where its API listened, to listen there again.
    pub api: Vec<String>,
}

/// Lives until `shutdown` is cancelled or the node is locked; begins locked if told so.
pub async fn live(
    places: &Places,
    config: &Config,
    begin_locked: bool,
    shutdown: &CancellationToken,
    say: impl Fn(&Said<'_>),
) -> Result<Life, StartError> {
    let mut config = config.clone();
    let mut secret = None;
    if !begin_locked {
        match unlock::find(&config.unlock, &places.data)? {
            Found::Secret(found) => secret = Some(found),
            Found::Ask(missing) => tracing::warn!(why = %missing, "the node begins locked"),
        }
    }
    loop {
        let key = if let Some(secret) = &secret {
            secret
        } else {
            let (given, api) = locked::wait(places, &config, shutdown, &say).await?;
            listen_there(&mut config, &api);
            let Some(given) = given else {
                let is_locked = false;
                return Ok(Life { is_locked, api });
            };
            secret.insert(given)
        };
        let Ended { ending, api } = run(places, &config, key, shutdown, |services| {
            say(&Said::Ready(services));
        })
        .await?;
        listen_there(&mut config, &api);
        if ending != Ending::Again || shutdown.is_cancelled() {
            let is_locked = ending == Ending::Locked && !shutdown.is_cancelled();
            return Ok(Life { is_locked, api });
        }
    }
}

/// Has the next life listen where this one did, also where any free port was taken.
fn listen_there(config: &mut Config, api: &[String]) {
    let loopback = api.iter().filter_map(|at| at.strip_prefix("http://"));
    config.api.listen = loopback.map(str::to_owned).collect();
}
