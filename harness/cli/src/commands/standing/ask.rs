//! Asks whoever holds an environment that is up.

use drdrill_core::environment::Role;
use drdrill_core::scenario::{Failback, Known};
use drdrill_engine::state::StateDir;
use garde::Validate;
use tabled::Tabled;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::socket::Place;
use super::{Answer, Ask, Status};
use crate::args::{FailbackArgs, FailoverArgs, Format, StandingArgs};
use crate::exit::{Code, Failure, Outcome};
use crate::{catalog, out, progress};

/// How an environment that is up is doing.
pub(crate) fn status(state: &StateDir, args: &StandingArgs) -> Outcome {
    let answer = ask(state, &args.environment, &Ask::Status)?;
    show(answer, args.format.format)
}

/// Takes an environment down that is up.
pub(crate) fn down(state: &StateDir, args: &StandingArgs) -> Outcome {
    show(ask(state, &args.environment, &Ask::Down)?, args.format.format)
}

/// Fails over.
pub(crate) fn failover(state: &StateDir, args: &FailoverArgs) -> Outcome {
    let answer = ask(state, &args.env, &Ask::Failover { dry_run: args.dry_run })?;
    show(answer, args.format.format)
}

/// Fails back.
pub(crate) fn failback(state: &StateDir, args: &FailbackArgs) -> Outcome {
    let mut plan = Failback::default();
    if let Some(hold) = args.hold {
        plan.hold = hold;
        plan.validate_with(&Known::default())
            .map_err(|error| Failure::new(Code::Usage, format!("--hold: {error}")))?;
    }
    let answer = ask(state, &args.what.env, &Ask::Failback { dry_run: args.what.dry_run, plan })?;
    show(answer, args.what.format.format)
}

/// Asks, and shows what happens meanwhile; returns the last answer.
fn ask(state: &StateDir, environment: &str, ask: &Ask) -> Result<Answer, Failure> {
    let name = catalog::environment(environment)?.inventory()?.environment;
    let failed = |error: std::io::Error| {
        let message =
            format!("{name} is not up here ({error}); bring it up: drdrill env up {name}");
        Failure::new(Code::NotReady, message)
    };
    let gone = || Failure::new(Code::NotReady, format!("{name} went down meanwhile"));
    super::super::runtime()?.block_on(async {
        let stream = Place::of(state, &name).map_err(failed)?.connect().await.map_err(failed)?;
        let (from, mut to) = stream.into_split();
        let mut line = serde_json::to_vec(ask).map_err(|error| Failure::new(Code::Bug, error))?;
        line.push(b'\n');
        to.write_all(&line).await.map_err(|_| gone())?;
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            match serde_json::from_str(&line).map_err(|error| Failure::new(Code::Bug, error))? {
                Answer::Happened(entry) => {
                    if let Some(text) = progress::words(&entry.event) {
                        out::error(&text);
                    }
                }
                answer => return Ok(answer),
            }
        }
        Err(gone())
    })
}

fn show(answer: Answer, format: Format) -> Outcome {
    match answer {
        Answer::LeftInPlace(why) => return Err(Failure::new(Code::LeftInPlace, why)),
        Answer::Failed(why) => return Err(Failure::new(Code::Failed, why)),
        Answer::Refused(why) => return Err(Failure::new(Code::NotReady, why)),
        answer if format == Format::Json => match answer {
            Answer::Planned(steps) => out::json(&steps),
            Answer::Status(status) => out::json(&status),
            _ => out::json(&serde_json::json!({ "done": true })),
        },
        Answer::Planned(steps) => {
            out::line(&super::super::list::table(&steps));
            out::line("Nothing was touched.");
        }
        Answer::Status(status) => tell(&status),
        Answer::Happened(_) | Answer::Done => out::line("done"),
    }
    Ok(Code::Passed)
}

#[derive(Tabled)]
struct Row<'a> {
    site: &'a str,
    role: String,
    traffic: String,
    epoch: String,
    lag: String,
    health: &'a str,
}

fn tell(status: &Status) {
    let known = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let row = |one: &'_ super::SiteRow| {
        let fenced = if one.fenced == Some(true) { ", fenced" } else { "" };
        let role = one.role.map(|role| match role {
            Role::Primary => format!("primary{fenced}"),
            Role::Standby => format!("standby{fenced}"),
        });
        (
            known(role),
            known(status.shares.get(&one.site).map(|share| format!("{share} %"))),
            known(one.epoch.map(|epoch| epoch.to_string())),
            known(one.lag_ms.map(|lag| format!("{lag} ms"))),
        )
    };
    let rows: Vec<Row<'_>> = status
        .sites
        .iter()
        .map(|one| {
            let (role, traffic, epoch, lag) = row(one);
            Row { site: &one.site, role, traffic, epoch, lag, health: &one.health }
        })
        .collect();
    let by = if status.automatic {
        "the health monitor fails over by itself"
    } else {
        "nobody fails over by itself"
    };
    let clients =
        status.clients.as_ref().map_or_else(String::new, |at| format!(", clients come to {at}"));
    let head = format!("{} is up, {} serves{clients}; {by}", status.environment, status.serves);
    out::line(&out::harmless(&head));
    out::line(&super::super::list::table(&rows));
    for change in &status.changes {
        out::line(&out::harmless(&format!("  {change}")));
    }
}
