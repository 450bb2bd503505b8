//! A mail server and an HTTPS server, which are not drdrill's, and what they got.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::sandbox::Sandbox;

/// The servers. They end with this.
#[derive(Debug)]
pub(crate) struct PostOffice {
    process: Child,
    place: Sandbox,
    pub(crate) mail_port: u16,
    pub(crate) web_port: u16,
}

/// Name and password that the mail server wants.
pub(crate) const USER: &str = "drdrill";
pub(crate) const PASSWORD: &str = "open sesame, please";

impl PostOffice {
    pub(crate) fn open() -> Self {
        let place = Sandbox::new();
        let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = place.path("key.pem");
        fs::write(place.path("certificate.pem"), certified.cert.pem()).unwrap();
        fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/post_office.py");
        // Debian's own, which has the package python3-aiosmtpd.
        let mut command = Command::new("/usr/bin/python3");
        command.arg(program).arg(place.path("")).arg(place.path("certificate.pem")).arg(key);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut ports = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut ports).unwrap();
        let mut ports = ports.split_whitespace().map(|port| port.parse().unwrap());
        let (mail_port, web_port) = (ports.next().unwrap(), ports.next().unwrap());
        Self { process, place, mail_port, web_port }
    }

    /// The only certificate that is to be trusted.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.place.path("certificate.pem")
    }

    /// The mails, in the order in which they came.
    pub(crate) fn mails(&self) -> Vec<String> {
        let mail = |number: usize| fs::read(self.place.path(&format!("mails/{number}"))).ok();
        let mails = (1..).map_while(mail);
        mails.map(|mail| String::from_utf8(mail).unwrap()).collect()
    }

    /// The requests of that method and path, in the order in which they came.
    pub(crate) fn requests(&self, method: &str, path: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.place.path("requests.jsonl")).unwrap_or_default();
        let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        all.filter(|one| one["method"] == method && one["path"] == path).collect()
    }
}

impl Drop for PostOffice {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}
