use serde::{Deserialize, Serialize};

/// A place whose addresses are its own: two sites may both use 10.0.0.0/8
/// without their assets being confused.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Site(pub String);

/// A place on the network from which we look.
///
/// A port that is open from here may be filtered from there, so a fact without
/// its vantage point is half a fact.
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Vantage {
    /// The site it belongs to.
    pub site: Site,
    /// Its configured name, by default the machine's host name.
    pub name: String,
}
