//! `drdrill explain`: what a drill would do, without doing it.

use drdrill_core::inventory::{Inventory, Pin, Provider, Strategy, Zones};
use drdrill_core::network::{Via, Way};
use drdrill_core::notice::Severity;
use drdrill_core::runbook::{Phase, RunbookStep, StepBy};
use drdrill_core::scenario::{
    Destruction, Failover, Inject, Limit, NetworkDelay, PageDamage, Part, RestorePlan, Scenario,
};
use drdrill_core::units::{Share, Span};
use serde_json::json;

use crate::args::{DrillArgs, Format};
use crate::exit::{Code, Outcome};
use crate::wiring::Plan;
use crate::{guards, out, wiring};

/// Says what a drill would do.
pub(crate) fn explain(args: &DrillArgs) -> Outcome {
    if let Some(name) = &args.runbook {
        let (_, runbook) = super::runbook::find(name)?;
        match args.on.format.format {
            Format::Json => out::json(&runbook),
            Format::Text => out::print(&drdrill_reports::runbook::markdown(&runbook)),
        }
        return Ok(Code::Passed);
    }
    let plan = wiring::plan(args.scenario.as_deref().unwrap_or_default(), &args.on)?;
    wiring::check_powers(&plan)?;
    if args.on.format.format == Format::Json {
        out::json(&json!({ "scenario": plan.scenario, "environment": plan.inventory }));
        return Ok(Code::Passed);
    }
    out::line(&out::harmless(&words(&plan)));
    Ok(Code::Passed)
}

/// What clients do.
fn probed(scenario: &Scenario) -> String {
    let plan = &scenario.probes;
    let also = match plan.also.as_slice() {
        [] => String::new(),
        also => format!(" Clients also try: {}.", also.join(", ")),
    };
    format!(
        "Probes begin, one attempt each {}, at most {} per attempt; what comes before the first fault is the baseline.{also}",
        plan.every, plan.deadline
    )
}

fn words(Plan { scenario, inventory, followed, .. }: &Plan) -> String {
    let mut text = Text(String::new());
    text.line(&format!("{} on {}", scenario.title, inventory.environment));
    if !scenario.description.is_empty() {
        text.paragraph(&scenario.description);
    }
    text.head("Targets, per service (the stricter of scenario and environment)");
    for service in &inventory.services {
        let targets = scenario.targets.tightened_by(service.targets);
        let part = |name: &str, value: Option<String>| {
            value.map_or_else(|| format!("no {name}"), |value| format!("{name} {value}"))
        };
        text.item(&format!(
            "{} (tier {}): {}, {}, {}",
            service.name,
            service.tier,
            part("RTO", targets.rto.map(|one| one.to_string())),
            part("RPO", targets.rpo.map(|one| one.to_string())),
            part("RLO", targets.rlo.map(|one| one.to_string())),
        ));
    }
    guards_of(inventory, scenario, &mut text);
    text.head("What would happen");
    let mut number = 0;
    let mut step = |line: &str| {
        number += 1;
        text.line(&format!("  {number:>2}. {line}"));
    };
    step("The environment comes up; its undo is on disk first. A keeper process starts.");
    step(&probed(scenario));
    for fault in &scenario.faults {
        let undo = undo(&fault.inject, &inventory.provider);
        step(&format!("At {}: {}. {undo}", fault.at, what(&fault.inject)));
    }
    step(&healed_by(scenario, inventory));
    for one in followed.iter().flat_map(|followed| &followed.runbook.steps) {
        step(&format!("Step {} of the runbook, {}.", one.name, done_by(one)));
    }
    if let Some(standing) = standing(inventory) {
        step(standing);
    }
    if !scenario.verify.is_empty() {
        step(&format!("These functions must work again: {}.", scenario.verify.join(", ")));
    }
    step(&format!(
        "The service counts as restored when it was good for {}; the clock stops at the start of that time. \
         The drill waits at most {}.",
        inventory.measure.sustained, scenario.recovery.give_up_after
    ));
    step(&format!(
        "Soak for {}; every write is read back and compared with what was acknowledged.",
        scenario.soak
    ));
    if !scenario.faults.is_empty() {
        step("Faults are taken back, newest first, and seen to be gone.");
    }
    if let Some(failback) = &scenario.failback {
        let shift: Vec<String> = failback.shift.iter().map(ToString::to_string).collect();
        step(&format!(
            "Failback: resync, shift {} with {} between and a health check each, switch the writes over, read back again.",
            shift.join(", "),
            failback.hold
        ));
    }
    step(
        "The environment goes down and is seen to be gone; record, reports, manifest and signature are written.",
    );
    if !scenario.stop_when.is_empty() {
        text.head("It stops at once, and takes everything back, when");
        for stop in &scenario.stop_when {
            text.item(&format!(
                "probe {} succeeds less than {} over {}",
                stop.probe, stop.success_below, stop.over
            ));
        }
    }
    told(inventory, &mut text);
    if !scenario.proves.is_empty() {
        text.head("A pass proves");
        for proof in &scenario.proves {
            text.item(proof);
        }
    }
    text.0
}

/// Who is told of it.
fn told(inventory: &Inventory, text: &mut Text) {
    if let Some(notify) = &inventory.notify {
        text.head("Who is told");
        for one in &notify.to {
            text.item(&format!(
                "{} by {}: what is {}{}",
                one.name,
                one.by.kind(),
                one.from,
                if one.from == Severity::Critical { "" } else { " or more urgent" }
            ));
        }
        text.item(&format!(
            "while clients are affected, the next word comes within {}",
            notify.update_every
        ));
    }
}

/// Who does a step of a runbook.
fn done_by(step: &RunbookStep) -> String {
    let within = step.within;
    match (step.by(), step.action, &step.run) {
        _ if step.phase == Phase::Close => "which comes after the drill".to_owned(),
        (_, Some(action), _) => format!("by the machinery: {}", action.word()),
        (_, _, Some(command)) => format!("by the command {command}, killed after {within}"),
        (StepBy::Checks, ..) => {
            format!("when these work, within {within}: {}", step.verify.join(", "))
        }
        _ => format!("by a person: {}, within {within}", step.owner),
    }
}

/// Who heals the system, and how.
fn healed_by(scenario: &Scenario, inventory: &Inventory) -> String {
    match scenario.recovery.failover {
        Failover::BuiltIn => {
            let monitor = inventory.machinery.monitor;
            let word = if monitor.both { "and" } else { "or" };
            let at = inventory.machinery.at.as_ref().map_or_else(String::new, |at| {
                format!(" It stands at {at} and reaches the other site only by the links between the two.")
            });
            format!(
                "The health monitor looks every {}; after {} failures in a row {word} {} kinds of check failed it fails over: \
                 fence, activate, promote, redirect, see that it serves; rolled back in reverse order when a step fails.{at}",
                monitor.interval, monitor.failures, monitor.kinds
            )
        }
        Failover::Runbook => {
            let when = match inventory.provider {
                Provider::Lab(_) | Provider::Docker(_) => "when the health monitor decides that a site is lost",
                Provider::Host(_) => "as soon as the last fault is in effect",
            };
            format!(
                "The runbook is followed {when}; when a step fails, what machinery and commands did is taken back in reverse order."
            )
        }
        Failover::Own => "The system fails over by itself; drdrill only watches.".to_owned(),
        Failover::None => {
            scenario.recovery.restore.map_or_else(|| "Nobody fails over.".to_owned(), restore)
        }
        Failover::Refrain => {
            "The health monitor and the failover plan are at work and have to hold back: a failover fails the drill."
                .to_owned()
        }
    }
}

/// How what takes over stands by, where that is not as usual.
fn standing(inventory: &Inventory) -> Option<&'static str> {
    let lab = match &inventory.provider {
        Provider::Lab(lab) => lab.clone(),
        Provider::Docker(docker) => docker.sites(),
        Provider::Host(_) => return None,
    };
    match (lab.zones, lab.strategy) {
        (Some(Zones::Synchronous), _) => Some(
            "The zone that leads acknowledges only what the other one has too. When the other one is lost it acknowledges \
             nothing, until the machinery lets it go on alone.",
        ),
        (Some(Zones::Asynchronous), _) => {
            Some("The zone that leads does not wait for the other one, which lags behind.")
        }
        (None, Strategy::Cold) => Some(
            "Nothing runs at the DR site, which has no data: to take over it is built from the newest clean backup and its \
             logs, in an empty volume, before it is promoted.",
        ),
        (None, Strategy::PilotLight) => Some(
            "Only the data follows at the DR site; what works behind it is started when it takes over.",
        ),
        (None, Strategy::Hot) => Some(
            "The primary site acknowledges only what the DR site has too. While it cannot reach the DR site it acknowledges \
             nothing, until the machinery promotes the DR site or, where that is lost, lets it go on alone.",
        ),
        (None, Strategy::ActiveActive) => Some(
            "Both sites take writes, each from half of the clients, and send them to each other; of two changes that did not \
             know of each other the later one is kept. The monitor looks at both.",
        ),
        (None, Strategy::Warm) => None,
    }
}

fn restore(plan: RestorePlan) -> String {
    let RestorePlan { max_age, check_every, isolated, new_credentials, from_nothing } = plan;
    let provision = if from_nothing { "provision the site anew, " } else { "" };
    let copy = if from_nothing { "the other site is provisioned anew too, and " } else { "" };
    let isolate =
        if isolated { "cut both sites off from clients and from each other, " } else { "" };
    let renew = if new_credentials {
        "make all credentials anew, see that the old ones are refused, "
    } else {
        ""
    };
    let open = if isolated { ", let clients in again" } else { "" };
    format!(
        "All data is looked at every {check_every}; when damage is found twice in a row drdrill restores: {isolate}fence \
         the writers, back up the last changes, verify the backups from the newest back to the last clean one \
         (checksums, at most {max_age} old, test restore, consistency), {provision}restore that one and its logs into an \
         empty volume, {renew}serve from it{open}; rolled back in reverse order when a step fails. Then {copy}the copy on \
         the other site is rebuilt."
    )
}

/// Whose data a fault strikes.
fn copies(on: &str, replicated: bool) -> String {
    if replicated { format!("of {on} and of every copy") } else { format!("of {on}") }
}

fn guards_of(inventory: &Inventory, scenario: &Scenario, text: &mut Text) {
    let pins = inventory.pin.as_ref().map(Pin::facts).unwrap_or_default();
    if !inventory.production && pins.is_empty() && inventory.window.is_none() {
        return;
    }
    text.head("It is refused unless");
    if inventory.production {
        let name = &inventory.environment;
        text.item(&format!("--yes-production {name} is said, because this is production"));
    }
    for pin in pins {
        text.item(&format!("{pin}, read before the drill and again before each fault"));
    }
    if let Some(window) = &inventory.window {
        let longest = Span(guards::production::longest(scenario));
        text.item(&format!(
            "the wall clock stays in the window for {longest}, the longest that faults can be in place: {window}"
        ));
    }
}

fn what(inject: &Inject) -> String {
    match inject {
        Inject::SiteLoss(on) => {
            format!("every process of {} is killed and its network goes dark", on.on)
        }
        Inject::ZoneLoss(fault) => format!(
            "every process of zone {} of {} is killed and its network goes dark",
            fault.zone, fault.on
        ),
        Inject::RegionOutage(on) => format!(
            "every process of {on} is killed, the entrance of its region for clients among them, and its network goes dark",
            on = on.on
        ),
        Inject::SiteDestruction(fault) => destroyed(fault),
        Inject::NetworkDown(on) => format!("the network of {} goes dark", on.on),
        Inject::ProcessPause(fault) => {
            let which = processes(&fault.on, fault.component.as_ref(), fault.max_targets);
            format!("{which} stands still")
        }
        Inject::ProcessKill(fault) => {
            let which = processes(&fault.on, fault.component.as_ref(), fault.max_targets);
            format!("{which} is killed (SIGKILL)")
        }
        Inject::ProcessStop(fault) => {
            let which = processes(&fault.on, fault.component.as_ref(), fault.max_targets);
            format!("{which} is asked to end (SIGTERM) and has {} for it", fault.grace)
        }
        Inject::ProcessRestart(fault) => {
            let which = processes(&fault.on, fault.component.as_ref(), fault.max_targets);
            format!("{which} is killed and at once started again")
        }
        Inject::StorageReadOnly(fault) => {
            let which = processes(&fault.on, fault.component.as_ref(), fault.max_targets);
            format!("{which} can read files and not write to them")
        }
        Inject::ReplicationStall(fault) => format!(
            "nothing is replicated from {} to {} any more, until that is {} behind",
            fault.from, fault.on, fault.limit
        ),
        Inject::DiskFull(fault) => {
            let which = fault.directory.as_deref().unwrap_or("the directory");
            format!(
                "the file system of {which} of {} is filled; {} stays free",
                fault.on, fault.leave
            )
        }
        Inject::DataCorruption(fault) => {
            let (rows, whose) = (fault.rows, copies(&fault.on, fault.replicated));
            format!("up to {rows} rows {whose} get another value, past the application")
        }
        Inject::PageCorruption(PageDamage { on, pages }) => format!(
            "up to {pages} pages of {on}'s table are damaged on its disk, one bit in each, and its database server crashes \
             once, so that it reads them from there"
        ),
        Inject::DataEncryption(fault) => {
            let (rows, whose) = (fault.rows, copies(&fault.on, fault.replicated));
            format!("up to {rows} rows {whose} are encrypted with a random key that nobody keeps")
        }
        Inject::CredentialsRevoked(fault) => {
            let whose = copies(&fault.on, fault.replicated);
            format!("the credentials of all users {whose} are changed, so that nobody can log in")
        }
        Inject::CredentialsStolen(on) => {
            format!("somebody reads data of {} with a token that was stolen from a client", on.on)
        }
        Inject::DataDeletion(fault) => {
            let whose = copies(&fault.on, fault.replicated);
            match fault.rows {
                Some(rows) => format!("up to {rows} rows {whose} are deleted"),
                None => format!(
                    "the table {whose} is dropped, unless it has more than {} rows",
                    fault.max_rows
                ),
            }
        }
        Inject::BackupDamage(fault) => {
            let which = match (fault.part, fault.newest) {
                (Part::Full, 1) => "the newest backup".to_owned(),
                (Part::Full, several) => format!("each of the newest {several} backups"),
                (Part::Log, 1) => "the newest piece of the log".to_owned(),
                (Part::Log, several) => format!("each of the newest {several} pieces of the log"),
            };
            format!("{which} of {} is {}", fault.on, fault.how.word())
        }
        Inject::NetworkPartition(fault) => {
            let way = match fault.way {
                Way::Both => "",
                Way::In => " (nothing arrives)",
                Way::Out => " (nothing it sends arrives)",
            };
            format!("{} is cut off from {}{way}", fault.on, peers(fault.from.as_ref()))
        }
        Inject::PacketLoss(fault) => {
            let (share, peers) = (fault.share, peers(fault.from.as_ref()));
            format!("{share} of the packets between {} and {peers} are dropped", fault.on)
        }
        Inject::RateLimit(fault) => limited(fault),
        Inject::NetworkDelay(fault) => slower(fault),
    }
}

fn destroyed(Destruction { on, backups }: &Destruction) -> String {
    let backups = if *backups { ", and so are its backups" } else { "" };
    format!(
        "every process of {on} is killed, the entrance of its region for clients among them, its network goes dark, and all \
         of its data is gone{backups}"
    )
}

fn limited(fault: &Limit) -> String {
    let (rate, peers) = (fault.rate, peers(fault.from.as_ref()));
    format!(
        "between {} and {peers} at most {rate} get through each way that is meant; three times as much is pushed for two \
         seconds to see that, when it is injected and again before it is taken back",
        fault.on
    )
}

fn slower(fault: &NetworkDelay) -> String {
    let NetworkDelay { on, delay, jitter, reorder, .. } = fault;
    let peers = peers(fault.from.as_ref());
    let uneven =
        if jitter.0.is_zero() { String::new() } else { format!(", give or take {jitter}") };
    let some = *reorder > Share::percent(0);
    let at_once = if some { format!(", but {reorder} of it at once") } else { String::new() };
    format!("what {on} sends to {peers} leaves {delay} later{uneven}{at_once}")
}

/// The undo of faults of links.
const LINKS: &str = "Undo: data passes the links again, by the ledger, which the keeper and `drdrill recover` carry out; \
                     connections that were struck are cut.";

fn undo(inject: &Inject, provider: &Provider) -> &'static str {
    match inject {
        Inject::ReplicationStall(_) => LINKS,
        Inject::NetworkPartition(cut)
            if cut.is_of_roles() && !matches!(provider, Provider::Host(_)) =>
        {
            LINKS
        }
        Inject::StorageReadOnly(_) => {
            "Undo: the limit of file sizes (RLIMIT_FSIZE) that each process had, by the ledger, which the keeper and `drdrill \
             recover` carry out; what a process starts meanwhile keeps the limit. Needs the right to set it, and that the \
             process ignores or handles SIGXFSZ."
        }
        Inject::SiteLoss(_) | Inject::ZoneLoss(_) | Inject::RegionOutage(_) => {
            "Undo: proxies up, processes started again."
        }
        Inject::NetworkDown(_) => "Undo: proxies up.",
        Inject::SiteDestruction(_) => {
            "Undo: its directories, which were given another name on their file system, are put back unless others are in \
             their place; proxies up, processes started again. By the ledger alone, which the keeper and `drdrill recover` \
             carry out."
        }
        Inject::ProcessPause(_) => {
            "Undo: the kernel's own, when the process that holds them lets go or ends. Needs the right to trace them."
        }
        Inject::ProcessKill(_) | Inject::ProcessStop(_) | Inject::ProcessRestart(_) => {
            "Undo: started again unless it runs already, seen by its pid and its port; by the ledger alone, which the \
             keeper and `drdrill recover` carry out. Needs the right to signal it and, on a host, `pid_file` and `start`."
        }
        Inject::DiskFull(_) => {
            "Undo: the kernel's own, when drdrill lets go of the file without a name that takes the space or dies; seen \
             by a write that succeeds again. Needs `at_most`, and a file system that nothing of drdrill's is on."
        }
        Inject::CredentialsStolen(_) => {
            "Undo: nothing, as nothing is changed; what was stolen is good until credentials are made anew."
        }
        Inject::DataCorruption(_)
        | Inject::DataDeletion(_)
        | Inject::DataEncryption(_)
        | Inject::CredentialsRevoked(_) => {
            "Undo: rows that still are as the fault left them are put back from a copy that is on disk before they are \
             struck, in that very database; what was written or restored since stays. By the ledger alone, which the \
             keeper and `drdrill recover` carry out."
        }
        Inject::PageCorruption(_) => {
            "Undo: each bit that still is as the fault left it is flipped back, in that very file; what was restored \
             since stays. By the ledger alone, which the keeper and `drdrill recover` carry out."
        }
        Inject::BackupDamage(_) => {
            "Undo: what was taken from the files is put back, unless others are in their place; by the ledger alone, which \
             the keeper and `drdrill recover` carry out."
        }
        Inject::NetworkPartition(_) | Inject::PacketLoss(_) | Inject::RateLimit(_)
            if wiring::via(inject) == Via::Iptables =>
        {
            "By iptables, so the kernel does not take it back when drdrill dies. \
             Undo: by the ledger, by the keeper or `drdrill recover`. Needs CAP_NET_ADMIN there."
        }
        Inject::NetworkDelay(_) => {
            "The kernel does not take it back when drdrill dies. Undo: by the ledger, by the keeper or `drdrill recover`: \
             the queueing discipline with drdrill's handle is removed, and no other. Needs CAP_NET_ADMIN there, a kernel \
             with sch_netem, and devices on which nobody else has put a queueing discipline."
        }
        Inject::NetworkPartition(_) | Inject::PacketLoss(_) | Inject::RateLimit(_) => {
            "Undo: the kernel's own, when drdrill lets go of its nftables table or dies. Needs CAP_NET_ADMIN there."
        }
    }
}

struct Text(String);

impl Text {
    fn line(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn paragraph(&mut self, text: &str) {
        self.line("");
        self.line(text.trim_end());
    }

    fn head(&mut self, text: &str) {
        self.line("");
        self.line(text);
    }

    fn item(&mut self, text: &str) {
        self.line(&format!("  - {text}"));
    }
}

/// The processes that a fault strikes.
fn processes(on: &str, component: Option<&String>, most: usize) -> String {
    match component {
        Some(component) => format!("{component} of {on}"),
        None => format!("every process of {on} (at most {most})"),
    }
}

fn peers(from: Option<&String>) -> &str {
    from.map_or("everybody else", String::as_str)
}
