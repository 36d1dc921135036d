//! Tests of admission: each refusal has its name, and order does not matter.
