//! The OS keyring opens a node: a real GNOME Keyring on a session bus of its own.
//!
//! ```text
//! wrap -> the next start opens by itself -> another item, none, no bus, a locked keyring -> refused or waits
//! kill -9 in the middle of a rotation -> the node opens by itself
//! ```
//!
//! Where the two daemons are not installed, the tests say so and pass.

use crate::crash::Dice;
use crate::http::Http;
use crate::keys::{configure, refused, title};
use brain_tests::node::LOCKED;
use brain_tests::{Node, eventually};
use node::os_keyring::SystemKeyring;
use std::fs;
use std::io::Write as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use storage::keyring::{ItemName, Keyring, OsKeyring as _, OsKeyringError, Unlock};
use tempfile::TempDir;

const BUS: &str = "DBUS_SESSION_BUS_ADDRESS";
/// What opens the keyring of the test.
const LOGIN: &[u8] = b"the password of the login";
/// A bus of our own starts nothing by itself: what answers is what the test started.
const BUS_CONFIG: &str = r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>ADDRESS</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"#;
/// Where the first key lies in the bytes of an item.
const KEY: std::ops::Range<usize> = 9..41;
const ROUNDS: u64 = 10;
/// The latest moment of a kill: a rotation asks the keyring a few times, within about this time.
const MOMENT_MAX_MS: u64 = 300;
/// The exit code for what may work later.
const TEMPORARY: i32 = 75;

/// A desktop session: a bus and a keyring daemon, with folders of their own.
struct Desktop {
    folder: TempDir,
    bus: Option<Child>,
    daemon: Option<Child>,
}

impl Desktop {
    /// Starts a session whose keyring is open; `None` where there are no daemons.
    #[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
    fn open() -> Option<Self> {
        for program in ["dbus-daemon", "gnome-keyring-daemon"] {
            let asked = Command::new(program).arg("--version").output();
            if !asked.is_ok_and(|said| said.status.success()) {
                println!(
                    "skipped: {program} is not installed; on Debian: apt-get install dbus gnome-keyring"
                );
                return None;
            }
        }
        let mut desktop = Self {
            folder: tempfile::tempdir().expect("a folder"),
            bus: None,
            daemon: None,
        };
        desktop.start_bus();
        desktop.start_daemon(Some(LOGIN));
        Some(desktop)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.at("bus").display())
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("HOME", self.folder.path())
            .env("XDG_DATA_HOME", self.at("data"))
            .env("XDG_CONFIG_HOME", self.at("config"))
            .env("XDG_CACHE_HOME", self.at("cache"))
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env(BUS, self.address())
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn start_bus(&mut self) {
        let config = self.at("bus.conf");
        fs::write(&config, BUS_CONFIG.replace("ADDRESS", &self.address())).expect("a file");
        let mut command = self.command("dbus-daemon");
        command.args(["--nofork", "--nopidfile"]);
        command.arg(format!("--config-file={}", config.display()));
        self.bus = Some(command.spawn().expect("the bus can be started"));
        eventually("the bus answers", || {
            UnixStream::connect(self.at("bus")).ok()
        });
    }

    /// Starts the keyring's daemon, locked without a password, and waits until it answers.
    fn start_daemon(&mut self, password: Option<&[u8]>) {
        let mut command = self.command("gnome-keyring-daemon");
        command.args(["--foreground", "--components=secrets"]);
        command.arg(format!(
            "--control-directory={}",
            self.at("control").display()
        ));
        if password.is_some() {
            command.arg("--unlock").stdin(Stdio::piped());
        }
        let mut daemon = command.spawn().expect("the keyring can be started");
        if let Some(password) = password {
            let mut stdin = daemon.stdin.take().expect("it is piped");
            stdin
                .write_all(password)
                .expect("the daemon reads the password");
        }
        self.daemon = Some(daemon);
        let name = ItemName::draw().expect("the system gives randomness");
        let is_open = password.is_some();
        eventually("the keyring answers", || {
            match (self.keyring().has(&name), is_open) {
                (Ok(false), true) | (Err(OsKeyringError::Locked), false) => Some(()),
                _ => None,
            }
        });
    }

    fn stop_daemon(&mut self) {
        end(&mut self.daemon);
    }

    /// Ends the session.
    fn log_out(&mut self) {
        end(&mut self.daemon);
        end(&mut self.bus);
        fs::remove_file(self.at("bus")).ok();
    }

    fn keyring(&self) -> SystemKeyring {
        SystemKeyring::of(Path::new("/a/test")).on_bus(&self.address())
    }

    fn read(&self, item: &ItemName) -> Vec<u8> {
        let read = self.keyring().read(item).expect("the keyring is open");
        read.expect("it has the item").to_vec()
    }

    /// Returns all that the keyring wrote to the disk.
    fn on_disk(&self) -> Vec<Vec<u8>> {
        let files = fs::read_dir(self.at("data/keyrings")).expect("the keyring writes files");
        let path =
            |file: std::io::Result<fs::DirEntry>| file.expect("a folder can be listed").path();
        files
            .map(|file| fs::read(path(file)).expect("a file"))
            .collect()
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        self.log_out();
    }
}

fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        child.kill().ok();
        child.wait().expect("a killed process ends");
    }
}

fn item_of(folder: &Path) -> ItemName {
    let item = Keyring::item(folder).expect("a key file");
    item.expect("the key is under an item")
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn the_keyring_of_the_desktop_opens_a_node_and_is_left_again() {
    let Some(desktop) = Desktop::open() else {
        return;
    };
    let mut node = Node::start_with("desk", &[(BUS, &desktop.address())]);
    let id = Http::of(&node).add("Behind the desktop", "t");
    let said = node
        .brainctl(["node", "key", "keyring"])
        .ok()
        .stdout
        .clone();
    assert!(said.contains("it opens by itself"), "{said}");
    assert_eq!(node.json(["node", "key", "show"])["kept"], "keyring");
    let item = item_of(&node.home());
    let first = desktop.read(&item);
    node.restart();
    assert!(title(&node, &id).contains("Behind the desktop"));

    node.brainctl(["node", "key", "rotate"]).ok();
    assert_eq!(item_of(&node.home()), item, "the item keeps its name");
    let second = desktop.read(&item);
    assert_ne!(first, second);
    assert_eq!(first.len(), second.len(), "one key is left");
    node.restart();
    assert!(title(&node, &id).contains("Behind the desktop"));

    // Neither key lies in plain on the disk or in the log.
    let files = desktop.on_disk();
    assert!(!files.is_empty(), "the keyring wrote nothing");
    for key in [&first[KEY], &second[KEY]] {
        assert!(!files.iter().any(|file| has(file, key)), "a key in plain");
        let master = fs::read(node.home().join("master.key")).expect("a file");
        assert!(!has(&master, key) && !has(node.log().as_bytes(), key));
    }

    // Every way out removes the item.
    let stick = node.folder().join("stick");
    let stick = stick.to_str().expect("the path is text").to_owned();
    let words = node.folder().join("words");
    fs::write(&words, "correct horse\n").expect("a file");
    let words = words.to_str().expect("the path is text");
    let remove = ["--yes", "node", "passphrase", "remove"];
    let ways: [Vec<&str>; 3] = [
        vec!["node", "key", "file", &stick],
        vec!["node", "passphrase", "set", "--passphrase-file", words],
        remove.to_vec(),
    ];
    for way in &ways {
        let item = item_of(&node.home());
        let said = node.brainctl(way).ok().stdout.clone();
        assert!(!said.contains("is left"), "{said}");
        assert_eq!(desktop.keyring().has(&item).ok(), Some(false), "{way:?}");
        let asks = (node.json(["node", "key", "show"])["kept"] == "passphrase")
            .then_some(["--current-file", words]);
        let back = ["node", "key", "keyring"].into_iter();
        node.brainctl(back.chain(asks.into_iter().flatten())).ok();
    }
    node.restart();
    assert!(title(&node, &id).contains("Behind the desktop"));
}

#[test]
fn a_keyring_that_is_away_is_waited_for_and_a_wrong_item_is_refused() {
    let Some(mut desktop) = Desktop::open() else {
        return;
    };
    let mut node = Node::start_with("away", &[(BUS, &desktop.address())]);
    let id = Http::of(&node).add("Behind the desktop", "t");
    node.brainctl(["node", "key", "keyring"]).ok();
    configure(&node, "method = \"keyring\"");
    let item = item_of(&node.home());
    let keyring = desktop.keyring();
    let good = desktop.read(&item);
    let file = fs::read(node.home().join("master.key")).expect("a file");
    node.stop();

    // The item of another folder of the same person, in place of ours; then none.
    let other = desktop.at("other");
    Keyring::create(&other, Unlock::OsKeyring(&keyring)).expect("the keyring is open");
    let wrong = desktop.read(&item_of(&other));
    keyring.write(&item, &wrong).expect("the keyring is open");
    let said = refused(&node);
    assert!(said.contains("does not open the master key"), "{said}");
    assert!(said.contains("nothing was changed"), "{said}");
    keyring.remove(&item).expect("the keyring is open");
    let said = refused(&node);
    assert!(said.contains("has no item named"), "{said}");
    assert!(said.contains("bring back the keyring"), "{said}");
    keyring.write(&item, &good).expect("the keyring is open");

    // Nobody is logged in; then somebody is, and the keyring is locked; then it is open.
    desktop.log_out();
    node.start_locked();
    let unlock = |why: &str| {
        let said = node.brainctl(["node", "unlock"]);
        assert_eq!(said.code, LOCKED, "{}", said.stderr);
        assert!(said.stderr.contains(why), "{}", said.stderr);
        assert!(said.stderr.contains("log in"), "{}", said.stderr);
    };
    unlock("cannot be reached");
    desktop.start_bus();
    unlock("cannot be reached");
    desktop.start_daemon(None);
    unlock("the OS keyring is locked");
    desktop.stop_daemon();
    desktop.start_daemon(Some(LOGIN));
    node.brainctl(["node", "unlock"]).ok();
    assert!(title(&node, &id).contains("Behind the desktop"));
    assert_eq!(
        fs::read(node.home().join("master.key")).expect("a file"),
        file
    );

    // Leaving a keyring that is away needs it: who cannot open the key does not change it.
    desktop.log_out();
    let said = node.brainctl(["--yes", "node", "passphrase", "remove"]);
    assert_eq!(said.code, TEMPORARY, "{}", said.stderr);
    assert!(said.stderr.contains("os_keyring"), "{}", said.stderr);
    assert_eq!(
        fs::read(node.home().join("master.key")).expect("a file"),
        file
    );
}

#[test]
fn a_change_in_the_keyring_that_is_killed_leaves_one_that_opens() {
    let Some(desktop) = Desktop::open() else {
        return;
    };
    let seed = crate::number("SEED").unwrap_or(20_261_128);
    let mut dice = Dice::of(seed);
    let mut node = Node::start_with("killed", &[(BUS, &desktop.address())]);
    let id = Http::of(&node).add("Still here", "t");
    node.brainctl(["node", "key", "keyring"]).ok();
    let item = item_of(&node.home());
    let (mut before, mut changed) = (desktop.read(&item), 0);
    for round in 0..ROUNDS * crate::number("SCALE").unwrap_or(1) {
        let moment = Duration::from_millis(dice.roll(MOMENT_MAX_MS));
        std::thread::scope(|scope| {
            let change = scope.spawn(|| node.brainctl(["node", "key", "rotate"]).code);
            std::thread::sleep(moment);
            node.kill_now();
            change.join().expect("the command ends")
        });
        node.kill();
        node.start_again();
        assert!(
            title(&node, &id).contains("Still here"),
            "SEED={seed} round {round}"
        );
        assert_eq!(item_of(&node.home()), item);
        let now = desktop.read(&item);
        changed += u64::from(now != before);
        before = now;
    }
    println!("{changed} of {ROUNDS} kills came after the item was written");
}

/// A bus that takes the connection and says nothing.
#[test]
fn a_keyring_that_never_answers_is_given_up() {
    const ENDS_MAX: Duration = Duration::from_mins(1);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bus");
    let _silent = UnixListener::bind(&path).expect("a socket");
    let address = format!("unix:path={}", path.display());
    let node = Node::start_with("silent", &[(BUS, &address)]);
    let before = fs::read(node.home().join("master.key")).expect("a file");
    let since = Instant::now();
    let said = node.brainctl(["node", "key", "keyring"]);
    assert_eq!(said.code, TEMPORARY, "{}", said.stderr);
    assert!(said.stderr.contains("cannot be reached"), "{}", said.stderr);
    assert!(since.elapsed() < ENDS_MAX, "{:?}", since.elapsed());
    assert_eq!(
        fs::read(node.home().join("master.key")).expect("a file"),
        before
    );
    assert_eq!(node.json(["node", "key", "show"])["kept"], "plain");
}
