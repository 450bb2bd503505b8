//! One job from start to end, with bounded time and output.

use std::io;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;
use tokio::time::timeout;

/// How a job has ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// `None` when it did not start or was killed.
    pub(super) exit_code: Option<i32>,
    /// Standard output, then standard error, then what went wrong around the job.
    pub(super) output: String,
}

/// What descendants that outlive the job may hold its output open for.
const GRACE: Duration = Duration::from_millis(200);

/// Waits for a job's end and gathers its output.
pub(super) async fn gather(
    started: io::Result<Child>,
    limit: Duration,
    limit_bytes: usize,
) -> Ended {
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            let output = format!("start the job: {error}");
            return Ended { exit_code: None, output };
        }
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let group = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
    let mut out = tokio::spawn(read_some(stdout, limit_bytes));
    let mut err = tokio::spawn(read_some(stderr, limit_bytes));

    let waited = timeout(limit, child.wait()).await;
    // Descendants go with the job. The group's number cannot be another's yet where the job
    // still runs; where it has just ended, an empty group is an error that says nothing.
    if let Some(group) = group {
        let _ = killpg(group, Signal::SIGKILL);
    }
    let mut remark = String::new();
    let exit_code = match waited {
        Ok(Ok(status)) => status.code(),
        Ok(Err(error)) => {
            remark = format!("wait for the job: {error}");
            None
        }
        Err(_) => {
            remark = format!("killed after {} ms", limit.as_millis());
            let _ = child.wait().await;
            None
        }
    };
    let mut output = String::new();
    for stream in [&mut out, &mut err] {
        if let Ok(Ok(bytes)) = timeout(GRACE, &mut *stream).await {
            output.push_str(&String::from_utf8_lossy(&bytes));
        } else {
            stream.abort();
        }
    }
    output.push_str(&remark);
    Ended { exit_code, output }
}

/// Reads to the end, so that the job is never blocked, and keeps the beginning.
async fn read_some(stream: Option<impl AsyncRead + Unpin>, limit_bytes: usize) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else {
        return kept;
    };
    let mut piece = vec![0; 8 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut piece).await {
        let room = limit_bytes.saturating_sub(kept.len());
        kept.extend_from_slice(&piece[..read.min(room)]);
    }
    kept
}
