//! The OpenAPI 3.1 document, made of the table of routes: what it says of a route is what the router
//! is made of.

use inventory::user::Scope;
use serde_json::{Map, Value, json};

use super::{
    About, Fault, Gives, Takes,
    schema::{fault, schema},
    shapes::SHAPES,
};
use crate::web::{
    routes::{self, Route},
    trouble::Trouble,
    visit::Access,
};

/// The document.
///
/// # Errors
///
/// Where a shape is written wrong, which a test would have shown.
pub(crate) fn document(routes: &[Route]) -> Result<Value, Trouble> {
    let wrong = |error: super::schema::ShapeError| Trouble::Failed(error.to_string());
    let mut paths = Map::new();
    for route in routes {
        let Some(about) = route.about else { continue };
        let operation = operation(route, about).map_err(wrong)?;
        let entry = paths.entry(route.path).or_insert_with(|| json!({}));
        entry[route.method.to_lowercase()] = operation;
    }
    let mut schemas = Map::new();
    for (name, shape) in SHAPES {
        schemas.insert((*name).to_owned(), schema(shape).map_err(wrong)?);
    }
    Ok(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Daicho",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What is on the network, what was approved, and what is about to break.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "daicho token add"},
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-daicho",
                    "description": "What changes something has the header X-CSRF-Token as well.",
                },
            },
        },
    }))
}

/// The route of a path that was asked for, among those that are meant. What is written out goes
/// before what varies.
pub(super) fn of_path<'r>(
    routes: &'r [Route],
    path: &str,
    is_meant: impl Fn(&Route) -> bool,
) -> Option<&'r Route> {
    let own: Vec<&str> = path.split('/').collect();
    let fits = |route: &&Route| {
        let known: Vec<&str> = route.path.split('/').collect();
        let same = |(known, own): (&&str, &&str)| known == own || known.starts_with('{');
        known.len() == own.len() && known.iter().zip(&own).all(same) && is_meant(route)
    };
    routes.iter().filter(fits).min_by_key(|route| route.path.matches('{').count())
}

/// What of the body of a request is not what its route takes.
pub(super) fn fault_of(path: &str, body: &Value) -> Option<Fault> {
    let all = routes::all();
    let route = of_path(&all, path, |route| route.method == "POST")?;
    let Takes::Json(shape) = route.about?.takes else { return None };
    let document = document(&all).ok()?;
    fault(&document, &schema(shape).ok()?, body, "")
}

fn operation(route: &Route, about: About) -> Result<Value, super::schema::ShapeError> {
    let parts = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let of_path = parts.map(|name| {
        let kind = if name == "id" { "integer" } else { "string" };
        json!({"name": name, "in": "path", "required": true, "schema": {"type": kind}})
    });
    let of_query = about.asks.iter().map(|(name, what)| {
        json!({"name": name, "in": "query", "description": what, "schema": {"type": "string"}})
    });
    let content = match about.gives {
        Gives::Json(shape) => json!({"application/json": {"schema": schema(shape)?}}),
        Gives::File => json!({"application/octet-stream": {}}),
    };
    let problem = json!({
        "description": "It was not done",
        "content": {"application/problem+json":
            {"schema": {"$ref": "#/components/schemas/Problem"}}},
    });
    let mut operation = json!({
        "operationId": id(route),
        "summary": about.what,
        "parameters": of_path.chain(of_query).collect::<Vec<_>>(),
        "responses": {
            "200": {"description": "It was", "content": content},
            "default": problem,
        },
    });
    if let Access::Role(role) = route.access {
        let scope = Scope::ALL.into_iter().find(|scope| scope.role() == Some(role));
        let scope = scope.map_or("", Scope::as_str);
        operation["security"] = json!([{"key": [scope]}, {"session": [role.as_str()]}]);
    }
    let body = match about.takes {
        Takes::Nothing => return Ok(operation),
        Takes::Json(shape) => json!({"application/json": {"schema": schema(shape)?}}),
        Takes::File => json!({"application/octet-stream": {}}),
    };
    operation["requestBody"] = json!({"required": true, "content": body});
    Ok(operation)
}

/// `get_assets_id` of `GET /api/v1/assets/{id}`.
fn id(route: &Route) -> String {
    let path = route.path.trim_start_matches("/api/v1/");
    let path: String = path.chars().filter(|c| !matches!(c, '{' | '}')).collect();
    format!("{}_{}", route.method.to_lowercase(), path.replace(['/', '.'], "_"))
}
