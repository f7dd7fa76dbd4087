//! Every refusal, by its exact value, and that it changed nothing.

//mod challenges;
//mod decoding;
//mod devices;
//mod proofs;
//mod requests;
