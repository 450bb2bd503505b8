//! Those whom an environment file wants to be told, made into what tells them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use drdrill_core::address::HostPort;
use drdrill_core::event::{Event, Journal};
use drdrill_core::inventory::{
    Channel, Email, Inventory, Notify, SecretSource, SecretUrl, StatusPage, Webhook, web_host,
};
use drdrill_core::probe::HeaderValue;
use drdrill_core::scenario::Scenario;
use drdrill_core::secret::Secret;
use drdrill_core::time::At;
use drdrill_engine::state::new_run_id;
use drdrill_environments::secrets;
use drdrill_notify::channel::{self, Mail, Server, Way};
use drdrill_notify::notifier::{Notifier, Recipient};
use drdrill_notify::story::About;

use crate::exit::{Code, Failure};
use crate::guards;

/// How long the end of a drill waits for notices that are under way.
pub(crate) const LAST_NOTICES: Duration = Duration::from_secs(20);
/// A maintenance on a status page outlives the longest that faults can be in place by so much: the time a drill takes
/// before its first fault and after its last one.
const MARGIN: Duration = Duration::from_mins(30);

/// Those who are told, with their secrets fetched.
///
/// Fails when a secret is not there or an address is wrong: better known before anything is broken.
pub(crate) fn recipients(
    notify: &Notify,
    scenario: Option<&Scenario>,
) -> Result<Vec<Recipient>, Failure> {
    let longest = scenario.map_or(Duration::ZERO, guards::production::longest) + MARGIN;
    let one = |spec: &drdrill_core::inventory::Recipient| {
        let by = match &spec.by {
            Channel::Webhook(webhook) => by_webhook(webhook),
            Channel::Email(email) => by_mail(email),
            Channel::StatusPage(page) => by_status_page(page, longest),
        };
        let by =
            by.map_err(|why| Failure::new(Code::NotReady, format!("notify {}: {why}", spec.name)))?;
        let (title, text) = (spec.title.clone(), spec.text.clone());
        Ok(Recipient { name: spec.name.clone(), from: spec.from, title, text, by })
    };
    notify.to.iter().map(one).collect()
}

/// What tells people of a run; `None` when nobody wants to be told.
pub(crate) fn notifier(
    inventory: &Inventory,
    scenario: &Scenario,
    run_id: &str,
    recipients: Vec<Recipient>,
    journal: Arc<dyn Journal>,
) -> std::io::Result<Option<Notifier>> {
    let Some(notify) = &inventory.notify else { return Ok(None) };
    let about = About {
        run: run_id.to_owned(),
        scenario: scenario.scenario.clone(),
        scenario_title: scenario.title.clone(),
        environment: inventory.environment.clone(),
        production: inventory.production,
    };
    Notifier::start(recipients, about, notify.update_every.0, journal).map(Some)
}

/// Tells everybody that this is a trial; returns who took it, and why who did not.
pub(crate) fn try_out(inventory: &Inventory) -> Result<Vec<(String, Option<String>)>, Failure> {
    let Some(notify) = &inventory.notify else { return Ok(Vec::new()) };
    let recipients = recipients(notify, None)?;
    let about = About {
        run: new_run_id(chrono::Utc::now()),
        scenario: "none".to_owned(),
        scenario_title: "Nothing is broken".to_owned(),
        environment: inventory.environment.clone(),
        production: inventory.production,
    };
    let kept = Arc::new(Kept::default());
    let notifier = Notifier::start(recipients, about, notify.update_every.0, kept.clone())
        .map_err(|error| Failure::new(Code::NotReady, format!("start to notify: {error}")))?;
    notifier.try_out();
    notifier.settle(LAST_NOTICES);
    let told = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
    let one = |event: &Event| match event {
        Event::Notified { to, error, .. } => Some((to.clone(), error.clone())),
        _ => None,
    };
    Ok(told.iter().filter_map(one).collect())
}

/// A history that is kept for a moment.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<Event>>);

impl Journal for Kept {
    fn now(&self) -> At {
        At::default()
    }

    fn record(&self, event: Event) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

fn fetch(source: &SecretSource) -> Result<Secret, String> {
    secrets::fetch(source).map_err(|why| format!("{source}: {why}"))
}

fn url(url: &SecretUrl) -> Result<String, String> {
    match url {
        SecretUrl::Plain(url) => Ok(url.clone()),
        SecretUrl::Secret(source) => {
            let secret = fetch(source)?;
            // What is wrong with it may quote it; whoever prints that knows the secret by now.
            web_host(secret.expose()).map_err(|why| format!("the URL in {source}: {why}"))?;
            Ok(secret.expose().to_owned())
        }
    }
}

fn by_webhook(spec: &Webhook) -> Result<Way, String> {
    let headers = secrets::headers(&spec.headers).map_err(|error| error.to_string())?;
    let webhook = channel::Webhook::new(url(&spec.url)?, headers, spec.body.clone());
    webhook.map(Way::Webhook).map_err(|error| error.to_string())
}

fn by_mail(spec: &Email) -> Result<Way, String> {
    let server = HostPort::parse(&spec.server, None).map_err(|error| error.to_string())?;
    let password = spec.password.as_ref().map(fetch).transpose()?;
    let login = spec.user.clone().zip(password);
    let server = Server { host: server.host, port: server.port, tls: spec.tls, login };
    Mail::new(server, &spec.sender, &spec.to).map(Way::Mail).map_err(|error| error.to_string())
}

fn by_status_page(spec: &StatusPage, longest: Duration) -> Result<Way, String> {
    let key = fetch(&spec.token)?;
    let authorization = Secret::new(format!("OAuth {}", key.expose()))
        .map(HeaderValue::Secret)
        .map_err(|error| error.to_string())?;
    let (api, components) = (url(&spec.api)?, spec.components.clone());
    channel::StatusPage::new(&api, &spec.page, authorization, components, longest)
        .map(Way::StatusPage)
        .map_err(|error| error.to_string())
}
