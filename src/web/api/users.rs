//! Who may do what: users and keys of the API, for admins.

use axum::{extract::State, http::HeaderMap, response::Response};
use inventory::user::{Role, Scope, check_name};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{About, Json, Order, Takes, done, get, post, told};
use crate::{
    cli::user::{token_json, user_json},
    clock,
    web::{
        Shared,
        asked::Path,
        language::Language,
        routes::Route,
        sign::acting,
        trouble::Trouble,
        users::{end_all, hash, invalid, new_token},
        visit::Admin,
    },
};

pub(super) fn routes() -> Vec<Route> {
    let users = "{items: [User], next: text?}";
    let keys = "{items: [Key], next: text?}";
    vec![
        get("/api/v1/users", list, About::read("Who may sign in", users)),
        post(
            "/api/v1/users",
            add,
            About::done(
                "Add a user. A name that somebody has is refused",
                Takes::Json("{name: text, role: Role, password: text}"),
                users,
            ),
        ),
        post(
            "/api/v1/users/{name}/role",
            set_role,
            About::done("Give a user a role", Takes::Json("{role: Role}"), users),
        ),
        post(
            "/api/v1/users/{name}/password",
            set_password,
            About::done(
                "Give a user a password, which ends the user's sessions",
                Takes::Json("{password: text}"),
                users,
            ),
        ),
        post(
            "/api/v1/users/{name}/disable",
            disable,
            About::done(
                "Let a user not sign in for now, which ends its sessions and keys",
                Takes::Nothing,
                users,
            ),
        ),
        post(
            "/api/v1/users/{name}/enable",
            enable,
            About::done("Let a user sign in again", Takes::Nothing, users),
        ),
        post(
            "/api/v1/users/{name}/sign-out",
            sign_out,
            About::done("End all sessions of a user", Takes::Nothing, users),
        ),
        post(
            "/api/v1/users/{name}/remove",
            remove,
            About::done("Remove a user. Once more there is none", Takes::Nothing, users),
        ),
        get("/api/v1/tokens", list_keys, About::read("The keys of the API", keys)),
        post(
            "/api/v1/tokens",
            add_key,
            About::done(
                "Make a key, which is told only now. A name that a key has is refused",
                Takes::Json("{name: text, scopes: [Scope], days: int}"),
                "{name: text, token: text, expires_at: moment, calendar: text?}",
            ),
        ),
        post(
            "/api/v1/tokens/{name}/remove",
            remove_key,
            About::done("Remove a key. Once more there is none", Takes::Nothing, keys),
        ),
    ]
}

async fn users(shared: &Shared) -> Result<Value, Trouble> {
    let items: Vec<Value> = shared.store.users().await?.iter().map(user_json).collect();
    Ok(json!({"items": items, "next": null}))
}

async fn keys(shared: &Shared) -> Result<Value, Trouble> {
    let (all, now) = (shared.store.api_tokens().await?, clock::now());
    let items: Vec<Value> = all.iter().map(|key| token_json(key, now)).collect();
    Ok(json!({"items": items, "next": null}))
}

async fn list(
    _: Admin,
    State(shared): State<Shared>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    told(&headers, &users(&shared).await?)
}

async fn list_keys(
    _: Admin,
    State(shared): State<Shared>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    told(&headers, &keys(&shared).await?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUser {
    name: String,
    role: String,
    password: String,
}

async fn add(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Json(NewUser { name, role, password }): Json<NewUser>,
) -> Result<Response, Trouble> {
    let name = check_name(name.trim()).map_err(invalid)?;
    let role: Role = role.parse().map_err(invalid)?;
    let hash = hash(&shared, Language::English, name, &password).await?;
    acting(&shared, &visitor).add_user(name, role, &hash, clock::now()).await?;
    Ok(done(&users(&shared).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewRole {
    role: String,
}

async fn set_role(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Json(NewRole { role }): Json<NewRole>,
) -> Result<Response, Trouble> {
    let role: Role = role.parse().map_err(invalid)?;
    acting(&shared, &visitor).set_role(&name, role, clock::now()).await?;
    Ok(done(&users(&shared).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    password: String,
}

async fn set_password(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Path(name): Path<String>,
    Json(NewPassword { password }): Json<NewPassword>,
) -> Result<Response, Trouble> {
    let hash = hash(&shared, Language::English, &name, &password).await?;
    acting(&shared, &visitor).set_password(&name, &hash, None, clock::now()).await?;
    Ok(done(&users(&shared).await?))
}

async fn disable(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Path(name): Path<String>,
    _: Order,
) -> Result<Response, Trouble> {
    acting(&shared, &visitor).set_disabled(&name, true, clock::now()).await?;
    Ok(done(&users(&shared).await?))
}

async fn enable(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Path(name): Path<String>,
    _: Order,
) -> Result<Response, Trouble> {
    acting(&shared, &visitor).set_disabled(&name, false, clock::now()).await?;
    Ok(done(&users(&shared).await?))
}

async fn sign_out(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Path(name): Path<String>,
    _: Order,
) -> Result<Response, Trouble> {
    end_all(&shared, &visitor, &name).await?;
    Ok(done(&users(&shared).await?))
}

async fn remove(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Path(name): Path<String>,
    _: Order,
) -> Result<Response, Trouble> {
    acting(&shared, &visitor).remove_user(&name, clock::now()).await?;
    Ok(done(&users(&shared).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    name: String,
    scopes: Vec<String>,
    days: i64,
}

async fn add_key(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Json(NewKey { name, scopes, days }): Json<NewKey>,
) -> Result<Response, Trouble> {
    let scopes: Result<Vec<Scope>, _> = scopes.iter().map(|scope| scope.parse()).collect();
    let scopes = scopes.map_err(invalid)?;
    let key = new_token(&shared, &visitor, &name, scopes, days).await?;
    Ok(done(&json!({
        "name": name,
        "token": key.token,
        "expires_at": key.end.to_string(),
        "calendar": key.calendar,
    })))
}

async fn remove_key(
    Admin(visitor): Admin,
    State(shared): State<Shared>,
    Path(name): Path<String>,
    _: Order,
) -> Result<Response, Trouble> {
    acting(&shared, &visitor).remove_api_token(&name, clock::now()).await?;
    Ok(done(&keys(&shared).await?))
}
