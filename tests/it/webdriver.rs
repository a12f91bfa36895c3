//! As much of the `WebDriver` protocol (W3C) as the tests of pages need, spoken to chromedriver.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::needs::{Need, skip};

/// A headless Chromium; it ends with this.
pub(crate) struct Browser {
    driver: Child,
    session: String,
    agent: ureq::Agent,
    // Its profile, gone with it.
    profile: tempfile::TempDir,
}

impl Browser {
    /// Starts it; `None`, and a line that says so, where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let found = |names: &[&str]| {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path)
                .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
                .find(|file| file.is_file())
        };
        let chromium = found(&["chromium", "chromium-browser", "google-chrome"]);
        let (Some(chromium), Some(driver)) = (chromium, found(&["chromedriver"])) else {
            skip(Need::Browser, "chromium and chromedriver are not here");
            return None;
        };
        let port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let driver = Command::new(driver)
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let profile = tempfile::tempdir().unwrap();
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_mins(1)))
            .build();
        let mut browser = Self {
            driver,
            session: format!("http://127.0.0.1:{port}"),
            agent: ureq::Agent::new_with_config(config),
            profile,
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while browser.try_call("GET", "/status", None).is_err() {
            assert!(Instant::now() < deadline, "chromedriver does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        let folder = browser.profile.path().display().to_string();
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--hide-scrollbars".to_owned(),
            format!("--user-data-dir={folder}"),
        ];
        let capabilities = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"binary": chromium, "args": arguments},
        }}});
        let session = browser.call("POST", "/session", Some(&capabilities));
        let id = session["sessionId"].as_str().unwrap();
        browser.session = format!("{}/session/{id}", browser.session);
        Some(browser)
    }

    fn try_call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let url = format!("{}{path}", self.session);
        let answer = match (method, body) {
            ("POST", body) => {
                let body = body.map_or_else(|| "{}".to_owned(), Value::to_string);
                self.agent
                    .post(&url)
                    .content_type("application/json")
                    .send(body)
            }
            ("DELETE", _) => self.agent.delete(&url).call(),
            _ => self.agent.get(&url).call(),
        };
        let mut answer = answer.map_err(|error| error.to_string())?;
        // A picture of a page is larger than what is read by default.
        let body = answer.body_mut().with_config().limit(1 << 27);
        let text = body.read_to_string().map_err(|error| error.to_string())?;
        let answer: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        match answer["value"]["error"].as_str() {
            Some(error) => Err(format!("{error}: {}", answer["value"]["message"])),
            None => Ok(answer["value"].clone()),
        }
    }

    fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        self.try_call(method, path, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Opens a file, with what follows its address.
    pub(crate) fn open(&self, file: &Path, rest: &str) {
        let url = format!("file://{}{rest}", file.display());
        // From elsewhere, so that another fragment of the same page is a new page too.
        self.call("POST", "/url", Some(&json!({"url": "about:blank"})));
        self.call("POST", "/url", Some(&json!({"url": url})));
    }

    /// What a script in the page returns.
    pub(crate) fn ask(&self, script: &str) -> Value {
        let body = json!({"script": format!("return {script};"), "args": []});
        self.call("POST", "/execute/sync", Some(&body))
    }

    /// Waits until what a script returns is true.
    pub(crate) fn wait_for(&self, script: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while self.ask(script) != json!(true) {
            assert!(Instant::now() < deadline, "never true: {script}");
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn element(&self, selector: &str) -> String {
        let body = json!({"using": "css selector", "value": selector});
        let found = self.call("POST", "/element", Some(&body));
        let id = found.as_object().unwrap().values().next().unwrap();
        id.as_str().unwrap().to_owned()
    }

    pub(crate) fn click(&self, selector: &str) {
        let path = format!("/element/{}/click", self.element(selector));
        self.call("POST", &path, None);
    }

    /// Types into what has the focus.
    pub(crate) fn press(&self, keys: &str) {
        let strokes = keys.chars().flat_map(|key| {
            ["keyDown", "keyUp"].map(|kind| json!({"type": kind, "value": key.to_string()}))
        });
        let strokes: Vec<Value> = strokes.collect();
        let body = json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]});
        self.call("POST", "/actions", Some(&body));
    }

    pub(crate) fn resize(&self, width: u32, height: u32) {
        let body = json!({"width": width, "height": height});
        self.call("POST", "/window/rect", Some(&body));
    }

    /// What the page's scripts and the browser's guards complained of.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let log = self.call("POST", "/se/log", Some(&json!({"type": "browser"})));
        let entries = log.as_array().unwrap().iter();
        entries.map(|entry| entry["message"].to_string()).collect()
    }

    /// Keeps a picture of the window where `SCREENSHOTS` names a folder, to be looked at.
    pub(crate) fn picture(&self, name: &str) {
        let Some(folder) = std::env::var_os("SCREENSHOTS") else {
            return;
        };
        let picture = self.call("GET", "/screenshot", None);
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(picture.as_str().unwrap())
            .unwrap();
        std::fs::write(Path::new(&folder).join(format!("{name}.png")), bytes).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.try_call("DELETE", "", None);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
