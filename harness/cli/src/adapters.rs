//! Parts of the crates, in the shapes that the engine asks for.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use drdrill_core::action::ActionError;
use drdrill_core::environment::ProbeStream;
use drdrill_core::event::{Entry, StreamFacts};
use drdrill_core::inventory::EnvironmentFacts;
use drdrill_core::parts::{EntrySink, RestoreWatch, SampleSink, Sampling, StreamPlan};
use drdrill_core::postgres::{Rows, Server, WriteTable};
use drdrill_core::probe::Probe;
use drdrill_core::sample::Sample;
use drdrill_core::time::At;
use drdrill_reports::evidence::{ChainWriter, Head};

/// The sampler.
#[derive(Debug, Default)]
pub(crate) struct Probes(Option<drdrill_measure::Sampler>);

#[async_trait]
impl Sampling for Probes {
    fn start(
        &mut self,
        origin_nanos: u64,
        streams: Vec<StreamPlan>,
        limit: Option<u64>,
        sink: SampleSink,
    ) -> io::Result<()> {
        let streams = streams
            .into_iter()
            .map(|plan| drdrill_measure::StreamPlan { facts: plan.facts, probe: plan.probe })
            .collect();
        let sampler =
            drdrill_measure::Sampler::start(origin_nanos, streams, limit, move |sample| {
                sink(sample);
            });
        self.0 = Some(sampler.map_err(io::Error::other)?);
        Ok(())
    }

    async fn ended(&self) {
        if let Some(sampler) = &self.0 {
            sampler.until_ended().await;
        }
    }

    fn stop(&mut self) -> io::Result<()> {
        self.0.take().map_or(Ok(()), |sampler| sampler.stop().map(drop).map_err(io::Error::other))
    }
}

/// Makes the probe of a stream.
pub(crate) fn make_probe(stream: &ProbeStream) -> Result<Arc<dyn Probe>, ActionError> {
    drdrill_measure::probe(&stream.call, stream.purpose, stream.connection)
        .map_err(|error| ActionError::new("make the probe", &stream.name, error))
}

/// Makes the table into which probes write.
pub(crate) fn open_table(server: &Server, rows: &Rows) -> Result<Arc<dyn WriteTable>, ActionError> {
    drdrill_measure::write_table(server, rows)
        .map_err(|error| ActionError::new("make the table of the writes", &rows.table, error))
}

/// The live watch of the restored service.
#[derive(Debug)]
struct Watch(Mutex<drdrill_measure::RestoreWatch>);

impl Watch {
    fn lock(&self) -> std::sync::MutexGuard<'_, drdrill_measure::RestoreWatch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RestoreWatch for Watch {
    fn feed(&self, sample: &Sample) {
        self.lock().feed(sample);
    }

    fn fault(&self, from: At, at: At) {
        self.lock().fault(from, at);
    }

    fn restored(&self) -> bool {
        self.lock().restored()
    }
}

/// Makes the live watch.
pub(crate) fn restore_watch(
    streams: &[StreamFacts],
    facts: &EnvironmentFacts,
) -> Arc<dyn RestoreWatch> {
    let watch = drdrill_measure::RestoreWatch::new(streams, &facts.services, facts.measure);
    Arc::new(Watch(Mutex::new(watch)))
}

/// The history on disk, chained line by line. Its end can be asked for after it was given away.
#[derive(Debug)]
pub(crate) struct History {
    chain: ChainWriter<BufWriter<File>>,
    head: Arc<Mutex<Head>>,
}

impl History {
    /// Starts the history at `path`, which must not exist. Also returns where its end can be read.
    pub(crate) fn start(path: &Path) -> io::Result<(Self, Arc<Mutex<Head>>)> {
        let file = BufWriter::new(File::create_new(path)?);
        let head = Arc::new(Mutex::new(Head::EMPTY));
        Ok((Self { chain: ChainWriter::new(file), head: head.clone() }, head))
    }
}

impl EntrySink for History {
    fn append(&mut self, entry: &Entry) -> io::Result<()> {
        self.chain.append(entry)?;
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = self.chain.head();
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.chain.flush()?;
        self.chain.get_ref().get_ref().sync_data()
    }
}
