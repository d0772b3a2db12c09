//! Lists as somebody saved them. A key is its maker's hand: it has the views of that user, as far as
//! its scope goes.

use axum::{extract::State, http::HeaderMap, response::Response};
use inventory::{
    query::Kind,
    store::{SavedView, View},
    user::{Role, User},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{About, Json, Order, Takes, done, get, post, told};
use crate::{
    clock,
    web::{
        Shared,
        asked::Path,
        lists,
        routes::Route,
        sign::acting,
        trouble::Trouble,
        visit::{Viewer, Visitor, Who},
    },
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        get(
            "/api/v1/views",
            list,
            About::read(
                "The views that whoever asks sees, own ones first: a key has its maker's",
                "{items: [View], next: text?}",
            ),
        ),
        post(
            "/api/v1/views",
            save,
            About::done(
                "Save a view of a list, for oneself or for everybody. A name that the list has is \
                 refused",
                Takes::Json("NewView"),
                "View",
            ),
        ),
        post(
            "/api/v1/views/{id}",
            change,
            About::done(
                "Change a view: what is not given stays. A shared one is its maker's and the \
                 admins'. Once more changes nothing",
                Takes::Json("ChangedView"),
                "View",
            ),
        ),
        post(
            "/api/v1/views/{id}/remove",
            remove,
            About::done("Remove a view. Once more there is none", Takes::Nothing, "View"),
        ),
    ]
}

/// Whose views they are: the user in a browser, or the maker of a key with the role of the key.
/// Whoever made a key and is no user has no views of their own, and a number that no user has.
async fn owner(shared: &Shared, visitor: &Visitor) -> Result<User, Trouble> {
    let role = visitor.role().unwrap_or(Role::Viewer);
    match &visitor.who {
        Who::User(session) => Ok(session.user.clone()),
        Who::Program(_) | Who::Nobody => {
            let name = visitor.actor().name;
            let known = shared.store.user(&name).await?;
            Ok(match known {
                Some((user, _)) => User { role, ..user },
                None => User {
                    id: 0,
                    name,
                    role,
                    created_at: clock::now(),
                    password_at: clock::now(),
                    signed_in_at: None,
                    disabled_at: None,
                    identity: None,
                },
            })
        }
    }
}

fn view_json(saved: &SavedView, user: &User) -> Value {
    let View { is_shared, kind, name, query, sort, columns } = &saved.view;
    let columns: Vec<&str> = columns.split(',').filter(|name| !name.is_empty()).collect();
    json!({
        "id": saved.id,
        "list": kind.as_str(),
        "name": name,
        "q": query,
        "sort": Some(sort).filter(|sort| !sort.is_empty()),
        "columns": columns,
        "shared": is_shared,
        "by": saved.owner,
        "may_change": lists::may_change(saved, user),
        "page": lists::view_address(&saved.view),
    })
}

async fn list(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    headers: HeaderMap,
) -> Result<Response, Trouble> {
    let user = owner(&shared, &visitor).await?;
    let views = shared.store.views(&user).await?;
    let items: Vec<Value> = views.iter().map(|saved| view_json(saved, &user)).collect();
    told(&headers, &json!({"items": items, "next": null}))
}

/// The view of that number as whoever asks sees it now.
async fn one(shared: &Shared, user: &User, id: i64) -> Result<Response, Trouble> {
    let views = shared.store.views(user).await?;
    let saved = views.into_iter().find(|saved| saved.id == id).ok_or(Trouble::NotFound)?;
    Ok(done(&view_json(&saved, user)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewView {
    list: String,
    name: String,
    #[serde(default)]
    q: String,
    sort: Option<String>,
    #[serde(default)]
    columns: Vec<String>,
    #[serde(default)]
    shared: bool,
}

async fn save(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Json(new): Json<NewView>,
) -> Result<Response, Trouble> {
    let user = owner(&shared, &visitor).await?;
    if new.shared && user.role < Role::Operator {
        return Err(Trouble::Role(Role::Operator));
    }
    if user.id == 0 {
        return Err(lists::no_user(visitor.language));
    }
    let kind = Kind::from_name(&new.list);
    let kind = kind.ok_or_else(|| lists::no_list(&new.list, visitor.language))?;
    let view = View {
        is_shared: new.shared,
        kind,
        name: lists::view_name(&new.name, visitor.language)?,
        query: asked(&shared, kind, &new.q)?,
        sort: order(kind, new.sort.as_deref().unwrap_or_default(), &visitor)?,
        columns: chosen(kind, &new.columns, &visitor)?,
    };
    let id = acting(&shared, &visitor).save_view(&user, &view, clock::now()).await?;
    one(&shared, &user, id).await
}

/// What a program asks for is right or refused: nobody looks at what became of it.
fn asked(shared: &Shared, kind: Kind, query: &str) -> Result<String, Trouble> {
    let query = query.trim();
    shared.query(kind, query)?;
    Ok(query.to_owned())
}

fn order(kind: Kind, sort: &str, visitor: &Visitor) -> Result<String, Trouble> {
    lists::known_order(kind, sort).ok_or_else(|| lists::no_order(kind, sort, visitor.language))
}

fn chosen(kind: Kind, columns: &[String], visitor: &Visitor) -> Result<String, Trouble> {
    let known = lists::known_columns(kind, columns);
    known.map_err(|wrong| lists::no_column(kind, &wrong, visitor.language))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangedView {
    name: Option<String>,
    q: Option<String>,
    sort: Option<String>,
    columns: Option<Vec<String>>,
}

async fn change(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    Json(new): Json<ChangedView>,
) -> Result<Response, Trouble> {
    let user = owner(&shared, &visitor).await?;
    let known = shared.store.views(&user).await?;
    let known = known.into_iter().find(|saved| saved.id == id).ok_or(Trouble::NotFound)?.view;
    let kind = known.kind;
    let name = new.name.map(|name| lists::view_name(&name, visitor.language)).transpose()?;
    let query = new.q.map(|query| asked(&shared, kind, &query)).transpose()?;
    let sort = new.sort.map(|sort| order(kind, &sort, &visitor)).transpose()?;
    let columns = new.columns.map(|columns| chosen(kind, &columns, &visitor)).transpose()?;
    let view = View {
        is_shared: known.is_shared,
        kind,
        name: name.unwrap_or(known.name),
        query: query.unwrap_or(known.query),
        sort: sort.unwrap_or(known.sort),
        columns: columns.unwrap_or(known.columns),
    };
    acting(&shared, &visitor).change_view(&user, id, &view, clock::now()).await?;
    one(&shared, &user, id).await
}

async fn remove(
    Viewer(visitor): Viewer,
    State(shared): State<Shared>,
    Path(id): Path<i64>,
    _: Order,
) -> Result<Response, Trouble> {
    let user = owner(&shared, &visitor).await?;
    let saved = acting(&shared, &visitor).remove_view(&user, id, clock::now()).await?;
    Ok(done(&view_json(&saved, &user)))
}
