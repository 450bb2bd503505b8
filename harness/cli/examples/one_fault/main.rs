//! What a drill does to one fault, and nothing else: short enough to be killed at each of its system calls.
//!
//! `one_fault DRDRILL STATE KIND TARGET...` locks the environment, opens a ledger, injects the fault as drills do, takes
//! back what is open and puts the ledger aside. There is no keeper, so that what is left after a kill is left. With
//! `ONE_FAULT_HOLDS` in its environment it says when the fault is in effect and waits there to be killed.
//!
//! | kind | target |
//! |---|---|
//! | `site_loss`, `network_down` | API of a Toxiproxy server, address at which clients come, names of proxies |
//! | `site_destruction` | directory, where it is kept, then as for `site_loss` |
//! | `site_partition` | API of a Toxiproxy server, address at which clients come, names and addresses of proxies |
//! | `process_pause`, `storage_read_only` | process ids |
//! | `process_kill` | process id, pid file, program that starts it again, address and port of a canary |
//! | `disk_full` | directory |
//! | `data_corruption`, `data_deletion`, `data_encryption` | database, directory for what is saved |
//! | `backup_damage` | file, directory for what is kept |
//! | `network_partition`, `iptables`, `packet_loss`, `rate_limit`, `network_delay` | id of a process there, address and port of a canary |
//!
//! Exit codes as those of drdrill: 0 done, 12 something was left in place, 13 it did not begin, 11 else.

mod stored;
mod target;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use drdrill_containers::hosts::Hosts;
use drdrill_core::action::Action;
use drdrill_core::environment::SiteControl;
use drdrill_core::event::{Event, Journal};
use drdrill_core::time::At;
use drdrill_engine::drill::inject;
use drdrill_engine::ledger::{Ledger, Line};
use drdrill_engine::lock::EnvironmentLock;
use drdrill_engine::revert::{Reverters, revert_open};
use drdrill_engine::state::{LEDGER_FILE, StateDir, new_run_id};
use drdrill_environments::lab::LabReverter;
use drdrill_faults::backups::reverter::BackupReverter;
use drdrill_faults::data::reverter::DataReverter;
use drdrill_faults::destruction::reverter::DestructionReverter;
use drdrill_faults::disk::reverter::DiskReverter;
use drdrill_faults::link::reverter::BlockReverter;
use drdrill_faults::links::Links;
use drdrill_faults::network::chains::ChainsReverter;
use drdrill_faults::network::delay_reverter::DelayReverter;
use drdrill_faults::network::reverter::NetworkReverter;
use drdrill_faults::process::end_undo::EndReverter;
use drdrill_faults::process::read_only_undo::ReadOnlyReverter;
use drdrill_faults::process::reverter::PauseReverter;
use drdrill_faults::site_reverter::{Restart, Scope, SiteReverter};
use target::{Site, fault};

/// Name of the environment, for its lock and its ledger.
const NAME: &str = "one";

/// Exit codes of drdrill.
const UNKNOWN: u8 = 11;
const LEFT_IN_PLACE: u8 = 12;
const NOT_READY: u8 = 13;

type Failure = Box<dyn std::error::Error>;

/// A history that nobody reads: what is swept here is the undo.
#[derive(Debug)]
struct Nobody;

impl Journal for Nobody {
    fn now(&self) -> At {
        At::default()
    }

    fn record(&self, _: Event) {}
}

fn main() -> ExitCode {
    let code = run().unwrap_or_else(|error| {
        say(&*error);
        NOT_READY
    });
    code.into()
}

/// A reader that is gone must not end this in the middle.
fn say(what: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "one_fault: {what}");
}

fn run() -> Result<u8, Failure> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("an argument is missing");
    let (program, state, kind) = (PathBuf::from(next()?), StateDir::at(next()?), next()?);
    let target: Vec<String> = arguments.collect();

    state.prepare()?;
    let run_id = new_run_id(chrono::Utc::now());
    let _lock = EnvironmentLock::take(&state, NAME, &format!("run {run_id}"))?;
    let run_dir = state.run(&run_id);
    std::fs::create_dir(&run_dir)?;
    let pid = i32::try_from(std::process::id())?;
    let harness = drdrill_process::of_process("harness", pid).ok_or("this process is not there")?;
    let (environment, boot_id) = (NAME.to_owned(), drdrill_process::boot_id()?);
    let first = Line::Opened { run_id: run_id.clone(), environment, harness, boot_id };
    let mut ledger = Ledger::create(&state.ledger(&run_id), first)?;

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let site = Arc::new(Site::of(&run_id));
    let reverters = Reverters::new(vec![
        Arc::new(LabReverter::new(Links::of_server, |_| Arc::new(Hosts::default()))),
        Arc::new(SiteReverter {
            scope: Scope::Site,
            make_links: Links::of_server,
            restart: Some(Restart { sites: site.clone(), processes: site.clone() }),
        }),
        Arc::new(DestructionReverter {
            site: SiteReverter {
                scope: Scope::Site,
                make_links: Links::of_server,
                restart: Some(Restart { sites: site.clone(), processes: site.clone() }),
            },
        }),
        Arc::new(BlockReverter { make_links: Links::of_server }),
        Arc::new(ReadOnlyReverter),
        Arc::new(NetworkReverter),
        Arc::new(ChainsReverter),
        Arc::new(DelayReverter),
        Arc::new(DiskReverter),
        Arc::new(DataReverter::default()),
        Arc::new(BackupReverter),
        Arc::new(EndReverter { restart: None, program: program.clone() }),
        Arc::new(PauseReverter),
    ]);
    let code = runtime.block_on(async {
        let injected = async {
            if matches!(&*kind, "site_loss" | "site_destruction") {
                ledger
                    .intend("environment", NAME, site.undo(&run_dir))
                    .map_err(|e| e.to_string())?;
                site.start("one").await.map_err(|e| e.to_string())?;
            }
            let fault: Arc<dyn Action> =
                fault(&kind, &target, &program, &site).map_err(|e| e.to_string())?;
            inject(&run_id, &*fault, &mut ledger, &Nobody).await
        };
        let injected = injected.await.inspect_err(|error| say(error));
        if injected.is_ok() && std::env::var_os("ONE_FAULT_HOLDS").is_some() {
            let _ = writeln!(std::io::stdout().lock(), "in effect");
            std::future::pending::<()>().await;
        }
        let reverted = revert_open(&mut ledger, &reverters).await;
        for stuck in &reverted.stuck {
            say(&format!("left in place: {}", stuck.error));
        }
        if injected.is_ok() && reverted.stuck.is_empty() { 0 } else { UNKNOWN }
    });
    let path = state.ledger(&run_id);
    // As drills do: one that cannot be put aside stays, and the ledger on disk decides what was left.
    let _ = ledger.settle(&run_dir.join(LEDGER_FILE), false).inspect_err(|error| say(error));
    Ok(match Ledger::look(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => code,
        Ok(contents) if contents.open().is_empty() => UNKNOWN,
        _ => LEFT_IN_PLACE,
    })
}
