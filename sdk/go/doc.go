// Package device is the device's end of DDKG-1 (crates/ddkg/SPEC.md): it enrolls, proves requests, rekeys, makes tokens and seals.
//
// It takes bytes and gives bytes; how they travel is the caller's affair. Nothing comes out before the state that it needs is saved.
// "Section" is always one of SPEC.md.
package device
