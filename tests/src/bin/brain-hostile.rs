//! `brain-hostile`: attacks a node with the identity of a paired one, until its standard input ends.
//!
//! ```text
//! brain-hostile --home DIR --victim DEVICE --address MULTIADDR.. [--memory ID..] [--faults N] [--for-s N]
//! ```
//!
//! `--home` is a copy of the data folder of the paired node, which must not run meanwhile; the copy
//! may be written in. Each `--memory` is an id that the curious device was told of. What it achieved
//! it says as one object of JSON a line, once a second and at the end ([`brain_tests::hostile::Tally`]).
//! A signal ends it at once; its last line stands.

use brain_tests::hostile::{Hostile, Knowledge, Plan, Tally};
use crdt::id::{DeviceId, MemoryId};
use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// How often it says what it achieved.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// Faults of the paired device if nothing is said: the last of three makes it wait for 8 seconds.
const FAULTS: u64 = 3;
/// The exit code of wrong arguments.
const USAGE: u8 = 2;

/// What was asked for.
#[derive(Debug)]
struct Args {
    home: PathBuf,
    victim: DeviceId,
    addresses: Vec<String>,
    memories: Vec<MemoryId>,
    faults_max: u64,
    time: Option<Duration>,
}

impl Args {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut home, mut victim, mut time) = (None, None, None);
        let (mut addresses, mut memories) = (Vec::new(), Vec::new());
        let mut faults_max = FAULTS;
        while let Some(name) = words.next() {
            let value = words.next();
            let value = value.ok_or_else(|| format!("{name}: a value is missing"))?;
            match name.as_str() {
                "--home" => home = Some(PathBuf::from(value)),
                "--victim" => victim = Some(parse(&name, &value)?),
                "--address" => addresses.push(value),
                "--memory" => memories.push(parse(&name, &value)?),
                "--faults" => faults_max = parse(&name, &value)?,
                "--for-s" => time = Some(Duration::from_secs(parse(&name, &value)?)),
                _ => return Err(format!("{name} is not known")),
            }
        }
        if addresses.is_empty() {
            return Err("--address is missing".to_owned());
        }
        Ok(Self {
            home: home.ok_or("--home is missing")?,
            victim: victim.ok_or("--victim is missing")?,
            addresses,
            memories,
            faults_max,
            time,
        })
    }
}

fn parse<T: FromStr<Err: Display>>(name: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|error| format!("{name}: {error}"))
}

fn main() -> ExitCode {
    let args = match Args::read(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(message) => {
            // Nobody may be there to read it; the exit code says it too.
            writeln!(io::stderr(), "{message}").ok();
            return ExitCode::from(USAGE);
        }
    };
    match attack(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            writeln!(io::stderr(), "{error}").ok();
            ExitCode::FAILURE
        }
    }
}

fn attack(args: &Args) -> io::Result<()> {
    let deadline = args.time.map(|time| Instant::now() + time);
    let end = end_of_input();
    let hostile = Hostile::start(Plan {
        home: &args.home,
        victim: args.victim,
        addresses: &args.addresses,
        faults_max: args.faults_max,
        knowledge: Some(Knowledge::read(&args.home, &args.memories)),
    });
    loop {
        let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
        let wait = left.unwrap_or(LINE_EVERY).min(LINE_EVERY);
        let waited = end.recv_timeout(wait);
        say(&hostile.tally())?;
        let is_over = deadline.is_some_and(|end| end <= Instant::now());
        if is_over || waited != Err(RecvTimeoutError::Timeout) {
            return Ok(());
        }
    }
}

fn say(tally: &Tally) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, tally)?;
    writeln!(out)
}

/// Tells when whoever started this closes its standard input, or is gone. The thread that reads it
/// ends with the process.
fn end_of_input() -> Receiver<()> {
    let (told, end) = sync_channel(1);
    std::thread::spawn(move || {
        // An error is an end too, and whoever waited may be gone.
        io::copy(&mut io::stdin().lock(), &mut io::sink()).ok();
        told.send(()).ok();
    });
    end
}
