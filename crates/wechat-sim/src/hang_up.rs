//! Closing a connection without a byte.
//!
//! actix-web offers a handler no way to drop its connection: every way out of a handler is an answer. So each connection
//! leaves a second handle of its socket in its connection data, and to hang up is to shut the socket down through
//! that handle. What actix-web then writes goes nowhere; the peer sees the end of the stream where it awaited a status line.

use std::any::Any;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream as ServerStream;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};

/// The second handle. It closes with the connection, because the connection data does.
struct Line(TcpStream);

/// For `HttpServer::on_connect`.
pub(crate) fn remember(connection: &dyn Any, data: &mut Extensions) {
    if let Some(line) = connection.downcast_ref::<ServerStream>().and_then(second_handle) {
        data.insert(Line(line));
    }
}

/// Closes the connection of a request; the response returned is for actix-web, not for the peer.
///
/// Where the system gave no second handle (it ran out of descriptors), the peer gets the head of an answer whose body
/// breaks off before the first byte, which a client takes for a broken connection too.
pub(crate) fn hang_up(request: &HttpRequest) -> HttpResponse {
    if let Some(Line(line)) = request.conn_data::<Line>() {
        // It fails only if the peer was faster, and then there is nothing left to close.
        let _ = line.shutdown(Shutdown::Both);
    }
    HttpResponse::Ok().force_close().body(BrokenOff)
}

#[cfg(unix)]
fn second_handle(stream: &ServerStream) -> Option<TcpStream> {
    use std::os::fd::AsFd as _;
    stream.as_fd().try_clone_to_owned().ok().map(TcpStream::from)
}

#[cfg(windows)]
fn second_handle(stream: &ServerStream) -> Option<TcpStream> {
    use std::os::windows::io::AsSocket as _;
    stream.as_socket().try_clone_to_owned().ok().map(TcpStream::from)
}

/// A body that promises a byte and fails.
struct BrokenOff;

impl MessageBody for BrokenOff {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(1)
    }

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, io::Error>>> {
        Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())))
    }
}
