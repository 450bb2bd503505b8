//! `drdrill env build`: the images that an environment of containers is made of.

use std::time::Duration;

use drdrill_containers::engine::{Engine, EngineError};
use drdrill_containers::images::{self, Image, ImageError};
use drdrill_engine::state::StateDir;
use serde::Serialize;
use tabled::Tabled;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{BuildArgs, Format};
use crate::exit::{Code, Failure, Outcome};
use crate::out;

/// The environment that is made of images.
const DOCKER: &str = "docker";
/// The directory below the state's for what is made on the way.
const SCRATCH: &str = "images";

#[derive(Debug, Serialize, Tabled)]
struct Row {
    image: String,
    #[tabled(rename = "came to be")]
    how: &'static str,
    #[tabled(rename = "took", format("{:.1} s", self.seconds))]
    seconds: f64,
}

impl From<Image> for Row {
    fn from(image: Image) -> Self {
        Self { image: image.name, how: image.how.word(), seconds: image.took.as_secs_f64() }
    }
}

/// Builds what is not there yet.
pub(crate) fn build(state: &StateDir, args: &BuildArgs) -> Outcome {
    if args.environment != DOCKER {
        let message =
            format!("`{}` is not made of images; `{DOCKER}` is", out::harmless(&args.environment));
        return Err(Failure::new(Code::Usage, message));
    }
    let scratch = state.root().join(SCRATCH);
    let say = |line: &str| out::error(&out::harmless(line));
    let made = super::runtime()?.block_on(async {
        let engine = Engine::connect().await?;
        tokio::select! {
            biased;
            () = interrupt() => Ok(None),
            made = images::build(&engine, args.base.as_deref(), &scratch, &say) => made.map(Some),
        }
    });
    let made = made.map_err(|error: ImageError| {
        Failure::new(Code::NotReady, out::harmless(&error.to_string()))
    })?;
    let made = made.ok_or_else(|| {
        Failure::new(Code::Aborted, "interrupted; what was being built is not there")
    })?;
    let rows: Vec<Row> = made.into_iter().map(Row::from).collect();
    if args.format.format == Format::Json {
        out::json(&rows);
    } else {
        out::line(&super::list::table(&rows));
    }
    Ok(Code::Passed)
}

/// Returns when the operator wants it to end.
async fn interrupt() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// What `drdrill doctor` says of the engine and of the images.
pub(super) fn seen() -> (Result<String, String>, Result<String, String>) {
    /// An engine that hangs is no reason for the doctor to.
    const WITHIN: Duration = Duration::from_secs(20);
    let look = async {
        let engine = Engine::connect().await?;
        let missing = images::missing(&engine).await?;
        Ok::<_, EngineError>((format!("version {}", engine.version()), missing))
    };
    let looked = super::runtime().map_err(|failure| failure.message).and_then(|runtime| {
        runtime.block_on(async {
            let looked = tokio::time::timeout(WITHIN, look).await;
            looked
                .map_err(|_| format!("it does not answer within {WITHIN:?}"))?
                .map_err(|error| error.to_string())
        })
    });
    match looked {
        Ok((version, missing)) if missing.images.is_empty() => {
            (Ok(version), Ok("built".to_owned()))
        }
        Ok((version, missing)) => {
            let names = missing.images.join(", ");
            (Ok(version), Err(format!("not built: {names}; drdrill env build {DOCKER}")))
        }
        Err(why) => (Err(why), Err("nobody to ask".to_owned())),
    }
}
