//! What a certificate says, and whether that is a problem.
