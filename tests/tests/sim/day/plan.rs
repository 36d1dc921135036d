//! What happens in a day, as data: made from a seed first, then executed, so that parts of it can
//! be left out and what is left can be written down.
//!
//! A plan reads and writes as text, one step a line: `milliseconds node verb a b`, after a line
//! `hostile n`. What `a` and `b` mean is said at each [`What`].
//!
//! Invariant: a plan does not depend on what happens when it is executed.

use crdt::testing::Entropy;
use std::fmt;
use std::str::FromStr;

/// One day, in milliseconds.
pub(crate) const DAY_MS: u64 = 86_400_000;
/// From here on nothing new happens and all faults are over.
pub(crate) const CALM_MS: u64 = DAY_MS - 40 * MINUTE_MS;
/// How many nodes there are.
pub(crate) const NODES: usize = 5;
/// How many selectors there are to share with.
pub(crate) const SELECTORS: u32 = 6;

const MINUTE_MS: u64 = 60_000;
/// The actions of people after the morning.
const ACTIONS: u64 = 34;
/// The faults of a day, at least; up to twice as many.
const FAULTS: u64 = 5;

macro_rules! whats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Something that happens.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum What { $($(#[$doc])* $name,)* }

        impl What {
            /// Its name, as it is written down and counted.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
            fn parse(name: &str) -> Option<Self> {
                match name { $(stringify!($name) => Some(Self::$name),)* _ => None }
            }
        }
    };
}

whats! {
    /// Keeps a memory: tag `a`.
    Create,
    /// Changes the memory picked by `a` in the way `b`.
    Edit,
    /// Labels the memory picked by `a` secret, or not: `b`.
    Secret,
    /// Offers a grant to the peer `a`; `b` holds selector, access and minutes to live.
    Share,
    /// Says yes to the first open offer, or no where `b` is 0.
    Answer,
    /// Revokes the grant picked by `a`.
    Revoke,
    /// Destroys the memory picked by `a`.
    Purge,
    /// Gives the memory picked by `a` back to its owner.
    Return,

    /// The connection to the peer `a` breaks.
    Lose,
    /// The nodes of the bits of `a` see only each other, for `b` seconds.
    Split,
    /// Nothing comes through to the peer `a`, for `b` seconds.
    OneWay,
    /// All links of the node are clogged in turn and free again in an order by `a`.
    Swizzle,
    /// Everything takes `a` milliseconds longer, for `b` seconds.
    Slow,
    /// The next frames to the peer `a` arrive twice.
    Twice,
    /// The next frames to the peer `a` change places.
    Swap,
    /// The power is cut after `a` more writes; it is back after `b` seconds.
    Cut,
    /// As `Cut`, and again while the store is being opened.
    CutTwice,
    /// Ends in an orderly way and starts again after `b` seconds.
    Restart,
    /// The disk is full after `a` more kilobytes; there is space again after `b` seconds.
    Full,
    /// One fsync fails after `a` that do not.
    BadSync,
    /// The clock goes forward by `b` seconds, or back where `a` is odd.
    Jump,
    /// Copies the disk.
    Backup,
    /// Puts the copy back, on a machine that is up again after `b` seconds.
    Restore,
    /// Starts again with a program that speaks a session version more.
    Newer,
    /// Starts again with a program that is too old, for `b` seconds.
    TooOld,

    /// Hostile: says nothing that the peer waits for, from now on.
    Mute,
    /// Hostile: hears no consent from now on.
    Deaf,
    /// Hostile: claims to hold what the peer holds.
    Lie,
    /// Hostile: reconciles without end.
    Endless,
    /// Hostile: sends bytes that do not read, and frames that are too large.
    Noise,
    /// Hostile: sends numbers and lists as large as they go.
    Inflate,
    /// Hostile: sends frames of other sessions again.
    Replay,
    /// Hostile: signs in the name of others.
    Forge,
    /// Hostile: writes with a time of `b` seconds ago what it may not write any more.
    Backdate,
    /// Hostile: goes back to an old copy of itself and writes on, as the same writer.
    Fork,
    /// Hostile: hands content and keys that belong to others on.
    Leak,
}

/// The faults that befall honest nodes.
const HONEST: [What; 16] = [
    What::Lose,
    What::Split,
    What::OneWay,
    What::Swizzle,
    What::Slow,
    What::Twice,
    What::Swap,
    What::Cut,
    What::CutTwice,
    What::Restart,
    What::Full,
    What::BadSync,
    What::Jump,
    What::Restore,
    What::Newer,
    What::TooOld,
];
/// What hostile nodes do.
pub(crate) const HOSTILE: [What; 11] = [
    What::Mute,
    What::Deaf,
    What::Lie,
    What::Endless,
    What::Noise,
    What::Inflate,
    What::Replay,
    What::Forge,
    What::Backdate,
    What::Fork,
    What::Leak,
];

/// Something that happens at a time, to or by a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Step {
    pub(crate) at: u64,
    pub(crate) who: usize,
    pub(crate) what: What,
    pub(crate) a: u32,
    pub(crate) b: u32,
}

/// A day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How many of the nodes are hostile: the last ones.
    pub(crate) hostile: usize,
    pub(crate) steps: Vec<Step>,
}

/// Makes a plan.
struct Maker {
    rng: Entropy,
    steps: Vec<Step>,
}

impl Plan {
    /// Makes the plan of a seed. One seed of four has a hostile node, half of these have two.
    pub(crate) fn of(seed: u64) -> Self {
        let hostile = match seed % 8 {
            0 => 1,
            4 => 2,
            _ => 0,
        };
        let mut maker = Maker {
            rng: Entropy::new(seed ^ 0x6461_7900_0000_0000),
            steps: Vec::new(),
        };
        maker.morning();
        for _ in 0..ACTIONS {
            maker.action();
        }
        for _ in 0..FAULTS + maker.below(FAULTS) {
            maker.fault();
        }
        for who in NODES - hostile..NODES {
            maker.attacks(who);
        }
        let mut steps = maker.steps;
        steps.sort_unstable();
        Self { hostile, steps }
    }
}

impl Maker {
    fn below(&mut self, end: u64) -> u64 {
        self.rng.below(end)
    }
    fn small(&mut self, end: u32) -> u32 {
        u32::try_from(self.below(u64::from(end))).expect("below a u32")
    }
    fn who(&mut self) -> usize {
        usize::try_from(self.below(NODES as u64)).expect("few")
    }
    fn push(&mut self, at: u64, who: usize, what: What, (a, b): (u32, u32)) {
        let at = at.min(CALM_MS - 1);
        self.steps.push(Step {
            at,
            who,
            what,
            a,
            b,
        });
    }

    /// Everyone keeps something, offers some of it, and most offers are accepted.
    fn morning(&mut self) {
        for who in 0..NODES {
            for _ in 0..2 {
                let at = 10_000 + self.below(5 * MINUTE_MS);
                let with = (self.small(3), 0);
                self.push(at, who, What::Create, with);
            }
            for _ in 0..2 {
                let at = MINUTE_MS + self.below(10 * MINUTE_MS);
                self.share(at, who);
            }
            let at = 12 * MINUTE_MS + self.below(10 * MINUTE_MS);
            for number in 0..3 {
                self.push(at + number * 2_000, who, What::Answer, (0, 1));
            }
        }
    }

    fn share(&mut self, at: u64, who: usize) {
        let to = self.small(4);
        let is_short = self.below(4) == 0;
        let minutes = if is_short { 30 + self.small(600) } else { 0 };
        let is_write = u32::from(self.below(3) > 0);
        let terms = self.small(SELECTORS) + SELECTORS * (is_write + 2 * minutes);
        self.push(at, who, What::Share, (to, terms));
    }

    fn action(&mut self) {
        let at = 25 * MINUTE_MS + self.below(CALM_MS - 30 * MINUTE_MS);
        let who = self.who();
        let (pick, way) = (self.small(1_000), self.small(1_000));
        match self.below(100) {
            0..18 => self.push(at, who, What::Create, (pick, way)),
            18..58 => self.push(at, who, What::Edit, (pick, way)),
            58..63 => self.push(at, who, What::Secret, (pick, u32::from(way > 300))),
            63..75 => {
                self.share(at, who);
                for other in 0..NODES {
                    let soon = at + 1_000 + self.below(20 * MINUTE_MS);
                    self.push(soon, other, What::Answer, (0, way % 8));
                }
            }
            75..90 => self.push(at, who, What::Revoke, (pick, 0)),
            90..95 => self.push(at, who, What::Purge, (pick, 0)),
            _ => self.push(at, who, What::Return, (pick, 0)),
        }
    }

    /// Draws a fault, and for every second one a revocation during it.
    fn fault(&mut self) {
        let at = 20 * MINUTE_MS + self.below(CALM_MS - 200 * MINUTE_MS);
        let who = self.who();
        let which = usize::try_from(self.below(HONEST.len() as u64)).expect("few");
        let what = HONEST[which];
        let seconds = 20 + self.small(5_400);
        let other = self.small(4);
        let with = match what {
            What::Lose | What::Twice | What::Swap | What::OneWay => (other, seconds),
            What::Split => (1 + self.small(30), seconds),
            What::Swizzle => (self.small(1_000), seconds % 50),
            What::Slow => (50 + self.small(4_000), seconds),
            What::Cut | What::CutTwice => (self.small(60), seconds % 900),
            What::Full => (self.small(64), seconds),
            What::BadSync => (self.small(6), 0),
            What::Jump => (self.small(2), 60 + self.small(20_000)),
            What::Restore => {
                let earlier = at.saturating_sub(self.below(180 * MINUTE_MS)).max(1);
                self.push(earlier, who, What::Backup, (0, 0));
                (0, seconds % 900)
            }
            _ => (0, seconds),
        };
        self.push(at, who, what, with);
        // Something is written while it lasts, so that it has something to strike.
        let (pick, way) = (self.small(1_000), self.small(1_000));
        let soon = at + 500 + self.below(20_000);
        self.push(soon, who, What::Edit, (pick, way));
        if self.below(2) == 0 {
            let soon = at + 1_000 + self.below(60_000);
            let revoker = if self.below(2) == 0 { who } else { self.who() };
            self.push(soon, revoker, What::Revoke, (pick, 0));
        }
    }

    fn attacks(&mut self, who: usize) {
        for _ in 0..3 + self.below(4) {
            let at = 25 * MINUTE_MS + self.below(CALM_MS - 120 * MINUTE_MS);
            let which = usize::try_from(self.below(HOSTILE.len() as u64)).expect("few");
            let (pick, seconds) = (self.small(1_000), self.small(20_000));
            self.push(at, who, HOSTILE[which], (pick, seconds));
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "hostile {}", self.hostile)?;
        for Step {
            at,
            who,
            what,
            a,
            b,
        } in &self.steps
        {
            writeln!(f, "{at} {who} {} {a} {b}", what.name())?;
        }
        Ok(())
    }
}

impl FromStr for Plan {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().filter(|line| !line.trim().is_empty());
        let first = lines.next().and_then(|line| line.strip_prefix("hostile "));
        let hostile = first.and_then(|count| count.parse().ok());
        let hostile = hostile.ok_or("a plan begins with `hostile n`")?;
        let step = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [at, who, what, a, b] = *words.as_slice() else {
                return None;
            };
            Some(Step {
                at: at.parse().ok()?,
                who: who.parse().ok()?,
                what: What::parse(what)?,
                a: a.parse().ok()?,
                b: b.parse().ok()?,
            })
        };
        let steps = lines.map(|line| step(line).ok_or_else(|| format!("{line:?} is no step")));
        Ok(Self {
            hostile,
            steps: steps.collect::<Result<_, _>>()?,
        })
    }
}
