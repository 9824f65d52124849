use actix_web::body::MessageBody;
use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use actix_web::{HttpRequest, web};

use super::*;
use crate::http::extract::path;
use crate::http::openapi::about::About;
use crate::http::routes;

fn about() -> About {
    About::new("x", "X.")
}

/// Says which fields the address has.
async fn echo(request: HttpRequest) -> String {
    path::fields(&request).map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(";")
}

/// The same addresses with the same methods, all of which say which fields they have.
fn echoing(endpoints: Vec<Endpoint>) -> Vec<Endpoint> {
    let echoing = |mut endpoint: Endpoint| {
        endpoint.taken.iter_mut().for_each(|taken| taken.route = web::to(echo));
        endpoint
    };
    endpoints.into_iter().map(echoing).collect()
}

async fn ready_to_serve(endpoints: Vec<Endpoint>) -> Router {
    Routes(endpoints).new_service(()).await.unwrap()
}

/// The answer to a request, with the pattern that was found and the text of the body.
async fn ask(router: &Router, method: &str, path: &str) -> (HttpResponse<()>, Option<String>, String) {
    let request = TestRequest::with_uri(path).method(method.parse().unwrap()).to_srv_request();
    let (request, response) = router.call(request).await.unwrap().into_parts();
    let pattern = request.app_data::<Served>().map(|served| served.pattern.to_string());
    let (response, body) = response.into_parts();
    let text = String::from_utf8(body.try_into_bytes().unwrap().to_vec()).unwrap();
    (response, pattern, text)
}

/// The pattern that a path finds, with its fields.
async fn found(router: &Router, path: &str) -> Option<(String, String)> {
    let (response, pattern, text) = ask(router, "GET", path).await;
    assert_eq!(response.status() == StatusCode::NOT_FOUND, pattern.is_none(), "{path}");
    pattern.map(|pattern| (pattern, text))
}

#[tokio::test]
async fn every_address_of_both_listeners_finds_itself_with_each_of_its_methods() {
    for endpoints in [routes::public, routes::admin] {
        let table = endpoints();
        assert!(table.len() > 20);
        let mut reversed = echoing(endpoints());
        reversed.reverse();
        for router in [ready_to_serve(echoing(endpoints())).await, ready_to_serve(reversed).await] {
            for endpoint in table.iter().filter(|endpoint| endpoint.below.is_none()) {
                let path = endpoint.path().replace(['{', '}'], "");
                let names = endpoint.path().split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
                let told = names.map(|name| format!("{name}={name}")).collect::<Vec<_>>().join(";");
                for method in endpoint.taken.iter().flat_map(|taken| taken.methods) {
                    let (response, pattern, text) = ask(&router, method, &path).await;
                    assert_eq!(response.status(), StatusCode::OK, "{method} {path}");
                    assert_eq!((pattern.as_deref(), text), (Some(endpoint.path()), told.clone()), "{method} {path}");
                }
                for other in [format!("{path}/"), format!("/{path}"), format!("{path}/x/y/z")] {
                    let found = found(&router, &other).await.map(|(pattern, _)| pattern);
                    assert_ne!(found.as_deref(), Some(endpoint.path()), "{other}");
                }
            }
        }
    }
}

#[tokio::test]
async fn all_routes_can_be_made_ready_and_two_with_one_address_cannot() {
    for endpoints in [routes::public(), routes::admin()] {
        assert!(Routes(endpoints).new_service(()).await.is_ok());
    }
    let twice = vec![Endpoint::at("/a/{x}").get(echo, about), Endpoint::at("/a/{y}").get(echo, about)];
    assert!(Routes(twice).new_service(()).await.is_err());
}

#[tokio::test]
async fn a_word_goes_before_a_field() {
    let router = ready_to_serve(vec![
        Endpoint::at("/a/{x}").get(echo, about),
        Endpoint::at("/a/{x}/c/{y}").get(echo, about),
        Endpoint::at("/a/b/{y}").get(echo, about),
        Endpoint::at("/a/b").get(echo, about),
    ])
    .await;
    for (path, pattern, fields) in [
        ("/a/b", "/a/b", ""),
        ("/a/bb", "/a/{x}", "x=bb"),
        ("/a/b/c", "/a/b/{y}", "y=c"),
        ("/a/b/c/d", "/a/{x}/c/{y}", "x=b;y=d"),
        ("/a/x/c/c", "/a/{x}/c/{y}", "x=x;y=c"),
    ] {
        assert_eq!(found(&router, path).await, Some((pattern.to_owned(), fields.to_owned())), "{path}");
    }
    for nothing in ["/", "/a", "/a/", "/a/x/", "/a//c/y", "/a/x/c/", "/a/x/c/y/", "/a/x/d/y", "/A/b", "//a/b"] {
        assert_eq!(found(&router, nothing).await, None, "{nothing}");
    }
}

#[tokio::test]
async fn fields_come_with_every_escape_undone_but_three() {
    let router = ready_to_serve(vec![Endpoint::at("/a/{x}/b").get(echo, about)]).await;
    for (sent, told) in [
        ("plain", "plain"),
        ("%70lain", "plain"),
        ("a%20b", "a b"),
        ("%E5%BE%AE", "\u{5fae}"),
        ("%00", "\0"),
        ("a%2Fb", "a%2Fb"),
        ("a%2fb", "a%2fb"),
        ("%2541", "%2541"),
        ("a+b%2Bc", "a+b%2Bc"),
        ("%zz%", "%zz%"),
        ("%7Bx%7D", "{x}"),
        ("%FF", "\u{fffd}"),
    ] {
        let fields = found(&router, &format!("/a/{sent}/b")).await.map(|(_, fields)| fields);
        assert_eq!(fields, Some(format!("x={told}")), "{sent}");
    }
    assert!(found(&router, "/%61/x/b").await.is_some());
    assert_eq!(found(&router, "/a/x%2Fb").await, None);
}

#[tokio::test]
async fn other_methods_are_told_which_ones_there_are() {
    let endpoint = Endpoint::at("/a").get(echo, about).post(echo, about);
    let router = ready_to_serve(vec![endpoint, Endpoint::at("/b").on(&["GET"], web::to(echo), about)]).await;
    for (method, path, status) in
        [("GET", "/a", 200), ("HEAD", "/a", 200), ("POST", "/a", 200), ("GET", "/b", 200), ("GET", "/c", 404)]
    {
        assert_eq!(ask(&router, method, path).await.0.status(), status, "{method} {path}");
    }
    for (method, path, allow) in
        [("PUT", "/a", "GET, HEAD, POST"), ("get", "/a", "GET, HEAD, POST"), ("HEAD", "/b", "GET"), ("X", "/b", "GET")]
    {
        let (response, pattern, _) = ask(&router, method, path).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert_eq!(response.headers().get(header::ALLOW).unwrap(), allow, "{method} {path}");
        assert_eq!(pattern.as_deref(), Some(path), "{method} {path}");
    }
}

#[tokio::test]
async fn forward_auth_takes_everything_below_it_with_any_method() {
    let router = ready_to_serve(echoing(routes::public())).await;
    let below = [
        "",
        "/",
        "//",
        "/p",
        "/p/",
        "/p/any/thing",
        "//p",
        "/p//x",
        "/..",
        "/%2F",
        "/%00",
        "/p%2Fx",
        "/p/%",
        "/%FF",
        "/{policy}",
        "/*",
    ];
    for method in ["GET", "HEAD", "POST", "OPTIONS", "PURGE"] {
        for rest in below {
            let (response, pattern, _) = ask(&router, method, &format!("/forward-auth{rest}")).await;
            assert_eq!((response.status(), pattern), (StatusCode::OK, None), "{method} {rest}");
        }
    }
    assert_eq!(ask(&router, "GET", "/forward%2Dauth/p").await.0.status(), StatusCode::OK);
    for path in ["/forward-authority", "/forward-auth;/p", "/forward-auth%2Fp", "//forward-auth/p", "/Forward-Auth/p"] {
        assert_eq!(ask(&router, "GET", path).await.0.status(), StatusCode::NOT_FOUND, "{path}");
    }
}
