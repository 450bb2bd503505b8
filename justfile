# Run the main drill.
drill:
    cargo run --release -- run complete_site_failure

# All tests, as CI runs them.
test:
    bash scripts/test.sh

# kill -9 the harness at so many random moments, and look for what is left.
kills n="50":
    DRDRILL_KILLS={{n}} cargo test -p drdrill --test kill -- --nocapture

# Write the committed JSON Schemas again.
schemas:
    cargo run -q -- schema scenario > scenarios/schema.json
    cargo run -q -- schema environment > environments/schema.json
    cargo run -q -- schema record > harness/core/record.schema.json

# Proxy: latency, bulk, exactness and honesty beside HAProxy.
bench-proxy:
    cargo bench -p drdrill-faults --bench proxy

# Recovery times of planted outages against the truth, beside a serial 1 s loop.
bench-planted n="59":
    cargo bench -p drdrill-measure --bench planted -- {{n}}

# Schedule error and CPU per sample at 1000 a second, beside oha.
bench-schedule:
    cargo bench -p drdrill-measure --bench schedule -- 3

# A server that stalls 2 s under 1000 probes a second: quantiles against the exact ones.
bench-omission:
    cargo bench -p drdrill-measure --bench omission

# A drill that does nothing, beside Chaos Toolkit: wall time and memory.
bench-noop:
    cargo build --release
    bash scripts/bench-noop.sh
