//! WeChat's answers, read by the client that asks for them: a WeChat on this machine answers every call with the input.
//!
//! So whatever the client does with an answer is tried, and nothing of it is opened for this alone.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::runtime::Runtime;
use wxgate_crypto::Secret;
use wxgate_domain::{AppSecret, AppSecrets, WechatAppid};
use wxgate_wechat_client::{
    Access, AccessToken, BaseUrl, CallError, Client, ClientConfig, Component, ComponentLoginError, ExchangeError,
    PhoneCode, RefreshToken, TokenMode,
};

/// The client, and what it is answered.
struct World {
    runtime: Runtime,
    client: Client,
    answer: Arc<Mutex<Vec<u8>>>,
    appid: WechatAppid,
    secret: AppSecret,
    token: AccessToken,
}

impl World {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answer = Arc::<Mutex<Vec<u8>>>::default();
        let given = answer.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let given = given.clone();
                std::thread::spawn(move || while serve(&connection, &given).is_some() {});
            }
        });
        let client = Client::new(ClientConfig {
            base_url: BaseUrl::parse(&url, true).unwrap(),
            connect_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(30),
            // Answers that nobody understands come in a row here.
            breaker_threshold: u32::MAX,
            ..ClientConfig::default()
        });
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap(),
            client: client.unwrap(),
            answer,
            appid: "wx1".parse().unwrap(),
            secret: "a-secret".parse().unwrap(),
            token: AccessToken::parse("a-token".to_owned()).unwrap(),
        }
    }
}

/// Answers one request of a connection.
fn serve(connection: &TcpStream, answer: &Mutex<Vec<u8>>) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        length = line.strip_prefix("content-length:").and_then(|text| text.trim().parse().ok()).unwrap_or(length);
    }
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    let body = answer.lock().unwrap().clone();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut connection = connection;
    connection.write_all(&[head.as_bytes(), &body].concat()).ok()
}

/// The answer to each kind of call; what each makes of it.
pub(crate) fn answers(input: &[u8]) -> String {
    static WORLD: OnceLock<World> = OnceLock::new();
    let world = WORLD.get_or_init(World::start);
    input.clone_into(&mut world.answer.lock().unwrap());
    world.runtime.block_on(read_by_all(world))
}

async fn read_by_all(world: &World) -> String {
    let World { client, appid, secret, token, .. } = world;
    let secrets = AppSecrets::only(secret.clone());
    let (code, openid) = ("0a1b".parse().unwrap(), "oAda".parse().unwrap());
    let access = Access::plain(appid, token);
    let component = Component { appid, token };
    let text = Secret::new("text".to_owned());
    let refresh = RefreshToken::parse("refreshtoken@@@a").unwrap();
    let phone = PhoneCode::parse("0a1b").unwrap();
    let component_login = match client.component_code_to_session(&component, appid, &code).await {
        Err(ComponentLoginError::Exchange(error)) => Err(error),
        Err(ComponentLoginError::TokenDead(_)) => return "token_dead".to_owned(),
        Ok(identity) => Ok(identity),
    };
    [
        exchange(client.code_to_session(appid, &secrets, &code).await),
        exchange(component_login),
        call(client.stable_token(appid, &secrets, TokenMode::Normal).await),
        call(client.legacy_token(appid, &secrets).await),
        call(client.phone_number(&access, &phone, &openid).await),
        call(client.check_token(&access).await),
        call(client.component_token(appid, secret, &text).await),
        call(client.pre_auth_code(&component).await),
        call(client.query_auth(&component, &text).await),
        call(client.authorizer_token(&component, appid, &refresh).await),
        call(client.authorizer_list(&component, 0, 500).await),
    ]
    .join(" ")
}

fn call<T>(result: Result<T, CallError>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(CallError::BadResponse(error)) => format!("{error:?}"),
        Err(error) => error.errcode_class().to_owned(),
    }
}

fn exchange<T>(result: Result<T, ExchangeError>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(ExchangeError::BadResponse(error)) => format!("{error:?}"),
        Err(error) => error.errcode_class().to_owned(),
    }
}
