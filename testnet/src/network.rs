//! Where the nodes live: one trait over containers and plain processes.
//!
//! A [`Network`] knows nothing of scenarios. It starts and ends nodes, runs `brainctl` at one, and
//! shows its log and the bytes of its data folder; [`links`] cuts and slows, from outside, in the
//! network namespaces that it names.
//!
//! ```text
//! Home::find(..) -> Home::lacks(need) -> Home::make(plan) -> Box<dyn Network>
//! ```
//!
//! Invariant: whatever a network made is gone when it is dropped, and also if the runner is killed
//! ([`undertaker`]).

mod clock;
mod compose;
pub(crate) mod disk;
mod home;
pub(crate) mod links;
mod processes;
mod undertaker;

pub(crate) use home::{Home, On};

use crate::command::Output;
use crate::fault::Result;
use crate::scenario::Scenario;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program that attacks a node.
pub(crate) const HOSTILE: &str = "brain-hostile";

/// What a network is made from.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// The scenario that it is for.
    pub(crate) scenario: &'a Scenario,
    /// The name that everything made for it bears; no other run has it.
    pub(crate) name: String,
    /// The folders that it needs.
    pub(crate) folders: &'a Folders,
}

/// Folders of the checkout, and those that were named on the command line.
#[derive(Debug)]
pub(crate) struct Folders {
    /// `testnet/`.
    pub(crate) testnet: PathBuf,
    /// Where `brain-hostile` is, and for plain processes `brain-node` and `brainctl`.
    pub(crate) binaries: PathBuf,
    /// Where older ones are.
    pub(crate) older: Option<PathBuf>,
}

/// How a node is started.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct How<'a> {
    /// With older binaries.
    pub(crate) older: bool,
    /// With a clock that is this far off.
    pub(crate) clock: Option<&'a str>,
}

/// Five nodes, or fewer.
pub(crate) trait Network {
    /// Starts a node and does not wait until it answers.
    fn start(&mut self, who: &str, how: How<'_>) -> Result<()>;
    /// Ends a node in order; an error if it does not end with 0 in its time.
    fn stop(&mut self, who: &str) -> Result<()>;
    /// Ends a node at once.
    fn kill(&mut self, who: &str) -> Result<()>;
    /// Halts a node where it is.
    fn pause(&mut self, who: &str) -> Result<()>;
    /// Lets it go on.
    fn unpause(&mut self, who: &str) -> Result<()>;
    /// Tells whether the process of a node is there.
    fn runs(&mut self, who: &str) -> Result<bool>;
    /// Runs `brainctl` at a node.
    fn brainctl(&self, who: &str, args: &[&str], stdin: &[u8]) -> Result<Output>;
    /// Returns a folder for files of the runner's own; it goes when the network goes.
    fn folder(&self) -> &Path;
    /// Brings a folder to a node; returns its path there.
    fn hand_over(&self, who: &str, folder: &Path) -> Result<String>;
    /// Returns what a node wrote so far.
    fn log(&self, who: &str) -> Result<String>;
    /// Returns a command that writes the data folder of a node to standard output, as `tar` does.
    fn data(&self, who: &str) -> Result<Command>;
    /// Returns the file by which the network namespace of a node can be entered; `None` if it has
    /// none of its own or does not run.
    fn namespace(&self, who: &str) -> Result<Option<PathBuf>>;
    /// Returns the addresses of a node, as they are now.
    fn addresses(&self, who: &str) -> Result<Vec<String>>;
    /// Returns the small disk of a node, if it has one.
    fn disk(&self, who: &str) -> Option<PathBuf>;
}
