# Run the main drill.
drill:
    cargo run --release -- run complete_site_failure

# Every scenario that must fail: does it end in the stated failure for the stated reason?
must-fail:
    cargo run --release -- run --must-fail

# So many losses of a primary site whose DR site is hot: none may cost an acknowledged write.
hot n="20":
    DRDRILL_HOT={{n}} cargo test -p drdrill --test standing -- --nocapture a_hot_dr_site_loses_nothing

# The same on containers, with PostgreSQL's own synchronous replication.
hot-containers n="10":
    DRDRILL_HOT={{n}} cargo test -p drdrill --test containers -- --nocapture a_synchronous_dr_site_loses_nothing

# All tests, as CI runs them.
test:
    bash scripts/test.sh

# kill -9 the harness (every third time its keeper too) at so many random moments over all kinds of faults, and look
# for what is left; then kill `recover` as often.
kills n="1000":
    DRDRILL_KILLS={{n}} cargo test -p drdrill --test kills --test recover -- --nocapture

# Eight drills that want the same environment at once, so many times.
races n="200":
    DRDRILL_RACES={{n}} cargo test --release -p drdrill --test races -- --nocapture

# Every system call: killed at each, each that touches a file made to fail, for every kind of fault (or those in DRDRILL_KINDS);
# more than an hour. `just sweep 50` tries 50 of each.
sweep which="all":
    cargo build -p drdrill --example one_fault
    DRDRILL_SWEEP={{which}} cargo test -p drdrill --test sweep -- --nocapture

# Write the committed JSON Schemas again.
schemas:
    cargo run -q -- schema scenario > scenarios/schema.json
    cargo run -q -- schema environment > environments/schema.json
    cargo run -q -- schema record > harness/core/record.schema.json
    cargo run -q -- schema runbook > runbooks/schema.json
    cargo run -q -- schema script > runbooks/script.schema.json
    cargo run -q -- schema backup > harness/backup/plan.schema.json
    cargo run -q -- schema program > programs/schema.json
    cargo run -q -- schema quarter > reports/quarter.schema.json

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

# Register histories: a million operations on one key and on a thousand, and zones against trying every order.
bench-registers:
    cargo bench -p drdrill-histories --bench registers

# Ten million unique ids accounted for, from two files.
bench-accounting:
    cargo bench -p drdrill-histories --bench accounting

# A hundred thousand runs in the index: entering one, and questions.
bench-history:
    cargo bench -p drdrill-reports --bench history

# The quarterly report of a thousand drills, alone and among a hundred thousand runs: time and memory.
bench-quarter:
    cargo bench -p drdrill-reports --bench quarter

# A drill that does nothing, beside Chaos Toolkit: wall time and memory.
bench-noop:
    cargo build --release
    bash scripts/bench-noop.sh

# A network fault put into effect and taken back, beside the nft command and a bare netlink transaction.
bench-nft:
    cargo bench -p drdrill-faults --bench nft

# Two sites of network namespaces, beside a script of ip commands that makes the same.
bench-namespaces:
    cargo bench -p drdrill-faults --bench namespaces

# The HTML report of a drill with a million samples, beside reading its history: time and size.
bench-report:
    cargo bench -p drdrill-reports --bench million

# A backup of so many MiB verified, beside sha256sum: time and memory.
bench-verify mib="1024":
    cargo bench -p drdrill-lab --bench verify -- {{mib}}

# So many faults of each kind put into effect and taken back: the first packet after each must notice.
first-packet n="1000":
    DRDRILL_TRIPS={{n}} cargo test -p drdrill-faults --test nft -- --nocapture first_packet

# So many spoilt scenario and environment files: no panic, none over 100 ms, every error with its place.
mutants n="1000000":
    DRDRILL_MUTANTS={{n}} cargo test --release -p drdrill-core --test mutants -- --nocapture

# The variable lets the stable compiler count coverage; only the address sanitizer would need nightly.
# Fuzz what reads files, guided by coverage; `of` is parse_scenario or parse_inventory. Needs cargo-fuzz.
fuzz of="parse_scenario" seconds="60":
    mkdir -p fuzz/corpus/{{of}}
    cp scenarios/*.yaml scenarios/must_fail/*.yaml environments/*.yaml fuzz/corpus/{{of}}/
    RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none {{of}} -- -max_total_time={{seconds}} -max_len=65536 -timeout=1 -rss_limit_mb=256
