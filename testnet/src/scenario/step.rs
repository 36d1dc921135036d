//! One step of a scenario: what is done, and how long it may take.
//!
//! `do` says what; the other keys are the fields of that kind of step. Two keys may stand in every
//! step: `within_s`, how long to wait for it, and `exit`, the code with which the command of this
//! step has to be refused.

use super::Need;
use serde::Deserialize;
use std::time::Duration;

/// How long a step may take until what it waits for is there, unless it says otherwise.
const WITHIN: Duration = Duration::from_mins(1);

/// A step that was read.
#[derive(Debug)]
pub(crate) struct Step {
    /// What is done.
    pub(crate) action: Action,
    /// How long it may take.
    pub(crate) within: Duration,
    /// The exit code with which the command must be refused.
    pub(crate) exit: Option<i32>,
}

/// What is done. `who` is the node where it is done.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Action {
    /// Keeps a memory.
    Keep {
        who: String,
        text: String,
        /// How later steps call it.
        name: Option<String>,
        #[serde(default)]
        tags: Vec<String>,
        /// Adds a word that no other person's node may ever have.
        #[serde(default)]
        secret: bool,
        /// Attaches a made-up file of so many KiB.
        file_kib: Option<usize>,
    },
    /// Imports so many made-up notes with this tag.
    Import {
        who: String,
        notes: usize,
        tag: String,
    },
    /// Imports a folder that lies beside the scenario.
    ImportFolder { who: String, folder: String },
    /// Changes the text of a memory.
    Edit {
        who: String,
        memory: String,
        text: String,
    },
    /// Sets a tag.
    Tag {
        who: String,
        memory: String,
        tag: String,
    },
    /// Hides a memory.
    Forget { who: String, memory: String },
    /// Introduces two persons: the first makes the ticket, the second uses it.
    Pair { between: [String; 2] },
    /// Offers memories to a person or a circle.
    Share {
        who: String,
        what: String,
        with: String,
        #[serde(rename = "as")]
        access: Option<Access>,
        #[serde(rename = "for")]
        period: Option<String>,
    },
    /// Says yes to what a person offers, once there are this many offers (one, unless it says
    /// otherwise).
    Approve {
        who: String,
        from: String,
        offers: Option<usize>,
    },
    /// Says no to it.
    Decline { who: String, from: String },
    /// Takes back what a person or a circle was given.
    Revoke {
        who: String,
        from: String,
        /// Also asks them to purge it.
        #[serde(default)]
        purge: bool,
    },
    /// Gives some persons a common name.
    Circle {
        who: String,
        name: String,
        members: Vec<String>,
    },
    /// Takes persons into a circle.
    CircleAdd {
        who: String,
        name: String,
        members: Vec<String>,
    },
    /// Lets persons go from a circle.
    CircleRemove {
        who: String,
        name: String,
        members: Vec<String>,
    },
    /// Makes a node a device of another's person.
    DeviceJoin { who: String, to: String },
    /// Retires a device.
    DeviceRetire { who: String, device: String },

    /// Lets nothing through between two nodes.
    Cut { between: [String; 2] },
    /// Ends that.
    Heal { between: [String; 2] },
    /// Makes the links of a node slow and lossy.
    Slow {
        who: String,
        #[serde(default)]
        delay_ms: u32,
        #[serde(default)]
        loss_percent: u32,
        rate_kbit: Option<u32>,
    },
    /// Ends that.
    Fast { who: String },
    /// Ends a node at once, as a power cut would.
    Kill { who: String },
    /// Ends a node in order.
    Stop { who: String },
    /// Starts a node that was ended, with its clock this far off if that is said (`+7d`, `-1h`).
    Start { who: String, clock: Option<String> },
    /// Halts a node where it is.
    Pause { who: String },
    /// Lets it go on.
    Unpause { who: String },
    /// Fills the small disk of a node.
    FillDisk { who: String },
    /// Takes away again what filled it.
    FreeDisk { who: String },
    /// Starts a node that began with older binaries with those of today.
    Upgrade { who: String },
    /// Attacks a node with the identity of another one, which is paused.
    Attack { who: String, on: String },
    /// Ends that; it must have achieved nothing.
    CallOff { who: String },

    /// Both say that they are in sync with each other.
    InSync { between: [String; 2] },
    /// All who are paired, and can reach each other, prove to hold the same.
    Proved {},
    /// A node has noticed that it cannot reach a person.
    OutOfReach { who: String, peer: String },
    /// A search by words finds something, exactly this many if that is said.
    Finds {
        who: String,
        words: String,
        count: Option<usize>,
    },
    /// A search by words finds nothing.
    Lacks { who: String, words: String },
    /// A node shows a memory.
    Holds { who: String, memory: String },
    /// A node knows nothing of a memory.
    HoldsNot { who: String, memory: String },
    /// A selector matches this many memories.
    Lists {
        who: String,
        what: String,
        count: usize,
    },
    /// Each ledger holds, and says of each node neither less nor more than what it received.
    Ledger {},
    /// What was kept as secret is nowhere else: not found, not in a log, not in a data folder.
    Canaries {},
}

/// What a grant allows.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Access {
    /// Reading.
    Read,
    /// Reading and writing.
    Write,
}

impl Access {
    /// Returns the word of the command line.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl Step {
    /// Reads a step.
    pub(crate) fn of(mut table: toml::Table) -> Result<Self, String> {
        let within = take(&mut table, "within_s")?;
        let exit = take(&mut table, "exit")?;
        let action = table.try_into::<Action>();
        Ok(Self {
            action: action.map_err(|error| error.message().to_owned())?,
            within: within.map_or(WITHIN, |seconds| Duration::from_secs(u64::from(seconds))),
            exit: exit.map(|code| i32::try_from(code).unwrap_or(i32::MAX)),
        })
    }
}

fn take(table: &mut toml::Table, key: &str) -> Result<Option<u32>, String> {
    let Some(value) = table.remove(key) else {
        return Ok(None);
    };
    let number = value.as_integer().and_then(|number| number.try_into().ok());
    let wrong = || format!("{key} is a number, not {value}");
    number.ok_or_else(wrong).map(Some)
}

impl Action {
    /// Returns the nodes that have to take part. Persons who are named by a petname are the
    /// command's own business.
    pub(crate) fn nodes(&self) -> Vec<&str> {
        match self {
            Self::Keep { who, .. }
            | Self::Import { who, .. }
            | Self::ImportFolder { who, .. }
            | Self::Edit { who, .. }
            | Self::Tag { who, .. }
            | Self::Forget { who, .. }
            | Self::Share { who, .. }
            | Self::Revoke { who, .. }
            | Self::Circle { who, .. }
            | Self::CircleAdd { who, .. }
            | Self::CircleRemove { who, .. }
            | Self::Slow { who, .. }
            | Self::Fast { who }
            | Self::Kill { who }
            | Self::Stop { who }
            | Self::Start { who, .. }
            | Self::Pause { who }
            | Self::Unpause { who }
            | Self::FillDisk { who }
            | Self::FreeDisk { who }
            | Self::Upgrade { who }
            | Self::CallOff { who }
            | Self::Finds { who, .. }
            | Self::Lacks { who, .. }
            | Self::Holds { who, .. }
            | Self::HoldsNot { who, .. }
            | Self::Lists { who, .. } => vec![who],
            Self::Approve { who, from, .. } | Self::Decline { who, from } => vec![who, from],
            Self::DeviceJoin { who, to } => vec![who, to],
            Self::Attack { who, on } => vec![who, on],
            Self::DeviceRetire { who, device } => vec![who, device],
            Self::OutOfReach { who, peer } => vec![who, peer],
            Self::Pair { between }
            | Self::Cut { between }
            | Self::Heal { between }
            | Self::InSync { between } => between.iter().map(String::as_str).collect(),
            Self::Proved {} | Self::Ledger {} | Self::Canaries {} => Vec::new(),
        }
    }

    /// Returns what the home must be able to do for this step.
    pub(crate) fn need(&self) -> Option<Need> {
        match self {
            Self::Cut { .. } | Self::Slow { .. } => Some(Need::Links),
            Self::FillDisk { .. } => Some(Need::Disks),
            Self::Start { clock: Some(_), .. } => Some(Need::Clocks),
            Self::Upgrade { .. } => Some(Need::Older),
            Self::Attack { .. } => Some(Need::Hostile),
            _ => None,
        }
    }
}
