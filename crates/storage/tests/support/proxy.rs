//! A proxy between storage and its server, which may cut their connections.

use tokio::net::{TcpListener, TcpStream};
use wxgate_crypto::Secret;
use wxgate_storage::Engine;

use crate::support::TestDatabase;

/// Puts a proxy before the database; the URL that leads through it. `relay` gets each connection: the client's end and the
/// server's.
pub(crate) async fn before<R>(
    database: &TestDatabase,
    relay: impl Fn(TcpStream, TcpStream) -> R + Send + 'static,
) -> Secret<String>
where
    R: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (scheme, rest) = database.url.expose().split_once("://").unwrap();
    let (authority, name) = rest.split_once('/').unwrap();
    let (user, server) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, server) = (user.to_owned(), server.to_owned());
    let plain = if database.engine == Engine::Postgres { "sslmode=disable" } else { "ssl-mode=DISABLED" };
    let mark = if name.contains('?') { '&' } else { '?' };
    let port = listener.local_addr().unwrap().port();
    let url = Secret::new(format!("{scheme}://{user}@127.0.0.1:{port}/{name}{mark}{plain}"));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.unwrap();
            tokio::spawn(relay(client, server));
        }
    });
    url
}
