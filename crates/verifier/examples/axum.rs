//! A backend on axum behind a layer that lets valid tokens through only.
//!
//! ```sh
//! cargo run -p wxgate-verifier --features axum --example axum -- http://127.0.0.1:8080/t/demo wx000000000000de01
//! ```
//!
//! It prints its address; call `/me` and `/orders` with `Authorization: Bearer` and a token of the gateway's.
//!
//! With a service client's id and a file that holds its secret, it follows the revocation feed too:
//! `-- ISSUER AUDIENCE CLIENT_ID SECRET_FILE`.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use wxgate_verifier::{Feed, Verified, Verifier, VerifyLayer};

/// Who the caller is, as the token says.
async fn me(token: Verified) -> String {
    format!("user {} in app {}\n", token.sub, token.client_id)
}

/// Only for tokens with the scope `orders:read`.
async fn orders(token: Verified) -> Result<&'static str, wxgate_verifier::Error> {
    token.require("orders:read")?;
    Ok("no orders yet\n")
}

#[expect(clippy::print_stdout, reason = "whoever runs it wants to know")]
fn announce(address: &SocketAddr) {
    println!("listening on http://{address}");
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (issuer, audience, client) = match arguments.as_slice() {
        [issuer, audience] => (issuer, audience, None),
        [issuer, audience, id, file] => (issuer, audience, Some((id, std::fs::read_to_string(file)?))),
        _ => return Err("arguments: ISSUER AUDIENCE [CLIENT_ID SECRET_FILE]".into()),
    };
    let mut builder = Verifier::builder(issuer, audience);
    if let Some((id, secret)) = client {
        builder = builder.follow(Feed::new(id, secret.trim()));
    }
    let verifier = builder.build()?;
    tokio::time::timeout(Duration::from_secs(10), verifier.ready()).await??;

    let routes = Router::new().route("/me", get(me)).route("/orders", get(orders));
    let routes = routes.layer(VerifyLayer::new(verifier));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    announce(&listener.local_addr()?);
    axum::serve(listener, routes).await?;
    Ok(())
}
