//! Measurements of the product, printed and repeatable.
