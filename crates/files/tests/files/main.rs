//! Whole files from outside: what opens, what is refused, and what is believed.

mod bad_input;
mod certified;
mod judges;
mod round_trip;
mod signed;
mod testkit;
