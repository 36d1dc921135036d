//! A step in words, as it is printed.

use super::Action;
use std::fmt;

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep {
                who, text, secret, ..
            } => {
                let what = if *secret { "a secret" } else { "" };
                let gap = if *secret { ": " } else { "" };
                write!(f, "{who} keeps {what}{gap}{text:?}")
            }
            Self::Import { who, notes, tag } => {
                write!(f, "{who} imports {notes} notes with tag {tag}")
            }
            Self::ImportFolder { who, folder } => write!(f, "{who} imports {folder}"),
            Self::Edit { who, memory, text } => write!(f, "{who} edits {memory}: {text:?}"),
            Self::Tag { who, memory, tag } => write!(f, "{who} tags {memory} with {tag}"),
            Self::Forget { who, memory } => write!(f, "{who} forgets {memory}"),
            Self::Pair { between: [a, b] } => write!(f, "{a} invites {b}, who accepts"),
            Self::Share {
                who, what, with, ..
            } => write!(f, "{who} shares {what} with {with}"),
            Self::Approve { who, from, .. } => write!(f, "{who} approves what {from} offers"),
            Self::Decline { who, from } => write!(f, "{who} declines what {from} offers"),
            Self::Revoke { who, from, .. } => write!(f, "{who} revokes what {from} was given"),
            Self::Circle { who, name, members } => {
                write!(f, "{who} calls {} {name}", members.join(" and "))
            }
            Self::CircleAdd { who, name, members } => {
                write!(f, "{who} takes {} into {name}", members.join(" and "))
            }
            Self::CircleRemove { who, name, members } => {
                write!(f, "{who} lets {} go from {name}", members.join(" and "))
            }
            Self::DeviceJoin { who, to } => write!(f, "{who} becomes a device of {to}"),
            Self::DeviceRetire { who, device } => write!(f, "{who} retires the device {device}"),
            _ => self.fault_or_check(f),
        }
    }
}

impl Action {
    fn fault_or_check(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cut { between: [a, b] } => write!(f, "{a} and {b} are cut off from each other"),
            Self::Heal { between: [a, b] } => write!(f, "{a} and {b} can reach each other again"),
            Self::Slow { who, .. } => write!(f, "the links of {who} are slow"),
            Self::Fast { who } => write!(f, "the links of {who} are fast again"),
            Self::Kill { who } => write!(f, "{who} is killed"),
            Self::Stop { who } => write!(f, "{who} stops"),
            Self::Start { who, clock: None } => write!(f, "{who} starts"),
            Self::Start {
                who,
                clock: Some(offset),
            } => write!(f, "{who} starts, with its clock off by {offset}"),
            Self::Pause { who } => write!(f, "{who} is paused"),
            Self::Unpause { who } => write!(f, "{who} goes on"),
            Self::FillDisk { who } => write!(f, "the disk of {who} is full"),
            Self::FreeDisk { who } => write!(f, "the disk of {who} has room again"),
            Self::Upgrade { who } => write!(f, "{who} is upgraded"),
            Self::Attack { who, on } => write!(f, "somebody with the key of {who} attacks {on}"),
            Self::CallOff { who } => write!(f, "the attack with the key of {who} came to nothing"),
            Self::InSync { between: [a, b] } => write!(f, "{a} and {b} say they are in sync"),
            Self::Proved {} => write!(f, "all pairs prove to hold the same"),
            Self::OutOfReach { who, peer } => write!(f, "{who} cannot reach {peer}"),
            Self::Finds { who, words, .. } => write!(f, "{who} finds {words:?}"),
            Self::Lacks { who, words } => write!(f, "{who} does not find {words:?}"),
            Self::Holds { who, memory } => write!(f, "{who} holds {memory}"),
            Self::HoldsNot { who, memory } => write!(f, "{who} does not hold {memory}"),
            Self::Lists { who, what, count } => write!(f, "{who} lists {count} for {what:?}"),
            Self::Ledger {} => write!(f, "each ledger says what left, neither less nor more"),
            Self::Canaries {} => write!(f, "secrets are nowhere else"),
            // The other half is written by the caller.
            _ => write!(f, "{self:?}"),
        }
    }
}
