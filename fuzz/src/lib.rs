//! Every parser of untrusted bytes, as a function of bytes.
