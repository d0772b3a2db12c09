//! `daicho user` and `daicho token`: who may look at the page and use its API.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, IsTerminal as _, Write as _},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use inventory::{
    store::{OpenMode, Store},
    user::{ApiToken, Scope, check_name, check_password, check_scopes, token_hash},
};
use model::Timestamp;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    cli::{
        args::{Format, Token, User},
        existing_for,
    },
    clock,
    compose::Settings,
    report::{hex, print, print_json, table::Table},
    tell,
    web::{calendar_path, password},
};

pub(crate) async fn run(settings: &Settings, command: &User, format: Format) -> Result<()> {
    let now = clock::now();
    match command {
        User::List => return list(&reading(settings).await?, format).await,
        User::Add { name, role, password_file } => {
            let hash = new_password(check_name(name)?, password_file.as_deref())?;
            // The first user may come before the first scan.
            let store = Store::open(&settings.database, OpenMode::ReadWrite).await?;
            let store = store.acting(settings.actor.clone());
            store.add_user(name, *role, &hash, now).await?;
            store.close().await;
        }
        User::Password { name, password_file } => {
            let store = existing_for(settings).await?;
            let hash = new_password(name, password_file.as_deref())?;
            store.set_password(name, &hash, None, now).await?;
            store.close().await;
        }
        User::Role { name, role } => {
            let store = existing_for(settings).await?;
            store.set_role(name, *role, now).await?;
            store.close().await;
        }
        User::Disable { name } => disable(settings, name, true).await?,
        User::Enable { name } => disable(settings, name, false).await?,
        User::Remove { name } => {
            let store = existing_for(settings).await?;
            store.remove_user(name, now).await?;
            store.close().await;
        }
    }
    list(&reading(settings).await?, format).await
}

async fn disable(settings: &Settings, name: &str, is_disabled: bool) -> Result<()> {
    let store = existing_for(settings).await?;
    store.set_disabled(name, is_disabled, clock::now()).await?;
    store.close().await;
    Ok(())
}

async fn reading(settings: &Settings) -> Result<Store> {
    Ok(Store::open(&settings.database, OpenMode::ReadOnly).await?)
}

async fn list(store: &Store, format: Format) -> Result<()> {
    let users = store.users().await?;
    if format == Format::Json {
        return print_json(&users.iter().map(user_json).collect::<Vec<Value>>());
    }
    if users.is_empty() {
        return print("no users\n");
    }
    let mut table = Table::new(&[
        "name",
        "role",
        "created",
        "password set",
        "last signed in",
        "disabled",
        "from",
    ]);
    for user in &users {
        let from = user.identity.as_ref();
        let from = from.map(|from| format!("{} ({})", from.issuer, from.subject));
        table.row([
            user.name.clone(),
            user.role.to_string(),
            user.created_at.to_string(),
            user.password_set().map_or_else(String::new, |at| at.to_string()),
            moment(user.signed_in_at),
            user.disabled_at.map_or_else(String::new, |at| at.to_string()),
            from.unwrap_or_default(),
        ]);
    }
    print(&table.render())
}

/// As `docs/json.md` promises it.
pub(crate) fn user_json(user: &inventory::user::User) -> Value {
    json!({
        "name": user.name,
        "role": user.role.as_str(),
        "created_at": user.created_at.to_string(),
        "password_at": user.password_set().map(|at| at.to_string()),
        "signed_in_at": user.signed_in_at.map(|at| at.to_string()),
        "disabled_at": user.disabled_at.map(|at| at.to_string()),
        "issuer": user.identity.as_ref().map(|from| &from.issuer),
        "subject": user.identity.as_ref().map(|from| &from.subject),
        "called": user.identity.as_ref().map(|from| &from.called),
    })
}

fn moment(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "never".to_owned(), |at| at.to_string())
}

/// The hash of a new password: of the file, or of the terminal (twice), or of standard input.
fn new_password(name: &str, file: Option<&Path>) -> Result<String> {
    let password = match file {
        Some(path) => {
            let opened = File::open(path);
            let opened = opened.with_context(|| format!("cannot read {}", path.display()))?;
            first_line(opened)?
        }
        None if io::stdin().is_terminal() => {
            let first = ask(&format!("new password of {name}: "))?;
            let second = ask("once more: ")?;
            ensure!(first == second, "the two passwords are not the same");
            first
        }
        None => first_line(io::stdin())?,
    };
    check_password(name, &password)?;
    password::hash(&password)
}

/// The first line, without its end.
fn first_line(input: impl io::Read) -> Result<Zeroizing<String>> {
    // More is no password, and may have no end.
    let mut input = BufReader::new(io::Read::take(input, 4_096));
    let mut line = Zeroizing::new(String::new());
    input.read_line(&mut line).context("cannot read the password")?;
    Ok(Zeroizing::new(line.trim_end_matches(['\n', '\r']).to_owned()))
}

/// Asks at the terminal, which does not show what is typed.
fn ask(question: &str) -> Result<Zeroizing<String>> {
    let stdin = io::stdin();
    let before = tcgetattr(&stdin).context("cannot ask at the terminal")?;
    let mut silent = before.clone();
    silent.local_modes.remove(LocalModes::ECHO);
    let _ = io::stderr().write_all(question.as_bytes());
    tcsetattr(&stdin, OptionalActions::Flush, &silent).context("cannot ask at the terminal")?;
    let line = first_line(stdin.lock());
    // The terminal is more important than an error of it.
    let _ = tcsetattr(&stdin, OptionalActions::Flush, &before);
    tell::line("");
    line
}

/// `daicho token`.
pub(crate) async fn token(settings: &Settings, command: &Token, format: Format) -> Result<()> {
    let now = clock::now();
    match command {
        Token::List => {}
        Token::Add { name, scopes, expires } => {
            check_name(name)?;
            let lasts = config::duration(expires).context("--expires")?;
            let seconds = i64::try_from(lasts.as_secs()).unwrap_or(i64::MAX);
            ensure!((1..=3_650 * 86_400).contains(&seconds), "--expires: from 1s to 3650d");
            let mut bytes = Zeroizing::new([0; 32]);
            getrandom::fill(bytes.as_mut()).context("the system gives no random numbers")?;
            // With letters in front by which it is found where it should not lie.
            let token = Zeroizing::new(format!("daicho_{}", hex(bytes.as_ref())));
            let scopes = check_scopes(scopes.clone()).context("--scope")?;
            let calendar = (scopes == [Scope::Calendar]).then(|| calendar_path(&token));
            let end = now.plus_seconds(seconds);
            let store = existing_for(settings).await?;
            store.add_api_token(name, &token_hash(&token), &scopes, Some(end), now).await?;
            store.close().await;
            return match format {
                Format::Json => print_json(&json!({
                    "name": name, "token": token.as_str(), "expires_at": end.to_string(),
                    "calendar": calendar,
                })),
                Format::Text => {
                    if calendar.is_some() {
                        let page = settings.sender.page.as_deref().unwrap_or("https://THE-PAGE");
                        let page = page.trim_end_matches('/');
                        let path = calendar_path("KEY");
                        tell::line(&format!("programs fetch the calendar at {page}{path}"));
                    }
                    print(&format!("{}\n", token.as_str()))
                }
            };
        }
        Token::Remove { name } => {
            let store = existing_for(settings).await?;
            store.remove_api_token(name, now).await?;
            store.close().await;
        }
    }
    let tokens = reading(settings).await?.api_tokens().await?;
    show_tokens(&tokens, now, format)
}

fn scopes(token: &ApiToken) -> Vec<&'static str> {
    token.scopes.iter().map(|scope| scope.as_str()).collect()
}

/// As `docs/json.md` promises it.
pub(crate) fn token_json(token: &ApiToken, now: Timestamp) -> Value {
    json!({
        "name": token.name,
        "scopes": scopes(token),
        "created_at": token.created_at.to_string(),
        "created_by": token.created_by,
        "expires_at": token.expires_at.map(|at| at.to_string()),
        "expired": token.is_expired(now),
        "used_at": token.used_at.map(|at| at.to_string()),
    })
}

fn show_tokens(tokens: &[ApiToken], now: Timestamp, format: Format) -> Result<()> {
    if format == Format::Json {
        let list: Vec<Value> = tokens.iter().map(|token| token_json(token, now)).collect();
        return print_json(&list);
    }
    if tokens.is_empty() {
        return print("no tokens\n");
    }
    let mut table = Table::new(&["name", "scopes", "created", "by", "expires", "last used"]);
    for token in tokens {
        let end = moment(token.expires_at);
        table.row([
            token.name.clone(),
            scopes(token).join(" "),
            token.created_at.to_string(),
            token.created_by.clone(),
            if token.is_expired(now) { format!("{end} (over)") } else { end },
            moment(token.used_at),
        ]);
    }
    print(&table.render())
}
