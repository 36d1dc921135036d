//! An embedding endpoint: a small HTTP server on loopback whose model is plain arithmetic.
//!
//! It speaks Ollama's `/api/embed` and `OpenAI`'s `/v1/embeddings`. Not a copy of our client: it is
//! the far side, and it can be told to be away, slow, wrong, or another model.
//!
//! The model knows nine things in three languages. A text's vector is the sum of the directions of
//! its words; words for one thing share a direction, any other has one of its own by a hash. So
//! `dog` finds `Hund`, which the model in the binary does not.
//!
//! Invariant: the same words give the same vector, on every machine and in any batch.

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Words for one thing.
const THINGS: [[&str; 3]; 9] = [
    ["dog", "hund", "perro"],
    ["cat", "katze", "gato"],
    ["bread", "brot", "pan"],
    ["house", "haus", "casa"],
    ["doctor", "arzt", "medico"],
    ["river", "fluss", "rio"],
    ["winter", "winterzeit", "invierno"],
    ["key", "schluessel", "llave"],
    ["letter", "brief", "carta"],
];
/// The numbers of a vector.
const DIMENSIONS: usize = 48;

/// What is wrong with the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Connections end without an answer.
    Away,
    /// Every answer is this status.
    Status(u16),
    /// Every answer takes so long.
    Slow(Duration),
    /// One number of the last vector is `NaN`, as some servers write it.
    NotANumber,
    /// The last vector has a number less than the others.
    Ragged,
    /// There is a vector less than texts.
    TooFew,
    /// A text with the word `poison` makes the whole request fail.
    Poison,
    /// Every answer sends the client on to another port of this machine.
    Elsewhere(u16),
}

/// An embedding endpoint; its threads end with the process.
#[derive(Debug, Clone)]
pub struct Endpoint {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    fault: Fault,
    /// Another number is another model.
    model: u64,
    texts: Vec<String>,
    /// When each text came.
    came: Vec<Instant>,
    keys: Vec<String>,
    /// Requests that may still be answered, if they are counted.
    budget: Option<usize>,
}

impl Endpoint {
    /// Starts an endpoint on a free port of loopback.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let endpoint = Self {
            address: listener
                .local_addr()
                .expect("a bound socket has an address"),
            shared: Arc::default(),
        };
        let serving = endpoint.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || serving.serve(&stream));
            }
        });
        endpoint
    }

    /// Returns its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the address that Ollama would have.
    pub fn ollama(&self) -> String {
        format!("http://{}/api/embed", self.address)
    }

    /// Returns the address that an OpenAI-compatible server would have.
    pub fn open_ai(&self) -> String {
        format!("http://{}/v1/embeddings", self.address)
    }

    /// Says what is wrong from now on.
    pub fn set(&self, fault: Fault) {
        self.lock().fault = fault;
    }

    /// Puts another model behind the same name.
    pub fn change_model(&self, model: u64) {
        self.lock().model = model;
    }

    /// Answers so many requests more and is away afterwards; or all, if none is given.
    pub fn allow(&self, requests: Option<usize>) {
        self.lock().budget = requests;
    }

    /// Returns every text that was sent here so far.
    pub fn texts(&self) -> Vec<String> {
        self.lock().texts.clone()
    }

    /// Returns how long it took from the first text with a word to the last.
    pub fn span(&self, word: &str) -> Duration {
        let shared = self.lock();
        let texts = shared.texts.iter().zip(&shared.came);
        let mut came = texts.filter(|(text, _)| text.contains(word));
        let first = came.next().map(|(_, at)| *at);
        let last = came.next_back().map(|(_, at)| *at);
        first
            .zip(last)
            .map(|(first, last)| last - first)
            .unwrap_or_default()
    }

    /// Returns what came as `Authorization`.
    pub fn keys(&self) -> Vec<String> {
        self.lock().keys.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one request; a client that goes away early is not a fault of ours.
    fn serve(&self, stream: &TcpStream) {
        if let Some((path, key, body)) = read(stream) {
            let answer = self.answer(&path, key, &body);
            if let Some(answer) = answer {
                (&*stream).write_all(answer.as_bytes()).ok();
            }
        }
    }

    fn answer(&self, path: &str, key: Option<String>, body: &Value) -> Option<String> {
        let texts = body["input"].as_array()?;
        let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
        let (fault, model) = {
            let mut shared = self.lock();
            let is_over = shared.budget == Some(0);
            if shared.fault == Fault::Away || is_over {
                return None;
            }
            shared.budget = shared.budget.map(|left| left - 1);
            shared
                .texts
                .extend(texts.iter().map(|text| (*text).to_owned()));
            let now = Instant::now();
            shared.came.extend(texts.iter().map(|_| now));
            shared.keys.extend(key);
            (shared.fault, shared.model)
        };
        match fault {
            Fault::Status(status) => return Some(reply(status, "", "no")),
            Fault::Slow(time) => std::thread::sleep(time),
            Fault::Elsewhere(port) => {
                let to = format!("Location: http://127.0.0.1:{port}{path}\r\n");
                return Some(reply(307, &to, ""));
            }
            Fault::Poison if texts.iter().any(|text| text.contains("poison")) => {
                // It repeats what it was sent, as servers do.
                return Some(reply(400, "", &texts.join(" ")));
            }
            _ => {}
        }
        let mut vectors: Vec<Value> = texts
            .iter()
            .map(|text| json!(vector(model, text)))
            .collect();
        match fault {
            Fault::TooFew => drop(vectors.pop()),
            Fault::Ragged => {
                if let Some(last) = vectors.last_mut().and_then(Value::as_array_mut) {
                    last.pop();
                }
            }
            _ => {}
        }
        let mut text = if path == "/api/embed" {
            json!({"model": body["model"], "embeddings": vectors}).to_string()
        } else {
            // Out of order, as the format allows.
            let items = vectors.into_iter().enumerate().rev();
            let items = items.map(|(index, it)| json!({"index": index, "embedding": it}));
            json!({"object": "list", "data": items.collect::<Vec<_>>()}).to_string()
        };
        if fault == Fault::NotANumber {
            text = text.replacen("[[", "[[NaN,", 1);
        }
        Some(reply(200, "", &text))
    }
}

/// Reads a request: its path, its key, and its body as JSON.
fn read(stream: &TcpStream) -> Option<(String, Option<String>, Value)> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut bytes, mut key) = (0, None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => bytes = value.parse().ok()?,
            "authorization" => key = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; bytes];
    reader.read_exact(&mut body).ok()?;
    Some((path, key, serde_json::from_slice(&body).ok()?))
}

fn reply(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Answer\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// Embeds a text.
fn vector(model: u64, text: &str) -> Vec<f32> {
    let mut sum = vec![0.0; DIMENSIONS];
    for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()) {
        if word.is_empty() {
            continue;
        }
        let thing = THINGS.iter().find(|names| names.contains(&word));
        let meant = thing.map_or(word, |names| names[0]);
        let hash = Sha256::digest(format!("{model} {meant}"));
        for (part, at) in sum.iter_mut().zip(0_usize..) {
            let turn = u32::from(at >= hash.len()) * 3;
            let byte = hash[at % hash.len()].rotate_left(turn);
            *part += f32::from(byte.cast_signed()) / 128.0;
        }
    }
    sum
}
