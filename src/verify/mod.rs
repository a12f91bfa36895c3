//! Verifiers: whether an answer is right, decided by a program and not by a model.
//!
//! Everything here is a pure function of texts. A verifier answers in three ways, since one that guesses teaches what
//! it guesses wrong; `docs/verifiers.md` has the rules.

pub mod math;
