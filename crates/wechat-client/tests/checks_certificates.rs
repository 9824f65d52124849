//! A server that cannot prove to be WeChat never sees a request, and so never a secret.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, clippy::expect_used, reason = "a test may")]

use std::sync::Arc;
use std::time::Duration;

use rcgen::CertifiedKey;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use wxgate_domain::AppSecrets;
use wxgate_wechat_client::{BaseUrl, Client, ClientConfig, ExchangeError};

#[tokio::test]
async fn a_certificate_of_nobody_ends_the_handshake() {
    let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = signing_key.serialize_der().try_into().unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![cert.der().clone()], key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (handshakes, mut seen) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let acceptor = TlsAcceptor::from(Arc::new(config));
        while let Ok((stream, _)) = listener.accept().await {
            let _ = handshakes.send(acceptor.accept(stream).await.map(drop));
        }
    });

    let client = Client::new(ClientConfig {
        base_url: BaseUrl::parse(&format!("https://localhost:{port}"), true).unwrap(),
        connect_timeout: Duration::from_secs(10),
        total_timeout: Duration::from_secs(30),
        ..ClientConfig::default()
    })
    .unwrap();
    let credential = AppSecrets::only("secret".parse().unwrap());
    let result = client.code_to_session(&"wx1".parse().unwrap(), &credential, &"0a1b2c".parse().unwrap()).await;
    assert_eq!(result.unwrap_err(), ExchangeError::Unavailable);
    for _ in 0..2 {
        let refused = seen.recv().await.unwrap().unwrap_err().to_string();
        assert!(refused.contains("alert"), "the client itself refuses: {refused}");
    }
}
