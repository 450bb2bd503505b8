//! A Toxiproxy server as a program: `cargo run -p drdrill-faults --example toxiproxy_server [address]`.

use drdrill_faults::toxiproxy::server::serve;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let address = address.unwrap_or_else(|| "127.0.0.1:8474".to_owned());
    serve(address.parse()?).await?;
    Ok(())
}
