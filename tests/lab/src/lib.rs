//! A network in namespaces with real servers, for tests and measurements.
