//! An S3 server on the loopback that keeps all in memory, checks what it is sent, and fails as it is told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use super::super::{dates, sign};

/// Entries of a page of a list.
const PAGE: usize = 3;

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Below the bucket.
    pub(crate) name: String,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
    /// How many came before.
    pub(crate) nth: usize,
}

/// What the server does instead of what it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    None,
    /// Answers so and does nothing.
    Status(u16, &'static str),
    /// Sends a part of the body and closes.
    Truncate(usize),
    /// Sends pieces of a body with waits between.
    Slow(Duration),
    /// Says nothing for so long, then closes.
    Hang(Duration),
    /// Sends other bytes.
    Corrupt,
    /// Does not know conditions, and does not say so.
    NoCondition,
    /// Answers with this.
    Says(&'static str),
}

type Objects = Arc<Mutex<BTreeMap<String, (Vec<u8>, SystemTime)>>>;

pub(crate) struct FakeS3 {
    pub(crate) origin: String,
    pub(crate) objects: Objects,
    pub(crate) seen: Arc<Mutex<Vec<Asked>>>,
}

impl FakeS3 {
    pub(crate) fn start(fault: impl Fn(&Asked) -> Fault + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            origin: format!("http://{}", listener.local_addr().unwrap()),
            objects: Arc::default(),
            seen: Arc::default(),
        };
        let (objects, seen) = (Arc::clone(&server.objects), Arc::clone(&server.seen));
        let (fault, uploads): (Arc<_>, Objects) = (Arc::new(fault), Arc::default());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (objects, uploads) = (Arc::clone(&objects), Arc::clone(&uploads));
                let (seen, fault) = (Arc::clone(&seen), Arc::clone(&fault));
                // A client that goes away ends its thread, and nothing else.
                thread::spawn(move || serve(&stream, &objects, &uploads, &seen, &*fault));
            }
        });
        server
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }
}

struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

fn reply(status: u16, body: impl Into<Vec<u8>>) -> Reply {
    Reply {
        status,
        headers: Vec::new(),
        body: body.into(),
    }
}

fn error(status: u16, code: &str) -> Reply {
    let body = format!("<Error><Code>{code}</Code><Message>as the test says</Message></Error>");
    reply(status, body)
}

fn serve(
    stream: &TcpStream,
    objects: &Objects,
    uploads: &Objects,
    seen: &Mutex<Vec<Asked>>,
    fault: &dyn Fn(&Asked) -> Fault,
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let mut asked = read(&mut reader)?;
        {
            let mut seen = seen.lock().unwrap();
            asked.nth = seen.len();
            seen.push(asked.clone());
        }
        let fault = fault(&asked);
        let mut reply = match fault {
            Fault::Status(status, code) => error(status, code),
            Fault::Says(text) => reply(200, text),
            Fault::Hang(time) => {
                thread::sleep(time);
                return None;
            }
            _ => answer(&asked, objects, uploads, fault != Fault::NoCondition),
        };
        if fault == Fault::Corrupt && asked.method == "GET" && !reply.body.is_empty() {
            reply.body[0] ^= 1;
        }
        let length = match reply
            .headers
            .iter()
            .find(|(name, _)| *name == "content-length")
        {
            Some((_, length)) => length.clone(),
            None => reply.body.len().to_string(),
        };
        let mut head = format!(
            "HTTP/1.1 {} X\r\ncontent-length: {length}\r\ndate: {}\r\n",
            reply.status,
            httpdate::fmt_http_date(SystemTime::now())
        );
        for (name, value) in &reply.headers {
            if *name != "content-length" {
                let _ = write!(head, "{name}: {value}\r\n");
            }
        }
        writer.write_all((head + "\r\n").as_bytes()).ok()?;
        match fault {
            Fault::Truncate(bytes) if reply.body.len() > bytes => {
                writer.write_all(&reply.body[..bytes]).ok()?;
                let _ = stream.shutdown(std::net::Shutdown::Both);
                return None;
            }
            Fault::Slow(wait) => {
                for piece in reply.body.chunks(reply.body.len().div_ceil(5).max(1)) {
                    thread::sleep(wait);
                    writer.write_all(piece).ok()?;
                    writer.flush().ok()?;
                }
            }
            _ => writer.write_all(&reply.body).ok()?,
        }
    }
}

fn answer(asked: &Asked, objects: &Objects, uploads: &Objects, conditions: bool) -> Reply {
    if asked.headers.get("x-amz-content-sha256") != Some(&sign::sha256(&asked.body)) {
        return error(400, "XAmzContentSHA256Mismatch");
    }
    let mut objects = objects.lock().unwrap();
    let mut uploads = uploads.lock().unwrap();
    let upload = asked.query.get("uploadId");
    let condition = conditions
        && asked
            .headers
            .get("if-none-match")
            .is_some_and(|tag| tag == "*");
    match (asked.method.as_str(), upload) {
        ("GET", _) if asked.name.is_empty() => list(asked, &objects),
        ("GET" | "HEAD", _) => {
            let Some((bytes, modified)) = objects.get(&asked.name) else {
                return error(404, "NoSuchKey");
            };
            let from = asked.headers.get("range").map(|range| {
                let from = range
                    .strip_prefix("bytes=")
                    .unwrap()
                    .strip_suffix('-')
                    .unwrap();
                from.parse::<usize>().unwrap()
            });
            let mut found = reply(200, bytes.clone());
            if let Some(from) = from {
                found = reply(206, &bytes[from..]);
            }
            let modified = httpdate::fmt_http_date(*modified);
            found.headers.push(("last-modified", modified));
            if asked.method == "HEAD" {
                found
                    .headers
                    .push(("content-length", bytes.len().to_string()));
                found.body.clear();
            }
            found
        }
        ("PUT", Some(upload)) => {
            let part = format!("{upload}/{:0>5}", asked.query["partNumber"]);
            uploads.insert(part, (asked.body.clone(), SystemTime::now()));
            let mut done = reply(200, "");
            done.headers
                .push(("etag", format!("\"{}\"", sign::sha256(&asked.body))));
            done
        }
        ("PUT", None) => {
            if condition && objects.contains_key(&asked.name) {
                return error(412, "PreconditionFailed");
            }
            objects.insert(asked.name.clone(), (asked.body.clone(), SystemTime::now()));
            reply(200, "")
        }
        ("POST", None) => reply(
            200,
            format!(
                "<InitiateMultipartUploadResult><UploadId>u{}</UploadId></InitiateMultipartUploadResult>",
                asked.nth
            ),
        ),
        ("POST", Some(upload)) => {
            if condition && objects.contains_key(&asked.name) {
                return error(412, "PreconditionFailed");
            }
            let prefix = format!("{upload}/");
            let parts = uploads
                .range(prefix.clone()..)
                .take_while(|(name, _)| name.starts_with(&prefix));
            let bytes: Vec<u8> = parts.flat_map(|(_, (bytes, _))| bytes.clone()).collect();
            objects.insert(asked.name.clone(), (bytes, SystemTime::now()));
            reply(200, "<CompleteMultipartUploadResult/>")
        }
        ("DELETE", Some(upload)) => {
            uploads.retain(|name, _| !name.starts_with(upload.as_str()));
            reply(204, "")
        }
        ("DELETE", None) => {
            objects.remove(&asked.name);
            reply(204, "")
        }
        _ => error(405, "MethodNotAllowed"),
    }
}

fn list(asked: &Asked, objects: &BTreeMap<String, (Vec<u8>, SystemTime)>) -> Reply {
    let prefix = &asked.query["prefix"];
    let after = asked
        .query
        .get("continuation-token")
        .cloned()
        .unwrap_or_default();
    let found = objects
        .iter()
        .filter(|(name, _)| name.starts_with(prefix) && **name > after);
    let found: Vec<_> = found.take(PAGE + 1).collect();
    let mut body = String::from("<ListBucketResult>");
    for (name, (bytes, modified)) in found.iter().take(PAGE) {
        let at = dates::compact(*modified);
        let at = format!(
            "{}-{}-{}T{}:{}:{}.000Z",
            &at[..4],
            &at[4..6],
            &at[6..8],
            &at[9..11],
            &at[11..13],
            &at[13..15]
        );
        let _ = write!(
            body,
            "<Contents><Key>{name}</Key><Size>{}</Size><LastModified>{at}</LastModified></Contents>",
            bytes.len()
        );
    }
    if found.len() > PAGE {
        let _ = write!(
            body,
            "<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>",
            found[PAGE - 1].0
        );
    }
    reply(200, body + "</ListBucketResult>")
}

fn read(reader: &mut impl BufRead) -> Option<Asked> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        let mut parts = text.split('%');
        let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
        for part in parts {
            bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
            bytes.extend(&part.as_bytes()[2..]);
        }
        String::from_utf8(bytes).unwrap()
    };
    let mut asked = Asked {
        method,
        // Path style: the bucket comes first.
        name: decoded(
            path.trim_start_matches('/')
                .split_once('/')
                .map_or("", |(_, name)| name),
        ),
        query: query
            .split('&')
            .filter_map(|part| part.split_once('='))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect(),
        ..Asked::default()
    };
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        asked
            .headers
            .insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = asked
        .headers
        .get("content-length")
        .and_then(|text| text.parse().ok());
    asked.body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut asked.body).ok()?;
    Some(asked)
}
