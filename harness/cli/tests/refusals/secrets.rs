//! Secrets that the system under drill sends back in every form: none of them reaches the terminal, the evidence or the
//! ledger. The same search finds what is not known to be a secret, so that it is proved to find anything.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::support::page::{Page, answer};
use crate::support::quick::quick;
use crate::support::sandbox::{Outcome, Sandbox};
use crate::support::undisturbed::undisturbed;
use crate::support::world::nothing_is_left;

/// Canaries of the shapes that credentials have: the header's value, and what in it is the secret.
fn canaries() -> Vec<(String, String)> {
    let basic = STANDARD.encode("admin:pw/Canary~3");
    vec![
        ("canary-plain-1".to_owned(), "canary-plain-1".to_owned()),
        ("Bearer eyJhbGci.Canary2.c2ln-_x".to_owned(), "eyJhbGci.Canary2.c2ln-_x".to_owned()),
        (format!("Basic {basic}"), "pw/Canary~3".to_owned()),
        ("sid=s%3ACanary4/+x".to_owned(), "s%3ACanary4/+x".to_owned()),
        ("AKIA Canary5?&=\u{fc}=5".to_owned(), "AKIA Canary5?&=\u{fc}=5".to_owned()),
    ]
}

/// A text as others write it.
fn forms(text: &str) -> Vec<String> {
    let percent: String = text
        .bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect();
    let json: Vec<String> = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    vec![
        text.to_owned(),
        STANDARD.encode(text),
        URL_SAFE_NO_PAD.encode(text),
        percent,
        hex::encode(text),
        json.concat(),
    ]
}

/// Every file below a directory, and what it contains.
fn files(directory: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

/// All that a command said and left.
fn all_of(sandbox: &Sandbox, outcome: &Outcome) -> Vec<(String, Vec<u8>)> {
    let mut all = vec![
        ("stdout".to_owned(), outcome.stdout.clone().into_bytes()),
        ("stderr".to_owned(), outcome.stderr.clone().into_bytes()),
    ];
    if sandbox.state.exists() {
        files(&sandbox.state, &mut all);
    }
    all
}

/// Where any of the forms stands.
fn hits(all: &[(String, Vec<u8>)], forms: &[String]) -> Vec<String> {
    let holds = |bytes: &[u8], form: &str| {
        bytes.windows(form.len()).any(|window| window == form.as_bytes())
    };
    let pairs = all.iter().flat_map(|one| forms.iter().map(move |form| (one, form)));
    let found = pairs.filter(|((_, bytes), form)| holds(bytes, form));
    found.map(|((place, _), form)| format!("{form} in {place}")).collect()
}

/// A page that says who it is when it is asked first, and later sends back in an error and a redirect, in every form,
/// what `of` finds in the request.
fn echo(secret: String) -> Page {
    Page::serve(move |number, request| {
        assert!(request.contains(&secret), "the secret is sent: {request}");
        if number == 0 {
            return answer("200 OK", "", "cluster=one");
        }
        let said = forms(&secret).join(" | ");
        let location = format!("location: http://elsewhere.test/?{}\r\n", secret.replace(' ', "+"));
        answer("500 Server Error", &location, &format!("denied: {said}"))
    })
}

/// A drill on the lab whose pin is read from `page` with that header, and that is refused at its fault.
fn drill(sandbox: &Sandbox, page: &Page, header: &str) -> Command {
    let run = quick(sandbox);
    let path = sandbox.path("env.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let pin = format!(
        "pin: {{ http: {{ url: \"http://{}/id\", headers: {{ {header} }}, contains: cluster=one }} }}",
        page.address
    );
    fs::write(path, format!("{pin}\n{text}")).unwrap();
    sandbox.command(&run)
}

#[test]
fn no_secret_reaches_the_terminal_the_evidence_or_the_ledger() {
    undisturbed(|| {
        for (number, (value, secret)) in canaries().into_iter().enumerate() {
            let sandbox = Sandbox::new();
            // What of the value is sent back: the whole of it, and below its parts.
            let page = echo(value.clone());
            let file = sandbox.path("secret");
            fs::write(&file, format!("{value}\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            let header = if number % 2 == 0 {
                "Authorization: { env: CANARY }".to_owned()
            } else {
                format!("Cookie: {{ file: {} }}", file.display())
            };
            let mut command = drill(&sandbox, &page, &header);
            let outcome = Outcome::of(&command.env("CANARY", &value).output().unwrap()).exits(16);
            assert_eq!(page.asked(), 2, "it was sent back");
            assert!(outcome.stderr.contains("[redacted]"), "{}", outcome.stderr);
            let looked_for: Vec<String> = forms(&value).into_iter().chain(forms(&secret)).collect();
            for command in
                ["show last", "history", "check last", "status", "recover", "verify last"]
            {
                let more = sandbox.run(command);
                assert_eq!(hits(&all_of(&sandbox, &more), &looked_for), [""; 0], "{command}");
            }
            assert_eq!(hits(&all_of(&sandbox, &outcome), &looked_for), [""; 0]);
            for asked in
                ["explain quick.yaml --env env.yaml --format json", "doctor --env env.yaml"]
            {
                let mut command = sandbox.command(asked);
                let outcome = Outcome::of(&command.env("CANARY", &value).output().unwrap());
                assert_eq!(hits(&all_of(&sandbox, &outcome), &looked_for), [""; 0], "{asked}");
            }
            nothing_is_left(&sandbox);
        }
    });
}

#[test]
fn the_search_finds_what_is_not_known_to_be_a_secret() {
    undisturbed(|| {
        let sandbox = Sandbox::new();
        let value = "canary-known-to-nobody";
        let page = echo(value.to_owned());
        let mut command = drill(&sandbox, &page, &format!("X-Trace: {value}"));
        let outcome = Outcome::of(&command.output().unwrap()).exits(16);
        let all = all_of(&sandbox, &outcome);
        for form in forms(value).iter().filter(|form| !form.contains('\\')) {
            let found = hits(&all, std::slice::from_ref(form)).join("\n");
            for place in ["stderr", "events.jsonl", "record.json"] {
                assert!(found.contains(place), "{form} is not found in {place}: {found}");
            }
        }
        let found = hits(&all, &forms(value)).join("\n");
        for place in ["stdout", "stderr", "events.jsonl", "record.json", "report.html", "report.md"]
        {
            assert!(found.contains(place), "{place}: {found}");
        }
    });
}

#[test]
fn a_secret_in_a_file_is_refused_and_not_repeated() {
    let sandbox = Sandbox::new();
    let secret = "Canary-in-a-file-9";
    let cases = [
        format!("url: \"http://10.0.0.5/\", headers: {{ Authorization: \"Bearer {secret}\" }}"),
        format!("url: \"http://10.0.0.5/\", headers: {{ Accept: \"Basic {secret}\" }}"),
        format!("url: \"http://10.0.0.5/\", headers: {{ Cookie: \"sid={secret}\" }}"),
        format!("url: \"http://10.0.0.5/\", headers: {{ X-Api-Key: {secret} }}"),
        format!("url: \"http://10.0.0.5/\", headers: {{ x-vault-token: {secret} }}"),
        format!("url: \"http://admin:{secret}@10.0.0.5/\""),
        format!("url: \"http://{secret}@10.0.0.5/\""),
        format!("url: \"https://admin:{secret}@10.0.0.5/\""),
        format!("url: \"http://10.0.0.5/?access_token={secret}\""),
        format!("url: \"http://10.0.0.5/x?a=b&password={secret}#c\""),
    ];
    for case in cases {
        let text = format!(
            "environment: web\nprovider:\n  host:\n    probes:\n      - {{ name: web, service: web, attempt: {{ http: {{ {case} }} }} }}\nservices: [{{ name: web, tier: 1 }}]\n"
        );
        fs::write(sandbox.path("web.yaml"), text).unwrap();
        for command in
            ["validate no_op --env web.yaml", "run no_op --env web.yaml", "doctor --env web.yaml"]
        {
            let outcome = sandbox.run(command).exits(14);
            assert!(outcome.stderr.starts_with("drdrill: web.yaml:5:"), "{}", outcome.stderr);
            assert_eq!(hits(&all_of(&sandbox, &outcome), &[secret.to_owned()]), [""; 0], "{case}");
        }
        let said = sandbox.run("validate no_op --env web.yaml").stderr;
        assert!(said.contains("{ env: ") || said.contains("only http:// is spoken"), "{said}");
    }
}

#[test]
fn a_secret_that_is_not_there_is_said_before_anything_is_touched() {
    let sandbox = Sandbox::new();
    let page = Page::serve(|_, _| answer("200 OK", "", "cluster=one"));
    let open = sandbox.path("open");
    fs::write(&open, "canary-for-all-to-read").unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    for (header, why) in [
        ("Cookie: { env: NO_SUCH }".to_owned(), "environment variable NO_SUCH"),
        ("Cookie: { file: /no/such }".to_owned(), "No such file"),
        (format!("Cookie: {{ file: {} }}", open.display()), "run chmod 600 on it"),
    ] {
        let outcome = Outcome::of(&drill(&sandbox, &page, &header).output().unwrap()).exits(13);
        assert!(outcome.stderr.contains(why), "{}", outcome.stderr);
        assert!(!outcome.stderr.contains("canary-for"), "{}", outcome.stderr);
        assert!(!sandbox.state.join("runs").exists(), "nothing was made");
    }
    assert_eq!(page.asked(), 0);
}
