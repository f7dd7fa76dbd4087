//! Both ends together: what is lost, repeated, late, copied or restored, and what is left of it.

mod announcing;
mod clones;
mod enrolling;
mod erasing;
mod proving;
mod rekeying;
mod sealing;
mod service;
mod transferring;
