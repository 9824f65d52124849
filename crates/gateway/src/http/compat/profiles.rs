//! The conventions, all of them: which clients exist, as data. Nothing else of wxgate knows their names.
//!
//! Paths and fields are those of the clients' own sources; `docs/compatibility.md` is this table for people.

use wxgate_domain::ClientProfile;

use super::convention::Told::{
    AccessToken, Action, Appid, AvatarUrl, Code, ExpiresAtMillis, ExpiresIn, Nickname, Null, Number, Object, OpenId,
    PhoneError, PhoneMasked, RefreshExpiresIn, RefreshToken, Scope, Sentence, SessionId, Signal, Text, Texts, True,
    UnionId, UserDataError, UserId, UserInfo,
};
use super::convention::Verb::{FillIn, Grant, LogIn, LogOut, Refresh, Show};
use super::convention::{Convention, Failure, Place, Route, Told, When};

/// Every convention.
pub(super) const CONVENTIONS: &[Convention] = &[
    WAFER2,
    WAFER_SESSION,
    LITEMALL,
    MALL4M,
    YUDAO,
    RUOYI_PLUS,
    UNIBEST,
    UNIBEST_DOUBLE,
    SIMPLE_ADMIN,
    WE_REQUEST,
    OAUTH,
];

/// The headers in which both generations of wafer send what `wx.login` and `wx.getUserInfo` gave.
const WAFER_HEADERS: &[(&str, &str)] =
    &[("x-wx-code", "code"), ("x-wx-encrypted-data", "encryptedData"), ("x-wx-iv", "iv")];

/// A failure in the words that most conventions share, with wxgate's own beside them.
const CODE_MSG: &[(&str, Told)] =
    &[("code", Signal), ("msg", Sentence), ("data", Null), ("error", Code), ("action", Action)];

/// Why a ciphertext that came with a login did not open.
const DATA_ERROR: (&str, Told) = ("userDataError", UserDataError);
/// And why a code of the phone button gave no number.
const PHONE_ERROR: (&str, Told) = ("phoneError", PhoneError);

// wafer2-client-sdk: 401 or code -1 makes it log in again, once, silently.
const WAFER2: Convention = Convention {
    profile: ClientProfile::Wafer2,
    bases: &[""],
    routes: &[
        Route::get("/weapp/login", LogIn("code"), WAFER2_LOGIN).headers(WAFER_HEADERS),
        Route::post("/weapp/login", LogIn("code"), WAFER2_LOGIN).headers(WAFER_HEADERS),
        Route::get("/weapp/user", Show, &[("code", Number(0)), ("data", UserInfo)]),
    ],
    token: &[Place::Header("x-wx-skey")],
    session_id: None,
    failure: Failure::Fields(
        &[("code", Signal), ("message", Sentence), ("error", Code), ("action", Action)],
        &[(When::Unauthorized, Number(-1))],
    ),
    always_ok: false,
};
const WAFER2_LOGIN: &[(&str, Told)] =
    &[("code", Number(0)), ("data", Object(&[("skey", AccessToken), ("userinfo", UserInfo), DATA_ERROR, PHONE_ERROR]))];

// wafer-client-sdk: the magic name in an answer makes it believe that the session is at stake, so that it stands in
// answers to logins and in failures alone.
const WAFER_SESSION: Convention = Convention {
    profile: ClientProfile::WaferSession,
    bases: &[""],
    routes: &[
        Route::get("/login", LogIn("code"), WAFER_SESSION_LOGIN).headers(WAFER_HEADERS),
        Route::get("/user", Show, &[("code", Number(0)), ("data", Object(&[("userInfo", UserInfo)]))]),
    ],
    token: &[Place::Header("x-wx-skey")],
    session_id: Some("x-wx-id"),
    failure: Failure::Fields(
        &[(WAFER_MAGIC, Number(1)), ("error", Signal), ("message", Sentence), ("code", Code), ("action", Action)],
        &[(When::Unauthorized, Text("ERR_INVALID_SESSION")), (When::Any, Text("ERR_LOGIN_FAILED"))],
    ),
    always_ok: true,
};
const WAFER_MAGIC: &str = "F2C224D4-2BCE-4C64-AF9F-A6D872000D1A";
const WAFER_SESSION_LOGIN: &[(&str, Told)] = &[
    (WAFER_MAGIC, Number(1)),
    ("session", Object(&[("id", SessionId), ("skey", AccessToken)])),
    DATA_ERROR,
    PHONE_ERROR,
];

// litemall-wx: reads HTTP 200 alone; errno 501 shows the login page.
const LITEMALL: Convention = Convention {
    profile: ClientProfile::Litemall,
    bases: &[""],
    routes: &[
        Route::post(
            "/wx/auth/login_by_weixin",
            LogIn("code"),
            &[
                ("errno", Number(0)),
                ("errmsg", Text("成功")),
                (
                    "data",
                    Object(&[("token", AccessToken), ("userInfo", Object(LITEMALL_USER)), DATA_ERROR, PHONE_ERROR]),
                ),
            ],
        ),
        Route::get(
            "/wx/auth/info",
            Show,
            &[
                ("errno", Number(0)),
                ("errmsg", Text("成功")),
                ("data", Object(&[("nickName", Nickname), ("avatar", AvatarUrl), ("mobile", PhoneMasked)])),
            ],
        ),
        Route::post("/wx/auth/profile", FillIn, LITEMALL_DONE),
        Route::post("/wx/auth/logout", LogOut, LITEMALL_DONE),
    ],
    token: &[Place::Header("x-litemall-token")],
    session_id: None,
    failure: Failure::Fields(
        &[("errno", Signal), ("errmsg", Sentence), ("error", Code), ("action", Action)],
        &[
            (When::Unauthorized, Number(501)),
            (When::Malformed, Number(402)),
            (When::Server, Number(502)),
            (When::Any, Number(-1)),
        ],
    ),
    always_ok: true,
};
const LITEMALL_USER: &[(&str, Told)] = &[("userId", UserId), ("nickName", Nickname), ("avatarUrl", AvatarUrl)];
const LITEMALL_DONE: &[(&str, Told)] = &[("errno", Number(0)), ("errmsg", Text("成功"))];

// mall4m: keeps `'bearer' + access_token` and sends that as it is.
const MALL4M: Convention = Convention {
    profile: ClientProfile::Mall4m,
    bases: &[""],
    routes: &[
        Route::post("/login", LogIn("principal"), &[("code", Text("00000")), ("data", Object(MALL4M_TOKENS))]),
        Route::get("/p/user/userInfo", Show, &[("code", Text("00000")), ("data", Object(MALL4M_USER))]),
        Route::put("/p/user/setUserInfo", FillIn, &[("code", Text("00000")), ("data", Null)]),
        Route::post("/logOut", LogOut, &[("code", Text("00000")), ("data", Null)]),
    ],
    token: &[],
    session_id: None,
    failure: Failure::Fields(
        CODE_MSG,
        &[(When::Unauthorized, Text("A00004")), (When::Server, Text("A00005")), (When::Any, Text("A00001"))],
    ),
    always_ok: true,
};
const MALL4M_TOKENS: &[(&str, Told)] = &[
    ("access_token", AccessToken),
    ("token_type", Text("bearer")),
    ("expires_in", ExpiresIn),
    ("userId", UserId),
    ("nickName", Nickname),
    ("pic", AvatarUrl),
    DATA_ERROR,
    PHONE_ERROR,
];
const MALL4M_USER: &[(&str, Told)] = &[("userId", UserId), ("nickName", Nickname), ("pic", AvatarUrl)];

// yudao: 401 in the body makes it refresh; the refresh token then stands in the address, as the convention has it.
const YUDAO: Convention = Convention {
    profile: ClientProfile::Yudao,
    bases: &["/app-api", ""],
    routes: &[
        Route::post("/member/auth/weixin-mini-app-login", LogIn("loginCode"), YUDAO_TOKENS),
        Route::post("/member/auth/social-login", LogIn("code"), YUDAO_TOKENS),
        Route::post("/member/auth/refresh-token", Refresh("refreshToken"), YUDAO_TOKENS).query(&["refreshToken"]),
        Route::post("/member/auth/logout", LogOut, YUDAO_DONE),
        Route::get(
            "/member/user/get",
            Show,
            &[
                ("code", Number(0)),
                (
                    "data",
                    Object(&[("id", UserId), ("nickname", Nickname), ("avatar", AvatarUrl), ("mobile", PhoneMasked)]),
                ),
                ("msg", Text("")),
            ],
        ),
        Route::put("/member/user/update", FillIn, YUDAO_DONE),
    ],
    token: &[],
    session_id: None,
    failure: Failure::Fields(CODE_MSG, &[]),
    always_ok: true,
};
const YUDAO_TOKENS: &[(&str, Told)] = &[
    ("code", Number(0)),
    (
        "data",
        Object(&[
            ("userId", UserId),
            ("accessToken", AccessToken),
            ("refreshToken", RefreshToken),
            ("expiresTime", ExpiresAtMillis),
            ("openid", OpenId),
            DATA_ERROR,
            PHONE_ERROR,
        ]),
    ),
    ("msg", Text("")),
];
const YUDAO_DONE: &[(&str, Told)] = &[("code", Number(0)), ("data", True), ("msg", Text(""))];

// RuoYi-Vue-Plus: the appid is in the body.
const RUOYI_PLUS: Convention = Convention {
    profile: ClientProfile::RuoyiPlus,
    bases: &[""],
    routes: &[
        Route::post(
            "/auth/login",
            LogIn("xcxCode"),
            &[
                ("code", Number(200)),
                ("msg", Text("操作成功")),
                (
                    "data",
                    Object(&[
                        ("access_token", AccessToken),
                        ("refresh_token", RefreshToken),
                        ("expire_in", ExpiresIn),
                        ("refresh_expire_in", RefreshExpiresIn),
                        ("client_id", Appid),
                        ("scope", Scope),
                        ("openid", OpenId),
                        DATA_ERROR,
                        PHONE_ERROR,
                    ]),
                ),
            ],
        ),
        Route::get(
            "/system/user/getInfo",
            Show,
            &[
                ("code", Number(200)),
                ("msg", Text("操作成功")),
                (
                    "data",
                    Object(&[
                        ("user", Object(&[("userId", UserId), ("nickName", Nickname), ("avatar", AvatarUrl)])),
                        ("permissions", Texts(&[])),
                        ("roles", Texts(&[])),
                    ]),
                ),
            ],
        ),
        Route::post("/auth/logout", LogOut, &[("code", Number(200)), ("msg", Text("退出成功")), ("data", Null)]),
    ],
    token: &[],
    session_id: None,
    failure: Failure::Fields(CODE_MSG, &[]),
    always_ok: true,
};

// unibest: takes 0 and 200 for success, and refreshes only for a real 401. With one token it wants no refresh token.
const UNIBEST: Convention = Convention {
    profile: ClientProfile::Unibest,
    bases: &[""],
    routes: &[
        Route::post(
            "/auth/wxLogin",
            LogIn("code"),
            &[
                ("code", Number(200)),
                ("msg", Text("ok")),
                ("data", Object(&[("token", AccessToken), ("expiresIn", ExpiresIn), DATA_ERROR, PHONE_ERROR])),
            ],
        ),
        UNIBEST_INFO,
        UNIBEST_LOGOUT,
    ],
    token: &[],
    session_id: None,
    failure: Failure::Fields(CODE_MSG, &[]),
    always_ok: false,
};
const UNIBEST_DOUBLE: Convention = Convention {
    profile: ClientProfile::UnibestDouble,
    routes: &[
        Route::post("/auth/wxLogin", LogIn("code"), UNIBEST_PAIR),
        Route::post("/auth/refreshToken", Refresh("refreshToken"), UNIBEST_PAIR),
        UNIBEST_INFO,
        UNIBEST_LOGOUT,
    ],
    ..UNIBEST
};
const UNIBEST_INFO: Route = Route::get(
    "/user/info",
    Show,
    &[
        ("code", Number(200)),
        ("msg", Text("ok")),
        ("data", Object(&[("userId", UserId), ("username", OpenId), ("nickname", Nickname), ("avatar", AvatarUrl)])),
    ],
);
const UNIBEST_LOGOUT: Route =
    Route::get("/auth/logout", LogOut, &[("code", Number(200)), ("msg", Text("ok")), ("data", Null)]);
const UNIBEST_PAIR: &[(&str, Told)] = &[
    ("code", Number(200)),
    ("msg", Text("ok")),
    (
        "data",
        Object(&[
            ("accessToken", AccessToken),
            ("refreshToken", RefreshToken),
            ("accessExpiresIn", ExpiresIn),
            ("refreshExpiresIn", RefreshExpiresIn),
            DATA_ERROR,
            PHONE_ERROR,
        ]),
    ),
];

// simple-admin-member-api.
const SIMPLE_ADMIN: Convention = Convention {
    profile: ClientProfile::SimpleAdmin,
    bases: &[""],
    routes: &[Route::post(
        "/oauth/login/wechat/mini_program",
        LogIn("code"),
        &[
            ("code", Number(0)),
            ("msg", Text("成功")),
            (
                "data",
                Object(&[
                    ("userId", UserId),
                    ("token", AccessToken),
                    ("expire", ExpiresAtMillis),
                    ("nickname", Nickname),
                    ("avatar", AvatarUrl),
                    DATA_ERROR,
                    PHONE_ERROR,
                ]),
            ),
        ],
    )],
    token: &[],
    session_id: None,
    failure: Failure::Fields(CODE_MSG, &[]),
    always_ok: false,
};

// weRequest, set up as its example is: GET puts the code into the address, everything after it has the session there.
// It looks into bodies of HTTP 200 alone, and errcode -1 makes it log in again.
const WE_REQUEST: Convention = Convention {
    profile: ClientProfile::WeRequest,
    bases: &[""],
    routes: &[
        Route::get("/user/login", LogIn("code"), WE_REQUEST_LOGIN).query(&["code", "session"]),
        Route::post("/user/login", LogIn("code"), WE_REQUEST_LOGIN).query(&["session"]),
        Route::get(
            "/user/info",
            Show,
            &[("errcode", Number(0)), ("msg", Text("ok")), ("data", Object(&[("userInfo", UserInfo)]))],
        )
        .query(&["session"]),
        Route::post("/user/logout", LogOut, &[("errcode", Number(0)), ("msg", Text("ok")), ("data", Null)])
            .query(&["session"]),
    ],
    token: &[Place::Field("session")],
    session_id: None,
    failure: Failure::Fields(
        &[("errcode", Signal), ("msg", Sentence), ("error", Code), ("action", Action)],
        &[(When::Unauthorized, Number(-1))],
    ),
    always_ok: true,
};
const WE_REQUEST_LOGIN: &[(&str, Told)] = &[
    ("errcode", Number(0)),
    ("msg", Text("ok")),
    ("session", AccessToken),
    ("data", Object(&[("session", AccessToken), ("userInfo", UserInfo), DATA_ERROR, PHONE_ERROR])),
];

// RFC 6749 at the top level, under casdoor's paths too. A client secret in a mini-program proves nothing and is not read.
const OAUTH: Convention = Convention {
    profile: ClientProfile::OAuth,
    bases: &[""],
    routes: &[
        Route::post("/oauth/token", Grant, OAUTH_TOKENS),
        Route::post("/api/login/oauth/access_token", Grant, OAUTH_TOKENS),
        Route::post("/api/login/oauth/refresh_token", Refresh("refresh_token"), OAUTH_TOKENS),
        Route::get("/oauth/userinfo", Show, OAUTH_USER),
        Route::get("/api/userinfo", Show, OAUTH_USER),
        Route::post("/api/logout", LogOut, &[("status", Text("ok"))]),
    ],
    token: &[],
    session_id: None,
    failure: Failure::OAuth,
    always_ok: false,
};
const OAUTH_TOKENS: &[(&str, Told)] = &[
    ("access_token", AccessToken),
    ("token_type", Text("Bearer")),
    ("expires_in", ExpiresIn),
    ("refresh_token", RefreshToken),
    ("scope", Scope),
    ("openid", OpenId),
    ("unionid", UnionId),
    ("user_data_error", UserDataError),
    ("phone_error", PhoneError),
];
const OAUTH_USER: &[(&str, Told)] =
    &[("sub", UserId), ("name", Nickname), ("nickname", Nickname), ("picture", AvatarUrl)];
