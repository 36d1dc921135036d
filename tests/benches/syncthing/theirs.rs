//! Two Syncthing processes on loopback, without discovery, relays or anything else outside.

use crate::figures::{Cost, Figures};
use crate::notes::{Notes, name};
use brain_tests::measure::api::{Api, settled, until};
use brain_tests::measure::usage::{cpu_ms, cpu_s, disk, memory_kib};
use hyper::Method;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const LOOK: Duration = Duration::from_millis(50);
/// How many changes of a file are left to the watcher, which waits ten seconds for more.
const WATCHED: usize = 3;
/// How many connections are made anew; the figures are the mean.
const RECONNECTS: u32 = 5;

/// Returns what Syncthing says of its version; none if it is not installed.
pub(crate) fn version() -> Option<String> {
    let said = Command::new("syncthing").arg("--version").output().ok()?;
    let text = String::from_utf8(said.stdout).ok()?;
    Some(text.split(" (").next()?.trim().to_owned())
}

/// One process with its folder.
struct Side {
    home: PathBuf,
    notes: PathBuf,
    device: String,
    ports: [u16; 2],
    api: Api,
    child: Option<Child>,
}

impl Drop for Side {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("it is bound").port()
}

impl Side {
    fn make(folder: &Path, name: &str) -> Self {
        let home = folder.join(name);
        let notes = folder.join(format!("{name}-notes"));
        fs::create_dir_all(notes.join(".stfolder")).expect("a folder can be made");
        let run = |args: &[&str]| {
            let said = Command::new("syncthing")
                .args(args)
                .arg("--home")
                .arg(&home)
                .output();
            let said = said.expect("syncthing runs");
            assert!(
                said.status.success(),
                "{}",
                String::from_utf8_lossy(&said.stderr)
            );
            String::from_utf8_lossy(&said.stdout).trim().to_owned()
        };
        run(&["generate", "--no-default-folder", "--skip-port-probing"]);
        let device = run(&["serve", "--device-id"]);
        let ports = [free_port(), free_port()];
        Self {
            home,
            notes,
            device,
            ports,
            api: Api::at(ports[0], "key"),
            child: None,
        }
    }

    fn configure(&self, other: &Self, dials: bool) {
        // Only one of them dials: when both do at the same moment, both wait for 20 seconds.
        let device = |side: &Self, address: &str| {
            let paused = dials && side.device != self.device;
            format!(
                "<device id=\"{}\" compression=\"metadata\"><address>{address}</address>\
                 <paused>{paused}</paused></device>",
                side.device
            )
        };
        let there = format!("tcp://127.0.0.1:{}", other.ports[1]);
        let config = format!(
            "<configuration version=\"36\"><folder id=\"notes\" path=\"{}\" type=\"sendreceive\" \
             rescanIntervalS=\"3600\" fsWatcherEnabled=\"true\" fsWatcherDelayS=\"10\"><device id=\"{}\"/>\
             <device id=\"{}\"/></folder>{}{}<gui enabled=\"true\" tls=\"false\">\
             <address>127.0.0.1:{}</address><apikey>key</apikey></gui><options>\
             <listenAddress>tcp://127.0.0.1:{}</listenAddress>\
             <globalAnnounceEnabled>false</globalAnnounceEnabled>\
             <localAnnounceEnabled>false</localAnnounceEnabled><relaysEnabled>false</relaysEnabled>\
             <natEnabled>false</natEnabled><urAccepted>-1</urAccepted>\
             <autoUpgradeIntervalH>0</autoUpgradeIntervalH><startBrowser>false</startBrowser>\
             <crashReportingEnabled>false</crashReportingEnabled>\
             <reconnectionIntervalS>1</reconnectionIntervalS></options></configuration>",
            self.notes.display(),
            self.device,
            other.device,
            device(self, "dynamic"),
            device(other, if dials { &there } else { "dynamic" }),
            self.ports[0],
            self.ports[1],
        );
        fs::write(self.home.join("config.xml"), config).expect("the folder takes a file");
    }

    fn start(&mut self) {
        let log = fs::File::create(self.home.join("log")).expect("the folder takes a file");
        let child = Command::new("syncthing")
            .args([
                "serve",
                "--no-browser",
                "--no-restart",
                "--no-upgrade",
                "--home",
            ])
            .arg(&self.home)
            .env("STMONITORED", "yes")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.expect("syncthing runs"));
        until("Syncthing answers", LOOK, || {
            self.api.answers("/rest/system/ping")
        });
    }

    fn pid(&self) -> u32 {
        self.child.as_ref().map(Child::id).expect("it runs")
    }

    fn has(&self, count: usize) -> bool {
        let status = self.api.get("/rest/db/status?folder=notes");
        let number = |field: &str| status.get(field).and_then(serde_json::Value::as_u64);
        let local = number("localFiles") == Some(count as u64);
        local && number("needFiles") == Some(0) && status["state"] == "idle"
    }

    fn act(&self, verb: &str, other: &Self) {
        let path = format!("/rest/system/{verb}?device={}", other.device);
        self.api.call(Method::POST, &path, None);
    }

    /// Returns all bytes in both directions since the start.
    fn bytes(&self) -> u64 {
        let all = self.api.get("/rest/system/connections");
        let number = |name| all.pointer(name).and_then(serde_json::Value::as_u64);
        let both = ["/total/inBytesTotal", "/total/outBytesTotal"].map(number);
        both.into_iter().flatten().sum()
    }

    fn is_connected(&self, other: &Self) -> bool {
        let all = self.api.get("/rest/system/connections");
        let pointer = format!("/connections/{}/connected", other.device);
        all.pointer(&pointer) == Some(&serde_json::Value::Bool(true))
    }
}

/// Measures two Syncthings.
pub(crate) fn measure(notes: &Notes, edits: usize) -> Figures {
    let folder = TempDir::new().expect("the temporary folder takes a folder");
    let mut one = Side::make(folder.path(), "one");
    let mut other = Side::make(folder.path(), "other");
    one.configure(&other, true);
    other.configure(&one, false);
    let mut figures = Figures::default();
    one.start();
    until("it is idle", LOOK, || one.has(0));
    for number in 0..notes.count {
        let (from, to) = (
            notes.folder.join(name(number)),
            one.notes.join(name(number)),
        );
        fs::copy(from, to).expect("a file can be copied");
    }
    let (cpu, started) = (cpu_s(&[one.pid()]), Instant::now());
    one.api
        .call(Method::POST, "/rest/db/scan?folder=notes", None);
    until("all files are scanned", LOOK, || one.has(notes.count));
    figures.taken_in.wall = started.elapsed().as_secs_f64();
    figures.taken_in.cpu = cpu_s(&[one.pid()]) - cpu;
    other.start();
    until("the other is idle", LOOK, || other.has(0));
    first_sync(&mut figures, &one, &other, notes.count);
    for number in 0..edits {
        let told = edit(
            &one,
            &other,
            number % notes.count,
            &format!("told {number}"),
            true,
        );
        figures.edits.push(told);
    }
    for number in 0..WATCHED {
        let text = format!("watched {number}");
        figures
            .watched
            .push(edit(&one, &other, number, &text, false));
    }
    reconnect(&mut figures, &one, &other);
    figures.memory = [&one, &other].map(|side| memory_kib(side.pid()));
    figures.disk = [&one, &other].map(|side| disk(&side.home) + disk(&side.notes));
    figures
}

fn first_sync(figures: &mut Figures, one: &Side, other: &Side, count: usize) {
    let both = [one.pid(), other.pid()];
    let (cpu, bytes, started) = (cpu_s(&both), other.bytes(), Instant::now());
    one.act("resume", other);
    let complete = format!("/rest/db/completion?folder=notes&device={}", other.device);
    until("the first sync", LOOK, || {
        other.has(count) && one.api.get(&complete)["completion"] == 100.0
    });
    figures.first = Cost {
        wall: started.elapsed().as_secs_f64(),
        cpu: cpu_s(&both) - cpu,
    };
    figures.first_bytes = settled(|| other.bytes()) - bytes;
    figures.settled_cpu = cpu_s(&both) - cpu;
}

/// Appends a line to a file and returns how many milliseconds later the other side has it.
fn edit(one: &Side, other: &Side, number: usize, line: &str, tell: bool) -> f64 {
    let (from, to) = (one.notes.join(name(number)), other.notes.join(name(number)));
    let mut text = fs::read_to_string(&from).expect("the file is there");
    text.push_str(line);
    let started = Instant::now();
    fs::write(&from, &text).expect("the file can be written");
    if tell {
        let path = format!("/rest/db/scan?folder=notes&sub={}", name(number));
        one.api.call(Method::POST, &path, None);
    }
    until("an edit arrives", Duration::from_millis(1), || {
        fs::read_to_string(&to).is_ok_and(|there| there == text)
    });
    let took = started.elapsed().as_secs_f64() * 1_000.0;
    until("both are idle", LOOK, || {
        one.api.get("/rest/db/status?folder=notes")["state"] == "idle"
    });
    took
}

fn reconnect(figures: &mut Figures, one: &Side, other: &Side) {
    let both = [one.pid(), other.pid()];
    let mut sums = [0.0; 3];
    for _ in 0..RECONNECTS {
        one.act("pause", other);
        until("it is disconnected", LOOK, || !other.is_connected(one));
        let bytes = settled(|| other.bytes());
        let (cpu, started) = (cpu_ms(&both), Instant::now());
        one.act("resume", other);
        until("it is connected", Duration::from_millis(10), || {
            other.is_connected(one)
        });
        let took = started.elapsed().as_secs_f64() * 1_000.0;
        let after = settled(|| other.bytes());
        sums[0] += figure(after - bytes);
        sums[1] += cpu_ms(&both) - cpu;
        sums[2] += took;
    }
    figures.reconnect = sums.map(|sum| sum / f64::from(RECONNECTS));
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn figure(number: u64) -> f64 {
    number as f64
}
