//! The fields of a request's address.

use actix_web::HttpRequest;

use crate::http::router::Served;

/// A field as the address has it, with every escape undone but those of `/`, `%` and `+`. It is not empty.
pub(crate) fn field<'a>(request: &'a HttpRequest, name: &str) -> Option<&'a str> {
    fields(request).find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// All of them, in their order.
pub(crate) fn fields(request: &HttpRequest) -> impl Iterator<Item = (&str, &str)> {
    let pattern = request.app_data::<Served>().map_or("", |served| &served.pattern);
    let segments = pattern.split('/').zip(request.match_info().as_str().split('/'));
    segments.filter_map(|(name, value)| Some((name.strip_prefix('{')?.strip_suffix('}')?, value)))
}
