// Nobody has published this module. `.example` never resolves (RFC 2606), so that no proxy can serve another's code under this
// path; use it by `replace`, as README.md says. Who publishes it puts a path of their own here.
module wardein.example/device

// crypto/hkdf and crypto/mlkem.
go 1.24.0

// ChaCha20-Poly1305, for age files; the standard library does not export it (BSD-3-Clause, by the Go team).
require golang.org/x/crypto v0.45.0

require golang.org/x/sys v0.38.0 // indirect
