//! A server on this machine that speaks enough of the OpenAI protocol, and fails as it is told.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// The header that carries the key, as it came.
    pub(crate) authorization: String,
    pub(crate) body: String,
    /// How often the same method, path and body came before.
    pub(crate) nth: u32,
}

impl Asked {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The last message of a chat, or the prompt.
    pub(crate) fn prompt(&self) -> String {
        let json = self.json();
        let messages = json["messages"].as_array();
        let last = messages.and_then(|messages| messages.last());
        let text = last.map_or(&json["prompt"], |message| &message["content"]);
        text.as_str().unwrap_or_default().to_owned()
    }

    /// A number from 0 to 99 that depends on the request and on how often it came.
    pub(crate) fn lot(&self) -> u32 {
        let text = format!("{}{}", self.nth, self.body);
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        u32::try_from((hash >> 20) % 100).unwrap()
    }
}

/// What the server does with a request.
pub(crate) enum Act {
    /// Answers.
    Answer(u16, &'static str, String),
    /// Answers with these bytes, of this type.
    Bytes(&'static str, Vec<u8>),
    /// Announces all of the body, sends a part and closes.
    Truncate(String),
    /// Says nothing for so long, then closes.
    Hang(Duration),
}

impl Act {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::Answer(status, "", body.to_string())
    }

    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(
            status,
            &json!({ "error": { "code": code, "message": message } }),
        )
    }

    /// A completion, in the form of either interface.
    pub(crate) fn says(text: &str) -> Self {
        Self::json(200, &completion(text))
    }
}

pub(crate) fn completion(text: &str) -> Value {
    json!({
        "id": "c",
        "model": "tiny",
        "choices": [{ "index": 0, "finish_reason": "stop", "text": text, "message": { "role": "assistant", "content": text } }],
        "usage": { "prompt_tokens": 11, "completion_tokens": 7 },
    })
}

/// How often each distinct request was asked, and answered with a success that arrived: the client went
/// on with the connection or closed it in order. One that gave up waiting, on a machine with too
/// much to do, leaves the answer unread and resets it.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Count {
    pub(crate) asked: u32,
    pub(crate) answered: u32,
}

/// The server; it runs until the test ends.
pub(crate) struct FaultServer {
    pub(crate) base_url: String,
    counts: Arc<Mutex<BTreeMap<String, Count>>>,
}

impl FaultServer {
    pub(crate) fn new(act: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1", act)
    }

    /// A server at another address of this machine.
    pub(crate) fn at(host: &str, act: impl Fn(&Asked) -> Act + Send + Sync + 'static) -> Self {
        Self::on(host, 0, act)
    }

    /// A server at a port of this machine; 0 for any that is free.
    pub(crate) fn on(
        host: &str,
        port: u16,
        act: impl Fn(&Asked) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((host, port)).unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let counts: Arc<Mutex<BTreeMap<String, Count>>> = Arc::default();
        let (act, shared) = (Arc::new(act), Arc::clone(&counts));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (act, counts) = (Arc::clone(&act), Arc::clone(&shared));
                // A client that goes away ends its thread, and nothing else.
                std::thread::spawn(move || drop(serve(&stream, &*act, &counts)));
            }
        });
        Self { base_url, counts }
    }

    /// By method, path and body.
    pub(crate) fn counts(&self) -> BTreeMap<String, Count> {
        self.counts.lock().unwrap().clone()
    }

    /// Requests that came so far.
    pub(crate) fn asked(&self) -> u32 {
        self.counts().values().map(|count| count.asked).sum()
    }

    /// Successes that arrived so far.
    pub(crate) fn answered(&self) -> u32 {
        self.counts().values().map(|count| count.answered).sum()
    }

    /// The counts once `answered` successes arrived: the last ones are known when the client is gone.
    pub(crate) fn settled(&self, answered: u32) -> BTreeMap<String, Count> {
        for _ in 0..200 {
            if self.answered() >= answered {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        assert!(self.answered() >= answered, "{} answered", self.answered());
        self.counts()
    }
}

fn serve(
    stream: &TcpStream,
    act: &dyn Fn(&Asked) -> Act,
    counts: &Mutex<BTreeMap<String, Count>>,
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    let mut open: Option<String> = None;
    loop {
        let next = read(&mut reader)?;
        if let Some(key) = open.take() {
            counts.lock().unwrap().entry(key).or_default().answered += 1;
        }
        let Some(mut asked) = next else {
            return Ok(());
        };
        let key = format!("{} {} {}", asked.method, asked.path, asked.body);
        {
            let mut counts = counts.lock().unwrap();
            let count = counts.entry(key.clone()).or_default();
            asked.nth = count.asked;
            count.asked += 1;
        }
        let mut answer = |status: u16, kind: &str, headers: &str, body: &[u8]| {
            write!(
                writer,
                "HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{headers}content-length: {}\r\n\r\n",
                body.len()
            )?;
            writer.write_all(body)
        };
        match act(&asked) {
            Act::Answer(status, headers, body) => {
                answer(status, "application/json", headers, body.as_bytes())?;
                open = (status == 200).then_some(key);
            }
            Act::Bytes(kind, body) => {
                answer(200, kind, "", &body)?;
                open = Some(key);
            }
            Act::Truncate(body) => {
                let half = &body.as_bytes()[..body.len() / 2];
                write!(
                    writer,
                    "HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                )?;
                writer.write_all(half)?;
                return stream.shutdown(std::net::Shutdown::Both);
            }
            Act::Hang(time) => {
                std::thread::sleep(time);
                return Ok(());
            }
        }
    }
}

fn read(reader: &mut impl BufRead) -> std::io::Result<Option<Asked>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let (mut length, mut authorization) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "authorization" | "api-key" => value.trim().clone_into(&mut authorization),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some(Asked {
        method,
        path,
        authorization,
        body: String::from_utf8_lossy(&body).into_owned(),
        nth: 0,
    }))
}
