//! The settings, from file, environment and command line to plain values.
