//! The two HTTP servers.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};

use super::boundary::{self, Listener};
use super::router::Routes;
use super::routes;
use crate::app::Gateway;

/// How long a connection may stay idle between requests.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long a request's head may take to arrive.
const READ_TIME: Duration = Duration::from_secs(10);

/// How long accepted requests may take to finish when the process stops, in seconds.
const FINISH_SECONDS: u64 = 10;

/// Serves one listener until its handle is told to stop.
///
/// # Errors
/// The socket cannot be used.
pub(crate) fn serve(
    gateway: web::Data<Gateway>,
    socket: TcpListener,
    listener: Listener,
    workers: usize,
) -> std::io::Result<Server> {
    let factory = move || {
        App::new()
            .app_data(gateway.clone())
            .wrap(from_fn(move |request, next| boundary::enter(listener, request, next)))
            .default_service(Routes(match listener {
                Listener::Public => routes::public(),
                Listener::Admin => routes::admin(),
            }))
    };
    let server = HttpServer::new(factory)
        .workers(workers)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(READ_TIME)
        .client_disconnect_timeout(Duration::from_secs(1))
        .shutdown_timeout(FINISH_SECONDS)
        .disable_signals()
        .listen(socket)?;
    Ok(server.run())
}
